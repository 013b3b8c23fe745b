"""SIGTERM and SIGINT as requests to stop: the current step is finished and saved first."""

import ctypes
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
DUPLICATE_SECONDS = 2.0
"""Seconds within which a second signal counts as the same request: the terminal and the launcher both send one."""


_PR_SET_PDEATHSIG = 1


def end_with_parent(number: int) -> None:
    """Ask the kernel for this signal when the parent process ends for any reason; does nothing outside Linux."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


@contextmanager
def catch_stop_signals() -> Iterator[list[float]]:
    """Yields a list that grows with each SIGTERM or SIGINT; the loop stops after a step once it is not empty.

    A signal more than DUPLICATE_SECONDS after the first goes to the former handler, which ends the process. SIGCHLD is
    ignored: torch's handler would raise in the middle of a step when a loader's worker dies, whereas the loader itself
    notices when it next waits for a batch.
    """
    received: list[float] = []
    former: dict[int, Any] = {}

    def record(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(time.monotonic())
        if received[-1] - received[0] > DUPLICATE_SECONDS:
            signal.signal(number, former[number])
            signal.raise_signal(number)

    for number in STOP_SIGNALS:
        former[number] = signal.signal(number, record)
    former[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        yield received
    finally:
        for caught, handler in former.items():
            signal.signal(caught, handler)
