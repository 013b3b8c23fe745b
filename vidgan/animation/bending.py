"""Random smooth deformations, affine plus thin-plate spline, of frames and their keypoints (equivariance loss)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gancore.rng import SampleRandom
from vidgan.networks.animator import warp_by
from vidgan.networks.keypoints import multiply, pixel_centres

SIDE = 5
"""Control points of the thin plate along each side of a frame."""
TINY = 1e-6
"""Added to squared distances, whose logarithm is taken."""


@dataclass(frozen=True)
class Bending:
    """T(z) = A z + b + sum over control points c of w_c u(|z - c|), u(r) = r^2 log r^2, of a batch of frames.

    Positions are (x, y) in halves of a frame's sides, as those of keypoints.
    """

    affine: Float[Tensor, "batch 2 3"]
    """[A, b]."""
    weights: Float[Tensor, "batch control 2"]

    def apply(self, points: Float[Tensor, "batch many 2"]) -> Float[Tensor, "batch many 2"]:
        """T at these points."""
        apart = self._apart(points)
        squared = apart.square().sum(-1)
        plate = ((squared * (squared + TINY).log())[..., None] * self.weights[:, None]).sum(2)
        linear = multiply(self.affine[:, None, :, :2], points[..., None])[..., 0]
        return linear + self.affine[:, None, :, 2] + plate

    def jacobian(self, points: Float[Tensor, "batch many 2"]) -> Float[Tensor, "batch many 2 2"]:
        """The derivative of T at these points."""
        apart = self._apart(points)
        squared = apart.square().sum(-1)
        slope = (squared + TINY).log() + squared / (squared + TINY)  # of u, by the squared distance
        along = 2 * slope[..., None] * apart
        return self.affine[:, None, :, :2] + (self.weights[:, None, :, :, None] * along[..., None, :]).sum(2)

    def bend(self, frames: Float[Tensor, "batch channels height width"]) -> Tensor:
        """Frames whose pixel at z shows what was at T(z)."""
        height, width = frames.shape[-2:]
        centres = pixel_centres(frames).flatten(0, 1).expand(len(frames), -1, -1)
        displacement = (self.apply(centres) - centres).mT.unflatten(2, (height, width))
        return warp_by(frames, displacement)

    def _apart(self, points: Float[Tensor, "batch many 2"]) -> Float[Tensor, "batch many control 2"]:
        return points[:, :, None] - pixel_centres(points.new_empty(1, 1, SIDE, SIDE)).flatten(0, 1)


def draw_bending(random: SampleRandom, batch: int, *, affine_spread: float, bend_spread: float) -> Bending:
    """Bendings of `batch` frames about the identity, with these standard deviations."""
    affine, weights = random.normal(batch, 2, 3), random.normal(batch, SIDE**2, 2)
    return Bending(torch.eye(2, 3, device=affine.device) + affine_spread * affine, bend_spread * weights)
