"""Discriminators of clips: of single frames (spatial), of movement (temporal), and both as one player (DVD-GAN)."""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from gancore.layers import (
    Activation,
    ResidualBlock,
    SelfAttention,
    leaky_relu,
    orthogonal_init_,
    spectral_norm_,
    zero_init_residual_,
)
from gancore.rng import SampleRandom
from vidgan.config import VideoDiscriminatorConfig

Frames = Float[Tensor, "batch time channels height width"]


class ClipSelection(NamedTuple):
    """What the discriminators look at in each clip: numbers of frames, and corners of a crop as shares of the play."""

    frame_indices: Int[Tensor, "batch k"]
    crop_corner: Float[Tensor, "batch 2"]

    def duplicate(self) -> "ClipSelection":
        """The same for a batch of real clips and the fakes that follow them."""
        return ClipSelection(
            torch.cat([self.frame_indices, self.frame_indices]), torch.cat([self.crop_corner, self.crop_corner])
        )


class DiscriminatorInputs(NamedTuple):
    """What each discriminator sees."""

    spatial: Frames
    temporal: Frames


class DiscriminatorScores(NamedTuple):
    """One logit a clip from each discriminator, higher for what looks real."""

    spatial: Float[Tensor, " batch"]
    temporal: Float[Tensor, " batch"]


class ProjectionDiscriminator(nn.Module):
    """Residual blocks, 3-D ones first, over frames or a clip, then the sum over space and time of a linear score.

    Class conditioning by projection (Miyato and Koyama 2018). With no 3-D blocks every frame is judged alone.
    """

    def __init__(self, config: VideoDiscriminatorConfig, channels: int, *, classes: int, blocks_3d: int):
        super().__init__()
        self.patch_size, self.blocks_3d = config.patch_size, blocks_3d
        self.activation: Activation = leaky_relu if config.activation == "leaky" else torch.relu
        widths = [channels * config.patch_size**2, *(config.base_channels * m for m in config.channel_multipliers)]
        self.blocks = nn.ModuleList(
            ResidualBlock(
                before,
                after,
                dims=3 if number < blocks_3d else 2,
                resample="down",
                activation=self.activation,
                skip_first_activation=number == 0,
                dropout=config.dropout,
            )
            for number, (before, after) in enumerate(pairwise(widths))
        )
        self.last = ResidualBlock(widths[-1], widths[-1], activation=self.activation)
        self.attention_after = config.attention_after
        self.attention: SelfAttention | None = None
        if (after := config.attention_after) is not None:
            self.attention = SelfAttention(widths[after], dims=3 if after <= blocks_3d else 2)
        # No bias: a relativistic game cannot see one, and rounding would make it drift.
        self.score = nn.Linear(widths[-1], 1, bias=False)
        self.project = nn.Embedding(classes, widths[-1]) if classes else None

    def forward(self, clips: Frames, labels: Int[Tensor, " batch"] | None = None) -> Float[Tensor, " batch"]:
        """One logit a clip."""
        batch, time = clips.shape[:2]
        height, width = (side // self.patch_size * self.patch_size for side in clips.shape[-2:])
        x = rearrange(clips[..., :height, :width], "b t c h w -> (b t) c h w")
        x = F.pixel_unshuffle(x, self.patch_size)
        if self.blocks_3d:
            x = rearrange(x, "(b t) c h w -> b c t h w", b=batch)
        for number, block in enumerate(self.blocks):
            if number == self.blocks_3d > 0:
                time = x.shape[2]
                x = rearrange(x, "b c t h w -> (b t) c h w")
            x = block(x)
            if self.attention is not None and number + 1 == self.attention_after:
                x = self.attention(x)
        features = reduce(self.activation(self.last(x)), "(b t) c h w -> (b t) c", "sum", b=batch)
        scores = self.score(features)[:, 0]
        if self.project is not None and labels is not None:
            scores = scores + (self.project(repeat(labels, "b -> (b t)", t=time)) * features).sum(1)
        return reduce(scores, "(b t) -> b", "sum", b=batch)


class VideoDiscriminator(nn.Module):
    """Both discriminators as one player: `spatial` judges some frames one by one, `temporal` the movement."""

    def __init__(self, config: VideoDiscriminatorConfig, *, channels: int, classes: int = 0):
        """Raises ValueError if there are too few blocks for the 3-D ones."""
        super().__init__()
        if len(config.channel_multipliers) < 3:
            raise ValueError("discriminator.channel_multipliers: at least three blocks are needed, two of them 3-D")
        self.config = config
        self.spatial = ProjectionDiscriminator(config, channels, classes=classes, blocks_3d=0)
        self.temporal = ProjectionDiscriminator(config, channels, classes=classes, blocks_3d=2)
        orthogonal_init_(self)
        if config.zero_init_residual:
            zero_init_residual_(self)
        if config.spectral_norm:
            spectral_norm_(self)

    def draw_selection(
        self, draws: SampleRandom, batch: int, *, clip_frames: int, context_frames: int
    ) -> ClipSelection:
        """What to look at in `batch` clips of `frames` frames, the first `context` of which were given.

        Raises ValueError if fewer frames are left than are to be judged.
        """
        k = self.config.spatial_frames
        if k > clip_frames - context_frames:
            raise ValueError(
                f"discriminator.spatial_frames is {k}, but a clip has only {clip_frames - context_frames} frames to judge"
            )
        chosen = context_frames + draws.choice(batch, k, clip_frames - context_frames)
        return ClipSelection(chosen, draws.uniform(batch, 2))

    def select_inputs(self, clips: Frames, selection: ClipSelection) -> DiscriminatorInputs:
        """What `spatial` and what `temporal` sees of the clips."""
        chosen = repeat(
            selection.frame_indices, "b k -> b k c h w", c=clips.shape[2], h=clips.shape[3], w=clips.shape[4]
        )
        frames = clips.gather(1, chosen)
        if self.config.variant == "dvd":
            return DiscriminatorInputs(frames, self._pool(clips))
        return DiscriminatorInputs(self._pool(frames), self._crop(clips, selection.crop_corner))

    def forward(
        self, clips: Frames, selection: ClipSelection, labels: Int[Tensor, " batch"] | None = None
    ) -> DiscriminatorScores:
        """Two logits a clip."""
        spatial, temporal = self.select_inputs(clips, selection)
        return DiscriminatorScores(self.spatial(spatial, labels), self.temporal(temporal, labels))

    def _pool(self, clips: Tensor) -> Tensor:
        size = self.config.downsample
        return rearrange(
            F.avg_pool2d(rearrange(clips, "b t c h w -> (b t) c h w"), size), "(b t) c h w -> b t c h w", b=len(clips)
        )

    def _crop(self, clips: Tensor, corner: Tensor) -> Tensor:
        """One crop a clip, the same in all its frames; its sides divide by the patch."""
        unit = self.config.patch_size * self.config.downsample
        height, width = (max(side // unit, 1) * self.config.patch_size for side in clips.shape[-2:])
        play = torch.tensor([clips.shape[-2] - height + 1, clips.shape[-1] - width + 1])
        corners = (corner.cpu() * play).long().tolist()
        return torch.stack(
            [clip[..., y : y + height, x : x + width] for clip, (y, x) in zip(clips, corners, strict=True)]
        )
