"""VoxelDiscriminator: scores objects as real or generated (3D-GAN, Wu et al. 2016)."""

from itertools import pairwise

from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from gancore.layers import leaky_relu, spectral_norm_
from voxgan.config import VoxelDiscriminatorConfig, VoxelShape
from voxgan.networks.generator import BASE_SIDE, build_norm, channel_widths


class VoxelDiscriminator(nn.Module):
    """Strided convolutions down to a side of 4 voxels, and a linear score.

    With classes, the projection of the features on the class embedding is added (Miyato and Koyama 2018), and with
    patch levels the mean score of patches (Isola et al. 2017).
    """

    def __init__(self, config: VoxelDiscriminatorConfig, shape: VoxelShape):
        super().__init__()
        self.config = config
        widths = channel_widths(shape.side, base_channels=config.base_channels, max_channels=config.max_channels)[::-1]
        self.downs = nn.ModuleList(
            nn.Conv3d(before, after, 4, stride=2, padding=1, bias=False) for before, after in pairwise([1, *widths])
        )
        self.norms = nn.ModuleList(build_norm(config.norm, width) for width in widths)
        self.dropout = nn.Dropout(config.dropout)
        self.score = nn.Linear(widths[-1] * BASE_SIDE**3, 1, bias=False)
        if config.patch_levels > len(widths):
            raise ValueError(
                f"discriminator.patch_levels must be at most {len(widths)} for {shape.side} voxels, "
                f"got {config.patch_levels}"
            )
        self.patch_score = nn.Conv3d(widths[config.patch_levels - 1], 1, 1) if config.patch_levels else None
        classes = len(shape.classes)
        self.projection = nn.Embedding(classes + 1, widths[-1]) if classes else None
        if self.projection is not None:
            nn.init.zeros_(self.projection.weight)
        if config.spectral_norm:
            spectral_norm_(self)

    def forward(
        self, occupancy: Float[Tensor, "batch x y z"], labels: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, " batch"]:
        """A logit for each object, higher for real ones; the label len(classes) stands for an unknown class."""
        maps = self.feature_maps(occupancy)
        x = maps[-1]  # batch widths[-1] 4 4 4
        score = self.score(self.dropout(x.flatten(1)))[:, 0]
        if self.patch_score is not None:
            score = score + self.patch_score(maps[self.config.patch_levels - 1]).mean((1, 2, 3, 4))
        if self.projection is None or labels is None:
            return score
        return score + (self.projection(labels) * x.mean((2, 3, 4))).sum(1)

    def feature_maps(self, occupancy: Float[Tensor, "batch x y z"]) -> list[Float[Tensor, "batch _ _ _ _"]]:
        """The hidden maps (batch width x y z), with sides of side / 2, side / 4, ... 4 voxels."""
        x, maps = rearrange(occupancy, "b x y z -> b 1 x y z"), []
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = leaky_relu(norm(down(x)))
            maps.append(x)
        return maps
