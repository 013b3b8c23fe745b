"""SIGTERM and SIGINT as requests: what is at work is finished and saved first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

REQUESTS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that SIGTERM or SIGINT fills, so that a step is finished and saved; a second signal acts as it used to."""
    received: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)
        signal.signal(number, before[number])

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
