"""Fog and smoke: clouds of noise that differ from place to place and drift. Uniform haze is no task, as one affine map
undoes it."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.special import ndtr

from vidgan.degradations.degraded import DegradedClip, GreyLevels, change_pixels
from vidgan.degradations.severity import interpolate, walk_severity
from vidgan.frames import Frames

DENSITY = (0.0, 0.5, 0.8, 1.2, 1.9, 3.0)
"""Optical depth of the clouds, the factor beta."""
MARGIN = 1.25
"""Sides of the field over those of the frame, so that what leaves on one side does not come in on the other at once."""


def add_haze(pixels: GreyLevels, transmission: Float[np.ndarray, "time 1 height width"], airlight: float) -> GreyLevels:
    """What is seen through a scattering medium (Koschmieder): J t + A (1 - t); t = 1 is the identity."""
    return pixels * transmission + airlight * (1 - transmission)


@dataclass(frozen=True)
class Clouds:
    """Haze whose optical depth is smooth noise of two layers that drift apart."""

    decay: float
    """Exponent of the amplitude spectrum; the larger, the smoother."""
    cover: float
    """Share of the frame that is in a cloud, up to 1."""
    airlight: tuple[float, float]
    """Range of the clouds' grey level, of a range of 1; each clip has one."""
    velocity: tuple[float, float]
    """How far they move down and right in a frame, in shorter sides."""
    spread: float
    """Standard deviation of the velocities of the layers."""

    def __call__(self, frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
        height, width = frames.shape[2:]
        beta = interpolate(DENSITY, walk_severity(random, severity, len(frames)))
        airlight = 255 * random.uniform(*self.airlight)
        flip = random.choice((-1, 1))
        layers = [draw_spectrum(random, height, width, decay=self.decay) for _ in range(2)]
        moves = [
            min(height, width) * (np.array(self.velocity) * (1, flip) + random.normal(0, self.spread, 2))
            for _ in layers
        ]

        def cover(pixels: GreyLevels, part: slice) -> GreyLevels:
            times = range(part.start, part.stop)
            depth = np.stack([self._depth(layers, moves, t, height, width) for t in times])[:, None]
            transmission = np.exp(-beta[part].astype(np.float32)[:, None, None, None] * depth)
            return add_haze(pixels, transmission, airlight)

        return DegradedClip(change_pixels(frames, cover))

    def _depth(self, layers: list, moves: list, t: int, height: int, width: int) -> Float[np.ndarray, "height width"]:
        """Optical depth for a beta of 1, in [0, 1]; every depth above 0 covers as much of the frame as any other."""
        fields = [shift_field(*each, t)[:height, :width] for each in zip(layers, moves, strict=True)]
        level = ndtr(sum(fields) / math.sqrt(2)) - (1 - self.cover)  # evenly distributed
        return (np.maximum(level, 0) / self.cover).astype(np.float32)


@dataclass(frozen=True)
class Spectrum:
    """The Fourier transform of a periodic field."""

    values: Complex[np.ndarray, "row frequency"]
    rows: int
    columns: int


def draw_spectrum(random: np.random.Generator, height: int, width: int, *, decay: float) -> Spectrum:
    """Noise whose amplitude falls with the frequency to the power of `decay`, of mean 0 and variance 1."""
    rows, columns = (next_fast_len(math.ceil(MARGIN * side) + 1, real=True) for side in (height, width))
    values = rfft2(random.standard_normal((rows, columns)))
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None] * rows, np.fft.rfftfreq(columns) * columns)
    # Both axes count waves of the field's own length, so that clouds are as wide as the frame.
    frequency[0, 0] = np.inf
    values = values / frequency**decay
    return Spectrum(values / irfft2(values, (rows, columns)).std(), rows, columns)


def shift_field(spectrum: Spectrum, move: np.ndarray, t: int) -> Float[np.ndarray, "rows columns"]:
    """The field after `t` moves (down, right), by a turn of its phases and so finer than a pixel."""
    down, right = move * t
    phase = np.fft.fftfreq(spectrum.rows)[:, None] * down + np.fft.rfftfreq(spectrum.columns) * right
    return irfft2(spectrum.values * np.exp(-2j * math.pi * phase), (spectrum.rows, spectrum.columns))


FOG = Clouds(decay=1.8, cover=1.0, airlight=(0.7, 1.0), velocity=(0.0, 0.015), spread=0.006)
SMOKE = Clouds(decay=1.8, cover=0.7, airlight=(0.25, 0.6), velocity=(-0.025, 0.006), spread=0.008)
