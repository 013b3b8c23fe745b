"""Moving digits made on the fly: train digits and held-out digits never meet."""

from functools import cache
from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F
from einops import repeat
from jaxtyping import UInt8
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from gancore.data import Sample
from gancore.rng import derive_seed

TRAIN_DIGITS = 4000
STEP_LENGTH = 0.1
"""Distance moved in a frame, as a share of the free span, as in OpenSTL's training generator."""


class MovingMNIST:
    """Clips of handwritten digits that move straight and bounce off the borders, with their label always 0.

    On frames whose shorter side is below 64 the digits shrink from 28 pixels in proportion. Training clips depend on
    `sample.seed` alone, held-out clips on `sample.index` alone and show only digits that training never shows.

    Raises ValueError if the frames are too small to tell digits apart.
    """

    classes: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        train: bool,
        height: int = 64,
        width: int = 64,
        channels: int = 1,
        clip_frames: int = 20,
        digits: int = 2,
    ):
        if min(height, width) < 16:
            raise ValueError(f"moving digits need frames of at least 16x16, not {height}x{width}")
        self.train, self.channels, self.clip_frames, self.digits = train, channels, clip_frames, digits
        self.height, self.width = height, width
        part = slice(None, TRAIN_DIGITS) if train else slice(TRAIN_DIGITS, None)
        self.digit_images = resize_digits(load_bundled_digits()[part], min(28, round(28 * min(height, width) / 64)))

    def __len__(self) -> int:
        return 10_000 if self.train else 1_000

    def __getitem__(self, sample: Sample) -> tuple[UInt8[Tensor, "time channel height width"], int]:
        random = np.random.default_rng(derive_seed(1, sample.seed) if self.train else derive_seed(0, sample.index))
        shapes = self.digit_images[random.integers(len(self.digit_images), size=self.digits)]
        size = shapes.shape[-1]
        tracks = simulate_bouncing(random, self.digits, steps=self.clip_frames)
        corners = (tracks * (self.height - size, self.width - size)).astype(int)
        canvas = np.zeros((self.clip_frames, self.height, self.width), np.uint8)
        windows = sliding_window_view(canvas, (size, size), axis=(1, 2), writeable=True)
        for shape, corner in zip(shapes, corners, strict=True):
            places = np.arange(self.clip_frames), corner[:, 0], corner[:, 1]
            windows[places] = np.maximum(windows[places], shape)
        return repeat(torch.from_numpy(canvas), "time height width -> time c height width", c=self.channels), 0


@cache
def load_bundled_digits() -> UInt8[np.ndarray, "digit 28 28"]:
    """5000 MNIST digits in a shuffled order, white on black."""
    with (files("vidgan") / "assets" / "digits.npz").open("rb") as file:
        return np.load(file)["images"]


def resize_digits(digits: UInt8[np.ndarray, "digit 28 28"], size: int) -> UInt8[np.ndarray, "digit size size"]:
    """The digits at size x size pixels, antialiased."""
    if size == digits.shape[-1]:
        return digits
    return F.interpolate(torch.from_numpy(digits)[None], (size, size), mode="bilinear", antialias=True)[0].numpy()


def simulate_bouncing(random: np.random.Generator, count: int, *, steps: int) -> np.ndarray:
    """Positions (count, steps, 2) in [0, 1] of points that start anywhere, move by STEP and turn at the borders."""
    position = random.random((count, 2))
    angle = random.random(count) * 2 * np.pi
    velocity = STEP_LENGTH * np.stack([np.sin(angle), np.cos(angle)], 1)
    track = np.empty((count, steps, 2))
    for step in range(steps):
        position = position + velocity
        velocity = np.where((position <= 0) | (position >= 1), -velocity, velocity)
        position = position.clip(0, 1)
        track[:, step] = position
    return track
