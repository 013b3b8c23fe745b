"""Frames made of layers: what is cut out keeps its shape and goes where its path leads."""

from dataclasses import replace

import pytest
import torch
from support.tiny import SHAPE, batch_of, discriminator, predictor, small_generator, turn

from gancore.layers import orthogonal_init_
from vidgan.config import VideoConfig, VideoDataConfig
from vidgan.data.dataset import ClipBatch
from vidgan.networks.generator import FramePredictor
from vidgan.networks.sprite_output import TrajectoryNetwork, composite_sprites
from vidgan.objective import VideoObjective, sample_with_trajectory_error


def moving_picture(frames: int) -> torch.Tensor:
    """A picture on black that moves to the right by two pixels a frame."""
    clip = torch.full((1, frames, 1, 16, 32), -1.0)
    picture = torch.rand(6, 6, generator=torch.Generator().manual_seed(0))
    for time in range(frames):
        clip[:, time, :, 5:11, 1 + 2 * time : 7 + 2 * time] = picture
    return clip


def layered_predictor() -> FramePredictor:
    """A small untrained predictor of four frames from five, with one layer."""
    torch.manual_seed(0)
    config = replace(small_generator("sprites"), motion_layers=1)
    return FramePredictor(config, replace(SHAPE, width=32, context_frames=5, clip_frames=9)).eval()


def test_a_layer_is_the_last_frame_moved_whole_over_the_ground():
    last, ground = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    opacity = torch.zeros(1, 1, 8, 8)
    opacity[..., 2:4, 2:4] = 1
    made = composite_sprites(last, opacity, ground, torch.tensor([[[[3.0, 1.0], [0.0, 0.0]]]]))[0]
    torch.testing.assert_close(made[0, 0, 3:5, 5:7], last[0, 0, 2:4, 2:4])
    torch.testing.assert_close(made[0, 0, :3], ground[0, 0, :3])
    torch.testing.assert_close(made[1, 0, 2:4, 2:4], last[0, 0, 2:4, 2:4])


def test_where_two_layers_are_opaque_their_mean_is_seen():
    last, opacity = torch.zeros(1, 1, 4, 8), torch.zeros(1, 2, 4, 8)
    last[..., :4], opacity[:, 0, :, :4], opacity[:, 1, :, 4:] = 1, 1, 1
    made = composite_sprites(last, opacity, -torch.ones(1, 1, 4, 8), torch.tensor([[[[2.0, 0.0]], [[-2.0, 0.0]]]]))[
        0, 0, 0
    ]
    torch.testing.assert_close(made[0, 2:6], torch.tensor([0.5, 0.5, 0.5, 0.5]))


@torch.no_grad()
def test_untrained_layers_go_on_as_they_moved():
    clip = moving_picture(9)
    made = layered_predictor().predict_output(clip[:, :5], torch.randn(1, 6), steps=4)
    assert made.trajectories is not None
    true = torch.tensor([[2.0 * (time + 1), 0.0] for time in range(4)])
    torch.testing.assert_close(made.trajectories[0, 0], true, rtol=0, atol=0.1)
    assert (made.frames - clip[:, 5:]).abs().mean() < 0.7 * (clip[:, 4:5] - clip[:, 5:]).abs().mean()


@torch.no_grad()
@pytest.mark.parametrize(("context", "velocity"), [(1, 0.0), (3, 0.1)])
def test_paths_of_steady_movement_are_straight_before_training(context, velocity):
    paths = orthogonal_init_(TrajectoryNetwork(context_frames=context, features=2, condition=2))
    paths.reset()
    places = torch.tensor([[-0.2, 0.0], [-0.1, 0.1], [0.0, 0.2]])[None, None]
    made = paths(places[:, :, -context:], torch.randn(1, 1, 2), torch.randn(1, 2), 2)[0, 0]
    torch.testing.assert_close(made - places[0, 0, -1], velocity * torch.tensor([[1.0, 1.0], [2.0, 2.0]]))


def test_the_pull_on_paths_is_their_distance_and_reaches_their_network():
    clip = moving_picture(9)
    clip[:, 5:] = clip[:, 4:5]  # it stops, and the untrained layer goes 2, 4, 6 and 8 pixels too far
    model = layered_predictor()
    batch = ClipBatch(clip, torch.zeros(1, dtype=torch.long), 5)
    futures, apart = sample_with_trajectory_error(model, batch, turn().rng, samples=3)
    assert futures.shape == (1, 3, 4, 1, 16, 32)
    torch.testing.assert_close(apart * 16, torch.tensor(5.0), rtol=0, atol=0.2)
    apart.backward()
    gradient = model.decoder.output.paths.step[-1].weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_the_generators_turn_names_the_pull_on_paths():
    objective = VideoObjective(
        trajectory_weight=2.0, reconstruction_weight=1.0, reconstruction_samples=2, adversarial_weight=0.0
    )
    terms = objective.generator_terms(predictor("sprites"), discriminator("modern"), batch_of(2), turn())
    assert set(terms) == {"paths", "reconstruction"}


def test_paths_are_pulled_only_where_there_are_layers():
    with pytest.raises(ValueError, match=r"objective\.paths: only with generator\.output layers"):
        VideoConfig(objective=VideoObjective(trajectory_weight=1.0), data=VideoDataConfig(context_frames=5))
