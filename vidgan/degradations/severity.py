"""Severities of degradations: their mapping to parameters, and their drift through a clip."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

MAX_SEVERITY = 5.0
PUBLISHED_SIDE = 224
"""Shorter side in pixels of the pictures that published lengths are for."""
START_SPREAD, STEP, LIMIT = 0.1, 0.02, 0.2
"""Of the logarithm of a severity over the one asked for: the spread of its start, its step from frame to frame and the
bound that turns it back."""


def check_severity(severity: float | int) -> None:
    """Raises ValueError unless the severity is in [0, 5]."""
    if not 0 <= severity <= MAX_SEVERITY:
        raise ValueError(f"the severity must be in [0, 5], got {severity}")


def walk(
    random: np.random.Generator, frames: int, *, step: float, limit: float, start: float = 0.0
) -> Float[np.ndarray, " time"]:
    """A random walk of `frames` numbers from within ±start, in normal steps of this size, reflected at ±limit."""
    steps = step * random.standard_normal(frames)
    steps[0] = random.uniform(-start, start)
    return np.abs((np.cumsum(steps) + limit) % (4 * limit) - 2 * limit) - limit


def walk_severity(random: np.random.Generator, severity: float, frames: int) -> Float[np.ndarray, " time"]:
    """The severity in each frame: drawn once around the one that is asked for, it then drifts slowly, within [0, 5]."""
    drift = walk(random, frames, step=STEP, limit=LIMIT, start=START_SPREAD)
    return np.minimum(severity * np.exp(drift), MAX_SEVERITY)


def interpolate(levels: Sequence[float], severity: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
    """What severities stand for, linearly between the levels of severity 0, 1, ... 5."""
    return np.interp(severity, range(len(levels)), levels)


def interpolate_ratios(levels: Sequence[float], severity: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
    """What severities stand for, geometrically between the levels of severity 0, 1, ... 5, all of them positive."""
    return np.exp(interpolate([float(np.log(level)) for level in levels], severity))


def scale_of(height: int, width: int) -> float:
    """The size of a frame in that of the pictures which published lengths are for: its shorter side over 224."""
    return min(height, width) / PUBLISHED_SIDE
