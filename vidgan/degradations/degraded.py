"""The type of degradations and of their results, and the pixel arithmetic that most of them share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from vidgan.frames import Frames

GreyLevels = Float[np.ndarray, "time channel height width"]
"""Pixels as float32 in grey levels, [0, 255]."""

PART_VALUES = 2**17
"""Values that are computed at once, so that long films take little memory and short clips little time."""


@dataclass(frozen=True)
class DegradedClip:
    """A degraded clip, and the mask of known pixels that a restorer is given, if any."""

    frames: UInt8[Tensor, "time channel h w"]
    """As large as the clip that went in, but for shrinking."""

    known: Bool[Tensor, "time 1 h w"] | None = None
    """False where pixels or whole frames were lost and a restorer is told so; None if it is told nothing."""


@runtime_checkable
class Degradation(Protocol):
    """Something that spoils a clip."""

    def __call__(
        self, frames: UInt8[Tensor, "time channel height width"], random: np.random.Generator, severity: float
    ) -> DegradedClip:
        """Spoils frames, which stay as they are. `random` decides everything random; the severity is in (0, 5].

        Raises ValueError for a number of channels that it has no meaning for.
        """
        ...


def change_pixels(frames: Frames, change: Callable[[GreyLevels, slice], GreyLevels]) -> Frames:
    """Applies `change` to the frames in grey levels, part by part in time, and rounds what it returns to bytes.

    `change` gets the pixels of a part, which it may write to, and the slice of the time that they are from.
    """
    result = torch.empty(frames.shape, dtype=torch.uint8)
    step = max(1, PART_VALUES // max(1, frames[0].numel()))
    for start in range(0, len(frames), step):
        part = slice(start, min(start + step, len(frames)))
        pixels = change(frames[part].numpy().astype(np.float32), part)
        np.clip(np.rint(pixels, out=pixels), 0, 255, out=pixels)
        result[part] = torch.from_numpy(pixels.astype(np.uint8))
    return result


def each_frame(values: Float[np.ndarray, " time"]) -> Float[np.ndarray, "time 1 1 1"]:
    """A number for each frame, to compute with its pixels."""
    return values.astype(np.float32)[:, None, None, None]


def require_picture_channels(frames: Frames, kind: str) -> None:
    """Raises ValueError unless the frames are grey or RGB."""
    if frames.shape[1] not in (1, 3):
        raise ValueError(f"{kind} is for clips of 1 (grey) or 3 (RGB) channels, not {frames.shape[1]}")
