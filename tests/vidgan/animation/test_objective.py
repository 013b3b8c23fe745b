"""The terms of an animation training: what each is 0 for, and which player it moves."""

import math
from dataclasses import replace

import pytest
import torch
from support.animators import animator
from support.tiny import clips

from gancore.config import PenaltyConfig
from gancore.rng import SampleRandom
from gancore.training.protocols import StepContext
from vidgan.animation.objective import (
    SPACING,
    AnimationObjective,
    distance_at_scales,
    exchange_frames,
    measure_crowding,
)
from vidgan.animation_config import AnimationObjectiveConfig
from vidgan.config import VideoDiscriminatorConfig
from vidgan.data.batch import ClipBatch
from vidgan.networks.discriminators import VideoDiscriminator

GAME = AnimationObjectiveConfig(
    adversarial_weight=0.1, adversarial_start=0.5, feature_matching_weight=1.0, penalties=PenaltyConfig(r1=1.0)
)


def batch(count: int = 2, frames: int = 3) -> ClipBatch:
    return ClipBatch(
        clips(count, frames=frames, channels=3, height=32, width=32), torch.zeros(count, dtype=torch.long), 0
    )


def context(progress: float = 0.0) -> StepContext:
    return StepContext(0, progress, SampleRandom(1))


def judge(*, channels: int = 6) -> VideoDiscriminator:
    torch.manual_seed(2)
    config = VideoDiscriminatorConfig(base_channels=2, channel_multipliers=(1, 2), score="patches", spatial_frames=1)
    return VideoDiscriminator(config, channels=channels)


def test_every_frame_moves_as_the_next_and_the_last_as_the_first():
    network, given = animator(), batch()
    exchange = exchange_frames(network, given)
    assert torch.equal(exchange.true.unflatten(0, (2, 3)), given.frames[:, [1, 2, 0]])
    assert torch.allclose(exchange.made[2], network(given.frames[:1, 2], given.frames[:1, 0])[0], atol=1e-5)


def test_a_frame_that_drives_itself_has_no_distance_before_training():
    still = replace(batch(), frames=batch().frames[:, :1].expand(-1, 3, -1, -1, -1))
    terms = AnimationObjective(AnimationObjectiveConfig()).generator_terms(
        animator(untrained=True), judge(), still, context()
    )
    assert terms["reconstruction"] < 1e-4


def test_keypoints_that_are_bent_as_their_frame_have_no_distance_from_it():
    config = AnimationObjectiveConfig(affine_spread=0.0, bend_spread=0.0)
    terms = AnimationObjective(config).generator_terms(animator(), judge(), batch(), context())
    assert terms["equivariance"] < 1e-5
    assert terms["jacobian"] < 1e-4
    bent = AnimationObjective(AnimationObjectiveConfig()).generator_terms(animator(), judge(), batch(), context())
    assert bent["equivariance"] > 1e-3
    assert bent["jacobian"] > 1e-3


def test_coarse_scales_look_at_means():
    error = torch.ones(1, 1, 4, 4)
    error[..., ::2] = -1
    assert distance_at_scales(error, torch.zeros_like(error), scales=1) == 1
    assert distance_at_scales(error, torch.zeros_like(error), scales=2) == 0.5


def test_keypoints_at_one_place_crowd_and_those_far_apart_do_not():
    assert measure_crowding(torch.zeros(2, 5, 2)) == 1
    assert measure_crowding(torch.linspace(-1, 1, 3)[None, :, None].expand(1, 3, 2)) < 1e-6
    assert measure_crowding(torch.zeros(2, 1, 2)) == 0  # there is no other
    pair = torch.tensor([[[0.0, 0.0], [SPACING, 0.0]]])
    assert torch.allclose(measure_crowding(pair), torch.tensor(-0.5).exp())


def test_weights_of_zero_leave_terms_out():
    config = AnimationObjectiveConfig(equivariance_weight=0.0, jacobian_weight=0.0, separation_weight=0.0)
    terms = AnimationObjective(config).generator_terms(animator(), judge(), batch(), context())
    assert set(terms) == {"reconstruction"}


def test_the_game_begins_when_it_should_and_both_players_learn_from_it():
    objective, network, discriminator = AnimationObjective(GAME), animator().train(), judge()
    assert objective.discriminator_terms(network, discriminator, batch(), context(0.4)) == {}
    assert "spatial" not in objective.generator_terms(network, discriminator, batch(), context(0.4))
    judged = objective.discriminator_terms(network, discriminator, batch(), context(0.6))
    assert {"spatial", "temporal", "spatial_r1", "temporal_r1"} <= set(judged)
    torch.stack(list(judged.values())).sum().backward()
    assert all(each.grad is not None for each in discriminator.parameters())
    assert all(each.grad is None for each in network.parameters())
    made = objective.generator_terms(network, discriminator, batch(), context(0.6))
    assert {"spatial", "temporal", "feature_matching"} <= set(made)
    assert math.isfinite(torch.stack(list(made.values())).sum().item())


def test_the_source_is_shown_to_the_discriminators_only_if_asked_for():
    outputs = AnimationObjective(GAME).generate_outputs(animator(), batch(), SampleRandom(0), samples=1)
    shown = AnimationObjective(GAME).score_outputs(judge(), batch(), outputs[:, 0], SampleRandom(1))
    assert shown.shape == (2,)
    alone = AnimationObjective(replace(GAME, show_source=False))
    assert alone.score_outputs(judge(channels=3), batch(), outputs[:, 0], SampleRandom(1)).shape == (2,)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"reconstruction_weight": 0.0}, "nothing says where figures move"),
        ({"equivariance_weight": -1.0}, "equivariance_weight must not be negative"),
        ({"reconstruction_scales": 0}, "reconstruction_scales must be at least 1"),
        ({"feature_matching_weight": 1.0}, "without adversarial_weight the discriminators learn nothing"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        AnimationObjectiveConfig(**settings)
