"""Trains a model from its settings: what `vidvox train` and the scripts in tools/ do once they have parsed them.

Each half is imported only where it is trained.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch
from accelerate import Accelerator
from tqdm import tqdm

from gancore.errors import ArchitectureError
from gancore.keys import describe_value
from gancore.parsing import to_dict
from gancore.training.changes import list_changes
from gancore.training.launch import create_accelerator, end_processes
from gancore.training.processes import in_every_process
from gancore.training.run import train_run
from gancore.training.summary import DataSummary, describe_training
from gancore.training.trainer import Trainer
from vidgan.animation_config import AnimationConfig
from vidgan.config import VideoConfig
from vidgan.translation_config import TranslationConfig
from vidvox.settings import read_run_settings
from voxgan.config import VoxelConfig

Data = TypeVar("Data")
Describe = Callable[[], DataSummary]
AnyConfig = VideoConfig | VoxelConfig | TranslationConfig | AnimationConfig


def train_video(config: VideoConfig) -> None:
    """Train a predictor or a generator of clips, or go on with the training of this run folder.

    Under `accelerate launch` or `torchrun` all processes train together; each of several ends in this call.

    Raises:
        ValueError: The data cannot be read or do not suit the settings, the run folder is of another architecture, or
            a loss is not finite.
        OSError: The data are missing, or the run folder cannot be written.
    """
    from vidgan.build import build_trainer, summarise_data
    from vidgan.data.dataset import ClipDataset, open_dataset

    def open_data() -> tuple[ClipDataset, ClipDataset]:
        supervised = config.objective.displacement_weight > 0
        clips = open_dataset(config.data, split="train", displacements=supervised)
        return clips, open_dataset(config.data, split="val")

    def build(accelerator: Accelerator, data: tuple[ClipDataset, ClipDataset]) -> tuple[Trainer, Describe]:
        dataset, held_out = data
        trainer = build_trainer(config, accelerator, dataset=dataset, held_out=held_out)
        return trainer, partial(summarise_data, config.data, dataset=dataset, held_out=held_out)

    _train(config, open_data, build)


def train_voxels(config: VoxelConfig) -> None:
    """Train a network from pictures to objects, or a generator of objects; see `train_video`.

    `config.data.path` is a prepared data set.
    """
    from voxgan.build import build_trainer, picture_spec, summarise_data
    from voxgan.data.dataset import VoxelDataset, open_held_out

    def open_data() -> tuple[VoxelDataset, VoxelDataset | None]:
        pictures = picture_spec(config.encoder)
        return VoxelDataset(config.data, pictures, split="train"), open_held_out(config.data, pictures)

    def build(accelerator: Accelerator, data: tuple[VoxelDataset, VoxelDataset | None]) -> tuple[Trainer, Describe]:
        dataset, held_out = data
        trainer = build_trainer(config, accelerator, dataset=dataset, held_out=held_out)
        return trainer, partial(summarise_data, dataset, held_out)

    _train(config, open_data, build)


def train_translation(config: TranslationConfig) -> None:
    """Train a network from clip to clip; see `train_video`."""
    from vidgan.translation.build import build_trainer, summarise_pairs
    from vidgan.translation.pairs import PairDataset, open_pairs

    def open_data() -> tuple[PairDataset, PairDataset]:
        return open_pairs(config.data, split="train"), open_pairs(config.data, split="val")

    def build(accelerator: Accelerator, data: tuple[PairDataset, PairDataset]) -> tuple[Trainer, Describe]:
        dataset, held_out = data
        trainer = build_trainer(config, accelerator, dataset=dataset, held_out=held_out)
        return trainer, partial(summarise_pairs, config, dataset=dataset, held_out=held_out)

    _train(config, open_data, build)


def train_animation(config: AnimationConfig) -> None:
    """Train a network that moves the figure in a picture; see `train_video`."""
    from vidgan.animation.build import build_trainer, summarise_figures
    from vidgan.animation.frames import FigureFrames, open_figures

    def open_data() -> tuple[FigureFrames, FigureFrames]:
        return open_figures(config.data, split="train"), open_figures(config.data, split="val")

    def build(accelerator: Accelerator, data: tuple[FigureFrames, FigureFrames]) -> tuple[Trainer, Describe]:
        dataset, held_out = data
        trainer = build_trainer(config, accelerator, dataset=dataset, held_out=held_out)
        return trainer, partial(summarise_figures, config, dataset=dataset, held_out=held_out)

    _train(config, open_data, build)


def _train(
    config: AnyConfig,
    open_data: Callable[[], Data],
    build: Callable[[Accelerator, Data], tuple[Trainer, Describe]],
) -> None:
    """Say what was found and will be done, and train."""
    accelerator = create_accelerator(config.train)
    torch.manual_seed(config.train.seed)
    trainer, summarise = build(accelerator, in_every_process(accelerator, open_data))
    lasting = replace(config, train=replace(config.train, start_over=False, allow_changes=False))

    def describe() -> str:
        processes = f" ({accelerator.num_processes} processes)" if accelerator.num_processes > 1 else ""
        return describe_training(
            summarise(),
            players={"generator": trainer.generator, "discriminator": trainer.discriminator},
            config=config.train,
            device=f"{accelerator.device}{processes}",
            run=config.run,
        )

    try:
        accelerator.print(train_run(trainer, lasting, announce=tqdm.write, describe=describe))
    except ArchitectureError as error:
        raise ValueError(_explain_mismatch(error, config)) from error
    end_processes(accelerator)


def _explain_mismatch(error: ArchitectureError, config: AnyConfig) -> str:
    """What differs between the run folder and the settings, and what to do about it."""
    advice = "choose another --run to start anew"
    changes = [
        f"{change.name} was {describe_value(change.before)} and is {describe_value(change.now)}"
        for change in list_changes(read_run_settings(config.run) or {}, to_dict(config))
        if change.breaks_resume and change.name.partition(".")[0] in ("encoder", "generator", "discriminator", "data")
    ]
    if not changes:
        return f"{error}; {advice}"
    more = f", and {len(changes) - 3} more differ" if len(changes) > 3 else ""
    return (
        f"{str(error).partition(' (')[0]}: {', '.join(changes[:3])}{more}; "
        f"{advice}, or add --config {config.run / 'config.json'} to go on with its settings"
    )
