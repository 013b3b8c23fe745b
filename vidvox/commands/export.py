"""vidvox export: exports a model as ONNX or torch.export graphs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gancore.files.outputs import check_outputs
from gancore.model_files import find_model, list_model_inputs, locate_model_file, read_model_config
from gancore.parsing import parse_config, report_user_errors
from vidgan.commands import SIZE
from vidvox.kinds import require_kind

SUFFIXES = (".onnx", ".pt2")
NEEDED = ("onnx", "onnxscript")
"""Packages needed to write ONNX."""
CLASSES = ("FramePredictor", "VideoGenerator", "ClipTranslator", "ImageToVoxels", "VoxelGenerator")


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Export a model as graphs that run without this package: ONNX, or torch.export programs."""

    model: str
    """Run folder, folder of a model, or name of one on the Hub."""

    out: Path
    """NAME.onnx, or NAME.pt2 for torch.export. If a model has several graphs, each is written to NAME-GRAPH.onnx.
    NAME.json describes inputs and outputs."""

    size: str | None = None
    """Size of a predictor's frames or a translator's source frames as HEIGHTxWIDTH, which is fixed in the graphs; the
    trained size if not given."""

    steps: int | None = None
    """Number of frames of a clip that is generated, predicted or translated as a whole, which is fixed in the graph;
    the trained number if not given."""

    overwrite: bool = False
    """Replace existing files."""

    def __post_init__(self) -> None:
        if self.out.suffix not in SUFFIXES:
            raise ValueError(f"cannot write {self.out}: its suffix must be one of {', '.join(SUFFIXES)}")
        if self.size is not None and not SIZE.fullmatch(self.size):
            raise ValueError(f"size should be HEIGHTxWIDTH, not {self.size}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Write the graphs of a model, and print the files and their sizes."""
    config = parse_config(
        ExportConfig,
        argv,
        prog=prog,
        positional=["model"],
        examples="""
            vidvox export vidvox/predict-small -o predict.onnx --size 120x160
            vidvox export vidvox/upscale-2 -o upscale.onnx --size 180x320 --steps 8
            vidvox export runs/shapes -o shapes.onnx
            vidvox export runs/mine -o mine.pt2
        """,
    )
    kind = require_kind(config.model, *CLASSES)
    if config.size is not None and kind not in ("FramePredictor", "ClipTranslator"):
        raise ValueError("size: only predictors and translators can be exported at another size than trained")
    names = list_graphs(kind, read_model_config(locate_model_file(find_model(config.model), "config.json"))[1])
    if config.steps is not None and not {"generate", "predict", "translate"} & set(names):
        raise ValueError("steps: only models of whole clips are exported with a number of frames; leave it out")
    if "predict" in names and config.out.suffix == ".onnx":
        raise ValueError("ONNX lacks eigenvectors and Fourier transforms, which sprite predictors need: write .pt2")
    description = config.out.with_suffix(".json")
    files = {name: config.out.with_stem(f"{config.out.stem}-{name}") for name in names}
    if len(names) == 1:
        files = {names[0]: config.out}
    check_outputs(
        [*files.values(), description],
        inputs=list_model_inputs(config.model),
        overwrite=config.overwrite,
        are_files=True,
    )
    if config.out.suffix == ".onnx" and (missing := [name for name in NEEDED if not find_spec(name)]):
        raise ValueError(f"ONNX needs {' and '.join(missing)}: pip install 'vidvox[export]', or write .pt2 without")

    from gancore.graphs import write_graphs
    from vidvox.graphs import build_model_graphs

    height, width = map(int, re.split("[x,]", config.size)) if config.size else (None, None)
    graphs, about = build_model_graphs(config.model, height=height, width=width, steps=config.steps)
    write_graphs(files, graphs, description, about=about)
    for path in (*files.values(), description):
        print(f"{path}: {path.stat().st_size / 1e6:.3g} MB")


def list_graphs(kind: str, settings: Mapping[str, Any]) -> list[str]:
    """The names of the graphs of a model, by its class and the settings of its constructor."""
    generator = settings.get("generator" if kind == "ImageToVoxels" else "config", {})
    if kind == "VideoGenerator":
        return ["generate"]
    if kind == "ClipTranslator":
        return ["translate"]
    if kind == "FramePredictor":
        return ["predict"] if generator.get("output") == "sprites" else ["encode", "step"]
    draws_components = generator.get("latent_prior") in ("aggregate", "mixture")
    return ["encode"] * (kind == "ImageToVoxels") + ["decode"] + ["draw"] * draws_components
