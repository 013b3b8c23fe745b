"""All settings of a voxel training: data, encoder, generator, discriminator and objective.

Nothing here imports torch, so that a command can print its help at once.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gancore.config import ENERGY_LOSSES, AdversarialConfig, PenaltyConfig, TrainConfig, check_whole_batch
from gancore.style_config import StyleConfig, StyleObjectiveConfig, check_growing, check_kind

NormName = Literal["batch", "group", "none"]

MIXED_FRACTION = 0.5
"""Default of `data.mixed_fraction`."""


@dataclass(frozen=True, kw_only=True)
class ViewAugmentConfig:
    """Random augmentation of objects and their images in training; voxels and images stay consistent."""

    mirror: bool = True
    """Mirror half of the objects left to right, images and voxels alike."""

    crop_jitter: float = 0.06
    """Largest change of an image's crop window in position and size, as a fraction of its side."""

    colour_jitter: float = 0.4
    """Largest relative change of brightness and contrast; channel gains change by half as much."""

    greyscale_probability: float = 0.1
    """Fraction of images that are converted to grey."""

    background_probability: float = 1.0
    """Fraction of images shown over random colours and gradients, if the encoder does not see the mask."""

    def __post_init__(self) -> None:
        for name in ("crop_jitter", "colour_jitter", "greyscale_probability", "background_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class VoxelDataConfig:
    """Objects to train on, and the views they are shown in."""

    path: str = "furniture"
    """Folder made by `vidvox prepare`; "furniture" is the data set that comes with the package."""

    side: int | None = None
    """Voxels along each side of the training objects, a multiple of the data set's, which are interpolated; if null,
    those of the data set."""

    mixed_with: tuple[str, ...] = ()
    """Further data sets, of which only the training objects are used."""

    mixed_fraction: float = MIXED_FRACTION
    """Fraction of the samples that come from `mixed_with`."""

    classes: tuple[str, ...] = ()
    """Use only objects of these classes; all classes by default."""

    class_conditional: bool = False
    """Give the networks each object's class."""

    views: int = 1
    """Views per object and sample; how many of them the encoder sees is random."""

    augment: ViewAugmentConfig = field(default_factory=ViewAugmentConfig)
    """Augmentation in training."""

    proportions: float = 0.0
    """Stretch every object at random in each epoch, by factors of exp(-this) to exp(this); only without an encoder."""

    workers: int = 0
    """Number of processes that load data; with 0, the training process does."""

    def __post_init__(self) -> None:
        if self.side is not None and not 4 <= self.side <= 256:
            raise ValueError(f"side must lie between 4 and 256, got {self.side}")
        if self.views < 1:
            raise ValueError(f"views must be at least 1, got {self.views}")
        if not 0 < self.mixed_fraction <= 1:
            raise ValueError(f"mixed_fraction must lie in (0, 1], got {self.mixed_fraction}")
        if not self.mixed_with and self.mixed_fraction != MIXED_FRACTION:
            raise ValueError("mixed_fraction is for mixed_with, which names no data set")
        if not 0 <= self.proportions <= 1:
            raise ValueError(f"proportions must lie in [0, 1], got {self.proportions}")
        if self.workers < 0:
            raise ValueError(f"workers must not be negative, got {self.workers}")


@dataclass(frozen=True, kw_only=True)
class VoxelShape:
    """Resolution of a model's objects, and the classes it knows."""

    side: int = 32
    """Voxels along each side of the cube."""

    classes: tuple[str, ...] = ()
    """Names of the classes in the order of their labels; none for a model without classes."""

    def __post_init__(self) -> None:
        if self.side not in (8, 16, 32, 64, 128, 256):
            raise ValueError(f"side must be 8, 16, 32, 64, 128 or 256, got {self.side}")

    def class_index(self, name: str) -> int:
        """The label of a class. Raises ValueError listing the known classes."""
        if name not in self.classes:
            known = f"choose from {', '.join(self.classes)}" if self.classes else "the model has no classes"
            raise ValueError(f"unknown class {name!r}; {known}")
        return self.classes.index(name)


@dataclass(frozen=True, kw_only=True)
class VoxelEncoderConfig:
    """Image encoder; the defaults are the modern preset."""

    kind: Literal["small", "paper", "none"] = "small"
    """small: a residual network; paper: the paper's five convolutions; none: no encoder, objects from noise only."""

    size: int = 64
    """Side of the images in pixels."""

    mask: bool = True
    """Give the encoder the object's mask as a fourth channel; otherwise it sees the image over a background."""

    base_channels: int = 32
    """Channels of the small network's first map; they double with every halving of the map."""

    max_channels: int = 256
    """Maximum number of channels."""

    pretrained: bool = False
    """Also use features of a frozen EfficientNet-Lite0, pretrained on ImageNet and saved with the model."""

    cameras: bool = False
    """Also predict the camera of each picture, so that its colours are projected onto the right side of the mesh."""

    dropout: float = 0.0
    """Dropout probability of the last features."""

    def __post_init__(self) -> None:
        for name in ("pretrained", "cameras"):
            if self.kind == "none" and getattr(self, name):
                raise ValueError(f"{name} is for an encoder, and kind is none")
        if self.kind == "paper" and self.size != 256:
            raise ValueError(f"size must be 256 for the paper's encoder, got {self.size}")
        if self.size < 16 or self.size & (self.size - 1) or self.size > 2**12:
            raise ValueError(f"size must be a power of two from 16 to 4096, got {self.size}")
        for name in ("base_channels", "max_channels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")

    @property
    def in_channels(self) -> int:
        """Channels of an image."""
        return 4 if self.mask else 3


@dataclass(frozen=True, kw_only=True)
class VoxelGeneratorConfig:
    """Generator; the defaults are the modern preset."""

    kind: Literal["plain", "style"] = "plain"
    """plain: transposed convolutions from the latent (3D-GAN); style: a style generator in 3-D (StyleGAN2)."""

    latent_dim: int = 128
    """Size of the latent vector."""

    latent_prior: Literal["normal", "uniform", "mixture", "aggregate"] = "normal"
    """Distribution of the latent. normal: N(0, I); uniform: U[0, 1], as in the 3D-GAN paper; mixture: Gaussians with
    learned means (DeLiGAN, Gurumurthy et al. 2017); aggregate, with an encoder: the Gaussian that fits its latents of
    the training objects of each class."""

    mixture_components: int = 32
    """Number of Gaussians in the mixture."""

    base_channels: int = 32
    """Channels at half the output's side; they double with every halving of the map."""

    max_channels: int = 256
    """Maximum number of channels."""

    norm: NormName = "group"
    """Normalisation of hidden maps of the plain generator; the paper uses batch norm."""

    embedding_dim: int = 32
    """Size of the learned class embedding, which is concatenated to the latent; for models with classes, except with an
    aggregate prior."""

    symmetric: bool = False
    """Make every object symmetric, left to right."""

    output_bias: bool = True
    """Add a learned bias to the logits, which starts negative, so that most voxels are empty; the paper has none."""

    style: StyleConfig = field(default_factory=StyleConfig)
    """Settings of the style generator."""

    def __post_init__(self) -> None:
        for name in ("latent_dim", "mixture_components", "base_channels", "max_channels", "embedding_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.kind == "style" and self.norm != "group":
            raise ValueError(f"norm is for the plain generator; with kind style leave it at group, got {self.norm}")


@dataclass(frozen=True, kw_only=True)
class VoxelDiscriminatorConfig:
    """Discriminator; the defaults are the modern preset."""

    base_channels: int = 16
    """Channels at half the input's side; they double with every halving of the map."""

    max_channels: int = 256
    """Maximum number of channels."""

    norm: NormName = "none"
    """Normalisation of hidden maps; batch norm, as in the paper, is incompatible with gradient penalties."""

    spectral_norm: bool = False
    """Apply spectral normalisation to every weight."""

    dropout: float = 0.0
    """Dropout probability of the last features."""

    patch_levels: int = 0
    """Also score patches, the receptive fields of the map after this many halvings: 10^3 voxels for 2, 22^3 for 3; 0
    scores only whole objects."""

    def __post_init__(self) -> None:
        if not 0 <= self.patch_levels <= 6:
            raise ValueError(f"patch_levels must lie in [0, 6], got {self.patch_levels}")


@dataclass(frozen=True, kw_only=True)
class VoxelAugmentConfig:
    """Differentiable augmentation of all that the discriminator sees (DiffAugment, Zhao et al. 2020; ADA, Karras et al.
    2020)."""

    probability: float = 0.0
    """Probability that an object is stretched and shifted; 0 turns this off."""

    stretch: float = 0.2
    """Largest absolute logarithm of the stretch factor along each axis."""

    shift: float = 0.05
    """Largest translation along each axis, as a fraction of the side."""

    soften: bool = False
    """Blur every object by 1-2-1 along each axis, so that binary voxels do not give real ones away."""

    def __post_init__(self) -> None:
        for name in ("probability", "stretch", "shift"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class VoxelObjectiveConfig(AdversarialConfig):
    """Adversarial loss, and for an image encoder KL divergence and reconstruction; the defaults are the modern preset.

    The names of the reconstruction weights state the reduction: a sum over 32^3 voxels is 32 768 times their mean.
    """

    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=0.02, r2=0.02, lazy_every=4))
    """Gradient penalties of the discriminator; strong ones make it miss single voxels, so that thin legs break."""

    augment: VoxelAugmentConfig = field(default_factory=VoxelAugmentConfig)
    """Differentiable augmentation of all that the discriminator sees."""

    discriminator_accuracy_gate: float | None = None
    """Skip the discriminator's update if its accuracy on the last batch exceeded this: 0.8 in the paper. Null: off."""

    judge_reconstructions: bool = False
    """Show the discriminator reconstructions as half of the fake objects (VAE-GAN, Larsen et al. 2016)."""

    update_order: Literal["joint", "three-step"] = "joint"
    """Update encoder and generator together, or the encoder before the generator as in the paper."""

    kl_weight: float = 1e-4
    """Weight of the KL divergence from N(0, I), in nats, summed over the latent."""

    kl_warmup: float = 0.2
    """Fraction of the training over which kl_weight rises linearly from 0."""

    mean_bce_weight: float = 1.0
    """Weight of the binary cross-entropy, averaged over voxels."""

    sum_bce_weight: float = 0.0
    """Weight of the binary cross-entropy, summed over voxels."""

    l2_weight: float = 0.0
    """Weight of the Euclidean distance of the probabilities from the occupancy, over all voxels, as in the paper."""

    soft_iou_weight: float = 0.0
    """Weight of 1 - soft IoU of the probabilities, which treats small and large objects alike."""

    camera_weight: float = 0.02
    """Weight of the cross-entropy of the cameras, for an encoder with `cameras`."""

    view_subset: Literal["all", "random"] = "random"
    """all: the encoder fuses all views of a sample; random: a random number of them, drawn for each object."""

    label_dropout: float = 0.2
    """Fraction of objects whose class is hidden from the networks, so that they also work without a class."""

    growing: float = 0.0
    """Fraction of the training over which the resolution grows from 8 voxels a side, with each doubling faded in
    (PGGAN, Karras et al. 2018); only without an encoder. 0 trains at full resolution."""

    style: StyleObjectiveConfig = field(default_factory=StyleObjectiveConfig)
    """Training of the style generator."""

    def __post_init__(self) -> None:
        if self.loss in ENERGY_LOSSES:
            raise ValueError(f"loss {self.loss} needs an autoencoder as discriminator, which voxel models lack")
        super().__post_init__()
        for name in ("kl_warmup", "label_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        check_growing(self.growing)
        gate = self.discriminator_accuracy_gate
        if gate is not None and not 0 < gate < 1:
            raise ValueError(f"discriminator_accuracy_gate must lie in (0, 1), got {gate}")

    @property
    def reconstruction_weights(self) -> dict[str, float]:
        """The reconstruction losses in use, with their weights."""
        weights = {
            "mean_bce": self.mean_bce_weight,
            "sum_bce": self.sum_bce_weight,
            "l2": self.l2_weight,
            "soft_iou": self.soft_iou_weight,
        }
        return {name: weight for name, weight in weights.items() if weight}


@dataclass(frozen=True, kw_only=True)
class VoxelConfig:
    """Train an image-to-object network (3D-VAE-GAN), or with encoder.kind none a generator from noise (3D-GAN)."""

    run: Path = Path("runs/voxels")
    """Run folder; training resumes from its newest checkpoint."""

    data: VoxelDataConfig = field(default_factory=VoxelDataConfig)
    """Objects to train on."""

    encoder: VoxelEncoderConfig = field(default_factory=VoxelEncoderConfig)
    """Image encoder."""

    generator: VoxelGeneratorConfig = field(default_factory=VoxelGeneratorConfig)
    """Generator."""

    discriminator: VoxelDiscriminatorConfig = field(default_factory=VoxelDiscriminatorConfig)
    """Discriminator."""

    objective: VoxelObjectiveConfig = field(default_factory=VoxelObjectiveConfig)
    """Losses of generator and discriminator."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """Length and speed of the training."""

    def __post_init__(self) -> None:
        check_whole_batch(self.objective, self.train)
        generator, objective = self.generator, self.objective
        check_kind(generator.kind, generator.style, objective.style, growing=objective.growing)
        if self.encoder.kind == "none":
            if self.objective.update_order == "three-step":
                raise ValueError("objective.update_order: without an encoder there is no encoder step; use joint")
            if not self.objective.adversarial_weight or self.objective.adversarial_start:
                raise ValueError(
                    "objective.adversarial_weight: without an encoder the adversarial loss is needed from the start"
                )
            if self.objective.judge_reconstructions:
                raise ValueError("objective.judge_reconstructions: without an encoder there are no reconstructions")
            if self.generator.latent_prior == "aggregate":
                raise ValueError(
                    "generator.latent_prior: aggregate is the prior of an encoder's latents; choose another"
                )
            return
        if generator.kind == "style" or objective.growing:
            raise ValueError("generator.kind style and objective.growing are for encoder.kind none")
        if self.data.proportions:
            raise ValueError("data.proportions: the encoder's images would not match; use encoder.kind none")
        if not self.objective.reconstruction_weights:
            raise ValueError(
                "objective: an encoder needs a reconstruction; set one of mean_bce_weight, sum_bce_weight, l2_weight "
                "and soft_iou_weight"
            )
        if self.generator.latent_prior not in ("normal", "aggregate"):
            raise ValueError(
                "generator.latent_prior: the encoder's KL divergence assumes N(0, I); use normal or aggregate, or "
                "encoder.kind none"
            )
