"""Builds the parts of a translator's training run from its configuration."""

from pathlib import Path

from accelerate import Accelerator

from gancore.training.protocols import Evaluator, Objective, PreviewCallback
from gancore.training.summary import DataSummary
from gancore.training.trainer import Trainer
from vidgan.build import summarise_data
from vidgan.networks.discriminators import VideoDiscriminator
from vidgan.networks.translator import ClipTranslator
from vidgan.networks.translator_pair import DiscriminatorPair, TranslatorPair
from vidgan.translation.objective import PairedObjective
from vidgan.translation.pairs import PairDataset, clip_settings, collate_pairs, measure_pairs
from vidgan.translation.unpaired import UnpairedObjective
from vidgan.translation.unpaired_validation import UnpairedEvaluation, UnpairedPreview, match_training
from vidgan.translation.validation import TranslationEvaluation, TranslationPreview
from vidgan.translation_config import PairParts, PairShape, TranslationConfig


def build_translator(
    config: TranslationConfig, *, scale: int = 1, masked: bool = False
) -> ClipTranslator | TranslatorPair:
    """The translator to train, for targets `scale` times as large as their sources, with or without a mask.

    For unpaired data it is a `TranslatorPair`, with a translator back or a projection for the patch contrast. Raises
    ValueError for unpaired data with a mask, or with targets larger than their sources.
    """
    data, losses = config.data, config.unpaired
    shape = PairShape(
        channels=data.channels,
        height=data.height,
        width=data.width,
        clip_frames=data.clip_frames,
        scale=scale,
        masked=masked,
        degradations=data.degradations,
    )
    if data.paired:
        return ClipTranslator(config.generator, shape)
    if scale != 1 or masked:
        raise ValueError(
            f"data.degradations: unpaired sources must be whole and as large as targets, not "
            f"{', '.join(data.degradations)}"
        )
    features = losses.contrast_features if losses.contrast_weight else 0
    parts = PairParts(back=losses.cycle_weight > 0, contrast_features=features)
    return TranslatorPair(config.generator, parts, shape)


def build_discriminator(config: TranslationConfig) -> VideoDiscriminator | DiscriminatorPair:
    """The discriminators of targets, with sources as further channels if `show_source`.

    For unpaired data, discriminators of targets alone, and of sources if there is a translator back.
    """
    channels = config.data.channels
    if not config.data.paired:
        return DiscriminatorPair(config.discriminator, channels=channels, back=config.unpaired.cycle_weight > 0)
    shown = 2 if config.objective.show_source else 1
    return VideoDiscriminator(config.discriminator, channels=shown * channels)


def build_trainer(
    config: TranslationConfig, accelerator: Accelerator, *, dataset: PairDataset, held_out: PairDataset
) -> Trainer:
    """The trainer of a run; `held_out` pairs are previewed and decide which EMA weights are best.

    Raises ValueError if the batch cannot be split evenly.
    """
    scale, masked = measure_pairs(config.data, held_out)
    objective: Objective
    evaluator: Evaluator | None
    if config.data.paired:
        objective = PairedObjective(config.objective)
        preview: PreviewCallback = TranslationPreview(dataset=held_out)
        evaluator = TranslationEvaluation(dataset=held_out) if held_out.has_truth else None
    else:
        objective = UnpairedObjective(config.unpaired)
        preview = UnpairedPreview(dataset=held_out)
        evaluator = UnpairedEvaluation(dataset=held_out, training=dataset)
    generator = build_translator(config, scale=scale, masked=masked)
    if isinstance(generator, TranslatorPair) and config.generator.base == "histogram":
        matching = match_training(dataset)
        generator.set_curves(matching.curves, matching.curves_back)
    return Trainer(
        Path(config.run),
        config.train,
        generator=generator,
        discriminator=build_discriminator(config),
        objective=objective,
        dataset=dataset,
        collate=collate_pairs,
        workers=config.data.workers,
        held_out=held_out,
        preview=preview,
        evaluator=evaluator,
        accelerator=accelerator,
    )


def summarise_pairs(config: TranslationConfig, *, dataset: PairDataset, held_out: PairDataset) -> DataSummary:
    """Summarises the splits of the targets; see `vidgan.build.summarise_data`."""
    return summarise_data(clip_settings(config.data), dataset=dataset.targets, held_out=held_out.targets)
