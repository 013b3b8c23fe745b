"""All settings for training animators, which animate the figure in a picture with the motion of another figure.

Nothing here imports torch, so that a command can print its help at once.
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
    require_not_negative,
)
from vidgan.config import VideoDiscriminatorConfig
from vidgan.data_config import VideoDataConfig


@dataclass(frozen=True, kw_only=True)
class FigureShape:
    """Format of the frames that an animator works on; frames of other sizes are resized to it and back."""

    channels: int = 3
    """Channels of a frame: 1 or 3, or any other number."""

    height: int = 64
    """Height of the frames in pixels."""

    width: int = 64
    """Width of the frames in pixels."""

    def __post_init__(self) -> None:
        for name in ("channels", "height", "width"):
            if not 1 <= getattr(self, name) <= 2**14:
                raise ValueError(f"{name} must lie in [1, {2**14}], got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class AnimatorConfig:
    """The keypoint detector, the motion network, and the generator that fills in uncovered regions."""

    keypoints: int = 10
    """Number of unsupervised keypoints."""

    local_motion: Literal["affine", "position"] = "affine"
    """Motion around a keypoint: an affine map, or a translation only, which is more stable on little data."""

    patch_size: int = 2
    """Space-to-depth factor: all networks work at 1/patch_size of the frame size. 4 for frames of 128 pixels or
    more."""

    keypoint_channels: tuple[int, ...] = (16, 32, 48, 64)
    """Widths (channels) of the keypoint detector at each of its resolutions, each half the previous one."""

    motion_channels: tuple[int, ...] = (16, 32, 48)
    """Likewise, widths of the motion network, which decides which keypoint each pixel moves with."""

    base_channels: int = 24
    """Width of the generator; its half-size map has twice as many channels."""

    blocks: int = 2
    """Number of residual blocks of the generator, on its half-size map."""

    def __post_init__(self) -> None:
        for name in ("keypoints", "patch_size", "base_channels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("keypoint_channels", "motion_channels"):
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise ValueError(f"{name} must be one number or more, of at least 1 each, got {getattr(self, name)}")
        if self.blocks < 0:
            raise ValueError(f"blocks must not be negative, got {self.blocks}")


@dataclass(frozen=True, kw_only=True)
class FigureDataConfig(VideoDataConfig):
    """Clips with one moving figure each: frames are animated by other frames of the same clip."""

    path: str = "puppets"
    """File or folder of videos, image sequences or arrays, or "puppets", jointed figures that are rendered as they are
    read."""

    context_frames: int = 0
    """Always 0: no frame is predicted."""

    clip_frames: int = 16
    """Length, in video frames, of the clips from which frames are drawn, which limits how far apart two of them can
    be."""

    frames: int = 4
    """Number of frames drawn from each clip; each is the source for the next one, and the last for the first."""

    recolour: bool = False
    """Change the colours of training clips at random: channels are permuted, and each has its contrast reduced and is
    made lighter. For data with few figures, whose colours would otherwise be memorised."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context_frames:
            raise ValueError(f"context_frames must be 0, as no frame is predicted; got {self.context_frames}")
        if self.class_conditional or self.synthetic_fraction:
            raise ValueError("class_conditional and synthetic_fraction are for other trainings: leave them out")
        if not 2 <= self.frames <= self.clip_frames:
            raise ValueError(f"frames must lie in [2, clip_frames] = [2, {self.clip_frames}], got {self.frames}")


@dataclass(frozen=True, kw_only=True)
class AnimationObjectiveConfig(AdversarialConfig):
    """Distances from the true frame, losses on keypoints, and the adversarial loss."""

    adversarial_weight: float = 0.0
    """Weight of the adversarial loss; 0 trains without discriminators."""

    adversarial_start: float = 0.5
    """Fraction of the training before the adversarial loss starts; until then the discriminator is not trained."""

    adversarial_ramp: float = 0.1
    """Fraction of the training over which the adversarial weight then rises linearly from zero."""

    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=1.0, r2=1.0, lazy_every=16))
    """Gradient penalties of each discriminator."""

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Differentiable augmentation of the discriminators' input."""

    show_source: bool = True
    """Condition the discriminators on the source, so that they judge whether both frames show the same figure."""

    reconstruction_weight: float = 10.0
    """Weight of the mean absolute difference between the animated source and the true frame."""

    reconstruction_scales: int = 3
    """Number of resolutions at which this difference is measured, each half the previous one; coarse ones give
    gradients over longer distances."""

    perceptual_weight: float = 0.0
    """Weight of the perceptual distance (EfficientNet-Lite0) from the true frame; download the network's weights with
    `vidvox fetch efficientnet`."""

    equivariance_weight: float = 1.0
    """Weight of keypoint equivariance (FOMM): the distance, in units of half a frame's side, between the keypoints of a
    randomly deformed frame and the deformed keypoints of the original frame."""

    jacobian_weight: float = 1.0
    """Weight of the same loss for the affine maps at keypoints: the distance from the identity of one map times the
    inverse of the other."""

    separation_weight: float = 0.5
    """Weight of the loss that keeps the keypoints of a frame apart; without it they cluster where most of the motion
    is."""

    feature_matching_weight: float = 0.0
    """Weight of the distance between the discriminators' feature maps of generated and true frames (pix2pixHD)."""

    affine_spread: float = 0.05
    """Standard deviation of the coefficients of the affine part of the random deformation, with positions in units of
    half a frame's side."""

    bend_spread: float = 0.005
    """Standard deviation of the weights of the 25 control points of the thin-plate spline in the same deformation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_not_negative(self, "affine_spread", "bend_spread")
        if not self.reconstruction_weight and not self.perceptual_weight:
            raise ValueError("reconstruction_weight and perceptual_weight are 0: nothing says where figures move")
        if self.reconstruction_scales < 1:
            raise ValueError(f"reconstruction_scales must be at least 1, got {self.reconstruction_scales}")
        if self.feature_matching_weight and not self.adversarial_weight:
            raise ValueError("feature_matching_weight: without adversarial_weight the discriminators learn nothing")


@dataclass(frozen=True, kw_only=True)
class AnimationConfig:
    """Train a network that animates the figure in a picture with the motion of another figure."""

    run: Path = Path("runs/animation")
    """Run folder; training resumes from its latest checkpoint."""

    data: FigureDataConfig = field(default_factory=FigureDataConfig)
    """Clips to train on."""

    generator: AnimatorConfig = field(default_factory=AnimatorConfig)
    """Keypoint detector, motion network and generator."""

    discriminator: VideoDiscriminatorConfig = field(
        default_factory=lambda: VideoDiscriminatorConfig(spatial_frames=1, score="patches", channel_multipliers=(2, 4))
    )
    """Discriminators, used with objective.adversarial_weight: one for the whole frame, pooled, and one for a crop of
    it."""

    objective: AnimationObjectiveConfig = field(default_factory=AnimationObjectiveConfig)
    """Losses of both networks."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """Length, optimisation, hardware use and outputs of the training."""

    def __post_init__(self) -> None:
        objective = self.objective
        check_whole_batch(objective, self.train)
        for name in ("height", "width"):
            if getattr(self.data, name) % self.generator.patch_size:
                raise ValueError(
                    f"data.{name} must be a multiple of generator.patch_size, {self.generator.patch_size}, got "
                    f"{getattr(self.data, name)}"
                )
        if self.train.compile:
            raise ValueError("train.compile is for networks that are called as a whole, which an animator is not")
        if objective.loss in ENERGY_LOSSES or self.discriminator.score == "reconstruction":
            raise ValueError(
                "objective.loss energy and equilibrium, and discriminator.score reconstruction, are for "
                "generating clips, not for moving figures"
            )
        if self.discriminator.spatial_frames != 1:
            raise ValueError(
                f"discriminator.spatial_frames must be 1, got {self.discriminator.spatial_frames}: each "
                "moved frame is judged by itself"
            )
        if objective.perceptual_weight and self.data.channels not in (1, 3):
            raise ValueError(
                f"objective.perceptual_weight: the network looks at 1 or 3 channels, not {self.data.channels}"
            )
        if self.generator.local_motion == "position" and objective.jacobian_weight:
            raise ValueError(
                "objective.jacobian_weight: with generator.local_motion position there are no affine maps; set it to 0"
            )
