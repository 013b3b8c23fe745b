"""VideoConfig: all settings of a video run, and the networks and data they describe."""

from dataclasses import dataclass, field

from torch import nn

from gancore.layers import spectral_norm_
from gancore.training.trainer import TrainConfig
from vidgan.data.dataset import DataConfig
from vidgan.networks.config import ClipShape, GeneratorConfig
from vidgan.networks.discriminators import DiscriminatorConfig, VideoDiscriminator
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.objective import VideoObjective


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Train a predictor of the next frames (data.context > 0) or a generator of whole clips (data.context = 0)."""

    run: str = "runs/video"
    """Folder of the run; training goes on from its newest checkpoint if it has one."""

    data: DataConfig = field(default_factory=DataConfig)
    """Which clips."""

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    """The player who makes clips."""

    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    """The player who tells them from real ones."""

    objective: VideoObjective = field(default_factory=VideoObjective)
    """What they play for."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """How long and how."""

    def __post_init__(self) -> None:
        judged = self.data.frames - self.data.context
        if self.discriminator.frames > judged:
            raise ValueError(
                f"discriminator.frames is {self.discriminator.frames}, but only {judged} frames of a clip are not given"
            )
        if self.data.context == 0 and self.generator.output != "frames":
            raise ValueError("generator.output: without data.context there is no last frame to move; use frames")
        if self.objective.paths and self.generator.output != "layers":
            raise ValueError("objective.paths: only with generator.output layers are there paths to pull")
        if self.objective.penalties.sigma and self.discriminator.dropout:
            raise ValueError(
                "objective.penalties.sigma: two equal passes are needed; discriminator.dropout makes them differ"
            )
        if self.data.context == 0 and self.objective.reconstruction:
            raise ValueError("objective.reconstruction: without data.context there is no true future to be near to")


def clip_shape(data: DataConfig, *, classes: int = 0) -> ClipShape:
    """The clips that the data settings describe."""
    return ClipShape(
        channels=data.channels,
        height=data.height,
        width=data.width,
        context=data.context,
        frames=data.frames,
        classes=classes,
    )


def build_generator(config: VideoConfig, *, classes: int = 0) -> FramePredictor | VideoGenerator:
    """The generator to train: a predictor if there is a context; spectrally normalised if so asked."""
    shape = clip_shape(config.data, classes=classes)
    generator = (FramePredictor if shape.context else VideoGenerator)(config.generator, shape)
    return with_spectral_norm(generator) if config.generator.spectral_norm else generator


def with_spectral_norm(generator: FramePredictor | VideoGenerator) -> FramePredictor | VideoGenerator:
    """The generator in training dress."""
    spectral_norm_(generator)
    return generator


def build_discriminator(config: VideoConfig, *, classes: int = 0) -> nn.Module:
    """The discriminator to train."""
    return VideoDiscriminator(config.discriminator, channels=config.data.channels, classes=classes)
