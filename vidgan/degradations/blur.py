"""Blur from lenses and from moving cameras.

Severities 1 to 5 are those of imagecorruptions; its lengths are for pictures of 224 pixels and are scaled to the
shorter side of the frame.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy.ndimage import correlate1d
from scipy.signal import oaconvolve

from vidgan.degradations.degraded import DegradedClip, GreyLevels, change_pixels
from vidgan.degradations.severity import interpolate, scale_of, walk, walk_severity
from vidgan.frames import Frames

BLUR = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)
"""Standard deviation in pixels."""
MOTION_RADIUS = (0.0, 10.0, 15.0, 15.0, 15.0, 20.0)
MOTION_DEVIATION = (0.5, 3.0, 5.0, 8.0, 12.0, 15.0)
"""Length of the trail in pixels, and standard deviation of the half Gaussian that it fades by."""
MOTION_ANGLE = math.pi / 4
"""Trails are drawn within this angle from the horizontal."""
TURN = 0.1
"""Standard deviation in radians by which the trail turns from frame to frame."""

Kernel = Float[np.ndarray, "rows columns"]


def blur(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Gaussian blur, which grows and shrinks slowly."""
    deviations = scale_of(*frames.shape[2:]) * interpolate(BLUR, walk_severity(random, severity, len(frames)))

    def smooth(pixels: GreyLevels, part: slice) -> GreyLevels:
        return np.stack([blur_picture(*pair) for pair in zip(pixels, deviations[part], strict=True)])

    return DegradedClip(change_pixels(frames, smooth))


def blur_picture(
    picture: Float[np.ndarray, "channel height width"], deviation: float
) -> Float[np.ndarray, "channel height width"]:
    """Gaussian blur of this standard deviation in pixels, with the edges repeated."""
    reach = min(math.ceil(4 * deviation), max(picture.shape[1:]))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(deviation, 1e-6)) ** 2)
    weights /= weights.sum()
    return correlate1d(correlate1d(picture, weights, axis=1, mode="nearest"), weights, axis=2, mode="nearest")


def blur_by_motion(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Blur along a line, as of a camera that shakes: its direction turns slowly, its length grows and shrinks."""
    levels, scale = walk_severity(random, severity, len(frames)), scale_of(*frames.shape[2:])
    radii, deviations = (scale * interpolate(table, levels) for table in (MOTION_RADIUS, MOTION_DEVIATION))
    angles = random.uniform(-MOTION_ANGLE, MOTION_ANGLE) + walk(random, len(frames), step=TURN, limit=0.5)

    def smear(pixels: GreyLevels, part: slice) -> GreyLevels:
        kernels = (draw_trail(*each) for each in zip(radii[part], deviations[part], angles[part], strict=True))
        return np.stack([filter_picture(*pair) for pair in zip(pixels, kernels, strict=True)])

    return DegradedClip(change_pixels(frames, smear))


def draw_trail(radius: float, deviation: float, angle: float) -> Kernel:
    """A kernel of sum 1: a line from its middle, this long and at this angle, that fades as a half Gaussian."""
    along = np.arange(0, radius + 0.25, 0.25)
    weights = np.exp(-0.5 * (along / deviation) ** 2)
    reach = math.ceil(radius) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    y, x = reach + along * math.sin(angle), reach + along * math.cos(angle)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - down - (y - top)) * np.abs(1 - right - (x - left))
            np.add.at(kernel, (top + down, left + right), weights * share)
    return kernel / kernel.sum()


def filter_picture(
    picture: Float[np.ndarray, "channel height width"], kernel: Kernel
) -> Float[np.ndarray, "channel height width"]:
    """Convolution with a kernel of odd sides, with the edges repeated."""
    down, right = (side // 2 for side in kernel.shape)
    padded = np.pad(picture, ((0, 0), (down, down), (right, right)), mode="edge")
    return oaconvolve(padded, kernel[None], mode="valid", axes=(1, 2))
