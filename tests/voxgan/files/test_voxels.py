"""Voxels survive being written and read, keep their axes, and files that declare false sizes are refused."""

import struct
import tracemalloc
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from gancore.errors import UnreadableError
from gancore.files.limits import ShapeLimits
from voxgan.files.binvox import decode_runs, encode_runs, read_binvox, write_binvox
from voxgan.files.voxels import (
    crop_to_content,
    object_keys,
    read_occupancy,
    resize_occupancy,
    write_occupancy,
)
from voxgan.mesh.axes import camera_angles, reorient, upright_rotation

AXES = ("x", "y", "z", "-x", "-y", "-z")


def asymmetric(*shape: int) -> np.ndarray:
    """Random voxels that every mirroring or exchange of axes changes."""
    return np.random.default_rng(3).random(shape or (4, 5, 6)) < 0.3


def write_matlab73(path: Path, **contents: np.ndarray) -> None:
    """Writes a file as MATLAB's -v7.3 does: HDF5 behind a header, the axes in reverse."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in contents.items():
            file[name] = array.T
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H", 0x200) + b"IM")


# binvox


def test_a_binvox_file_written_by_hand_is_read_as_specified(tmp_path: Path):
    # index = x * 4 * 4 + z * 4 + y: voxels (1, 2, 3) and (1, 3, 3), a run of two
    first = 1 * 16 + 3 * 4 + 2
    runs = bytes((0, first, 1, 2, 0, 64 - first - 2))
    (tmp_path / "a.binvox").write_bytes(b"#binvox 1\ndim 4 4 4\ntranslate -1 0 2\nscale 8\ndata\n" + runs)
    read = read_binvox(tmp_path / "a.binvox")
    assert np.argwhere(read.occupancy).tolist() == [[1, 2, 3], [1, 3, 3]]
    assert (read.translate, read.scale) == ((-1, 0, 2), 8)
    np.testing.assert_allclose(read.centres(), [[2, 5, 9], [2, 7, 9]])


def test_binvox_centres_are_half_a_voxel_inside_the_unit_cube(tmp_path: Path):
    occupancy = np.zeros((4, 4, 4), bool)
    occupancy[[1, 2, 3], 0, 0] = True
    write_binvox(tmp_path / "a.binvox", occupancy, translate=(0.0, 0.0, 0.0))
    assert read_binvox(tmp_path / "a.binvox").centres()[:, 0].tolist() == [0.375, 0.625, 0.875]


@pytest.mark.parametrize("version", [1, 2])
def test_a_binvox_round_trip_keeps_voxels_position_and_scale(tmp_path: Path, version):
    occupancy = asymmetric(7, 3, 5)
    write_binvox(tmp_path / "a.binvox", occupancy, translate=(0.1, -2.0, 3.5), scale=1.25, version=version)
    read = read_binvox(tmp_path / "a.binvox")
    assert (read.occupancy == occupancy).all()
    assert (read.translate, read.scale) == ((0.1, -2.0, 3.5), 1.25)


def test_every_value_of_binvox_version_2_above_zero_is_occupied(tmp_path: Path):
    (tmp_path / "a.binvox").write_bytes(b"#binvox 2\ndim 2 1 2\ndata\n" + bytes((0, 1, 7, 1, 255, 1, 0, 1)))
    assert read_binvox(tmp_path / "a.binvox").occupancy[:, 0].tolist() == [[False, True], [True, False]]


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 700)), min_size=1, max_size=8))
def test_runs_of_any_length_decode_to_what_was_encoded(runs):
    voxels = np.concatenate([np.full(length, value) for value, length in runs])
    runs_of_bytes = encode_runs(voxels)
    assert runs_of_bytes[:, 1].min() > 0
    assert (decode_runs(runs_of_bytes.ravel(), voxels.size, Path("a")) == voxels).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#binvox 1\ndim 10000 10000 10000\ndata\n\x01\xff", "e\\+12 voxels, above the limit"),
        (b"#binvox 1\ndim 400 400 400\ndata\n\x01\xff", "which 2 bytes of data cannot hold"),
        (b"#binvox 1\ndim 2 2 2\ndata\n\x01\x07", "declares 8 voxels and holds 7"),
        (b"#binvox 1\ndim 2 2 2\ndata\n\x01\x07\x00", "holds half a run"),
        (b"#binvox 1\ndim 2 2 2\ndata\n\x01\x09", "declares 8 voxels and holds 9"),
        (b"#binvox 1\ndim 2 2\ndata\n\x01\x08", "as numbers"),
        (b"#binvox 1\ndim -2 -2 2\ndata\n\x01\x08", "gives dim -2"),
        (b"#binvox 1\ndim 2 2 2\nscale nan\ndata\n\x01\x08", "scale nan"),
        (b"#binvox 3\ndim 2 2 2\ndata\n\x01\x08", "versions 1 and 2"),
        (b"#binvox 1\ndim 2 2 2\n" + b"x" * 100_000, "no line 'data'"),
        (b"v 0 0 0\n", "is not a binvox file"),
        (b"", "is not a binvox file"),
    ],
)
def test_a_broken_binvox_file_is_refused_in_one_line_before_memory_is_taken(
    tmp_path: Path, content: bytes, message: str
):
    (tmp_path / "a.binvox").write_bytes(content)
    assert_refused(tmp_path / "a.binvox", message)


def assert_refused(path: Path, message: str, limits: ShapeLimits = ShapeLimits()) -> None:
    """Checks that the file is refused in one line that names it, before more than 16 MiB are taken."""
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match=message) as caught:
            read_occupancy(path, limits=limits)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


# arrays


@pytest.mark.parametrize("ending", [".binvox", ".npy", ".npz", ".mat"])
def test_written_voxels_are_read_back_unchanged(tmp_path: Path, ending: str):
    write_occupancy(tmp_path / f"a{ending}", asymmetric())
    read = read_occupancy(tmp_path / f"a{ending}")
    assert read.dtype == np.float32
    assert (read == asymmetric()).all()


@pytest.mark.parametrize("ending", [".npy", ".npz", ".mat"])
def test_probabilities_are_read_back_from_formats_that_can_hold_them(tmp_path: Path, ending: str):
    soft = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4)
    write_occupancy(tmp_path / f"a{ending}", soft)
    assert (read_occupancy(tmp_path / f"a{ending}") == soft).all()


def test_probabilities_are_refused_by_a_format_that_would_lose_them(tmp_path: Path):
    with pytest.raises(ValueError, match="threshold them"):
        write_occupancy(tmp_path / "a.binvox", np.full((2, 2, 2), 0.5))
    with pytest.raises(ValueError, match="its name should end in"):
        write_occupancy(tmp_path / "a.txt", np.ones((2, 2, 2)))
    assert not list(tmp_path.iterdir())


def test_an_npz_of_voxels_is_packed_and_states_which_way_is_up(tmp_path: Path):
    occupancy = asymmetric()
    write_occupancy(tmp_path / "a.npz", occupancy)
    with np.load(tmp_path / "a.npz") as saved:
        assert saved["packed"].nbytes == 15  # 120 voxels
        np.savez(tmp_path / "z.npz", packed=saved["packed"], shape=saved["shape"], up="z")
    assert (read_occupancy(tmp_path / "z.npz") == reorient(occupancy, up="z")).all()


@pytest.mark.parametrize("key", ["voxels", "instance", "voxel", "Volume", "data"])
@pytest.mark.parametrize("version", ["5", "5 compressed", "7.3"])
def test_mat_files_with_every_usual_key_and_of_every_version_are_read(tmp_path: Path, key: str, version: str):
    contents = {"other": np.ones((9, 2, 3)), key: asymmetric().astype(np.uint8), "inputs": np.ones((3, 200))}
    if version == "7.3":
        write_matlab73(tmp_path / "a.mat", **contents)
    else:
        scipy.io.savemat(tmp_path / "a.mat", contents, do_compression=version != "5")
    assert (read_occupancy(tmp_path / "a.mat") == asymmetric()).all()


@pytest.mark.parametrize("axes", ["n x y z", "n 1 x y z", "n x y z 1"])
@pytest.mark.parametrize("ending", [".npy", ".npz", ".mat", "7.mat", ".h5"])
def test_objects_in_one_file_are_read_by_their_number(tmp_path: Path, axes: str, ending: str):
    objects = np.stack([asymmetric(3, 4, 5), ~asymmetric(3, 4, 5), asymmetric(3, 4, 5) & False]).astype(np.float64)
    array = objects if axes == "n x y z" else objects[:, None] if "n 1" in axes else objects[..., None]
    path = tmp_path / f"a{ending}"
    if ending == ".npy":
        np.save(path, array)
    elif ending == ".npz":
        np.savez(path, voxels=array)
    elif ending == ".mat":
        scipy.io.savemat(path, {"voxels": array})
    elif ending == "7.mat":
        write_matlab73(path, voxels=array)
    else:
        with h5py.File(path, "w") as file:
            file["set/data"] = array
    if axes == "n x y z 1" and ending == ".mat":
        return  # MATLAB drops a last axis of length 1
    keys = object_keys(path)
    assert len(keys) == 3
    for key, one in zip(keys, objects, strict=True):
        assert (read_occupancy(path, key=key) == one).all()
    with pytest.raises(ValueError, match="holds 3 objects; choose one"):
        read_occupancy(path)
    with pytest.raises(ValueError, match=r"no voxels with the key .*#3"):
        read_occupancy(path, key=keys[0].replace("#0", "#3"))


def test_a_single_channel_is_not_taken_for_an_object(tmp_path: Path):
    np.save(tmp_path / "a.npy", asymmetric()[..., None])
    assert (read_occupancy(tmp_path / "a.npy") == asymmetric()).all()


def test_integers_are_occupied_above_zero_and_floats_outside_0_to_1_are_refused(tmp_path: Path):
    np.save(tmp_path / "bytes.npy", asymmetric() * np.uint8(255))
    assert (read_occupancy(tmp_path / "bytes.npy") == asymmetric()).all()
    for name, value in (("nan", np.nan), ("tanh", -1.0), ("large", 255.0)):
        np.save(tmp_path / f"{name}.npy", np.where(asymmetric(), value, 0.5))
        assert_refused(tmp_path / f"{name}.npy", r"outside \[0, 1\]")
    np.save(tmp_path / "complex.npy", asymmetric() * 1j)
    assert_refused(tmp_path / "complex.npy", "type complex128")


def test_unknown_names_and_missing_files_are_reported(tmp_path: Path):
    np.savez(tmp_path / "two.npz", left=asymmetric(), right=asymmetric())
    assert_refused(tmp_path / "two.npz", "several arrays; choose one by its key: left right")
    assert (read_occupancy(tmp_path / "two.npz", key="right") == asymmetric()).all()
    np.savez(tmp_path / "points.npz", points=np.ones((9, 3)), occupancies=np.ones(2, np.uint8))
    assert_refused(tmp_path / "points.npz", "no array of voxels: none has three axes")
    assert_refused(tmp_path / "mesh.obj", "is not a file of voxels")
    for ending in (".binvox", ".npy", ".npz", ".mat", ".h5"):
        with pytest.raises(FileNotFoundError):
            read_occupancy(tmp_path / f"missing{ending}")


# files that declare false sizes


def npy_bytes(shape: tuple[int, ...], kind: str = "|u1", content: bytes = b"\x01" * 64) -> bytes:
    """An npy file whose header declares any shape."""
    buffer = BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": kind, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + content


@pytest.mark.parametrize("shape", [(10_000, 10_000, 10_000), (400, 400, 400), (10**12, 2, 2, 2)])
def test_an_npy_or_npz_that_declares_more_than_it_holds_is_refused(tmp_path: Path, shape: tuple[int, ...]):
    (tmp_path / "a.npy").write_bytes(npy_bytes(shape))
    assert_refused(tmp_path / "a.npy", "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("voxels.npy", npy_bytes(shape))
    assert_refused(tmp_path / "a.npz", "more than it holds")


def test_packed_bits_that_do_not_fit_their_shape_are_refused(tmp_path: Path):
    for shape in ((10_000, 10_000, 10_000), (4, 4), (0, 4, 4), (-4, -4, 4)):
        np.savez(tmp_path / "a.npz", packed=np.ones(8, np.uint8), shape=shape)
        assert_refused(tmp_path / "a.npz", "declares voxels of shape")


def test_pickled_objects_are_refused(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.full((2, 2, 2), print), allow_pickle=True)
    assert_refused(tmp_path / "a.npy", "cannot read")


def test_a_mat_file_with_a_false_shape_is_refused(tmp_path: Path):
    scipy.io.savemat(tmp_path / "a.mat", {"voxels": np.ones((4, 4, 4))})
    whole = (tmp_path / "a.mat").read_bytes()
    where = whole.index(struct.pack("<3i", 4, 4, 4))
    for name, shape in (("huge", (10_000, 10_000, 10_000)), ("large", (4, 4, 400)), ("negative", (-4, -4, 4))):
        forged = whole[:where] + struct.pack("<3i", *shape) + whole[where + 12 :]
        (tmp_path / f"{name}.mat").write_bytes(forged)
        assert_refused(tmp_path / f"{name}.mat", f"voxels declares {np.prod(shape):,} numbers and holds 64")
        (tmp_path / "packed.mat").write_bytes(forged[:128] + compress_element(forged[128:]))
        assert_refused(tmp_path / "packed.mat", f"voxels declares {np.prod(shape):,} numbers and holds 64")


def compress_element(element: bytes) -> bytes:
    """The element of a MATLAB file, compressed."""
    packed = zlib.compress(element)
    return struct.pack("<II", 15, len(packed)) + packed


def test_a_mat_file_cut_short_or_of_another_kind_is_refused(tmp_path: Path):
    scipy.io.savemat(tmp_path / "a.mat", {"voxels": asymmetric(9, 9, 9).astype(np.float64)})
    whole = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "cut.mat").write_bytes(whole[:-500])
    assert_refused(tmp_path / "cut.mat", "declares")
    for name, where in (("outer", 128), ("inner", whole.index(struct.pack("<II", 9, 9**3 * 8)))):
        forged = whole[: where + 4] + struct.pack("<I", 2**32 - 8) + whole[where + 8 :]
        (tmp_path / f"{name}.mat").write_bytes(forged)
        assert_refused(tmp_path / f"{name}.mat", "declares 4,294,967,288 bytes")
    (tmp_path / "text.mat").write_bytes(b"not a matrix")
    assert_refused(tmp_path / "text.mat", "not a MATLAB file")


def test_a_big_endian_mat_file_is_read_and_arrays_that_are_not_numeric_are_skipped(tmp_path: Path):
    values = asymmetric(2, 3, 4).astype(">f8").tobytes("F")
    flags, lengths = struct.pack(">4I", 6, 8, 6, 0), struct.pack(">5I", 5, 12, 2, 3, 4) + bytes(4)
    body = flags + lengths + struct.pack(">HH", 4, 1) + b"data" + struct.pack(">II", 9, len(values)) + values
    (tmp_path / "big.mat").write_bytes(bytes(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(body)) + body)
    assert (read_occupancy(tmp_path / "big.mat", key="data") == asymmetric(2, 3, 4)).all()
    others = {"text": "chair", "cell": np.full((2, 2, 2), {}), "empty": np.zeros((0, 2, 2)), "record": {"a": 1.0}}
    scipy.io.savemat(tmp_path / "a.mat", others | {"i": np.full((2, 2, 2), 1j), "mine": asymmetric()})
    assert (read_occupancy(tmp_path / "a.mat") == asymmetric()).all()


@pytest.mark.parametrize("ending", [".npz", ".mat"])
def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(tmp_path: Path, ending: str):
    limits = ShapeLimits(max_gigabytes=0.001)
    if ending == ".npz":
        np.savez_compressed(tmp_path / "a.npz", voxels=np.zeros((128, 128, 128), np.uint8))
    else:
        scipy.io.savemat(tmp_path / "a.mat", {"voxels": np.zeros((128, 128, 128), np.uint8)}, do_compression=True)
    assert_refused(tmp_path / f"a{ending}", "max_gigabytes lets it in", limits=limits)
    assert not read_occupancy(tmp_path / f"a{ending}").any()


@pytest.mark.parametrize("shape", [(10_000, 10_000, 10_000), (10**12, 2, 2, 2)])
def test_an_hdf5_file_that_declares_more_than_it_holds_is_refused(tmp_path: Path, shape: tuple[int, ...]):
    for name in ("a.h5", "a.mat"):
        with h5py.File(tmp_path / name, "w") as file:
            file.create_dataset("data", shape[::-1] if name == "a.mat" else shape, "u1", chunks=(2,) * len(shape))
        assert_refused(tmp_path / name, "above the limit")
    with h5py.File(tmp_path / "chunks.h5", "w") as file:
        file.create_dataset("data", (4, 4, 4), "u1", maxshape=(None,) * 3, chunks=(1024, 1024, 1025))
    assert_refused(tmp_path / "chunks.h5", "a chunk of data in .* voxels, above the limit")
    (tmp_path / "text.h5").write_text("nothing of the kind")
    assert_refused(tmp_path / "text.h5", "cannot read")


# axes and sizes


@pytest.mark.parametrize("up", AXES)
def test_reorienting_is_a_rotation_that_takes_the_up_axis_up(up):
    occupancy = np.zeros((5, 5, 5), bool)
    axis, end = "xyz".index(up[-1]), 0 if up[0] == "-" else 4
    tip = [2, 2, 2]
    tip[axis] = end
    occupancy[tuple(tip)] = True
    assert np.argwhere(reorient(occupancy, up=up)).tolist() == [[2, 4, 2]]
    for front in AXES:
        if front[-1] != up[-1]:
            assert round(np.linalg.det(upright_rotation(up, front=front))) == 1
        else:
            with pytest.raises(ValueError, match="cannot have its front"):
                upright_rotation(up, front=front)


@pytest.mark.parametrize("up", AXES)
@pytest.mark.parametrize("front", AXES)
def test_voxels_are_rotated_as_points_are(up, front):
    if front[-1] == up[-1]:
        return
    occupancy = asymmetric()
    rotated = reorient(occupancy, up=up, front=front)
    points = np.argwhere(occupancy) + 0.5 - np.array(occupancy.shape) / 2
    moved = points @ upright_rotation(up, front=front).T + np.array(rotated.shape) / 2 - 0.5
    assert sorted(moved.tolist()) == np.argwhere(rotated).tolist()


def test_an_object_that_is_upright_is_not_changed():
    assert (reorient(asymmetric(), up="y") == asymmetric()).all()
    assert (reorient(asymmetric(), up="z") == asymmetric().transpose(0, 2, 1)[:, :, ::-1]).all()


def test_camera_angles_follow_the_axes_of_the_object():
    assert camera_angles(np.array([0.0, 0.0, 3.0]), up="y") == (0, 0)
    assert camera_angles(np.array([2.0, 0.0, 0.0]), up="y") == (90, 0)
    assert camera_angles(np.array([0.0, 1.0, -1.0]), up="y") == pytest.approx((180, 45))
    assert camera_angles(np.array([-1.0, 0.0, 0.0]), up="y", front="-z") == (90, 0)


def test_resizing_by_an_integer_takes_the_maximum_of_each_block_or_repeats_each_voxel():
    occupancy = asymmetric(8, 8, 8)
    assert (resize_occupancy(occupancy, 4) == occupancy.reshape(4, 2, 4, 2, 4, 2).any((1, 3, 5))).all()
    assert (resize_occupancy(occupancy, 16) == occupancy.repeat(2, 0).repeat(2, 1).repeat(2, 2)).all()
    assert (resize_occupancy(occupancy, 8) == occupancy).all()


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 20))
def test_no_voxel_is_lost_and_a_full_cube_stays_full_at_any_size(length: int, side: int):
    assert resize_occupancy(np.ones((length,) * 3, bool), side).all()
    for layer in range(length):
        thin = np.zeros((length,) * 3, bool)
        thin[layer] = True
        small = resize_occupancy(thin, side)
        assert small.any() or side > length


def test_a_grid_that_is_not_a_cube_is_centred_in_one():
    occupancy = resize_occupancy(np.ones((2, 4, 3), bool), 4)
    assert occupancy.any((1, 2)).tolist() == [False, True, True, False]
    assert occupancy.any((0, 1)).tolist() == [True, True, True, False]


def test_cropping_returns_the_smallest_box_and_refuses_an_empty_grid():
    occupancy = np.zeros((6, 6, 6), bool)
    occupancy[1:4, 2, 3:5] = True
    assert crop_to_content(occupancy).shape == (3, 1, 2)
    assert crop_to_content(occupancy).all()
    with pytest.raises(ValueError, match="no voxel is occupied"):
        crop_to_content(occupancy & False)
