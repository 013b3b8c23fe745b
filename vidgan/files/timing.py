"""When the frames of a film are shown: the constant rate at which it is read, from the time stamps of its frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

MAX_PAUSE = 3600
"""Seconds. A pause that is longer, and longer than ten usual intervals, is taken for a clock that jumps."""
NOTICED_PAUSE = 1
"""Seconds. A pause that is longer, and longer than ten usual intervals, puts counted frames out of step with sound."""
FALLBACK_RATE = Fraction(25)
"""Frames per second of films whose files state neither a rate nor time stamps."""
MAX_RATE_DENOMINATOR = 1001
"""Rates that are measured are rounded to fractions with at most this denominator, which 30000/1001 still has."""


@dataclass(frozen=True)
class Timing:
    """The frames of a film at a constant rate."""

    frames: int
    rate: Fraction
    """Frames per second."""
    timed: bool = True
    """Whether frames are told apart by their time stamps; if not, they are counted from the beginning of the film."""
    even: bool = True
    """Whether every frame has one stamp of its own in the grid of the rate."""
    pause: float = 0.0
    """Longest time in seconds between two stamps if it is a pause, that is, longer than NOTICED_PAUSE; otherwise 0."""


def measure_timing(stamps: Sequence[int], unit: Fraction, *, stated: Fraction | None) -> Timing:
    """The timing of frames by their stamps, in ascending order and in units of `unit` seconds.

    The rate is that of the usual interval if three quarters of all intervals are alike, as in a film of which frames
    were dropped or held, and otherwise that of the average interval. The rate that the container states is taken where
    it says the same more exactly. Stamps that repeat, or jump by more than MAX_PAUSE, tell nothing: such frames are
    counted.
    """
    count = len(stamps)
    if count < 2:
        return Timing(count, stated or FALLBACK_RATE)
    if stamps[-1] - stamps[0] >= 2**53:
        jump = float((stamps[-1] - stamps[0]) * unit)
        return Timing(count, stated or FALLBACK_RATE, timed=False, pause=jump)
    array = np.array(stamps, dtype=np.int64)
    intervals = np.diff(array)
    typical = float(np.median(intervals))
    alike = intervals[np.abs(intervals - typical) <= max(1.0, 0.1 * typical)]
    chosen = alike if 4 * len(alike) >= 3 * len(intervals) else intervals
    average = Fraction(int(chosen.sum()), len(chosen)) * unit
    longest, usual = float(intervals.max()) * float(unit), typical * float(unit)
    timed = bool(intervals.min() > 0 and longest <= max(MAX_PAUSE, 10 * usual))
    pause = longest if longest > max(NOTICED_PAUSE, 10 * usual) else 0.0
    rate = _round_rate(1 / average) if average > 0 else stated or FALLBACK_RATE
    steps = (stamps[-1] - stamps[0]) * unit * rate if timed else Fraction(count)
    if stated and abs(stated / rate - 1) * steps < Fraction(1, 4):
        rate = stated
    if not timed:
        return Timing(count, rate, timed=False, pause=pause)
    grid = (array - array[0]) * float(unit * rate) - np.arange(count)
    even = bool(np.abs(grid).max() < 0.4)
    frames = count if even else round((stamps[-1] - stamps[0]) * unit * rate) + 1
    return Timing(frames, rate, even=even, pause=pause)


def _round_rate(rate: Fraction) -> Fraction:
    return rate.limit_denominator(MAX_RATE_DENOMINATOR) or rate
