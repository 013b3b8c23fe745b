"""Differences between the settings of a run and those that it is resumed with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gancore.keys import describe_value, iter_values

HARMLESS = {
    "run",
    "processes",
    *(f"data.{name}" for name in ("path", "cache", "workers")),
    *(f"data.max_{name}" for name in ("megapixels", "gigabytes", "members", "frames", "faces", "voxels")),
    *(f"train.{name}" for name in ("steps", "max_minutes", "checkpoint_every", "keep_checkpoints", "best_metric")),
    *(f"train.{name}" for name in ("log_every", "preview_every", "evaluate_every", "health_every")),
    *(
        f"train.{name}"
        for name in ("gradient_accumulation_steps", "cpu", "curves", "trackers", "start_over", "allow_changes")
    ),
}
"""Keys that do not affect what a step computes, except for rounding: paths, limits, lengths, hardware and logging."""
ONE_TIME = {"train.start_over", "train.allow_changes"}
"""Keys that concern one invocation rather than the run."""
MAX_NAMED = 5
"""Number of changes that an error names."""


@dataclass(frozen=True)
class Change:
    """A setting whose value has changed."""

    name: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.name}: {describe_value(self.before)} -> {describe_value(self.now)}"

    @property
    def breaks_resume(self) -> bool:
        """Whether the resumed run would not end with the weights that the original run would have had."""
        return self.name not in HARMLESS


def list_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """The changed values among the settings that both have; both are nested mappings, as made by `to_dict`."""
    earlier = dict(iter_values(before))
    return [
        Change(name, earlier[name], value)
        for name, value in iter_values(now)
        if name in earlier and earlier[name] != value and name not in ONE_TIME
    ]


def refuse_changes(changes: Sequence[Change], run: object) -> None:
    """Raise a ValueError that names the changes that break resuming, if there are any."""
    breaking = [str(change) for change in changes if change.breaks_resume]
    if breaking:
        more = f" and {len(breaking) - MAX_NAMED} more" if len(breaking) > MAX_NAMED else ""
        raise ValueError(
            f"{run} was trained with other settings ({', '.join(breaking[:MAX_NAMED])}{more}): give the former ones, "
            "choose another --run, or go on with these by --train.allow_changes"
        )
