"""Differentiable augmentation of the objects that a discriminator sees: one change a sample, real and made alike."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gancore.data import SampleRandom

Volumes = Float[Tensor, "batch x y z"]
Transforms = Float[Tensor, "batch 3 4"]


@dataclass(frozen=True, kw_only=True)
class VoxelAugment:
    """Differentiable augmentation of all the discriminator sees, after DiffAugment and ADA (both 2020)."""

    probability: float = 0.0
    """Chance that an object is stretched and moved; 0 changes nothing and costs nothing."""

    stretch: float = 0.2
    """Largest change of its length along each axis, as the logarithm of a factor."""

    shift: float = 0.05
    """Largest movement along each axis, as a share of the side."""

    soften: bool = False
    """Blur every object by 1-2-1 along each axis, so that none is known by its voxels being 0 or 1."""

    def __post_init__(self) -> None:
        for name in ("probability", "stretch", "shift"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} of the augmentation must lie in [0, 1], got {getattr(self, name)}")

    def sample_transforms(self, draws: SampleRandom, batch: int) -> Transforms | None:
        """For each sample where the points of the cube [-1, 1]^3 (x y z, then 1) are looked up; None if all stay."""
        if not self.probability:
            return None
        on = (draws.uniform(batch, 1) < self.probability).float()
        factors = (self.stretch * on * (2 * draws.uniform(batch, 3) - 1)).exp()
        moved = 2 * self.shift * on * (2 * draws.uniform(batch, 3) - 1)
        return torch.cat([torch.diag_embed(factors), moved[:, :, None]], 2)

    def apply(self, objects: Volumes, placing: Transforms | None) -> Volumes:
        """The objects, changed; what comes in from outside the cube is empty."""
        if placing is not None:
            objects = _transform_volumes(objects, placing)
        return _blur_volumes(objects) if self.soften else objects


def _transform_volumes(objects: Volumes, placing: Transforms) -> Volumes:
    """The objects looked up where each point goes; grid_sample takes a volume's axes from the last to the first."""
    volume = rearrange(objects, "b x y z -> b 1 z y x")
    grid = F.affine_grid(placing.to(objects), list(volume.shape), align_corners=False)
    return rearrange(F.grid_sample(volume, grid, align_corners=False), "b 1 z y x -> b x y z")


def _blur_volumes(objects: Volumes) -> Volumes:
    line = torch.tensor([0.25, 0.5, 0.25]).to(objects)
    kernel = line[:, None, None] * line[:, None] * line
    return F.conv3d(objects[:, None], kernel[None, None], padding=1)[:, 0]
