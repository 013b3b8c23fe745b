"""Differentiable augmentation of the objects a discriminator sees: one transformation per sample."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gancore.rng import SampleRandom
from voxgan.config import VoxelAugmentConfig

Volumes = Float[Tensor, "batch x y z"]
Transforms = Float[Tensor, "batch 3 4"]


def sample_transforms(config: VoxelAugmentConfig, rng: SampleRandom, batch: int) -> Transforms | None:
    """For each sample a random affine map (x y z 1) from output to input coordinates in the cube [-1, 1]^3.

    None if the probability is 0, so that no volume changes.
    """
    if not config.probability:
        return None
    applied = (rng.uniform(batch, 1) < config.probability).float()
    factors = (config.stretch * applied * (2 * rng.uniform(batch, 3) - 1)).exp()
    shift = 2 * config.shift * applied * (2 * rng.uniform(batch, 3) - 1)
    return torch.cat([torch.diag_embed(factors), shift[:, :, None]], 2)


def apply_transforms(config: VoxelAugmentConfig, volumes: Volumes, transforms: Transforms | None) -> Volumes:
    """The volumes, transformed and blurred as configured; space outside the cube is empty."""
    if transforms is not None:
        volumes = _transform_volumes(volumes, transforms)
    return _blur_volumes(volumes) if config.soften else volumes


def _transform_volumes(volumes: Volumes, transforms: Transforms) -> Volumes:
    """The volumes resampled under their transforms; grid_sample orders coordinates from the last axis to the first."""
    volume = rearrange(volumes, "b x y z -> b 1 z y x")
    grid = F.affine_grid(transforms.to(volumes), list(volume.shape), align_corners=False)
    return rearrange(F.grid_sample(volume, grid, align_corners=False), "b 1 z y x -> b x y z")


def _blur_volumes(volumes: Volumes) -> Volumes:
    line = (2 - torch.arange(-1, 2, device=volumes.device, dtype=volumes.dtype).abs()) / 4  # 1/4 1/2 1/4
    kernel = line[:, None, None] * line[:, None] * line
    return F.conv3d(volumes[:, None], kernel[None, None], padding=1)[:, 0]
