"""SIGTERM and SIGINT as requests: what is at work is finished and saved first."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

REQUESTS = (signal.SIGTERM, signal.SIGINT)
ECHO = 2.0
"""Seconds within which a second signal is the same request: a terminal and a launcher both pass one on."""


@contextmanager
def stop_signals() -> Iterator[list[float]]:
    """A list that SIGTERM or SIGINT fills, so that a step is finished and saved; a later one acts as it used to."""
    received: list[float] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(time.monotonic())
        if received[-1] - received[0] > ECHO:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    for number in REQUESTS:
        before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number in REQUESTS:
            signal.signal(number, before[number])


def leave_signals_to_parent(worker: int) -> None:
    """Makes a loader's worker go on when its whole process group is asked to stop; it ends with its parent."""
    del worker
    for number in REQUESTS:
        signal.signal(number, signal.SIG_IGN)
