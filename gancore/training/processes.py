"""What the processes of a training exchange; with a single process nothing is sent."""

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
    """Turns the errors of an exchange in which a process is missing into LostProcessError."""
    try:
        yield
    except RuntimeError as error:  # gloo and NCCL have their own errors for a connection that ended
        raise LostProcessError(
            "another process of this training has ended or cannot be reached; the last checkpoint is whole, and the "
            "same command goes on from it"
        ) from error


def ask_main_process(accelerator: Accelerator, decide: Callable[[], Result]) -> Result:
    """What the main process decides, in every process.

    Raises what `decide` raises in the main process, and in the others ValueError with the same message.
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
    """Acts in every process, and returns what came of it in this one.

    Raises ValueError in all of them if it fails in any, which the message names unless it fails in all.
    """
    if accelerator.num_processes == 1:
        return act()
    result: Any = None
    failure: Exception | None = None
    try:
        result = act()
    except (ValueError, OSError, MemoryError) as error:
        failure = error
    said = None if failure is None else f"process {accelerator.process_index} on {socket.gethostname()}: {failure}"
    everything: list[str | None] = [None] * accelerator.num_processes
    with _exchange():
        torch.distributed.all_gather_object(everything, said)
    failures = [each for each in everything if each is not None]
    if failure is not None and len(failures) == accelerator.num_processes:
        raise failure
    if failures:
        raise ValueError(failures[0]) from failure
    return result


def wait_for_all(accelerator: Accelerator) -> None:
    """Waits until every process has come here."""
    with _exchange():
        accelerator.wait_for_everyone()


def broadcast_(tensor: Tensor, accelerator: Accelerator) -> None:
    """Overwrites the tensor with that of the main process."""
    if accelerator.num_processes > 1:
        with _exchange():
            torch.distributed.broadcast(tensor, 0)


def average_gradients(network: nn.Module, accelerator: Accelerator) -> None:
    """Averages the gradients over the processes in one exchange.

    Unlike DistributedDataParallel it allows several passes, second derivatives, recomputation and parameters that
    an update leaves out.
    """
    if accelerator.num_processes == 1:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()]
    flat = _mean(torch.cat([gradient.flatten() for gradient in gradients]), accelerator)
    sizes = [gradient.numel() for gradient in gradients]
    for parameter, gradient in zip(network.parameters(), flat.split(sizes), strict=True):
        parameter.grad = gradient.view_as(parameter)


def average_terms(terms: Iterable[Tensor], accelerator: Accelerator) -> Float[Tensor, " terms"]:
    """Averages scalars over the processes in one exchange."""
    return _mean(torch.stack([term.float() for term in terms]), accelerator)


def _mean(values: Tensor, accelerator: Accelerator) -> Tensor:
    if accelerator.num_processes == 1:
        return values
    with _exchange():
        return accelerator.reduce(values, reduction="mean")


def any_process(flag: bool, accelerator: Accelerator) -> bool:
    """Whether the flag is set in any process, so that all stop at the same step."""
    if accelerator.num_processes == 1:
        return flag
    number = torch.tensor(float(flag))
    with _exchange():
        torch.distributed.all_reduce(number, group=_hosts())
    return bool(number)


def main_process_number(number: float, accelerator: Accelerator) -> float:
    """The number that the main process has."""
    if accelerator.num_processes == 1:
        return number
    shared = torch.tensor(number, dtype=torch.float64)
    with _exchange():
        torch.distributed.broadcast(shared, 0, group=_hosts())
    return float(shared)


@cache
def _hosts() -> torch.distributed.ProcessGroup:
    """The processes, for what they say to each other from CPU to CPU while their devices are busy."""
    return cast(torch.distributed.ProcessGroup, torch.distributed.new_group(backend="gloo"))
