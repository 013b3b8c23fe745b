"""Batches of a training, and what is said where they cannot be read."""

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
class Preparation:
    """What a process has for the next step."""

    batches: list[Batch]
    failure: str | None
    """Why it has no batches."""
    leave: bool
    """Whether any process wants to leave before the step."""


class LoadingError(ValueError):
    """Data that cannot be read in the middle of a training, whose state is whole; the message says why in one line."""


@contextmanager
def open_batches(loader: DataLoader) -> Iterator[Iterator[Batch]]:
    """The batches of a loader, whose processes end with the block, whatever still refers to them."""
    batches = iter(loader)
    try:
        yield batches
    finally:
        if isinstance(batches, _MultiProcessingDataLoaderIter):
            batches._shutdown_workers()


def read_batches(batches: Iterator[Batch], count: int) -> list[Batch]:
    """Reads the next batches. Raises LoadingError if an item cannot be read, or a process that reads them has ended."""
    try:
        return list(islice(batches, count))
    except (ValueError, OSError, EOFError, RuntimeError, MemoryError) as error:
        raise LoadingError(describe_failure(error)) from error


def prepare_step(batches: Iterator[Batch], count: int, *, stop: bool, accelerator: Accelerator) -> Preparation:
    """Reads the batches of a step, none if it is not to come, and asks the others whether they have theirs."""
    ready: list[Batch] = []
    failure = None
    try:
        ready = read_batches(batches, 0 if stop else count)
    except LoadingError as error:
        logging.getLogger(__name__).debug("data could not be read", exc_info=True)
        failure = str(error)
    return Preparation(ready, failure, any_process(stop or failure is not None, accelerator))


def raise_failure(preparation: Preparation, accelerator: Accelerator) -> None:
    """Raises ValueError in every process if any could not read its batches, as the message says."""

    def act() -> None:
        if preparation.failure is not None:
            raise LoadingError(preparation.failure)

    in_every_process(accelerator, act)


def describe_failure(error: BaseException) -> str:
    """Says in one line why data could not be read, without the traceback that a loader's process sends."""
    text = str(error).strip()
    lost = isinstance(error, EOFError | ConnectionError)  # it had a batch ready, which went with it
    if lost or "exited unexpectedly" in text or "killed by signal" in text:
        return "a process that reads data was killed or ran out of memory; fewer data.workers need less of it"
    if text.startswith("Caught "):  # the last line of the traceback is TYPE: MESSAGE
        text = text.splitlines()[-1].partition(": ")[2] or text.splitlines()[-1]
    text = " ".join(text.split()) or type(error).__name__
    return f"reading data takes more memory than there is ({text})" if isinstance(error, MemoryError) else text


def begin_worker(worker: int) -> None:
    """Prepares a loader's process: it ends with its parent and not before, or with a batch that it cannot hand over."""
    del worker
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    queues.Queue._on_queue_feeder_error = staticmethod(_end_worker)  # type: ignore[attr-defined]


def _end_worker(error: Exception, _: Any) -> NoReturn:
    """Ends this process, for whose batch the training would wait for ever; /dev/shm may be full."""
    try:
        print(f"a batch cannot be handed over: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    finally:
        os._exit(1)
