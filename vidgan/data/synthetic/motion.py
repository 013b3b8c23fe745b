"""Random motions: steady, accelerating, stopping, starting, turning back, swinging."""

from typing import Literal

import numpy as np

from vidgan.data.synthetic.affine import Numbers, Points

PACES: tuple[Literal["steady", "changing", "stopping", "starting", "reversing", "uneven"], ...] = (
    "steady",
    "changing",
    "stopping",
    "starting",
    "reversing",
    "uneven",
)
PACE_SHARES = (0.4, 0.15, 0.1, 0.1, 0.1, 0.15)
"""How often each pace is drawn."""


def draw_pace(random: np.random.Generator, frames: int) -> Numbers:
    """The speed at each frame in [-1, 1], as a share of the top speed; below 0 it leads back."""
    time = np.arange(frames, dtype=float)
    turn = ease(time, centre=random.uniform(0, frames), duration=random.uniform(1, 6))
    match random.choice(PACES, p=PACE_SHARES):
        case "changing":
            first, last = random.random(2)
            return first + (last - first) * time / frames
        case "stopping":
            return 1 - turn
        case "starting":
            return turn
        case "reversing":
            return 1 - 2 * turn
        case "uneven":
            return 0.5 + 0.5 * swing(random, frames)
        case _:
            return np.ones(frames)


def ease(time: Numbers, *, centre: float, duration: float) -> Numbers:
    """Rises smoothly from 0 to 1 within `duration` frames about the centre."""
    share = ((time - centre) / duration + 0.5).clip(0, 1)
    return share**2 * (3 - 2 * share)


def swing(random: np.random.Generator, frames: int, *, period: float | None = None) -> Numbers:
    """A sine in [-1, 1] of random phase, with a period of 8 to 30 frames unless one is given."""
    period = period or random.uniform(8, 30)
    return np.sin(2 * np.pi * (np.arange(frames) / period + random.random()))


def draw_path(random: np.random.Generator, frames: int, *, top_speed: float) -> Points:
    """Positions along a path that begins at (0, 0), of at most `top_speed` pixels a frame.

    One in five swings to and fro; the others go their way at some pace, straight on or in a bend.
    """
    heading = random.uniform(0, 2 * np.pi)
    if random.random() < 0.2:
        period = random.uniform(8, 30)
        reach = top_speed * period / (2 * np.pi)  # of a sine, whose steepest slope is 2 pi / period
        path = np.outer(reach * swing(random, frames, period=period), [np.cos(heading), np.sin(heading)])
    else:
        bend = random.normal() * 0.06 if random.random() < 0.5 else 0.0
        headings = heading + bend * np.arange(frames)
        steps = (top_speed * draw_pace(random, frames))[:, None] * np.stack([np.cos(headings), np.sin(headings)], 1)
        path = np.cumsum(steps, 0)
    return path - path[0]


def draw_turning(random: np.random.Generator, frames: int) -> Numbers:
    """Angles in radians from 0 on: half do not turn, others turn on at some pace, or rock."""
    kind = random.random()
    if kind < 0.5:
        return np.zeros(frames)
    if kind < 0.8:
        return np.cumsum(random.normal() * 0.05 * draw_pace(random, frames))
    return random.uniform(0.05, 0.5) * swing(random, frames)


def draw_scales(random: np.random.Generator, frames: int) -> Points:
    """Factors along x and y from about 1 on: many are constant, others come nearer or go away, or wobble."""
    scales = np.ones((frames, 2))
    kind = random.random()
    if kind < 0.35:
        scales *= np.exp(np.cumsum(random.normal() * 0.01 * draw_pace(random, frames)))[:, None].clip(0.5, 2)
    elif kind < 0.5:
        wobble = random.uniform(0.03, 0.15) * swing(random, frames)
        scales *= np.stack([1 + wobble, 1 - wobble], 1)
    return scales
