"""SIGTERM and SIGINT as requests to stop: the current step is finished and saved first."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
DUPLICATE_SECONDS = 2.0
"""Seconds within which a second signal counts as the same request, since terminal and launcher both send one."""


@contextmanager
def catch_stop_signals() -> Iterator[list[float]]:
    """Yields a list that is filled by SIGTERM and SIGINT, for the loop to stop after its step.

    A signal later than DUPLICATE_SECONDS after the first has its former effect, which ends the process.
    """
    received: list[float] = []
    former: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(time.monotonic())
        if received[-1] - received[0] > DUPLICATE_SECONDS:
            signal.signal(number, former[number])
            signal.raise_signal(number)

    for number in STOP_SIGNALS:
        former[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, former[number])


def ignore_stop_signals(worker: int) -> None:
    """Keeps a loader's worker running when its process group is told to stop; it ends with its parent."""
    del worker
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
