"""Graphs: networks with named inputs and outputs, written for other programs as ONNX or by torch.export."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancore.files.atomic import atomic_write, create_parents

DYNAMIC_SIZE = 2
"""Size of every dynamic axis in an example: one of 1 would be taken for fixed."""


@dataclass(frozen=True)
class Port:
    """An input or output of a graph."""

    name: str
    example: Tensor
    dynamic: tuple[str, ...] = ("batch",)
    """Names of the leading axes whose size is free; the others are fixed. In the example they have DYNAMIC_SIZE."""
    meaning: str = ""
    """What it holds, and in which range."""

    def describe(self) -> dict[str, Any]:
        """Shape, type and meaning, as they stand in the description of a graph."""
        shape = [*self.dynamic, *self.example.shape[len(self.dynamic) :]]
        described = {"shape": shape, "type": str(self.example.dtype).removeprefix("torch.")}
        return described | ({"meaning": self.meaning} if self.meaning else {})


@dataclass(frozen=True)
class Graph:
    """A network that takes tensors and returns a tuple of tensors, and what these are."""

    name: str
    network: nn.Module
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def describe(self) -> dict[str, Any]:
        """Its inputs and outputs by name, in their order."""
        return {
            "inputs": {port.name: port.describe() for port in self.inputs},
            "outputs": {port.name: port.describe() for port in self.outputs},
        }


def infer_outputs(
    name: str,
    network: nn.Module,
    inputs: tuple[Port, ...],
    outputs: Sequence[str],
    meanings: Mapping[str, str],
    *,
    dynamic: Mapping[str, tuple[str, ...]] | None = None,
) -> Graph:
    """The graph of a network, whose outputs of these names are described by running it; their first axis is free."""
    with torch.no_grad():
        examples = network.eval()(*(port.example for port in inputs))
    ports = (
        Port(output, example, (dynamic or {}).get(output, ("batch",)), meanings.get(output, ""))
        for output, example in zip(outputs, examples, strict=True)
    )
    return Graph(name, network, inputs, tuple(ports))


def write_graphs(
    files: Mapping[str, Path], graphs: Sequence[Graph], description: Path, *, about: Mapping[str, Any]
) -> None:
    """Write every graph to its file, by the suffix, .onnx or .pt2, and a JSON that says what goes in and out.

    Missing folders are created first, so that a mistake shows before the work.

    Args:
        files: The file of each graph, by its name.
        graphs: The graphs.
        description: The JSON file.
        about: What it says before the graphs.

    Raises:
        ValueError: A network has an operation that ONNX lacks.
        UnwritableError: A file cannot be written.
    """
    for path in (*files.values(), description):
        create_parents(path)
    with _quiet():
        converted = {
            graph.name: convert_to_onnx(graph, trace(graph)) if files[graph.name].suffix == ".onnx" else trace(graph)
            for graph in graphs
        }
        for name, program in converted.items():
            with atomic_write(files[name]) as partial:
                if isinstance(program, torch.export.ExportedProgram):
                    torch.export.save(program, partial)
                else:
                    program.save(partial)
    described = {graph.name: {"file": files[graph.name].name, **graph.describe()} for graph in graphs}
    with atomic_write(description) as partial:
        partial.write_text(json.dumps({**about, "graphs": described}, indent=2) + "\n", encoding="utf-8")


def convert_to_onnx(graph: Graph, program: torch.export.ExportedProgram) -> torch.onnx.ONNXProgram:
    """A traced graph in the operations of ONNX. Raises ValueError if it has one that ONNX lacks."""
    try:
        converted = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[port.name for port in graph.inputs],
            output_names=[port.name for port in graph.outputs],
            optimize=False,  # takes longer than all else, and ONNX Runtime does as well by itself
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(f"{graph.name} cannot be written as ONNX: {_find_reason(error)}; write .pt2") from error
    assert converted is not None
    symbols: dict[Any, Any] = {}  # the names that the exporter gave free axes
    for port, value in zip(graph.inputs, converted.model.graph.inputs, strict=True):
        assert value.shape is not None
        symbols |= {str(value.shape[axis]): name for axis, name in enumerate(port.dynamic)}
    converted.rename_axes(symbols)
    return converted


def trace(graph: Graph) -> torch.export.ExportedProgram:
    """The operations of a graph, with the free axes of its inputs.

    Those of a graph with free axes are found by the front end of the compiler, to which `len(tensor)` is no number but
    a free size; others by running it, which is quicker.
    """
    free = torch.export.Dim.DYNAMIC
    shapes = tuple(dict.fromkeys(range(len(port.dynamic)), free) for port in graph.inputs)
    examples = tuple(port.example for port in graph.inputs)
    network = _Positional(graph.network).eval().requires_grad_(False)
    return torch.export.export(network, examples, dynamic_shapes=(shapes,), strict=any(shapes))


class _Positional(nn.Module):
    """A network whose inputs have no names, so that free axes are given for all of them alike."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.network(*inputs)


def _find_reason(error: BaseException) -> str:
    """The operation that an exporter failed at, or else the first line of what it said."""
    found: BaseException | None = error
    while found is not None:
        if "No ONNX function found for" in str(found):
            return "it has no " + str(found).partition("op='")[2].partition("'")[0]
        found = found.__cause__
    return str(error).partition("\n")[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporters from speaking of their progress and of their own future."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
