"""vidvox export: a model as graphs that other programs run, by ONNX or torch.export."""

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
"""Packages that write ONNX."""
CLASSES = ("FramePredictor", "VideoGenerator", "ClipTranslator", "ImageToVoxels", "VoxelGenerator")


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Write a model as graphs that run without this package: ONNX, or programs of torch.export."""

    model: str
    """Run folder, folder of a model, or name of one on the Hub."""

    out: Path
    """NAME.onnx, or NAME.pt2 for torch.export. A model of several graphs becomes NAME-GRAPH.onnx each. NAME.json says
    what goes in and out."""

    size: str | None = None
    """Frame size of a predictor, or of what a translator is given, as HEIGHTxWIDTH, which is fixed in the graphs; as
    trained if not given."""

    steps: int | None = None
    """Frames of a clip that is generated, predicted or translated as a whole, which are fixed; as trained if not
    given."""

    overwrite: bool = False
    """Replace files that exist."""

    def __post_init__(self) -> None:
        if self.out.suffix not in SUFFIXES:
            raise ValueError(f"cannot write {self.out}: its suffix must be one of {', '.join(SUFFIXES)}")
        if self.size is not None and not re.fullmatch(SIZE, self.size):
            raise ValueError(f"size should be HEIGHTxWIDTH, not {self.size}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")


@report_user_errors
def main(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Write the graphs of a model, and print their files."""
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
        raise ValueError("size: only predictors and translators take frames of another size than they were trained on")
    names = list_graphs(kind, read_model_config(locate_model_file(find_model(config.model), "config.json"))[1])
    if config.steps is not None and not {"generate", "predict", "translate"} & set(names):
        raise ValueError("steps: only what is made as a whole has a number of them; this model has no such graph")
    if "predict" in names and config.out.suffix == ".onnx":
        raise ValueError("ONNX lacks the eigenvectors and Fourier transforms by which sprites are found: write .pt2")
    description = config.out.with_suffix(".json")
    files = {name: name_file(config.out, name, of=len(names)) for name in names}
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
    """The names of the graphs that a model becomes, by its class and its settings."""
    generator = settings.get("generator" if kind == "ImageToVoxels" else "config", {})
    if kind == "VideoGenerator":
        return ["generate"]
    if kind == "ClipTranslator":
        return ["translate"]
    if kind == "FramePredictor":
        return ["predict"] if generator.get("output") == "sprites" else ["encode", "step"]
    has_choice = generator.get("latent_prior") in ("aggregate", "mixture")
    return ["encode"] * (kind == "ImageToVoxels") + ["decode"] + ["draw"] * has_choice


def name_file(out: Path, graph: str, *, of: int) -> Path:
    """The file of one of `of` graphs: the output itself if it is the only one."""
    return out if of == 1 else out.with_stem(f"{out.stem}-{graph}")
