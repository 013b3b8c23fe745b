"""Of the arrays in a file the right one is read, whole, from this file alone, with its values or not at all."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from vidgan.files.arrays import open_array_videos
from vidgan.files.video import read_clip

VIDEOS = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 8), dtype=np.uint8)


def test_past_and_future_are_joined_in_this_order(tmp_path):
    np.savez(tmp_path / "a.npz", future=VIDEOS[:, 2:], past=VIDEOS[:, :2])
    opened = open_array_videos(str(tmp_path / "a.npz"))
    assert [video.frames for video in opened] == [6, 6, 6]
    for start, count, stride in [(0, 6, 1), (1, 3, 2), (0, 2, 5), (2, 2, 1), (1, 1, 1), (0, 2, 3)]:
        wanted = VIDEOS[1, start : start + count * stride : stride]
        np.testing.assert_array_equal(opened[1].read(start, count, stride=stride)[:, 0], wanted)


def test_predrnns_layout_is_cut_into_its_clips(tmp_path):
    frames = np.random.default_rng(0).random((40, 1, 8, 8)).astype(np.float32)
    clips = np.array([[[0, 10], [20, 10]], [[10, 10], [30, 10]]], dtype=np.int32)
    np.savez(tmp_path / "a.npz", clips=clips, dims=np.array([[1, 8, 8]]), input_raw_data=frames)
    opened = open_array_videos(str(tmp_path / "a.npz"))
    assert [video.frames for video in opened] == [20, 20]
    np.testing.assert_array_equal(opened[1].read(8, 4), np.round(frames[28:32] * 255))
    clips[1, 1, 0] = 35
    np.savez(tmp_path / "b.npz", clips=clips, dims=np.array([[1, 8, 8]]), input_raw_data=frames)
    with pytest.raises(UnreadableError, match=r"b\.npz: clip 1 lies outside its 40 frames"):
        open_array_videos(str(tmp_path / "b.npz"))


@pytest.mark.parametrize("name", ["a.npz", "a.h5"])
def test_of_several_arrays_one_is_named(tmp_path, name):
    arrays = {"flow": VIDEOS[0], "video": VIDEOS[1], "labels": np.zeros(3)}
    if name == "a.npz":
        np.savez(tmp_path / name, **arrays)
    else:
        with h5py.File(tmp_path / name, "w") as file:
            for key, values in arrays.items():
                file[key] = values
    with pytest.raises(UnreadableError, match=rf"{name} holds 2 arrays .*; name one: .*{name}::flow, .*{name}::video"):
        read_clip(tmp_path / name)
    np.testing.assert_array_equal(read_clip(f"{tmp_path / name}::video").frames[:, 0], VIDEOS[1])
    with pytest.raises(UnreadableError, match="holds no array sound; it holds flow, "):
        read_clip(f"{tmp_path / name}::sound")


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.int64, np.complex64, "M8[s]", "U3"])
def test_values_of_other_types_are_refused(tmp_path, kind):
    np.save(tmp_path / "a.npy", VIDEOS[0].astype(kind))
    with pytest.raises(UnreadableError, match=r"a\.npy holds values of type"):
        read_clip(tmp_path / "a.npy")


@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_is_not_taken_for_a_narrow_grey_video(tmp_path, channels):
    np.save(tmp_path / "a.npy", np.zeros((9, 8, channels), np.uint8))
    with pytest.raises(UnreadableError, match=rf"a.npy holds an array of shape \(9, 8, {channels}\), as a picture"):
        open_array_videos(str(tmp_path / "a.npy"))


def test_floats_up_to_255_are_refused_even_where_a_window_is_dark(tmp_path):
    values = np.zeros((100, 8, 8), np.float32)
    values[90:] = 255
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(UnreadableError, match=r"a\.npy holds floats from 255 to 255, outside \[0, 1\]"):
        read_clip(tmp_path / "a.npy", frames=4)
    values[:] = np.nan
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(UnreadableError, match="floats from nan"):
        read_clip(tmp_path / "a.npy")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", ["a.npy", "mnist_test_seq.npy"])
def test_windows_of_npy_files_are_read_from_their_place(tmp_path, name, order):
    np.save(tmp_path / name, np.asarray(VIDEOS, order=order))
    opened = open_array_videos(str(tmp_path / name))
    for index, video in enumerate(opened):
        wanted = VIDEOS[:, index] if name.startswith("mnist") else VIDEOS[index]
        np.testing.assert_array_equal(video.read(0, video.frames)[:, 0], wanted)
        np.testing.assert_array_equal(video.read(1, 1)[:, 0], wanted[1:2])
        np.testing.assert_array_equal(video.read(0, 2, stride=2)[:, 0], wanted[:3:2])


def test_a_file_that_is_cut_short_replaced_or_gone_is_named(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, VIDEOS[0])
    [opened] = open_array_videos(str(path))
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(UnreadableError, match=r"a\.npy is cut short"):
        opened.read(0, 6)
    with pytest.raises(UnreadableError, match=r"a\.npy is cut short"):
        open_array_videos(str(path))
    np.save(path, VIDEOS[0, :, :4])
    with pytest.raises(UnreadableError, match=r"a\.npy has changed since it was opened"):
        opened.read(0, 6)
    path.unlink()
    with pytest.raises(UnreadableError, match=r"a\.npy is gone"):
        opened.read(0, 6)


def test_a_header_that_promises_too_much_is_refused_before_anything_is_allocated(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("video.npy", "w") as member:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 1000, 1000)}
        np.lib.format.write_array_header_1_0(member, header)
    with pytest.raises(UnreadableError, match="has another size than it states"):
        read_clip(tmp_path / "a.npz")
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(UnreadableError, match=r"a\.npy is cut short"):
        read_clip(tmp_path / "a.npy")
    np.savez_compressed(tmp_path / "b.npz", np.zeros((100, 100, 100), np.uint8))
    with pytest.raises(UnreadableError, match="max_gigabytes lets it in"):
        read_clip(tmp_path / "b.npz", limits=VideoLimits(max_gigabytes=1e-4))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("video", (5, 9000, 9000), np.uint8, chunks=(1, 9000, 9000))
    with pytest.raises(UnreadableError, match=r"81 megapixels a frame.* max_megapixels lets it in"):
        read_clip(tmp_path / "a.h5")


def test_hdf5_shows_no_other_file(tmp_path):
    secret: Path = tmp_path / "secret"
    secret.write_bytes(bytes(5 * 8 * 8))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["video"] = VIDEOS[0]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("video", (5, 8, 8), np.uint8, external=[(str(secret), 0, 5 * 8 * 8)])
    with h5py.File(tmp_path / "b.h5", "w") as file:
        layout = h5py.VirtualLayout((6, 8, 8), np.uint8)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "video", shape=(6, 8, 8))
        file.create_virtual_dataset("video", layout)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["video"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/video")
        file["soft"] = h5py.SoftLink("/video")
    for name in ("a.h5", "b.h5"):
        with pytest.raises(UnreadableError, match=rf"video in .*{name} takes its values from other files"):
            read_clip(tmp_path / name)
    with pytest.raises(UnreadableError, match=r"c\.h5 holds no array"):
        read_clip(tmp_path / "c.h5")
    for name in ("video", "soft"):
        with pytest.raises(UnreadableError, match=rf"c\.h5 holds no array {name}"):
            read_clip(f"{tmp_path / 'c.h5'}::{name}")


def test_python_objects_are_not_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[[{}]]], dtype=object))
    with pytest.raises(UnreadableError, match="holds Python objects"):
        read_clip(tmp_path / "a.npy")
