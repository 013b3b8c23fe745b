"""Layers for published weights: convolutions with TensorFlow's SAME padding, and batch norm folded into kernels."""

from itertools import chain

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Maps = Float[Tensor, "_batch _channels *_space"]
BATCH_NORM_EPSILON = 1e-3
"""Epsilon of batch norm in networks that were trained with TensorFlow."""


class SamePaddedConvolution(nn.Module):
    """A 2-D or 3-D convolution with TensorFlow's SAME padding, its output clamped to `bounds` (a ReLU by default).

    Kernel and offset are buffers: they are saved with a model that has it, and no training moves them.
    """

    kernel: Tensor
    offset: Tensor

    def __init__(
        self,
        kernel: Float[Tensor, "out in *size"],
        offset: Float[Tensor, " out"],
        *,
        stride: int = 1,
        groups: int = 1,
        bounds: tuple[float, float] | None = (0.0, float("inf")),
    ):
        super().__init__()
        self.register_buffer("kernel", kernel)
        self.register_buffer("offset", offset)
        self.stride = (stride,) * (kernel.ndim - 2)
        self.groups, self.bounds = groups, bounds

    def forward(self, maps: Maps) -> Maps:
        convolve = F.conv2d if len(self.stride) == 2 else F.conv3d
        padded = pad_same(maps, tuple(self.kernel.shape[2:]), self.stride)
        out = convolve(padded, self.kernel, self.offset, self.stride, groups=self.groups)
        return out.clamp_(*self.bounds) if self.bounds else out


def fold_batch_norm(
    kernel: Float[Tensor, "out in *size"],
    *,
    mean: Float[Tensor, " out"],
    variance: Float[Tensor, " out"],
    offset: Float[Tensor, " out"],
    gain: Float[Tensor, " out"] | float = 1.0,
) -> tuple[Float[Tensor, "out in *size"], Float[Tensor, " out"]]:
    """Folds a batch norm into the bias-free convolution before it; returns the fused kernel and bias."""
    scale = gain * (variance.double() + BATCH_NORM_EPSILON).rsqrt()
    scaled = kernel.double() * scale.reshape(-1, *[1] * (kernel.ndim - 1))
    return scaled.float(), (offset - mean * scale).float()


def pad_same(maps: Maps, kernel: tuple[int, ...], stride: tuple[int, ...], *, fill: float = 0.0) -> Maps:
    """Pads maps as TensorFlow's SAME does; of an odd number of pixels the last side gets one more."""
    pads = []
    for size, width, step in zip(maps.shape[2:], kernel, stride, strict=True):
        total = max((-(-size // step) - 1) * step + width - size, 0)
        pads.append((total // 2, total - total // 2))
    return F.pad(maps, list(chain(*reversed(pads))), value=fill) if any(map(any, pads)) else maps
