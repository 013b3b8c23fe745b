"""Warps against a loop over pixels: directions, edges, gradients, precision."""

import pytest
import torch
from support.slow_warp import warp_by_pixel

from vidgan.networks.warp import warp


def test_a_flow_of_zero_moves_nothing():
    x = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(warp(x, torch.zeros(2, 2, 5, 7)), x, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("across", "down"), [(1, 0), (-2, 0), (0, 3), (2, -1)])
def test_a_whole_flow_moves_by_whole_pixels_and_repeats_the_edges(across, down):
    x = torch.randn(1, 2, 6, 8).double()
    flow = torch.tensor([across, down]).double().view(1, 2, 1, 1).expand(1, 2, 6, 8)
    rows, columns = (torch.arange(6) + down).clamp(0, 5), (torch.arange(8) + across).clamp(0, 7)
    torch.testing.assert_close(warp(x, flow), x[:, :, rows][..., columns], rtol=0, atol=1e-12)


def test_a_fractional_flow_looks_up_bilinearly():
    torch.manual_seed(0)
    x, flow = torch.randn(2, 3, 5, 4).double(), 3 * torch.randn(2, 2, 5, 4).double()
    torch.testing.assert_close(warp(x, flow), warp_by_pixel(x, flow), rtol=0, atol=1e-12)


def test_the_gradient_of_a_warp_is_right_for_what_is_moved_and_for_the_flow():
    torch.manual_seed(0)
    x = torch.randn(1, 2, 3, 4).double().requires_grad_()
    # Away from whole positions, where a bilinear look-up has a kink, and from the borders.
    flow = (0.3 + 0.1 * torch.rand(1, 2, 3, 4).double()).requires_grad_()
    assert torch.autograd.gradcheck(warp, (x, flow))


def test_a_warp_keeps_positions_in_float32_under_mixed_precision():
    x = torch.linspace(-1, 1, 256).expand(1, 1, 2, 256)
    flow = torch.full((1, 2, 2, 256), 0.25).bfloat16()
    moved = warp(x, flow)[0, 0, 0, 128:255]
    torch.testing.assert_close(moved, x[0, 0, 0, 128:255] + 0.25 * 2 / 255, rtol=0, atol=1e-5)


def test_a_bicubic_warp_blurs_less_and_leaves_what_does_not_move():
    wave, moved = (torch.sin((torch.arange(32) + shift) * 1.2).expand(1, 1, 8, -1) for shift in (0, 0.5))
    flow = torch.zeros(1, 2, 8, 32)
    assert torch.allclose(warp(wave, flow, bicubic=True), wave, atol=1e-5)
    flow[:, 0] = 0.5
    inside = (..., slice(2, -3))
    sharp, soft = ((warp(wave, flow, bicubic=each) - moved)[inside].abs().max() for each in (True, False))
    assert sharp < 0.5 * soft
