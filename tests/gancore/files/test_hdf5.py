"""A damaged HDF5 file is refused before its library takes gigabytes for it, or walks in it for ever."""

import h5py
import numpy as np
import pytest

from gancore.errors import UnreadableError
from gancore.files.hdf5 import open_hdf5, visit_hdf5

END_OF_FILE = 40  # where the superblock of an old file states its size


def write(path) -> list[str]:
    with h5py.File(path, "w", libver="earliest") as file:
        file["a/b"] = np.arange(6)
        file["c"] = np.arange(3)
        file["link"] = h5py.SoftLink("/c")
    return ["a", "a/b", "c"]


def test_every_group_and_data_set_is_found_but_no_link(tmp_path):
    expected, found = write(tmp_path / "a.h5"), []
    with open_hdf5(tmp_path / "a.h5") as file:
        visit_hdf5(file, lambda name, _item: found.append(name))
    assert sorted(found) == expected


@pytest.mark.parametrize("size", [0, 10**5, 0x60 << 56])
def test_a_file_of_another_size_than_it_states_is_refused(tmp_path, size):
    write(tmp_path / "a.h5")
    content = bytearray((tmp_path / "a.h5").read_bytes())
    assert int.from_bytes(content[END_OF_FILE : END_OF_FILE + 8], "little") == len(content)
    content[END_OF_FILE : END_OF_FILE + 8] = size.to_bytes(8, "little")
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(UnreadableError, match="cut short or damaged: it states"), open_hdf5(tmp_path / "a.h5"):
        pass


@pytest.mark.parametrize("group", ["", "a"])
def test_a_group_whose_members_lie_nowhere_is_an_error(tmp_path, group):
    write(tmp_path / "a.h5")
    content = (tmp_path / "a.h5").read_bytes()
    nodes = [place for place in range(len(content)) if content.startswith(b"TREE", place)]
    node = nodes[bool(group)]
    broken = content[: node + 32] + (1 << 48).to_bytes(8, "little") + content[node + 40 :]
    (tmp_path / "a.h5").write_bytes(broken)
    with open_hdf5(tmp_path / "a.h5") as file, pytest.raises(RuntimeError, match="addr"):
        visit_hdf5(file, lambda _name, _item: None)
