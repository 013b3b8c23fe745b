"""Trackers, which record the numbers of a run: a file of JSON lines, and those that accelerate supports."""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gancore.files.atomic import as_unwritable, atomic_write

PROJECT = "vidvox"
"""Project name under which tracking services list the runs."""
PIP_NAMES = {"tensorboard": "'vidvox[tensorboard]'", "comet_ml": "comet-ml"}
"""What to install for trackers that are not named like their package."""

_STEP = re.compile(rb'\{"step": ([0-9]{1,18})[,}]')


@runtime_checkable
class Tracker(Protocol):
    """Records numbers by step."""

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        """Records the values of this step."""

    def truncate_after(self, step: int) -> None:
        """Drops what was recorded after this step; called when a run resumes from it."""

    def close(self) -> None:
        """Flushes what is still buffered, and closes the tracker."""


class JsonLinesTracker:
    """Appends one JSON object per line to a file, which is complete after every call.

    Numbers that are not finite become null, as JSON has no others. Methods raise UnwritableError if the file cannot be
    written.
    """

    def __init__(self, path: Path):
        self.path = path

    def log(self, step: int, values: Mapping[str, float | int | str]) -> None:
        assert "step" not in values
        finite = {name: value for name, value in values.items() if isinstance(value, str) or math.isfinite(value)}
        record = {"step": step, **dict.fromkeys(values), **finite}
        with as_unwritable(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    def truncate_after(self, step: int) -> None:
        """Drops the lines of later steps, and any partial line of a killed process."""
        if not self.path.exists():
            return
        end, is_sorted = 0, True  # where the lines to keep end, and whether they are the first ones of the file
        with as_unwritable(self.path), self.path.open("rb") as file:
            position = 0
            for line in file:
                if _is_line_until(step, line):
                    is_sorted = is_sorted and end == position
                    end = position + len(line)
                position += len(line)
            if is_sorted and end < position:
                os.truncate(self.path, end)
        if not is_sorted:
            with atomic_write(self.path) as partial, partial.open("wb") as target, self.path.open("rb") as source:
                target.writelines(line for line in source if _is_line_until(step, line))

    def close(self) -> None:
        """Does nothing: every line is already in the file."""


def _is_line_until(step: int, line: bytes) -> bool:
    """Whether a line is complete and its step is at most this one."""
    if not line.endswith(b"\n"):
        return False
    if match := _STEP.match(line):  # far faster than parsing the line
        return int(match[1]) <= step
    try:
        return json.loads(line)["step"] <= step
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


class AccelerateTracker:
    """One of accelerate's trackers, by its name: tensorboard, wandb, mlflow, trackio, comet_ml, aim and others.

    TensorBoard writes its events into `folder`; tracking services list the run under the folder's name in the project
    "vidvox". Raises ValueError if accelerate does not know the name or the tracker's package is not installed, and
    UnwritableError if the tracker fails.
    """

    def __init__(self, name: str, folder: Path):
        from accelerate import tracking

        known = {str(kind): kind for kind in tracking.LOGGER_TYPE_TO_CLASS}
        if name not in known:
            raise ValueError(f"unknown tracker {name!r}; choose from {', '.join(sorted(known))}")
        if name not in map(str, tracking.get_available_trackers()):
            raise ValueError(f"the tracker {name} is not installed: pip install {PIP_NAMES.get(name, name)}")
        self.name, self.folder = name, folder
        self._class = tracking.LOGGER_TYPE_TO_CLASS[known[name]]
        with as_unwritable(f"the log of {name}"):
            self._tracker = self._start()

    def _start(self, **settings: Any) -> Any:
        run = self.folder.name
        match self.name:
            case "tensorboard":
                tracker = self._class(run, self.folder.parent, **settings)
            case "aim":
                tracker = self._class(run, self.folder)
            case "wandb":
                tracker = self._class(PROJECT, name=run, dir=str(self.folder))
            case "trackio":
                tracker = self._class(PROJECT, name=run)
            case "mlflow":
                tracker = self._class(PROJECT, run_name=run)
            case "clearml":
                tracker = self._class(PROJECT, task_name=run)
            case "swanlab":
                tracker = self._class(PROJECT, experiment_name=run)
            case "dvclive":
                tracker = self._class(PROJECT, dir=str(self.folder / "dvclive"))
            case _:
                tracker = self._class(PROJECT)
        tracker.start()
        return tracker

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        with as_unwritable(f"the log of {self.name}"):
            self._tracker.log(dict(values), step=step)

    def truncate_after(self, step: int) -> None:
        """Hides later steps in TensorBoard; the other trackers cannot undo what was logged."""
        if self.name == "tensorboard":
            with as_unwritable(f"the log of {self.name}"):
                self._tracker.finish()
                self._tracker = self._start(purge_step=step + 1)

    def close(self) -> None:
        with as_unwritable(f"the log of {self.name}"):
            self._tracker.finish()


class TrackerGroup:
    """Several trackers used as one."""

    def __init__(self, trackers: Sequence[Tracker]):
        self.trackers = trackers

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        for tracker in self.trackers:
            tracker.log(step, values)

    def truncate_after(self, step: int) -> None:
        for tracker in self.trackers:
            tracker.truncate_after(step)

    def close(self) -> None:
        for tracker in self.trackers:
            tracker.close()
