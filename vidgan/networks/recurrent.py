"""Recurrent units over maps: the ConvGRU of DVD-GAN and the transforming units (TSRU) of TriVD-GAN."""

from collections.abc import Mapping
from typing import Literal, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from vidgan.config import RecurrentUnitName, StateActivation


def identity_grid(like: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "1 2 height width"]:
    """The (x, y) position of every pixel centre of a map, in pixels."""
    height, width = like.shape[-2:]
    rows = torch.arange(height, device=like.device, dtype=like.dtype)
    columns = torch.arange(width, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"))[None]


def warp(
    x: Float[Tensor, "batch channels height width"], flow: Float[Tensor, "batch 2 height width"]
) -> Float[Tensor, "batch channels height width"]:
    """x looked up, bilinearly, at each pixel's own position plus `flow` (x, y in pixels); edges are repeated.

    Positions are kept in float32 at least: under mixed precision 60.3 would round to 60.25 or worse.
    """
    height, width = x.shape[-2:]
    flow = flow.to(torch.promote_types(flow.dtype, torch.float32))
    position = identity_grid(flow) + flow
    scale = position.new_tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)])
    grid = rearrange(position, "b two h w -> b h w two") * scale - 1
    moved = F.grid_sample(x.to(grid.dtype), grid, mode="bilinear", padding_mode="border", align_corners=True)
    return moved.to(x.dtype)


class RecurrentUnit(nn.Module):
    """A gated recurrent unit whose gates are convolutions of [state; input], unrolled over time.

    Each gate holds one weight over the concatenation, as published, so that spectral norm sees it whole. It is applied
    in two halves: those of the inputs for all gates and timesteps in one convolution, those of the state step by step.
    """

    def __init__(
        self, inputs: int, hidden: int, *, gates: dict[str, int], kernel: int = 3, activation: StateActivation = "relu"
    ):
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
        """The states after each of `steps` timesteps from `state` (None: zero); one input serves all steps."""
        steps = steps or inputs.shape[1]
        gates = cast(Mapping[str, nn.Conv2d], self.gates)
        weights = {name: gate.weight for name, gate in gates.items()}
        of_state = {name: weight[:, : self.hidden] for name, weight in weights.items()}
        of_inputs = torch.cat([weight[:, self.hidden :] for weight in weights.values()])
        bias = torch.cat([gate.bias for gate in gates.values() if gate.bias is not None])
        driven = F.conv2d(rearrange(inputs, "b t c h w -> (b t) c h w"), of_inputs, bias, padding=self.padding)
        driven = rearrange(driven, "(b t) c h w -> t b c h w", b=len(inputs))
        zero = driven.new_zeros(len(inputs), self.hidden, *inputs.shape[-2:])
        state = zero if state is None else state.to(driven.dtype)
        sizes = [gate.out_channels for gate in gates.values()]
        states = []
        for step in range(steps):
            drive = dict(zip(gates, driven[min(step, len(driven) - 1)].split(sizes, 1), strict=True))
            state = self.step(state, drive, of_state)
            states.append(state)
        return torch.stack(states, 1)

    def convolve(self, state: Tensor, weight: Tensor) -> Tensor:
        """The state's half of a gate."""
        return F.conv2d(state, weight, padding=self.padding)

    def step(self, state: Tensor, drive: dict[str, Tensor], weight: dict[str, Tensor]) -> Tensor:
        """The next state; `drive` holds the input's half of every gate, `weight` the kernels of the state's half."""
        raise NotImplementedError


class ConvGRU(RecurrentUnit):
    """The unit of DVD-GAN: h' = u h + (1 - u) ρ(W [r h; x]), with r and u from [h; x]."""

    def __init__(self, inputs: int, hidden: int, *, kernel: int = 3, activation: StateActivation = "relu"):
        gates = {"r": hidden, "u": hidden, "c": hidden}
        super().__init__(inputs, hidden, gates=gates, kernel=kernel, activation=activation)

    def step(self, state: Tensor, drive: dict[str, Tensor], weight: dict[str, Tensor]) -> Tensor:
        """The next state; see RecurrentUnit.step."""
        both = self.convolve(state, torch.cat([weight["r"], weight["u"]]))
        reset, update = torch.sigmoid(both + torch.cat([drive["r"], drive["u"]], 1)).chunk(2, 1)
        candidate = self.activation(self.convolve(reset * state, weight["c"]) + drive["c"])
        return torch.lerp(candidate, state, update)


class TSRU(RecurrentUnit):
    """The transforming units of TriVD-GAN: the state is moved by a predicted flow before it is mixed.

    The flow comes from [h; x] and starts at zero. With ĥ the moved state, h' = u ĥ + (1 - u) c, where
    order "c": c from [ĥ; x], u from [h; x]; "p", in parallel: c and u from [h; x]; "s", in sequence: c from [ĥ; x],
    u from [ĥ; c].
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
        self.last = nn.Conv2d(2 * hidden, hidden, kernel, padding=kernel // 2) if order == "s" else None

    def step(self, state: Tensor, drive: dict[str, Tensor], weight: dict[str, Tensor]) -> Tensor:
        """The next state; see RecurrentUnit.step."""
        moved = warp(state, self.convolve(state, weight["flow"]) + drive["flow"])
        seen = state if self.order == "p" else moved
        candidate = self.activation(self.convolve(seen, weight["c"]) + drive["c"])
        if self.last is not None:
            update = torch.sigmoid(self.last(torch.cat([moved, candidate], 1)))
        else:
            update = torch.sigmoid(self.convolve(state, weight["u"]) + drive["u"])
        return torch.lerp(candidate, moved, update)


def build_recurrent_unit(
    name: RecurrentUnitName, inputs: int, hidden: int, *, activation: StateActivation = "relu"
) -> RecurrentUnit:
    """The unit of this name."""
    if name == "gru":
        return ConvGRU(inputs, hidden, activation=activation)
    order: dict[str, Literal["c", "p", "s"]] = {"tsru-c": "c", "tsru-p": "p", "tsru-s": "s"}
    return TSRU(inputs, hidden, order=order[name], activation=activation)
