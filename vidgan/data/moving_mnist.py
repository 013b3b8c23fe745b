"""Moving MNIST generated on the fly, from different digits for training and held-out clips."""

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
from gancore.splits import Split

TRAIN_DIGITS = 4000
"""Bundled digits that training clips show; the others are shown by held-out clips alone."""
SPLIT_SEEDS: dict[Split, int] = {"val": 0, "train": 1, "test": 2}
"""Seeds of the positions, directions and choices of digits in each split, so that no two splits share a clip."""
STEP_LENGTH = 0.1
"""Distance a digit moves per frame, as a fraction of its free range, as in OpenSTL's training generator."""


class MovingMNIST:
    """Clips of handwritten digits that move in straight lines and bounce off the borders; their label is always 0.

    Digits are 28 pixels high, or proportionally smaller if the shorter side of the frames is below 64. Training clips
    depend on `sample.seed` alone; clips of val and test depend on the split and `sample.index` alone, and show only
    held-out digits.

    Raises ValueError if the frames are too small to tell digits apart.
    """

    classes: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        split: Split,
        height: int = 64,
        width: int = 64,
        channels: int = 1,
        clip_frames: int = 20,
        digits: int = 2,
    ):
        if min(height, width) < 16:
            raise ValueError(f"moving digits need frames of at least 16x16, not {height}x{width}")
        self.split, self.channels, self.clip_frames, self.digits = split, channels, clip_frames, digits
        self.height, self.width = height, width
        own = slice(None, TRAIN_DIGITS) if split == "train" else slice(TRAIN_DIGITS, None)
        self.digit_images = resize_digits(load_bundled_digits()[own], min(28, round(28 * min(height, width) / 64)))

    def __len__(self) -> int:
        return 10_000 if self.split == "train" else 1_000

    def __getitem__(self, sample: Sample) -> tuple[UInt8[Tensor, "time channel height width"], int]:
        number = sample.seed if self.split == "train" else sample.index
        random = np.random.default_rng(derive_seed(SPLIT_SEEDS[self.split], number))
        shapes = self.digit_images[random.integers(len(self.digit_images), size=self.digits)]
        size = shapes.shape[-1]
        tracks = simulate_bouncing(random, self.digits, steps=self.clip_frames)
        corners = (tracks * (self.height - size, self.width - size)).astype(int)
        canvas = np.zeros((self.clip_frames, self.height, self.width), np.uint8)
        windows = sliding_window_view(canvas, (size, size), axis=(1, 2), writeable=True)
        for shape, corner in zip(shapes, corners, strict=True):
            positions = np.arange(self.clip_frames), corner[:, 0], corner[:, 1]
            windows[positions] = np.maximum(windows[positions], shape)
        return repeat(torch.from_numpy(canvas), "time height width -> time c height width", c=self.channels), 0


@cache
def load_bundled_digits() -> UInt8[np.ndarray, "digit 28 28"]:
    """Loads 5000 MNIST digits in a shuffled order, white on black; the first TRAIN_DIGITS are for training."""
    with (files("vidgan") / "assets" / "digits.npz").open("rb") as file:
        return np.load(file)["images"]


def resize_digits(digits: UInt8[np.ndarray, "digit 28 28"], size: int) -> UInt8[np.ndarray, "digit size size"]:
    """Resizes the digits to size x size pixels, bilinearly with antialiasing."""
    if size == digits.shape[-1]:
        return digits
    return F.interpolate(torch.from_numpy(digits)[None], (size, size), mode="bilinear", antialias=True)[0].numpy()


def simulate_bouncing(random: np.random.Generator, count: int, *, steps: int) -> np.ndarray:
    """Positions in [0, 1], of shape (count, steps, 2), of points that move straight and bounce off the borders.

    They start at uniformly random positions in random directions and move by STEP_LENGTH each step.
    """
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
