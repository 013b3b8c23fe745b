"""Settings that both halves share: numbers that would turn a training around are refused."""

import math

import pytest

from gancore.config import AdversarialConfig, TrainConfig
from vidgan.animation_config import AnimationObjectiveConfig
from vidgan.config import VideoObjectiveConfig
from vidgan.translation_config import PairedObjectiveConfig, UnpairedObjectiveConfig
from voxgan.config import VoxelObjectiveConfig


@pytest.mark.parametrize("value", [-1e-3, math.inf, math.nan])
@pytest.mark.parametrize("name", ["generator_lr", "discriminator_lr", "warmup_steps", "final_lr_fraction"])
def test_learning_rates_are_neither_negative_nor_infinite(name, value):
    with pytest.raises(ValueError, match=f"{name} must not be negative or infinite, got {value}"):
        TrainConfig(**{name: value})


def test_a_learning_rate_does_not_end_above_where_it_began():
    with pytest.raises(ValueError, match=r"final_lr_fraction must be at most 1, got 1.5"):
        TrainConfig(final_lr_fraction=1.5)


@pytest.mark.parametrize("name", ["beta1", "beta2"])
def test_decays_of_adam_are_fractions(name):
    with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\), got 1.0"):
        TrainConfig(**{name: 1.0})


@pytest.mark.parametrize(
    "config",
    [
        AdversarialConfig,
        AnimationObjectiveConfig,
        PairedObjectiveConfig,
        UnpairedObjectiveConfig,
        VideoObjectiveConfig,
        VoxelObjectiveConfig,
    ],
)
def test_no_weight_of_an_objective_is_negative(config):
    weights = [name for name in config.__dataclass_fields__ if name.endswith("_weight")]
    assert "adversarial_weight" in weights
    for name in (*weights, "instance_noise"):
        for value in (-1.0, math.inf):
            with pytest.raises(ValueError, match=f"{name} must not be negative"):
                config(**{name: value})


@pytest.mark.parametrize("name", ["adversarial_start", "adversarial_ramp", "kl_warmup", "label_dropout"])
def test_parts_of_a_training_are_fractions(name):
    with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\], got 1.5"):
        VoxelObjectiveConfig(**{name: 1.5})


@pytest.mark.parametrize("value", [-0.01, 0.0])
def test_weights_are_clipped_to_a_bound_above_zero(value):
    with pytest.raises(ValueError, match=f"clip_weights must be above 0, got {value}"):
        AdversarialConfig(clip_weights=value)


def test_the_ends_of_the_ranges_are_allowed():
    TrainConfig(warmup_steps=0, final_lr_fraction=0.0, generator_lr=0.0, beta2=0.0, preview_every=0, evaluate_every=0)
    AdversarialConfig(adversarial_weight=0.0, adversarial_start=1.0, adversarial_ramp=1.0, clip_weights=1e-3)
