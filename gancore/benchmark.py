"""Measures time, arithmetic and peak memory of work on this machine."""

import multiprocessing
import resource
import sys
import time
import weakref
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
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakIdKeyDictionary

from gancore.reporting.tables import format_table
from gancore.training.protocols import Batch
from gancore.training.trainer import Trainer

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """Time, arithmetic and memory of a piece of work."""

    seconds: float
    """Median time in seconds over the repeats."""
    flops: int
    """Floating-point operations of its matrix products and convolutions; a multiply-add counts twice."""
    peak_bytes: int
    """Peak memory in bytes since the process started: resident memory on a CPU, allocated memory on a GPU."""


@dataclass(frozen=True)
class Throughput:
    """Training and inference cost of a preset, per batch."""

    batch_size: int
    generator_parameters: int
    """Parameters of the generator, including its encoder."""
    discriminator_parameters: int
    """Parameters of the discriminator."""
    training_cost: Cost
    inference_cost: Cost
    """Cost of one result per item of the batch."""
    matmul_rate: float
    """Rate of a large matrix product in the same process, in floating-point operations per second."""


def measure_cost(work: Callable[[], object], *, repeats: int, device: torch.device) -> Cost:
    """The cost of the work, which runs twice before it is timed: once to warm up, once to count operations."""
    work()
    with OperationCounter() as counted:
        work()
    return Cost(measure_seconds(work, repeats=repeats, device=device), counted.total, measure_peak_bytes(device))


class OperationCounter(TorchDispatchMode):
    """Counts like FlopCounterMode, but without module hooks, which break gradients with respect to module inputs."""

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


class LiveBytes(TorchDispatchMode):
    """Follows the bytes of all tensors that are made on a device and are still alive; the meta device's as well."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device, self.live, self.peak = device, 0, 0
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.device.type == self.device.type:
                self._note(tensor.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._known:
            size = storage.nbytes()
            self._known[storage] = None
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.live -= size


def count_parameters(module: nn.Module) -> int:
    """The number of parameters of the module."""
    return sum(parameter.numel() for parameter in module.parameters())


def measure_training_cost(trainer: Trainer, batch: Batch, *, every: int, repeats: int) -> Cost:
    """The mean cost of a training step, over `every` steps of which one has gradient penalties."""

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
    """Median time of the work in seconds."""
    return median(time_once(work, device) for _ in range(repeats))


def time_once(work: Callable[[], object], device: torch.device) -> float:
    """The time of the work in seconds, until the device has done it."""
    _synchronise(device)
    begun = time.perf_counter()
    work()
    _synchronise(device)
    return time.perf_counter() - begun


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_matmul_rate(
    device: torch.device, *, size: int = 1024, repeats: int = 9, dtype: torch.dtype = torch.float32
) -> float:
    """Floating-point operations per second of the product of two square matrices."""
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    torch.mm(a, b)
    return 2 * size**3 / measure_seconds(lambda: torch.mm(a, b), repeats=repeats, device=device)


def format_throughput_table(speeds: Mapping[str, Throughput], *, item: str, inference: str) -> str:
    """A table of the costs of presets; `item` names the items of a batch, `inference` what the trained model does."""
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
    """The cells of one row of that table."""
    return [
        str(speed.batch_size),
        f"{parameters / 1e6:.2f} M",
        f"{speed.batch_size / cost.seconds:.2f}",
        f"{cost.peak_bytes / 2**20:.0f} MiB",
        f"{cost.flops / speed.batch_size / 1e9:.2f}",
        f"{cost.flops / cost.seconds / speed.matmul_rate:.0%} of {speed.matmul_rate / 1e9:.0f} GFLOP/s",
    ]


def measure_peak_bytes(device: torch.device) -> int:
    """Peak memory in bytes, as in `Cost.peak_bytes`."""
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
    """Runs the function in a new process, so that its peak memory is its own, and returns its result.

    Raises ValueError if the process is killed, as it is where memory runs out.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool as error:
            raise ValueError("a measuring process was killed, probably for want of memory") from error
