"""Films as people have them: uneven, mirrored, of odd pixels, of several streams, hostile: each frame once, right."""

import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from vidgan.files import video_file
from vidgan.files.video import read_clip
from vidgan.files.video_file import open_video_file


def ramp(count: int) -> list[np.ndarray]:
    """Frame number k is 8 k bright all over, so that a frame tells its number."""
    return [np.full((32, 48, 3), 8 * number, np.uint8) for number in range(count)]


def numbers(frames: torch.Tensor) -> list[int]:
    return (frames[:, 0].float().mean((1, 2)) / 8).round().int().tolist()


def film(path: Path, images: list[np.ndarray], *, stamps: list[int] | None = None, streams: int = 1, **options) -> Path:
    """The images as a film at 25 a second, or at time stamps in milliseconds, in each of so many streams."""
    unit = Fraction(1, 1000) if stamps else Fraction(1, 25)
    with av.open(str(path), "w", format=options.get("format")) as container:
        for _ in range(streams):
            stream = container.add_stream(options.get("codec", "libx264"), rate=25)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt, stream.codec_context.gop_size = "yuv420p", 10
            stream.codec_context.time_base = unit
            if "aspect" in options:
                stream.codec_context.sample_aspect_ratio = options["aspect"]
        for stream in container.streams.video:
            for number, pixels in enumerate(images):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = stamps[number] if stamps else number, unit
                container.mux(stream.encode(frame.reformat(format="yuv420p")))
            container.mux(stream.encode())
    return path


def gif(path: Path, durations: list[int]) -> Path:
    pictures = [Image.new("L", (32, 32), 8 * number) for number in range(len(durations))]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations)
    return path


def nearest(stamps: list[int], rate: Fraction, count: int) -> list[int]:
    """Numbers of the frames whose stamps in milliseconds are nearest to k / rate."""
    times = [stamps[0] + 1000 * k / rate for k in range(count)]
    return [min(range(len(stamps)), key=lambda j: (abs(stamps[j] - time), j)) for time in times]


# -------------------------------------------------------------------------------------------------------------- timing


def test_a_gif_whose_last_frame_is_held_gives_each_frame_once(tmp_path):
    clip = read_clip(gif(tmp_path / "a.gif", [50] * 15 + [2000]))
    assert clip.rate == 20
    assert numbers(clip.frames) == list(range(16))


def test_a_gif_that_holds_a_frame_in_the_middle_loses_none_of_the_others(tmp_path):
    clip = read_clip(gif(tmp_path / "a.gif", [50] * 7 + [1000] + [50] * 8))
    assert clip.rate == 20
    assert sorted(set(numbers(clip.frames))) == list(range(16))
    assert numbers(clip.frames)[:8] == list(range(8))


def test_a_gif_without_durations_gives_each_frame_once(tmp_path):
    assert numbers(read_clip(gif(tmp_path / "a.gif", [0] * 9)).frames) == list(range(9))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.parametrize(
    "stamps",
    [
        [40 * k for k in range(31) if k not in (5, 6, 17)],
        [0, 35, 77, 120, 161, 199, 243, 280],
        [0, 17, 300, 310, 500, 730, 735, 1000],
        [5000 + 40 * k for k in range(12)],
    ],
    ids=["dropped", "jitter", "random", "late"],
)
def test_the_frame_nearest_in_time_is_read_whole_or_in_windows(tmp_path, name, stamps):
    path = str(film(tmp_path / name, ramp(len(stamps)), stamps=stamps))
    opened = open_video_file(path)
    whole = opened.read(0, opened.frames)
    assert numbers(whole) == nearest(stamps, opened.rate, opened.frames)
    for start in range(0, opened.frames, 4):
        assert torch.equal(opened.read(start, 1)[0], whole[start])


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize("late", [[3000], [3000, 3040], [1400, 3000, 3040]])
def test_a_still_before_the_last_frames_keeps_its_time_though_frames_are_reordered(tmp_path, name, late):
    """Decoding times lag behind by the frames that are reordered, and do not tell of the still."""
    stamps = [40 * k for k in range(25)] + late
    opened = open_video_file(str(film(tmp_path / name, ramp(len(stamps)), stamps=stamps)))
    assert (opened.frames, opened.rate) == (round(stamps[-1] / 40) + 1, 25)
    assert numbers(opened.read(0, opened.frames)) == nearest(stamps, opened.rate, opened.frames)


def test_even_films_with_reordered_frames_are_opened_by_the_packets_at_their_ends(tmp_path, monkeypatch):
    film(tmp_path / "a.mp4", [np.zeros((32, 48, 3), np.uint8)] * 300)
    opened = open_video_file(str(tmp_path / "a.mp4"))
    assert (opened.frames, opened.rate, opened.even) == (300, 25, True)
    monkeypatch.setattr(video_file, "time_by_packets", lambda *_, **__: pytest.fail("all packets are read"))
    assert open_video_file(str(tmp_path / "a.mp4")) == opened


def test_dropped_frames_leave_the_rate_of_the_others(tmp_path):
    stamps = [40 * k for k in range(31) if k not in (5, 6, 17)]
    opened = open_video_file(str(film(tmp_path / "a.mp4", ramp(28), stamps=stamps)))
    assert (opened.frames, opened.rate) == (31, 25)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_one_long_pause_keeps_its_time(tmp_path, name):
    """As in films of a screen, which get a frame only where something changes."""
    stamps = [40 * k for k in range(10)] + [20_000 + 40 * k for k in range(10)]
    opened = open_video_file(str(film(tmp_path / name, ramp(20), stamps=stamps)))
    assert (opened.frames, opened.rate, opened.timed) == (510, 25, True)
    whole = opened.read(0, 510)
    assert numbers(whole) == nearest(stamps, opened.rate, 510)
    assert torch.equal(opened.read(250, 3), whole[250:253])


def test_stamps_that_jump_by_hours_are_counted_rather_than_believed(tmp_path, caplog):
    stamps = [40 * k for k in range(10)] + [9_000_000 + 40 * k for k in range(10)]
    opened = open_video_file(str(film(tmp_path / "a.mkv", ramp(20), stamps=stamps)))
    assert (opened.frames, opened.rate) == (20, 25)
    assert numbers(opened.read(0, 20)) == list(range(20))
    assert numbers(opened.read(12, 3)) == [12, 13, 14]
    (line,) = caplog.messages
    assert "a.mkv: its time stamps jump by 8999.64 seconds and are not believed; frames are counted" in line


# -------------------------------------------------------------------------------------------------------------- pixels


def corner_film(path: Path) -> Path:
    """A film that is bright at the top left."""
    image = np.zeros((32, 48, 3), np.uint8)
    image[:16, :16] = 240
    return film(path, [image] * 3)


@pytest.mark.parametrize(
    ("matrix", "size", "bright"),
    [
        ((-1, 0, 0, 1), (32, 48), ("top", "right")),
        ((1, 0, 0, -1), (32, 48), ("bottom", "left")),
        ((-1, 0, 0, -1), (32, 48), ("bottom", "right")),
        ((0, 1, -1, 0), (48, 32), ("top", "right")),
        ((0, -1, 1, 0), (48, 32), ("bottom", "left")),
        ((0, 1, 1, 0), (48, 32), ("top", "left")),
        ((0, -1, -1, 0), (48, 32), ("bottom", "right")),
    ],
)
def test_a_display_matrix_turns_and_mirrors_as_players_do(tmp_path, matrix, size, bright):
    path = corner_film(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    frame = read_clip(path).frames[0, 0].float()
    assert frame.shape == size
    rows = slice(4, 12) if bright[0] == "top" else slice(-12, -4)
    columns = slice(4, 12) if bright[1] == "left" else slice(-12, -4)
    assert frame[rows, columns].mean() > 200
    assert frame.mean() < 70


def test_a_film_that_is_turned_by_another_angle_is_refused_by_name(tmp_path):
    path = corner_film(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    content[at : at + 36] = struct.pack(">9i", 46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"a\.mp4 is shown turned by -?45 degrees"):
        read_clip(path)


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(2), (32, 96)), (Fraction(1, 2), (64, 48))])
def test_pixels_that_are_not_square_become_so(tmp_path, aspect, size):
    assert read_clip(film(tmp_path / "a.mp4", ramp(3), aspect=aspect)).frames.shape[2:] == size


# ------------------------------------------------------------------------------------------------- streams and names


def test_of_several_films_in_a_container_one_is_named(tmp_path):
    path = film(tmp_path / "a.mkv", ramp(9), streams=2)
    with pytest.raises(UnreadableError, match=r"a\.mkv holds 2 films: name one, .*a\.mkv::0 to .*a\.mkv::1"):
        read_clip(path)
    assert numbers(read_clip(f"{path}::1").frames) == list(range(9))
    with pytest.raises(UnreadableError, match="holds 2 films"):
        read_clip(f"{path}::2")
    with pytest.raises(UnreadableError, match="numbered from 0"):
        read_clip(f"{path}::left")


def test_the_default_film_is_read_with_a_word(tmp_path, caplog):
    path = film(tmp_path / "a.mp4", ramp(9), streams=2)
    assert numbers(read_clip(path).frames) == list(range(9))
    assert "a.mp4 holds 2 films; the default one is read" in caplog.text


@pytest.mark.parametrize(
    "name", ["run:1.mp4", "2021-05-04T12:30:00.mp4", "a%03d.mp4", "new\nline.mp4", "pipe:0.mp4", "a::b.mp4"]
)
def test_a_file_is_a_file_whatever_it_is_called(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "a.mp4", ramp(3)).rename(tmp_path / name)
    assert numbers(read_clip(name).frames) == [0, 1, 2]


@pytest.mark.parametrize("content", ["ffconcat version 1.0\nfile 'a.mp4'\n", "#EXTM3U\n#EXTINF:10,\na.mp4\n"])
def test_a_file_that_refers_to_another_one_is_refused(tmp_path, content):
    film(tmp_path / "a.mp4", ramp(3))
    (tmp_path / "b.mp4").write_text(content)
    with pytest.raises(UnreadableError, match=r"b\.mp4"):
        read_clip(tmp_path / "b.mp4")


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(UnreadableError, match=r"a\.mp4 is a pipe or device"):
        read_clip(tmp_path / "a.mp4")


def test_a_codec_that_is_not_known_is_the_reason_that_is_given(tmp_path):
    path = film(tmp_path / "a.mp4", ramp(3))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(UnreadableError, match=r"a\.mp4 is of a codec that FFmpeg does not read"):
        read_clip(path)


# -------------------------------------------------------------------------------------------------------------- limits


def test_a_header_with_a_huge_canvas_is_refused_and_a_limit_lets_it_in(tmp_path):
    path = gif(tmp_path / "a.gif", [50] * 3)
    content = bytearray(path.read_bytes())
    content[6:10] = struct.pack("<HH", 15000, 15000)
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"a\.gif .*more than 20 megapixels; max_megapixels lets them in"):
        read_clip(path)
    small = film(tmp_path / "a.mp4", ramp(3))
    with pytest.raises(UnreadableError, match=r"a\.mp4 has 0\.001536 megapixels a frame.* max_megapixels lets it in"):
        read_clip(small, limits=VideoLimits(max_megapixels=0.001))
    for limit in (0.0016, 1e6, float("inf")):
        assert len(read_clip(small, limits=VideoLimits(max_megapixels=limit)).frames) == 3


def test_a_stream_that_grows_on_the_way_is_refused(tmp_path):
    small = film(tmp_path / "a.h264", ramp(5), format="h264").read_bytes()
    large = film(tmp_path / "b.h264", [np.zeros((256, 256, 3), np.uint8)] * 2, format="h264").read_bytes()
    (tmp_path / "c.h264").write_bytes(small + large)
    with pytest.raises(UnreadableError, match=r"c\.h264"):
        read_clip(tmp_path / "c.h264", limits=VideoLimits(max_megapixels=0.01))


def test_more_frames_or_bytes_than_allowed_are_refused(tmp_path):
    path = film(tmp_path / "a.mp4", ramp(9))
    with pytest.raises(UnreadableError, match=r"a\.mp4 has 9 frames, above the limit of 5; max_frames lets it in"):
        read_clip(path, limits=VideoLimits(max_frames=5))
    with pytest.raises(UnreadableError, match="max_gigabytes lets it in"):
        read_clip(path, limits=VideoLimits(max_gigabytes=1e-5))
