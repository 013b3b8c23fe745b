"""Gradient checkpointing of a part of a network: its activations are recomputed in the backward pass."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from torch import nn
from torch.utils.checkpoint import checkpoint

from gancore.layers import iter_weight_layers
from vidgan.networks.norms import freeze_batch_statistics

Result = TypeVar("Result")


def run_with_recomputation(network: nn.Module, function: Callable[..., Result], *inputs: Any) -> Result:
    """Returns `function(*inputs)`, keeping only inputs and result until the gradient is computed.

    The function may use the weights of `network`. Its second run does not update the batch norms' running statistics.
    """
    # parametrize.cached() keeps a spectrally normalised weight from its first use on. The weights must be cached before
    # the first run: the second run finds them cached, and both runs must save the same number of tensors.
    for layer in iter_weight_layers(network):
        _ = layer.weight

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """The context managers of the first and of the second run."""
        return nullcontext(), freeze_batch_statistics(network)

    result: Result = checkpoint(function, *inputs, use_reentrant=False, context_fn=contexts)
    return result
