"""The players of the game, generator and discriminator: their networks, placed on the device, and optimizers."""

from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from gancore.config import TrainConfig
from gancore.training.processes import broadcast_


@dataclass(frozen=True)
class Player:
    """A network and its optimizer."""

    number: int
    """Part of the seed, so that the two players draw different random numbers."""
    network: nn.Module
    optimizer: torch.optim.Optimizer
    lr: float
    """Peak learning rate."""


def create_player(number: int, network: nn.Module, lr: float, config: TrainConfig) -> Player:
    """A player that Adam updates, at this peak learning rate."""
    return Player(number, network, torch.optim.Adam(network.parameters(), lr, betas=(config.beta1, config.beta2)), lr)


def place_network(network: Any, config: TrainConfig, accelerator: Accelerator) -> Any:
    """Moves a network to the device, in train mode and with the main process's weights; compiles it if configured."""
    network = network.to(accelerator.device).train()
    for tensor in (*network.parameters(), *network.buffers()):
        broadcast_(tensor.data, accelerator)
    if config.channels_last:
        formats = {4: torch.channels_last, 5: torch.channels_last_3d}
        for parameter in network.parameters():
            if parameter.ndim in formats:
                parameter.data = parameter.data.contiguous(memory_format=formats[parameter.ndim])
    if config.compile:
        network.compile()
    return network
