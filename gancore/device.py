"""The device that a model computes on."""

import torch


def select_device(*, cpu: bool = False) -> torch.device:
    """The GPU if there is one, unless the CPU is asked for."""
    return torch.device("cuda" if torch.cuda.is_available() and not cpu else "cpu")
