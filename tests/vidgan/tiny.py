"""Small networks of both presets, and clips to feed them."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancore.config import parse
from gancore.data import Draws
from gancore.layers import spectral_norm_, weight_layers
from gancore.trainer import Turn
from vidgan.config import VideoConfig
from vidgan.dataset import Clips
from vidgan.discriminators import DiscriminatorConfig, VideoDiscriminator
from vidgan.generator import ClipShape, FramePredictor, GeneratorConfig, VideoGenerator

CONFIGS = Path(__file__).parents[2] / "configs"


@cache
def preset(name: str) -> VideoConfig:
    """The defaults for "modern", and what configs/video says for "paper"."""
    return VideoConfig() if name == "modern" else parse(VideoConfig, ["--config", f"{CONFIGS}/video/{name}_64_fp.yaml"])


def small_generator(name: str, *, segment: int = 0) -> GeneratorConfig:
    """The preset with few and narrow levels: a stride of 4, or of 8 in the modern preset."""
    return replace(
        preset(name).generator, channels=2, multipliers=(4, 3, 2), latent=6, embedding=5, attention=0, segment=segment
    )


def small_discriminator(name: str, *, frames: int = 2) -> DiscriminatorConfig:
    """The preset with few and narrow blocks."""
    return replace(preset(name).discriminator, channels=2, multipliers=(1, 2, 3), frames=frames)


SHAPE = ClipShape(channels=1, height=16, width=16, context=2, frames=5)


def stirred(module: Any, strength: float = 0.2) -> Any:
    """The module with every parameter moved off its start, so that no path through it is shut, in eval mode."""
    random = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += strength * torch.randn(parameter.shape, generator=random)
        for _ in range(10):  # power iterations, by which spectral norm follows
            _ = [layer.train().weight for layer in weight_layers(module)]
    return module.eval()


def predictor(name: str, shape: ClipShape = SHAPE, *, segment: int = 0) -> FramePredictor:
    """A small predictor of the preset, stirred, in eval mode."""
    torch.manual_seed(1)
    config = small_generator(name, segment=segment)
    model = FramePredictor(config, shape)
    return stirred(spectral_norm_(model) if config.spectral_norm else model)


def synthesiser(name: str, *, classes: int = 3, segment: int = 0) -> VideoGenerator:
    """A small generator of whole clips of the preset, stirred, in eval mode."""
    torch.manual_seed(1)
    config = replace(small_generator(name, segment=segment), output="frames")
    model = VideoGenerator(config, replace(SHAPE, context=0, classes=classes))
    return stirred(spectral_norm_(model) if config.spectral_norm else model)


def discriminator(name: str, *, frames: int = 2, channels: int = 1, classes: int = 0) -> VideoDiscriminator:
    """Small discriminators of the preset, stirred, in eval mode."""
    torch.manual_seed(2)
    return stirred(VideoDiscriminator(small_discriminator(name, frames=frames), channels=channels, classes=classes))


def clips(
    batch: int, *, frames: int = 5, channels: int = 1, height: int = 16, width: int = 16, seed: int = 0
) -> Tensor:
    """Smooth random clips in [-1, 1], all frames different."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch * frames, channels, 4, 4, generator=random)
    fine = nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return torch.tanh(fine).view(batch, frames, channels, height, width)


def batch_of(size: int, *, context: int = 2, frames: int = 5, classes: int = 1) -> Clips:
    """A batch as the trainer hands it to the objective."""
    return Clips(clips(size, frames=frames), torch.arange(size) % classes, context)


def turn(step: int = 1, *, seed: int = 0, progress: float = 0.5) -> Turn:
    """A turn at a step at which no lazy penalty is due, unless it is due every step."""
    return Turn(step, progress, Draws(seed))
