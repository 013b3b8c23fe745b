"""Unsupervised keypoints (FOMM): their positions in a frame, and the local affine maps around them.

Positions are (x, y) in halves of a frame's sides: -1 at its left and upper edge, 1 at the right and lower one, so that
the centre of pixel i of n lies at (2 i + 1) / n - 1, in maps of any resolution.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gancore.layers import ResidualBlock, build_group_norm, conv_nd, downsample2x, leaky_relu, upsample2x

Positions = Float[Tensor, "batch keypoint 2"]
Jacobians = Float[Tensor, "batch keypoint 2 2"]

TEMPERATURE = 0.1
"""Softmax temperature of a keypoint's map; low, so that its mean is not biased to the middle of the frame."""
LEAST_DETERMINANT = 0.05
"""Determinants are clamped to at least this magnitude before a matrix is inverted."""


class Keypoints(NamedTuple):
    """The keypoints of a batch of frames."""

    position: Positions
    """(x, y) in halves of the frame's sides."""
    jacobian: Jacobians
    """Jacobian, at each keypoint, of the map from a reference frame, common to all frames, to this frame."""


class Hourglass(nn.Module):
    """An hourglass network with skip connections (Newell et al. 2016), one level for each of `widths`."""

    def __init__(self, inputs: int, widths: tuple[int, ...]):
        super().__init__()
        self.stem = conv_nd(2, inputs, widths[0])
        self.downs = nn.ModuleList(conv_nd(2, *pair, bias=False) for pair in pairwise(widths))
        self.down_norms = nn.ModuleList(build_group_norm(width) for width in widths[1:])
        self.middle = ResidualBlock(widths[-1], widths[-1], make_norm=build_group_norm, activation=leaky_relu)
        self.ups = nn.ModuleList(conv_nd(2, low + high, high, bias=False) for high, low in pairwise(widths))
        self.up_norms = nn.ModuleList(build_group_norm(width) for width in widths[:-1])

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch features h w"]:
        """Features with widths[0] channels, as large as the input, which may have any size."""
        x = leaky_relu(self.stem(x))
        seen = []
        for down, norm in zip(self.downs, self.down_norms, strict=True):
            seen.append(x)
            x = leaky_relu(norm(down(downsample2x(x))))
        x = self.middle(x)
        for up, norm in reversed(list(zip(self.ups, self.up_norms, strict=True))):
            fine = seen.pop()
            x = torch.cat([upsample2x(x)[..., : fine.shape[-2], : fine.shape[-1]], fine], 1)
            x = leaky_relu(norm(up(x)))
        return x


def pixel_centres(like: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "h w 2"]:
    """The (x, y) position of every pixel centre of a map, in float32; see the top of this module."""
    rows, columns = ((torch.arange(side, device=like.device) * 2 + 1) / side - 1 for side in like.shape[-2:])
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)


def soft_argmax(
    logits: Float[Tensor, "batch keypoint h w"],
) -> tuple[Positions, Float[Tensor, "batch keypoint h w"]]:
    """Returns the mean position of each keypoint, and its map: the softmax of logits / TEMPERATURE over all pixels."""
    share = (logits.float() / TEMPERATURE).flatten(2).softmax(2).unflatten(2, logits.shape[2:])
    return average(pixel_centres(logits)[None, None], share), share


def average(
    values: Float[Tensor, "#batch #keypoint h w numbers"], share: Float[Tensor, "batch keypoint h w"]
) -> Float[Tensor, "batch keypoint numbers"]:
    """Means weighted by maps that sum to 1, without a matrix product, which mixed precision would round."""
    return (values * share[..., None]).sum((2, 3))


def multiply(
    first: Float[Tensor, "*#shape 2 2"], second: Float[Tensor, "*#shape 2 columns"]
) -> Float[Tensor, "*#shape 2 columns"]:
    """The product of 2x2 matrices with others, in full precision even under mixed precision."""
    return (first[..., None] * second[..., None, :, :]).sum(-2)


def invert(matrix: Float[Tensor, "*shape 2 2"]) -> Float[Tensor, "*shape 2 2"]:
    """The inverse of 2x2 matrices in closed form, with determinants clamped to a magnitude of LEAST_DETERMINANT."""
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    determinant = a * d - b * c
    held = torch.where(determinant < 0, -1.0, 1.0) * determinant.abs().clamp(min=LEAST_DETERMINANT)
    adjugate = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    return adjugate / held[..., None, None]


class KeypointDetector(nn.Module):
    """Finds keypoints in frames after space-to-depth: the mean of a map each, and Jacobians averaged by the maps.

    From the First Order Motion Model (Siarohin et al. 2019).
    """

    def __init__(self, inputs: int, widths: tuple[int, ...], *, keypoints: int, affine: bool):
        """Jacobians start as the identity; without `affine` they remain it."""
        super().__init__()
        self.hourglass = Hourglass(inputs, widths)
        self.maps = conv_nd(2, widths[0], keypoints, bias=False)  # a bias would be the same at every place
        self.jacobians = conv_nd(2, widths[0], 4 * keypoints, kernel=1) if affine else None

    def begin_as_identity_(self) -> None:
        """Makes every Jacobian the identity."""
        if self.jacobians is not None:
            nn.init.zeros_(self.jacobians.weight)
            assert self.jacobians.bias is not None
            with torch.no_grad():
                self.jacobians.bias.copy_(torch.eye(2).flatten().repeat(len(self.jacobians.bias) // 4))

    def forward(self, folded: Float[Tensor, "batch inputs h w"]) -> Keypoints:
        """The keypoints of every frame, in float32."""
        features = self.hourglass(folded)
        position, share = soft_argmax(self.maps(features))
        if self.jacobians is None:
            jacobian = torch.eye(2, device=position.device).expand(*position.shape[:2], 2, 2)
        else:
            entries = self.jacobians(features).float().unflatten(1, (position.shape[1], 4))
            jacobian = average(entries.movedim(2, -1), share).unflatten(2, (2, 2))
        return Keypoints(position, jacobian)


def draw_gaussians(
    position: Positions, like: Float[Tensor, "batch channels h w"], *, variance: float
) -> Float[Tensor, "batch keypoint h w"]:
    """A Gaussian of height 1 around each keypoint, in a map as large as `like`.

    The variance is in squared halves of the frame's sides.
    """
    apart = pixel_centres(like) - position[:, :, None, None]
    return torch.exp(apart.square().sum(-1) / (-2 * variance))
