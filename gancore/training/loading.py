"""Reading the batches of a training run, in step with all processes, and errors for data that cannot be read."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import queues
from typing import Any, NoReturn

from accelerate import Accelerator
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from gancore.training.processes import any_process, in_every_process
from gancore.training.protocols import Batch
from gancore.training.signals import STOP_SIGNALS


@dataclass(frozen=True)
class PreparedStep:
    """The batches of this process for the next step, or why there are none."""

    batches: list[Batch]
    failure: str | None
    """Why this process could not read its batches; None if it could."""
    stop: bool
    """Whether any process stops before this step, so that all must."""


class LoadingError(ValueError):
    """Data that could not be read during training; the state of the training is intact. One line says why."""


@contextmanager
def open_batches(loader: DataLoader) -> Iterator[Iterator[Batch]]:
    """The batches of a loader, whose worker processes end with the block even if something still refers to them."""
    batches = iter(loader)
    try:
        yield batches
    finally:
        if isinstance(batches, _MultiProcessingDataLoaderIter):
            batches._shutdown_workers()


def read_batches(batches: Iterator[Batch], count: int) -> list[Batch]:
    """Reads the next `count` batches. Raises LoadingError if an item cannot be read or a worker process has died."""
    try:
        return list(islice(batches, count))
    except (ValueError, OSError, EOFError, RuntimeError, MemoryError) as error:
        raise LoadingError(describe_failure(error)) from error


def prepare_step(batches: Iterator[Batch], count: int, *, stop: bool, accelerator: Accelerator) -> PreparedStep:
    """Reads the batches of the next step, and finds out whether any process stops or could not read its own.

    Args:
        batches: Where the batches come from.
        count: Number of batches of the step.
        stop: Whether this process stops before the step; then it reads nothing.
        accelerator: The processes of the training.
    """
    ready: list[Batch] = []
    failure = None
    try:
        ready = read_batches(batches, 0 if stop else count)
    except LoadingError as error:
        logging.getLogger(__name__).debug("data could not be read", exc_info=True)
        failure = str(error)
    return PreparedStep(ready, failure, any_process(stop or failure is not None, accelerator))


def raise_failure(prepared: PreparedStep, accelerator: Accelerator) -> None:
    """Raises ValueError in every process, with the reason, if any could not read its batches."""

    def raise_own() -> None:
        if prepared.failure is not None:
            raise LoadingError(prepared.failure)

    in_every_process(accelerator, raise_own)


def describe_failure(error: BaseException) -> str:
    """Says in one line why data could not be read, without the traceback that a worker process sends."""
    text = str(error).strip()
    lost = isinstance(error, EOFError | ConnectionError)  # the worker died while it handed over a batch
    if lost or "exited unexpectedly" in text or "killed by signal" in text:
        return "a process that reads data was killed or ran out of memory; fewer data.workers need less of it"
    if text.startswith("Caught "):  # the last line of the traceback is TYPE: MESSAGE
        text = text.splitlines()[-1].partition(": ")[2] or text.splitlines()[-1]
    text = " ".join(text.split()) or type(error).__name__
    return f"reading data takes more memory than there is ({text})" if isinstance(error, MemoryError) else text


def init_worker(worker: int) -> None:
    """Sets up a worker process of the loader: it ignores stop signals, and exits if it cannot hand over a batch."""
    del worker
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    queues.Queue._on_queue_feeder_error = staticmethod(_end_worker)  # type: ignore[attr-defined]


def _end_worker(error: Exception, _: Any) -> NoReturn:
    """Ends this worker, whose batch the training would otherwise wait for forever; /dev/shm may be full."""
    try:
        print(f"a batch cannot be handed over: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    finally:
        os._exit(1)
