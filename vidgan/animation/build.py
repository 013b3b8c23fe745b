"""Builds the parts of an animator's training run from its configuration."""

from pathlib import Path

from accelerate import Accelerator

from gancore.training.summary import DataSummary
from gancore.training.trainer import Trainer
from vidgan.animation.frames import FigureFrames, collate_figures
from vidgan.animation.objective import AnimationObjective
from vidgan.animation.validation import AnimationEvaluation, AnimationPreview
from vidgan.animation_config import AnimationConfig, FigureShape
from vidgan.build import summarise_data
from vidgan.networks.animator import Animator
from vidgan.networks.discriminators import VideoDiscriminator


def build_animator(config: AnimationConfig) -> Animator:
    """The animator to train."""
    data = config.data
    return Animator(config.generator, FigureShape(channels=data.channels, height=data.height, width=data.width))


def build_discriminator(config: AnimationConfig) -> VideoDiscriminator:
    """The discriminators of single frames, with the source as further channels if `show_source`."""
    shown = 2 if config.objective.show_source else 1
    return VideoDiscriminator(config.discriminator, channels=shown * config.data.channels)


def build_trainer(
    config: AnimationConfig, accelerator: Accelerator, *, dataset: FigureFrames, held_out: FigureFrames
) -> Trainer:
    """The trainer of a run; `held_out` clips are previewed and decide which EMA weights are best.

    Raises ValueError if the batch cannot be split evenly.
    """
    return Trainer(
        Path(config.run),
        config.train,
        generator=build_animator(config),
        discriminator=build_discriminator(config),
        objective=AnimationObjective(config.objective),
        dataset=dataset,
        collate=collate_figures,
        workers=config.data.workers,
        held_out=held_out,
        preview=AnimationPreview(dataset=held_out),
        evaluator=AnimationEvaluation(dataset=held_out),
        accelerator=accelerator,
    )


def summarise_figures(config: AnimationConfig, *, dataset: FigureFrames, held_out: FigureFrames) -> DataSummary:
    """Summarises the splits; see `vidgan.build.summarise_data`."""
    return summarise_data(config.data, dataset=dataset.clips, held_out=held_out.clips)
