"""VideoConfig: all settings of a video run, and the networks and data they describe."""

from dataclasses import dataclass, field

from torch import nn

from gancore.layers import spectral_norm_
from gancore.training.trainer import TrainConfig
from vidgan.data.dataset import VideoDataConfig
from vidgan.networks.config import ClipShape, VideoGeneratorConfig
from vidgan.networks.discriminators import VideoDiscriminator, VideoDiscriminatorConfig
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.objective import VideoObjective


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Train a predictor of the next frames (data.context_frames > 0) or a generator of whole clips (data.context_frames = 0)."""

    run: str = "runs/video"
    """Folder of the run; training goes on from its newest checkpoint if it has one."""

    data: VideoDataConfig = field(default_factory=VideoDataConfig)
    """Which clips."""

    generator: VideoGeneratorConfig = field(default_factory=VideoGeneratorConfig)
    """The player who makes clips."""

    discriminator: VideoDiscriminatorConfig = field(default_factory=VideoDiscriminatorConfig)
    """The player who tells them from real ones."""

    objective: VideoObjective = field(default_factory=VideoObjective)
    """What they play for."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """How long and how."""

    def __post_init__(self) -> None:
        judged = self.data.clip_frames - self.data.context_frames
        if self.discriminator.spatial_frames > judged:
            raise ValueError(
                f"discriminator.spatial_frames is {self.discriminator.spatial_frames}, but only {judged} frames of a clip are not given"
            )
        if self.data.context_frames == 0 and self.generator.output != "frames":
            raise ValueError("generator.output: without data.context_frames there is no last frame to move; use frames")
        if self.objective.trajectory_weight and self.generator.output != "sprites":
            raise ValueError("objective.trajectory_weight: only with generator.output sprites are there paths to pull")
        if self.objective.penalties.finite_difference_sigma and self.discriminator.dropout:
            raise ValueError(
                "objective.penalties.finite_difference_sigma: two equal passes are needed; discriminator.dropout makes them differ"
            )
        if self.data.context_frames == 0 and self.objective.reconstruction_weight:
            raise ValueError(
                "objective.reconstruction_weight: without data.context_frames there is no true future to be near to"
            )


def build_clip_shape(data: VideoDataConfig, *, classes: tuple[str, ...] = ()) -> ClipShape:
    """The clips that the data settings describe."""
    return ClipShape(
        channels=data.channels,
        height=data.height,
        width=data.width,
        context_frames=data.context_frames,
        clip_frames=data.clip_frames,
        classes=classes,
    )


def build_generator(config: VideoConfig, *, classes: tuple[str, ...] = ()) -> FramePredictor | VideoGenerator:
    """The generator to train: a predictor if there is a context; spectrally normalised if so asked."""
    shape = build_clip_shape(config.data, classes=classes)
    generator = (FramePredictor if shape.context_frames else VideoGenerator)(config.generator, shape)
    return apply_spectral_norm(generator) if config.generator.spectral_norm else generator


def apply_spectral_norm(generator: FramePredictor | VideoGenerator) -> FramePredictor | VideoGenerator:
    """The generator in training dress."""
    spectral_norm_(generator)
    return generator


def build_discriminator(config: VideoConfig, *, classes: int = 0) -> nn.Module:
    """The discriminator to train."""
    return VideoDiscriminator(config.discriminator, channels=config.data.channels, classes=classes)
