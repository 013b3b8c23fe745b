"""Low light, flickering light, low contrast, missing colour, and night."""

import numpy as np

from vidgan.degradations.degraded import (
    DegradedClip,
    GreyLevels,
    change_pixels,
    each_frame,
    require_picture_channels,
)
from vidgan.degradations.noise import add_normal
from vidgan.degradations.severity import interpolate, interpolate_ratios, walk_severity
from vidgan.frames import Frames, convert_channels

CONTRAST = (1.0, 0.4, 0.3, 0.2, 0.1, 0.05)
"""What is left of the difference to the mean; severities 1 to 5 are those of imagecorruptions."""
LIGHT = (1.0, 0.4, 0.25, 0.15, 0.08, 0.05)
"""What is left of the light, which is linear in it, not in grey levels."""
GAMMA = 2.2
"""Exponent that makes grey levels light."""
WHITE_ELECTRONS, READ_ELECTRONS = 2000.0, 4.0
"""Electrons of a white pixel in full light, and the standard deviation of reading them."""
FLICKER_GAIN = (0.0, 0.05, 0.1, 0.15, 0.22, 0.3)
FLICKER_OFFSET = (0.0, 3.0, 6.0, 10.0, 15.0, 20.0)
"""Standard deviation of a frame's gain, and of its offset in grey levels."""
FLICKER_MEMORY = 0.5
"""Correlation of the flicker of a frame with that of the frame before."""
NIGHT_GAIN = (1.0, 0.6, 0.45, 0.35, 0.25, 0.18)
NIGHT_GAMMA = (1.0, 1.2, 1.35, 1.5, 1.65, 1.8)
NIGHT_NOISE = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)
NIGHT_TINT = (0.65, 0.85, 1.25)
"""Gain of red, green and blue at severity 3 and above."""


def dim(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Low light: less light, with the shot noise of the photons that remain and the noise of reading the sensor."""
    light = each_frame(interpolate_ratios(LIGHT, walk_severity(random, severity, len(frames))))

    def expose(pixels: GreyLevels, part: slice) -> GreyLevels:
        electrons = random.poisson(WHITE_ELECTRONS * light[part] * (pixels / 255) ** GAMMA).astype(np.float32)
        electrons += READ_ELECTRONS * random.standard_normal(pixels.shape, dtype=np.float32)
        return 255 * (np.maximum(electrons, 0) / WHITE_ELECTRONS) ** (1 / GAMMA)

    return DegradedClip(change_pixels(frames, expose))


def flicker(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """A gain and an offset of each frame, autoregressive of order 1 in time."""
    levels = walk_severity(random, severity, len(frames))
    gain, offset = random.standard_normal((2, len(frames)))
    for t in range(1, len(frames)):
        for series in (gain, offset):
            series[t] = FLICKER_MEMORY * series[t - 1] + (1 - FLICKER_MEMORY**2) ** 0.5 * series[t]
    gain = each_frame(np.maximum(1 + interpolate(FLICKER_GAIN, levels) * gain, 0.1))
    offset = each_frame(interpolate(FLICKER_OFFSET, levels) * offset)
    return DegradedClip(change_pixels(frames, lambda pixels, part: gain[part] * pixels + offset[part]))


def reduce_contrast(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Every channel of a frame drawn towards its mean."""
    left = each_frame(interpolate_ratios(CONTRAST, walk_severity(random, severity, len(frames))))

    def shrink(pixels: GreyLevels, part: slice) -> GreyLevels:
        mean = pixels.mean((2, 3), keepdims=True)
        return mean + left[part] * (pixels - mean)

    return DegradedClip(change_pixels(frames, shrink))


def remove_colour(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """The luminance (ITU-R 601) in all three channels, at any severity above 0; a grey clip stays as it is."""
    del random, severity
    require_picture_channels(frames, "grey")
    return DegradedClip(convert_channels(convert_channels(frames, 1), frames.shape[1]).clone())


def make_night(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Day made night as films do: less light, darker shadows, a blue tint if there is colour, and a little noise."""
    require_picture_channels(frames, "night")
    levels = walk_severity(random, severity, len(frames))
    gain, gamma = (each_frame(interpolate(table, levels)) for table in (NIGHT_GAIN, NIGHT_GAMMA))
    noise = interpolate(NIGHT_NOISE, levels)
    tint = np.ones((1, 1, 1, 1), np.float32)
    if frames.shape[1] == 3:
        full = np.asarray(NIGHT_TINT, np.float32)[:, None, None]
        tint = full ** each_frame(np.minimum(levels / 3, 1))

    def darken(pixels: GreyLevels, part: slice) -> GreyLevels:
        dark = 255 * gain[part] * (tint[part] if len(tint) > 1 else tint) * (pixels / 255) ** gamma[part]
        return add_normal(dark, noise[part], random)

    return DegradedClip(change_pixels(frames, darken))
