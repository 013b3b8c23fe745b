"""The exponential moving average of a network's weights (EMA)."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage(nn.Module):
    """A copy of a network with the moving average of its weights and the latest values of its buffers.

    An update never waits for the device: the number of updates is also kept as a Python integer, and all weights move
    in one call.
    """

    n_averaged: Tensor
    """The number of updates, as saved in the state dict."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.module = copy.deepcopy(network)
        self.count = 0
        """The number of updates."""
        self.register_buffer("n_averaged", torch.tensor(0))
        self.register_load_state_dict_post_hook(_take_saved_count)

    @torch.no_grad()
    def update(self, network: nn.Module, *, decay: float) -> None:
        """average = decay * average + (1 - decay) * network, the decay at most (1 + n) / (10 + n) after n updates.

        A decay of 0 copies the network, as the first update always does.
        """
        averages: list[Tensor] = list(self.module.parameters())
        weights: list[Tensor] = list(network.parameters())
        if self.count and decay:
            torch._foreach_lerp_(averages, weights, 1 - min(decay, (1 + self.count) / (10 + self.count)))
        else:
            torch._foreach_copy_(averages, weights)
        if buffers := list(self.module.buffers()):
            torch._foreach_copy_(buffers, list(network.buffers()))
        self.count += 1
        self.n_averaged += 1


def _take_saved_count(average: MovingAverage, keys: Any) -> None:
    del keys
    average.count = int(average.n_averaged)
