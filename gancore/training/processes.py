"""What the processes of a training exchange at every step; with a single process nothing is sent."""

from collections.abc import Mapping

import torch
from accelerate import Accelerator
from torch import Tensor, nn


def broadcast_(tensor: Tensor, accelerator: Accelerator) -> None:
    """Overwrites the tensor with that of the main process."""
    if accelerator.num_processes > 1:
        torch.distributed.broadcast(tensor, 0)


def average_gradients(network: nn.Module, accelerator: Accelerator) -> None:
    """Averages the gradients over the processes in one exchange.

    Unlike DistributedDataParallel it allows several passes, second derivatives, recomputation and parameters that
    an update leaves out.
    """
    if accelerator.num_processes == 1:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()]
    flat = accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduction="mean")
    sizes = [gradient.numel() for gradient in gradients]
    for parameter, gradient in zip(network.parameters(), flat.split(sizes), strict=True):
        parameter.grad = gradient.view_as(parameter)


def average_terms(terms: Mapping[str, Tensor], accelerator: Accelerator) -> dict[str, float]:
    """Averages scalars over the processes in one exchange."""
    values = torch.stack([term.float() for term in terms.values()])
    values = accelerator.reduce(values, reduction="mean")
    return dict(zip(terms, values.tolist(), strict=True))


def any_process(flag: bool, accelerator: Accelerator) -> bool:
    """Whether the flag is set in any process, so that all stop at the same step."""
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.reduce(torch.tensor(float(flag), device=accelerator.device)).item())
