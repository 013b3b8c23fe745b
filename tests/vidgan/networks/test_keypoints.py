"""Keypoints: means of maps, affine maps between them, and maps of any size."""

import pytest
import torch

from vidgan.networks.keypoints import (
    LEAST_DETERMINANT,
    Hourglass,
    draw_gaussians,
    invert,
    multiply,
    pixel_centres,
    soft_argmax,
)


def random_matrices(count: int) -> torch.Tensor:
    return torch.randn(count, 2, 2, generator=torch.Generator().manual_seed(1))


def test_positions_count_halves_of_the_frame_from_its_middle_in_maps_of_any_size():
    for height, width in ((4, 6), (8, 12)):
        centres = pixel_centres(torch.empty(1, 1, height, width))
        assert torch.allclose(centres[0, 0], torch.tensor([-1 + 1 / width, -1 + 1 / height]))
        assert torch.allclose(centres[-1, -1], torch.tensor([1 - 1 / width, 1 - 1 / height]))
    fine, coarse = (pixel_centres(torch.empty(1, 1, side, side)) for side in (8, 4))
    assert torch.allclose(fine.view(4, 2, 4, 2, 2).mean((1, 3)), coarse)  # where four pixels become one


def test_a_mean_position_is_where_the_map_has_its_peak():
    at = torch.tensor([[[0.3, -0.42], [-0.11, 0.25]]])
    position, share = soft_argmax(draw_gaussians(at, torch.empty(1, 1, 16, 16), variance=0.035))
    assert torch.allclose(position, at, atol=0.02)
    assert torch.allclose(share.sum((2, 3)), torch.ones(1, 2))


def test_a_flat_map_has_its_mean_in_the_middle():
    position, _ = soft_argmax(torch.zeros(1, 1, 5, 8))
    assert torch.allclose(position, torch.zeros(1, 1, 2), atol=1e-6)


def test_the_inverse_in_closed_form_is_that_of_linear_algebra():
    matrices = random_matrices(50)
    safe = matrices[matrices.det().abs() > LEAST_DETERMINANT]
    assert len(safe) > 30
    assert torch.allclose(invert(safe), torch.linalg.inv(safe), atol=1e-4)
    assert torch.allclose(multiply(safe, invert(safe)), torch.eye(2).expand_as(safe), atol=1e-4)


def test_matrices_that_flatten_everything_have_a_bounded_inverse_with_gradients():
    flat = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]], requires_grad=True)
    inverse = invert(flat)
    assert inverse.abs().max() <= 1 / LEAST_DETERMINANT
    inverse.sum().backward()
    assert torch.isfinite(flat.grad).all()


def test_products_are_those_of_linear_algebra():
    first, second = random_matrices(12).chunk(2)
    assert torch.allclose(multiply(first, second), first @ second, atol=1e-6)


@pytest.mark.parametrize("size", [(16, 16), (5, 7), (1, 1)])
def test_an_hourglass_keeps_the_size_of_its_input(size):
    assert Hourglass(3, (4, 6, 8))(torch.randn(2, 3, *size)).shape == (2, 4, *size)
