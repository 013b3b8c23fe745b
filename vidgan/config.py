"""All settings for training video predictors and generators: data, both networks, objective.

Nothing here imports torch, so that commands print their help quickly.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gancore.config import (
    ENERGY_LOSSES,
    AdversarialConfig,
    AugmentConfig,
    PenaltyConfig,
    TrainConfig,
    check_whole_batch,
)
from gancore.keys import OMITTED_DEFAULT
from gancore.style_config import StyleConfig, StyleObjectiveConfig, check_growing, check_kind
from vidgan.data_config import VideoDataConfig
from vidgan.motion_config import MotionCodeConfig

RecurrentUnitName = Literal["gru", "tsru-c", "tsru-p", "tsru-s"]
StateActivation = Literal["relu", "tanh"]


@dataclass(frozen=True, kw_only=True)
class ClipShape:
    """Shape of a model's clips, its classes and its actions."""

    channels: int = 1
    """Channels of a frame: 1, 3 or any other number."""

    height: int = 64
    """Height of the training frames in pixels."""

    width: int = 64
    """Width of the training frames in pixels."""

    context_frames: int = 10
    """Number of past frames given; 0 for generation from noise."""

    clip_frames: int = 20
    """Number of frames in a whole clip, including the past."""

    classes: tuple[str, ...] = ()
    """Names of the classes in the order of their labels; empty for a model without classes."""

    actions: int = field(default=0, metadata=OMITTED_DEFAULT)
    """Size of an action; 0 for a model without actions, whose config.json then omits this key."""

    def __post_init__(self) -> None:
        limits = {"channels": 2**10, "height": 2**14, "width": 2**14, "clip_frames": 2**16}
        for name, limit in limits.items():
            if not 1 <= getattr(self, name) <= limit:
                raise ValueError(f"{name} must lie in [1, {limit}], got {getattr(self, name)}")
        if not 0 <= self.context_frames < self.clip_frames:
            raise ValueError(f"context_frames must lie in [0, {self.clip_frames}), got {self.context_frames}")
        if not 0 <= self.actions <= 2**12:
            raise ValueError(f"actions must lie in [0, {2**12}], got {self.actions}")


PLAIN_SETTINGS = (
    *("recurrent_unit", "state_activation", "blocks_per_level", "norm", "latent_init", "context_encoder"),
    *("correlation_radius", "motion_layers", "attention_after", "spectral_norm", "zero_init_residual"),
    "segment_steps",
)
"""Settings of the plain generator alone."""


@dataclass(frozen=True, kw_only=True)
class VideoGeneratorConfig:
    """Generator; the defaults are the modern preset."""

    kind: Literal["plain", "style"] = "plain"
    """Recurrent units at every resolution (DVD-GAN) or, for clips from noise, a style generator (StyleGAN-V), which
    generates frames at arbitrary times."""

    base_channels: int = 16
    """Base width (channels); the width of every level is a multiple of it."""

    channel_multipliers: tuple[int, ...] = (4, 4, 3, 2)
    """Width of the smallest map, then of the map after each level, as multiples of base_channels; each level doubles
    the resolution."""

    latent_dim: int = 64
    """Size of the noise vector, N(0, I)."""

    embedding_dim: int = 120
    """Size of the learned embedding of a class or an action, for models with either."""

    recurrent_unit: RecurrentUnitName = "gru"
    """Recurrent unit: ConvGRU (DVD-GAN) or a transforming unit (TrIVD-GAN)."""

    state_activation: StateActivation = "tanh"
    """Activation of the recurrent state; ReLU in the paper."""

    blocks_per_level: int = 1
    """Residual blocks per level, the last of which doubles the resolution; 2 in the paper."""

    norm: Literal["group", "batch"] = "group"
    """Conditional norm of the blocks: group norm, or batch norm with separate statistics per timestep (paper)."""

    patch_size: int = 2
    """Space-to-depth factor at input and output: the network works at 1/patch_size of the frame size."""

    latent_init: Literal["vector", "map"] = "vector"
    """How the smallest map is computed from the noise: one vector at every position, or an affine map to all positions
    (paper)."""

    context_encoder: Literal["recurrent", "stack"] = "recurrent"
    """How past frames are encoded into initial states: by a recurrent unit per level, or by a convolution over the
    stacked frames (paper)."""

    correlation_radius: int = 2
    """Search radius, in patches, of the correlation volume between consecutive past frames (recurrent context)."""

    output: Literal["motion", "splat", "sprites", "frames"] = "motion"
    """How frames are generated: motion warps the last frame and adds new content, splat moves its pixels forward over
    the background, sprites translates parts of it, frames generates them from scratch (paper)."""

    motion_layers: int = 2
    """Number of independently moving layers, for outputs motion and sprites."""

    attention_after: int | None = None
    """Level after which self-attention is applied, 1 being the smallest; no attention by default."""

    spectral_norm: bool = False
    """Spectral norm on every weight (paper)."""

    zero_init_residual: bool = True
    """Initialise every residual block to its shortcut."""

    segment_steps: int | None = None
    """Timesteps per segment of gradient checkpointing: activations of earlier segments are recomputed instead of
    stored. By default there is one segment for all timesteps."""

    style: StyleConfig = field(default_factory=StyleConfig)
    """Settings of the style generator."""

    motion: MotionCodeConfig = field(default_factory=MotionCodeConfig)
    """Motion codes of the style generator."""

    def __post_init__(self) -> None:
        if self.kind == "style":
            for name in PLAIN_SETTINGS:
                if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                    raise ValueError(f"{name} is a setting of the plain generator, and kind is style")
        elif self.motion != MotionCodeConfig():
            raise ValueError("motion has settings of the style generator, and kind is plain")
        if len(self.channel_multipliers) < 2:
            raise ValueError("channel_multipliers needs at least two numbers, the start and one level")
        if min(self.channel_multipliers) < 1:
            raise ValueError(f"channel_multipliers must be at least 1, got {min(self.channel_multipliers)}")
        for name in ("base_channels", "latent_dim", "embedding_dim", "blocks_per_level", "patch_size", "motion_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.correlation_radius < 0:
            raise ValueError(f"correlation_radius must not be negative, got {self.correlation_radius}")
        levels = len(self.channel_multipliers) - 1
        if self.attention_after is not None and not 1 <= self.attention_after <= levels:
            raise ValueError(f"attention_after must lie in [1, {levels}], got {self.attention_after}")
        if self.segment_steps is not None and self.segment_steps < 1:
            raise ValueError(f"segment_steps must be at least 1, got {self.segment_steps}")
        if self.spectral_norm and self.zero_init_residual:
            raise ValueError("zero_init_residual: a zero weight has no spectral norm; set one of the two to false")
        if self.spectral_norm and self.output == "sprites":
            raise ValueError("output: sprites start with a zero weight, which has no spectral norm")

    @property
    def spatial_stride(self) -> int:
        """Frame pixels per position of the smallest map."""
        return self.patch_size * 2 ** (len(self.channel_multipliers) - 1)

    @property
    def widths(self) -> list[int]:
        """Channels of the smallest map, then after each level."""
        return [self.base_channels * multiplier for multiplier in self.channel_multipliers]


@dataclass(frozen=True, kw_only=True)
class VideoDiscriminatorConfig:
    """Spatial and temporal discriminators; the defaults are the modern preset."""

    base_channels: int = 16
    """Base width (channels); the width of every block is a multiple of it."""

    channel_multipliers: tuple[int, ...] = (2, 4, 6)
    """Width after each block, as multiples of base_channels; every block halves the map."""

    variant: Literal["trivd", "dvd"] = "trivd"
    """Inputs of the two discriminators: pooled frames and a crop of the clip (TrIVD-GAN, DGMR), or full frames and
    the pooled clip (DVD-GAN)."""

    score: Literal["clip", "patches", "reconstruction"] = "clip"
    """What is scored: clip, the clip as a whole; patches, each position of the last map separately (PatchGAN), with a
    receptive field of 14, 32 or 68 pixels after one, two or three blocks, times patch_size and pooling; reconstruction,
    how well an autoencoder reconstructs the clip, for objective.loss energy and equilibrium."""

    code_channels: int = 8
    """Channels of the autoencoder's code, which has the size of the last map; for score reconstruction."""

    reconstruction_error: Literal["l1", "l2"] = "l1"
    """Reconstruction error of the autoencoder, averaged over pixels: absolute (BEGAN) or squared (EBGAN); for score
    reconstruction."""

    spatial_frames: int = 4
    """Number of predicted frames per clip, drawn without replacement, that the spatial discriminator scores
    individually."""

    downsample: int = 2
    """Factor by which frames or clips are average-pooled, and by which the sides of crops are divided."""

    patch_size: int = 2
    """Space-to-depth factor at the input."""

    activation: Literal["leaky", "relu"] = "leaky"
    """Activation of the blocks."""

    attention_after: int | None = None
    """Block after which self-attention is applied (after a 3-D block, over time too), 1 being the first; no attention
    by default."""

    dropout: float = 0.0
    """Fraction of features dropped in every block during training."""

    spectral_norm: bool = False
    """Spectral norm on every weight (paper)."""

    zero_init_residual: bool = True
    """Initialise every residual block to its shortcut."""

    def __post_init__(self) -> None:
        if self.spatial_frames < 1:
            raise ValueError(f"spatial_frames must be at least 1, got {self.spatial_frames}")
        if self.code_channels < 1:
            raise ValueError(f"code_channels must be at least 1, got {self.code_channels}")
        blocks = len(self.channel_multipliers)
        if self.attention_after is not None and not 1 <= self.attention_after <= blocks:
            raise ValueError(f"attention_after must lie in [1, {blocks}], got {self.attention_after}")
        if self.spectral_norm and self.zero_init_residual:
            raise ValueError("zero_init_residual: a zero weight has no spectral norm; set one of the two to false")


@dataclass(frozen=True, kw_only=True)
class VideoObjectiveConfig(AdversarialConfig):
    """Adversarial and reconstruction losses; the defaults are the modern preset."""

    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=1.0, r2=1.0, lazy_every=16))
    """Gradient penalties of each discriminator."""

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Differentiable augmentation of the discriminators' input."""

    reconstruction_weight: float = 0.0
    """Weight of the distance between several sampled futures and the true future."""

    reconstruction_distance: Literal["l1", "l2", "crps"] = "l2"
    """This distance, averaged over pixels: l1 or l2, the absolute or squared error of the samples' mean, which does not
    reward diverse samples; or crps, the almost fair continuous ranked probability score, which is smallest if samples
    are distributed like the possible futures. On sparse frames l1 and crps collapse to all black."""

    reconstruction_scales: int = 1
    """Number of resolutions at which the distance is measured, each half the previous one; the coarse ones correct
    misplaced content."""

    reconstruction_samples: int = 2
    """Number of sampled futures per past that are compared with the true future."""

    reconstruction_relative: bool = False
    """Divide the error of each frame by the mean absolute difference between the true frame and the last past frame.
    Clips with little motion then count as much as others, and the first predicted frames as much as the last."""

    typical_weight: float = 0.0
    """Weight of the absolute error of the typical future, that of the zero latent, around which samples spread."""

    perceptual_weight: float = 0.0
    """Weight of the perceptual distance (EfficientNet-Lite0) from the true future, at one random frame of the typical
    future, or of a sample if typical_weight is 0; download the network's weights with `vidvox fetch efficientnet`."""

    trajectory_weight: float = 0.0
    """Weight of the distance between predicted and measured sprite trajectories, as a fraction of the frame's shorter
    side; for generator.output sprites."""

    displacement_weight: float = 0.0
    """Weight of the CRPS of predicted displacements, as fractions of the frame's shorter side, on rendered clips
    (cut-outs), whose displacements are known; for generator.output splat."""

    growing: float = 0.0
    """Fraction of the training over which the resolution grows, each doubling being faded in (PGGAN), for clips from
    noise only; 0 trains at full resolution throughout."""

    style: StyleObjectiveConfig = field(default_factory=StyleObjectiveConfig)
    """Regularisation of the style generator."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_growing(self.growing)
        learned_from = (self.reconstruction_weight, self.typical_weight, self.displacement_weight)
        if (self.adversarial_start or not self.adversarial_weight) and not any(learned_from):
            raise ValueError(
                "reconstruction_weight is 0: without the adversarial loss (adversarial_weight, adversarial_start) "
                "there is nothing to learn from"
            )
        for name in ("reconstruction_samples", "reconstruction_scales"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.reconstruction_weight and self.reconstruction_distance == "crps" and self.reconstruction_samples < 2:
            raise ValueError("reconstruction_distance crps compares samples: set reconstruction_samples to 2 or more")


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Train a video predictor (data.context_frames > 0) or a generator of whole clips (data.context_frames 0)."""

    run: Path = Path("runs/video")
    """Run folder; training resumes from its latest checkpoint."""

    data: VideoDataConfig = field(default_factory=VideoDataConfig)
    """Clips to train on."""

    generator: VideoGeneratorConfig = field(default_factory=VideoGeneratorConfig)
    """Generator."""

    discriminator: VideoDiscriminatorConfig = field(default_factory=VideoDiscriminatorConfig)
    """Discriminators."""

    objective: VideoObjectiveConfig = field(default_factory=VideoObjectiveConfig)
    """Losses of both networks."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """Length, optimisation, hardware use and outputs of the training."""

    def __post_init__(self) -> None:
        check_whole_batch(self.objective, self.train)
        self._check_style()
        reconstructs = self.discriminator.score == "reconstruction"
        if self.objective.loss in ENERGY_LOSSES and not reconstructs:
            raise ValueError(
                f"objective.loss {self.objective.loss} needs an autoencoder: set discriminator.score to "
                f"reconstruction, it is {self.discriminator.score}"
            )
        if reconstructs and self.objective.loss not in ENERGY_LOSSES:
            raise ValueError(
                "discriminator.score reconstruction is for objective.loss energy or equilibrium, it is "
                f"{self.objective.loss}"
            )
        future = self.data.clip_frames - self.data.context_frames
        if self.discriminator.spatial_frames > future:
            raise ValueError(
                f"discriminator.spatial_frames is {self.discriminator.spatial_frames}, "
                f"but a clip has only {future} frames after the past"
            )
        if self.data.context_frames == 0 and self.generator.output != "frames":
            raise ValueError("generator.output: without data.context_frames there is no last frame to move; use frames")
        if self.data.actions and self.generator.output == "sprites":
            raise ValueError("generator.output: sprites follow no actions; use motion, splat or frames")
        if self.objective.perceptual_weight and self.data.channels not in (1, 3):
            raise ValueError(
                f"objective.perceptual_weight: the network looks at 1 or 3 channels, not {self.data.channels}"
            )
        if self.objective.trajectory_weight and self.generator.output != "sprites":
            raise ValueError("objective.trajectory_weight: only generator.output sprites has trajectories")
        if self.objective.displacement_weight:
            if self.generator.output != "splat":
                raise ValueError("objective.displacement_weight: only generator.output splat displaces pixels")
            if self.data.path != "cut-outs" and not self.data.synthetic_fraction:
                raise ValueError(
                    "objective.displacement_weight: only of cut-outs are displacements known; set data.path or "
                    "data.synthetic_fraction"
                )
        if self.objective.penalties.finite_difference_sigma and self.discriminator.dropout:
            raise ValueError(
                "objective.penalties.finite_difference_sigma needs two identical passes; "
                "discriminator.dropout makes them differ"
            )
        for name in ("reconstruction_weight", "typical_weight", "perceptual_weight"):
            if self.data.context_frames == 0 and getattr(self.objective, name):
                raise ValueError(f"objective.{name}: without data.context_frames there is no true future")

    def _check_style(self) -> None:
        generator, objective = self.generator, self.objective
        check_kind(generator.kind, generator.style, objective.style, growing=objective.growing)
        if self.data.context_frames and (generator.kind == "style" or objective.growing):
            raise ValueError("generator.kind style and objective.growing are for clips from noise, context_frames 0")
