"""What a run leaves to be read: numbers by step, alarms, the best average, curves."""

import logging
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from gancore.report import JsonLines, TensorBoard, Trackers
from gancore.training.alarms import SILENCE, Watch
from gancore.training.curves import draw_curves, read_lines

SHARE = 0.01
"""Of a run's time, that drawing its curves may take."""


class Best:
    """The best value of a score so far, by a rule such as "lowest held_out/mse"."""

    def __init__(self, rule: str):
        """Raises ValueError if the rule is not of this form."""
        extreme, _, self.name = rule.partition(" ")
        if extreme not in ("lowest", "highest") or not self.name:
            raise ValueError(f'best must be "lowest NAME" or "highest NAME" of a held-out score, got {rule!r}')
        self.sign = 1 if extreme == "highest" else -1
        self.value: float | None = None

    def improved(self, scores: Mapping[str, float | int]) -> bool:
        """Whether these scores are the best so far. Raises ValueError if the one that counts is not among them."""
        if self.name not in scores:
            raise ValueError(f"train.best: no score is called {self.name}; there are {', '.join(scores)}")
        value = scores[self.name]
        if not math.isfinite(value) or (self.value is not None and self.sign * value <= self.sign * self.value):
            return False
        self.value = value
        return True


class Record:
    """Keeps stats.jsonl, alarms.jsonl, events and curves.png of a run; knows from them what was before a restart."""

    def __init__(self, run: Path, *, step: int, best: Best | None = None, tensorboard: bool = False):
        """Goes on after this step; what is there of later ones is dropped."""
        self.run, self.best = run, best
        self.stats, self.alarms = JsonLines(run / "stats.jsonl"), JsonLines(run / "alarms.jsonl")
        self.trackers = Trackers([self.stats, *([TensorBoard(run)] if tensorboard else [])])
        self.watch = Watch()
        for tracker in (self.trackers, self.alarms):
            tracker.truncate_after(step)
        self._remember()
        self.drawn = (time.monotonic(), 0.0)

    def _remember(self) -> None:
        """Reads what was logged before: all of it for the history, and its end for what alarms are ringing still."""
        before = list(_numbers(self.stats.path))
        for place, values in enumerate(before):
            if place < len(before) - SILENCE:
                self.watch.history.add(values)
            else:
                self.watch.read(values)
            if self.best and self.best.name in values:
                self.best.improved(values)

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        """Keeps these numbers, and says once what alarms they raise."""
        self.trackers.log(step, values)
        for alarm in self.watch.read(values):
            logging.getLogger(__name__).warning("step %d: %s", step, alarm)
            self.trackers.log(step, {f"alarm/{alarm.name}": 1})
            self.alarms.log(step, {"alarm": alarm.name, "saw": alarm.saw, "helps": alarm.helps})

    def draw(self, *, last: bool = False) -> None:
        """Draws curves.png anew, unless that would take too much of the run's time."""
        since, took = self.drawn
        begun = time.monotonic()
        if last or begun - since > took / SHARE:
            draw_curves(self.run)
            self.drawn = (time.monotonic(), time.monotonic() - begun)

    def close(self) -> None:
        """Lets nothing be lost."""
        self.trackers.close()


def _numbers(path: Path) -> Iterator[dict[str, float | int]]:
    """The finite numbers of every line of a stats.jsonl, without the alarms that these raised."""
    for line in read_lines(path):
        values = {name: value for name, value in line.items() if name != "step" and value is not None}
        if not any(name.startswith("alarm/") for name in values):
            yield values
