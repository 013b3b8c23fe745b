"""The discriminators of DVD-GAN and TrIVD-GAN: spatial for single frames, temporal for clips, and the pair of both.

Letters in einops patterns: b batch, t timestep, k selected frame, c channel, h and w rows and columns.
"""

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
from vidgan.networks.autoencoder import AutoencoderDiscriminator
from vidgan.networks.patches import split_patches

Frames = Float[Tensor, "batch time channels height width"]
FeatureMap = Float[Tensor, "batch _ _ _ _"]
"""(batch time channels rows columns); all sizes but the batch differ from map to map."""
Scores = Float[Tensor, "batch *map"]


class ClipSelection(NamedTuple):
    """The frames and crops that the discriminators look at in each clip of a batch."""

    frame_indices: Int[Tensor, "batch k"]
    """Frames for the spatial discriminator."""
    crop_corner: Float[Tensor, "batch 2"]
    """(y, x) of the crop's first corner, as fractions in [0, 1) of the range of possible corners."""

    def duplicate(self) -> "ClipSelection":
        """The selection for a batch of real clips followed by the fakes of the same selection."""
        return ClipSelection(self.frame_indices.repeat(2, 1), self.crop_corner.repeat(2, 1))


class DiscriminatorInputs(NamedTuple):
    """The frames that each discriminator sees."""

    spatial: Frames
    temporal: Frames


class DiscriminatorScores(NamedTuple):
    """Scores of each discriminator, higher for what looks real: one logit per clip or per patch of it.

    Those of patches are maps (batch time rows columns), as large as the last hidden map. An autoencoder's score of a
    clip is its negative reconstruction error.
    """

    spatial: Scores
    temporal: Scores


class DiscriminatorMaps(NamedTuple):
    """Hidden maps of each discriminator after every block, then the map that is scored or an autoencoder's code."""

    spatial: list[FeatureMap]
    temporal: list[FeatureMap]


class Judgement(NamedTuple):
    """The discriminators' scores of clips, and the hidden maps of the same forward pass."""

    scores: DiscriminatorScores
    maps: DiscriminatorMaps


class ProjectionDiscriminator(nn.Module):
    """Residual blocks over frames or clips, 3-D ones first, then a linear score, summed over space and time.

    With `score` "patches" the scores of all positions are kept instead (PatchGAN, Isola et al. 2017). Classes are
    conditioned on by projection (Miyato and Koyama 2018). Without 3-D blocks every frame is scored by itself.
    """

    def __init__(self, config: VideoDiscriminatorConfig, channels: int, *, classes: int, blocks_3d: int):
        super().__init__()
        self.patch_size, self.blocks_3d, self.scores_patches = config.patch_size, blocks_3d, config.score == "patches"
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
        # No bias: a relativistic loss would cancel it, and rounding errors would make it drift.
        self.score = nn.Linear(widths[-1], 1, bias=False)
        self.projection = nn.Embedding(classes, widths[-1]) if classes else None

    def forward(self, clips: Frames, labels: Int[Tensor, " batch"] | None = None) -> Scores:
        """One logit per clip, or a map of logits; rows and columns that do not fill a patch are cropped."""
        return self.judge(clips, labels)[0]

    def judge(self, clips: Frames, labels: Int[Tensor, " batch"] | None = None) -> tuple[Scores, list[FeatureMap]]:
        """Returns the logits, and the hidden maps after every block followed by the one that is scored."""
        maps = self._feature_maps(clips)
        return self._score_map(maps[-1], labels), maps

    def _feature_maps(self, clips: Frames) -> list[FeatureMap]:
        batch, maps = len(clips), []
        x = split_patches(clips, self.patch_size)
        x = rearrange(x, "b t c h w -> b c t h w" if self.blocks_3d else "b t c h w -> (b t) c h w")
        for number, block in enumerate(self.blocks):
            if number == self.blocks_3d:  # the first 2-D block, after the 3-D ones
                x = _fold_time(x)
            x = block(x)
            if self.attention is not None and number + 1 == self.attention_after:
                x = self.attention(x)
            maps.append(x)
        maps.append(self.activation(self.last(_fold_time(x))))
        over_time = ("(b t) c h w -> b t c h w", "b c t h w -> b t c h w")
        return [rearrange(x, over_time[x.ndim - 4], b=batch) for x in maps]

    def _score_map(self, features: FeatureMap, labels: Int[Tensor, " batch"] | None) -> Scores:
        batch, time = features.shape[:2]
        labels = None if labels is None else repeat(labels, "b -> (b t)", t=time)
        features = rearrange(features, "b t c h w -> (b t) c h w")
        if self.scores_patches:
            features = rearrange(features, "n c h w -> n h w c")
            scores = self.score(features)[..., 0]
            if self.projection is not None and labels is not None:
                scores = scores + (self.projection(labels)[:, None, None] * features).sum(-1)
            return rearrange(scores, "(b t) h w -> b t h w", b=batch)
        features = reduce(features, "n c h w -> n c", "sum")
        scores = self.score(features)[:, 0]
        if self.projection is not None and labels is not None:
            scores = scores + (self.projection(labels) * features).sum(1)
        return reduce(scores, "(b t) -> b", "sum", b=batch)


def _fold_time(x: Tensor) -> Tensor:
    """Folds the time of a 5-D map into the batch; a 4-D map has no time and is returned unchanged."""
    return rearrange(x, "b c t h w -> (b t) c h w") if x.ndim == 5 else x


class VideoDiscriminator(nn.Module):
    """Both discriminators as one player: `spatial` scores some frames one by one, `temporal` scores whole clips."""

    def __init__(self, config: VideoDiscriminatorConfig, *, channels: int, classes: int = 0):
        """Raises ValueError if clips are scored as a whole and there are fewer than three blocks."""
        super().__init__()
        blocks = len(config.channel_multipliers)
        if config.score == "clip" and blocks < 3:
            raise ValueError("discriminator.channel_multipliers: at least three blocks are needed, two of them 3-D")
        self.config = config
        self.spatial: ProjectionDiscriminator | AutoencoderDiscriminator
        self.temporal: ProjectionDiscriminator | AutoencoderDiscriminator
        if config.score == "reconstruction":
            self.spatial = AutoencoderDiscriminator(config, channels, classes=classes, dims=2)
            self.temporal = AutoencoderDiscriminator(config, channels, classes=classes, dims=3)
        else:
            self.spatial = ProjectionDiscriminator(config, channels, classes=classes, blocks_3d=0)
            self.temporal = ProjectionDiscriminator(config, channels, classes=classes, blocks_3d=min(2, blocks))
        orthogonal_init_(self)
        if config.zero_init_residual:
            zero_init_residual_(self)
        if config.spectral_norm:
            spectral_norm_(self)

    def draw_selection(self, rng: SampleRandom, batch: int, *, clip_frames: int, context_frames: int) -> ClipSelection:
        """Draws frames and crops for `batch` clips of `clip_frames`; frames are drawn after the first `context_frames`.

        Raises ValueError if there are fewer than `spatial_frames` frames after the context.
        """
        count, generated = self.config.spatial_frames, clip_frames - context_frames
        if count > generated:
            raise ValueError(
                f"discriminator.spatial_frames is {count}, but a clip has only {generated} frames after its context"
            )
        return ClipSelection(context_frames + rng.choice(batch, count, generated), rng.uniform(batch, 2))

    def select_inputs(self, clips: Frames, selection: ClipSelection) -> DiscriminatorInputs:
        """The inputs of both discriminators, with d = `downsample`.

        "dvd": k full frames; all frames of the clip, average-pooled by d.
        "trivd": k frames, average-pooled by d; a crop of all frames at full resolution, 1/d as high and wide.
        """
        _, _, channels, height, width = clips.shape
        indices = repeat(selection.frame_indices, "b k -> b k c h w", c=channels, h=height, w=width)
        frames = clips.gather(1, indices)  # b k c h w
        if self.config.variant == "dvd":
            return DiscriminatorInputs(frames, self._pool(clips))
        return DiscriminatorInputs(self._pool(frames), self._crop(clips, selection.crop_corner))

    def forward(
        self, clips: Frames, selection: ClipSelection, labels: Int[Tensor, " batch"] | None = None
    ) -> DiscriminatorScores:
        """The scores of both discriminators."""
        spatial, temporal = self.select_inputs(clips, selection)
        return DiscriminatorScores(self.spatial(spatial, labels), self.temporal(temporal, labels))

    def judge(self, clips: Frames, selection: ClipSelection, labels: Int[Tensor, " batch"] | None = None) -> Judgement:
        """The scores and hidden maps of both discriminators, from one forward pass; feature matching needs both."""
        inputs = self.select_inputs(clips, selection)
        spatial_scores, spatial_maps = self.spatial.judge(inputs.spatial, labels)
        temporal_scores, temporal_maps = self.temporal.judge(inputs.temporal, labels)
        return Judgement(
            DiscriminatorScores(spatial_scores, temporal_scores), DiscriminatorMaps(spatial_maps, temporal_maps)
        )

    def _pool(self, clips: Tensor) -> Tensor:
        size = self.config.downsample
        return rearrange(
            F.avg_pool2d(rearrange(clips, "b t c h w -> (b t) c h w"), size), "(b t) c h w -> b t c h w", b=len(clips)
        )

    def _crop(self, clips: Tensor, corner: Tensor) -> Tensor:
        """One crop per clip, the same in all its frames; its sides are multiples of the patch size."""
        unit = self.config.patch_size * self.config.downsample
        height, width = (max(side // unit, 1) * self.config.patch_size for side in clips.shape[-2:])
        indices = []
        for axis, (size, whole) in enumerate(zip((height, width), clips.shape[-2:], strict=True)):
            first = (corner[:, axis, None] * (whole - size + 1)).long()
            indices.append(first + torch.arange(size, device=clips.device))
        rows, columns = indices  # b height; b width
        flat_indices = (rows[:, :, None] * clips.shape[-1] + columns[:, None]).flatten(1)  # b (height width)
        crop = clips.flatten(3).gather(3, flat_indices[:, None, None].expand(-1, *clips.shape[1:3], -1))
        return crop.unflatten(3, (height, width))
