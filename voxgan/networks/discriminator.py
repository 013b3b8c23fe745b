"""VoxelDiscriminator: the player who tells generated objects from real ones (3D-GAN, Wu et al. 2016)."""

from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from gancore.layers import leaky_relu, spectral_norm_
from voxgan.config import VoxelDiscriminatorConfig, VoxelShape
from voxgan.networks.generator import BASE_SIDE, build_norm, channel_widths


class VoxelDiscriminator(nn.Module):
    """Convolutions that halve the map down to 4 voxels, one linear score, and a projection of the class if told."""

    def __init__(self, config: VoxelDiscriminatorConfig, shape: VoxelShape):
        super().__init__()
        self.config = config
        channels = channel_widths(shape.side, channels=config.base_channels, most=config.max_channels)[::-1]
        pairs = zip([1, *channels], channels, strict=False)
        self.downs = nn.ModuleList(nn.Conv3d(a, b, 4, stride=2, padding=1, bias=False) for a, b in pairs)
        self.norms = nn.ModuleList(build_norm(config.norm, width) for width in channels)
        self.dropout = nn.Dropout(config.dropout)
        self.score = nn.Linear(channels[-1] * BASE_SIDE**3, 1, bias=False)
        classes = len(shape.classes)
        self.projection = nn.Embedding(classes + 1, channels[-1]) if classes else None
        if self.projection is not None:
            nn.init.zeros_(self.projection.weight)
        if config.spectral_norm:
            spectral_norm_(self)

    def forward(
        self, occupancy: Float[Tensor, "batch x y z"], labels: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, " batch"]:
        """Scores as logits, higher for what looks real; a label equal to the number of classes leaves it open."""
        x = self.feature_maps(occupancy)[-1]
        score = self.score(self.dropout(x.flatten(1)))[:, 0]
        if self.projection is None or labels is None:
            return score
        return score + (self.projection(labels) * x.mean((2, 3, 4))).sum(1)

    def feature_maps(self, occupancy: Float[Tensor, "batch x y z"]) -> list[Tensor]:
        """The hidden maps (batch channels x y z), from fine to coarse."""
        x, maps = rearrange(occupancy, "b x y z -> b 1 x y z"), []
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = leaky_relu(norm(down(x)))
            maps.append(x)
        return maps
