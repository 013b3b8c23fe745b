"""VoxelConfig: all settings of a voxel run, and the networks and data they describe."""

from dataclasses import dataclass, field

from gancore.config import TrainConfig
from gancore.hub import HubModel
from voxgan.data.dataset import PictureSpec, VoxelDataConfig
from voxgan.networks.discriminator import VoxelDiscriminator, VoxelDiscriminatorConfig
from voxgan.networks.encoder import VoxelEncoderConfig
from voxgan.networks.generator import VoxelGenerator, VoxelGeneratorConfig, VoxelShape
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.objective import RECONSTRUCTION_LOSSES, VoxelObjective


@dataclass(frozen=True, kw_only=True)
class VoxelConfig:
    """Train a network from pictures to objects (3D-VAE-GAN), or one from noise alone (encoder.kind none: 3D-GAN)."""

    run: str = "runs/voxels"
    """Folder of the run; training goes on from its newest checkpoint if it has one."""

    data: VoxelDataConfig = field(default_factory=VoxelDataConfig)
    """Which objects."""

    encoder: VoxelEncoderConfig = field(default_factory=VoxelEncoderConfig)
    """Who reads pictures."""

    generator: VoxelGeneratorConfig = field(default_factory=VoxelGeneratorConfig)
    """The player who makes objects."""

    discriminator: VoxelDiscriminatorConfig = field(default_factory=VoxelDiscriminatorConfig)
    """The player who tells them from real ones."""

    objective: VoxelObjective = field(default_factory=VoxelObjective)
    """What they play for."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """How long and how."""

    def __post_init__(self) -> None:
        if self.encoder.kind == "none":
            if self.objective.update_order == "three-step":
                raise ValueError(
                    "objective.update_order: without an encoder there is no step for it to take; use joint"
                )
            if not self.objective.adversarial_weight or self.objective.adversarial_start:
                raise ValueError("objective.adversarial_weight: without an encoder only the game is left to learn from")
            return
        if self.data.proportions:
            raise ValueError("data.proportions: the pictures of an encoder would not follow; use encoder.kind none")
        if not any(getattr(self.objective, name) for name in RECONSTRUCTION_LOSSES):
            raise ValueError(f"objective: an encoder needs a reconstruction, one of {', '.join(RECONSTRUCTION_LOSSES)}")
        if self.generator.latent_prior != "normal":
            raise ValueError(
                "generator.latent_prior: an encoder's KL pulls to N(0, 1); use normal, or encoder.kind none"
            )


def build_shape(config: VoxelConfig, *, side: int, classes: tuple[str, ...]) -> VoxelShape:
    """The objects of a data set, with classes if the networks are told them. Raises ValueError without any to tell."""
    if config.data.class_conditional and not classes:
        raise ValueError(f"data.class_conditional: {config.data.path} has no classes")
    return VoxelShape(side=side, classes=classes if config.data.class_conditional else ())


def picture_spec(encoder: VoxelEncoderConfig) -> PictureSpec | None:
    """The pictures that an encoder takes; None without an encoder."""
    return None if encoder.kind == "none" else PictureSpec(size=encoder.size, mask=encoder.mask)


def build_generator(config: VoxelConfig, shape: VoxelShape) -> HubModel:
    """The generator to train: with an encoder of pictures, or from noise alone."""
    if config.encoder.kind == "none":
        return VoxelGenerator(config.generator, shape)
    return ImageToVoxels(config.encoder, config.generator, shape)


def build_discriminator(config: VoxelConfig, shape: VoxelShape) -> VoxelDiscriminator:
    """The discriminator to train."""
    return VoxelDiscriminator(config.discriminator, shape)
