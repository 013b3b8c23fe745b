"""The recurrent units against their formulas, step by step and number by number."""

import math
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vidgan.networks.recurrent import TSRU, ConvGRU, RecurrentUnit, build_recurrent_unit, warp

UNITS = ("gru", "tsru-c", "tsru-p", "tsru-s")


def unit_of(name: Literal["gru", "tsru-c", "tsru-p", "tsru-s"], activation: Literal["relu", "tanh"]) -> RecurrentUnit:
    torch.manual_seed(3)
    return build_recurrent_unit(name, 3, 4, activation=activation).double()


def gate(unit: RecurrentUnit, name: str, *parts: Tensor) -> Tensor:
    """One gate as the papers write it: a convolution of the concatenation."""
    module = unit.last if name == "last" else unit.gates[name]
    return F.conv2d(torch.cat(parts, 1), module.weight, module.bias, padding=1)


def looked_up(x: Tensor, flow: Tensor) -> Tensor:
    """Bilinear look-up with repeated edges, pixel by pixel."""
    height, width = x.shape[-2:]
    result = torch.empty_like(x)
    for b in range(len(x)):
        for row in range(height):
            for column in range(width):
                across = min(max(column + float(flow[b, 0, row, column]), 0), width - 1)
                down = min(max(row + float(flow[b, 1, row, column]), 0), height - 1)
                left, top = min(int(across), width - 2), min(int(down), height - 2)
                p, q = across - left, down - top
                upper = (1 - p) * x[b, :, top, left] + p * x[b, :, top, left + 1]
                lower = (1 - p) * x[b, :, top + 1, left] + p * x[b, :, top + 1, left + 1]
                result[b, :, row, column] = (1 - q) * upper + q * lower
    return result


def published(unit: RecurrentUnit, h: Tensor, x: Tensor) -> Tensor:
    """The next state by the formulas of the papers; the gates' input channels are those of [h; x]."""
    rho = unit.activation
    if isinstance(unit, ConvGRU):
        r, u = (torch.sigmoid(gate(unit, name, h, x)) for name in "ru")
        return u * h + (1 - u) * rho(gate(unit, "c", r * h, x))
    assert isinstance(unit, TSRU)
    moved = looked_up(h, gate(unit, "flow", h, x))
    c = rho(gate(unit, "c", h if unit.order == "p" else moved, x))
    u = torch.sigmoid(gate(unit, "last", moved, c) if unit.order == "s" else gate(unit, "u", h, x))
    return u * moved + (1 - u) * c


@torch.no_grad()
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("name", UNITS)
def test_every_unit_follows_its_published_formula(name, activation):
    unit = unit_of(name, activation)
    inputs, state = torch.randn(2, 3, 3, 5, 4).double(), torch.rand(2, 4, 5, 4).double()
    made = unit(inputs, state)
    for step in range(3):
        state = published(unit, state, inputs[:, step])
        torch.testing.assert_close(made[:, step], state, rtol=1e-9, atol=1e-9)


def test_a_gru_of_one_cell_gives_the_numbers_one_computes_by_hand():
    unit = ConvGRU(1, 1).double()
    for name, (of_state, of_input, bias) in {"r": (0.5, -1, 0.2), "u": (-0.3, 0.8, 0), "c": (1.5, 0.7, -0.1)}.items():
        with torch.no_grad():
            unit.gates[name].weight.zero_()[0, :, 1, 1] = torch.tensor([of_state, of_input])
            unit.gates[name].bias.fill_(bias)
    h, x = 0.4, 0.9
    reset = 1 / (1 + math.exp(-(0.5 * h - x + 0.2)))
    update = 1 / (1 + math.exp(-(-0.3 * h + 0.8 * x)))
    expected = update * h + (1 - update) * max(0.0, 1.5 * reset * h + 0.7 * x - 0.1)
    made = unit(torch.tensor(x).double().view(1, 1, 1, 1, 1), torch.tensor(h).double().view(1, 1, 1, 1))
    assert made.item() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", UNITS)
def test_an_input_served_to_all_steps_equals_the_same_input_given_at_each(name):
    unit = unit_of(name, "tanh")
    x = torch.randn(2, 1, 3, 4, 4).double()
    torch.testing.assert_close(unit(x, steps=3), unit(x.expand(-1, 3, -1, -1, -1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", UNITS)
def test_a_sequence_may_be_cut_anywhere_and_goes_on_from_the_last_state(name):
    unit = unit_of(name, "relu")
    x = torch.randn(2, 4, 3, 4, 4).double()
    begun = unit(x[:, :1])
    torch.testing.assert_close(torch.cat([begun, unit(x[:, 1:], begun[:, -1])], 1), unit(x), rtol=0, atol=1e-12)


def test_without_a_state_a_unit_starts_from_zero():
    unit = unit_of("gru", "tanh")
    x = torch.randn(2, 2, 3, 4, 4).double()
    assert torch.equal(unit(x), unit(x, torch.zeros(2, 4, 4, 4).double()))


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
    torch.testing.assert_close(warp(x, flow), looked_up(x, flow), rtol=0, atol=1e-12)


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


@pytest.mark.parametrize("name", UNITS)
def test_units_run_under_mixed_precision(name):
    unit = build_recurrent_unit(name, 3, 4)
    x = torch.randn(1, 2, 3, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        made = unit(x)
    torch.testing.assert_close(made.float(), unit(x), rtol=0.1, atol=0.05)
