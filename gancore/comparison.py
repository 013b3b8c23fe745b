"""Work of ours beside what else does the same: timed in turn, in one process, with the spread of the times."""

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import torch

from gancore.benchmark import OperationCounter, measure_matmul_rate, time_once

OURS = "vidvox"
"""What our side is called in tables."""


@dataclass(frozen=True)
class Comparison:
    """Our work on a number of items, and by names what else does the same."""

    work: Callable[[], object]
    item_count: int = 1
    others: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    """Parameters of the networks of both sides by their names, ours under OURS; their operations are counted too."""
    seconds: float = 20.0
    """Time after which no further repetition begins, once there are three."""


@dataclass(frozen=True)
class Timing:
    """Times of one side of a comparison, in seconds an item."""

    median: float
    least: float
    most: float
    flops: int | None = None
    """Floating-point operations of matrix products and convolutions an item, where they were counted."""
    parameters: int | None = None


def time_in_turn(comparison: Comparison, *, repeats: int, device: torch.device) -> dict[str, Timing]:
    """The times of both sides, ours first, each side once in every repetition, after one that does not count.

    Who begins changes from repetition to repetition, so that what else happens on the machine hits all alike.
    """
    sides = {OURS: comparison.work, **comparison.others}
    counts: dict[str, int | None] = dict.fromkeys(sides)
    for name, work in sides.items():
        if name in comparison.parameters:
            with OperationCounter() as counter:
                work()
            counts[name] = counter.total // comparison.item_count
        else:
            work()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(repeats):
        if number >= min(3, repeats) and sum(map(sum, taken.values())) > comparison.seconds:
            break
        for name in names[number % len(names) :] + names[: number % len(names)]:
            taken[name].append(time_once(sides[name], device) / comparison.item_count)
    return {
        name: Timing(median(each), min(each), max(each), counts[name], comparison.parameters.get(name))
        for name, each in taken.items()
    }


def format_timings(item: str, timings: Mapping[str, Mapping[str, Timing]]) -> str:
    """A Markdown table: for each work a row of each side, and how many times as long the others take as we do."""
    networks = any(timing.flops is not None for sides in timings.values() for timing in sides.values())
    heads = ["", "by", f"ms per {item}", "least - most", *(["parameters", "GFLOP"] if networks else []), "times ours"]
    lines = [heads, ["---"] * 2 + ["---:"] * (len(heads) - 2)]
    for name, sides in timings.items():
        for side, timing in sides.items():
            ratio = "" if side == OURS else f"{timing.median / sides[OURS].median:.2f}"
            lines.append([name if side == OURS else "", side, *_cells(timing, networks=networks), ratio])
    return _to_markdown(lines)


def _to_markdown(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _cells(timing: Timing, *, networks: bool) -> list[str]:
    cells = [_milliseconds(timing.median), f"{_milliseconds(timing.least)} - {_milliseconds(timing.most)}"]
    if networks:
        cells.append("" if timing.parameters is None else f"{timing.parameters / 1e6:.2f} M")
        cells.append("" if timing.flops is None else f"{timing.flops / 1e9:.2f}")
    return cells


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g}" if seconds < 1 else f"{1000 * seconds:.0f}"


def timings_to_json(timings: Mapping[str, Mapping[str, Timing]]) -> dict[str, Any]:
    """The same as plain data, times in seconds an item."""
    return {name: {side: asdict(timing) for side, timing in sides.items()} for name, sides in timings.items()}


def measure_limits(device: torch.device, *, repeats: int) -> dict[str, float]:
    """What the machine can do at best: products of matrices in float32 and bfloat16 (FLOP/s), copying (bytes/s)."""
    block = torch.ones(2**26, dtype=torch.uint8, device=device)
    copied = median(time_once(block.clone, device) for _ in range(repeats + 1))
    return {
        "matmul 1024^3, float32 (FLOP/s)": measure_matmul_rate(device, repeats=repeats),
        "matmul 1024^3, bfloat16 (FLOP/s)": measure_matmul_rate(device, repeats=repeats, dtype=torch.bfloat16),
        "memory, read and written (bytes/s)": 2 * block.nbytes / copied,
    }


def describe_machine(device: torch.device) -> str:
    """The processor, the number of threads, and the versions of Python and torch."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else _processor()
    threads = torch.get_num_threads()
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{name}, {threads} CPU thread{'s' * (threads > 1)}, {versions}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def format_limits(limits: Mapping[str, float]) -> str:
    """A Markdown table of what the machine can do, in units of 10^9 a second."""
    rows = [(name, f"{value / 1e9:.1f}") for name, value in limits.items()]
    return _to_markdown([("limit of this machine", "10^9"), ("---", "---:"), *rows])
