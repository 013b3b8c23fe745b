"""Atomic writes: whole or not at all, one line where they fail, and nothing left of what was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gancore.errors import UnwritableError
from gancore.files.atomic import atomic_write, hold_new_folder, sweep_partials


def partials(folder: Path) -> list[Path]:
    return list(folder.glob(".partial-*"))


def test_a_file_is_replaced_once_the_block_ends(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with atomic_write(tmp_path / "a.txt") as partial:
        partial.write_text("new")
        assert (tmp_path / "a.txt").read_text() == "old"
    assert (tmp_path / "a.txt").read_text() == "new"
    assert not partials(tmp_path)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("writer failed"), MemoryError()]
)
def test_a_failed_write_is_one_line_and_leaves_what_was_there(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(UnwritableError, match=r"cannot write .*a\.txt: \w+"), atomic_write(tmp_path / "a.txt"):
        raise error
    assert (tmp_path / "a.txt").read_text() == "old"
    assert not partials(tmp_path)


def test_a_mistake_of_the_caller_is_told_as_it_is(tmp_path):
    with pytest.raises(ValueError, match=r"^no frames$"), atomic_write(tmp_path / "a.txt"):
        raise ValueError("no frames")


def test_names_as_long_as_the_disk_takes_can_be_written(tmp_path):
    path = tmp_path / ("ä" * 125 + ".json")
    with atomic_write(path) as partial:
        partial.write_text("{}")
        assert partial.suffix == ".json"
    assert path.read_text() == "{}"


WRITTEN = """
import sys
from pathlib import Path
from gancore.files.atomic import atomic_write
with atomic_write(Path(sys.argv[1])) as file:
    file.write_bytes(b"all")
"""


def test_names_that_the_locale_cannot_spell_can_be_written(tmp_path):
    path = tmp_path / "für 漢.json"
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", WRITTEN, path], check=True, env=plain)
    assert path.read_bytes() == b"all"


KILLED = """
import os, signal, sys
from pathlib import Path
from gancore.files.atomic import atomic_write, hold_new_folder
with atomic_write(Path(sys.argv[1], "a.bin")) as file, hold_new_folder(Path(sys.argv[1], "b")) as folder:
    file.write_bytes(b"half")
    (folder / "c").write_bytes(b"half")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_swept_but_never_what_a_living_one_holds(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    with process:
        assert process.stdout.readline() == b"ready\n"
        sweep_partials(tmp_path)
        assert len(partials(tmp_path)) == 2
        os.kill(process.pid, signal.SIGKILL)
    sweep_partials(tmp_path)
    assert not partials(tmp_path)


def test_only_what_this_package_names_so_is_swept(tmp_path):
    (tmp_path / ".partial-notes").write_text("mine")
    sweep_partials(tmp_path)
    assert (tmp_path / ".partial-notes").read_text() == "mine"


def test_a_folder_is_swept_when_a_process_first_writes_to_it(tmp_path):
    (tmp_path / f".partial-{'0' * 16}-a.txt").write_text("half")
    with hold_new_folder(tmp_path / "b"):
        assert not (tmp_path / f".partial-{'0' * 16}-a.txt").exists()
