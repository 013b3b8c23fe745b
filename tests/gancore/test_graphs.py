"""Graphs are described by their inputs and outputs, and what ONNX lacks is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from gancore.graphs import Graph, Port, infer_outputs, write_graphs

ROOT = Path(__file__).resolve().parents[2]
LACKING = """
import sys
from pathlib import Path
import torch
from torch import nn
from gancore.graphs import Port, infer_outputs, write_graphs


class Spread(nn.Module):
    def forward(self, x):
        return (torch.linalg.eigvalsh(x.mT @ x),)


graph = infer_outputs("spread", Spread(), (Port("x", torch.randn(2, 4, 3)),), ["y"], {})
folder = Path(sys.argv[1])
try:
    write_graphs({"spread": folder / "it.onnx"}, [graph], folder / "it.json", about={})
except ValueError as error:
    print(error)
"""


class Halves(nn.Module):
    def forward(self, x: torch.Tensor, place: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x.mean((2, 3)), x[:, place]


def halves() -> Graph:
    inputs = (
        Port("x", torch.zeros(2, 3, 4, 5), meaning="numbers"),
        Port("place", torch.tensor(1), dynamic=()),
    )
    return infer_outputs("halves", Halves(), inputs, ["mean", "row"], {"row": "one of them"})


def test_a_graph_says_what_goes_in_and_out_with_its_free_sizes_by_name():
    assert halves().describe() == {
        "inputs": {
            "x": {"shape": ["batch", 3, 4, 5], "type": "float32", "meaning": "numbers"},
            "place": {"shape": [], "type": "int64"},
        },
        "outputs": {
            "mean": {"shape": ["batch", 3], "type": "float32"},
            "row": {"shape": ["batch", 4, 5], "type": "float32", "meaning": "one of them"},
        },
    }


@pytest.mark.slow
def test_an_operation_that_onnx_lacks_is_named_and_nothing_is_written(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LACKING, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "spread cannot be written as ONNX: it has no aten._linalg_eigh; write .pt2\n"
    assert not list(tmp_path.iterdir())


class Twice(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (2 * x,)


def test_missing_folders_are_created(tmp_path):
    out = tmp_path / "new" / "models"
    graph = infer_outputs("twice", Twice(), (Port("x", torch.zeros(2, 3)),), ["y"], {})
    write_graphs({"twice": out / "it.pt2"}, [graph], out / "it.json", about={})
    assert {path.name for path in out.iterdir()} == {"it.pt2", "it.json"}
