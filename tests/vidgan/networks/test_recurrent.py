"""The recurrent units against their formulas, step by step and number by number."""

import math

import pytest
import torch
import torch.nn.functional as F
from support.slow_warp import warp_by_pixel
from torch import Tensor

from vidgan.config import RecurrentUnitName, StateActivation
from vidgan.networks.recurrent import TSRU, ConvGRU, RecurrentUnit, build_recurrent_unit

UNITS = ("gru", "tsru-c", "tsru-p", "tsru-s")


def build_unit(name: RecurrentUnitName, activation: StateActivation) -> RecurrentUnit:
    torch.manual_seed(3)
    return build_recurrent_unit(name, 3, 4, activation=activation).double()


def gate(unit: RecurrentUnit, name: str, *parts: Tensor) -> Tensor:
    """One gate as the papers write it: a convolution of the concatenation."""
    module = unit.update if name == "update" else unit.gates[name]
    return F.conv2d(torch.cat(parts, 1), module.weight, module.bias, padding=1)


def published(unit: RecurrentUnit, h: Tensor, x: Tensor) -> Tensor:
    """The next state by the formulas of the papers; the gates' input channels are those of [h; x]."""
    rho = unit.activation
    if isinstance(unit, ConvGRU):
        r, u = (torch.sigmoid(gate(unit, name, h, x)) for name in "ru")
        return u * h + (1 - u) * rho(gate(unit, "c", r * h, x))
    assert isinstance(unit, TSRU)
    warped = warp_by_pixel(h, gate(unit, "flow", h, x))
    c = rho(gate(unit, "c", h if unit.order == "p" else warped, x))
    u = torch.sigmoid(gate(unit, "update", warped, c) if unit.order == "s" else gate(unit, "u", h, x))
    return u * warped + (1 - u) * c


@torch.no_grad()
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("name", UNITS)
def test_every_unit_follows_its_published_formula(name, activation):
    unit = build_unit(name, activation)
    inputs, state = torch.randn(2, 3, 3, 5, 4).double(), torch.rand(2, 4, 5, 4).double()
    states = unit(inputs, state)
    for step in range(3):
        state = published(unit, state, inputs[:, step])
        torch.testing.assert_close(states[:, step], state, rtol=1e-9, atol=1e-9)


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
    states = unit(torch.tensor(x).double().view(1, 1, 1, 1, 1), torch.tensor(h).double().view(1, 1, 1, 1))
    assert states.item() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", UNITS)
def test_an_input_served_to_all_steps_equals_the_same_input_given_at_each(name):
    unit = build_unit(name, "tanh")
    x = torch.randn(2, 1, 3, 4, 4).double()
    torch.testing.assert_close(unit(x, steps=3), unit(x.expand(-1, 3, -1, -1, -1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", UNITS)
def test_a_sequence_may_be_cut_anywhere_and_goes_on_from_the_last_state(name):
    unit = build_unit(name, "relu")
    x = torch.randn(2, 4, 3, 4, 4).double()
    begun = unit(x[:, :1])
    torch.testing.assert_close(torch.cat([begun, unit(x[:, 1:], begun[:, -1])], 1), unit(x), rtol=0, atol=1e-12)


def test_without_a_state_a_unit_starts_from_zero():
    unit = build_unit("gru", "tanh")
    x = torch.randn(2, 2, 3, 4, 4).double()
    assert torch.equal(unit(x), unit(x, torch.zeros(2, 4, 4, 4).double()))


@pytest.mark.parametrize("name", UNITS)
def test_units_run_under_mixed_precision(name):
    unit = build_recurrent_unit(name, 3, 4)
    x = torch.randn(1, 2, 3, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        states = unit(x)
    torch.testing.assert_close(states.float(), unit(x), rtol=0.1, atol=0.05)
