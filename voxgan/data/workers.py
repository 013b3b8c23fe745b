"""Worker processes that do one job at a time, and are killed and replaced when they crash or take too long."""

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
"""Seconds between a job's time limit, at which it should stop by itself, and the killing of its process."""
DIED = "its process died: out of memory, or a library crashed"


def run_in_processes(
    work: Callable[[Job], Outcome],
    jobs: Iterable[Job],
    *,
    workers: int,
    seconds: float,
    fail: Callable[[Job, str], Outcome],
    preload: str,
) -> Iterator[Outcome]:
    """Yield the outcome of each job, in any order.

    Args:
        work: A module-level function that does a job.
        jobs: The jobs.
        workers: Number of processes.
        seconds: Time limit per job.
        fail: Returns the outcome of a job that exceeds the limit or whose process dies, given the job and the reason;
            other jobs are not affected.
        preload: Name of a module that is imported once for all processes.
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
        """When the process is killed, by time.monotonic(); never while it starts."""

    def start(self, job: Job) -> None:
        """Gives the process a job, after starting it if needed; a new process gets the job once it is ready."""
        self.job = job
        if self._process is None:
            self.connection, theirs = self._context.Pipe()
            self._process = self._context.Process(target=_serve, args=(self._work, theirs), daemon=True)
            self._process.start()
            theirs.close()
        else:
            self._send()

    def _send(self) -> None:
        with suppress(OSError):  # a dead process is noticed when its answer is read
            self.connection.send(self.job)
        self.deadline = time.monotonic() + self._seconds + GRACE

    def look(self) -> _Ended[Outcome] | None:
        """How the job ended; None while it is running."""
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
        """Kills the process."""
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
    os.environ["IGL_NUM_THREADS"] = "1"  # otherwise libigl uses all cores in each of the processes
    with suppress(EOFError, OSError):
        connection.send(_READY)
        while True:
            connection.send(work(connection.recv()))


def too_long(seconds: float) -> str:
    """The message for a job that exceeds this time limit."""
    return f"it took longer than {seconds / 60:g} minutes; raise max_minutes"


@contextmanager
def limit_time(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in the block after this time, as soon as the Python interpreter has control.

    There is no limit outside of the main thread, where signals cannot be handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError(too_long(seconds))

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # raised again every second, in case the error is caught
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
