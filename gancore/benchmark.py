"""What work costs on the machine at hand: time, memory, and the share of the arithmetic it could have done."""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping
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

from gancore.reporting.tables import format_table
from gancore.training.trainer import Batch, Trainer

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """What a piece of work took."""

    seconds: float
    """Median over the repeats."""
    flops: int
    """Multiplications and additions in matrix products and convolutions."""
    peak_bytes: int
    """Most bytes held at once since the process began: of its memory on a CPU, of allocated memory on a GPU."""


@dataclass(frozen=True)
class Throughput:
    """What a preset costs a batch."""

    batch_size: int
    generator_parameters: int
    """Parameters, with those of an encoder."""
    discriminator_parameters: int
    """Parameters."""
    training_cost: Cost
    inference_cost: Cost
    """Of one result for each item of the batch."""
    matmul_rate: float
    """The rate of a large matrix product in the same process, in floating-point operations a second."""


def measure_cost(work: Callable[[], object], *, repeats: int, device: torch.device) -> Cost:
    """The cost of the work, which is done twice before the clock runs: once to warm up, once to count."""
    work()
    with OperationCounter() as counted:
        work()
    return Cost(measure_seconds(work, repeats=repeats, device=device), counted.total, measure_peak_bytes(device))


class OperationCounter(TorchDispatchMode):
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


def count_parameters(module: nn.Module) -> int:
    """How many parameters it has."""
    return sum(parameter.numel() for parameter in module.parameters())


def measure_training_cost(trainer: Trainer, batch: Batch, *, every: int, repeats: int) -> Cost:
    """The cost of a step, on average over `every` steps of which the first has gradient penalties."""

    def cost_at(step: int) -> Cost:
        trainer.step = step
        work = partial(trainer.train_step, repeat(batch))
        return measure_cost(work, repeats=repeats, device=trainer.accelerator.device)

    full = cost_at(0)
    plain = cost_at(every - 1) if every > 1 else full
    return Cost(
        (full.seconds + (every - 1) * plain.seconds) / every,
        (full.flops + (every - 1) * plain.flops) // every,
        max(full.peak_bytes, plain.peak_bytes),
    )


def measure_seconds(work: Callable[[], object], *, repeats: int, device: torch.device) -> float:
    """The median time of the work."""
    return median(_time_once(work, device) for _ in range(repeats))


def _time_once(work: Callable[[], object], device: torch.device) -> float:
    _synchronise(device)
    begun = time.perf_counter()
    work()
    _synchronise(device)
    return time.perf_counter() - begun


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_matmul_rate(device: torch.device, *, size: int = 1024, repeats: int = 9) -> float:
    """Floating-point operations a second in the product of two square float32 matrices."""
    a, b = torch.randn(2, size, size, device=device)
    torch.mm(a, b)
    return 2 * size**3 / measure_seconds(lambda: torch.mm(a, b), repeats=repeats, device=device)


def format_throughput_table(speeds: Mapping[str, Throughput], *, item: str, inference: str) -> str:
    """A table of what presets cost; `item` is what a batch is made of, and `inference` what the trained model does."""
    rows = {}
    for name, speed in speeds.items():
        both = speed.generator_parameters + speed.discriminator_parameters
        rows[f"{name}: training step"] = format_cost_cells(speed.training_cost, speed, parameters=both)
        rows[f"{name}: {inference}"] = format_cost_cells(
            speed.inference_cost, speed, parameters=speed.generator_parameters
        )
    heads = ["batch", "parameters", f"{item}s/s", "peak memory", f"GFLOP/{item}", "share of matmul 1024^3"]
    return format_table("", heads, rows)


def format_cost_cells(cost: Cost, speed: Throughput, *, parameters: int) -> list[str]:
    """A row of that table."""
    return [
        str(speed.batch_size),
        f"{parameters / 1e6:.2f} M",
        f"{speed.batch_size / cost.seconds:.2f}",
        f"{cost.peak_bytes / 2**20:.0f} MiB",
        f"{cost.flops / speed.batch_size / 1e9:.2f}",
        f"{cost.flops / cost.seconds / speed.matmul_rate:.0%} of {speed.matmul_rate / 1e9:.0f} GFLOP/s",
    ]


@dataclass(frozen=True)
class Comparison:
    """Our work on so many items, beside the plain library call that does the same, where there is one."""

    work: Callable[[], object]
    item_count: int
    library_name: str = ""
    library_call: Callable[[], object] | None = None


def format_comparison_table(title: str, contests: Mapping[str, Comparison], *, repeats: int) -> str:
    """A table of seconds a hundred items, and of what the library calls take."""
    rows = {}
    for name, contest in contests.items():
        ours, theirs = (
            _seconds_per_hundred(work, contest.item_count, repeats) for work in (contest.work, contest.library_call)
        )
        beside = [contest.library_name, f"{theirs:.3f}", f"{ours / theirs:.2f}"] if theirs else ["-", "-", "-"]
        rows[name] = [f"{ours:.3f}", *beside]
    return format_table(title, ["s / 100", "library call", "its s / 100", "ours / library"], rows)


def _seconds_per_hundred(work: Callable[[], object] | None, items: int, repeats: int) -> float:
    if work is None:
        return 0.0
    work()
    return 100 / items * measure_seconds(work, repeats=repeats, device=torch.device("cpu"))


def measure_peak_bytes(device: torch.device) -> int:
    """See Cost.peak."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts what the parent held when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_in_subprocess(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """The function's result from a fresh process, so that its peak memory is its own.

    Raises ValueError if the process is killed, as it is where memory runs out.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool as error:
            raise ValueError("a measuring process was killed, probably for want of memory") from error
