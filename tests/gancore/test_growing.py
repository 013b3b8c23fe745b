"""The resolution of a game rises with the progress alone, and never jumps."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from gancore.growing import Growth, fade_resolution, hidden_levels
from gancore.layers import downsample2x, upsample2x
from gancore.training.averaging import MovingAverage

STEPS = 600


@pytest.mark.parametrize("levels", [1, 3, 5])
def test_the_resolution_rises_from_the_coarsest_to_the_full_one_without_a_jump(levels):
    until = 0.6
    hidden = [hidden_levels(step / STEPS, levels=levels, until=until) for step in range(STEPS + 1)]
    assert hidden[0] == levels
    assert hidden[-1] == hidden[math.ceil(until * STEPS)] == 0
    steepest = 2 * levels / until / STEPS
    falls = [before - after for before, after in pairwise(hidden)]
    assert min(falls) >= 0
    assert max(falls) <= steepest + 1e-9
    stays = sum(fall == 0 for fall in falls[: int(until * STEPS)])
    assert stays >= (until * STEPS - 2 * levels) / 2  # half of the growth each resolution stays as it is


def test_without_growth_nothing_is_hidden():
    assert hidden_levels(0.0, levels=4, until=0.0) == 0


@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (2, 3, 8, 8, 8)])
def test_a_hidden_level_is_averaged_away_and_comes_in_along_a_straight_line(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    half, quarter = upsample2x(downsample2x(x)), upsample2x(upsample2x(downsample2x(downsample2x(x))))
    assert fade_resolution(x, 0.0) is x
    torch.testing.assert_close(fade_resolution(x, 1.0), half)
    torch.testing.assert_close(fade_resolution(x, 2.0), quarter)
    torch.testing.assert_close(fade_resolution(x, 0.25), 0.75 * x + 0.25 * half)
    torch.testing.assert_close(fade_resolution(x, 1.25), 0.75 * half + 0.25 * quarter)
    torch.testing.assert_close(fade_resolution(x, 3.0).mean(), x.mean())


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 1, 8, 8, 8)])
def test_half_precision_stays_half_precision(shape):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        seen = fade_resolution(x, 1.5)
    assert seen.dtype == torch.bfloat16
    torch.testing.assert_close(seen.float(), fade_resolution(x.float(), 1.5), rtol=0.02, atol=0.02)


def test_what_is_seen_never_jumps():
    x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    seen = [fade_resolution(x, 3 - 3 * step / 300) for step in range(301)]
    assert max(float((a - b).abs().max()) for a, b in pairwise(seen)) < 0.0101


def test_a_generator_that_is_half_grown_is_saved_as_that_and_so_is_its_average():
    network = nn.Sequential(nn.Linear(1, 1), Growth())
    average = MovingAverage(network)
    average.module.eval()
    network[1].set(2.25)
    average.update(network, decay=0.9)
    loaded = Growth().eval()
    loaded.load_state_dict(copy.deepcopy(network[1].state_dict()))
    for one in (network[1], average.module[1], loaded, loaded.train()):
        assert one.whole == 2
        assert one.share() == 0.75
