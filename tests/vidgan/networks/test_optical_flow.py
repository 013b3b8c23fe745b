"""Optical flow of pictures that were moved by a known flow."""

import pytest
import torch
import torch.nn.functional as F

from vidgan.networks.optical_flow import estimate_flow, image_gradient
from vidgan.networks.warp import warp


def texture(height: int = 48, width: int = 64, *, seed: int = 0) -> torch.Tensor:
    coarse = torch.randn(1, 3, height // 3, width // 3, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (height, width), mode="bicubic").clamp(-2, 2) / 2


@pytest.mark.parametrize("motion", [(0.4, -0.3), (1.5, 0.0), (-4.0, 3.0), (7.0, -5.0)])
def test_a_picture_that_moves_as_a_whole_is_followed(motion):
    first = texture()
    flow = torch.tensor(motion).view(1, 2, 1, 1).expand(1, 2, 48, 64)
    found = estimate_flow(first, warp(first, -flow))
    inner = (found - flow)[..., 10:-10, 10:-10]
    assert inner.norm(dim=1).median() < 0.15


def test_two_halves_that_move_apart_have_flows_of_their_own():
    first = texture()
    flow = torch.zeros(1, 2, 48, 64)
    flow[:, 0, :, :32], flow[:, 0, :, 32:] = -1.0, 1.0
    found = estimate_flow(first, warp(first, -flow))
    assert abs(found[0, 0, 12:-12, 8:22].median() + 1) < 0.15
    assert abs(found[0, 0, 12:-12, 42:-8].median() - 1) < 0.15


def test_equal_frames_and_frames_without_texture_have_no_flow():
    picture = texture()
    assert not estimate_flow(picture, picture).any()
    grey = torch.full((2, 1, 20, 17), 0.3)
    assert estimate_flow(grey, grey + 0.1).abs().max() < 1e-5


def test_the_flow_of_a_clip_does_not_depend_on_its_batch():
    first = torch.cat([texture(seed=1), texture(seed=2)])
    second = torch.cat([texture(seed=3), texture(seed=2).roll(1, 3)])
    torch.testing.assert_close(estimate_flow(first, second)[1:], estimate_flow(first[1:], second[1:]))


def test_the_gradient_of_a_ramp_is_its_slope():
    ramp = torch.arange(6.0).expand(1, 1, 4, 6) * 0.5
    across, down = image_gradient(ramp)
    assert (across[..., 1:-1] == 0.5).all()
    assert not down.any()
