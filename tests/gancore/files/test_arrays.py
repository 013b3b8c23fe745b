"""Arrays in npy files, on disks that have room for them and on disks that have none."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gancore.files.arrays import write_npy


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        np.arange(24.0).reshape(4, 6).T,
        np.zeros((0, 3), bool),
        np.array(1.5, ">f4"),
    ],
    ids=["bytes", "transposed", "empty", "one number"],
)
def test_an_array_comes_back_as_it_was(tmp_path: Path, array: np.ndarray) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        write_npy(file, array)
    read = np.load(tmp_path / "a.npy")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


ON_A_FULL_DISK = """
import resource, signal, sys
import numpy as np
from gancore.files.arrays import write_npy

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (128, resource.RLIM_INFINITY))
try:
    with open(sys.argv[1], "wb") as file:
        write_npy(file, np.zeros(100, np.uint8))
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limit of their size there")
def test_an_array_for_which_there_is_only_room_for_the_header_is_an_error(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, tmp_path / "a.npy"], capture_output=True, text=True, check=False
    )
    assert (ended.stdout, ended.stderr) == ("File too large\n", "")
