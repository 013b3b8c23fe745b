"""Whatever a video lies in, a window of it holds the frames asked for."""

import os
import struct
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from gancore.errors import UnreadableError
from vidgan.files.video import open_video, read_clip, write_clip
from vidgan.files.video_file import open_video_file


def ramp(count: int, height: int = 32, width: int = 48) -> torch.Tensor:
    """Frame number k is 8 k bright all over, so that a frame tells its number."""
    return (torch.arange(count, dtype=torch.uint8) * 8)[:, None, None, None].expand(count, 3, height, width)


def numbers(frames: torch.Tensor) -> list[int]:
    return (frames[:, 0, 8:24, 8:24].float().mean((1, 2)) / 8).round().int().tolist()


def film(
    path: Path, frames: torch.Tensor, *, codec: str = "libx264", stamps: list[int] | None = None, **context
) -> Path:
    """The frames as a film at 25 a second, or at the time stamps in milliseconds, with key frames 10 apart."""
    unit = Fraction(1, 1000) if stamps else Fraction(1, 25)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames.shape[2:]
        stream.pix_fmt = {"mjpeg": "yuvj420p", "png": "rgba"}.get(codec, "yuv420p")
        stream.bit_rate, stream.codec_context.gop_size, stream.codec_context.time_base = 4_000_000, 10, unit
        for key, value in context.items():
            setattr(stream.codec_context, key, value)
        for number, pixels in enumerate(frames.movedim(1, 3).contiguous().numpy()):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba" if pixels.shape[2] == 4 else "rgb24")
            frame.pts, frame.time_base = stamps[number] if stamps else number, unit
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("name", "codec", "context"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mkv", "libx264", {}),
        ("a.ts", "libx264", {}),
        ("a.flv", "libx264", {}),
        ("a.h264", "libx264", {}),
        ("reordered.avi", "libx264", {}),
        ("reordered2.avi", "mpeg4", {"max_b_frames": 2}),
        ("a.avi", "mpeg4", {}),
        ("a.mov", "mpeg4", {"max_b_frames": 2}),
        ("a.mpg", "mpeg2video", {"max_b_frames": 2}),
        ("a.webm", "libvpx", {}),
        ("m.avi", "mjpeg", {}),
    ],
)
def test_any_window_of_any_container_holds_the_frames_asked_for(tmp_path, name, codec, context):
    path = film(tmp_path / name, ramp(31), codec=codec, **context)
    opened = open_video_file(str(path))
    assert (opened.frames, opened.rate) == (31, 25)
    whole = opened.read(0, 31)
    assert numbers(whole) == list(range(31))
    for start in range(0, 31, 3):
        assert torch.equal(opened.read(start, 1), whole[start : start + 1])
    assert torch.equal(opened.read(4, 6, stride=5), whole[4:31:5])


def test_a_film_without_even_spacing_is_read_at_a_constant_rate(tmp_path):
    stamps = [0, 100, 200, 500, 600, 700, 1000]
    clip = read_clip(film(tmp_path / "a.mkv", ramp(7), stamps=stamps))
    assert clip.rate == 6
    shown = [max(k for k, stamp in enumerate(stamps) if round(stamp * 0.006) <= n) for n in range(7)]
    assert numbers(clip.frames) == shown
    assert len(set(shown)) < 7


def test_a_window_is_decoded_from_the_key_frame_before_it(tmp_path):
    opened = open_video_file(str(film(tmp_path / "a.mp4", ramp(31))))
    keys = [position for position, frame in opened._frames_from(0) if frame.key_frame]
    assert len(keys) >= 3
    assert next(opened._frames_from(25))[0] == max(key for key in keys if key <= 25)


def test_decoding_starts_no_thread(tmp_path):
    opened = open_video_file(str(film(tmp_path / "a.mp4", ramp(31))))
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("threads are counted in /proc")
    before = set(os.listdir(tasks))
    during = set()
    for _, frame in opened._frames_from(0):
        frame.reformat(format="rgb24", threads=1)
        during |= set(os.listdir(tasks))
    assert during <= before


def test_a_phone_held_upright_gives_upright_frames(tmp_path):
    frames = torch.zeros(5, 3, 32, 48, dtype=torch.uint8)
    frames[..., :16, :16] = 240  # stored at the top left, to be shown at the top right
    path = film(tmp_path / "a.mp4", frames)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30)
    path.write_bytes(content)
    shown = read_clip(path).frames
    assert shown.shape == (5, 3, 48, 32)
    assert shown[..., 4:12, 20:28].float().mean() > 220
    assert shown[..., 24:, :].float().mean() < 20


def test_what_is_transparent_lies_on_black(tmp_path):
    frames = torch.full((3, 4, 16, 16), 200, dtype=torch.uint8)
    frames[:, 3, :8], frames[:, 3, 8:] = 0, 128
    Image.fromarray(frames[0].movedim(0, 2).numpy()).save(tmp_path / "a.png")
    moving = read_clip(film(tmp_path / "a.mov", frames, codec="png")).frames
    still = read_clip(tmp_path / "a.png").frames
    for clip in (moving, still):
        assert clip.shape[1:] == (3, 16, 16)
        assert clip[:, :, :8].max() == 0
        assert clip[:, :, 8:].unique().tolist() == [100]


def test_sound_is_ignored_and_sound_alone_is_no_video(tmp_path):
    for name, with_picture in (("both.mkv", True), ("sound.mkv", False)):
        with av.open(str(tmp_path / name), "w") as container:
            sound = container.add_stream("pcm_s16le", rate=8000)
            picture = container.add_stream("mpeg4", rate=25) if with_picture else None
            if picture:
                picture.height, picture.width, picture.pix_fmt = 32, 48, "yuv420p"
                for number, pixels in enumerate(ramp(10).movedim(1, 3).contiguous().numpy()):
                    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                    frame.pts = number
                    container.mux(picture.encode(frame))
                container.mux(picture.encode())
            beep = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
            beep.sample_rate, beep.pts = 8000, 0
            container.mux(sound.encode(beep))
            container.mux(sound.encode())
    assert numbers(read_clip(tmp_path / "both.mkv").frames) == list(range(10))
    with pytest.raises(ValueError, match=r"sound\.mkv has no video stream"):
        read_clip(tmp_path / "sound.mkv")


def test_bad_input_ends_in_one_line_that_names_it(tmp_path):
    (tmp_path / "text.mp4").write_text("no video at all")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "text.h5").write_text("no array")
    (tmp_path / "empty").mkdir()
    for name in ("text.mp4", "text.png", "text.zip", "text.npy", "text.h5", "empty"):
        with pytest.raises(ValueError, match=rf"^[^\n]*{name}[^\n]*$"):
            read_clip(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"no such file or folder: .*nowhere\.mp4"):
        read_clip(tmp_path / "nowhere.mp4")


def test_a_window_past_the_end_is_refused(tmp_path):
    path = film(tmp_path / "a.mp4", ramp(10))
    with pytest.raises(ValueError, match=r"a\.mp4 has 10 frames, too few to read 4 from number 0 on at stride 4"):
        read_clip(path, frames=4, stride=4)
    with pytest.raises(ValueError, match="too few to read"):
        read_clip(path, start=10)


def test_a_film_cut_off_in_the_middle_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "a.mp4"
    write_clip(path, torch.randint(0, 256, (30, 3, 64, 64), dtype=torch.uint8), rate=25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    opened = open_video_file(str(path))
    assert opened.frames == 30
    opened.read(0, 5)
    with pytest.raises(UnreadableError, match=r"a\.mp4"):
        opened.read(20, 10)


def test_pictures_come_in_natural_order_from_folder_and_zip(tmp_path):
    (tmp_path / "frames").mkdir()
    with zipfile.ZipFile(tmp_path / "frames.zip", "w") as archive:
        for number, pixels in enumerate(ramp(12).movedim(1, 3).contiguous().numpy()):
            file = tmp_path / "frames" / f"frame{number}.png"
            Image.fromarray(pixels).save(file)
            archive.write(file, f"inside/{file.name}")
    (tmp_path / "frames" / "notes.txt").write_text("not a frame")
    for path in (tmp_path / "frames", tmp_path / "frames.zip"):
        assert numbers(read_clip(path).frames) == list(range(12))
        clip = read_clip(path, start=2, frames=3, stride=4)
        assert numbers(clip.frames) == [2, 6, 10]
        assert clip.rate == Fraction(10, 4)


def test_pictures_of_different_sizes_are_no_video(tmp_path):
    for number, size in enumerate([(8, 8), (8, 9)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    with pytest.raises(UnreadableError, match="differ in size"):
        read_clip(tmp_path)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".h5"])
@pytest.mark.parametrize(
    ("axes", "channels"), [("thw", 1), ("thwc", 3), ("thwc", 1), ("tchw", 3), ("tchw", 1), ("thwc", 4)]
)
def test_arrays_of_any_order_and_file_keep_their_channels(tmp_path, ending, axes, channels):
    sizes = {"t": 7, "h": 12, "w": 10, "c": channels}
    frames = torch.randint(0, 256, (7, channels, 12, 10), dtype=torch.uint8)
    ordered = np.einsum(f"tchw->{axes}" if "c" in axes else "tchw->thwc", frames.numpy())
    path = save(tmp_path / f"a{ending}", ordered.reshape([sizes[axis] for axis in axes]))
    assert torch.equal(read_clip(path).frames, frames)
    assert torch.equal(read_clip(path, start=1, frames=3, stride=2).frames, frames[1:6:2])


def save(path: Path, array: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, labels=np.zeros(3), clip=array)
    else:
        with h5py.File(path, "w") as file:
            file["labels"], file["inside/clip"] = np.zeros(3), array
    return path


def test_arrays_of_floats_lie_between_zero_and_one(tmp_path):
    frames = np.random.default_rng(0).random((5, 8, 8))
    clip = read_clip(save(tmp_path / "a.npy", frames)).frames
    np.testing.assert_array_equal(clip[:, 0], np.round(frames.astype(np.float32) * 255))
    assert read_clip(save(tmp_path / "b.npy", frames > 0.5)).frames.unique().tolist() == [0, 255]
    values = (
        r"c\.npy holds floats from -.*, outside \[0, 1\]; expected uint8 in \[0, 255\] or floats in \[0, 1\]; scale"
    )
    with pytest.raises(UnreadableError, match=values):
        read_clip(save(tmp_path / "c.npy", frames * 2 - 1))
    with pytest.raises(UnreadableError, match="type int64"):
        read_clip(save(tmp_path / "d.npy", frames.astype(np.int64)))
    with pytest.raises(UnreadableError, match=r"no array of three or more axes$"):
        read_clip(save(tmp_path / "e.npz", frames[0]))
    with pytest.raises(UnreadableError, match=r"no array of three or more axes: clip \(8, 8\)$"):
        read_clip(f"{tmp_path / 'e.npz'}::clip")


def test_a_stack_of_videos_is_not_one_clip(tmp_path):
    path = save(tmp_path / "many.npy", np.zeros((9, 5, 8, 8), np.uint8))
    with pytest.raises(ValueError, match=r"many\.npy holds 9 videos, but only one can be read here"):
        read_clip(path)


def test_opening_a_folder_of_frames_reads_no_picture(tmp_path):
    (tmp_path / "0.png").write_text("broken, but not looked at yet")
    assert open_video(tmp_path).frames == 1


def test_a_folder_of_videos_is_named_as_such_with_some_of_its_videos(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.MP4").write_text("not looked at")
    with pytest.raises(
        ValueError, match=r"is a folder of videos \(0\.MP4, 1\.MP4, 2\.MP4 and 2 more\): name one of them"
    ):
        open_video(tmp_path)
