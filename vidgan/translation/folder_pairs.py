"""Pairs of clips from two folders of equally named videos, or from the two halves of each frame."""

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import NamedTuple, TypeAlias, get_args

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from gancore.data import Sample
from gancore.splits import Split
from vidgan.data.dataset import Segment, VideoClipDataset, open_video_clips
from vidgan.data_config import VideoDataConfig
from vidgan.frames import convert_channels, resize_to_cover
from vidgan.translation_config import PairDataConfig, Side

ClipBytes: TypeAlias = UInt8[Tensor, "time channel height width"]
SCALES = (1, 2, 4)
"""How many times larger targets may be than their sources."""


class Pair(NamedTuple):
    """A source clip, its target, and which source pixels are known; all if that is None."""

    source: ClipBytes
    target: ClipBytes
    known: Bool[Tensor, "time 1 height width"] | None = None


def open_folder_pairs(config: PairDataConfig, videos: VideoDataConfig, *, split: Split) -> "FolderPairs":
    """Opens the pairs of a split: targets in `path`, their sources in `sources` under the same names, or beside them.

    Raises ValueError, naming some, if targets have no source, or a source has fewer frames than its target.
    """
    targets = open_video_clips(videos, split=split)
    if config.sources in get_args(Side):
        return FolderPairs(targets, None, config)
    assert config.sources is not None
    everything = replace(videos, path=config.sources, holdout_fraction=0.0, holdout_prefixes=(), holdout_file=None)
    found = {
        _stem(segment): segment for part in ("train", "val", "test") for segment in _open_if_any(everything, split=part)
    }
    missing = [segment.video.name for segment in targets.segments if _stem(segment) not in found]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ValueError(f"{config.sources} has no source named like {', '.join(missing[:3])}{more} in {config.path}")
    sources = [found[_stem(segment)] for segment in targets.segments]
    for source, target in zip(sources, targets.segments, strict=True):
        if source.reader.frames != target.reader.frames:
            raise ValueError(
                f"{source.video.path} has {source.reader.frames} frames, and its target {target.video.path} "
                f"{target.reader.frames}: pairs must be as long as each other"
            )
    return FolderPairs(targets, sources, config)


def _open_if_any(videos: VideoDataConfig, *, split: Split) -> list[Segment]:
    try:
        return list(open_video_clips(videos, split=split).segments)
    except ValueError:  # a folder without splits has training videos alone
        return []


def _stem(segment: Segment) -> str:
    """The name of a video in its folder, without its suffix: pairs may be of different formats."""
    return PurePath(segment.video.name).with_suffix("").as_posix()


@dataclass(frozen=True)
class FolderPairs:
    """Pairs of like-named videos, cropped at the same place; without `sources`, the halves of each frame."""

    targets: VideoClipDataset
    sources: list[Segment] | None
    config: PairDataConfig
    has_truth = True

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def item_names(self) -> list[str]:
        """Those of the targets."""
        return self.targets.item_names

    def __getitem__(self, sample: Sample) -> Pair:
        config, random = self.config, np.random.default_rng(sample.seed)
        segment, start, stride = self.targets.place_clip(sample.index, random)
        target = self._read(segment, start, stride)
        if self.sources is None:
            half = target.shape[3] // 2
            sides = target[..., :half], target[..., -half:]
            source, target = sides if config.sources == "left" else sides[::-1]
        else:
            source = self._read(self.sources[self.targets.segments.index(segment)], start, stride)
        return self._crop(source, target, segment, random)

    def _read(self, segment: Segment, start: int, stride: int) -> ClipBytes:
        frames = segment.reader.read(start, self.config.clip_frames, stride=stride)
        return convert_channels(frames, self.config.channels)

    def _crop(
        self,
        source: UInt8[Tensor, "time channel h w"],
        target: ClipBytes,
        segment: Segment,
        random: np.random.Generator,
    ) -> Pair:
        """The same part of both. Raises ValueError if the target is not 1, 2 or 4 times as large as the source."""
        config = self.config
        scale = next((s for s in SCALES if tuple(target.shape[2:]) == tuple(s * side for side in source.shape[2:])), 0)
        if not scale:
            sizes = [f"{clip.shape[2]}x{clip.shape[3]}" for clip in (target, source)]
            raise ValueError(f"{segment.video.path} is {sizes[0]}, and its source {sizes[1]}, not 1, 1/2 or 1/4 of it")
        height, width = config.height // scale, config.width // scale
        source = resize_to_cover(source, height, width, resize=config.resize and config.resize // scale)
        if tuple(target.shape[2:]) != tuple(scale * side for side in source.shape[2:]):
            target = resize_to_cover(target, scale * source.shape[2], scale * source.shape[3])
        spare = source.shape[2] - height, source.shape[3] - width
        if self.targets.train and config.crop == "random":
            top, left = (int(random.integers(free + 1)) for free in spare)
        else:
            top, left = spare[0] // 2, spare[1] // 2
        source = source[:, :, top : top + height, left : left + width]
        top, left, height, width = (scale * number for number in (top, left, height, width))
        target = target[:, :, top : top + height, left : left + width]
        if self.targets.train and config.flip and random.random() < 0.5:
            source, target = source.flip(3), target.flip(3)
        return Pair(*(torch.clone(frames, memory_format=torch.contiguous_format) for frames in (source, target)))
