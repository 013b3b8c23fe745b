"""Processes that do one job at a time, and are ended and replaced when they die or take too long."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from gancore.training.signals import end_with_parent

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")

GRACE = 5.0
"""Seconds that a job has, after its time is over, to say so itself before its process is killed."""
DIED = "its process died: memory ran out, or a library crashed"


def run_in_processes(
    work: Callable[[Job], Outcome],
    jobs: Iterable[Job],
    *,
    workers: int,
    seconds: float,
    fail: Callable[[Job, str], Outcome],
    preload: str,
) -> Iterator[Outcome]:
    """The outcome of each job, in any order.

    A job that takes longer, or whose process dies, costs no other job: its outcome is that of `fail`, given the job and
    the reason. `work` is a function of a module; the module `preload` is imported once for all processes.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload([preload])
    remaining = iter(jobs)
    team = [_Worker(work, context, seconds) for _ in range(workers)]
    try:
        while True:
            for worker in team:
                if worker.job is None and (job := next(remaining, None)) is not None:
                    worker.start(job)
            busy = [worker for worker in team if worker.job is not None]
            if not busy:
                return
            soonest = min(worker.deadline for worker in busy) - time.monotonic()
            wait([worker.connection for worker in busy], None if math.isinf(soonest) else max(soonest, 0))
            for worker in busy:
                job = worker.job
                assert job is not None
                if (ended := worker.look()) is not None:
                    yield ended.outcome if ended.outcome is not None else fail(job, ended.reason)
    finally:
        for worker in team:
            worker.end()


class _Ended(Generic[Outcome]):
    """How a job ended: with an outcome, or with a reason why there is none."""

    def __init__(self, outcome: Outcome | None, reason: str = ""):
        self.outcome, self.reason = outcome, reason


class _Worker(Generic[Job, Outcome]):
    """A process and the job that it has, if any."""

    connection: Connection

    def __init__(self, work: Callable[[Job], Outcome], context: Any, seconds: float):
        self._work, self._context, self._seconds = work, context, seconds
        self._process: Any = None
        self.job: Job | None = None
        self.deadline = math.inf
        """When the job's time is over; never while its process starts."""

    def start(self, job: Job) -> None:
        """Gives the process a job; a new process gets it as soon as it is ready."""
        self.job = job
        if self._process is None:
            self.connection, theirs = self._context.Pipe()
            self._process = self._context.Process(target=_serve, args=(self._work, theirs), daemon=True)
            self._process.start()
            theirs.close()
        else:
            self._send()

    def _send(self) -> None:
        with suppress(OSError):  # a process that died is noticed when its answer is read
            self.connection.send(self.job)
        self.deadline = time.monotonic() + self._seconds + GRACE

    def look(self) -> _Ended[Outcome] | None:
        """How the job ended, None while it goes on."""
        try:
            if self.connection.poll():
                answer = self.connection.recv()
                if isinstance(answer, str) and answer == _READY:
                    self._send()
                    return None
                self.job, self.deadline = None, math.inf
                return _Ended(answer)
        except (EOFError, OSError):
            self.end()
            return _Ended(None, DIED)
        if time.monotonic() < self.deadline:
            return None
        self.end()
        return _Ended(None, too_long(self._seconds))

    def end(self) -> None:
        """Kills the process, whatever it does."""
        self.job, self.deadline = None, math.inf
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self.connection.close()
            self._process = None


_READY = "ready"


def _serve(work: Callable[[Any], Any], connection: Connection) -> None:
    end_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends this one
    os.environ["IGL_NUM_THREADS"] = "1"  # libigl would take all cores in each of the processes
    with suppress(EOFError, OSError):
        connection.send(_READY)
        while True:
            connection.send(work(connection.recv()))


def too_long(seconds: float) -> str:
    """The reason for giving up a job after this time."""
    return f"it took longer than {seconds / 60:g} minutes; max_minutes gives it more"


@contextmanager
def limit_time(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in the block when the time is over, as soon as Python has control.

    Outside of the main thread, where signals cannot be caught, there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError(too_long(seconds))

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again every second, should somebody catch the error
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
