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
    """Gives a share of the samples the styles of others from a layer on, drawn for each by itself (style mixing)."""
    batch, layers, _ = styles.shape
    mixed = rng.uniform(batch, 1) < probability
    first = 1 + (rng.uniform(batch, 1) * (layers - 1)).long()
    taken = mixed & (torch.arange(layers, device=styles.device) >= first)
    return torch.where(taken[:, :, None], others, styles)


class PathLength(nn.Module):
    """The path length penalty: how far |J^T y| is from its running mean, squared (StyleGAN2, section 3.2).

    J is the Jacobian of the output by the styles and y are N(0, I) numbers, so that an output moves as far for a step
    in any direction of w. The running mean is a buffer, which a resumed run restores.
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
        """The penalty of these outputs of these styles, whose graph must reach from one to the other.

        The noise is scaled by 1 / sqrt(values of an output), which makes lengths comparable between sizes.
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
    """The styles of latents in training, some of them mixed with those of latents drawn anew; their mean follows."""
    styles = map_latents(latents)
    mapping.track(styles[:, 0].detach(), mean_over_processes=mean_over_processes)
    if not config.mixing_probability:
        return styles
    return mix_styles(styles, map_latents(redraw()), probability=config.mixing_probability, rng=rng)
