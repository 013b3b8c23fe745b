"""Arrays of voxels are read by what they are: any order and type, in structures; never from other files or pipes."""

import os
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from gancore.errors import UnreadableError
from gancore.files.limits import ShapeLimits
from voxgan.files.voxels import object_keys, read_occupancy

VOXELS = np.random.default_rng(5).random((3, 4, 5)) < 0.4


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_the_order_of_memory_does_not_matter(tmp_path: Path, ending: str):
    save = np.save if ending == ".npy" else np.savez
    save(tmp_path / f"a{ending}", np.asfortranarray(VOXELS))
    assert (read_occupancy(tmp_path / f"a{ending}") == VOXELS).all()
    stack = np.asfortranarray(np.stack([VOXELS, ~VOXELS]))
    save(tmp_path / f"b{ending}", stack)
    assert (read_occupancy(tmp_path / f"b{ending}", key=object_keys(tmp_path / f"b{ending}")[1]) == ~VOXELS).all()


@pytest.mark.parametrize("kind", ["bool", "u1", "i1", ">i2", "<u2", ">u4", "i8", "f2", ">f4", "f8", "longdouble"])
def test_numbers_of_every_type_and_byte_order_are_read(tmp_path: Path, kind: str):
    np.save(tmp_path / "a.npy", VOXELS.astype(kind))
    assert (read_occupancy(tmp_path / "a.npy") == VOXELS).all()


def test_negative_labels_are_empty_and_booleans_of_a_broken_file_are_zeros_and_ones(tmp_path: Path):
    np.save(tmp_path / "labels.npy", np.where(VOXELS, 7, -1))
    assert (read_occupancy(tmp_path / "labels.npy") == VOXELS).all()
    np.save(tmp_path / "a.npy", VOXELS)
    content = bytearray((tmp_path / "a.npy").read_bytes())
    content[-VOXELS.size :] = (VOXELS * np.uint8(4)).tobytes()
    (tmp_path / "a.npy").write_bytes(bytes(content))
    assert (read_occupancy(tmp_path / "a.npy") == VOXELS).all()


@pytest.mark.parametrize("values", [VOXELS.astype("U1"), VOXELS.astype("datetime64[s]"), VOXELS.astype([("a", "f4")])])
def test_what_is_no_number_is_refused_by_its_type(tmp_path: Path, values: np.ndarray):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(UnreadableError, match="holds values of type"):
        read_occupancy(tmp_path / "a.npy")


def test_other_members_of_an_npz_do_not_stand_in_the_way(tmp_path: Path):
    np.savez(tmp_path / "a.npz", voxels=VOXELS, names=np.array(["chair"]), note=np.array({}, dtype=object))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("README.txt", "voxels of a chair")
        archive.mkdir("folder")
    assert (read_occupancy(tmp_path / "a.npz") == VOXELS).all()


def test_an_archive_of_objects_is_refused_as_one(tmp_path: Path):
    np.savez(tmp_path / "a.npz", voxels=np.full((2, 2, 2), {}, dtype=object))
    with pytest.raises(UnreadableError, match=r"cannot read .*a\.npz as voxels: Object arrays cannot be loaded"):
        read_occupancy(tmp_path / "a.npz")
    with (tmp_path / "renamed.npy").open("wb") as file:
        np.savez(file, voxels=VOXELS)
    with pytest.raises(UnreadableError, match=r"renamed\.npy"):
        read_occupancy(tmp_path / "renamed.npy")


def break_method(path: Path) -> None:
    content = path.read_bytes()
    for start, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        where = content.index(start) + place
        content = content[:where] + struct.pack("<H", 99) + content[where + 2 :]
    path.write_bytes(content)


def encrypt(path: Path) -> None:
    content = path.read_bytes()
    for start, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        where = content.index(start) + place
        content = content[:where] + b"\x01\x00" + content[where + 2 :]
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [break_method, encrypt, lambda path: path.write_bytes(path.read_bytes()[:-40])])
def test_an_npz_of_an_unknown_kind_is_refused_in_one_line(tmp_path: Path, harm):
    np.savez_compressed(tmp_path / "a.npz", voxels=VOXELS)
    harm(tmp_path / "a.npz")
    with pytest.raises(UnreadableError, match=r"cannot read .*a\.npz as voxels: [^\n]+$"):
        read_occupancy(tmp_path / "a.npz")


@pytest.mark.parametrize("ending", [".npy", ".npz", ".mat", ".h5", ".binvox"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, ending: str):
    os.mkfifo(tmp_path / f"a{ending}")
    with pytest.raises(UnreadableError, match="is a pipe or device"):
        read_occupancy(tmp_path / f"a{ending}")


def test_numbers_that_hdf5_keeps_in_other_files_are_not_read(tmp_path: Path):
    (tmp_path / "secret.bin").write_bytes(bytes(VOXELS.size))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("voxels", VOXELS.shape, "u1", external=[(str(tmp_path / "secret.bin"), 0, VOXELS.size)])
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["voxels"] = VOXELS
    with h5py.File(tmp_path / "b.h5", "w") as file:
        layout = h5py.VirtualLayout(VOXELS.shape, "u1")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "voxels", VOXELS.shape)
        file.create_virtual_dataset("voxels", layout)
    for name in ("a.h5", "b.h5"):
        with pytest.raises(UnreadableError, match=rf"{name} stores voxels in other files, which are not read"):
            read_occupancy(tmp_path / name)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["voxels"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "voxels")
    for key in (None, "voxels"):
        with pytest.raises(UnreadableError, match="holds no array of voxels"):
            read_occupancy(tmp_path / "c.h5", key=key)


@pytest.mark.parametrize("compress", [False, True])
def test_fields_of_structures_in_mat_files_have_names_of_their_own(tmp_path: Path, compress: bool):
    record = {"name": "chair", "inner": {"voxels": VOXELS.astype(np.uint8), "scale": 2.0}, "other": np.zeros((2, 2, 2))}
    scipy.io.savemat(tmp_path / "a.mat", {"record": record}, do_compression=compress)
    assert (read_occupancy(tmp_path / "a.mat") == VOXELS).all()
    assert (read_occupancy(tmp_path / "a.mat", key="record/inner/voxels") == VOXELS).all()
    assert not read_occupancy(tmp_path / "a.mat", key="record/other").any()
    several = np.zeros((1, 2), [("voxels", object)])
    several["voxels"] = [[VOXELS, VOXELS]]
    scipy.io.savemat(tmp_path / "b.mat", {"record": several, "instance": VOXELS}, do_compression=compress)
    assert (read_occupancy(tmp_path / "b.mat") == VOXELS).all()


def test_structures_nested_without_end_are_refused(tmp_path: Path):
    record = {"voxels": VOXELS.astype(np.uint8)}
    for _ in range(30):
        record = {"deeper": record}
    scipy.io.savemat(tmp_path / "a.mat", record)
    with pytest.raises(UnreadableError, match="nested more than 20 levels deep"):
        read_occupancy(tmp_path / "a.mat")


def test_groups_nested_without_end_are_refused(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("/".join("a" * 120))["voxels"] = VOXELS
    with pytest.raises(UnreadableError, match=r"a\.h5 is nested more than 100 levels deep"):
        read_occupancy(tmp_path / "a.h5")


def test_every_limit_has_a_flag(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.stack([VOXELS] * 3))
    with pytest.raises(UnreadableError, match=r"a\.npy has 60 voxels, above .* 59; max_voxels lets it in"):
        read_occupancy(tmp_path / "a.npy", key="#0", limits=ShapeLimits(max_voxels=59))
    with pytest.raises(UnreadableError, match=r"a\.npy has 3 entries, above .* 2; max_members lets it in"):
        read_occupancy(tmp_path / "a.npy", key="#0", limits=ShapeLimits(max_members=2))
    assert (
        read_occupancy(tmp_path / "a.npy", key="#2", limits=ShapeLimits(max_voxels=60, max_members=3)) == VOXELS
    ).all()


def test_a_key_for_the_only_object_of_a_binvox_file_is_said_to_be_unknown(tmp_path: Path):
    (tmp_path / "a.binvox").write_bytes(b"#binvox 1\r\ndim 2 2 2\r\ndata\n\x01\x08")
    assert read_occupancy(tmp_path / "a.binvox", key="#0").all()
    with pytest.raises(UnreadableError, match="one object without a name, and none with the key voxels"):
        object_keys(tmp_path / "a.binvox", key="voxels")


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_channels_of_colours_are_not_taken_for_slices_of_objects(tmp_path: Path, channels):
    grid = np.zeros((6, 5, 7, channels), np.uint8)
    grid[1:5, 1:4, 2:6] = 200
    np.save(tmp_path / "colours.npy", grid)
    with pytest.raises(UnreadableError, match="holds no array of voxels"):
        read_occupancy(tmp_path / "colours.npy")
    np.savez(tmp_path / "both.npz", shape_of_it=grid[..., 0] > 0, colours=grid)
    assert read_occupancy(tmp_path / "both.npz").shape == (6, 5, 7)
    np.save(tmp_path / "few.npy", grid[:, :4, :4])  # as long as a side, it is one
    assert len(object_keys(tmp_path / "few.npy")) == 6
