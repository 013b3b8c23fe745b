"""Layers of style generators in 2-D and 3-D: mapping network, modulated convolutions, synthesis (StyleGAN2).

Weights are drawn from N(0, 1) and scaled at run time, so that Adam updates all at the same relative speed (equalised
learning rate, Karras et al. 2018).
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import repeat
from jaxtyping import Float
from torch import Tensor, nn

from gancore.growing import Growth
from gancore.layers import leaky_relu
from gancore.style_config import StyleConfig

EPSILON = 1e-8
MEAN_DECAY = 0.998
"""Decay per update of the running mean of w."""

Map = Float[Tensor, "batch channels *sides"]
Styles = Float[Tensor, "batch layers style"]
"""A style vector for every convolution of a synthesis network."""


class EqualisedLinear(nn.Module):
    """A linear layer with weights scaled by 1 / sqrt(inputs), and a learning rate `lr` times that of other layers."""

    def __init__(self, inputs: int, outputs: int, *, bias: float | None = 0.0, lr: float = 1.0):
        """`bias` is the initial value of the biases; None for a layer without."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr)
        self.bias = None if bias is None else nn.Parameter(torch.full((outputs,), bias / lr))
        self.lr = lr

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """The linear map of the last axis."""
        weight = self.weight * (self.lr / math.sqrt(self.weight.shape[1]))
        return F.linear(x, weight, None if self.bias is None else self.bias * self.lr)


def normalise(x: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch size"]:
    """The vectors of the last axis, scaled to a mean square of 1."""
    return x * (x.square().mean(-1, keepdim=True) + EPSILON).rsqrt()


class MappingNetwork(nn.Module):
    """Maps a latent z, and the embedding of a class if any, to a style vector w (Karras et al. 2019).

    Both inputs are normalised. The running mean of w, which truncation uses, is a buffer.
    """

    mean: Float[Tensor, " style"]
    updates: Tensor

    def __init__(self, config: StyleConfig, latent: int, *, condition: int = 0):
        super().__init__()
        inputs = latent + (config.width if condition else 0)
        self.embed = EqualisedLinear(condition, config.width) if condition else None
        self.layers = nn.ModuleList(
            EqualisedLinear(before, config.width, lr=config.mapping_lr)
            for before in [inputs, *[config.width] * (config.mapping_layers - 1)]
        )
        self.register_buffer("mean", torch.zeros(config.width))
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    def forward(
        self,
        latent: Float[Tensor, "batch latent"],
        condition: Float[Tensor, "batch condition"] | None = None,
        *,
        truncation: float | None = None,
    ) -> Float[Tensor, "batch style"]:
        """w; with a truncation, mean + truncation * (w - mean). Raises ValueError if the truncation is negative."""
        if truncation is not None and not truncation >= 0:
            raise ValueError(f"truncation must be at least 0, got {truncation}")
        x = normalise(latent)
        if self.embed is not None:
            assert condition is not None
            x = torch.cat([x, normalise(self.embed(condition))], 1)
        for layer in self.layers:
            x = leaky_relu(layer(x)) * math.sqrt(2)
        return x if truncation is None else torch.lerp(self.mean.to(x), x, truncation)

    @torch.no_grad()
    def track(
        self, w: Float[Tensor, "batch style"], *, mean_over_processes: Callable[[Tensor], Tensor] = torch.clone
    ) -> None:
        """Updates the running mean of w by a batch; it starts as the plain mean of the first batches."""
        self.updates += 1
        weight = (1 / self.updates).clamp(min=1 - MEAN_DECAY)
        self.mean.lerp_(mean_over_processes(w.float().mean(0)), weight)


class ModulatedConv(nn.Module):
    """A 2-D or 3-D convolution with weights modulated by a style, then demodulated (StyleGAN2, equations 1 to 3).

    With input channel i, output channel j, tap k and the style's scale s_i of each input channel,

        w'_ijk = s_i w_ijk        w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + eps)

    The scales are applied to the input and the output channels instead of the weights, which is equivalent, so all
    samples share one convolution. An even kernel means a transposed convolution that doubles the map; each of its
    output positions sees 1 / 2^dims of the taps, and so the sum is divided by 2^dims.
    """

    def __init__(
        self,
        dims: int,
        inputs: int,
        outputs: int,
        *,
        style: int,
        kernel: int = 3,
        demodulate: bool = True,
        activate: bool = False,
    ):
        """`activate` appends a leaky ReLU with a gain that preserves the variance."""
        super().__init__()
        self.dims, self.demodulate, self.activate, self.doubles = dims, demodulate, activate, kernel % 2 == 0
        self.affine = EqualisedLinear(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, *[kernel] * dims))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.phases = 2**dims if self.doubles else 1
        self.padding = kernel // 2 - self.doubles
        self.gain = math.sqrt(self.phases / (inputs * kernel**dims))

    def forward(self, x: Map, style: Float[Tensor, "batch style"]) -> Float[Tensor, "batch outputs *new_sides"]:
        """The convolution of each sample's map by its own style, and a bias."""
        scale, weight = self.affine(style), self.weight * self.gain
        y = self._convolve(x * _spread(scale, x), weight)
        gain = math.sqrt(2) if self.activate else 1.0  # commutes with the ReLU; applied before it to save a pass
        factor = torch.full_like(self.bias[None], gain)
        if self.demodulate:
            with torch.autocast(x.device.type, enabled=False):  # sums of squares overflow half precision
                power = scale.to(weight.dtype).square() @ (weight.flatten(2).square().sum(2).T / self.phases)
                factor = gain * (power + EPSILON).rsqrt()
        y = torch.addcmul(_spread(gain * self.bias[None], y), y, _spread(factor, y))
        return leaky_relu(y) if self.activate else y

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.doubles:
            transposed = F.conv_transpose2d if self.dims == 2 else F.conv_transpose3d
            return transposed(x, weight.transpose(0, 1), stride=2, padding=self.padding)
        if self.dims == 2:
            return F.conv2d(x, weight, padding=self.padding)
        # without a bias, the ONNX exporter of torch 2.14 writes one of the wrong size for 3-D convolutions
        return F.conv3d(x, weight, torch.zeros_like(self.bias), padding=self.padding)


def _spread(scale: Float[Tensor, "_ channels"], x: Tensor) -> Tensor:
    """Per-channel numbers with the map's dtype, shaped to broadcast over it."""
    return scale.to(x.dtype).view(*scale.shape, *[1] * (x.ndim - 2))


class StyleSynthesis(nn.Module):
    """Synthesis network: a learned smallest map, then levels that double it, each adding to the output.

    In 2-D it is the skip generator of StyleGAN2: bilinear upsampling before convolutions with kernel 3, outputs with
    kernel 1, and no noise inputs, so styles alone determine the output. In 3-D a level doubles its map by a transposed
    convolution with kernel 4, which takes an eighth of the work. So do the outputs, whose sides are twice the map's.
    """

    def __init__(
        self,
        dims: int,
        widths: Sequence[int],
        outputs: int,
        *,
        config: StyleConfig,
        start: Sequence[int],
        inputs: int = 0,
    ):
        """Builds the layers.

        Args:
            dims: 2 or 3.
            widths: Channels of each level's map, smallest map first.
            outputs: Channels of the output.
            config: Sizes of styles and levels.
            start: Sides of the smallest map.
            inputs: Size of a vector that is joined to the smallest map at every position; 0 for none.
        """
        super().__init__()
        self.dims, self.levels = dims, len(widths) - 1
        self.start = nn.Parameter(torch.randn(widths[0], *start))
        self.growth = Growth()
        kernel = 3 if dims == 2 else 4
        layers = [[(widths[0] + inputs, widths[0], 3)]]
        layers[0] += [(widths[0], widths[0], 3)] * (config.layers_per_level - 2)
        for before, after in pairwise(widths):
            layers.append([(before, after, kernel), *[(after, after, 3)] * (config.layers_per_level - 1)])
        self.layers = nn.ModuleList(
            nn.ModuleList(ModulatedConv(dims, a, b, style=config.width, kernel=k, activate=True) for a, b, k in level)
            for level in layers
        )
        self.outputs = nn.ModuleList(
            ModulatedConv(dims, width, outputs, style=config.width, kernel=1 if dims == 2 else 4, demodulate=False)
            for width in (widths if config.skip_outputs else widths[-1:])
        )
        self.num_styles = sum(map(len, layers)) + 1
        """Number of styles: one per convolution, and one for the last output; other outputs share the next level's."""

    def forward(
        self, styles: Styles, inputs: Float[Tensor, "batch inputs"] | None = None
    ) -> Float[Tensor, "batch outputs *sides"]:
        """The output of each sample; the finest levels that `growth` hides are not computed, but upsampled."""
        x: Tensor = repeat(self.start, "... -> b ...", b=len(styles))
        if inputs is not None:
            x = torch.cat([x, inputs.view(*inputs.shape, *[1] * self.dims).expand(-1, -1, *x.shape[2:])], 1)
        hidden, result = self.growth.whole, None
        place = 0
        for level, layers in enumerate(self.layers[: len(self.layers) - hidden]):
            assert isinstance(layers, nn.ModuleList)
            x = self._enlarge(x) if level and self.dims == 2 else x
            for layer in layers:
                x = layer(x, styles[:, place])
                place += 1
            if len(self.outputs) == 1 and level < self.levels:
                continue
            added = self.outputs[level if len(self.outputs) > 1 else 0](x, styles[:, place])
            if level == self.levels - hidden:
                added = added * self.growth.share().to(added.dtype)
            result = added if result is None else self._enlarge(result) + added
        assert result is not None
        for _ in range(hidden):
            result = self._enlarge(result)
        return result

    def _enlarge(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear" if self.dims == 2 else "trilinear", align_corners=False)


def repeat_styles(w: Float[Tensor, "batch style"], layers: int) -> Styles:
    """The same style for every layer."""
    return w[:, None].expand(-1, layers, -1)
