"""Forecasts that need no model."""

import pytest
import torch
from support.tiny import clips

from gancore.data import Sample
from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.baselines import (
    extrapolate_flow,
    extrapolate_flow_over_background,
    extrapolate_linearly,
    extrapolate_moving_parts,
    predict_baselines,
    predict_black,
    repeat_last_frame,
)
from vidgan.frames import to_float
from vidgan.metrics import psnr


def drifting(*, frames: int, speed: tuple[float, float], size: int = 40) -> torch.Tensor:
    """A smooth pattern that moves by (down, right) pixels a frame."""
    grid = torch.arange(float(size))
    moments = torch.arange(float(frames))[:, None, None]
    rows, columns = grid[:, None] - moments * speed[0], grid[None] - moments * speed[1]
    shown = torch.sin(rows / 3) * torch.cos(columns / 4) * 0.8
    return shown[None, :, None]


def test_the_last_frame_stands_and_black_is_black():
    past = clips(2, frames=3)
    assert repeat_last_frame(past, 4).equal(past[:, -1:].expand(-1, 4, -1, -1, -1))
    assert predict_black(past, 4).equal(torch.full((2, 4, 1, 16, 16), -1.0))


def test_linear_extrapolation_is_exact_for_steady_change_and_stays_in_range():
    ramp = torch.linspace(-0.9, 0.9, 10).view(1, 10, 1, 1, 1).expand(2, -1, 3, 4, 4)
    torch.testing.assert_close(extrapolate_linearly(ramp[:, :4], 6), ramp[:, 4:])
    assert extrapolate_linearly(ramp[:, :4], 20).max() == 1


@pytest.mark.parametrize("speed", [(0.5, 1.0), (-1.0, 0.3), (0.0, -0.8)])
def test_optical_flow_carries_on_a_steady_drift(speed):
    clip = drifting(frames=8, speed=speed)
    past, future = clip[:, :4], clip[:, 4:]
    carried, stood = extrapolate_flow(past, 4), repeat_last_frame(past, 4)
    inside = (..., slice(8, -8), slice(8, -8))  # what drifts in over the border cannot be known
    assert (psnr(carried[inside], future[inside]) > psnr(stood[inside], future[inside]) + 6).all()


def test_what_stands_still_goes_on_standing():
    past = clips(2, frames=1).expand(-1, 3, -1, -1, -1)
    torch.testing.assert_close(extrapolate_flow(past, 5), repeat_last_frame(past, 5))
    assert extrapolate_flow(predict_black(past, 2), 5).equal(predict_black(past, 5))


def test_every_clip_of_a_batch_is_carried_on_by_itself():
    past = clips(3, frames=2, channels=3, height=20, width=24)
    apart = torch.cat([extrapolate_flow(clip[None], 3) for clip in past])
    torch.testing.assert_close(extrapolate_flow(past, 3), apart)


def test_moving_digits_are_better_carried_on_than_repeated():
    dataset = open_dataset(VideoDataConfig(channels=1, clip_frames=5, context_frames=2), split="test")
    shown = torch.stack([to_float(dataset[Sample(number, 0)][0]) for number in range(6)])
    past, future = shown[:, :2], shown[:, 2:]
    scores = {name: float(psnr(made, future).mean()) for name, made in predict_baselines(past, steps=3).items()}
    assert scores["optical flow"] > scores["last frame repeated"] + 2
    assert scores["last frame repeated"] > scores["linear extrapolation"]


def test_a_baseline_that_needs_more_past_than_there_is_is_left_out():
    clip = clips(1, frames=3)
    assert list(predict_baselines(clip[:, :1], steps=2)) == ["last frame repeated", "all black"]
    assert len(predict_baselines(clip[:, :2], steps=2)) == 4
    assert len(predict_baselines(clip, steps=2)) == 6
    assert predict_baselines(clip[:, :0], steps=2) == {}


OVER_BACKGROUND = pytest.mark.parametrize("extrapolate", [extrapolate_flow_over_background, extrapolate_moving_parts])


def crossing(*, frames: int, channels: int) -> torch.Tensor:
    """A bright disc that moves 3 pixels right a frame over stripes."""
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    moments = torch.arange(float(frames))[:, None, None]
    disc = (5 - ((rows - 16) ** 2 + (columns - 8 - 3 * moments) ** 2).sqrt()).clamp(0, 1)
    stripes = 0.2 * torch.sin(columns / 6).expand_as(disc)
    return (disc + (1 - disc) * stripes)[None, :, None].repeat(1, 1, channels, 1, 1)


@OVER_BACKGROUND
@pytest.mark.parametrize("channels", [1, 3])
def test_what_moves_is_carried_on_over_the_background(extrapolate, channels):
    clip = crossing(frames=11, channels=channels)
    past, future = clip[:, :5], clip[:, 5:]
    carried, stood = psnr(extrapolate(past, 6), future), psnr(repeat_last_frame(past, 6), future)
    assert (carried > stood + 4).all()
    assert carried.mean() > psnr(extrapolate_flow(past, 6), future).mean() + 2


@OVER_BACKGROUND
def test_over_a_background_nothing_moves_by_itself(extrapolate):
    past = clips(2, frames=1, channels=3).expand(-1, 4, -1, -1, -1)
    assert extrapolate(past, 3).equal(repeat_last_frame(past, 3))


@OVER_BACKGROUND
def test_over_a_background_every_clip_is_carried_on_by_itself_and_always_alike(extrapolate):
    past = torch.cat([crossing(frames=5, channels=1), crossing(frames=5, channels=1).flip(4)])
    apart = torch.cat([extrapolate(clip[None], 3) for clip in past])
    together = extrapolate(past, 3)
    assert together.equal(apart)
    assert together.equal(extrapolate(past, 3))


@OVER_BACKGROUND
@pytest.mark.parametrize("shape", [(2, 3, 3, 2, 3), (1, 6, 1, 5, 17)])
def test_over_a_background_frames_may_have_any_size(extrapolate, shape):
    future = extrapolate(torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1, 3)
    assert future.shape == (shape[0], 3, *shape[2:])
    assert future.isfinite().all()
    assert future.abs().max() <= 1 + 1e-5
