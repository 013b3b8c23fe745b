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
"""Seconds within which a second signal counts as the same request, since terminal and launcher both send one."""


_PR_SET_PDEATHSIG = 1


def end_with_parent(number: int) -> None:
    """Ask for this signal once the parent process ends, however that happens; only Linux can do that."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


@contextmanager
def catch_stop_signals() -> Iterator[list[float]]:
    """Yields a list that is filled by SIGTERM and SIGINT, for the loop to stop after its step.

    A signal later than DUPLICATE_SECONDS after the first has its former effect, which ends the process. The end of a
    child interrupts nothing: the loader, which else would raise in the middle of a step, finds out where it waits.
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
    former[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        yield received
    finally:
        for caught, handler in former.items():
            signal.signal(caught, handler)
