"""What is written can be read again, and one path resizes for training and evaluation."""

import os
import resource
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vidgan.files.video import read_clip, write_clip
from vidgan.frames import convert_channels, resize_and_crop, resize_to_cover, to_float, to_uint8


def smooth(*shape: int) -> torch.Tensor:
    *rows, channels, height, width = shape
    coarse = torch.rand(int(np.prod(rows)), channels, 3, 3, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (fine * 255).to(torch.uint8).reshape(shape)


@pytest.mark.parametrize(("name", "channels"), [("a.npy", 5), ("a.npy", 1), ("a", 3), ("new/folder/a", 3)])
def test_arrays_and_folders_are_written_without_loss(tmp_path, name, channels):
    frames = smooth(6, channels, 20, 16)
    for _ in range(2):  # the second time over the first
        write_clip(tmp_path / name, frames, rate=10)
        assert torch.equal(read_clip(tmp_path / name, channels=channels).frames, frames)


@pytest.mark.parametrize("rate", [10, Fraction(30000, 1001), 29.97])
def test_an_mp4_keeps_its_rate_and_looks_the_same(tmp_path, rate):
    frames = smooth(6, 3, 48, 64)
    write_clip(tmp_path / "a.mp4", frames, rate=rate)
    clip = read_clip(tmp_path / "a.mp4")
    assert clip.rate == Fraction(rate).limit_denominator(1001)
    assert (clip.frames.float() - frames.float()).abs().mean() < 3
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_odd_sizes_grow_by_a_repeated_line_in_mp4_and_stay_in_gif(tmp_path):
    frames = smooth(4, 1, 33, 47)
    write_clip(tmp_path / "a.mp4", frames, rate=10)
    write_clip(tmp_path / "a.gif", frames, rate=10)
    grown = read_clip(tmp_path / "a.mp4").frames
    assert grown.shape == (4, 3, 34, 48)
    assert (grown[:, :, :33, :47].float() - frames.float()).abs().mean() < 3
    assert (grown[:, :, 33].float() - grown[:, :, 32].float()).abs().mean() < 3
    assert read_clip(tmp_path / "a.gif").frames.shape == (4, 3, 33, 47)


def test_a_gif_keeps_every_frame_even_where_nothing_moves(tmp_path):
    frames = torch.tensor([0, 8, 16, 24, 24, 24, 48, 56], dtype=torch.uint8)[:, None, None, None].expand(8, 3, 32, 48)
    write_clip(tmp_path / "a.gif", frames, rate=25)
    clip = read_clip(tmp_path / "a.gif")
    assert clip.rate == 25
    assert (clip.frames.int() - frames.int()).abs().max() <= 4


def test_a_png_is_a_strip_or_rows_of_strips(tmp_path):
    rows = smooth(2, 5, 3, 8, 12)
    write_clip(tmp_path / "strip.png", rows[0], rate=10)
    write_clip(tmp_path / "rows.png", rows, rate=10)
    strip, sheet = (np.asarray(Image.open(tmp_path / name)) for name in ("strip.png", "rows.png"))
    assert sheet.shape == (16, 60, 3)
    np.testing.assert_array_equal(strip, sheet[:8])
    np.testing.assert_array_equal(sheet[8:, 24:36], rows[1, 2].movedim(0, 2))


@pytest.mark.parametrize("name", ["a.MP4", "a.Gif", "a.PNG", "a.NPY"])
def test_a_suffix_may_be_in_capitals(tmp_path, name):
    frames = smooth(3, 3, 8, 8)
    for each in (name, name.lower()):
        (tmp_path / each).unlink(missing_ok=True)
        write_clip(tmp_path / each, frames, rate=10)
    formats = [(tmp_path / each).read_bytes()[:8] for each in (name, name.lower())]
    assert formats[0] == formats[1]


def test_what_cannot_be_written_is_said_in_one_line(tmp_path):
    frames = smooth(2, 3, 8, 8)
    with pytest.raises(ValueError, match=r"a\.avi: its suffix must be one of \.mp4"):
        write_clip(tmp_path / "a.avi", frames, rate=10)
    with pytest.raises(ValueError, match=r"a picture has 1 or 3 channels, not 5; \.npy takes any number"):
        write_clip(tmp_path / "a.mp4", smooth(2, 5, 8, 8), rate=10)
    with pytest.raises(ValueError, match=r"only \.png and \.npy can hold several rows"):
        write_clip(tmp_path / "a.mp4", frames[None], rate=10)
    with pytest.raises(ValueError, match="there are no frames"):
        write_clip(tmp_path / "a.mp4", frames[:0], rate=10)
    with pytest.raises(ValueError, match="rate must be positive"):
        write_clip(tmp_path / "a.mp4", frames, rate=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot write .*file/a\.mp4"):
        write_clip(tmp_path / "file" / "a.mp4", frames, rate=10)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="holds other files than frames"):
        write_clip(tmp_path / "mine", frames, rate=10)
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_is_said_in_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match=r"cannot write .*a\.mp4.*Permission denied"):
        write_clip(tmp_path / "a.mp4", smooth(2, 3, 8, 8), rate=10)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.png", "a.npy"])
def test_a_full_disk_leaves_what_was_there(tmp_path, name):
    (tmp_path / name).write_text("old")
    noise = torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(ValueError, match=f"cannot write .*{name}"):
            write_clip(tmp_path / name, noise, rate=10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


def test_bytes_and_floats_turn_into_each_other_exactly():
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(every)), every)
    assert (to_float(every).min(), to_float(every).max()) == (-1, 1)
    assert torch.equal(to_float(to_uint8(to_float(every))), to_float(every))
    assert to_uint8(torch.tensor([-3.0, 0.0, 3.0])).tolist() == [0, 128, 255]


@given(
    sizes=st.tuples(*[st.integers(4, 40)] * 4),
    resize=st.integers(0, 50),
    channels=st.sampled_from([1, 3, 5]),
    seed=st.integers(0, 2**62),
)
def test_resizing_gives_the_size_asked_for_and_twice_is_once(sizes, resize, channels, seed):
    h, w, height, width = sizes
    frames = torch.randint(0, 256, (2, channels, h, w), dtype=torch.uint8)
    assert resize_and_crop(frames, height, width, resize=resize, crop="random", seed=seed).shape[2:] == (height, width)
    once = resize_to_cover(frames, height, width, resize=resize)
    assert torch.equal(resize_to_cover(once, height, width, resize=resize), once)
    assert torch.equal(
        resize_and_crop(once, height, width, resize=resize), resize_and_crop(frames, height, width, resize=resize)
    )


def test_resizing_keeps_proportions_and_covers_the_crop():
    frames = torch.zeros(1, 3, 100, 200, dtype=torch.uint8)
    assert resize_to_cover(frames, 64, 64).shape[2:] == (64, 128)
    assert resize_to_cover(frames, 64, 64, resize=80).shape[2:] == (80, 160)
    assert resize_to_cover(frames, 20, 100).shape[2:] == (50, 100)


def test_one_random_crop_serves_all_frames_and_reaches_every_place():
    picture = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(3, 1, 16, 16)
    corners = set()
    for seed in range(200):
        crop = resize_and_crop(picture, 14, 14, resize=16, crop="random", seed=seed)
        assert torch.equal(crop[0], crop[2])
        corners.add(int(crop[0, 0, 0, 0]))
    assert corners == {16 * top + left for top in range(3) for left in range(3)}
    assert resize_and_crop(picture, 14, 14, resize=16)[0, 0, 0, 0] == 17


def test_shrinking_averages_rather_than_picks():
    lines = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    lines[..., ::2] = 200
    assert (resize_and_crop(lines, 16, 16)[..., 2:-2].float() - 100).abs().max() <= 2


def test_colour_becomes_luminance_and_grey_becomes_colour():
    primaries = torch.eye(3, dtype=torch.uint8).mul(255)[:, :, None, None]
    assert convert_channels(primaries, 1).flatten().tolist() == [76, 150, 29]
    assert convert_channels(primaries[:, :1], 3).shape[1] == 3
    with pytest.raises(ValueError, match="5 channels, which cannot become 3"):
        convert_channels(torch.zeros(1, 5, 2, 2, dtype=torch.uint8), 3)
