"""Splats against a loop over pixels: sums, borders, gradients, and the backward warp that they transpose."""

import pytest
import torch

from vidgan.networks.splat import splat
from vidgan.networks.warp import warp


def splat_by_pixel(x: torch.Tensor, displacement: torch.Tensor) -> torch.Tensor:
    landed = torch.zeros_like(x)
    height, width = x.shape[-2:]
    for clip, row, column in torch.cartesian_prod(*(torch.arange(size) for size in (len(x), height, width))).tolist():
        across, down = (displacement[clip, :, row, column] + torch.tensor([column, row])).tolist()
        for y in range(height):
            for ahead in range(width):
                share = max(0.0, 1 - abs(across - ahead)) * max(0.0, 1 - abs(down - y))
                landed[clip, :, y, ahead] += share * x[clip, :, row, column]
    return landed


def test_every_pixel_is_shared_among_the_four_places_around_where_it_lands():
    torch.manual_seed(0)
    x, displacement = torch.randn(2, 3, 4, 5).double(), 2 * torch.randn(2, 2, 4, 5).double()
    torch.testing.assert_close(splat(x, displacement), splat_by_pixel(x, displacement), rtol=0, atol=1e-12)


def test_pixels_that_stay_are_the_same_to_the_bit():
    x = torch.randn(2, 3, 5, 7)
    assert torch.equal(splat(x, torch.zeros(2, 2, 5, 7)), x)


@pytest.mark.parametrize(("across", "down"), [(1, 0), (0, -2), (3, 2)])
def test_what_leaves_the_frame_is_lost_and_nothing_comes_in(across, down):
    displacement = torch.tensor([across, down]).float().view(1, 2, 1, 1).expand(1, 2, 4, 5)
    landed = splat(torch.ones(1, 1, 4, 5), displacement)
    assert landed.sum() == (4 - abs(down)) * (5 - abs(across))
    assert landed.max() == 1


def test_a_splat_is_the_transpose_of_a_warp_by_the_same_displacement():
    torch.manual_seed(0)
    x, y = torch.randn(1, 2, 6, 6).double(), torch.randn(1, 2, 6, 6).double()
    inward = torch.rand(1, 2, 6, 6).double() * torch.tensor([0.9, 0.8]).view(1, 2, 1, 1)
    inward[:, 0, :, -1] = inward[:, 1, -1] = 0  # a warp repeats the edges, which a splat does not
    torch.testing.assert_close((splat(x, inward) * y).sum(), (x * warp(y, inward)).sum())


def test_the_gradient_is_right_for_what_moves_and_for_where_it_goes():
    torch.manual_seed(0)
    x = torch.randn(1, 2, 3, 4).double().requires_grad_()
    displacement = (0.3 + 0.1 * torch.rand(1, 2, 3, 4).double()).requires_grad_()  # away from the kinks
    assert torch.autograd.gradcheck(splat, (x, displacement))


def test_positions_stay_in_float32_under_mixed_precision():
    x = torch.zeros(1, 1, 1, 256)
    x[..., 200] = 1
    landed = splat(x.bfloat16(), torch.full((1, 2, 1, 256), 0.25).bfloat16() * torch.tensor([1, 0]).view(1, 2, 1, 1))
    torch.testing.assert_close(landed[0, 0, 0, 200:202], torch.tensor([0.75, 0.25]))
