"""The second-order degradation of Real-ESRGAN (Wang et al. 2021), with the video codecs of RealBasicVSR (Chan et al.
2022): blur, resizing, noise and compression, all of it twice.

Published probabilities and ranges are those of severity 3; other severities stretch the ranges. Every parameter is
drawn once for a clip and walks from frame to frame in steps as in RealBasicVSR, all but the sizes and the codecs. The
result has the size of the input, not a quarter of it: chain it with shrink-4 for that. Kernels and resizing are for
pictures of 256 pixels; in smaller frames kernels are narrower, down to 3 to 7 pixels, and nothing is made smaller than
half.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import j1

from vidgan.degradations.blur import Kernel, filter_picture
from vidgan.degradations.codecs import H264, MPEG4, VideoCodec, recode, through_codec, to_jpeg
from vidgan.degradations.degraded import DegradedClip, GreyLevels, change_pixels, require_picture_channels
from vidgan.degradations.severity import walk
from vidgan.frames import Frames

PUBLISHED_SEVERITY = 3.0
TRAINING_SIDE = 256
"""Side of the pictures that the published kernels are for."""
LR_AREA = 64 * 64
"""Pixels of the frames that the published bit rates are for."""
KERNELS = ("isotropic", "anisotropic", "generalised", "generalised anisotropic", "plateau", "plateau anisotropic")
KERNEL_SHARES = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
GENERALISED_SHAPE, PLATEAU_SHAPE = (0.5, 4.0), (1.0, 2.0)
SINC_CHANCE, LAST_SINC_CHANCE = 0.1, 0.8
JPEG_QUALITY = (30.0, 95.0)
BIT_RATE = (1e4, 1e5)
GREY_NOISE_CHANCE = 0.4
CODECS: tuple[VideoCodec, ...] = (H264, H264, MPEG4)
"""libx264 and h264, which are one encoder here, and mpeg4."""
DEVIATION_STEP, ANGLE_STEP, NOISE_STEP, QUALITY_STEP, QUALITY_SPAN = 0.02, 0.314, 0.1, 3.0, 15.0


@dataclass(frozen=True)
class Order:
    """The ranges of one of the two rounds."""

    blur_chance: float
    deviation: tuple[float, float]
    resize_shares: tuple[float, float, float]
    """Up, down, keep."""
    factor: tuple[float, float]
    normal: tuple[float, float]
    """Standard deviation of Gaussian noise in grey levels."""
    poisson: tuple[float, float]
    """Standard deviation of Poisson noise in that of a sensor of 255 photons."""


FIRST = Order(1.0, (0.2, 3.0), (0.2, 0.7, 0.1), (0.15, 1.5), (1.0, 30.0), (0.05, 3.0))
SECOND = Order(0.8, (0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), (1.0, 25.0), (0.05, 2.5))


def degrade_twice(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Blur, resizing, noise, JPEG and a codec; then the same again, with a last ringing filter before or after JPEG."""
    require_picture_channels(frames, "second-order")
    strength, size = severity / PUBLISHED_SEVERITY, tuple(frames.shape[2:])
    for order in (FIRST, SECOND):
        if random.random() < order.blur_chance:
            frames = _blur(frames, random, order, strength)
        frames = _resize(frames, *_draw_size(random, order, size, strength), random=random)
        frames = _add_noise(frames, random, order, strength)
        if order is FIRST:
            frames = _compress(_to_jpeg(frames, random, strength), random, strength)
    ringing_last = random.random() < 0.5
    if ringing_last:
        frames = _to_jpeg(frames, random, strength)
    frames = _resize(frames, *size, random=random)
    if random.random() < min(LAST_SINC_CHANCE * strength, 1):
        frames = _ring(frames, random, strength)
    if not ringing_last:
        frames = _to_jpeg(frames, random, strength)
    return DegradedClip(_compress(frames, random, strength))


# ---------------------------------------------------------------------------------------------------------------- blur


def _kernel_side(random: np.random.Generator, size: tuple[int, ...]) -> int:
    """An odd side of 7 to 21 pixels in a picture of 256, of 3 to 7 in one of 64 or less."""
    share = min(max(min(size) / TRAINING_SIDE, 0.25), 1)
    return 2 * int(random.integers(max(1, round(3 * share)), max(3, round(10 * share)) + 1)) + 1


def _blur(frames: Frames, random: np.random.Generator, order: Order, strength: float) -> Frames:
    """One kind of kernel for a clip; its widths and its angle walk."""
    side = _kernel_side(random, frames.shape[2:])
    if random.random() < SINC_CHANCE:
        return _filter(frames, [draw_sinc(side, _draw_cutoff(random, side, strength))] * len(frames))
    kind = str(random.choice(KERNELS, p=KERNEL_SHARES))
    low, high = order.deviation[0], max(order.deviation[1] * strength, order.deviation[0])
    first, second = (
        np.clip(random.uniform(low, high) + walk(random, len(frames), step=DEVIATION_STEP, limit=0.3), low, high)
        for _ in range(2)
    )
    if "anisotropic" not in kind:
        second = first
    angles = random.uniform(-math.pi, math.pi) + np.cumsum(random.uniform(-ANGLE_STEP, ANGLE_STEP, len(frames)))
    shape = random.uniform(*(PLATEAU_SHAPE if "plateau" in kind else GENERALISED_SHAPE))
    return _filter(frames, [draw_kernel(side, kind, *each, shape) for each in zip(first, second, angles, strict=True)])


def draw_kernel(side: int, kind: str, first: float, second: float, angle: float, shape: float) -> Kernel:
    """A kernel of sum 1 with these standard deviations along two axes, turned by an angle.

    With d the squared Mahalanobis distance: exp(-d / 2), generalised exp(-d^shape / 2), plateau 1 / (1 + d^shape).
    """
    along = np.arange(side) - side // 2
    x = math.cos(angle) * along + math.sin(angle) * along[:, None]
    y = math.cos(angle) * along[:, None] - math.sin(angle) * along
    distance = (x / first) ** 2 + (y / second) ** 2
    if kind.startswith("plateau"):
        kernel = 1 / (1 + distance**shape)
    else:
        kernel = np.exp(-0.5 * distance ** (shape if kind.startswith("generalised") else 1))
    return (kernel / kernel.sum()).astype(np.float32)


def draw_sinc(side: int, cutoff: float) -> Kernel:
    """The circular low-pass filter of this cut-off in radians a pixel, of sum 1, which rings at edges."""
    along = np.arange(side) - side // 2
    distance = np.hypot(along, along[:, None])
    distance[side // 2, side // 2] = 1
    kernel = cutoff * j1(cutoff * distance) / (2 * math.pi * distance)
    kernel[side // 2, side // 2] = cutoff**2 / (4 * math.pi)
    return (kernel / kernel.sum()).astype(np.float32)


def _draw_cutoff(random: np.random.Generator, side: int, strength: float) -> float:
    """Cut-offs from pi / 3, or for wide kernels pi / 5, at severity 3."""
    lowest = math.pi / 3 if side < 13 else math.pi / 5
    return random.uniform(math.pi + (lowest - math.pi) * min(strength, 1), math.pi)


def _ring(frames: Frames, random: np.random.Generator, strength: float) -> Frames:
    side = _kernel_side(random, frames.shape[2:])
    return _filter(
        frames, [draw_sinc(side, random.uniform(math.pi - 2 / 3 * math.pi * min(strength, 1), math.pi))] * len(frames)
    )


def _filter(frames: Frames, kernels: list[Kernel]) -> Frames:
    def smooth(pixels: GreyLevels, part: slice) -> GreyLevels:
        return np.stack([filter_picture(*pair) for pair in zip(pixels, kernels[part], strict=True)])

    return change_pixels(frames, smooth)


# ---------------------------------------------------------------------------------------------- resizing, noise, codec


def _draw_size(random: np.random.Generator, order: Order, size: tuple[int, ...], strength: float) -> tuple[int, int]:
    up, down, _ = order.resize_shares
    draw, (low, high) = random.random(), order.factor
    if min(size) < TRAINING_SIDE:
        low = max(low, 0.5)
    if draw < up:
        factor = random.uniform(1, 1 + (high - 1) * strength)
    elif draw < up + down:
        factor = random.uniform(1 - (1 - low) * min(strength, 1), 1)
    else:
        factor = 1.0
    height, width = (max(1, round(side * factor)) for side in size)
    return height, width


def _resize(frames: Frames, height: int, width: int, *, random: np.random.Generator) -> Frames:
    """By area, bilinear or bicubic, each with the same chance."""
    mode: Literal["area", "bilinear", "bicubic"] = ("area", "bilinear", "bicubic")[random.integers(3)]
    if frames.shape[2:] == (height, width):
        return frames
    result = torch.empty(*frames.shape[:2], height, width, dtype=torch.uint8)
    for target, frame in zip(result, frames, strict=True):
        resized = F.interpolate(frame[None].float(), (height, width), mode=mode)
        target[:] = resized[0].round().clamp(0, 255)
    return result


def _add_noise(frames: Frames, random: np.random.Generator, order: Order, strength: float) -> Frames:
    """Gaussian or Poisson noise; in some clips the same in all channels. Its scale walks."""
    poisson, grey = random.random() >= 0.5, random.random() < GREY_NOISE_CHANCE
    low, high = order.poisson if poisson else order.normal
    unit = high / order.normal[1]
    drift = walk(random, len(frames), step=NOISE_STEP * unit, limit=3 * unit)
    scale = np.maximum(strength * (random.uniform(low, high) + drift), 0).astype(np.float32)[:, None, None, None]

    def spoil(pixels: GreyLevels, part: slice) -> GreyLevels:
        shape = (len(pixels), 1 if grey else pixels.shape[1], *pixels.shape[2:])
        if not poisson:
            return pixels + scale[part] * random.standard_normal(shape, dtype=np.float32)
        seen = pixels.mean(1, keepdims=True) if grey else pixels
        return pixels + scale[part] * (random.poisson(seen).astype(np.float32) - seen)

    return change_pixels(frames, spoil)


def _to_jpeg(frames: Frames, random: np.random.Generator, strength: float) -> Frames:
    low, high = JPEG_QUALITY
    lowest = max(high - (high - low) * strength, 5)
    quality = random.uniform(lowest, high) + walk(random, len(frames), step=QUALITY_STEP, limit=QUALITY_SPAN)
    return to_jpeg(frames, np.rint(np.clip(quality, lowest, high)).astype(int).tolist())


def _compress(frames: Frames, random: np.random.Generator, strength: float) -> Frames:
    """A codec with a bit rate, which is published for frames of 64 x 64 and grows with their area."""
    codec = CODECS[random.integers(len(CODECS))]
    height, width = frames.shape[2:]
    share = max(height * width / LR_AREA, 1 / 4)
    rate = round(share / strength * random.uniform(*BIT_RATE))
    return through_codec(frames, codec, lambda images: recode(images, codec, bit_rate=rate))
