"""A damaged HDF5 file is refused before its library takes gigabytes for it, or is listed without end."""

import os
import signal

import h5py
import numpy as np
import pytest

from gancore.errors import UnreadableError
from gancore.files.hdf5 import iterate_datasets, open_hdf5
from gancore.files.limits import ReadingLimits
from vidgan.files.video import open_video
from voxgan.files.voxels import read_occupancy

END_OF_FILE = 40  # where the superblock of an old file states its size
SUCCESSOR, CHILD = 16, 32  # where a node of a group's index says which node comes next, and where its first child lies


def write(path, **options) -> None:
    with h5py.File(path, "w", **options) as file:
        file["a/b"] = np.arange(6)
        file["a/same"] = file["a/b"]
        file["c"] = np.arange(3)
        file["link"] = h5py.SoftLink("/c")


def change(path, place: int, value: int) -> None:
    content = bytearray(path.read_bytes())
    content[place : place + 8] = value.to_bytes(8, "little")
    path.write_bytes(content)


def index_nodes(path) -> list[int]:
    """Where the indices of the root and of the group in it begin."""
    content = path.read_bytes()
    return [place for place in range(len(content)) if content.startswith(b"TREE", place)]


def names(path) -> list[str]:
    with open_hdf5(path) as file:
        return [name for name, _ in iterate_datasets(file, path, ReadingLimits(max_members=10))]


@pytest.mark.parametrize("libver", ["earliest", "v108", "v110", "latest"])
@pytest.mark.parametrize("userblock_size", [0, 512, 2048])
def test_every_data_set_is_found_once_and_no_link(tmp_path, libver, userblock_size):
    write(tmp_path / "a.h5", libver=libver, userblock_size=userblock_size)
    assert names(tmp_path / "a.h5") == ["a/b", "c"]


def test_a_file_put_behind_a_header_is_found(tmp_path):
    write(tmp_path / "a.h5")
    (tmp_path / "a.mat").write_bytes(bytes(512) + (tmp_path / "a.h5").read_bytes())
    assert names(tmp_path / "a.mat") == ["a/b", "c"]


def test_a_file_with_more_after_its_end_is_read(tmp_path):
    write(tmp_path / "a.h5")
    with (tmp_path / "a.h5").open("ab") as file:
        file.write(b"a note")
    assert names(tmp_path / "a.h5") == ["a/b", "c"]


def test_entries_are_bounded(tmp_path):
    with h5py.File(tmp_path / "many.h5", "w") as file:
        for number in range(11):
            file.create_group(str(number))
    with pytest.raises(ValueError, match=r"many\.h5 has 11 entries, above .* max_members lets it in"):
        names(tmp_path / "many.h5")


@pytest.mark.parametrize("size", [0, 10**5, 0x60 << 56])
def test_a_file_of_another_size_than_it_states_is_refused(tmp_path, size):
    write(tmp_path / "a.h5", libver="earliest")
    change(tmp_path / "a.h5", END_OF_FILE, size)
    with pytest.raises(UnreadableError, match="cut short or damaged: it states"), open_hdf5(tmp_path / "a.h5"):
        pass


@pytest.mark.parametrize("length", [8, 9, 13, 47])
def test_a_file_that_ends_in_its_superblock_is_an_error(tmp_path, length):
    write(tmp_path / "a.h5", libver="earliest")
    (tmp_path / "a.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:length])
    with pytest.raises(OSError, match="Unable to"), open_hdf5(tmp_path / "a.h5"):
        pass


@pytest.mark.parametrize("group", [0, 1])
def test_a_group_whose_members_lie_nowhere_is_an_error(tmp_path, group):
    write(tmp_path / "a.h5", libver="earliest")
    change(tmp_path / "a.h5", index_nodes(tmp_path / "a.h5")[group] + CHILD, 1 << 48)
    with pytest.raises(RuntimeError, match="visitation failed"):
        names(tmp_path / "a.h5")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a listing without end can only be ended as a process")
@pytest.mark.parametrize("group", [0, 1])
def test_an_index_that_leads_back_to_itself_is_listed_to_its_end(tmp_path, group):
    write(tmp_path / "a.h5", libver="earliest")
    node = index_nodes(tmp_path / "a.h5")[group]
    change(tmp_path / "a.h5", node + SUCCESSOR, node)
    if not (child := os.fork()):
        signal.alarm(20)  # nothing else ends a loop of the library
        os._exit(names(tmp_path / "a.h5") != ["a/b", "c"])
    assert os.waitpid(child, 0)[1] == 0


def test_a_name_with_line_ends_does_not_break_the_line_of_the_error(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["v"] = np.zeros((5, 5, 5), np.uint8)
    layout = h5py.VirtualLayout((5, 5, 5), np.uint8)
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "v", (5, 5, 5))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("v\noxels\x85\x1b[2J", layout)
    for read in (lambda: open_video(tmp_path / "a.h5").read(0, 1), lambda: read_occupancy(tmp_path / "a.h5")):
        with pytest.raises(UnreadableError, match="other files") as caught:
            read()
        assert str(caught.value).isprintable()
