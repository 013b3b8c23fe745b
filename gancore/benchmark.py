"""What work costs on the machine at hand: time, memory, and the share of the arithmetic it could have done."""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import ParamSpec, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

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
    with FlopCounterMode(display=False) as counter:
        work()
    return Cost(seconds(work, repeats=repeats, device=device), counter.get_total_flops(), peak_bytes(device))


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
