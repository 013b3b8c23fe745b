"""Builds the parts of a video training run from its configuration: networks, objective, trainer, data summary."""

from functools import partial
from pathlib import Path

from accelerate import Accelerator

from gancore.layers import spectral_norm_
from gancore.splits import Split
from gancore.training.summary import DataSummary, SplitSummary
from gancore.training.trainer import Trainer
from vidgan.config import ClipShape, VideoConfig
from vidgan.data.batch import collate
from vidgan.data.dataset import ClipDataset, VideoClipDataset, open_dataset
from vidgan.data.degraded_pasts import degrade_pasts
from vidgan.data.synthetic.mixture import MixedClips
from vidgan.data_config import VideoDataConfig
from vidgan.networks.discriminators import VideoDiscriminator
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.objective import VideoObjective
from vidgan.validation import VideoEvaluation, VideoPreview


def build_generator(config: VideoConfig, *, classes: tuple[str, ...] = ()) -> FramePredictor | VideoGenerator:
    """The generator to train: a predictor if there are past frames; with spectral norm if configured."""
    data = config.data
    shape = ClipShape(
        channels=data.channels,
        height=data.height,
        width=data.width,
        context_frames=data.context_frames,
        clip_frames=data.clip_frames,
        classes=classes,
        actions=data.actions,
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

    The pasts of both data sets are degraded if configured. Raises ValueError if the batch cannot be split evenly among
    processes and micro-batches, or for invalid `past_degradations`.
    """
    context_frames, classes = config.data.context_frames, dataset.classes
    dataset = degrade_pasts(dataset, config.data, train=True)
    held_out = degrade_pasts(held_out, config.data, train=False)
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


def summarise_data(config: VideoDataConfig, *, dataset: ClipDataset, held_out: ClipDataset) -> DataSummary:
    """Summarises the splits, including the test split, with a warning if best/ will be chosen on the test split."""
    found: dict[Split, ClipDataset] = {"train": dataset, "val": held_out}
    warning = None
    if isinstance(held_out, VideoClipDataset) and held_out.val_is_test:
        found["test"] = held_out
        warning = (
            "there is no validation split: best/ is chosen on the clips that vidvox evaluate measures, whose scores "
            "are then too good. Hold out two videos or more, or put some into a folder val"
        )
    else:
        try:
            found["test"] = open_dataset(config, split="test")
        except ValueError:  # an unreadable test split prevents evaluation, not training
            warning = "no video of the test split can be read: vidvox evaluate will have nothing to measure on"
    splits = [
        SplitSummary(split=split, item="video", names=list_video_names(clips), clips=len(clips))
        for split, clips in found.items()
    ]
    classes = f", {len(dataset.classes)} classes" if dataset.classes else ""
    return DataSummary(source=f"{config.path}{classes}", splits=splits, warning=warning)


def list_video_names(clips: ClipDataset) -> list[str]:
    """The names of the videos that clips are cut from, each once; none for generated clips."""
    videos = clips.videos if isinstance(clips, MixedClips) else clips
    return (
        list(dict.fromkeys(each.video.name for each in videos.segments)) if isinstance(videos, VideoClipDataset) else []
    )
