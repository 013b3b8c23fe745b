"""All settings for training translators of clips: restoring, upscaling, colouring, filling and translating.

Nothing here imports torch, so that commands print their help quickly.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from gancore.config import (
    ENERGY_LOSSES,
    AdversarialConfig,
    AugmentConfig,
    PenaltyConfig,
    TrainConfig,
    check_whole_batch,
    require_not_negative,
)
from vidgan.config import VideoDiscriminatorConfig
from vidgan.data_config import GENERATED, VideoDataConfig

Side = Literal["left", "right"]


@dataclass(frozen=True, kw_only=True)
class PairShape:
    """Format of a translator's source and target clips."""

    channels: int = 3
    """Channels of source and target frames: 1 or 3, or any other number."""

    height: int = 64
    """Height of the target frames in training, in pixels."""

    width: int = 64
    """Width of the target frames in training, in pixels."""

    clip_frames: int = 7
    """Frames of a clip in training."""

    scale: int = 1
    """Target pixels per source pixel, along each side."""

    masked: bool = False
    """Whether a mask says which source pixels are known; known pixels are kept unchanged."""

    degradations: tuple[str, ...] = ()
    """Degradations of the sources in training, if known."""

    def __post_init__(self) -> None:
        for name in ("channels", "height", "width", "clip_frames"):
            if not 1 <= getattr(self, name) <= 2**16:
                raise ValueError(f"{name} must lie in [1, {2**16}], got {getattr(self, name)}")
        if self.scale not in (1, 2, 4):
            raise ValueError(f"scale must be 1, 2 or 4, got {self.scale}")


@dataclass(frozen=True, kw_only=True)
class TranslatorConfig:
    """The generator that translates clips to clips."""

    base_channels: int = 32
    """Channels of the full-size map; the half-size map, over which states are propagated, has 1.5 times as many."""

    patch_size: int = 2
    """Space-to-depth factor at the target's size: the network works at 1/patch_size of it. 2 for restoring, 4 for
    upscaling by 4."""

    blocks: int = 2
    """Residual blocks before the output."""

    output: Literal["residual", "frames"] = "residual"
    """The source plus a learned residual, which is zero before training, or frames generated from scratch."""

    base: Literal["source", "histogram"] = "source"
    """What a residual is added to: the source or, for unpaired data, the source after histogram matching (one curve per
    channel, which maps the histogram of all training sources together to that of all targets)."""

    neighbours: int = 2
    """Number of source frames before and after each frame that the network also sees. Their order statistics at each
    pixel (minimum, median, maximum and others) can be blended into a residual output."""

    propagation: Literal["both", "forward", "none"] = "both"
    """Directions in which states are propagated through the clip: both; forward only, without later neighbours, for
    streams of frames; or none, for single pictures."""

    keep_luminance: bool = False
    """Keep the luminance of the source and generate only colour."""

    def __post_init__(self) -> None:
        for name in ("base_channels", "patch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("blocks", "neighbours"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.base == "histogram" and (self.output != "residual" or self.keep_luminance):
            raise ValueError("base histogram needs output residual and keep_luminance false")


@dataclass(frozen=True, kw_only=True)
class PairParts:
    """Optional parts of a pair of translators, besides the translator from source to target."""

    back: bool = True
    """Whether there is a translator from target to source."""

    contrast_features: int = 0
    """Size of the features by which patches of sources and translations are compared; 0 for no patch contrast."""

    def __post_init__(self) -> None:
        if self.contrast_features < 0:
            raise ValueError(f"contrast_features must not be negative, got {self.contrast_features}")


@dataclass(frozen=True, kw_only=True)
class PairDataConfig(VideoDataConfig):
    """Pairs of clips to train on: `path` holds the targets; sources are degraded copies or come from a folder."""

    context_frames: int = 0
    """Always 0: whole clips are translated."""

    clip_frames: int = 7
    """Length of a clip in frames."""

    degradations: tuple[str, ...] = ("noise",)
    """Degradations of the sources, one of which is drawn for each clip. Kinds joined by + are applied in turn
    (blur+noise+jpeg); `vidvox degrade --help` lists them."""

    least_severity: float = 0.0
    """Least severity of the degradations, from 0 to 5; the severity is drawn for each clip."""

    most_severity: float = 5.0
    """Greatest severity of the degradations."""

    sources: str | None = None
    """Folder of source clips, instead of degradations: named like the targets in `path`, with sides equal to theirs or
    1/2 or 1/4 as long, or any clips if not `paired`. Or "left" or "right": the half of each frame in `path` that is the
    source."""

    paired: bool = True
    """Whether a source and its target show the same scene; if not, they are drawn independently."""

    drift: float = 0.0
    """Largest speed, in pixels per frame, at which the crop window moves in half of the training clips, like a moving
    camera. If all cameras are static, a network learns averages over time that fail for moving cameras."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context_frames:
            raise ValueError(f"context_frames must be 0, as whole clips are translated; got {self.context_frames}")
        if self.class_conditional or self.synthetic_fraction:
            raise ValueError("class_conditional and synthetic_fraction are for other trainings: leave them out")
        if self.sources and self.degradations:
            raise ValueError("sources come from a folder or are spoilt: set sources, or degradations to []")
        if not self.sources and not self.degradations:
            raise ValueError("give degradations to spoil the clips of path by, or sources, a folder of source clips")
        if self.sources and self.path in GENERATED:
            raise ValueError(f"sources: clips of {self.path} are made as they are read; give a folder as path too")
        if not 0 <= self.least_severity <= self.most_severity <= 5:
            wanted = "0 <= least_severity <= most_severity <= 5"
            raise ValueError(f"severities must obey {wanted}, got {self.least_severity} and {self.most_severity}")
        if self.sources in get_args(Side) and not self.paired:
            raise ValueError(f"paired: sources in the {self.sources} half of each frame are paired")
        if self.drift and self.sources:
            raise ValueError("drift is for spoilt copies: leave it out with sources")
        if self.drift < 0:
            raise ValueError(f"drift must not be negative, got {self.drift}")


@dataclass(frozen=True, kw_only=True)
class PairedObjectiveConfig(AdversarialConfig):
    """Distances from the true target, and the adversarial loss."""

    adversarial_weight: float = 0.0
    """Weight of the adversarial loss; 0 trains without discriminators."""

    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=1.0, r2=1.0, lazy_every=16))
    """Gradient penalties of each discriminator."""

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Differentiable augmentation of the discriminators' input."""

    show_source: bool = True
    """Condition the discriminators on the source, so that they judge whether source and target match."""

    pixel_distance: Literal["charbonnier", "l1", "l2", "psnr"] = "charbonnier"
    """Distance between the generated and the true target: sqrt(d^2 + 1e-6), absolute error, squared error, or the
    logarithm of each clip's mean squared error, which gives nearly perfect clips as much weight as others."""

    pixel_weight: float = 1.0
    """Weight of that distance, averaged over pixels."""

    hole_weight: float = 1.0
    """Weight of the same distance averaged over unknown pixels only, for sources with a mask."""

    flicker_weight: float = 0.0
    """Weight of the same distance between the generated and the true changes from frame to frame, which penalises
    flicker of static content and blur of moving content."""

    perceptual_weight: float = 0.0
    """Weight of the perceptual distance (EfficientNet-Lite0) from the true target, at one random frame; download the
    network's weights with `vidvox fetch efficientnet`."""

    feature_matching_weight: float = 0.0
    """Weight of the distance between the discriminators' feature maps of generated and true targets (pix2pixHD)."""

    ping_pong_weight: float = 0.0
    """Weight of the difference between a frame's translations when the clip is played forward and then backward
    (TecoGAN), which penalises drift of recurrent states. Doubles the cost of a training step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.pixel_weight and not self.perceptual_weight and not self.adversarial_weight:
            raise ValueError("pixel_weight, perceptual_weight and adversarial_weight are 0: nothing to learn from")
        if self.feature_matching_weight and not self.adversarial_weight:
            raise ValueError("feature_matching_weight: without adversarial_weight the discriminators learn nothing")


@dataclass(frozen=True, kw_only=True)
class UnpairedObjectiveConfig(AdversarialConfig):
    """The adversarial loss in each domain, and losses that preserve a translation's content without pairs.

    These are cycle consistency (cycle_weight, CycleGAN) or patch contrast (contrast_weight, CUT), and identity.
    """

    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=1.0, r2=1.0, lazy_every=16))
    """Gradient penalties of each discriminator."""

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Differentiable augmentation of the discriminators' input."""

    cycle_weight: float = 10.0
    """Weight of cycle consistency: the absolute difference between a clip and its translation there and back, for
    sources and for targets (Zhu et al. 2017, equation 2); with 0, no backward translator is trained."""

    cycle_noise: float = 0.0
    """Standard deviation of noise added to a translation, for values in [-1, 1], before it is translated back. Without
    noise, translators can hide the source in faint patterns instead of guessing what is lost (Bashkirova et al.
    2019)."""

    identity_weight: float = 5.0
    """Weight of the identity loss: the absolute change that a translator makes, apart from its curves, to clips that
    are already in its output domain (Zhu et al. 2017, section 5.2). It prevents arbitrary changes of colour."""

    contrast_weight: float = 0.0
    """Weight of the patch contrast (CUT, Park et al. 2020): each translated patch must match its source patch better
    than other patches of the frame; half for sources, half for targets. Needs no backward translator: set cycle_weight
    to 0."""

    contrast_patches: int = 64
    """Number of patches per frame that are compared in every feature map; all of them if there are fewer."""

    contrast_features: int = 64
    """Size of the features by which patches are compared."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_not_negative(self, "cycle_noise")
        if not self.adversarial_weight > 0:
            raise ValueError("adversarial_weight must be above 0: nothing else says what targets look like")
        if self.loss == "relativistic-average":
            raise ValueError("loss relativistic-average compares a sample with its whole batch: take relativistic")
        if self.cycle_weight and self.contrast_weight:
            raise ValueError("contrast_weight does without a way back: set it or cycle_weight to 0")
        if not self.cycle_weight and not self.contrast_weight:
            raise ValueError("cycle_weight and contrast_weight are 0: nothing ties a translation to its source")
        if self.cycle_noise and not self.cycle_weight:
            raise ValueError("cycle_noise is for a way back: leave it out, or set cycle_weight")
        for name, least in {"contrast_patches": 2, "contrast_features": 1}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class TranslationConfig:
    """Train a translator of clips to clips: for restoring, upscaling, colouring, filling or translating."""

    run: Path = Path("runs/translation")
    """Run folder; training resumes from its latest checkpoint."""

    data: PairDataConfig = field(default_factory=PairDataConfig)
    """Pairs of clips to train on."""

    generator: TranslatorConfig = field(default_factory=TranslatorConfig)
    """Generator."""

    discriminator: VideoDiscriminatorConfig = field(default_factory=VideoDiscriminatorConfig)
    """Discriminators, used with objective.adversarial_weight and for unpaired data."""

    objective: PairedObjectiveConfig = field(default_factory=PairedObjectiveConfig)
    """Losses of both networks, for paired data."""

    unpaired: UnpairedObjectiveConfig = field(default_factory=UnpairedObjectiveConfig)
    """Losses of both networks, for unpaired data (data.paired false)."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """Length, optimisation, hardware use and outputs of the training."""

    def __post_init__(self) -> None:
        data, generator, objective = self.data, self.generator, self.objective
        if data.paired and self.unpaired != UnpairedObjectiveConfig():
            raise ValueError("unpaired: these losses are for data.paired false; set those of objective instead")
        if not data.paired and objective != PairedObjectiveConfig():
            raise ValueError("objective: these losses compare pairs, but data.paired is false; set those of unpaired")
        if data.paired and generator.base == "histogram":
            raise ValueError("generator.base histogram is for data.paired false: a pair says what its source becomes")
        check_whole_batch(objective if data.paired else self.unpaired, self.train)
        for name, losses in {"objective": objective, "unpaired": self.unpaired}.items():
            if losses.loss in ENERGY_LOSSES:
                raise ValueError(f"{name}.loss {losses.loss} is for generating clips, not for translating them")
        if self.discriminator.score == "reconstruction":
            raise ValueError("discriminator.score reconstruction is for generating clips: take clip or patches")
        has_game = bool(objective.adversarial_weight) or not data.paired
        if has_game and self.discriminator.spatial_frames > data.clip_frames:
            raise ValueError(
                f"discriminator.spatial_frames is {self.discriminator.spatial_frames}, but a clip has only "
                f"{data.clip_frames} frames"
            )
        chains = [chain.split("+") for chain in data.degradations]
        if (
            generator.propagation == "both"
            and chains
            and all("dropped" in kinds and "holes" not in kinds for kinds in chains)
        ):
            raise ValueError(
                "data.degradations: missing frames are moved along the optical flow, so that there is nothing to learn "
                "from dropped without holes; vidvox fill --missing needs no other model, and generator.propagation "
                "forward is for frames that come one by one"
            )
        if objective.perceptual_weight and data.channels not in (1, 3):
            raise ValueError(f"objective.perceptual_weight: the network looks at 1 or 3 channels, not {data.channels}")
        if objective.flicker_weight and data.clip_frames == 1:
            raise ValueError("objective.flicker_weight: in clips of data.clip_frames 1 nothing changes")
        if objective.ping_pong_weight and generator.propagation == "none":
            raise ValueError("objective.ping_pong_weight: without generator.propagation no frame depends on another")
