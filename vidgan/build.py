"""The parts of a video training that a configuration describes: networks, objective, trainer."""

from functools import partial
from pathlib import Path

from accelerate import Accelerator

from gancore.layers import spectral_norm_
from gancore.training.trainer import Trainer
from vidgan.config import ClipShape, VideoConfig
from vidgan.data.dataset import ClipDataset, collate
from vidgan.networks.discriminators import VideoDiscriminator
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.objective import VideoObjective
from vidgan.validation import VideoEvaluation, VideoPreview


def build_generator(config: VideoConfig, *, classes: tuple[str, ...] = ()) -> FramePredictor | VideoGenerator:
    """The generator to train: a predictor if there are past frames; with spectral norm on every weight if asked for."""
    data = config.data
    shape = ClipShape(
        channels=data.channels,
        height=data.height,
        width=data.width,
        context_frames=data.context_frames,
        clip_frames=data.clip_frames,
        classes=classes,
    )
    generator = (FramePredictor if data.context_frames else VideoGenerator)(config.generator, shape)
    if config.generator.spectral_norm:
        spectral_norm_(generator)
    return generator


def build_discriminator(config: VideoConfig, *, classes: tuple[str, ...] = ()) -> VideoDiscriminator:
    """The discriminators to train, as one module."""
    return VideoDiscriminator(config.discriminator, channels=config.data.channels, classes=len(classes))


def build_trainer(
    config: VideoConfig, accelerator: Accelerator, *, dataset: ClipDataset, held_out: ClipDataset
) -> Trainer:
    """The trainer of a run; `held_out` clips are previewed and decide which EMA weights are best.

    Raises ValueError if the batch cannot be split evenly.
    """
    context_frames, classes = config.data.context_frames, dataset.classes
    return Trainer(
        Path(config.run),
        config.train,
        generator=build_generator(config, classes=classes),
        discriminator=build_discriminator(config, classes=classes),
        objective=VideoObjective(config.objective),
        dataset=dataset,
        collate=partial(collate, context_frames=context_frames),
        workers=config.data.workers,
        held_out=held_out,
        preview=VideoPreview(dataset=held_out, context_frames=context_frames),
        evaluator=VideoEvaluation(dataset=held_out, context_frames=context_frames),
        accelerator=accelerator,
    )
