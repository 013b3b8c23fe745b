"""The discriminators of DVD-GAN and TrIVD-GAN: a spatial one of single frames, a temporal one of clips, and the pair.

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
"""(batch time channels rows columns), all but the batch of their own size in every map."""
Scores = Float[Tensor, "batch *map"]


class ClipSelection(NamedTuple):
    """What the discriminators look at in each clip of a batch."""

    frame_indices: Int[Tensor, "batch k"]
    """Frames for the spatial discriminator."""
    crop_corner: Float[Tensor, "batch 2"]
    """(y, x) of the corner of a crop, as fractions in [0, 1) of the range of possible corners."""

    def duplicate(self) -> "ClipSelection":
        """The selection for a batch of real clips followed by the fakes of the same selection."""
        return ClipSelection(self.frame_indices.repeat(2, 1), self.crop_corner.repeat(2, 1))


class DiscriminatorInputs(NamedTuple):
    """The frames that each discriminator gets to see."""

    spatial: Frames
    temporal: Frames


class DiscriminatorScores(NamedTuple):
    """Logits from each discriminator, higher for what looks real: one a clip, or one a patch of it.

    Those of patches are maps (batch time rows columns), with the timesteps, rows and columns of the last hidden map.
    An autoencoder's are minus its errors, one a clip.
    """

    spatial: Scores
    temporal: Scores


class DiscriminatorMaps(NamedTuple):
    """The hidden maps of each discriminator after every block, and last what is scored, or an autoencoder's code."""

    spatial: list[FeatureMap]
    temporal: list[FeatureMap]


class Judgement(NamedTuple):
    """What the discriminators make of clips: their scores, and the hidden maps by which they come to them."""

    scores: DiscriminatorScores
    maps: DiscriminatorMaps


class ProjectionDiscriminator(nn.Module):
    """Residual blocks, 3-D ones first, over frames or a clip, then a linear score, summed over space and time.

    With `score` patches the scores of all places are kept instead of their sum (PatchGAN, Isola et al. 2017). Classes
    condition it by projection (Miyato, Koyama 2018). Without 3-D blocks, every frame is scored alone.
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
        # No bias: it would cancel in a relativistic loss, and rounding errors would make it drift.
        self.score = nn.Linear(widths[-1], 1, bias=False)
        self.projection = nn.Embedding(classes, widths[-1]) if classes else None

    def forward(self, clips: Frames, labels: Int[Tensor, " batch"] | None = None) -> Scores:
        """One logit a clip, or a map of logits; rows and columns that do not fill a patch are cut off."""
        return self.judge(clips, labels)[0]

    def judge(self, clips: Frames, labels: Int[Tensor, " batch"] | None = None) -> tuple[Scores, list[FeatureMap]]:
        """(The logits, the hidden maps after every block and the one that is scored)."""
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
    """A map of frames, from one of clips or of frames."""
    return rearrange(x, "b c t h w -> (b t) c h w") if x.ndim == 5 else x


class VideoDiscriminator(nn.Module):
    """Both discriminators as one player: `spatial` scores some frames one by one, `temporal` the motion of the clip."""

    def __init__(self, config: VideoDiscriminatorConfig, *, channels: int, classes: int = 0):
        """Raises ValueError if there are too few blocks for the 3-D ones."""
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
        """Draws frames and crops for `batch` clips of `clip_frames`; the first `context_frames` are never drawn.

        Raises ValueError if `spatial_frames` exceeds the number of the other frames.
        """
        count, generated = self.config.spatial_frames, clip_frames - context_frames
        if count > generated:
            raise ValueError(
                f"discriminator.spatial_frames is {count}, but a clip has only {generated} frames after its context"
            )
        return ClipSelection(context_frames + rng.choice(batch, count, generated), rng.uniform(batch, 2))

    def select_inputs(self, clips: Frames, selection: ClipSelection) -> DiscriminatorInputs:
        """The inputs of both discriminators, with d = `downsample`.

        "dvd": k full frames, and the whole clip pooled by d. "trivd": k frames pooled by d, and a crop of the whole
        clip at full resolution, 1/d as high and wide.
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
        """The logits of both discriminators."""
        spatial, temporal = self.select_inputs(clips, selection)
        return DiscriminatorScores(self.spatial(spatial, labels), self.temporal(temporal, labels))

    def judge(self, clips: Frames, selection: ClipSelection, labels: Int[Tensor, " batch"] | None = None) -> Judgement:
        """The logits of both discriminators and their hidden maps, for feature matching, from one forward pass."""
        spatial, temporal = self.select_inputs(clips, selection)
        of_frames, of_clips = self.spatial.judge(spatial, labels), self.temporal.judge(temporal, labels)
        return Judgement(DiscriminatorScores(of_frames[0], of_clips[0]), DiscriminatorMaps(of_frames[1], of_clips[1]))

    def _pool(self, clips: Tensor) -> Tensor:
        size = self.config.downsample
        return rearrange(
            F.avg_pool2d(rearrange(clips, "b t c h w -> (b t) c h w"), size), "(b t) c h w -> b t c h w", b=len(clips)
        )

    def _crop(self, clips: Tensor, corner: Tensor) -> Tensor:
        """One crop a clip, at the same place in all its frames, whose sides are multiples of the patch size."""
        unit = self.config.patch_size * self.config.downsample
        height, width = (max(side // unit, 1) * self.config.patch_size for side in clips.shape[-2:])
        lines = []
        for axis, (size, whole) in enumerate(zip((height, width), clips.shape[-2:], strict=True)):
            first = (corner[:, axis, None] * (whole - size + 1)).long()
            lines.append(first + torch.arange(size, device=clips.device))
        places = (lines[0][:, :, None] * clips.shape[-1] + lines[1][:, None]).flatten(1)  # b (height width)
        pixels = clips.flatten(3)
        cut = pixels.gather(3, places[:, None, None].expand(-1, *clips.shape[1:3], -1))
        return cut.unflatten(3, (height, width))
