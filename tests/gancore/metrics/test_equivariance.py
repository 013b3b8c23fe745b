"""How far outputs move as inputs do, against networks of which it is known."""

import math

import torch
import torch.nn.functional as F

from gancore.layers import upsample2x
from gancore.metrics.equivariance import translation_equivariance


def maps() -> torch.Tensor:
    return torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))


def test_a_convolution_moves_with_its_input_by_whole_positions():
    kernel = torch.randn(3, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    assert translation_equivariance(lambda x: F.conv2d(x, kernel, padding=1), maps(), shifts=[1, 3]) > 100


def test_repeated_pixels_move_by_whole_positions_and_not_by_halves():
    exact = translation_equivariance(upsample2x, maps(), shifts=[2, 4])
    half = translation_equivariance(upsample2x, maps(), shifts=[1, 3])
    assert exact > 100
    assert half < 20


def test_a_blind_network_has_the_psnr_of_what_it_adds():
    ramp = torch.linspace(-1, 1, 24).expand(2, 1, 24, 24)  # the same place whatever comes in
    found = translation_equivariance(lambda x: x[:, :1] * 0 + ramp, maps(), shifts=[2])
    assert math.isclose(found, 20 * math.log10(2 / (2 * 2 / 23)), abs_tol=1e-4)


def test_the_range_of_the_values_counts():
    once, twice = (translation_equivariance(upsample2x, maps(), shifts=[1], value_range=r) for r in (1.0, 2.0))
    assert math.isclose(twice - once, 20 * math.log10(2), abs_tol=1e-9)
