"""The parts of a voxel training that a configuration describes: networks, objective, trainer."""

from pathlib import Path

from accelerate import Accelerator

from gancore.training.trainer import Trainer
from voxgan.config import VoxelConfig, VoxelEncoderConfig, VoxelShape
from voxgan.data.dataset import PictureSpec, VoxelDataset, collate
from voxgan.networks.discriminator import VoxelDiscriminator
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.objective import VoxelObjective
from voxgan.validation import VoxelPreview, VoxelValidation


def build_shape(config: VoxelConfig, *, side: int, classes: tuple[str, ...]) -> VoxelShape:
    """The objects of a data set, with its classes if the networks are given them.

    Raises ValueError if classes are asked for and there are none.
    """
    if config.data.class_conditional and not classes:
        raise ValueError(f"data.class_conditional: {config.data.path} has no classes")
    return VoxelShape(side=side, classes=classes if config.data.class_conditional else ())


def picture_spec(encoder: VoxelEncoderConfig) -> PictureSpec | None:
    """The pictures that an encoder takes; None without an encoder."""
    return None if encoder.kind == "none" else PictureSpec(size=encoder.size, mask=encoder.mask)


def build_generator(config: VoxelConfig, shape: VoxelShape) -> ImageToVoxels | VoxelGenerator:
    """The generator to train: with an image encoder, or from noise alone."""
    if config.encoder.kind == "none":
        return VoxelGenerator(config.generator, shape)
    return ImageToVoxels(config.encoder, config.generator, shape)


def build_discriminator(config: VoxelConfig, shape: VoxelShape) -> VoxelDiscriminator:
    """The discriminator to train."""
    return VoxelDiscriminator(config.discriminator, shape)


def build_trainer(
    config: VoxelConfig, accelerator: Accelerator, *, dataset: VoxelDataset, held_out: VoxelDataset | None
) -> Trainer:
    """The trainer of a run; `held_out` objects are previewed and decide which EMA weights are best.

    Raises ValueError if the batch cannot be split evenly, or classes are asked for and there are none.
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
