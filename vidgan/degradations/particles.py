"""Rain, snow and dust: streaks and flakes that are seeded once and move through the clip.

Where the particles of a frame begin to wrap around, they come back elsewhere, so that a film of any length shows no
period. Numbers are for frames of 64 x 64 pixels: there are as many particles in every such frame of the same shape,
and their lengths grow with its shorter side.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vidgan.degradations.degraded import DegradedClip, GreyLevels, change_pixels
from vidgan.degradations.severity import interpolate, walk, walk_severity
from vidgan.frames import Frames

SIDE = 64
GOLDEN_RATIO = (5**0.5 - 1) / 2
RAIN_COUNT = (0.0, 25.0, 50.0, 85.0, 135.0, 200.0)
RAIN_OPACITY = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65)
RAIN_LENGTH = (7.0, 7.0, 8.0, 9.0, 11.0, 14.0)
"""Streaks, how opaque they are, and how long the nearest are in pixels, which is how far they fall in a frame."""
RAIN_ANGLE = math.radians(20)
RAIN_GREY = 240.0
NEAREST, FARTHEST = 1.0, 0.4
"""Size and speed of the nearest and the farthest particles."""


@dataclass(frozen=True)
class Seeds:
    """Where particles begin, in shares of the room that they move in, and how near they are."""

    down: Float[np.ndarray, " particle"]
    right: Float[np.ndarray, " particle"]
    near: Float[np.ndarray, " particle"]

    def places(
        self, down: np.ndarray, right: np.ndarray, height: float, width: float
    ) -> tuple[Float[np.ndarray, " particle"], Float[np.ndarray, " particle"]]:
        """Where they are in a room of this size after they moved this far; at another x after every wrap."""
        rounds, y = np.divmod(self.down * height + down, height)
        return y, (self.right * width + right + rounds * GOLDEN_RATIO * width) % width


def draw_seeds(random: np.random.Generator, count: int) -> Seeds:
    """Particles anywhere, more of them far than near."""
    near = FARTHEST + (NEAREST - FARTHEST) * random.random(count) ** 1.5
    return Seeds(random.random(count), random.random(count), near)


def splat(
    y: np.ndarray, x: np.ndarray, weight: np.ndarray, height: int, width: int
) -> Float[np.ndarray, "height width"]:
    """The sum of points of any shape that broadcasts, each shared by the four pixels around it.

    What lies outside is left out.
    """
    y, x, weight = np.broadcast_arrays(y, x, weight)
    top, left = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    total = np.zeros((height + 2) * (width + 2))
    for down in (0, 1):
        for right in (0, 1):
            share = weight * np.abs(1 - down - (y - top)) * np.abs(1 - right - (x - left))
            row, column = np.clip(top + down + 1, 0, height + 1), np.clip(left + right + 1, 0, width + 1)
            total += np.bincount((row * (width + 2) + column).ravel(), share.ravel(), len(total))
    return total.reshape(height + 2, width + 2)[1:-1, 1:-1].astype(np.float32)


def count_of(levels: Float[np.ndarray, " time"], table: tuple[float, ...], height: int, width: int) -> np.ndarray:
    """How many particles there are in each frame, at least one."""
    return np.maximum(np.rint(interpolate(table, levels) * height * width / min(height, width) ** 2), 1).astype(int)


def rain(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Streaks that fall by their own length in a frame, at an angle that the wind changes slowly."""
    time, height, width = len(frames), *frames.shape[2:]
    levels, scale = walk_severity(random, severity, time), min(height, width) / SIDE
    counts = count_of(levels, RAIN_COUNT, height, width)
    opacity = interpolate(RAIN_OPACITY, levels)
    length = scale * float(interpolate(RAIN_LENGTH, np.array([severity]))[0])
    thickness = max(1.0, scale**0.5)
    angle = random.uniform(-RAIN_ANGLE, RAIN_ANGLE) + walk(random, time, step=0.02, limit=0.2)
    drift = np.cumsum(np.tan(angle)) - np.tan(angle[0])
    seeds = draw_seeds(random, int(counts.max()))
    # A streak is drawn as points half a pixel apart along it, in as many lanes as it is pixels thick.
    along = np.linspace(0, 1, math.ceil(2 * length) + 1)
    lanes = np.linspace(-0.5, 0.5, 2 * math.ceil(thickness) - 1) if thickness > 1 else np.zeros(1)
    fade = np.sin(math.pi * np.clip(along, 0.02, 0.98)) ** 0.5

    def draw(t: int) -> Float[np.ndarray, "height width"]:
        near = seeds.near[: counts[t]]
        reach = length * near
        y, x = seeds.places(
            length * seeds.near * t, length * seeds.near * drift[t], height + length, width + 2 * length
        )
        y, x = (place[: counts[t], None, None] for place in (y, x))
        y = y - length + reach[:, None, None] * along[:, None]
        x = x - length + (reach * math.tan(angle[t]))[:, None, None] * along[:, None]
        x = x + thickness * near[:, None, None] * lanes
        weight = (near**0.5 * reach * thickness)[:, None, None] / (len(along) * len(lanes)) * fade[:, None]
        return opacity[t] * np.minimum(splat(y, x, weight, height, width), 1)

    return blend(frames, draw, np.float32(RAIN_GREY))


def blend(
    frames: Frames, draw: Callable[[int], Float[np.ndarray, "height width"]], colour: np.ndarray | np.float32
) -> DegradedClip:
    """Blends a colour over every frame, with the opacity that `draw` gives for its number."""

    def cover(pixels: GreyLevels, part: slice) -> GreyLevels:
        opacity = np.stack([draw(t) for t in range(part.start, part.stop)])[:, None]
        return pixels + opacity * (colour - pixels)

    return DegradedClip(change_pixels(frames, cover))


@dataclass(frozen=True)
class Flakes:
    """Soft discs that drift: snow, or dust in the light. Lengths are in pixels of a 64 x 64 frame."""

    count: tuple[float, ...]
    opacity: tuple[float, ...]
    radius: float
    """Of the nearest flakes."""
    fall: float
    """How far the nearest fall in a frame."""
    sway: float
    """How far they swing to and fro."""
    colour: tuple[float, float, float]

    def __call__(self, frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
        time, channels, height, width = frames.shape
        levels, scale = walk_severity(random, severity, time), min(height, width) / SIDE
        counts, opacity = count_of(levels, self.count, height, width), interpolate(self.opacity, levels)
        seeds = draw_seeds(random, int(counts.max()))
        phase, speed = random.uniform(0, 2 * math.pi, len(seeds.near)), random.uniform(0.1, 0.3, len(seeds.near))
        wind = np.cumsum(random.normal(0, 0.3) + walk(random, time, step=0.05, limit=0.3))
        heading = random.normal(0, 0.5, (2, len(seeds.near)))  # dust floats in all directions, snow hardly
        radius = self.radius * scale
        reach = math.ceil(radius) + 1
        around = np.arange(-reach, reach + 1)

        def draw(t: int) -> Float[np.ndarray, "height width"]:
            step, swing = self.fall * scale * seeds.near, self.sway * scale * np.sin(phase + speed * t)
            y, x = seeds.places(
                step * (1 + heading[0]) * t,
                step * (wind[t] + heading[1] * t) + swing,
                height + 2 * radius,
                width + 2 * radius,
            )
            y, x, size = (each[: counts[t], None, None] for each in (y - radius, x - radius, radius * seeds.near))
            rows, columns = np.rint(y).astype(int) + around[:, None], np.rint(x).astype(int) + around
            distance = np.hypot(rows - y, columns - x)
            disc = np.clip((size + 0.5 - distance) / (0.5 * size + 0.5), 0, 1) * np.minimum(2 * size, 1)
            clear = np.ones((height + 2, width + 2))
            rows, columns = np.clip(rows + 1, 0, height + 1), np.clip(columns + 1, 0, width + 1)
            np.multiply.at(clear, (rows, columns), 1 - opacity[t] * disc)
            return (1 - clear[1:-1, 1:-1]).astype(np.float32)

        tint = np.asarray(self.colour, np.float32)
        return blend(frames, draw, tint[:, None, None] if channels == 3 else tint.mean())


SNOW = Flakes(
    count=(0.0, 20.0, 40.0, 70.0, 110.0, 160.0),
    opacity=(0.5, 0.6, 0.7, 0.8, 0.85, 0.9),
    radius=1.4,
    fall=2.2,
    sway=1.0,
    colour=(245.0, 245.0, 250.0),
)
DUST = Flakes(
    count=(0.0, 15.0, 30.0, 55.0, 90.0, 140.0),
    opacity=(0.25, 0.35, 0.45, 0.55, 0.65, 0.75),
    radius=1.4,
    fall=0.8,
    sway=0.5,
    colour=(200.0, 180.0, 145.0),
)
