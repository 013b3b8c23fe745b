"""Numbers that are known beforehand: in closed form, or measured once with other code on the same pictures."""

import math
from fractions import Fraction

import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor

from vidgan.data.dataset import BUNDLED_CLIP
from vidgan.degradations.codecs import H264, recode, to_jpeg
from vidgan.degradations.degraded import change_pixels
from vidgan.degradations.kinds import degrade
from vidgan.degradations.noise import add_normal
from vidgan.degradations.resolution import resize_bicubic
from vidgan.degradations.simple import METHODS
from vidgan.files.video import read_clip
from vidgan.frames import to_float
from vidgan.metrics import psnr


@pytest.fixture(scope="module")
def street() -> Tensor:
    """The middle 240 x 240 pixels of the bundled clip, all 300 frames, shrunk to 64 x 64."""
    return resize_bicubic(read_clip(BUNDLED_CLIP).frames[:, :, :, 40:280], 64, 64)


def score(made: Tensor, true: Tensor) -> float:
    """PSNR in dB, as a mean over the frames."""
    return float(psnr(to_float(made)[None], to_float(true)[None]).mean())


def restored(method: str, frames: Tensor, true: Tensor, *, known: Tensor | None = None, scale: int = 1) -> float:
    return score(METHODS[method](frames, known, scale), true)


@pytest.mark.parametrize(("deviation", "expected"), [(10, 28.13), (25, 20.17), (50, 14.15)])
def test_the_psnr_of_noise_that_is_not_clipped_is_20_log_255_over_sigma(deviation, expected):
    pixels = np.full((4, 3, 64, 64), 100, np.float32)
    noisy = add_normal(pixels, np.full(4, float(deviation)), np.random.default_rng(0))
    measured = 20 * math.log10(255 / float(np.sqrt(np.mean((noisy - pixels) ** 2))))
    assert measured == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("deviation", "expected", "method", "best"),
    [(10, 28.2, "mean-3", 31.4), (25, 20.4, "mean-5-blur", 27.0), (50, 14.8, "mean-5-blur", 24.4)],
)
def test_noise_on_the_street_and_the_mean_that_removes_most_of_it(street, deviation, expected, method, best):
    random = np.random.default_rng(deviation)
    noisy = change_pixels(street, lambda pixels, _: add_normal(pixels, np.full(len(pixels), float(deviation)), random))
    assert score(noisy, street) == pytest.approx(expected, abs=0.1)
    assert restored(method, noisy, street) == pytest.approx(best, abs=0.1)


def test_rain_on_the_street_and_the_median_that_removes_most_of_it(street):
    rain = degrade(street, "rain", severity=3, seed=0).frames
    assert score(rain, street) == pytest.approx(26.2, abs=0.8)
    assert restored("median-5", rain, street) == pytest.approx(33.1, abs=1.2)
    assert restored("minimum-3", rain, street) == pytest.approx(30.0, abs=0.8)


@pytest.mark.parametrize(("quality", "expected"), [(10, 23.7), (30, 26.8), (60, 28.9)])
def test_jpeg_on_the_street(street, quality, expected):
    assert score(to_jpeg(street, [quality] * len(street)), street) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize(("crf", "expected"), [(28, 30.8), (36, 26.8), (44, 22.9)])
def test_h264_on_the_street_at_the_rate_of_its_film(street, crf, expected):
    images = np.ascontiguousarray(street.movedim(1, 3).numpy())
    decoded = torch.from_numpy(recode(images, H264, rate=Fraction(10), crf=str(crf), mbtree="1")).movedim(3, 1)
    assert score(decoded, street) == pytest.approx(expected, abs=0.3)


def test_every_fourth_frame_of_the_street_lost(street):
    known = torch.ones(len(street), 1, 64, 64, dtype=torch.bool)
    known[3::4] = False
    frames = torch.where(known, street, 0)
    held, between = (METHODS[name](frames, known, 1)[3::4] for name in ("hold", "linear"))
    assert score(held, street[3::4]) == pytest.approx(29.8, abs=0.4)
    assert score(between, street[3::4]) == pytest.approx(33.8, abs=0.6)


def test_a_hole_in_the_street(street):
    known = torch.ones(len(street), 1, 64, 64, dtype=torch.bool)
    known[:, :, 24:40, 24:40] = False
    frames = torch.where(known, street, 0)
    filled = METHODS["mean-colour"](frames, known, 1)
    inside, truth, black = (each[:, :, 24:40, 24:40] for each in (filled, street, frames))
    assert score(black, truth) == pytest.approx(2.7, abs=0.1)
    assert score(inside, truth) == pytest.approx(9.4, abs=0.1)


def test_the_street_in_grey(street):
    assert score(degrade(street, "grey", seed=0).frames, street) == pytest.approx(20.3, abs=0.1)


@pytest.mark.parametrize(("scale", "expected"), [(2, 25.55), (4, 21.03)])
def test_bicubic_upscaling_of_the_street(street, scale, expected):
    small = degrade(street, f"shrink-{scale}", seed=0).frames
    assert restored("copy", small, street, scale=scale) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("name", "twice", "four_times"),
    [
        ("astronaut", 30.23, 25.39),
        ("coffee", 29.06, 25.78),
        ("chelsea", 33.74, 30.03),
        ("camera", 29.90, 26.20),
        ("rocket", 29.91, 27.50),
    ],
)
def test_bicubic_upscaling_of_known_pictures(name, twice, four_times):
    picture = np.atleast_3d(getattr(skimage.data, name)())
    height, width = (side // 16 * 16 for side in picture.shape[:2])
    frames = torch.from_numpy(picture[:height, :width].copy()).movedim(2, 0)[None]
    for scale, expected in ((2, twice), (4, four_times)):
        small = degrade(frames, f"shrink-{scale}", seed=0).frames
        assert restored("copy", small, frames, scale=scale) == pytest.approx(expected, abs=0.05)
