"""Collective operations between the processes of a training run; all are trivial in a single process."""

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn

from gancore.errors import LostProcessError

Result = TypeVar("Result")


@contextmanager
def _exchange() -> Iterator[None]:
    """Turns the errors of a collective operation in which a process is missing into LostProcessError."""
    try:
        yield
    except RuntimeError as error:  # gloo and NCCL raise subclasses or plain ones when a connection ends
        raise LostProcessError(
            "another process of this training has ended or cannot be reached; the last checkpoint is whole, and the "
            "same command goes on from it"
        ) from error


def ask_main_process(accelerator: Accelerator, decide: Callable[[], Result]) -> Result:
    """Calls `decide` in the main process only, and returns its result in every process.

    If `decide` raises, the main process raises the same error, and the others a ValueError with the same message.
    """
    if accelerator.num_processes == 1:
        return decide()
    answer: list[Any] = [None, None]
    failure: Exception | None = None
    if accelerator.is_main_process:
        try:
            answer[0] = decide()
        except (ValueError, OSError, MemoryError) as error:
            failure, answer[1] = error, str(error) or type(error).__name__
    with _exchange():
        torch.distributed.broadcast_object_list(answer, 0)
    if failure is not None:
        raise failure
    if answer[1] is not None:
        raise ValueError(answer[1])
    return answer[0]


def in_every_process(accelerator: Accelerator, act: Callable[[], Result]) -> Result:
    """Calls `act` in every process, and returns the result of this one.

    If it fails in any process, all raise ValueError, which names the first failed process; if it fails in all, each
    raises its own error.
    """
    if accelerator.num_processes == 1:
        return act()
    result: Any = None
    failure: Exception | None = None
    try:
        result = act()
    except (ValueError, OSError, MemoryError) as error:
        failure = error
    message = None if failure is None else f"process {accelerator.process_index} on {socket.gethostname()}: {failure}"
    messages: list[str | None] = [None] * accelerator.num_processes
    with _exchange():
        torch.distributed.all_gather_object(messages, message)
    failures = [each for each in messages if each is not None]
    if failure is not None and len(failures) == accelerator.num_processes:
        raise failure
    if failures:
        raise ValueError(failures[0]) from failure
    return result


def wait_for_all(accelerator: Accelerator) -> None:
    """Waits until every process has called this."""
    with _exchange():
        accelerator.wait_for_everyone()


def broadcast_(tensor: Tensor, accelerator: Accelerator) -> None:
    """Overwrites the tensor with that of the main process."""
    if accelerator.num_processes > 1:
        with _exchange():
            torch.distributed.broadcast(tensor, 0)


def average_gradients(network: nn.Module, accelerator: Accelerator) -> None:
    """Averages the network's gradients over the processes in one collective operation.

    Unlike DistributedDataParallel this allows several passes, second derivatives, recomputation (checkpointing), and
    parameters without a gradient.
    """
    if accelerator.num_processes == 1:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()]
    flat = _mean(torch.cat([gradient.flatten() for gradient in gradients]), accelerator)
    sizes = [gradient.numel() for gradient in gradients]
    for parameter, gradient in zip(network.parameters(), flat.split(sizes), strict=True):
        parameter.grad = gradient.view_as(parameter)


def average_terms(terms: Iterable[Tensor], accelerator: Accelerator) -> Float[Tensor, " terms"]:
    """Averages scalars over the processes in one collective operation."""
    return _mean(torch.stack([term.float() for term in terms]), accelerator)


def _mean(values: Tensor, accelerator: Accelerator) -> Tensor:
    if accelerator.num_processes == 1:
        return values
    with _exchange():
        return accelerator.reduce(values, reduction="mean")


def any_process(flag: bool, accelerator: Accelerator) -> bool:
    """Whether the flag is set in any process."""
    if accelerator.num_processes == 1:
        return flag
    number = torch.tensor(float(flag))
    with _exchange():
        torch.distributed.all_reduce(number, group=_cpu_group())
    return bool(number)


def main_process_number(number: float, accelerator: Accelerator) -> float:
    """The main process's value of the number, in float64."""
    if accelerator.num_processes == 1:
        return number
    shared = torch.tensor(number, dtype=torch.float64)
    with _exchange():
        torch.distributed.broadcast(shared, 0, group=_cpu_group())
    return float(shared)


@cache
def _cpu_group() -> torch.distributed.ProcessGroup:
    """All processes in a gloo group, which communicates between CPUs without waiting for busy GPUs."""
    return cast(torch.distributed.ProcessGroup, torch.distributed.new_group(backend="gloo"))
