"""What work costs on the machine at hand: time, memory, and the share of the arithmetic it could have done."""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any, ParamSpec, TypeVar

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gancore.trainer import Batch, Trainer

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """What a piece of work took."""

    seconds: float
    """Median over the repeats."""
    flops: int
    """Multiplications and additions in matrix products and convolutions."""
    peak: int
    """Most bytes held at once since the process began: of its memory on a CPU, of allocated memory on a GPU."""


def cost(work: Callable[[], object], *, repeats: int, device: torch.device) -> Cost:
    """The cost of the work, which is done twice before the clock runs: once to warm up, once to count."""
    work()
    with Operations() as counted:
        work()
    return Cost(seconds(work, repeats=repeats, device=device), counted.total, peak_bytes(device))


class Operations(TorchDispatchMode):
    """Counts as FlopCounterMode, but without hooks on modules, which break the gradient of what a module is given."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = flop_registry.get(func._overloadpacket)
        if count is None:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        self.total += count(*args, **kwargs, out_val=result) if count else 0
        return result


def size_of(module: nn.Module) -> int:
    """How many parameters it has."""
    return sum(parameter.numel() for parameter in module.parameters())


def training_cost(trainer: Trainer, batch: Batch, *, every: int, repeats: int) -> Cost:
    """The cost of a step, on average over `every` steps of which the first has gradient penalties."""
    costs = []
    for trainer.step in {0, every - 1}:
        work = partial(trainer.play, repeat(batch))
        costs.append(cost(work, repeats=repeats, device=trainer.accelerator.device))
    full, plain = costs[0], costs[-1]
    return Cost(
        (full.seconds + (every - 1) * plain.seconds) / every,
        (full.flops + (every - 1) * plain.flops) // every,
        max(full.peak, plain.peak),
    )


def seconds(work: Callable[[], object], *, repeats: int, device: torch.device) -> float:
    """The median time of the work."""
    return median(_once(work, device) for _ in range(repeats))


def _once(work: Callable[[], object], device: torch.device) -> float:
    _finish(device)
    begun = time.perf_counter()
    work()
    _finish(device)
    return time.perf_counter() - begun


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matmul_rate(device: torch.device, *, size: int = 1024, repeats: int = 9) -> float:
    """Floating-point operations a second in the product of two square float32 matrices."""
    a, b = torch.randn(2, size, size, device=device)
    torch.mm(a, b)
    return 2 * size**3 / seconds(lambda: torch.mm(a, b), repeats=repeats, device=device)


def peak_bytes(device: torch.device) -> int:
    """See Cost.peak."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts what the parent held when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def in_own_process(function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """The function's result from a fresh process, so that its peak memory is its own.

    Raises ValueError if the process is killed, as it is where memory runs out.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool as error:
            raise ValueError("a measuring process was killed, probably for want of memory") from error
