"""The warping error: nothing for what moves as it should, something for what flickers, and covered places left out."""

import pytest
import torch
from support.textures import texture

from vidgan.translation.flicker import find_visible, warping_error


def moving_texture(*, frames: int) -> torch.Tensor:
    """A clip of a texture that moves by a pixel a frame."""
    wide = texture(32, 40)
    return torch.stack([wide[:, :, step : step + 32] for step in range(frames)])[None]


def test_a_texture_that_moves_as_the_truth_does_hardly_flickers_and_noise_does():
    true = moving_texture(frames=4)
    noisy = (true + 0.2 * torch.randn(true.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    still = true[:, :1].expand_as(true)
    assert warping_error(true, true).shape == (len(true), 3)
    assert float(warping_error(true, true).mean()) < 1e-3
    assert float(warping_error(noisy, true).mean()) > 10 * float(warping_error(true, true).mean())
    assert float(warping_error(still, true).mean()) > float(warping_error(true, true).mean())


def test_flicker_of_a_flat_clip_is_the_square_of_its_steps():
    true = torch.zeros(1, 3, 3, 16, 16)
    steps = torch.tensor([0.0, 0.4, 0.0]).view(1, 3, 1, 1, 1).expand_as(true)
    assert warping_error(steps, true).flatten().tolist() == pytest.approx([0.04, 0.04])


def test_what_does_not_come_back_is_covered():
    forward, backward = torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8)
    assert find_visible(forward, backward).all()
    backward[:, 0, 4] = 3.0
    assert not find_visible(forward, backward)[:, :, 4].any()
    assert find_visible(forward, backward)[:, :, 0].all()
