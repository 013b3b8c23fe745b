"""Generates whole clips from noise, of one class or of all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from gancore.device import select_device
from gancore.files.labelled_set import LabelledArray, write_labelled_set
from gancore.model_files import describe_origin
from gancore.rng import SampleRandom, derive_seed
from vidgan.commands import GenerateConfig
from vidgan.files.captions import LABELLED_SUFFIXES, LabelledClip, write_labelled
from vidgan.files.grid import write_grid
from vidgan.frames import to_uint8
from vidgan.networks.generator import VideoGenerator


@dataclass(frozen=True)
class GeneratedClips:
    """Clips, and what each is: the name of its class, or "sample 1", "sample 2", ... without classes."""

    frames: UInt8[Tensor, "clips time channel height width"]
    labels: tuple[str, ...]


def generate(config: GenerateConfig) -> GeneratedClips:
    """Loads the model and generates clips of the class asked for, or of all classes in turn.

    Raises ValueError if the model cannot be read or does not have the class.
    """
    model = VideoGenerator.from_pretrained(config.model).to(select_device(cpu=config.cpu))
    return generate_clips(
        model,
        count=config.count,
        steps=config.steps,
        label=config.label,
        truncation=config.truncation,
        interval=config.interval,
        seed=config.seed,
    )


@torch.inference_mode()
def generate_clips(
    model: VideoGenerator,
    *,
    count: int,
    first: int = 0,
    steps: int | None = None,
    label: str | None = None,
    truncation: float | None = None,
    interval: float | None = None,
    seed: int = 0,
) -> GeneratedClips:
    """Generates `count` clips of the class named by the label, or of all classes in turn; see GenerateConfig.

    Clip n is the same whatever the count, and if those from number `first` on are made alone. Raises ValueError if the
    model does not have the class, an interval is given to one that is no style generator, or count or steps are below
    1.
    """
    for name, value in {"count": count, "steps": steps}.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if interval is not None and model.style is None:
        raise ValueError("interval is for a style generator (generator.kind style), and this model is not one")
    frames = model.shape.clip_frames if steps is None else steps
    reach = frames if interval is None else ceil((frames - 1) * interval) + 1
    device = next(model.parameters()).device
    classes = select_classes(label, model.shape.classes)
    clips, labels = [], []
    for number in range(first, first + count):
        draws = SampleRandom(derive_seed(seed, number), device=device)
        latent = model.draw_latents(draws, 1, 1, steps=reach, truncation=truncation)[0]
        chosen = classes[number % len(classes)] if classes else None
        class_label = None if chosen is None else torch.tensor([chosen], device=device)
        made = model(
            latent,
            class_label,
            steps=steps,
            times=None if interval is None else interval * model.frame_times(1, steps),
            truncation=truncation if model.style else None,
        )
        clips.append(to_uint8(made[0]).cpu())
        labels.append(f"sample {number + 1}" if chosen is None else model.shape.classes[chosen])
    return GeneratedClips(torch.stack(clips), tuple(labels))


def generate_labelled_set(config: GenerateConfig) -> dict[str, Any]:
    """Loads the model, and writes a labelled data set of its clips into a new folder; returns its manifest.

    Raises ValueError if the model cannot be read, has no classes or not the one asked for, or the folder is not empty.
    """
    assert config.dataset is not None
    model = VideoGenerator.from_pretrained(config.model).to(select_device(cpu=config.cpu))
    if not model.shape.classes:
        raise ValueError(f"{config.model} was trained without classes: its clips have no labels")

    def make() -> Iterator[LabelledArray]:
        for number in range(config.count):
            clips = generate_clips(
                model,
                count=1,
                first=number,
                steps=config.steps,
                label=config.label,
                truncation=config.truncation,
                interval=config.interval,
                seed=config.seed,
            )
            yield LabelledArray(clips.labels[0], clips.frames[0].permute(0, 2, 3, 1).contiguous().numpy())

    origin = describe_origin(config.model, seed=config.seed, truncation=config.truncation, licence=config.licence)
    return write_labelled_set(config.dataset, make(), kind="clips", provenance=origin, shard_size=config.shard_size)


def select_classes(label: str | None, classes: Sequence[str]) -> list[int]:
    """The numbers of the classes to generate in turn: that of the label, a name or a number, or all without one.

    Raises ValueError if there is no such class.
    """
    if label is None:
        return list(range(len(classes)))
    if not classes:
        raise ValueError(f"label: the model was trained without classes, so {label!r} cannot be chosen")
    if label in classes:
        return [classes.index(label)]
    if label.isdecimal() and int(label) < len(classes):
        return [int(label)]
    raise ValueError(
        f"label: unknown class {label!r}; choose from {', '.join(classes)}, or a number from 0 to {len(classes) - 1}"
    )


def write_samples(
    clips: GeneratedClips, path: str | Path, *, rate: Fraction | float | int, labels: bool = True
) -> None:
    """Writes the clips by the path's suffix: a nearly square grid, or a row of frames each for .png.

    .mp4, .gif and .png are labelled unless `labels` is false, arrays and folders of frames never are. Raises ValueError
    as write_clip does.
    """
    path, columns = Path(path), ceil(sqrt(len(clips.labels)))
    if labels and path.suffix.lower() in LABELLED_SUFFIXES:
        labelled = [LabelledClip(label, frames) for label, frames in zip(clips.labels, clips.frames, strict=True)]
        write_labelled(path, labelled, rate=rate, columns=columns)
    else:
        write_grid(path, clips.frames, rate=rate, columns=columns)
