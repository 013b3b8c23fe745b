"""The logged numbers and alarms of a run, read from its files and kept in bounded memory."""

import json
import logging
import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancore.files.reading import as_unreadable, require_regular_file

LogLine = Mapping[str, Any]
Curve = tuple[list[int], list[float]]
Panels = dict[str, dict[str, Curve]]

MAX_POINTS = 4000
"""Number of points kept per curve; of longer curves only every second, fourth, ... point is kept."""
MAX_ALARMS = 100
"""Number of newest alarms kept."""


@dataclass(frozen=True)
class LatestValue:
    """The latest logged value of a name."""

    step: int
    value: float


@dataclass
class _ThinnedCurve:
    """The first point of a curve and every `stride`-th after it; the stride doubles when they become too many."""

    stride: int = 1
    count: int = 0
    points: Curve = field(default_factory=lambda: ([], []))

    def add(self, step: int, value: float) -> None:
        if self.count % self.stride == 0:
            self.points[0].append(step)
            self.points[1].append(value)
        self.count += 1
        if len(self.points[0]) > MAX_POINTS:
            self.stride *= 2
            del self.points[0][1::2], self.points[1][1::2]


class RunHistory:
    """The curves, the latest values and the newest alarms of a run."""

    def __init__(self) -> None:
        self.latest: dict[str, LatestValue] = {}
        self.alarms: deque[dict[str, Any]] = deque(maxlen=MAX_ALARMS)
        """Each with the keys step (int), alarm, evidence and advice (str)."""
        self.alarm_count = 0
        self._curves: dict[str, _ThinnedCurve] = {}

    @classmethod
    def read(cls, run: Path) -> "RunHistory":
        """The history in a run folder's stats.jsonl and alarms.jsonl, either of which may be missing.

        Raises UnreadableError if one of them cannot be read.
        """
        history = cls()
        for line in iter_json_lines(run / "stats.jsonl"):
            history.add(line)
        for line in iter_json_lines(run / "alarms.jsonl"):
            history.add_alarm(line)
        return history

    def add(self, line: LogLine) -> None:
        """Adds the finite numbers of a line with a "step", except for alarms."""
        step = line["step"]
        for name, value in finite_numbers(line).items():
            if not name.startswith("alarm/"):
                self._curves.setdefault(name, _ThinnedCurve()).add(step, float(value))
                self.latest[name] = LatestValue(step, float(value))

    def add_alarm(self, line: LogLine) -> None:
        """Adds an alarm with a "step"; other missing keys become empty strings."""
        self.alarms.append(
            {"step": line["step"], **{name: str(line.get(name, "")) for name in ("alarm", "evidence", "advice")}}
        )
        self.alarm_count += 1

    def panels(self) -> Panels:
        """The curves by panel: a/b/c is curve c of panel a/b, and a/b curve b of panel a."""
        panels: Panels = {}
        for name, curve in self._curves.items():
            panel, _, title = name.rpartition("/")
            panels.setdefault(panel or name, {})[title] = curve.points
        return panels


def iter_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file of JSON lines, each with an integer "step"; nothing if there is no such file.

    Lines end with a line feed. Damaged lines are skipped, and a warning says how many there were.

    Raises UnreadableError if the file cannot be read.
    """
    damaged = 0
    try:
        require_regular_file(path)
        with as_unreadable(path, "a log"), path.open("rb") as file:
            for text in file:
                line = _parse_line(text)
                if line is None:
                    damaged += 1
                else:
                    yield line
    except FileNotFoundError:
        return
    if damaged:
        logging.getLogger(__name__).warning("%s: %d damaged lines were skipped", path, damaged)


def _parse_line(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
        if b"\\u" in text or b"\xed" in text:  # a lone surrogate cannot be encoded, so it could not be written again
            json.dumps(line, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and type(line.get("step")) is int else None


def finite_numbers(line: LogLine) -> dict[str, float | int]:
    """The finite numbers of a line by name, without its step."""
    numbers: dict[str, float | int] = {}
    for name, value in line.items():
        if name == "step" or not isinstance(value, int | float) or isinstance(value, bool):
            continue
        try:
            if math.isfinite(value):
                numbers[name] = value
        except OverflowError:  # an integer too large for a float
            continue
    return numbers
