"""Builds the parts of a voxel training from its configuration: networks, objective, trainer, summary of the data."""

from pathlib import Path

from accelerate import Accelerator

from gancore.splits import SPLITS
from gancore.training.summary import DataSummary, SplitSummary
from gancore.training.trainer import Trainer
from voxgan.config import VoxelConfig, VoxelEncoderConfig, VoxelShape
from voxgan.data.dataset import PictureSpec, VoxelDataset, collate, is_selected
from voxgan.networks.discriminator import VoxelDiscriminator
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.objective import VoxelObjective
from voxgan.validation import VoxelPreview, VoxelValidation


def build_shape(config: VoxelConfig, *, side: int, classes: tuple[str, ...]) -> VoxelShape:
    """The shape of a model for a data set, with the data set's classes if the networks are conditioned on them.

    Raises ValueError if they are, and the data set has no classes.
    """
    if config.data.class_conditional and not classes:
        raise ValueError(f"data.class_conditional: {config.data.path} has no classes")
    return VoxelShape(side=side, classes=classes if config.data.class_conditional else ())


def picture_spec(encoder: VoxelEncoderConfig) -> PictureSpec | None:
    """The format of an encoder's pictures; None without an encoder."""
    return None if encoder.kind == "none" else PictureSpec(size=encoder.size, mask=encoder.mask)


def build_generator(config: VoxelConfig, shape: VoxelShape) -> ImageToVoxels | VoxelGenerator:
    """The generator to train, with an image encoder unless its kind is none.

    Raises FileNotFoundError if the weights of a pretrained network are missing.
    """
    if config.encoder.kind == "none":
        return VoxelGenerator(config.generator, shape)
    model = ImageToVoxels(config.encoder, config.generator, shape)
    if model.encoder.pretrained is not None:
        model.encoder.pretrained.network.load_published()
    return model


def build_discriminator(config: VoxelConfig, shape: VoxelShape) -> VoxelDiscriminator:
    """The discriminator to train."""
    return VoxelDiscriminator(config.discriminator, shape)


def build_trainer(
    config: VoxelConfig, accelerator: Accelerator, *, dataset: VoxelDataset, held_out: VoxelDataset | None
) -> Trainer:
    """The trainer of a run; `held_out` objects are shown in previews, and select the best EMA weights.

    Raises ValueError if the batch cannot be divided evenly, or the networks need classes and the data set has none.
    """
    shape = build_shape(config, side=dataset.side, classes=dataset.classes)
    from_images = config.encoder.kind != "none"
    return Trainer(
        Path(config.run),
        config.train,
        generator=build_generator(config, shape),
        discriminator=build_discriminator(config, shape),
        objective=VoxelObjective(config.objective),
        dataset=dataset,
        collate=collate,
        workers=config.data.workers,
        held_out=held_out,
        preview=VoxelPreview(dataset=held_out),
        evaluator=VoxelValidation(dataset=held_out, from_images=from_images) if held_out else None,
        accelerator=accelerator,
    )


def summarise_data(dataset: VoxelDataset, held_out: VoxelDataset | None) -> DataSummary:
    """The contents of the splits, with a warning if best/ will be chosen on the test split or not at all."""
    packed, with_views = dataset.packed, dataset.pictures is not None
    names = {
        split: [
            packed.objects[index].id
            for index in packed.indices(split)
            if is_selected(packed.objects[index], dataset.config, with_views=with_views)
        ]
        for split in SPLITS
    }
    warning = None
    if held_out is None:
        warning = "no object is held out: nothing is scored, and best/ is not written. Add objects, or a splits.json"
    elif held_out.split == "test":
        warning = (
            "there is no validation split: best/ is chosen on the objects that vidvox evaluate measures, whose scores "
            "are then too good. Add objects, or a splits.json that lists some under val"
        )
    classes = f", {len(dataset.classes)} classes" if dataset.classes else ""
    splits = [SplitSummary(split=split, item="object", names=names[split]) for split in SPLITS if names[split]]
    others = ", ".join(dataset.config.mixed_with)
    mixed = f", mixed with {len(dataset.mixed_in):,} objects of {others}" if dataset.mixed_in else ""
    source = f"{dataset.config.path}, {dataset.side} voxels a side{classes}{mixed}"
    return DataSummary(source=source, splits=splits, warning=warning)
