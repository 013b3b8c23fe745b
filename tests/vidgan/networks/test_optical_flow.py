"""Optical flow of pictures that were moved by a known flow."""

import pytest
import torch
from support.textures import texture

from vidgan.networks.optical_flow import estimate_flow, image_gradient
from vidgan.networks.warp import warp


@pytest.mark.parametrize("motion", [(0.4, -0.3), (1.5, 0.0), (-4.0, 3.0), (7.0, -5.0)])
def test_a_picture_that_moves_as_a_whole_is_followed(motion):
    first = texture(48, 64)[None]
    flow = torch.tensor(motion).view(1, 2, 1, 1).expand(1, 2, 48, 64)
    found = estimate_flow(first, warp(first, -flow))
    inner = (found - flow)[..., 10:-10, 10:-10]
    assert inner.norm(dim=1).median() < 0.15


def test_two_halves_that_move_apart_have_flows_of_their_own():
    first = texture(48, 64)[None]
    flow = torch.zeros(1, 2, 48, 64)
    flow[:, 0, :, :32], flow[:, 0, :, 32:] = -1.0, 1.0
    found = estimate_flow(first, warp(first, -flow))
    assert abs(found[0, 0, 12:-12, 8:22].median() + 1) < 0.15
    assert abs(found[0, 0, 12:-12, 42:-8].median() - 1) < 0.15


def test_equal_frames_and_frames_without_texture_have_no_flow():
    picture = texture(48, 64)[None]
    assert estimate_flow(picture, picture).abs().max() < 1e-4
    grey = torch.full((2, 1, 20, 17), 0.3)
    assert estimate_flow(grey, grey + 0.1).abs().max() < 1e-5


def test_the_flow_of_a_clip_does_not_depend_on_its_batch():
    first = torch.stack([texture(48, 64, seed=1), texture(48, 64, seed=2)])
    second = torch.stack([texture(48, 64, seed=3), texture(48, 64, seed=2).roll(1, 2)])
    torch.testing.assert_close(estimate_flow(first, second)[1:], estimate_flow(first[1:], second[1:]))


def test_the_gradient_of_a_ramp_is_its_slope():
    ramp = torch.arange(6.0).expand(1, 1, 4, 6) * 0.5
    across, down = image_gradient(ramp)
    assert (across[..., 1:-1] == 0.5).all()
    assert not down.any()
