"""Training of style generators: style mixing and the path length penalty (Karras et al. 2019, 2020)."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gancore.rng import SampleRandom
from gancore.style import MappingNetwork, Styles
from gancore.style_config import StyleObjectiveConfig

Outputs = Float[Tensor, "batch *output"]

LENGTH_DECAY = 0.99
"""Decay per penalty of the running mean of path lengths."""


def mix_styles(styles: Styles, others: Styles, *, probability: float, rng: SampleRandom) -> Styles:
    """Style mixing: with this probability a sample takes the styles of `others` from a random layer on."""
    batch, layers, _ = styles.shape
    mixed = rng.uniform(batch, 1) < probability
    first = 1 + (rng.uniform(batch, 1) * (layers - 1)).long()
    taken = mixed & (torch.arange(layers, device=styles.device) >= first)
    return torch.where(taken[:, :, None], others, styles)


class PathLength(nn.Module):
    """The path length penalty (|J^T y| - a)^2 of StyleGAN2 (section 3.2), with a the running mean of |J^T y|.

    J is the Jacobian of the output with respect to the styles, and y is N(0, I). It makes steps of the same size in w
    change the output equally, in any direction. The running mean is a buffer, which a resumed run restores.
    """

    mean: Float[Tensor, ""]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(
        self,
        outputs: Outputs,
        styles: Styles,
        *,
        rng: SampleRandom,
        mean_over_processes: Callable[[Tensor], Tensor] = torch.clone,
    ) -> Float[Tensor, ""]:
        """The penalty, a mean over the batch; `outputs` must be computed from `styles`.

        The noise is scaled by 1 / sqrt(number of values of an output), which makes lengths comparable between sizes.
        """
        noise = rng.normal(*outputs.shape) / math.sqrt(outputs[0].numel())
        (slopes,) = torch.autograd.grad((outputs.float() * noise).sum(), styles, create_graph=True)
        lengths = slopes.float().square().sum(2).mean(1).sqrt()
        with torch.no_grad():
            self.mean.lerp_(mean_over_processes(lengths.detach().mean()), 1 - LENGTH_DECAY)
        return (lengths - self.mean).square().mean()


def train_styles(
    mapping: MappingNetwork,
    map_latents: Callable[[Tensor], Styles],
    latents: Float[Tensor, "batch latent"],
    *,
    redraw: Callable[[], Tensor],
    config: StyleObjectiveConfig,
    rng: SampleRandom,
    mean_over_processes: Callable[[Tensor], Tensor] = torch.clone,
) -> Styles:
    """The styles of latents, with style mixing by redrawn latents; also updates the running mean of w."""
    styles = map_latents(latents)
    mapping.track(styles[:, 0].detach(), mean_over_processes=mean_over_processes)
    if not config.mixing_probability:
        return styles
    return mix_styles(styles, map_latents(redraw()), probability=config.mixing_probability, rng=rng)
