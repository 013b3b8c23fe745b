"""Layers that a GAN is made of: residual blocks, norms, attention, spectral norm and initialisation, in 2-D or 3-D."""

import copy
from collections.abc import Callable, Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parametrizations, parametrize

Activation = Callable[[Tensor], Tensor]
WeightLayer = nn.Conv2d | nn.Conv3d | nn.Linear | nn.Embedding


def leaky_relu(x: Tensor) -> Tensor:
    """The leaky rectifier with slope 0.2 below zero."""
    return F.leaky_relu(x, 0.2)


def conv_nd(dims: int, inputs: int, outputs: int, *, kernel: int = 3, bias: bool = True) -> nn.Conv2d | nn.Conv3d:
    """A convolution in 2 or 3 dimensions that keeps the map's size."""
    layer: type[nn.Conv2d | nn.Conv3d] = nn.Conv2d if dims == 2 else nn.Conv3d
    return layer(inputs, outputs, kernel, padding=kernel // 2, bias=bias)


def downsample2x(x: Tensor) -> Tensor:
    """The map (of a 5-D tensor its time too) average-pooled by two; an odd last row is kept, and a side of one."""
    size = [min(2, side) for side in x.shape[2:]]
    return F.avg_pool2d(x, size, ceil_mode=True) if x.ndim == 4 else F.avg_pool3d(x, size, ceil_mode=True)


def upsample2x(x: Tensor) -> Tensor:
    """The map repeated by two, nearest neighbour."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


class ResidualBlock(nn.Module):
    """A pre-activation residual block (BigGAN), in 2 or 3 dimensions, that keeps, doubles or halves the map.

    `norms`, if given, is called with a channel count for each of its two norms, whose forward is ConditionalNorm's.
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
        """`first` leaves out the activation that would cut off the negative half of a network's input."""
        super().__init__()
        self.resample, self.activation, self.skip_first_activation = resample, activation, skip_first_activation
        self.norm1 = make_norm(inputs) if make_norm else None
        self.norm2 = make_norm(outputs) if make_norm else None
        self.conv1 = conv_nd(dims, inputs, outputs, bias=make_norm is None)
        # A norm or a relativistic game cancels a bias here, and Adam would follow the rounding that is left of it.
        self.conv2 = conv_nd(dims, outputs, outputs, bias=False)
        self.shortcut = conv_nd(dims, inputs, outputs, kernel=1, bias=False) if inputs != outputs else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, condition: Tensor | None = None, start: int = 0) -> Tensor:
        """(batch, outputs, *new map) of x (batch, inputs, *map); `condition` and `start` are for the norms."""
        y = x if self.norm1 is None else self.norm1(x, condition, start)
        y = y if self.skip_first_activation else self.activation(y)
        y = self.conv1(upsample2x(y) if self.resample == "up" else y)
        y = self.activation(y if self.norm2 is None else self.norm2(y, condition, start))
        y = self.conv2(self.dropout(y))
        if self.resample == "down":  # pooling and a 1x1 convolution commute: first the one that leaves less to do
            return downsample2x(y) + self.shortcut(downsample2x(x))
        x = self.shortcut(x)
        return y + (upsample2x(x) if self.resample == "up" else x)


class TimestepBatchNorm(nn.Module):
    """Batch norm without scale and offset, with statistics of its own for every timestep (DVD-GAN).

    Frames must not pass information to each other through the statistics, so nothing is averaged over time. Timesteps
    past the last one trained use the last one's running statistics.
    """

    def __init__(self, channels: int, timesteps: int, *, momentum: float = 0.1, epsilon: float = 1e-5):
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(timesteps, channels))
        self.register_buffer("variance", torch.ones(timesteps, channels))

    def forward(
        self, x: Float[Tensor, "frames channels height width"], batch: int, start: int = 0
    ) -> Float[Tensor, "frames channels height width"]:
        """x normalised; its frames are those of `batch` clips, batch first, from timestep `start` on."""
        timesteps = torch.arange(start, start + len(x) // batch, device=x.device).clamp(max=len(self.mean) - 1)
        mean, variance = self.mean[timesteps].flatten(), self.variance[timesteps].flatten()
        by_time = rearrange(x, "(b t) c h w -> b (t c) h w", b=batch)
        y = F.batch_norm(by_time, mean, variance, training=self.training, momentum=self.momentum, eps=self.epsilon)
        if self.training:
            with torch.no_grad():
                self.mean[timesteps], self.variance[timesteps] = (
                    rearrange(new, "(t c) -> t c", t=len(timesteps)).to(self.mean.dtype) for new in (mean, variance)
                )
        return rearrange(y, "b (t c) h w -> (b t) c h w", t=len(timesteps))


class ConditionalNorm(nn.Module):
    """A norm whose gain and offset are linear in a condition such as [latent; class embedding].

    Gain 1 and offset 0 at the start, up to a small part whose strength is learned: so it begins as the plain norm, with
    or without spectral norm on the linear map.
    """

    def __init__(self, channels: int, condition: int, *, timesteps: int | None = None, groups: int = 8):
        """Batch statistics per timestep if `timesteps` is given, else group norm, which knows no batch."""
        super().__init__()
        groups = max(g for g in range(1, groups + 1) if channels % g == 0)
        group_norm = nn.GroupNorm(groups, channels, affine=False)
        self.norm = TimestepBatchNorm(channels, timesteps) if timesteps else group_norm
        self.affine = nn.Linear(condition, 2 * channels, bias=False)
        self.strength = nn.Parameter(torch.full((2,), 0.1))

    def forward(
        self,
        x: Float[Tensor, "frames channels height width"],
        condition: Float[Tensor, "batch size"],
        start: int = 0,
    ) -> Float[Tensor, "frames channels height width"]:
        """x normalised and modulated; its frames are those of `batch` clips from timestep `start` on."""
        batch = len(condition)
        x = self.norm(x, batch, start) if isinstance(self.norm, TimestepBatchNorm) else self.norm(x)
        gain, offset = rearrange(self.affine(condition), "b (two c) -> two b c 1 1", two=2)
        gain, offset = 1 + self.strength[0] * gain, self.strength[1] * offset
        frames = len(x) // batch
        return torch.addcmul(
            repeat(offset, "b c 1 1 -> (b t) c 1 1", t=frames), x, repeat(gain, "b c 1 1 -> (b t) c 1 1", t=frames)
        )


class SelfAttention(nn.Module):
    """Self-attention over all positions of a map in 2 or 3 dimensions, added with a strength learned from 0 (SAGAN)."""

    def __init__(self, channels: int, *, dims: int = 2):
        super().__init__()
        inner = max(channels // 8, 1)
        self.query = conv_nd(dims, channels, inner, kernel=1, bias=False)
        self.key = conv_nd(dims, channels, inner, kernel=1, bias=False)
        self.value = conv_nd(dims, channels, channels // 2, kernel=1, bias=False)
        self.out = conv_nd(dims, channels // 2, channels, kernel=1, bias=False)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Float[Tensor, "batch channels *map"]) -> Float[Tensor, "batch channels *map"]:
        """x plus what its positions gather from each other; keys and values at half the resolution."""
        query, value = self.query(x), self.value(x)
        key, value = downsample2x(self.key(x)), downsample2x(value)
        query, key, value = (rearrange(part, "b c ... -> b (...) c") for part in (query, key, value))
        # Gradient penalties differentiate twice, which only the plain kernel can.
        with sdpa_kernel(SDPBackend.MATH):
            gathered = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.strength * self.out(gathered.mT.reshape(len(x), -1, *x.shape[2:]))


def iter_weight_layers(module: nn.Module) -> Iterator[WeightLayer]:
    """Every layer of the module that holds a weight matrix or kernel."""
    return (layer for layer in module.modules() if isinstance(layer, WeightLayer))


def orthogonal_init_(module: nn.Module) -> nn.Module:
    """The module with orthogonal weights and zero biases in every weight layer (Brock et al., BigGAN)."""
    for layer in iter_weight_layers(module):
        nn.init.orthogonal_(layer.weight)
        bias = getattr(layer, "bias", None)
        if bias is not None:
            nn.init.zeros_(bias)
    return module


def zero_init_residual_(module: nn.Module) -> nn.Module:
    """The module with every residual block starting as its shortcut: the last convolution's weight is zero (R3GAN)."""
    for block in module.modules():
        if isinstance(block, ResidualBlock):
            nn.init.zeros_(block.conv2.weight)
    return module


def spectral_norm_(module: nn.Module, *, epsilon: float = 1e-4) -> nn.Module:
    """The module with the largest singular value of every weight divided out (Miyato et al. 2018)."""
    for layer in list(iter_weight_layers(module)):
        parametrizations.spectral_norm(layer, eps=epsilon)
    return module


def fold_spectral_norm(module: nn.Module) -> nn.Module:
    """A copy of the module, in eval mode, with spectral norm folded into plain weights."""
    module = copy.deepcopy(module).eval()
    for layer in list(iter_weight_layers(module)):
        if parametrize.is_parametrized(layer):
            # Not remove_parametrizations: it edits the layer's class, which copies share with the original.
            weight = layer.weight.detach()
            layer.__class__ = type(layer).__bases__[0]
            del layer.parametrizations
            layer.weight = nn.Parameter(weight)
    return module
