"""What differs between the settings that a run was trained with and those that it is gone on with."""

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
"""Keys that may change without changing what a step computes, except by rounding: places, lengths, the machine, and how
often a run is looked at."""
ONE_TIME = {"train.start_over", "train.allow_changes"}
"""Keys that speak of one call rather than of the run."""
MAX_NAMED = 5
"""Changes that an error names."""


@dataclass(frozen=True)
class Change:
    """A setting with another value than before."""

    name: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.name}: {describe_value(self.before)} -> {describe_value(self.now)}"

    @property
    def breaks_resume(self) -> bool:
        """Whether the weights will not be those of the training that was begun."""
        return self.name not in HARMLESS


def list_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """The settings that both have, with different values; nested mappings as `to_dict` makes them."""
    earlier = dict(iter_values(before))
    return [
        Change(name, earlier[name], value)
        for name, value in iter_values(now)
        if name in earlier and earlier[name] != value and name not in ONE_TIME
    ]


def refuse_changes(changes: Sequence[Change], run: object) -> None:
    """Raise ValueError that names the changes with which the run would not be the one that was begun, if any."""
    breaking = [str(change) for change in changes if change.breaks_resume]
    if breaking:
        more = f" and {len(breaking) - MAX_NAMED} more" if len(breaking) > MAX_NAMED else ""
        raise ValueError(
            f"{run} was trained with other settings ({', '.join(breaking[:MAX_NAMED])}{more}): give the former ones, "
            "choose another --run, or go on with these by --train.allow_changes"
        )
