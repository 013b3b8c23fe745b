"""Small animators, figures for them, and tiny trainings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from support.tiny import stirred

from gancore.parsing import parse_config
from gancore.training.launch import create_accelerator
from gancore.training.trainer import Trainer
from vidgan.animation.build import build_trainer
from vidgan.animation.frames import open_figures
from vidgan.animation_config import AnimationConfig, AnimatorConfig, FigureShape
from vidgan.networks.animator import Animator

SMALL = {"keypoints": 4, "keypoint_channels": (4, 6), "motion_channels": (4, 6), "base_channels": 4, "blocks": 1}
TINY = {
    "data.height": 16,
    "data.width": 16,
    "data.clip_frames": 4,
    "data.frames": 2,
    "generator.keypoints": 3,
    "generator.keypoint_channels": "4,4",
    "generator.motion_channels": "4,4",
    "generator.base_channels": 4,
    "generator.blocks": 1,
    "discriminator.base_channels": 2,
    "discriminator.channel_multipliers": "1,1",
    "train.cpu": "true",
    "train.precision": "fp32",
    "train.steps": 8,
    "train.batch": 2,
    "train.log_every": 1,
    "train.preview_every": 0,
    "train.checkpoint_every": 4,
    "train.keep_checkpoints": "none",
    "train.health_every": 4,
    "train.evaluate_every": 0,
    "train.curves": "false",
}
"""Flags of eight steps of a training on puppets of 16x16 pixels."""
GAME = {
    "objective.adversarial_weight": 0.1,
    "objective.adversarial_start": 0.3,
    "objective.feature_matching_weight": 1,
    "objective.penalties.lazy_every": 2,
}
"""Flags of the same with the game from step 3 on."""


def animator(*, untrained: bool = False, channels: int = 3, **settings: Any) -> Animator:
    """A small animator of frames of 32x32, stirred unless it is to be `untrained`, in eval mode."""
    torch.manual_seed(5)
    shape = FigureShape(channels=channels, height=32, width=32)
    network = Animator(AnimatorConfig(**(SMALL | settings)), shape)
    return network.eval() if untrained else stirred(network, 0.1)


def animation_words(run: Path, options: Mapping[str, Any] | None = None) -> list[str]:
    """The words of the tiny training with other values of some of its settings."""
    settings = TINY | dict(options or {}) | {"run": run}
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def animation_trainer(run: Path, options: Mapping[str, Any] | None = None) -> Trainer:
    """What the command makes of these flags, in this process."""
    config = parse_config(AnimationConfig, animation_words(run, options))
    torch.manual_seed(config.train.seed)
    dataset, held_out = (open_figures(config.data, split=split) for split in ("train", "val"))
    return build_trainer(config, create_accelerator(config.train), dataset=dataset, held_out=held_out)
