"""The parts of a training from clip to clip that a configuration describes."""

from pathlib import Path

from accelerate import Accelerator

from gancore.training.summary import DataSummary
from gancore.training.trainer import Trainer
from vidgan.build import summarise_data
from vidgan.networks.discriminators import VideoDiscriminator
from vidgan.networks.translator import ClipTranslator
from vidgan.translation.objective import PairedObjective
from vidgan.translation.pairs import PairDataset, clip_settings, collate_pairs, measure_pairs
from vidgan.translation.validation import TranslationEvaluation, TranslationPreview
from vidgan.translation_config import PairShape, TranslationConfig


def build_translator(config: TranslationConfig, *, scale: int = 1, masked: bool = False) -> ClipTranslator:
    """The translator to train, for targets `scale` times as large as their sources, with or without a mask."""
    data = config.data
    shape = PairShape(
        channels=data.channels,
        height=data.height,
        width=data.width,
        clip_frames=data.clip_frames,
        scale=scale,
        masked=masked,
        degradations=data.degradations,
    )
    return ClipTranslator(config.generator, shape)


def build_discriminator(config: TranslationConfig) -> VideoDiscriminator:
    """The discriminators of targets, with their sources as further channels if those are shown."""
    shown = 2 if config.objective.show_source else 1
    return VideoDiscriminator(config.discriminator, channels=shown * config.data.channels)


def build_trainer(
    config: TranslationConfig, accelerator: Accelerator, *, dataset: PairDataset, held_out: PairDataset
) -> Trainer:
    """The trainer of a run; `held_out` pairs are previewed and decide which EMA weights are best.

    Raises ValueError if the batch cannot be split evenly.
    """
    scale, masked = measure_pairs(config.data, held_out)
    return Trainer(
        Path(config.run),
        config.train,
        generator=build_translator(config, scale=scale, masked=masked),
        discriminator=build_discriminator(config),
        objective=PairedObjective(config.objective),
        dataset=dataset,
        collate=collate_pairs,
        workers=config.data.workers,
        held_out=held_out,
        preview=TranslationPreview(dataset=held_out),
        evaluator=TranslationEvaluation(dataset=held_out) if held_out.has_truth else None,
        accelerator=accelerator,
    )


def summarise_pairs(config: TranslationConfig, *, dataset: PairDataset, held_out: PairDataset) -> DataSummary:
    """What the splits of the targets hold; see `vidgan.build.summarise_data`."""
    return summarise_data(clip_settings(config.data), dataset=dataset.targets, held_out=held_out.targets)
