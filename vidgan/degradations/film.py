"""Old film: vertical scratches that last for several frames, and specks of dirt that last for one."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vidgan.degradations.degraded import DegradedClip, GreyLevels, change_pixels
from vidgan.degradations.severity import interpolate, walk_severity
from vidgan.frames import Frames

SCRATCHES = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0)
SPECKS = (0.0, 1.0, 2.0, 4.0, 7.0, 12.0)
"""How many there are in a frame; of specks that is the mean."""
SHORTEST_LIFE, LONGEST_LIFE = 3, 20
"""Frames that a scratch is there."""
JUMP = (0.02, 0.06)
"""How far a scratch jumps to one side or the other in a frame, in widths."""
OPACITY = (0.6, 1.0)
BLACK, WHITE = 25.0, 235.0
BRIGHT_SHARE = 0.7
"""Share of the marks that are bright."""
THICKNESS = 0.008
"""Of a scratch, in shorter sides, but at least most of a pixel."""
SPECK_RADIUS = (0.008, 0.035)
"""In shorter sides."""


@dataclass(frozen=True)
class Scratch:
    """A line from the top to the bottom of a frame, or a part of it."""

    column: float
    """Where it is, in widths."""
    lean: float
    """How much farther right it is at the bottom than at the top, in widths."""
    top: float
    bottom: float
    """Where it begins and ends, in heights; most run through the whole frame."""
    opacity: float
    grey: float
    frames: int
    """How many frames it is still there for."""


def scratch(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Scratches of 3 to 20 frames that jump sideways, and specks, all of them black or white."""
    levels = walk_severity(random, severity, len(frames))
    height, width = frames.shape[2:]
    marks = _draw_marks(random, interpolate(SCRATCHES, levels), interpolate(SPECKS, levels), height, width)

    def cover(pixels: GreyLevels, part: slice) -> GreyLevels:
        for picture, _ in zip(pixels, range(part.start, part.stop), strict=True):
            for opacity, grey in next(marks):
                picture += opacity * (np.float32(grey) - picture)
        return pixels

    return DegradedClip(change_pixels(frames, cover))


def _draw_marks(
    random: np.random.Generator, scratches: np.ndarray, specks: np.ndarray, height: int, width: int
) -> Iterator[list[tuple[Float[np.ndarray, "height width"], float]]]:
    """For one frame after the other, the opacity of each mark in every pixel, and its grey level."""
    alive: list[Scratch] = []
    y, x = (np.arange(height)[:, None] + 0.5) / height, np.arange(width) + 0.5
    thickness = max(0.7, THICKNESS * min(height, width))
    for number, mean in zip(np.rint(scratches).astype(int), specks, strict=True):
        alive = [_age(random, each) for each in alive if each.frames > 1][:number]
        alive += [_begin(random) for _ in range(number - len(alive))]
        marks = []
        for each in alive:
            distance = np.abs(x - width * (each.column + each.lean * y))
            inside = (y >= each.top) & (y <= each.bottom)
            opacity = each.opacity * inside * np.clip(thickness / 2 + 0.5 - distance, 0, min(thickness, 1))
            marks.append((opacity.astype(np.float32), each.grey))
        marks += [(_draw_speck(random, height, width), _draw_grey(random)) for _ in range(random.poisson(mean))]
        yield marks


def _begin(random: np.random.Generator) -> Scratch:
    whole = random.random() < 0.7
    top, bottom = (0.0, 1.0) if whole else np.sort(random.random(2))
    return Scratch(
        column=random.random(),
        lean=random.normal(0, 0.01),
        top=float(top),
        bottom=float(bottom),
        opacity=random.uniform(*OPACITY),
        grey=_draw_grey(random),
        frames=int(random.integers(SHORTEST_LIFE, LONGEST_LIFE + 1)),
    )


def _age(random: np.random.Generator, each: Scratch) -> Scratch:
    jump = random.choice((-1, 1)) * random.uniform(*JUMP)
    return Scratch((each.column + jump) % 1, each.lean, each.top, each.bottom, each.opacity, each.grey, each.frames - 1)


def _draw_grey(random: np.random.Generator) -> float:
    return WHITE if random.random() < BRIGHT_SHARE else BLACK


def _draw_speck(random: np.random.Generator, height: int, width: int) -> Float[np.ndarray, "height width"]:
    """An ellipse with a wavy rim."""
    side = min(height, width)
    y = np.arange(height)[:, None] - random.uniform(0, height)
    x = np.arange(width) - random.uniform(0, width)
    radius, stretch, turn = side * random.uniform(*SPECK_RADIUS), random.uniform(0.5, 1), random.uniform(0, math.pi)
    waves, phase = random.integers(2, 6), random.uniform(0, 2 * math.pi)
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    rim = radius * (1 + 0.25 * np.sin(waves * np.arctan2(across, along) + phase))
    inside = np.clip(rim + 0.5 - np.hypot(along, across / stretch), 0, 1)
    return (random.uniform(*OPACITY) * inside).astype(np.float32)
