"""Console messages of a training run: its data, networks and output files at the start, then the expected time."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from torch import nn

from gancore.config import TrainConfig
from gancore.splits import Split

MAX_NAMES = 3
"""Number of items listed by name per split."""
SKIPPED_STEPS, TIMED_STEPS = 2, 6
"""Number of first steps, which compile and fill caches, and of the steps after them that are timed."""


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """The contents of a split of a data set."""

    split: Split
    item: str
    """Noun for one item, for example "video"."""
    names: Sequence[str]
    """Names of the items; empty for items without names, such as generated clips."""
    clips: int | None = None
    """Number of clips cut from the items; None if each item is one sample."""

    def __str__(self) -> str:
        parts = [format_count(len(self.names), self.item)] if self.names else []
        if self.clips is not None:
            parts.append(format_count(self.clips, "clip"))
        more = len(self.names) - MAX_NAMES
        names = ", ".join(self.names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
        return ", ".join(parts) + (f": {names}" if names else "")


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """The data of a training."""

    source: str
    """Where the data come from."""
    splits: Sequence[SplitSummary]
    """The splits that are not empty."""
    warning: str | None = None
    """What is wrong with the splits, if anything."""


USES: dict[Split, str] = {
    "train": "",
    "val": "to choose best/",
    "test": "for vidvox evaluate",
}
"""What each split is used for, as shown after its contents."""


def describe_training(
    data: DataSummary,
    *,
    players: Mapping[str, nn.Module],
    config: TrainConfig,
    device: str,
    run: Path,
) -> str:
    """Describes a training run that is about to start, in a few lines.

    Args:
        data: Source and splits of the data.
        players: The networks by name; their parameters are counted.
        config: Length and batch of the training.
        device: The device, and the number of processes if there are several.
        run: The run folder.
    """
    rows = {"data": data.source}
    for each in data.splits:
        rows[each.split] = f"{each} ({USES[each.split]})" if USES[each.split] else str(each)
    if data.warning:
        rows["WARNING"] = data.warning
    counts = (f"{name} {sum(p.numel() for p in player.parameters()) / 1e6:.2f} M" for name, player in players.items())
    rows["parameters"] = ", ".join(counts)
    limit = "" if config.max_minutes is None else f", at most {format_duration(60 * config.max_minutes)}"
    rows["training"] = f"{config.steps:,} steps of {config.batch} samples on {device}{limit}"
    if config.steps > SKIPPED_STEPS + TIMED_STEPS:
        rows["training"] += f"; the time to expect is said after {SKIPPED_STEPS + TIMED_STEPS} of them"
    rows["look at"] = f"{run / 'index.html'} (samples, curves and alarms), numbers in {run / 'stats.jsonl'}"
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows.items())


class TimeEstimate:
    """Times the first steps of a session, and then estimates once how long the rest will take."""

    def __init__(self, config: TrainConfig, *, first_step: int = 0, elapsed_seconds: float = 0.0):
        """`elapsed_seconds` is the training time spent before this session, which begins at `first_step`."""
        self.first_step, self.steps = first_step, config.steps
        self.limit_seconds = None if config.max_minutes is None else 60 * config.max_minutes - elapsed_seconds
        self._ends: list[float] = []

    def observe(self, step: int) -> str | None:
        """Call this after each step: returns the estimate as one line when it is known, None at all other steps."""
        done = step - self.first_step
        if done <= SKIPPED_STEPS + TIMED_STEPS:
            self._ends.append(time.monotonic())
        if done != SKIPPED_STEPS + TIMED_STEPS or step >= self.steps:
            return None
        durations = [after - before for before, after in pairwise(self._ends[SKIPPED_STEPS - 1 :])]
        seconds, left = median(durations), self.steps - step  # the median is not misled by an evaluation in between
        if self.limit_seconds is not None and seconds * left > self.limit_seconds:
            reached = step + int(self.limit_seconds / seconds)
            return (
                f"time limit: about {reached:,} of {self.steps:,} steps will be done, at {seconds:.2g} s a step; "
                "the learning rates end with the time"
            )
        return (
            f"about {format_duration(seconds * left)} to go: {left:,} steps at {seconds:.2g} s a step, "
            "previews and evaluations not counted"
        )


def format_count(count: int, item: str) -> str:
    """A number with its noun, such as "1 video" or "1,200 clips"."""
    return f"{count:,} {item}{'' if count == 1 else 's'}"


def format_duration(seconds: float) -> str:
    """A duration in the two largest units, such as "2 h 10 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def format_terms(terms: Mapping[str, float]) -> dict[str, str]:
    """The loss terms for the progress bar, such as "g:game" for generator/game; gradient norms are left out."""
    return {
        f"{player[0]}:{term}": f"{value:.3g}"
        for (player, _, term), value in ((name.partition("/"), value) for name, value in terms.items())
        if player != "gradient"
    }
