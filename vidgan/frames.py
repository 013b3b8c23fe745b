"""Frames as tensors: between bytes and floats, grey and colour, one size and another."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

Frames = UInt8[Tensor, "time channel height width"]
LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luminance (ITU-R 601)."""


def to_float(frames: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Scales bytes in [0, 255] to float32 in [-1, 1]; to_uint8 restores the bytes exactly."""
    return frames.float() / 127.5 - 1


def to_uint8(frames: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Scales floats in [-1, 1] to bytes in [0, 255], rounded; values outside are clamped."""
    return ((frames.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def convert_channels(frames: UInt8[Tensor, "time c height width"], channels: int) -> Frames:
    """Converts RGB to grey (ITU-R 601 luminance) or grey to RGB; frames that have `channels` already stay as they are.

    Raises ValueError for any other conversion.
    """
    present = frames.shape[1]
    if present == channels:
        return frames
    if (present, channels) == (1, 3):
        return frames.expand(-1, 3, -1, -1)
    if (present, channels) == (3, 1):
        return torch.einsum("tchw,c->thw", frames.float(), torch.tensor(LUMINANCE))[:, None].round().to(torch.uint8)
    raise ValueError(
        f"frames have {present} channels, which cannot become {channels}; only 1 (grey) and 3 (RGB) can be converted"
    )


def resize_and_crop(
    frames: UInt8[Tensor, "time channel h w"],
    height: int,
    width: int,
    *,
    resize: int | None = None,
    crop: Literal["centre", "random"] = "centre",
    seed: int = 0,
) -> Frames:
    """Resizes with the aspect ratio kept, then crops to height x width, every frame at the same place.

    Bilinear with antialiasing. The shorter side becomes `resize` pixels, by default just enough to cover the crop.
    `seed` places a random crop.
    """
    frames = resize_to_cover(frames, height, width, resize=resize)
    spare = frames.shape[2] - height, frames.shape[3] - width
    if crop == "random":
        random = torch.rand(2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).tolist()
        top, left = (int(share * (free + 1)) for share, free in zip(random, spare, strict=True))
    else:
        top, left = spare[0] // 2, spare[1] // 2
    return frames[:, :, top : top + height, left : left + width]


def resize_to_cover(
    frames: UInt8[Tensor, "time channel h w"], height: int, width: int, *, resize: int | None = None
) -> Frames:
    """Resizes with the aspect ratio kept, to cover height x width and with a shorter side of at least `resize`.

    Idempotent: frames that were resized once are returned unchanged.
    """
    h, w = frames.shape[2:]
    scale = max(height / h, width / w, (resize or 0) / min(h, w))
    size = max(height, round(h * scale)), max(width, round(w * scale))
    if size == (h, w):
        return frames
    if size == (1, 1):  # which torch 2.14 cannot make of bytes
        return F.interpolate(frames.float(), size, mode="bilinear", antialias=True).round().to(torch.uint8)
    return F.interpolate(frames, size, mode="bilinear", antialias=True)
