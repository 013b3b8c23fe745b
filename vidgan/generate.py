"""Whole clips from noise, of a class or of all."""

import json
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.parsing import from_dict
from gancore.rng import SampleRandom, derive_seed
from vidgan.config import VideoConfig
from vidgan.data.dataset import open_dataset
from vidgan.files.grid import write_grid
from vidgan.files.video import to_uint8
from vidgan.networks.generator import VideoGenerator
from vidgan.predict import select_device


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """Make whole clips from noise."""

    model: str
    """Folder of a trained VideoGenerator (runs/NAME/generator), or the name of one on the Hub."""

    out: str = "samples.mp4"
    """Where to write: .mp4, .gif or a folder of frames for a grid, .png for rows of frames, .npy."""

    count: int = 16
    """How many clips."""

    steps: int = 0
    """Frames of each clip; 0 for as many as the model was trained on."""

    label: str = ""
    """Name or number of the class to make; empty for all classes in turn."""

    truncation: float = 0.0
    """Keep every latent number below this size, for cleaner and less varied clips; 0 for no limit."""

    rate: float = 10.0
    """Frames a second of the file."""

    seed: int = 0
    """Seed of the clips; clip n is the same however many are asked for."""

    cpu: bool = False
    """Stay on the CPU even if there is a GPU."""

    def __post_init__(self) -> None:
        for name, least in {"count": 1, "steps": 0, "truncation": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.rate <= 0:
            raise ValueError(f"rate must be above 0, got {self.rate}")


@torch.inference_mode()
def generate(config: GenerateConfig) -> UInt8[Tensor, "count time channel height width"]:
    """The clips. Raises ValueError if the model cannot be read or does not know the class."""
    model = VideoGenerator.from_pretrained(config.model).to(select_device(cpu=config.cpu))
    place = next(model.parameters()).device
    labels = select_labels(config, model)
    clips = []
    for number in range(config.count):
        draws = SampleRandom(derive_seed(config.seed, number), device=place)
        latent = truncated_normal(draws, model.config.latent_dim, limit=config.truncation)
        label = torch.tensor([labels[number % len(labels)]], device=place) if labels else None
        clips.append(to_uint8(model(latent, label, steps=config.steps or None)[0]).cpu())
    return torch.stack(clips)


def truncated_normal(draws: SampleRandom, size: int, *, limit: float) -> Float[Tensor, "1 size"]:
    """N(0, 1) numbers, conditioned on being smaller than the limit in size unless it is 0 (BigGAN's truncation)."""
    if not limit:
        return draws.normal(1, size)
    share = torch.special.ndtr(torch.tensor(limit, dtype=torch.float64))
    quantiles = 1 - share + (2 * share - 1) * draws.uniform(1, size).double()
    return torch.special.ndtri(quantiles).float()


def select_labels(config: GenerateConfig, model: VideoGenerator) -> list[int]:
    """The classes to make, in turn; none if the model knows none."""
    classes = len(model.shape.classes)
    if not config.label:
        return list(range(classes))
    if not classes:
        raise ValueError(f"label: {config.model} makes clips of no class, so {config.label} cannot be chosen")
    if config.label.isdecimal():
        if int(config.label) >= classes:
            raise ValueError(f"label: {config.model} knows classes 0 to {classes - 1}, not {config.label}")
        return [int(config.label)]
    names = read_class_names(config.model)
    if config.label not in names:
        raise ValueError(f"label: {config.label} is none of {', '.join(names) or f'the numbers 0 to {classes - 1}'}")
    return [names.index(config.label)]


def read_run_config(model: str) -> VideoConfig | None:
    """The settings of the run that a model folder lies in; None if it lies in none."""
    path = Path(model).parent / "config.json"
    if not (model and Path(model).is_dir() and path.is_file()):
        return None
    try:
        return from_dict(VideoConfig, json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{path} holds no settings of a video run: {error}") from error


def read_class_names(model: str) -> tuple[str, ...]:
    """The names of the classes that the model was trained on, from the data of its run."""
    run = read_run_config(model)
    return open_dataset(run.data, train=True).classes if run else ()


def write_samples(clips: UInt8[Tensor, "count time channel height width"], config: GenerateConfig) -> None:
    """Writes the clips in a nearly square grid. Raises ValueError or OSError as write_gallery does."""
    write_grid(config.out, clips, rate=config.rate, columns=ceil(sqrt(len(clips))))
