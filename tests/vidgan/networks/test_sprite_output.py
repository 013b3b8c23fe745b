"""Frames made of sprites: each keeps its shape and follows its trajectory."""

from dataclasses import replace

import pytest
import torch
from support.tiny import SHAPE, batch_of, discriminator, predictor, small_generator, step_context

from gancore.layers import orthogonal_init_
from vidgan.config import VideoConfig, VideoObjectiveConfig
from vidgan.data.batch import ClipBatch
from vidgan.data_config import VideoDataConfig
from vidgan.networks.generator import FramePredictor
from vidgan.networks.sprite_output import TrajectoryNetwork, composite_sprites
from vidgan.objective import VideoObjective, futures_with_trajectory_error, sample_latents


def moving_picture(frames: int) -> torch.Tensor:
    """A picture on black that moves to the right by two pixels a frame."""
    clip = torch.full((1, frames, 1, 16, 32), -1.0)
    picture = torch.rand(6, 6, generator=torch.Generator().manual_seed(0))
    for time in range(frames):
        clip[:, time, :, 5:11, 1 + 2 * time : 7 + 2 * time] = picture
    return clip


def sprite_predictor() -> FramePredictor:
    """A small untrained predictor of four frames from five, with one sprite."""
    torch.manual_seed(0)
    config = replace(small_generator("sprites"), motion_layers=1)
    return FramePredictor(config, replace(SHAPE, width=32, context_frames=5, clip_frames=9)).eval()


def test_a_sprite_is_a_piece_of_the_last_frame_moved_as_a_whole_over_the_background():
    last, background = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    opacity = torch.zeros(1, 1, 8, 8)
    opacity[..., 2:4, 2:4] = 1
    frames = composite_sprites(last, opacity, background, torch.tensor([[[[3.0, 1.0], [0.0, 0.0]]]]))[0]
    torch.testing.assert_close(frames[0, 0, 3:5, 5:7], last[0, 0, 2:4, 2:4])
    torch.testing.assert_close(frames[0, 0, :3], background[0, 0, :3])
    torch.testing.assert_close(frames[1, 0, 2:4, 2:4], last[0, 0, 2:4, 2:4])


def test_where_two_sprites_are_opaque_their_mean_is_seen():
    last, opacity = torch.zeros(1, 1, 4, 8), torch.zeros(1, 2, 4, 8)
    last[..., :4], opacity[:, 0, :, :4], opacity[:, 1, :, 4:] = 1, 1, 1
    frames = composite_sprites(last, opacity, -torch.ones(1, 1, 4, 8), torch.tensor([[[[2.0, 0.0]], [[-2.0, 0.0]]]]))[
        0, 0, 0
    ]
    torch.testing.assert_close(frames[0, 2:6], torch.tensor([0.5, 0.5, 0.5, 0.5]))


@torch.no_grad()
def test_untrained_sprites_go_on_as_they_moved():
    clip = moving_picture(9)
    output = sprite_predictor().predict_output(clip[:, :5], torch.randn(1, 6), steps=4)
    assert output.trajectories is not None
    expected = torch.tensor([[2.0 * (time + 1), 0.0] for time in range(4)])
    torch.testing.assert_close(output.trajectories[0, 0], expected, rtol=0, atol=0.1)
    assert (output.frames - clip[:, 5:]).abs().mean() < 0.7 * (clip[:, 4:5] - clip[:, 5:]).abs().mean()


@torch.no_grad()
@pytest.mark.parametrize(("context", "velocity"), [(1, 0.0), (3, 0.1)])
def test_trajectories_of_steady_movement_are_straight_before_training(context, velocity):
    network = orthogonal_init_(TrajectoryNetwork(context_frames=context, features=2, condition=2))
    network.reset_parameters()
    positions = torch.tensor([[-0.2, 0.0], [-0.1, 0.1], [0.0, 0.2]])[None, None]
    trajectory = network(positions[:, :, -context:], torch.randn(1, 1, 2), torch.randn(1, 2), 2)[0, 0]
    torch.testing.assert_close(trajectory - positions[0, 0, -1], velocity * torch.tensor([[1.0, 1.0], [2.0, 2.0]]))


def test_the_trajectory_error_is_a_distance_and_its_gradient_reaches_the_network():
    clip = moving_picture(9)
    clip[:, 5:] = clip[:, 4:5]  # it stops, and the untrained sprite goes 2, 4, 6 and 8 pixels too far
    model = sprite_predictor()
    batch = ClipBatch(clip, torch.zeros(1, dtype=torch.long), 5)
    latents = sample_latents(model, batch, step_context().rng, samples=3)
    futures, error = futures_with_trajectory_error(model, batch, latents)
    assert futures.shape == (1, 3, 4, 1, 16, 32)
    torch.testing.assert_close(error * 16, torch.tensor(5.0), rtol=0, atol=0.2)
    error.backward()
    gradient = model.decoder.output.trajectories.correction[-1].weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_the_generators_losses_name_the_trajectory_error():
    config = VideoObjectiveConfig(
        trajectory_weight=2.0, reconstruction_weight=1.0, reconstruction_samples=2, adversarial_weight=0.0
    )
    objective = VideoObjective(config)
    terms = objective.generator_terms(predictor("sprites"), discriminator("modern"), batch_of(2), step_context())
    assert set(terms) == {"trajectory", "reconstruction"}


def test_only_sprites_have_a_trajectory_error():
    with pytest.raises(ValueError, match=r"objective\.trajectory_weight: only generator\.output sprites"):
        VideoConfig(objective=VideoObjectiveConfig(trajectory_weight=1.0), data=VideoDataConfig(context_frames=5))
