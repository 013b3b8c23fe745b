"""Lower resolution: smaller frames, and frames of the same size with coarse pixels."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from vidgan.degradations.degraded import DegradedClip
from vidgan.degradations.severity import interpolate_ratios, walk_severity
from vidgan.frames import Frames

PIXELATION = (1.0, 0.6, 0.5, 0.4, 0.3, 0.25)
"""Pixels a side over those before; severities 1 to 5 are those of imagecorruptions."""


@dataclass(frozen=True)
class Shrink:
    """Bicubic shrinking with antialiasing, the standard "BI" degradation of super-resolution, at any severity.

    Rows at the bottom and columns at the right that do not fill a pixel of the result are cut off. Raises ValueError
    for frames that are smaller than the scale.
    """

    scale: int

    def __call__(self, frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
        del random, severity
        height, width = (side // self.scale for side in frames.shape[2:])
        if not height or not width:
            size = "x".join(map(str, frames.shape[2:]))
            raise ValueError(f"frames of {size} pixels cannot be shrunk by {self.scale}")
        whole = frames[:, :, : height * self.scale, : width * self.scale]
        return DegradedClip(resize_bicubic(whole, height, width))


def resize_bicubic(frames: Frames, height: int, width: int) -> Frames:
    """Bicubic with antialiasing, computed in floats, frame by frame, and rounded."""
    result = torch.empty(*frames.shape[:2], height, width, dtype=torch.uint8)
    for target, frame in zip(result, frames, strict=True):
        resized = F.interpolate(frame[None].float(), (height, width), mode="bicubic", antialias=True)
        target[:] = resized[0].round().clamp(0, 255)
    return result


def pixelate(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Blocks of one colour, the mean of what is in them."""
    height, width = frames.shape[2:]
    result = torch.empty_like(frames, memory_format=torch.contiguous_format)
    shares = interpolate_ratios(PIXELATION, walk_severity(random, severity, len(frames)))
    for target, frame, share in zip(result, frames, shares, strict=True):
        blocks = max(1, round(share * height)), max(1, round(share * width))
        coarse = F.adaptive_avg_pool2d(frame.float(), blocks).round()
        target[:] = F.interpolate(coarse[None], (height, width), mode="nearest")[0]
    return DegradedClip(result)
