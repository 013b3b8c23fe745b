"""The items that a report shows: the best, the median and the worst by a score."""

from collections.abc import Sequence
from typing import NamedTuple


class Extremes(NamedTuple):
    """Indices of the best, median and worst scores, each best first; no index comes twice."""

    best: list[int]
    median: list[int]
    worst: list[int]


def select_extremes(scores: Sequence[float], count: int) -> Extremes:
    """Select up to `count` items each with the highest, middle and lowest scores; fewer if they would overlap."""
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    middle = max(0, (len(order) - count) // 2)
    best = order[:count]
    median = [index for index in order[middle : middle + count] if index not in best]
    worst = [index for index in order[-count:] if index not in best and index not in median]
    return Extremes(best, median, worst)
