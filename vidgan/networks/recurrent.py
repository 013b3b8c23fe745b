"""Recurrent units over feature maps: the ConvGRU of DVD-GAN and the transforming units (TSRU) of TrIVD-GAN."""

from collections.abc import Mapping
from typing import Literal, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from vidgan.config import RecurrentUnitName, StateActivation
from vidgan.networks.warp import warp


class RecurrentUnit(nn.Module):
    """A gated recurrent unit whose gates are convolutions of [state; input], unrolled over time.

    Each gate has one weight for the concatenation, as published, so that spectral norm normalises it as a whole. The
    convolution is computed in two halves: the input's for all gates and timesteps at once, the state's step by step.
    """

    def __init__(
        self, inputs: int, hidden: int, *, gates: dict[str, int], kernel: int = 3, activation: StateActivation = "relu"
    ):
        """`gates` maps the name of each gate to its number of output channels."""
        super().__init__()
        self.inputs, self.hidden, self.padding = inputs, hidden, kernel // 2
        self.activation = {"relu": torch.relu, "tanh": torch.tanh}[activation]
        self.gates = nn.ModuleDict(
            {name: nn.Conv2d(hidden + inputs, size, kernel, padding=kernel // 2) for name, size in gates.items()}
        )

    def forward(
        self,
        inputs: Float[Tensor, "batch time inputs height width"],
        state: Float[Tensor, "batch hidden height width"] | None = None,
        steps: int | None = None,
    ) -> Float[Tensor, "batch steps hidden height width"]:
        """The states after each of `steps` timesteps (None: one per input), from `state` (None: zero).

        If there are fewer inputs than steps, the last input is repeated.
        """
        steps = steps or inputs.shape[1]
        gates = cast(Mapping[str, nn.Conv2d], self.gates)
        weights = {name: gate.weight for name, gate in gates.items()}
        state_weights = {name: weight[:, : self.hidden] for name, weight in weights.items()}
        input_weights = torch.cat([weight[:, self.hidden :] for weight in weights.values()])
        bias = torch.cat([gate.bias for gate in gates.values() if gate.bias is not None])
        from_inputs = F.conv2d(
            rearrange(inputs, "b t c h w -> (b t) c h w"), input_weights, bias, padding=self.padding
        )  # (batch time), channels of all gates, height, width
        from_inputs = rearrange(from_inputs, "(b t) c h w -> t b c h w", b=len(inputs))
        zero = from_inputs.new_zeros(len(inputs), self.hidden, *inputs.shape[-2:])
        state = zero if state is None else state.to(from_inputs.dtype)
        sizes = [gate.out_channels for gate in gates.values()]
        states = []
        for step in range(steps):
            input_terms = dict(zip(gates, from_inputs[min(step, len(from_inputs) - 1)].split(sizes, 1), strict=True))
            state = self.step(state, input_terms, state_weights)
            states.append(state)
        return torch.stack(states, 1)

    def convolve(self, state: Tensor, weight: Tensor) -> Tensor:
        """The state's half of a gate's convolution."""
        return F.conv2d(state, weight, padding=self.padding)

    def step(self, state: Tensor, input_terms: dict[str, Tensor], state_weights: dict[str, Tensor]) -> Tensor:
        """The next state, from the input's half of every gate and the kernels of the state's half."""
        raise NotImplementedError


class ConvGRU(RecurrentUnit):
    """The ConvGRU of DVD-GAN: h' = u h + (1 - u) ρ(W [r h; x]), with r = σ(W_r [h; x]) and u = σ(W_u [h; x])."""

    def __init__(self, inputs: int, hidden: int, *, kernel: int = 3, activation: StateActivation = "relu"):
        gates = {"r": hidden, "u": hidden, "c": hidden}
        super().__init__(inputs, hidden, gates=gates, kernel=kernel, activation=activation)

    def step(self, state: Tensor, input_terms: dict[str, Tensor], state_weights: dict[str, Tensor]) -> Tensor:
        """The next state; see RecurrentUnit.step."""
        from_state = self.convolve(state, torch.cat([state_weights["r"], state_weights["u"]]))
        reset, update = torch.sigmoid(from_state + torch.cat([input_terms["r"], input_terms["u"]], 1)).chunk(2, 1)
        candidate = self.activation(self.convolve(reset * state, state_weights["c"]) + input_terms["c"])
        return torch.lerp(candidate, state, update)


class TSRU(RecurrentUnit):
    """The transforming units of TrIVD-GAN (Luc et al. 2020): the state is warped by a predicted flow, then updated.

    The flow comes from [h; x]. With ĥ the warped state and c the candidate, h' = u ĥ + (1 - u) c, where

        order "c": c from [ĥ; x] and u from [h; x];
        order "p" (parallel): c and u from [h; x];
        order "s" (sequential): c from [ĥ; x] and u from [ĥ; c].
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        order: Literal["c", "p", "s"],
        kernel: int = 3,
        activation: StateActivation = "relu",
    ):
        gates = {"flow": 2, "c": hidden} | ({} if order == "s" else {"u": hidden})
        super().__init__(inputs, hidden, gates=gates, kernel=kernel, activation=activation)
        self.order = order
        self.update = nn.Conv2d(2 * hidden, hidden, kernel, padding=kernel // 2) if order == "s" else None

    def step(self, state: Tensor, input_terms: dict[str, Tensor], state_weights: dict[str, Tensor]) -> Tensor:
        """The next state; see RecurrentUnit.step."""
        warped = warp(state, self.convolve(state, state_weights["flow"]) + input_terms["flow"])
        previous = state if self.order == "p" else warped
        candidate = self.activation(self.convolve(previous, state_weights["c"]) + input_terms["c"])
        if self.update is not None:
            update = torch.sigmoid(self.update(torch.cat([warped, candidate], 1)))
        else:
            update = torch.sigmoid(self.convolve(state, state_weights["u"]) + input_terms["u"])
        return torch.lerp(candidate, warped, update)


def build_recurrent_unit(
    name: RecurrentUnitName, inputs: int, hidden: int, *, activation: StateActivation = "relu"
) -> RecurrentUnit:
    """Builds a recurrent unit by its name in the configuration."""
    if name == "gru":
        return ConvGRU(inputs, hidden, activation=activation)
    order: dict[str, Literal["c", "p", "s"]] = {"tsru-c": "c", "tsru-p": "p", "tsru-s": "s"}
    return TSRU(inputs, hidden, order=order[name], activation=activation)
