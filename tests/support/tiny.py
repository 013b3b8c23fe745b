"""Small networks of both presets, and clips to feed them."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from gancore.config import AugmentConfig, PenaltyConfig, TrainConfig
from gancore.data import Sample
from gancore.layers import iter_weight_layers, spectral_norm_
from gancore.parsing import parse_config
from gancore.rng import SampleRandom
from gancore.training.launch import create_accelerator
from gancore.training.protocols import StepContext
from gancore.training.trainer import Trainer
from vidgan.build import build_discriminator, build_generator
from vidgan.config import ClipShape, VideoConfig, VideoDiscriminatorConfig, VideoGeneratorConfig, VideoObjectiveConfig
from vidgan.data.batch import ClipBatch, collate
from vidgan.data_config import VideoDataConfig
from vidgan.frames import to_uint8
from vidgan.networks.discriminators import VideoDiscriminator
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.objective import VideoObjective
from vidgan.validation import VideoEvaluation, VideoPreview

CONFIGS = Path(__file__).parents[2] / "configs"
Arguments = ParamSpec("Arguments")
Model = TypeVar("Model", bound=nn.Module)


@cache
def preset(name: str) -> VideoConfig:
    """The defaults for "modern", the same with another output for "splat" and "sprites", else a recipe."""
    if name in ("splat", "sprites"):
        return replace(VideoConfig(), generator=VideoGeneratorConfig(output=name))
    return (
        VideoConfig()
        if name == "modern"
        else parse_config(VideoConfig, ["--config", f"{CONFIGS}/video/{name}_64_fp.yaml"])
    )


PLAIN = VideoObjectiveConfig(
    loss="hinge",
    penalties=PenaltyConfig(),
    reconstruction_weight=0.0,
    adversarial_weight=1.0,
    adversarial_ramp=0.0,
    augment=AugmentConfig(),
)
"""The adversarial loss alone, to which tests add what they are about."""


def small_generator(name: str, *, segment: int | None = None) -> VideoGeneratorConfig:
    """The preset with few and narrow levels: a stride of 4, or of 8 in the modern preset."""
    return replace(
        preset(name).generator,
        base_channels=2,
        channel_multipliers=(4, 3, 2),
        latent_dim=6,
        embedding_dim=5,
        attention_after=None,
        segment_steps=segment,
    )


def small_discriminator(name: str, *, frames: int = 2) -> VideoDiscriminatorConfig:
    """The preset with few and narrow blocks."""
    return replace(preset(name).discriminator, base_channels=2, channel_multipliers=(1, 2, 3), spatial_frames=frames)


SHAPE = ClipShape(channels=1, height=16, width=16, context_frames=2, clip_frames=5)


def stirred(module: Any, strength: float = 0.2) -> Any:
    """The module with every parameter moved off its start, so that no path through it is shut, in eval mode."""
    random = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            gentle = 0.1 if ".correct." in name else 1.0  # or the velocities of splat carry everything out of the frame
            parameter += gentle * strength * torch.randn(parameter.shape, generator=random)
        for _ in range(10):  # power iterations, by which spectral norm follows
            _ = [layer.train().weight for layer in iter_weight_layers(module)]
    return module.eval()


def stirred_once(build: Callable[Arguments, Model]) -> Callable[Arguments, Model]:
    """Stirs what was built; the second time for the same arguments by its weights, as spectral norm settles slowly."""
    settled: dict[str, dict[str, Tensor]] = {}

    @wraps(build)
    def build_stirred(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Model:
        model, key = build(*args, **kwargs), repr((args, kwargs))
        if key in settled:
            model.load_state_dict(settled[key])
        else:
            settled[key] = deepcopy(stirred(model).state_dict())
        return model.eval()

    return build_stirred


@stirred_once
def predictor(name: str, shape: ClipShape = SHAPE, *, segment: int | None = None) -> FramePredictor:
    """A small predictor of the preset, stirred, in eval mode."""
    torch.manual_seed(1)
    config = small_generator(name, segment=segment)
    model = FramePredictor(config, shape)
    return spectral_norm_(model) if config.spectral_norm else model


@stirred_once
def synthesiser(name: str, *, classes: tuple[str, ...] = ("a", "b", "c"), segment: int | None = None) -> VideoGenerator:
    """A small generator of whole clips of the preset, stirred, in eval mode."""
    torch.manual_seed(1)
    config = replace(small_generator(name, segment=segment), output="frames")
    model = VideoGenerator(config, replace(SHAPE, context_frames=0, classes=classes))
    return spectral_norm_(model) if config.spectral_norm else model


@stirred_once
def discriminator(name: str, *, frames: int = 2, channels: int = 1, classes: int = 0) -> VideoDiscriminator:
    """Small discriminators of the preset, stirred, in eval mode."""
    torch.manual_seed(2)
    return VideoDiscriminator(small_discriminator(name, frames=frames), channels=channels, classes=classes)


def clips(
    batch: int, *, frames: int = 5, channels: int = 1, height: int = 16, width: int = 16, seed: int = 0
) -> Tensor:
    """Smooth random clips in [-1, 1], all frames different."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch * frames, channels, 4, 4, generator=random)
    fine = nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return torch.tanh(fine).view(batch, frames, channels, height, width)


def batch_of(size: int, *, context: int = 2, frames: int = 5, classes: int = 1) -> ClipBatch:
    """A batch as the trainer hands it to the objective."""
    return ClipBatch(clips(size, frames=frames), torch.arange(size) % classes, context)


def step_context(step: int = 1, *, seed: int = 0, progress: float = 0.5) -> StepContext:
    """A turn at a step at which no lazy penalty is due, unless it is due every step."""
    return StepContext(step, progress, SampleRandom(seed))


class Patterns:
    """Six clips of two classes, held in memory."""

    classes = ("still", "moving")

    def __init__(self, *, frames: int, channels: int, height: int, width: int, broken: bool = False):
        patterns = clips(6, frames=frames, channels=channels, height=height, width=width)
        self.clips, self.broken = to_uint8(patterns), broken

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, sample: Sample) -> tuple[Tensor, int]:
        if self.broken:
            raise KeyError("clip 4 lies on a disk that is gone")
        return self.clips[sample.index], sample.index % 2


def game(name: str, run: Path, *, data: VideoDataConfig, broken: bool = False, **options: Any) -> Trainer:
    """Two steps of training at tiny sizes, whatever the size and length of the clips; with labels if there is no past.

    `options` are further settings of the training.
    """
    config = replace(
        preset("modern"),
        data=data,
        generator=replace(
            small_generator(name), output=preset(name).generator.output if data.context_frames else "frames"
        ),
        discriminator=small_discriminator(name),
        objective=replace(preset(name).objective, reconstruction_weight=0.0),
    )
    quick = {"steps": 2, "batch": 4, "preview_every": 2, "evaluate_every": 2, "health_every": 1, "log_every": 1}
    train = TrainConfig(**quick | {"cpu": True, "precision": "fp32"} | options)
    classes = () if data.context_frames else Patterns.classes
    dataset = Patterns(
        frames=data.clip_frames, channels=data.channels, height=data.height, width=data.width, broken=broken
    )
    return Trainer(
        run,
        train,
        generator=build_generator(config, classes=classes),
        discriminator=build_discriminator(config, classes=classes),
        objective=VideoObjective(config.objective),
        dataset=dataset,
        collate=partial(collate, context_frames=data.context_frames),
        preview=VideoPreview(dataset=dataset, context_frames=data.context_frames),
        evaluator=VideoEvaluation(dataset=dataset, context_frames=data.context_frames, clips=2, samples=2),
        held_out=dataset,
        accelerator=create_accelerator(train),
    )
