"""Gradient checkpointing of a part of a network: its activations are computed again in the backward pass."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ParamSpec, TypeVar

from torch import nn
from torch.utils.checkpoint import checkpoint

from gancore.layers import iter_weight_layers
from vidgan.networks.norms import freeze_batch_statistics

Inputs = ParamSpec("Inputs")
Result = TypeVar("Result")


def run_with_recomputation(
    network: nn.Module, function: Callable[Inputs, Result], *inputs: Inputs.args, **options: Inputs.kwargs
) -> Result:
    """`function(*inputs, **options)`, of which only inputs and result are kept until the gradient is computed.

    The function may use the weights of `network`. Its second run updates no running statistics of batch norms.
    """
    # parametrize.cached() holds a spectrally normalised weight from its first use on. It must be cached before the first
    # run too, or the second run, which finds it cached, would save fewer tensors than the first.
    for layer in iter_weight_layers(network):
        layer.weight  # noqa: B018

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Those of the first and of the second run."""
        return nullcontext(), freeze_batch_statistics(network)

    result: Result = checkpoint(function, *inputs, **options, use_reentrant=False, context_fn=contexts)
    return result
