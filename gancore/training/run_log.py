"""The log of a run: numbers by step, alarms, the best score so far, the curves and the page of the run."""

import logging
import math
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from gancore.config import TrainConfig
from gancore.training.alarms import REARM_LINES, AlarmMonitor
from gancore.training.curves import draw_curves
from gancore.training.history import RunHistory, finite_numbers, iter_json_lines
from gancore.training.run_page import write_run_page
from gancore.training.trackers import AccelerateTracker, JsonLinesTracker, TrackerGroup

MAX_DRAWING_SHARE = 0.01
"""Largest fraction of the training time spent on drawing curves."""


class BestTracker:
    """Keeps the best value of a score, by a rule such as "lowest held_out/mse" or "highest held_out/psnr"."""

    def __init__(self, rule: str):
        """Raises ValueError if the rule is not of the form "lowest NAME" or "highest NAME"."""
        extreme, _, self.metric = rule.partition(" ")
        if extreme not in ("lowest", "highest") or not self.metric:
            raise ValueError(f'best_metric must be "lowest NAME" or "highest NAME" of a held-out score, got {rule!r}')
        self.sign = 1 if extreme == "highest" else -1
        self.value: float | None = None

    def update_if_better(self, scores: Mapping[str, float | int]) -> bool:
        """Keeps the score if it is finite and the best so far; returns whether it is.

        Raises ValueError if the rule's score is missing.
        """
        if self.metric not in scores:
            raise ValueError(f"train.best_metric: unknown score {self.metric!r}; choose from {', '.join(scores)}")
        value = scores[self.metric]
        if not math.isfinite(value) or (self.value is not None and self.sign * value <= self.sign * self.value):
            return False
        self.value = value
        return True


class RunLog:
    """Writes stats.jsonl, alarms.jsonl, curves.png, index.html and the trackers; a resumed run replays its log."""

    def __init__(self, run: Path, config: TrainConfig, *, step: int, best_tracker: BestTracker | None = None):
        """Opens the log of a run at `step`, dropping the lines of later steps."""
        self.run, self.steps, self.best_tracker = run, config.steps, best_tracker
        self.stats, self.alarms = JsonLinesTracker(run / "stats.jsonl"), JsonLinesTracker(run / "alarms.jsonl")
        self.trackers = TrackerGroup([self.stats, *(AccelerateTracker(name, run) for name in config.trackers)])
        self.alarm_monitor, self.history = AlarmMonitor(), RunHistory()
        for tracker in (self.trackers, self.alarms):
            tracker.truncate_after(step)
        self._replay_log()
        self.last_drawing = (time.monotonic(), 0.0)
        if not (run / "index.html").exists():
            self.write_page()

    def _replay_log(self) -> None:
        """Restores the state from the logged lines; only the last REARM_LINES need be checked for alarms again."""
        newest: deque[dict[str, float | int]] = deque()
        for line in iter_json_lines(self.stats.path):
            self.history.add(line)
            if any(name.startswith("alarm/") for name in line):
                continue
            values = finite_numbers(line)
            newest.append(values)
            if len(newest) > REARM_LINES:
                self.alarm_monitor.history.add(newest.popleft())
            if self.best_tracker and self.best_tracker.metric in values:
                self.best_tracker.update_if_better(values)
        for values in newest:
            self.alarm_monitor.observe(values)
        for line in iter_json_lines(self.alarms.path):
            self.history.add_alarm(line)

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        """Logs the numbers of a step, and the alarms that they raise."""
        self.trackers.log(step, values)
        self.history.add({"step": step, **values})
        for alarm in self.alarm_monitor.observe(values):
            logging.getLogger(__name__).warning("step %d: %s", step, alarm)
            self.trackers.log(step, {f"alarm/{alarm.name}": 1})
            record = {"alarm": alarm.name, "evidence": alarm.evidence, "advice": alarm.advice}
            self.alarms.log(step, record)
            self.history.add_alarm({"step": step, **record})

    def draw_curves(self, *, last: bool = False) -> None:
        """Redraws curves.png, unless that would exceed MAX_DRAWING_SHARE; `last` draws it in any case."""
        since, took = self.last_drawing
        begun = time.monotonic()
        if last or begun - since > took / MAX_DRAWING_SHARE:
            draw_curves(self.run, self.history)
            self.last_drawing = (time.monotonic(), time.monotonic() - begun)

    def write_page(self) -> None:
        """Rewrites index.html from what the run folder now holds."""
        write_run_page(self.run, steps=self.steps, history=self.history)

    def close(self) -> None:
        """Flushes and closes the trackers."""
        self.trackers.close()
