"""AutoencoderDiscriminator: scores frames or clips by how well it reconstructs them (EBGAN, BEGAN).

Letters in einops patterns: b batch, t timestep, c channel, h and w rows and columns.
"""

from itertools import pairwise

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from gancore.layers import Activation, ResidualBlock, SelfAttention, conv_nd, leaky_relu
from vidgan.config import VideoDiscriminatorConfig
from vidgan.networks.patches import split_patches

Frames = Float[Tensor, "batch time channels height width"]
FeatureMap = Float[Tensor, "batch _ _ _ _"]


class AutoencoderDiscriminator(nn.Module):
    """An encoder of residual blocks that halve the map, a code with few channels, and a decoder that mirrors them.

    In 2-D every frame has its own code; in 3-D time is halved as well. A class is added to the code (its embedding).
    Zhao et al. 2017; Berthelot et al. 2017.
    """

    def __init__(self, config: VideoDiscriminatorConfig, channels: int, *, classes: int, dims: int):
        super().__init__()
        self.patch_size, self.dims, self.error = config.patch_size, dims, config.reconstruction_error
        self.activation: Activation = leaky_relu if config.activation == "leaky" else torch.relu
        widths = [channels * config.patch_size**2, *(config.base_channels * m for m in config.channel_multipliers)]
        self.downs = nn.ModuleList(
            ResidualBlock(
                before,
                after,
                dims=dims,
                resample="down",
                activation=self.activation,
                skip_first_activation=number == 0,
                dropout=config.dropout,
            )
            for number, (before, after) in enumerate(pairwise(widths))
        )
        self.attention_after = config.attention_after
        self.attention: SelfAttention | None = None
        if config.attention_after is not None:
            self.attention = SelfAttention(widths[config.attention_after], dims=dims)
        self.encode = conv_nd(dims, widths[-1], config.code_channels)
        self.embedding = nn.Embedding(classes, config.code_channels) if classes else None
        self.decode = conv_nd(dims, config.code_channels, widths[-1])
        narrowing = [widths[1], *widths[1:]][::-1]  # the first block has no wish for as few channels as frames have
        self.ups = nn.ModuleList(
            ResidualBlock(before, after, dims=dims, resample="up", activation=self.activation, dropout=config.dropout)
            for before, after in pairwise(narrowing)
        )
        self.last = conv_nd(dims, widths[1], widths[0])

    def forward(self, clips: Frames, labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, " batch"]:
        """Minus the error of the reconstruction of each clip, mean over its values."""
        return self.judge(clips, labels)[0]

    def judge(
        self, clips: Frames, labels: Int[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, " batch"], list[FeatureMap]]:
        """(The score of each clip, the hidden maps of the encoder, of which the last is the code).

        The error has a gradient in the clip through its reconstruction and as what is to be reconstructed.
        """
        shown = split_patches(clips, self.patch_size)  # b t c h w
        x = rearrange(shown, "b t c h w -> b c t h w" if self.dims == 3 else "b t c h w -> (b t) c h w")
        maps = self._encode(x)
        made = self._decode(maps[-1], labels, sizes=[tuple(map_.shape[2:]) for map_ in (x, *maps[:-2])])
        error = made.to(torch.promote_types(made.dtype, torch.float32)) - x
        error = error.abs() if self.error == "l1" else error.square()
        over_time = "b c t h w -> b t c h w" if self.dims == 3 else "(b t) c h w -> b t c h w"
        batch = len(clips)
        return -rearrange(error, over_time, b=batch).flatten(1).mean(1), [
            rearrange(map_, over_time, b=batch) for map_ in maps
        ]

    def _encode(self, x: Tensor) -> list[Tensor]:
        """The map after each block, and the code."""
        maps = []
        for number, down in enumerate(self.downs, 1):
            x = down(x)
            if self.attention is not None and number == self.attention_after:
                x = self.attention(x)
            maps.append(x)
        return [*maps, self.encode(self.activation(x))]

    def _decode(self, code: Tensor, labels: Tensor | None, *, sizes: list[tuple[int, ...]]) -> Tensor:
        """The reconstruction; `sizes` are those of the maps that the encoder halved."""
        if self.embedding is not None and labels is not None:
            of_class = self.embedding(labels)
            if self.dims == 2:
                of_class = repeat(of_class, "b c -> (b t) c", t=len(code) // len(labels))
            code = code + of_class.view(*of_class.shape, *[1] * self.dims)
        x = self.decode(code)
        for up, size in zip(self.ups, reversed(sizes), strict=True):
            x = up(x)[(..., *(slice(side) for side in size))]  # the encoder rounds odd sides up
        return self.last(self.activation(x))
