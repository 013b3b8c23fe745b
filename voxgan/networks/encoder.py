"""ImageEncoder: from views of an object to the Gaussian posterior of its latent (3D-VAE-GAN, Wu et al. 2016)."""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gancore.features.efficientnet import EfficientNetTrunk
from gancore.layers import ResidualBlock, build_group_norm, leaky_relu
from voxgan.config import VoxelEncoderConfig
from voxgan.rendering.camera import CAMERA_GRID, CameraLikelihood

MAP_SIDE = 4
"""Height and width of the last feature maps."""

Views = Float[Tensor, "batch views channels height width"]
INITIAL_PRECISION = 8.0
"""Added to the precision's pre-activation, so that training starts with more signal than noise in the latent."""
PAPER_LAYERS = [(64, 11, 4, 5), (128, 5, 2, 2), (256, 5, 2, 2), (512, 5, 2, 2), (400, 8, 1, 0)]
"""Channels, kernel, stride and padding of the paper's convolutions, from 256 x 256 pixels to 1 x 1."""


class Posterior(NamedTuple):
    """The posterior N(mean, exp(log_variance)) of the latent of each object."""

    mean: Float[Tensor, "batch latent"]
    log_variance: Float[Tensor, "batch latent"]
    cameras: Float[Tensor, "batch views cameras"] | None = None
    """Logits over CAMERA_GRID of the camera of each picture; None for an encoder without cameras."""

    def camera_log_likelihoods(self, views: int) -> tuple[CameraLikelihood, ...]:
        """The log-probability of each camera of CAMERA_GRID, for each view of the first object."""
        if self.cameras is None:
            return (None,) * views
        return tuple(self.cameras[0].detach().float().log_softmax(1).cpu().numpy())

    def sample(self, noise: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch latent"]:
        """One latent of each object from the posterior, given noise from N(0, I)."""
        return self.mean + (self.log_variance / 2).exp() * noise


def product_of_experts(
    evidence: Float[Tensor, "batch views latent"],
    precision: Float[Tensor, "batch views latent"],
    *,
    view_mask: Bool[Tensor, "batch views"] | None = None,
) -> Posterior:
    """The normalised product of the prior N(0, I) and a Gaussian factor for each view (Wu and Goodman 2018, equation
    3).

    A factor is given by its precision and its evidence, which is precision * mean:

        mean = sum_v evidence_v / (1 + sum_v precision_v),    variance = 1 / (1 + sum_v precision_v)

    The order of views does not matter, and every view adds precision. Views whose mask is False are ignored.
    """
    if view_mask is not None:
        evidence, precision = evidence * view_mask[..., None], precision * view_mask[..., None]
    total = 1 + precision.sum(1)
    return Posterior(evidence.sum(1) / total, -total.log())


class PaperTrunk(nn.Sequential):
    """The paper's five convolutions, with batch norm and ReLU, from 256 x 256 pixels to 400 features."""

    out_features = PAPER_LAYERS[-1][0]

    def __init__(self, inputs: int):
        layers: list[nn.Module] = []
        for width, kernel, stride, padding in PAPER_LAYERS:
            convolution = nn.Conv2d(inputs, width, kernel, stride=stride, padding=padding, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        super().__init__(*layers, nn.Flatten())


class SmallTrunk(nn.Module):
    """Residual blocks with group norm that reduce the image to 4 x 4 positions."""

    def __init__(self, config: VoxelEncoderConfig):
        super().__init__()
        halvings = (config.size // MAP_SIDE).bit_length() - 1
        widths = [min(config.base_channels * 2**level, config.max_channels) for level in range(halvings)]
        self.first = nn.Conv2d(config.in_channels, widths[0], 4, stride=2, padding=1)
        blocks = (
            ResidualBlock(before, after, resample="down", make_norm=build_group_norm, activation=leaky_relu)
            for before, after in pairwise(widths)
        )
        self.blocks = nn.Sequential(*blocks)
        self.norm = build_group_norm(widths[-1])
        self.out_features = widths[-1] * MAP_SIDE**2

    def forward(self, x: Float[Tensor, "images channels height width"]) -> Float[Tensor, "images features"]:
        """Features of each image."""
        return leaky_relu(self.norm(self.blocks(self.first(x)))).flatten(1)


class PretrainedFeatures(nn.Module):
    """The middle map of a frozen EfficientNet-Lite0, averaged to 4 x 4 positions, after layer norm."""

    out_features = EfficientNetTrunk.channels * MAP_SIDE**2

    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNetTrunk()
        self.norm = nn.LayerNorm(self.out_features)

    def forward(self, x: Float[Tensor, "images channels height width"]) -> Float[Tensor, "images features"]:
        """Features of the RGB channels of each image."""
        return self.norm(F.adaptive_avg_pool2d(self.network(x[:, :3]), MAP_SIDE).flatten(1))


class ImageEncoder(nn.Module):
    """Computes a Gaussian factor of the latent from each view, and the posterior from the factors of all views."""

    def __init__(self, config: VoxelEncoderConfig, latent: int):
        super().__init__()
        assert config.kind != "none"
        self.config = config
        self.trunk = PaperTrunk(config.in_channels) if config.kind == "paper" else SmallTrunk(config)
        self.pretrained = PretrainedFeatures() if config.pretrained else None
        more = self.pretrained.out_features if self.pretrained else 0
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.trunk.out_features + more, 2 * latent)
        self.camera_head = nn.Linear(self.trunk.out_features + more, len(CAMERA_GRID)) if config.cameras else None

    def forward(self, views: Views, view_mask: Bool[Tensor, "batch views"] | None = None) -> Posterior:
        """The posterior given all views, or those whose mask is True.

        Colours are in [-1, 1], and so is the fourth channel, the object's mask, if the encoder has one.
        """
        images = rearrange(views, "b v c h w -> (b v) c h w")
        features = self.trunk(images)  # (b v) features
        if self.pretrained is not None:
            features = torch.cat([features, self.pretrained(images)], 1)
        features = rearrange(self.dropout(features), "(b v) f -> b v f", v=views.shape[1])
        factors = self.head(features)
        mean, precision = factors.chunk(2, 2)  # b v latent
        precision = F.softplus(precision + INITIAL_PRECISION)
        posterior = product_of_experts(mean * precision, precision, view_mask=view_mask)
        return posterior if self.camera_head is None else posterior._replace(cameras=self.camera_head(features))
