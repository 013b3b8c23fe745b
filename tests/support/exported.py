"""Graphs that `vidvox export` writes, run without the networks that they were made of."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from onnxruntime import InferenceSession, SessionOptions

from gancore.hub import HubModel

ROOT = Path(__file__).resolve().parents[2]
RUN_PROGRAM = """
import sys, numpy, torch
program, inputs, outputs = sys.argv[1:]
with numpy.load(inputs) as given:
    tensors = [torch.from_numpy(given[name]) for name in given.files]
numpy.savez(outputs, *[each.detach().numpy() for each in torch.export.load(program).module()(*tensors)])
"""


def run_apart(*words: str, cwd: Path) -> str:
    """Run Python in a process whose shapes are not checked, which the compiler of PyTorch does not read."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Exported:
    """The graphs of a model that `vidvox export` wrote to a folder, to be run by name."""

    def __init__(self, model: HubModel | Path, folder: Path, suffix: str, *flags: str):
        if isinstance(model, HubModel):
            model.save_pretrained(folder / "model")
            model = folder / "model"
        self.folder = folder
        self.said = run_apart("-m", "vidvox", "export", str(model), "-o", f"it{suffix}", *flags, cwd=folder)
        self.about = json.loads((folder / "it.json").read_text())
        self.graphs = self.about["graphs"]
        self.sessions: dict[str, InferenceSession] = {}
        self.options = SessionOptions()
        self.options.intra_op_num_threads, self.options.log_severity_level = 1, 3

    def run(self, graph: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs of a graph by name."""
        described = self.graphs[graph]
        assert list(inputs) == list(described["inputs"])
        file = self.folder / described["file"]
        if file.suffix == ".onnx":
            if graph not in self.sessions:
                self.sessions[graph] = InferenceSession(file, self.options)
            outputs = self.sessions[graph].run(None, inputs)
        else:
            np.savez(self.folder / "in.npz", **inputs)
            run_apart("-c", RUN_PROGRAM, str(file), "in.npz", "out.npz", cwd=self.folder)
            with np.load(self.folder / "out.npz") as stored:
                outputs = [stored[name] for name in stored.files]
        return dict(zip(described["outputs"], outputs, strict=True))
