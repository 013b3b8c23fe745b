"""Trains a model from parsed settings, for `vidvox train` and the scripts in tools/.

The data sets and networks of a task are imported only in its own function.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
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

AnyConfig = VideoConfig | VoxelConfig | TranslationConfig | AnimationConfig


def train_video(config: VideoConfig) -> None:
    """Train a predictor or a generator of clips, or resume the training in its run folder.

    Under `accelerate launch` or `torchrun` all processes train together, and each of them exits in this call.

    Raises:
        ValueError: The data cannot be read or do not fit the settings, the run folder is of another architecture, or a
            loss is not finite.
        OSError: The data are missing, or the run folder cannot be written.
    """
    from vidgan.build import build_trainer, summarise_data
    from vidgan.data.dataset import ClipDataset, open_dataset

    def open_data() -> tuple[ClipDataset, ClipDataset]:
        supervised = config.objective.displacement_weight > 0
        clips = open_dataset(config.data, split="train", displacements=supervised)
        return clips, open_dataset(config.data, split="val")

    _train(config, open_data, build_trainer, partial(summarise_data, config.data))


def train_voxels(config: VoxelConfig) -> None:
    """Train a network from pictures to objects, or a generator of objects; see `train_video`.

    `config.data.path` is a data set made by `vidvox prepare`, or "furniture".
    """
    from voxgan.build import build_trainer, picture_spec, summarise_data
    from voxgan.data.dataset import VoxelDataset, open_held_out

    def open_data() -> tuple[VoxelDataset, VoxelDataset | None]:
        pictures = picture_spec(config.encoder)
        return VoxelDataset(config.data, pictures, split="train"), open_held_out(config.data, pictures)

    _train(config, open_data, build_trainer, summarise_data)


def train_translation(config: TranslationConfig) -> None:
    """Train a network that translates clips; see `train_video`."""
    from vidgan.translation.build import build_trainer, summarise_pairs
    from vidgan.translation.pairs import PairDataset, open_pairs

    def open_data() -> tuple[PairDataset, PairDataset]:
        return open_pairs(config.data, split="train"), open_pairs(config.data, split="val")

    _train(config, open_data, build_trainer, partial(summarise_pairs, config))


def train_animation(config: AnimationConfig) -> None:
    """Train a network that animates the figure in a picture; see `train_video`."""
    from vidgan.animation.build import build_trainer, summarise_figures
    from vidgan.animation.frames import FigureFrames, open_figures

    def open_data() -> tuple[FigureFrames, FigureFrames]:
        return open_figures(config.data, split="train"), open_figures(config.data, split="val")

    _train(config, open_data, build_trainer, partial(summarise_figures, config))


def _train(
    config: AnyConfig,
    open_data: Callable[[], tuple[Any, Any]],
    build_trainer: Callable[..., Trainer],
    summarise: Callable[..., DataSummary],
) -> None:
    """Train on the data, after printing what was found and what will be done.

    Args:
        config: The settings of the training.
        open_data: Opens the training and the held-out data sets.
        build_trainer: Called with config, accelerator, dataset and held_out.
        summarise: Called with dataset and held_out.
    """
    accelerator = create_accelerator(config.train)
    torch.manual_seed(config.train.seed)
    dataset, held_out = in_every_process(accelerator, open_data)
    trainer = build_trainer(config, accelerator, dataset=dataset, held_out=held_out)
    saved = replace(config, train=replace(config.train, start_over=False, allow_changes=False))

    def describe() -> str:
        processes = f" ({accelerator.num_processes} processes)" if accelerator.num_processes > 1 else ""
        return describe_training(
            summarise(dataset=dataset, held_out=held_out),
            players={"generator": trainer.generator, "discriminator": trainer.discriminator},
            config=config.train,
            device=f"{accelerator.device}{processes}",
            run=config.run,
        )

    try:
        accelerator.print(train_run(trainer, saved, announce=tqdm.write, describe=describe))
    except ArchitectureError as error:
        raise ValueError(_explain_mismatch(error, config)) from error
    end_processes(accelerator)


def _explain_mismatch(error: ArchitectureError, config: AnyConfig) -> str:
    """Name the settings that differ from those of the run folder, and what to do."""
    advice = "choose another --run to start afresh"
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
        f"{advice}, or add --config {config.run / 'config.json'} to resume with its settings"
    )
