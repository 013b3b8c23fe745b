"""Pictures and animations are written whole, in the format of their ending, and show what they were given."""

import os
import resource
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from gancore.errors import UnwritableError
from gancore.files.media import (
    check_frame_folder,
    require_media_suffix,
    tile_images,
    write_animation,
    write_frame_folder,
    write_gif,
    write_mp4,
    write_png,
)


def brightening(count: int = 12, *, channels: int = 3) -> torch.Tensor:
    """Frames of 21x30 pixels whose first channel goes from dark to bright."""
    frames = torch.zeros(count, channels, 21, 30, dtype=torch.uint8)
    frames[:, 0] = torch.linspace(0, 240, count).byte()[:, None, None]
    return frames


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_an_mp4_has_every_frame_and_even_sides(tmp_path):
    write_mp4(tmp_path / "new" / "turn.mp4", brightening(), rate=16)
    with av.open(str(tmp_path / "new" / "turn.mp4")) as video:
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert video.streams.video[0].average_rate == 16
    assert len(shown) == 12
    assert shown[0].shape == (22, 30, 3)
    assert shown[-1][..., 0].mean() - shown[0][..., 0].mean() == pytest.approx(240, abs=16)


def test_equal_frames_make_equal_files(tmp_path):
    frames = noise(20, 3, 64, 64)
    for name in "abc":
        write_mp4(tmp_path / f"{name}.mp4", frames, rate=8)
    assert len({(tmp_path / f"{name}.mp4").read_bytes() for name in "abc"}) == 1


def test_a_lower_crf_makes_a_larger_and_truer_mp4(tmp_path):
    for crf in (10, 40):
        write_mp4(tmp_path / f"{crf}.mp4", noise(4, 3, 32, 32), rate=8, crf=crf)
    assert (tmp_path / "10.mp4").stat().st_size > 2 * (tmp_path / "40.mp4").stat().st_size


def test_a_gif_repeats_for_ever_in_the_colours_of_the_frames(tmp_path):
    write_gif(tmp_path / "turn.gif", brightening(), rate=16)
    with Image.open(tmp_path / "turn.gif") as animation:
        assert (animation.n_frames, animation.info["loop"]) == (12, 0)
        shown = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)]
        assert animation.info["duration"] in (60, 70)
    assert [frame[..., 0].mean() for frame in shown] == pytest.approx(np.linspace(0, 240, 12), abs=6)


@pytest.mark.parametrize(("count", "size"), [(48, (120, 42)), (6, (120, 42)), (3, (90, 21))])
def test_a_sheet_shows_some_frames_evenly_spaced(tmp_path, count, size):
    write_animation(tmp_path / "turn.png", brightening(count), rate=16, sheet=(4, 2))
    with Image.open(tmp_path / "turn.png") as sheet:
        assert sheet.size == size
        top_left = [sheet.getpixel((30 * column, 0))[0] for column in range(size[0] // 30)]
    expected = [brightening(count)[number * count // min(count, 8), 0, 0, 0].item() for number in range(len(top_left))]
    assert top_left == expected


def test_without_a_sheet_a_png_has_all_frames_side_by_side(tmp_path):
    frames = noise(5, 1, 4, 6)
    write_animation(tmp_path / "strip.png", frames, rate=1)
    strip = np.asarray(Image.open(tmp_path / "strip.png"))
    assert strip.shape == (4, 30, 3)
    assert np.array_equal(strip[:, 12:18, 1], frames[2, 0].numpy())


@pytest.mark.parametrize("name", ["turn.MP4", "turn.GIF", "turn.Png"])
def test_an_ending_may_be_in_capitals(tmp_path, name):
    write_animation(tmp_path / name, brightening(3), rate=8)
    assert (tmp_path / name).stat().st_size > 0


def test_a_picture_is_read_back_to_the_pixel(tmp_path):
    picture = noise(3, 9, 7)
    write_png(tmp_path / "a.png", picture[:, :5])
    write_png(tmp_path / "a.png", picture)
    with Image.open(tmp_path / "a.png") as shown:
        assert np.array_equal(np.asarray(shown), picture.permute(1, 2, 0).numpy())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_grid_goes_row_by_row_and_fills_what_is_left_over():
    images = torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 1, 2, 2)
    assert tile_images(images, columns=2)[0, ::2, ::2].tolist() == [[0, 1], [2, 255]]
    assert tile_images(images, columns=2, fill=9)[0, -1, -1] == 9


def test_a_folder_of_frames_is_replaced_but_nothing_else_is(tmp_path):
    frames, folder = noise(3, 3, 4, 6), tmp_path / "new" / "frames"
    for count in (3, 2):
        write_frame_folder(folder, frames[:count])
        names = sorted(path.name for path in folder.iterdir())
        assert names == [".vidvox-frames", "00000.png", "00001.png", "00002.png"][: count + 1]
    assert np.array_equal(np.asarray(Image.open(folder / "00001.png")), frames[1].movedim(0, 2))
    assert [path.name for path in folder.parent.iterdir()] == ["frames"]
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="holds other files than frames"):
        write_frame_folder(folder, frames)
    assert (folder / "thesis.txt").exists()


def someones_frames(folder: Path) -> None:
    folder.mkdir()
    for number in range(3):
        (folder / f"{number:05d}.png").write_text("mine")


def one_frame_more(folder: Path) -> None:
    write_frame_folder(folder, noise(2, 3, 4, 6))
    (folder / "00002.png").write_text("mine")


def one_frame_renamed(folder: Path) -> None:
    write_frame_folder(folder, noise(2, 3, 4, 6))
    (folder / "00001.png").rename(folder / "2.png")


def a_mark_of_rubbish(folder: Path) -> None:
    someones_frames(folder)
    (folder / ".vidvox-frames").write_bytes(b"\xff" * 99)


@pytest.mark.parametrize("make", [someones_frames, one_frame_more, one_frame_renamed, a_mark_of_rubbish])
def test_numbered_pictures_that_this_package_did_not_write_are_never_removed(tmp_path, make):
    make(tmp_path / "frames")
    before = {path.name: path.read_bytes() for path in (tmp_path / "frames").iterdir()}
    with pytest.raises(ValueError, match="holds other files than frames"):
        check_frame_folder(tmp_path / "frames", overwrite=True)
    with pytest.raises(ValueError, match="holds other files than frames"):
        write_frame_folder(tmp_path / "frames", noise(4, 3, 4, 6))
    assert {path.name: path.read_bytes() for path in (tmp_path / "frames").iterdir()} == before


def test_a_folder_of_frames_is_checked_before_there_are_frames(tmp_path):
    check_frame_folder(tmp_path / "new" / "frames", overwrite=False)
    (tmp_path / "empty").mkdir()
    check_frame_folder(tmp_path / "empty", overwrite=False)
    write_frame_folder(tmp_path / "frames", noise(2, 3, 4, 6))
    check_frame_folder(tmp_path / "frames", overwrite=True)
    with pytest.raises(ValueError, match=r"exists already.*--overwrite"):
        check_frame_folder(tmp_path / "frames", overwrite=False)
    for name in ("frames/00000.png", "frames/..", "."):
        with pytest.raises(ValueError, match=r"cannot write .*(no folder|needs a name)"):
            check_frame_folder(Path(name) if name == "." else tmp_path / name)


def test_a_folder_that_cannot_be_put_in_its_place_leaves_the_old_one_there(tmp_path, monkeypatch):
    write_frame_folder(tmp_path / "frames", noise(2, 3, 4, 6))
    before = (tmp_path / "frames" / "00000.png").read_bytes()
    replace, calls = os.replace, []

    def fail_once(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_once)
    with pytest.raises(UnwritableError, match=r"frames: Input/output error"):
        write_frame_folder(tmp_path / "frames", noise(3, 3, 4, 6))
    assert (tmp_path / "frames" / "00000.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


@pytest.mark.parametrize(
    ("name", "frames", "complaint"),
    [
        ("turn.avi", brightening(), "the ending must be one of .mp4 .gif .png"),
        ("turn", brightening(), "the ending must be one of .mp4 .gif .png"),
        ("file/turn.gif", brightening(), "File exists|Not a directory"),
        ("folder.gif", brightening(), "it is a folder, pipe or device"),
        ("turn.png", brightening()[:0], "there are no frames"),
        ("turn.mp4", brightening(channels=2), "a picture has 1 or 3 channels, not 2"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(tmp_path, name, frames, complaint):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(ValueError, match=f"cannot write .*{name}: .*({complaint})"):
        write_animation(tmp_path / name, frames, rate=16)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder.gif"}


def test_a_rate_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match=r"a\.gif: the rate must be positive, not 0"):
        write_animation(tmp_path / "a.gif", brightening(), rate=0)


def test_an_ending_is_checked_before_there_are_frames(tmp_path):
    require_media_suffix(tmp_path / "turn.GIF")
    with pytest.raises(ValueError, match=r"turn\.glb: the ending must be one of"):
        require_media_suffix(tmp_path / "turn.glb")


NAMES = ["run:1", "http:", "-x", "%d%05d", "file:", "a?b#c|d", "clip-\udce9", "ü" * 125]


@pytest.mark.parametrize("ending", [".mp4", ".gif", ".png", ""])
def test_a_name_is_a_name_whatever_it_looks_like(tmp_path, monkeypatch, ending):
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        if ending:
            write_animation(name + ending, brightening(2), rate=10)
        else:
            write_frame_folder(name, brightening(2))
    assert {path.name for path in tmp_path.iterdir()} == {name + ending for name in NAMES}


def durations(path: Path) -> list[int]:
    """How long each frame of a GIF is shown, in hundredths of a second."""
    with Image.open(path) as animation:
        return [frame.info["duration"] // 10 for frame in ImageSequence.Iterator(animation)]


@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize(
    ("rate", "held", "delays"),
    [
        (50, True, {2}),
        (60, False, {2}),
        (Fraction(120), False, {2}),
        (1e9, False, {2}),
        (24, True, {4, 5}),
        (0.002, True, {50000}),
        (Fraction(1, 5000), False, {65535}),
        (1e-300, False, {65535}),
    ],
)
def test_a_gif_has_the_nearest_rate_that_it_can_hold_which_is_said(tmp_path, caplog, rate, held, delays, count):
    write_gif(tmp_path / "a.gif", brightening(count), rate=rate)
    assert len(durations(tmp_path / "a.gif")) == count
    assert set(durations(tmp_path / "a.gif")) <= delays
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == (0 if held else 1)
    assert all(line.endswith("that a GIF can hold; an MP4 keeps the rate") for line in lines)


@pytest.mark.parametrize("rate", [Fraction(1, 3600), 0.001, 0.3, 1, 29.97, 50, 120, 1000.0, 10**6])
def test_an_mp4_keeps_any_rate_of_its_range(tmp_path, rate):
    write_mp4(tmp_path / "a.mp4", brightening(4), rate=rate)
    with av.open(str(tmp_path / "a.mp4")) as video:
        (stream,) = video.streams.video
        stamps = [frame.pts * frame.time_base for frame in video.decode(stream)]
        assert float(stream.average_rate) == pytest.approx(float(rate), rel=1e-6)
    assert stamps == pytest.approx([number / rate for number in range(4)])


@pytest.mark.parametrize(
    ("rate", "complaint"),
    [
        (0, "must be positive, not 0"),
        (-3.0, "must be positive, not -3"),
        (float("nan"), "must be positive, not nan"),
        (float("inf"), "must be finite, not inf"),
        (1e-9, r"an MP4 plays from 1/3600 to 1000000 frames a second, not 1e-09"),
        (2**40, "an MP4 plays from"),
    ],
)
def test_a_rate_that_cannot_be_kept_is_one_line(tmp_path, rate, complaint):
    with pytest.raises(ValueError, match=rf"cannot write .*a\.mp4: .*{complaint}"):
        write_mp4(tmp_path / "a.mp4", brightening(2), rate=rate)
    if "MP4" not in complaint:
        with pytest.raises(ValueError, match=rf"cannot write .*a\.gif: .*{complaint}"):
            write_gif(tmp_path / "a.gif", brightening(2), rate=rate)
    assert not list(tmp_path.iterdir())


def test_a_size_that_the_format_cannot_hold_is_one_line_that_offers_another(tmp_path):
    wide = torch.zeros(1, 1, 1, 65536, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"an MP4 has at most 16384 pixels along a side, not 1x65536; \.png"):
        write_mp4(tmp_path / "a.mp4", wide, rate=10)
    with pytest.raises(ValueError, match=r"a GIF has at most 65535 pixels along a side, not 1x65536"):
        write_gif(tmp_path / "a.gif", wide, rate=10)
    write_png(tmp_path / "a.png", wide[0])
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.size == (65536, 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 1), (2, 2), (16384, 2)])
def test_the_smallest_and_longest_sizes_are_written(tmp_path, size):
    frames = torch.zeros(2, 3, *size, dtype=torch.uint8)
    write_mp4(tmp_path / "a.mp4", frames, rate=10)
    write_gif(tmp_path / "a.gif", frames, rate=10)
    for name, shape in {"a.mp4": [side + side % 2 for side in size], "a.gif": [*size]}.items():
        with av.open(str(tmp_path / name)) as video:
            shown = [(frame.height, frame.width) for frame in video.decode(video=0)]
        assert shown == [tuple(shape)] * 2


def test_an_mp4_states_square_pixels_and_its_colours(tmp_path):
    write_mp4(tmp_path / "a.mp4", brightening(2), rate=10)
    write_gif(tmp_path / "a.gif", brightening(2), rate=10)
    for name in ("a.mp4", "a.gif"):
        with av.open(str(tmp_path / name)) as video:
            assert video.streams.video[0].sample_aspect_ratio == 1
    with av.open(str(tmp_path / "a.mp4")) as video:
        context = video.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (1, 13, 6, 1)


def test_what_is_no_file_is_not_replaced_by_one(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.mp4", "folder.png"):
        with pytest.raises(UnwritableError, match=f"{name}: it is a folder, pipe or device"):
            write_animation(tmp_path / name, brightening(2), rate=10)
    assert (tmp_path / "pipe.mp4").is_fifo()


def test_a_link_is_replaced_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "other.png").write_text("mine")
    for target in ("other.png", "nowhere.png"):
        (tmp_path / "a.png").unlink(missing_ok=True)
        (tmp_path / "a.png").symlink_to(target)
        write_png(tmp_path / "a.png", noise(3, 4, 4))
        assert not (tmp_path / "a.png").is_symlink()
    assert (tmp_path / "other.png").read_text() == "mine"
    assert not (tmp_path / "nowhere.png").exists()


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.png", "a"])
def test_a_full_disk_leaves_what_was_there_wherever_it_strikes(tmp_path, name):
    def write() -> None:
        if name == "a":
            write_frame_folder(tmp_path / name, frames)
        else:
            write_animation(tmp_path / name, frames, rate=10)

    frames = noise(4, 3, 32, 32)
    write()
    file = tmp_path / name / "00000.png" if name == "a" else tmp_path / name
    before, size = file.read_bytes(), file.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (*range(0, size, max(1, size // 12)), size - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(UnwritableError, match=rf"cannot write .*{name}: File too large"):
                write()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert file.read_bytes() == before
