"""ImageEncoder: views of an object in, the Gaussian posterior of its latent out (3D-VAE-GAN, Wu et al. 2016)."""

from itertools import pairwise
from typing import NamedTuple

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gancore.layers import ResidualBlock, leaky_relu
from voxgan.config import VoxelEncoderConfig

Views = Float[Tensor, "batch views channels height width"]
INITIAL_PRECISION = 8.0
"""Precision of a view's factor at the start: with much more noise than signal the generator would learn nothing."""
PAPER_LAYERS = [(64, 11, 4, 5), (128, 5, 2, 2), (256, 5, 2, 2), (512, 5, 2, 2), (400, 8, 1, 0)]
"""Width, kernel, stride and padding of the paper's convolutions, which take 256 pixels to one."""


class Posterior(NamedTuple):
    """N(mean, exp(log_variance)) of each object's latent."""

    mean: Float[Tensor, "batch latent"]
    log_variance: Float[Tensor, "batch latent"]

    def sample(self, noise: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch latent"]:
        """Draws from the posterior, given N(0, 1) noise."""
        return self.mean + (self.log_variance / 2).exp() * noise


def product_of_experts(
    evidence: Float[Tensor, "batch views latent"],
    precision: Float[Tensor, "batch views latent"],
    *,
    seen: Bool[Tensor, "batch views"] | None = None,
) -> Posterior:
    """The product of the prior N(0, I) and one Gaussian factor a view, given by precision and precision * mean.

    Each view adds precision, in any order, and one view alone gives the single-view posterior (Wu and Goodman 2018,
    equation 3). Views that are not `seen` count for nothing.
    """
    if seen is not None:
        evidence, precision = evidence * seen[..., None], precision * seen[..., None]
    total = 1 + precision.sum(1)
    return Posterior(evidence.sum(1) / total, -total.log())


class PaperTrunk(nn.Sequential):
    """The five convolutions of the paper, with batch norm and rectifiers, down to 400 features."""

    out_features = PAPER_LAYERS[-1][0]

    def __init__(self, inputs: int):
        layers: list[nn.Module] = []
        for width, kernel, stride, padding in PAPER_LAYERS:
            convolution = nn.Conv2d(inputs, width, kernel, stride=stride, padding=padding, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        super().__init__(*layers, nn.Flatten())


class UnconditionalGroupNorm(nn.GroupNorm):
    """Group norm for residual blocks, whose norms may be told a condition; this one has none."""

    def __init__(self, channels: int):
        super().__init__(max(groups for groups in range(1, 9) if channels % groups == 0), channels)

    def forward(self, x: Tensor, condition: None = None, start: int = 0) -> Tensor:  # noqa: ARG002
        return super().forward(x)


class SmallTrunk(nn.Module):
    """Residual blocks with group norm that halve the picture down to 4 pixels."""

    def __init__(self, config: VoxelEncoderConfig):
        super().__init__()
        halvings = (config.size // 4).bit_length() - 1
        widths = [min(config.base_channels * 2**level, config.max_channels) for level in range(halvings)]
        self.first = nn.Conv2d(config.in_channels, widths[0], 4, stride=2, padding=1)
        blocks = (
            ResidualBlock(a, b, resample="down", make_norm=UnconditionalGroupNorm, activation=leaky_relu)
            for a, b in pairwise(widths)
        )
        self.blocks = nn.Sequential(*blocks)
        self.norm = UnconditionalGroupNorm(widths[-1])
        self.out_features = widths[-1] * 16

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(self.norm(self.blocks(self.first(x)))).flatten(1)


class ImageEncoder(nn.Module):
    """From each view a Gaussian factor of the latent, and from all of them the posterior."""

    def __init__(self, config: VoxelEncoderConfig, latent: int):
        super().__init__()
        assert config.kind != "none"
        self.config = config
        self.trunk = PaperTrunk(config.in_channels) if config.kind == "paper" else SmallTrunk(config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.trunk.out_features, 2 * latent)

    def forward(self, views: Views, seen: Bool[Tensor, "batch views"] | None = None) -> Posterior:
        """The posterior given all views, or those that are `seen`; pictures in [-1, 1], the mask as fourth channel."""
        count = views.shape[1]
        features = self.trunk(rearrange(views, "b v c h w -> (b v) c h w"))
        numbers = rearrange(self.head(self.dropout(features)), "(b v) z -> b v z", v=count)
        mean, precision = numbers.chunk(2, 2)
        precision = F.softplus(precision + INITIAL_PRECISION)
        return product_of_experts(mean * precision, precision, seen=seen)
