"""SIGTERM and SIGINT as requests: what is at work is finished and saved first."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
DUPLICATE_SECONDS = 2.0
"""Seconds within which a second signal is the same request: a terminal and a launcher both pass one on."""


@contextmanager
def catch_stop_signals() -> Iterator[list[float]]:
    """A list that SIGTERM or SIGINT fills, so that a step is finished and saved; a later one acts as it used to."""
    received: list[float] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(time.monotonic())
        if received[-1] - received[0] > DUPLICATE_SECONDS:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    for number in STOP_SIGNALS:
        before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, before[number])


def ignore_stop_signals(worker: int) -> None:
    """Makes a loader's worker go on when its whole process group is asked to stop; it ends with its parent."""
    del worker
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
