"""What is to be measured: the settings of an evaluation, and the clips and models that they name."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch

from gancore.parsing import to_dict
from vidgan.config import VideoDataConfig
from vidgan.data.dataset import open_dataset
from vidgan.evaluation.methods import EvaluationSet, FileMethod, Method, ModelMethod, load_model, spaced_indices
from vidgan.evaluation.predictions import ClipFiles, format_shape, open_ground_truth, open_predictions
from vidgan.evaluation.published import BenchmarkName
from vidgan.generate import read_run_config
from vidgan.networks.generator import FramePredictor
from vidgan.predict import select_device


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Measure a model on held-out clips, by default those of the run that its folder lies in, or a folder of clips."""

    model: str = ""
    """Folder of a trained FramePredictor or VideoGenerator (runs/NAME/generator), or the name of one on the Hub."""

    predictions: str = ""
    """Clips of another tool (files or folders of any kind): of the true clip X they are X.mp4, or X-0.mp4, X-1.mp4."""

    ground_truth: str = ""
    """The true clips that the predictions go with; a model that is given too predicts these clips."""

    context_frames: int = 0
    """Past frames at the start of every true clip in `truth`; predictions may hold them or not."""

    channels: int = 0
    """1 to compare files in grey, 3 in colour; 0 as the files of `truth` are (films and pictures are in colour)."""

    unpaired: bool = False
    """The predictions are clips made from noise, which as a set are to be like the true ones."""

    data: VideoDataConfig = field(default_factory=VideoDataConfig)
    """Which clips a model is measured on; what is not given is as in the config.json of its run, if there is one."""

    split: Literal["held-out", "train"] = "held-out"
    """Which part of the data; papers on synthesis often compare with the clips that were trained on."""

    samples: int = 8
    """Futures of each past that a model makes."""

    clips: int = 256
    """Clips of the data measured, evenly spaced; all of them if there are fewer. Of `truth` all are measured."""

    max_clips: int = 0
    """At most so many clips, for a quick look; 0 for no limit."""

    batch: int = 4
    """Clips at a time, which bounds the memory needed; the scores do not depend on it."""

    networks: tuple[str, ...] = ("auto",)
    """By what sets of clips are compared: i3d (FVD), transnet, efficientnet, colours; auto (colours, i3d); or none."""

    fvd_with_context: bool = True
    """Networks that see video judge each future with its past before it, as most published FVD do."""

    fvd_samples: int = 1
    """Futures of each past that are judged as a set."""

    feature_cache: str = ""
    """Folder that keeps features by the content of their clips, so that none is computed twice; empty keeps none."""

    benchmark: BenchmarkName = ""
    """Whose published figures stand beside the scores; if empty, those of the data set where its name is known."""

    seed: int = 0
    """Seed of all that is drawn."""

    out: str = ""
    """Folder for report.json and report.html; empty for none."""

    save_clips: str = ""
    """New folder for the clips that were measured, losslessly: truth/ and predictions/, as --truth takes them."""

    rating_page: str = ""
    """HTML page on which people choose between two clips, real or made, without being told which; empty for none."""

    rating_pairs: int = 24
    """Pairs of clips on that page."""

    cpu: bool = False
    """Stay on the CPU even if there is a GPU."""

    def __post_init__(self) -> None:
        least = {"samples": 1, "clips": 1, "batch": 1, "judged": 1, "pairs": 1, "limit": 0, "context": 0, "channels": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} must be at least {bound}, got {getattr(self, name)}")
        if not self.model and not self.predictions:
            raise ValueError("model is required, or predictions with truth")
        if bool(self.predictions) != bool(self.ground_truth):
            raise ValueError("predictions and truth go together: the clips of another tool, and the true ones")
        if self.unpaired and (self.model or not self.predictions or self.context_frames):
            raise ValueError("unpaired goes with predictions and truth alone, without a model or a context")
        if Path(self.out).suffix in (".json", ".html"):
            raise ValueError(f"out is a folder, in which report.json and report.html are written, not {self.out}")


@contextmanager
def prepend_run_settings(flags: Sequence[str]) -> Iterator[list[str]]:
    """The flags of an evaluation, preceded by a file with the data settings of the model's run if there is one."""
    peek = ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--model", nargs="?", default="", const="")
    run = read_run_config(peek.parse_known_args(flags)[0].model)
    with TemporaryDirectory() as folder:
        file = Path(folder, "config.json")
        file.write_text(json.dumps({"data": to_dict(run.data)} if run else {}), encoding="utf-8")
        yield ["--config", str(file), *flags]


def open_evaluation_set(config: EvaluateConfig) -> EvaluationSet:
    """The clips to measure and who made them. Raises ValueError or OSError if they cannot be read or do not fit."""
    return open_from_files(config) if config.ground_truth else open_from_data(config)


def open_from_data(config: EvaluateConfig) -> EvaluationSet:
    """A model and clips of the data set that it was trained on, or another one."""
    place = select_device(cpu=config.cpu)
    model = load_model(config.model).to(place)
    data = config.data
    if model.shape.channels != data.channels:
        raise ValueError(f"data.channels is {data.channels}, and {config.model} knows {model.shape.channels}")
    predicts = isinstance(model, FramePredictor)
    if predicts != (data.context_frames > 0):
        does = (
            "predicts: without a past there is nothing to predict from" if predicts else "makes whole clips: set it 0"
        )
        raise ValueError(f"data.context_frames is {data.context_frames}, and {config.model} {does}")
    dataset = open_dataset(data, train=config.split == "train")
    if not predicts and (model.shape.height, model.shape.width) != (data.height, data.width):
        raise ValueError(
            f"data.height and data.width are {data.height} and {data.width}, and {config.model} makes clips of "
            f"{model.shape.height}x{model.shape.width}"
        )
    if not predicts and len(model.shape.classes) not in (0, len(dataset.classes)):
        raise ValueError(
            f"{config.model} makes clips of {len(model.shape.classes)} classes, and {data.path} has "
            f"{len(dataset.classes)}: give --data.class_conditional and the data that it was trained on"
        )
    indices = spaced_indices(len(dataset), min(config.clips, config.max_clips or config.clips))
    entrant = ModelMethod(
        model=model, samples=config.samples if predicts else 1, seed=config.seed, total_clips=len(indices)
    )
    return EvaluationSet(
        ground_truth=dataset,
        indices=indices,
        context_frames=data.context_frames,
        methods={"model": entrant},
        seed=config.seed,
        device=place,
        paired=predicts,
    )


def open_from_files(config: EvaluateConfig) -> EvaluationSet:
    """Clips of another tool and the true ones, and a model as well if one is given."""
    place = select_device(cpu=config.cpu)
    true = open_ground_truth(config.ground_truth, context_frames=config.context_frames, channels=config.channels)
    if config.unpaired:
        return open_unpaired(config, true, place)
    files = open_predictions(config.predictions, true, context_frames=config.context_frames)
    indices = spaced_indices(len(true), config.max_clips)
    entrants: dict[str, Method] = {}
    if config.model:
        model = FramePredictor.from_pretrained(config.model).to(place)
        if not config.context_frames:
            raise ValueError("context is 0: a model that predicts the clips of `truth` needs a past")
        if model.shape.channels != true.channels:
            raise ValueError(
                f"{config.ground_truth} is read in {true.channels} channels, and {config.model} knows {model.shape.channels}: "
                "give --channels"
            )
        entrants["model"] = ModelMethod(model=model, samples=config.samples, seed=config.seed, total_clips=len(indices))
    entrants["predictions"] = FileMethod(predictions=files, indices=indices)
    return EvaluationSet(
        ground_truth=true,
        indices=indices,
        context_frames=config.context_frames,
        methods=entrants,
        seed=config.seed,
        device=place,
    )


def open_unpaired(config: EvaluateConfig, true: ClipFiles, device: torch.device) -> EvaluationSet:
    """As many clips made from noise as there are true ones, of both those that the fewer leave."""
    made = open_ground_truth(config.predictions, channels=true.channels)
    if made.shape != true.shape:
        raise ValueError(
            f"{config.predictions} has clips of {format_shape(made.shape)}, and {config.ground_truth} of {format_shape(true.shape)}: "
            "sets that are compared have clips of one shape"
        )
    count = min(len(made), len(true), config.max_clips or len(true))
    entrant = FileMethod(predictions=made.as_predictions(), indices=spaced_indices(len(made), count))
    return EvaluationSet(
        ground_truth=true,
        indices=spaced_indices(len(true), count),
        context_frames=0,
        methods={"predictions": entrant},
        seed=config.seed,
        device=device,
        paired=False,
    )
