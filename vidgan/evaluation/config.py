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
from vidgan.data.dataset import DataConfig, open_dataset
from vidgan.evaluation.methods import Entrant, FileEntrant, ModelEntrant, Trials, evenly, load
from vidgan.evaluation.predictions import ClipFiles, predicted, told, true_clips
from vidgan.evaluation.published import Benchmark
from vidgan.generate import run_of
from vidgan.networks.generator import FramePredictor
from vidgan.predict import device


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Measure a model on held-out clips, by default those of the run that its folder lies in, or a folder of clips."""

    model: str = ""
    """Folder of a trained FramePredictor or VideoGenerator (runs/NAME/generator), or the name of one on the Hub."""

    predictions: str = ""
    """Clips of another tool (files or folders of any kind): of the true clip X they are X.mp4, or X-0.mp4, X-1.mp4."""

    truth: str = ""
    """The true clips that the predictions go with; a model that is given too predicts these clips."""

    context: int = 0
    """Past frames at the start of every true clip in `truth`; predictions may hold them or not."""

    channels: int = 0
    """1 to compare files in grey, 3 in colour; 0 as the files of `truth` are (films and pictures are in colour)."""

    unpaired: bool = False
    """The predictions are clips made from noise, which as a set are to be like the true ones."""

    data: DataConfig = field(default_factory=DataConfig)
    """Which clips a model is measured on; what is not given is as in the config.json of its run, if there is one."""

    split: Literal["held-out", "train"] = "held-out"
    """Which part of the data; papers on synthesis often compare with the clips that were trained on."""

    samples: int = 8
    """Futures of each past that a model makes."""

    clips: int = 256
    """Clips of the data measured, evenly spaced; all of them if there are fewer. Of `truth` all are measured."""

    limit: int = 0
    """At most so many clips, for a quick look; 0 for no limit."""

    batch: int = 4
    """Clips at a time, which bounds the memory needed; the scores do not depend on it."""

    networks: tuple[str, ...] = ("auto",)
    """By what sets of clips are compared: i3d (FVD), transnet, efficientnet, colours; auto (colours, i3d); or none."""

    with_past: bool = True
    """Networks that see video judge each future with its past before it, as most published FVD do."""

    judged: int = 1
    """Futures of each past that are judged as a set."""

    features: str = ""
    """Folder that keeps features by the content of their clips, so that none is computed twice; empty keeps none."""

    benchmark: Benchmark = ""
    """Whose published figures stand beside the scores; if empty, those of the data set where its name is known."""

    seed: int = 0
    """Seed of all that is drawn."""

    out: str = ""
    """Folder for report.json and report.html; empty for none."""

    save: str = ""
    """New folder for the clips that were measured, losslessly: truth/ and predictions/, as --truth takes them."""

    rate: str = ""
    """HTML page on which people choose between two clips, real or made, without being told which; empty for none."""

    pairs: int = 24
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
        if bool(self.predictions) != bool(self.truth):
            raise ValueError("predictions and truth go together: the clips of another tool, and the true ones")
        if self.unpaired and (self.model or not self.predictions or self.context):
            raise ValueError("unpaired goes with predictions and truth alone, without a model or a context")
        if Path(self.out).suffix in (".json", ".html"):
            raise ValueError(f"out is a folder, in which report.json and report.html are written, not {self.out}")


@contextmanager
def behind_run_settings(flags: Sequence[str]) -> Iterator[list[str]]:
    """The flags of an evaluation, preceded by a file with the data settings of the model's run if there is one."""
    peek = ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--model", nargs="?", default="", const="")
    run = run_of(peek.parse_known_args(flags)[0].model)
    with TemporaryDirectory() as folder:
        file = Path(folder, "config.json")
        file.write_text(json.dumps({"data": to_dict(run.data)} if run else {}), encoding="utf-8")
        yield ["--config", str(file), *flags]


def open_trials(config: EvaluateConfig) -> Trials:
    """The clips to measure and who made them. Raises ValueError or OSError if they cannot be read or do not fit."""
    return from_files(config) if config.truth else from_data(config)


def from_data(config: EvaluateConfig) -> Trials:
    """A model and clips of the data set that it was trained on, or another one."""
    place = device(cpu=config.cpu)
    model = load(config.model).to(place)
    data = config.data
    if model.shape.channels != data.channels:
        raise ValueError(f"data.channels is {data.channels}, and {config.model} knows {model.shape.channels}")
    predicts = isinstance(model, FramePredictor)
    if predicts != (data.context > 0):
        does = (
            "predicts: without a past there is nothing to predict from" if predicts else "makes whole clips: set it 0"
        )
        raise ValueError(f"data.context is {data.context}, and {config.model} {does}")
    dataset = open_dataset(data, train=config.split == "train")
    if not predicts and (model.shape.height, model.shape.width) != (data.height, data.width):
        raise ValueError(
            f"data.height and data.width are {data.height} and {data.width}, and {config.model} makes clips of "
            f"{model.shape.height}x{model.shape.width}"
        )
    if not predicts and model.shape.classes not in (0, len(dataset.classes)):
        raise ValueError(
            f"{config.model} makes clips of {model.shape.classes} classes, and {data.source} has "
            f"{len(dataset.classes)}: give --data.labels and the data that it was trained on"
        )
    indices = evenly(len(dataset), min(config.clips, config.limit or config.clips))
    entrant = ModelEntrant(model=model, samples=config.samples if predicts else 1, seed=config.seed, total=len(indices))
    return Trials(
        true=dataset,
        indices=indices,
        context=data.context,
        entrants={"model": entrant},
        seed=config.seed,
        place=place,
        paired=predicts,
    )


def from_files(config: EvaluateConfig) -> Trials:
    """Clips of another tool and the true ones, and a model as well if one is given."""
    place = device(cpu=config.cpu)
    true = true_clips(config.truth, context=config.context, channels=config.channels)
    if config.unpaired:
        return unpaired(config, true, place)
    files = predicted(config.predictions, true, context=config.context)
    indices = evenly(len(true), config.limit)
    entrants: dict[str, Entrant] = {}
    if config.model:
        model = FramePredictor.from_pretrained(config.model).to(place)
        if not config.context:
            raise ValueError("context is 0: a model that predicts the clips of `truth` needs a past")
        if model.shape.channels != true.channels:
            raise ValueError(
                f"{config.truth} is read in {true.channels} channels, and {config.model} knows {model.shape.channels}: "
                "give --channels"
            )
        entrants["model"] = ModelEntrant(model=model, samples=config.samples, seed=config.seed, total=len(indices))
    entrants["predictions"] = FileEntrant(predicted=files, indices=indices)
    return Trials(true=true, indices=indices, context=config.context, entrants=entrants, seed=config.seed, place=place)


def unpaired(config: EvaluateConfig, true: ClipFiles, place: torch.device) -> Trials:
    """As many clips made from noise as there are true ones, of both those that the fewer leave."""
    made = true_clips(config.predictions, channels=true.channels)
    if made.shape != true.shape:
        raise ValueError(
            f"{config.predictions} has clips of {told(made.shape)}, and {config.truth} of {told(true.shape)}: "
            "sets that are compared have clips of one shape"
        )
    count = min(len(made), len(true), config.limit or len(true))
    entrant = FileEntrant(predicted=made.as_predictions(), indices=evenly(len(made), count))
    return Trials(
        true=true,
        indices=evenly(len(true), count),
        context=0,
        entrants={"predictions": entrant},
        seed=config.seed,
        place=place,
        paired=False,
    )
