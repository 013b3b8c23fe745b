"""Small style generators of clips and of objects, and short trainings of them."""

from pathlib import Path
from typing import Any

import torch
from support.tiny import Patterns, small_discriminator
from support.toys import JUDGE
from support.toys import trainer as object_trainer

from gancore import checkpoint
from gancore.config import PenaltyConfig, TrainConfig
from gancore.style_config import StyleConfig, StyleObjectiveConfig
from gancore.training.launch import create_accelerator
from gancore.training.trainer import Trainer
from vidgan.build import build_discriminator, build_generator
from vidgan.config import ClipShape, VideoConfig, VideoGeneratorConfig, VideoObjectiveConfig
from vidgan.data.batch import collate
from vidgan.data_config import VideoDataConfig
from vidgan.motion_config import MotionCodeConfig
from vidgan.networks.generator import VideoGenerator
from vidgan.objective import VideoObjective
from vidgan.validation import VideoEvaluation
from voxgan.config import (
    VoxelConfig,
    VoxelDataConfig,
    VoxelEncoderConfig,
    VoxelGeneratorConfig,
    VoxelObjectiveConfig,
    VoxelShape,
)
from voxgan.networks.generator import VoxelGenerator

STYLE = StyleConfig(width=6)
MOTION = MotionCodeConfig(size=5, distance=4.0, kernel=2, frequencies=3, shortest_period=4.0, longest_period=32.0)
CLIPS = VideoGeneratorConfig(
    kind="style",
    output="frames",
    base_channels=4,
    channel_multipliers=(2, 2, 1),
    latent_dim=6,
    embedding_dim=3,
    style=STYLE,
    motion=MOTION,
)
OBJECTS = VoxelGeneratorConfig(
    kind="style", latent_dim=6, base_channels=4, max_channels=8, embedding_dim=3, style=STYLE
)
EVERYTHING = StyleObjectiveConfig(mixing_probability=0.5, path_length_weight=2.0, path_length_every=2)
"""A training that has all that there is for styles."""


def clip_generator(*, frames: int = 6, classes: tuple[str, ...] = ()) -> VideoGenerator:
    """A small style generator of clips of 20x16 pixels, in eval mode."""
    torch.manual_seed(1)
    shape = ClipShape(height=20, width=16, context_frames=0, clip_frames=frames, classes=classes)
    return VideoGenerator(CLIPS, shape).eval()


def object_generator(*, side: int = 16, classes: tuple[str, ...] = ()) -> VoxelGenerator:
    """A small style generator of objects, in eval mode."""
    torch.manual_seed(1)
    return VoxelGenerator(OBJECTS, VoxelShape(side=side, classes=classes)).eval()


def train_settings(steps: int, **options: Any) -> TrainConfig:
    """A short training on the CPU that leaves a checkpoint at its end alone."""
    quick: dict[str, Any] = {"batch": 4, "log_every": 1, "preview_every": 0, "health_every": 3, "evaluate_every": 0}
    return TrainConfig(**{"steps": steps, "checkpoint_every": 1000, "cpu": True, "curves": False, **quick, **options})


def clip_training(run: Path, steps: int, *, growing: float = 0.0, **options: Any) -> Trainer:
    """A training of clips of 16x16 pixels of two classes."""
    config = VideoConfig(
        run=run,
        data=VideoDataConfig(channels=1, height=16, width=16, context_frames=0, clip_frames=4),
        generator=CLIPS,
        discriminator=small_discriminator("modern"),
        objective=VideoObjectiveConfig(
            style=EVERYTHING, growing=growing, penalties=PenaltyConfig(r1=1.0, r2=1.0, lazy_every=2)
        ),
        train=train_settings(steps, **options),
    )
    dataset = Patterns(frames=4, channels=1, height=16, width=16)
    torch.manual_seed(0)
    return Trainer(
        run,
        config.train,
        generator=build_generator(config, classes=Patterns.classes),
        discriminator=build_discriminator(config, classes=Patterns.classes),
        objective=VideoObjective(config.objective),
        dataset=dataset,
        collate=lambda items: collate(items, 0),
        held_out=dataset,
        evaluator=VideoEvaluation(dataset=dataset, context_frames=0, clips=2, samples=2),
        accelerator=create_accelerator(config.train),
    )


def object_training(source: Path, run: Path, steps: int, *, growing: float = 0.0, **options: Any) -> Trainer:
    """A training of objects of a packed data set, by class."""
    return object_trainer(
        VoxelConfig(
            run=run,
            data=VoxelDataConfig(path=str(source), class_conditional=True),
            encoder=VoxelEncoderConfig(kind="none"),
            generator=OBJECTS,
            discriminator=JUDGE,
            objective=VoxelObjectiveConfig(style=EVERYTHING, growing=growing),
            train=train_settings(steps, **options),
        )
    )


def run_steps(trainer: Trainer, count: int) -> None:
    """So many steps of a training that is longer, and a checkpoint."""
    trainer.run.mkdir(parents=True, exist_ok=True)
    if trainer.resumed_run is None:
        trainer.resume()
    batches = iter(trainer._create_loader())
    for _ in range(count):
        trainer.train_step(batches)
        trainer.step += 1
        trainer.progress = trainer._measure_progress()
    trainer.save()


def state_of(run: Path) -> dict[str, Any]:
    """What the newest checkpoint of a run holds, without how long it took."""
    latest = checkpoint.find_latest(run)
    assert latest is not None
    return {name: value for name, value in checkpoint.load(latest)[1].items() if name != "seconds"}
