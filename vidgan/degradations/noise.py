"""Sensor noise and impulse noise, drawn independently for every frame.

Severities 1 to 5 are those of imagecorruptions (Hendrycks and Dietterich 2019, Michaelis et al. 2019).
"""

import numpy as np

from vidgan.degradations.degraded import DegradedClip, GreyLevels, change_pixels, each_frame
from vidgan.degradations.severity import interpolate, interpolate_ratios, walk_severity
from vidgan.frames import Frames

NOISE = (0.0, 0.08, 0.12, 0.18, 0.26, 0.38)
"""Standard deviation of Gaussian noise, of a range of 1."""
PHOTONS = (255.0, 60.0, 25.0, 12.0, 5.0, 3.0)
"""Photons of a white pixel."""
IMPULSES = (0.0, 0.03, 0.06, 0.09, 0.17, 0.27)
"""Share of the values that become black or white."""


def add_normal(pixels: GreyLevels, deviation: np.ndarray, random: np.random.Generator) -> GreyLevels:
    """Adds Gaussian noise of a standard deviation in grey levels, one number for each frame; nothing is clipped.

    The mean squared error is the deviation squared, so that the PSNR is 20 log10(255 / deviation).
    """
    return pixels + each_frame(deviation) * random.standard_normal(pixels.shape, dtype=np.float32)


def add_noise(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Gaussian noise."""
    deviation = 255 * interpolate(NOISE, walk_severity(random, severity, len(frames)))
    return DegradedClip(change_pixels(frames, lambda pixels, part: add_normal(pixels, deviation[part], random)))


def add_shot_noise(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Poisson noise of the photons that a pixel counts, brighter pixels being noisier."""
    photons = each_frame(interpolate_ratios(PHOTONS, walk_severity(random, severity, len(frames))) / 255)

    def count(pixels: GreyLevels, part: slice) -> GreyLevels:
        return random.poisson(pixels * photons[part]).astype(np.float32) / photons[part]

    return DegradedClip(change_pixels(frames, count))


def add_impulses(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Salt and pepper: values that are black or white instead, each with the same chance, of every channel alone."""
    half = each_frame(interpolate(IMPULSES, walk_severity(random, severity, len(frames))) / 2)

    def hit(pixels: GreyLevels, part: slice) -> GreyLevels:
        draw = random.random(pixels.shape, dtype=np.float32)
        pixels[draw < half[part]] = 0
        pixels[draw > 1 - half[part]] = 255
        return pixels

    return DegradedClip(change_pixels(frames, hit))
