"""Trains a model from its settings: what `vidvox train` and the scripts in tools/ do once they have parsed them.

Each half is imported only where it is trained.
"""

from collections.abc import Callable
from functools import partial

import torch
from accelerate import Accelerator
from tqdm import tqdm

from gancore.errors import ArchitectureError
from gancore.keys import describe_value
from gancore.parsing import to_dict
from gancore.training.launch import create_accelerator, end_processes
from gancore.training.summary import DataSummary, describe_training
from gancore.training.trainer import Trainer, train_run
from vidgan.config import VideoConfig
from vidvox.settings import iter_values, read_run_settings
from voxgan.config import VoxelConfig


def train_video(config: VideoConfig) -> None:
    """Train a predictor or a generator of clips, or go on with the training of this run folder.

    Under `accelerate launch` or `torchrun` all processes train together; each of several ends in this call.

    Raises:
        ValueError: The data cannot be read or do not suit the settings, the run folder is of another architecture, or
            a loss is not finite.
        OSError: The data are missing, or the run folder cannot be written.
    """
    from vidgan.build import build_trainer, summarise_data
    from vidgan.data.dataset import open_dataset

    def build(accelerator: Accelerator) -> tuple[Trainer, Callable[[], DataSummary]]:
        dataset, held_out = (open_dataset(config.data, split=split) for split in ("train", "val"))
        trainer = build_trainer(config, accelerator, dataset=dataset, held_out=held_out)
        return trainer, partial(summarise_data, config.data, dataset=dataset, held_out=held_out)

    _train(config, build)


def train_voxels(config: VoxelConfig) -> None:
    """Train a network from pictures to objects, or a generator of objects; see `train_video`.

    `config.data.path` is a prepared data set.
    """
    from voxgan.build import build_trainer, picture_spec, summarise_data
    from voxgan.data.dataset import VoxelDataset, open_held_out

    def build(accelerator: Accelerator) -> tuple[Trainer, Callable[[], DataSummary]]:
        pictures = picture_spec(config.encoder)
        dataset = VoxelDataset(config.data, pictures, split="train")
        held_out = open_held_out(config.data, pictures)
        trainer = build_trainer(config, accelerator, dataset=dataset, held_out=held_out)
        return trainer, partial(summarise_data, dataset, held_out)

    _train(config, build)


def _train(
    config: VideoConfig | VoxelConfig,
    build: Callable[[Accelerator], tuple[Trainer, Callable[[], DataSummary]]],
) -> None:
    """Say what was found and will be done, and train."""
    accelerator = create_accelerator(config.train)
    torch.manual_seed(config.train.seed)
    trainer, summarise = build(accelerator)

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
        accelerator.print(train_run(trainer, config, announce=tqdm.write, describe=describe))
    except ArchitectureError as error:
        raise ValueError(_explain_mismatch(error, config)) from error
    end_processes(accelerator)


def _explain_mismatch(error: ArchitectureError, config: VideoConfig | VoxelConfig) -> str:
    """What differs between the run folder and the settings, and what to do about it."""
    advice = "choose another --run to start anew"
    before = dict(iter_values(read_run_settings(config.run) or {}))
    now = dict(iter_values(to_dict(config)))
    changes = [
        f"{name} was {describe_value(before[name])} and is {describe_value(value)}"
        for name, value in now.items()
        if name.partition(".")[0] in ("encoder", "generator", "discriminator", "data")
        and name not in ("data.path", "data.workers", "data.cache")
        and before.get(name, value) != value
    ]
    if not changes:
        return f"{error}; {advice}"
    more = f", and {len(changes) - 3} more differ" if len(changes) > 3 else ""
    return (
        f"{str(error).partition(' (')[0]}: {', '.join(changes[:3])}{more}; "
        f"{advice}, or add --config {config.run / 'config.json'} to go on with its settings"
    )
