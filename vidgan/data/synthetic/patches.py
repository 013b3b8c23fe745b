"""Patches that rendered clips show: procedural textures, or parts of frames of real videos."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.data import evenly_spaced
from gancore.errors import UnreadableError
from vidgan.files.readers import VideoReader
from vidgan.frames import convert_channels, resize_to_cover

Picture = Float[Tensor, "3 height width"]
"""RGB in [0, 1]."""


@runtime_checkable
class PatchSource(Protocol):
    """Draws pictures of any size."""

    def plate(self, random: np.random.Generator, height: int, width: int) -> Picture:
        """A picture of a place."""
        ...

    def patch(self, random: np.random.Generator, height: int, width: int) -> Picture:
        """The surface of a thing."""
        ...


# --------------------------------------------------------------------------------------------------------- by formula


class ProceduralPatches:
    """Fractal, striped, chequered and plain textures in mostly muted colours; plates are rooms with a floor."""

    def plate(self, random: np.random.Generator, height: int, width: int) -> Picture:
        """A wall with up to five doors, windows or pictures, a floor in two of three, all under one fall of light."""
        plate = self.patch(random, height, width)
        if random.random() < 0.67:
            horizon = int(height * random.uniform(0.35, 0.85))
            plate[:, horizon:] = self.patch(random, height - horizon, width)
        for _ in range(random.integers(6)):
            h, w = (int(side * random.uniform(0.08, 0.45)) + 1 for side in (height, width))
            top, left = int(random.integers(height - h + 1)), int(random.integers(width - w + 1))
            plate[:, top : top + h, left : left + w] = self.patch(random, h, w)
        light = 1 + 0.3 * fractal_noise(random, height, width, waves=2)
        return (plate * light).clamp_(0, 1)

    def patch(self, random: np.random.Generator, height: int, width: int) -> Picture:
        """Two colours, mixed by fractal noise, stripes or checks, under a fine grain."""
        first, second = draw_colour(random), draw_colour(random)
        kind = random.random()
        mixture = torch.zeros(height, width)
        if kind < 0.5:
            mixture = (0.5 + random.uniform(0.2, 1.2) * fractal_noise(random, height, width)).clamp_(0, 1)
        elif kind < 0.65:
            mixture = draw_stripes(random, height, width, crossed=kind < 0.57)
        grain = random.uniform(0, 0.04) * random.standard_normal((height, width), dtype=np.float32)
        return torch.lerp(first, second, mixture).add_(torch.from_numpy(grain)).clamp_(0, 1)


def draw_colour(random: np.random.Generator) -> Float[Tensor, "3 1 1"]:
    """A colour in [0, 1], grey-ish more often than strong."""
    saturation = random.random() ** 2
    colour = random.uniform(0.05, 0.95) + saturation * random.uniform(-0.6, 0.6, (3, 1, 1))
    return torch.from_numpy(colour.clip(0, 1).astype(np.float32))


def fractal_noise(
    random: np.random.Generator, height: int, width: int, *, waves: int = 12, falloff: float = 1.5
) -> Float[Tensor, "height width"]:
    """Noise about 0 of standard deviation near 0.5: cosines whose strength falls with this power of their frequency.

    There are up to `waves` half-waves along each side.
    """
    numbers = np.arange(waves)
    strength = np.maximum(1, np.hypot(numbers, numbers[:, None])) ** -falloff
    strength[0, 0] = 0
    weights = random.standard_normal((waves, waves)) * strength / np.sqrt((strength**2).sum())
    rows, columns = (np.cos(np.outer((np.arange(side) + 0.5) / side, np.pi * numbers)) for side in (height, width))
    return torch.from_numpy((rows @ weights @ columns.T).astype(np.float32))


def draw_stripes(
    random: np.random.Generator, height: int, width: int, *, crossed: bool
) -> Float[Tensor, "height width"]:
    """Soft stripes in [0, 1] of 3 to 16 pixels at any angle; `crossed` makes checks of them."""
    angle, period = random.uniform(0, np.pi), random.uniform(3, 16)
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
    along = float(np.cos(angle)) * columns + float(np.sin(angle)) * rows
    wave = torch.sin(along * (2 * np.pi / period))
    if crossed:
        across = float(np.cos(angle)) * rows - float(np.sin(angle)) * columns
        wave = wave * torch.sin(across * (2 * np.pi / period))
    return (0.5 + 2 * wave).clamp_(0, 1)


# ---------------------------------------------------------------------------------------------------- from real frames


class VideoPatches:
    """Crops of frames of videos, mirrored half the time and some of them in other colours.

    The frames are spread over all videos; a process decodes each when it is first drawn, and keeps it.
    """

    def __init__(self, videos: Sequence[tuple[VideoReader, range]], *, smallest: int, frames: int = 128):
        """
        Args:
            videos: Videos, at least one, each with the numbers of the frames that may be shown.
            smallest: Frames are kept with a shorter side of this many pixels.
            frames: How many frames there are to draw from, at most.
        """
        self.readers, self.smallest = [reader for reader, _ in videos], smallest
        each = max(1, frames // len(videos))
        spread = [
            (number, allowed[index])
            for number, (_, allowed) in enumerate(videos)
            for index in evenly_spaced(len(allowed), count=each)
        ]
        self.places = [spread[index] for index in evenly_spaced(len(spread), count=frames)]
        """(number of the video, number of the frame) of every frame to draw from."""
        self._frames: dict[int, UInt8[Tensor, "3 height width"] | None] = {}

    def plate(self, random: np.random.Generator, height: int, width: int) -> Picture:
        """Most of a frame."""
        return self._crop(random, height, width, share=random.uniform(0.6, 1))

    def patch(self, random: np.random.Generator, height: int, width: int) -> Picture:
        """A smaller part of a frame; in one of three, its colours are changed."""
        patch = self._crop(random, height, width, share=random.uniform(0.1, 0.6))
        if random.random() < 0.33:
            gain, offset = random.uniform(0.5, 1.3, (3, 1, 1)), random.uniform(-0.2, 0.2, (3, 1, 1))
            patch = (patch * torch.from_numpy(gain) + torch.from_numpy(offset)).float().clamp_(0, 1)
        return patch

    def _crop(self, random: np.random.Generator, height: int, width: int, *, share: float) -> Picture:
        """A random part of a frame with the aspect ratio asked for, of this share of the largest, resized."""
        frame = self._read_frame(int(random.integers(len(self.places))))
        h, w = frame.shape[1:]
        scale = share * min(h / height, w / width)
        tall, wide = (max(2, round(side * scale)) for side in (height, width))
        top, left = (int(random.integers(max(1, free + 1))) for free in (h - tall, w - wide))
        crop = frame[:, top : top + tall, left : left + wide].float() / 255
        if random.random() < 0.5:
            crop = crop.flip(2)
        return F.interpolate(crop[None], (height, width), mode="bilinear", antialias=True)[0]

    def _read_frame(self, number: int) -> UInt8[Tensor, "3 height width"]:
        """The frame, or the next that can be read. Raises ValueError if none can."""
        for offset in range(len(self.places)):
            place = (number + offset) % len(self.places)
            if place not in self._frames:
                self._frames[place] = self._decode(*self.places[place])
            if (frame := self._frames[place]) is not None:
                return frame
        raise ValueError("not one frame to cut patches from can be decoded")

    def _decode(self, video: int, frame: int) -> UInt8[Tensor, "3 height width"] | None:
        """None if it cannot be read."""
        try:
            read = convert_channels(self.readers[video].read(frame, 1), 3)
        except UnreadableError:
            return None
        return resize_to_cover(read, self.smallest, self.smallest)[0].contiguous()
