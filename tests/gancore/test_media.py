"""Pictures and animations are written whole, in the format of their ending, and show what they were given."""

import resource

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from gancore.media import (
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
    frames = noise(3, 3, 4, 6)
    for count in (3, 2):
        write_frame_folder(tmp_path / "new" / "frames", frames[:count])
        names = sorted(path.name for path in (tmp_path / "new" / "frames").iterdir())
        assert names == ["00000.png", "00001.png", "00002.png"][:count]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "new" / "frames" / "00001.png")), frames[1].movedim(0, 2))
    (tmp_path / "new" / "frames" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="holds other files than frames"):
        write_frame_folder(tmp_path / "new" / "frames", frames)
    assert (tmp_path / "new" / "frames" / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("name", "frames", "complaint"),
    [
        ("turn.avi", brightening(), "the ending must be one of .mp4 .gif .png"),
        ("turn", brightening(), "the ending must be one of .mp4 .gif .png"),
        ("file/turn.gif", brightening(), "File exists|Not a directory"),
        ("turn.png", brightening()[:0], "there are no frames"),
        ("turn.mp4", brightening(channels=2), "a picture has 1 or 3 channels, not 2"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(tmp_path, name, frames, complaint):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=f"cannot write .*{name}: .*({complaint})"):
        write_animation(tmp_path / name, frames, rate=16)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_rate_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match=r"a\.gif: the rate must be positive, not 0"):
        write_animation(tmp_path / "a.gif", brightening(), rate=0)


def test_an_ending_is_checked_before_there_are_frames(tmp_path):
    require_media_suffix(tmp_path / "turn.GIF")
    with pytest.raises(ValueError, match=r"turn\.glb: the ending must be one of"):
        require_media_suffix(tmp_path / "turn.glb")


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.png"])
def test_a_full_disk_leaves_what_was_there(tmp_path, name):
    (tmp_path / name).write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(ValueError, match=f"cannot write .*{name}"):
            write_animation(tmp_path / name, noise(8, 3, 64, 64), rate=10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"
