"""Layers for GANs in 2-D or 3-D: residual blocks, self-attention, norms, spectral norm and initialisation."""

import copy
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parametrizations, parametrize

Activation = Callable[[Tensor], Tensor]
WeightLayer = nn.Conv2d | nn.Conv3d | nn.Linear | nn.Embedding


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2 below zero."""
    return F.leaky_relu(x, 0.2)


def conv_nd(dims: int, inputs: int, outputs: int, *, kernel: int = 3, bias: bool = True) -> nn.Conv2d | nn.Conv3d:
    """A 2-D or 3-D convolution, padded to keep the size of the map; `kernel` is odd."""
    layer: type[nn.Conv2d | nn.Conv3d] = nn.Conv2d if dims == 2 else nn.Conv3d
    return layer(inputs, outputs, kernel, padding=kernel // 2, bias=bias)


def build_group_norm(channels: int, *, max_groups: int = 8, affine: bool = True) -> nn.GroupNorm:
    """A group norm with the largest number of groups, up to `max_groups`, that divides the number of channels."""
    return nn.GroupNorm(max(n for n in range(1, max_groups + 1) if channels % n == 0), channels, affine=affine)


def downsample2x(x: Tensor) -> Tensor:
    """(batch, channels, *sides) average-pooled by 2 along each of the two or three sides, rounded up.

    The last row of an odd side is kept unchanged, and a side of 1 stays 1.
    """
    size = [min(2, side) for side in x.shape[2:]]
    return F.avg_pool2d(x, size, ceil_mode=True) if x.ndim == 4 else F.avg_pool3d(x, size, ceil_mode=True)


def upsample2x(x: Tensor) -> Tensor:
    """(batch, channels, *sides) upsampled by 2 along each side, by nearest neighbour."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


class ResidualBlock(nn.Module):
    """A 2-D or 3-D pre-activation residual block that keeps, doubles or halves the map (BigGAN, Brock et al. 2019).

    `make_norm`, if given, makes each of the block's two norms from its number of channels.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        dims: int = 2,
        resample: Literal["keep", "up", "down"] = "keep",
        make_norm: Callable[[int], nn.Module] | None = None,
        activation: Activation = F.relu,
        skip_first_activation: bool = False,
        dropout: float = 0.0,
    ):
        """`skip_first_activation` is for the first block of a network, whose input has negative values to keep."""
        super().__init__()
        self.resample, self.activation, self.skip_first_activation = resample, activation, skip_first_activation
        self.norm1 = make_norm(inputs) if make_norm else None
        self.norm2 = make_norm(outputs) if make_norm else None
        self.conv1 = conv_nd(dims, inputs, outputs, bias=make_norm is None)
        # A later norm or a relativistic loss would cancel a bias here, and Adam would amplify its rounding errors.
        self.conv2 = conv_nd(dims, outputs, outputs, bias=False)
        self.shortcut = conv_nd(dims, inputs, outputs, kernel=1, bias=False) if inputs != outputs else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, *norm_inputs: Any) -> Tensor:
        """Maps x (batch, inputs, *sides) to (batch, outputs, *resampled sides).

        `norm_inputs` are passed on to both norms, after the map: the condition of a conditional norm, for example.
        """
        y = x if self.norm1 is None else self.norm1(x, *norm_inputs)
        y = y if self.skip_first_activation else self.activation(y)
        y = self.conv1(upsample2x(y) if self.resample == "up" else y)
        y = self.activation(y if self.norm2 is None else self.norm2(y, *norm_inputs))
        y = self.conv2(self.dropout(y))
        if self.resample == "down":  # pooling and a 1x1 convolution commute; pooling first is cheaper
            return downsample2x(y) + self.shortcut(downsample2x(x))
        x = self.shortcut(x)
        return y + (upsample2x(x) if self.resample == "up" else x)


class SelfAttention(nn.Module):
    """Self-attention over all positions of a 2-D or 3-D map: x + strength * attention(x) (SAGAN, Zhang et al. 2019).

    The strength is learned and starts at 0. Keys and values have half the resolution of the queries.
    """

    def __init__(self, channels: int, *, dims: int = 2):
        super().__init__()
        inner = max(channels // 8, 1)
        self.query = conv_nd(dims, channels, inner, kernel=1, bias=False)
        self.key = conv_nd(dims, channels, inner, kernel=1, bias=False)
        self.value = conv_nd(dims, channels, channels // 2, kernel=1, bias=False)
        self.out = conv_nd(dims, channels // 2, channels, kernel=1, bias=False)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Float[Tensor, "batch channels *map"]) -> Float[Tensor, "batch channels *map"]:
        """x plus, at each position, the attention-weighted values of all positions."""
        query, value = self.query(x), self.value(x)
        key, value = downsample2x(self.key(x)), downsample2x(value)
        query, key, value = (rearrange(part, "b c ... -> b (...) c") for part in (query, key, value))
        # Gradient penalties need second derivatives, which only the math kernel has.
        with sdpa_kernel(SDPBackend.MATH):
            gathered = F.scaled_dot_product_attention(query, key, value, scale=1.0)  # batch, positions, channels / 2
        return x + self.strength * self.out(gathered.mT.reshape(len(x), -1, *x.shape[2:]))


def iter_weight_layers(module: nn.Module) -> Iterator[WeightLayer]:
    """Iterates over the convolutions, linear layers and embeddings of a module."""
    return (layer for layer in module.modules() if isinstance(layer, WeightLayer))


def orthogonal_init_(module: nn.Module) -> nn.Module:
    """Initialises all weight layers in place with orthogonal weights and zero biases (BigGAN); returns the module."""
    for layer in iter_weight_layers(module):
        nn.init.orthogonal_(layer.weight)
        bias = getattr(layer, "bias", None)
        if bias is not None:
            nn.init.zeros_(bias)
    return module


def zero_init_residual_(module: nn.Module) -> nn.Module:
    """Zeroes the last convolution of every residual block, so it starts as its shortcut; returns the module."""
    for block in module.modules():
        if isinstance(block, ResidualBlock):
            nn.init.zeros_(block.conv2.weight)
    return module


def spectral_norm_(module: nn.Module, *, epsilon: float = 1e-4) -> nn.Module:
    """Applies spectral normalisation to every weight layer, in place (Miyato et al. 2018); returns the module."""
    for layer in list(iter_weight_layers(module)):
        parametrizations.spectral_norm(layer, eps=epsilon)
    return module


def fold_spectral_norm(module: nn.Module) -> nn.Module:
    """A copy of the module in eval mode, with the spectrally normalised weights as plain weights."""
    module = copy.deepcopy(module).eval()
    for layer in list(iter_weight_layers(module)):
        if parametrize.is_parametrized(layer):
            # torch gives a parametrised layer its own class, derived from the plain one. remove_parametrizations would
            # edit that class, which the copy shares with the original; so the copy gets the plain class back instead.
            weight = layer.weight.detach()
            layer.__class__ = type(layer).__bases__[0]
            del layer.parametrizations
            layer.weight = nn.Parameter(weight)
    return module
