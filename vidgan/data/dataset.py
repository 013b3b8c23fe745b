"""A folder of videos, frame folders, arrays or moving digits -> batches of clips in [-1, 1]."""

import logging
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from gancore.data import Sample
from vidgan.config import VideoDataConfig
from vidgan.data.cache import open_cached, open_video_files
from vidgan.data.layouts import VideoEntry, expand_array_files, find_videos, select_split
from vidgan.data.moving_mnist import MovingMNIST
from vidgan.files.arrays import ArrayVideo
from vidgan.files.readers import (
    VIDEO_SUFFIXES,
    UnreadableError,
    VideoFile,
    VideoReader,
    natural_sort_key,
    open_image_strip,
)
from vidgan.files.video import convert_channels, open_video, resize_and_crop, resize_to_cover, to_float

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipBatch:
    """A batch of clips: uint8 [0, 255] as the loader makes it, float32 [-1, 1] after `to`."""

    frames: Float[Tensor, "batch time channel height width"] | UInt8[Tensor, "batch time channel height width"]
    labels: Int64[Tensor, " batch"]
    context_frames: int

    @property
    def past(self) -> Tensor:
        """The first `context` frames of every clip."""
        return self.frames[:, : self.context_frames]

    @property
    def future(self) -> Tensor:
        """The frames after the past."""
        return self.frames[:, self.context_frames :]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, part: slice) -> "ClipBatch":
        return ClipBatch(self.frames[part], self.labels[part], self.context_frames)

    def pin_memory(self) -> "ClipBatch":
        """The batch in page-locked memory, from which the device can be fed while it works."""
        return ClipBatch(self.frames.pin_memory(), self.labels.pin_memory(), self.context_frames)

    def to(self, device: torch.device | str) -> "ClipBatch":
        """The batch on the device, scaled there; floats are only moved."""
        frames = self.frames.to(device, non_blocking=True)
        if frames.dtype == torch.uint8:
            frames = to_float(frames)
        return ClipBatch(frames, self.labels.to(device, non_blocking=True), self.context_frames)


@runtime_checkable
class ClipDataset(Protocol):
    """Clips by (index, seed); everything random about a clip comes from the seed."""

    classes: tuple[str, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, sample: Sample) -> tuple[Tensor, int]: ...


def open_dataset(config: VideoDataConfig, *, train: bool) -> ClipDataset:
    """The training or the held-out clips of the source.

    Raises FileNotFoundError if there is no such source, ValueError if it holds no clip of the length asked for.
    """
    if config.path == "moving-mnist":
        return MovingMNIST(
            train=train,
            height=config.height,
            width=config.width,
            channels=config.channels,
            clip_frames=config.clip_frames,
            digits=config.digits,
        )
    return VideoClipDataset(config, train=train)


@dataclass(frozen=True)
class Segment:
    """Frames `first` to `last` (excluded) of a video, which clips are cut from."""

    video: VideoEntry
    reader: VideoReader
    start: int
    stop: int


class VideoClipDataset:
    """Clips cut from videos: one item for each clip's length of footage, so that longer videos count for more.

    A training clip begins anywhere within its length, held-out clips lie end to end. Where a video turns out broken
    only as it is decoded, the next good clip stands in, the same at every reading, and the video is named once.
    """

    def __init__(self, config: VideoDataConfig, *, train: bool):
        self.config, self.train = config, train
        self.clip_span = (config.clip_frames - 1) * config.stride + 1
        videos = find_videos(config.path, config.layout)
        self.classes = list_class_names(videos, config)
        self.segments, skipped = self._open_segments(videos)
        self.cumulative_clips = list(
            accumulate((stretch.stop - stretch.start) // self.clip_span for stretch in self.segments)
        )
        self.unreadable: set[str] = set()
        if not self.cumulative_clips:
            raise ValueError(
                f"no {'training' if train else 'held-out'} clip of {config.clip_frames} frames at stride {config.stride} in "
                f"{config.path}: {len(videos)} videos found, {len(skipped)} of this part skipped"
                + (f" ({skipped[0]})" if skipped else "")
            )
        if skipped:
            log.warning("%d videos are skipped: %s", len(skipped), "; ".join(skipped[:20]))

    def _open_segments(self, videos: list[VideoEntry]) -> tuple[list[Segment], list[str]]:
        """The stretches of this part that hold a clip, and for each video without one a line that says why."""
        config = self.config
        videos, skipped = expand_array_files(videos, config.channels)
        if config.split_by == "name":
            videos = select_split(
                videos,
                train=self.train,
                fraction=config.holdout_fraction,
                prefixes=config.holdout_prefixes,
                holdout_file=str(config.holdout_file or ""),
            )
        films = open_video_files([video.path for video in videos if is_video_file(video)], str(config.cache or ""))
        stretches = []
        for video in videos:
            try:
                stretches.append(self._make_segment(video, open_reader(video, films, strips=config.layout == "strips")))
            except UnreadableError as error:
                skipped.append(str(error))
        return stretches, skipped

    def _make_segment(self, video: VideoEntry, footage: VideoReader) -> Segment:
        if footage.channels != self.config.channels and {footage.channels, self.config.channels} != {1, 3}:
            raise ValueError(f"channels is {self.config.channels}, but {video.path} has {footage.channels}")
        first, last = video.start, min(video.stop or footage.frames, footage.frames)
        if self.config.split_by == "time":
            turn = first + round((last - first) * (1 - self.config.holdout_fraction))
            first, last = (first, turn) if self.train else (turn, last)
        if last - first < self.clip_span:
            raise UnreadableError(f"{video.path} has {max(0, last - first)} frames to cut from, not {self.clip_span}")
        return Segment(video, footage, first, last)

    def __len__(self) -> int:
        return self.cumulative_clips[-1]

    def __getitem__(self, sample: Sample) -> tuple[UInt8[Tensor, "time channel height width"], int]:
        for later in range(len(self)):
            index = (sample.index + later) % len(self)
            number = bisect_right(self.cumulative_clips, index)
            stretch, place = self.segments[number], index - (self.cumulative_clips[number - 1] if number else 0)
            try:
                return self._read_clip(stretch, place, sample.seed), self._label(stretch.video)
            except UnreadableError as error:
                if stretch.video.path not in self.unreadable:
                    self.unreadable.add(stretch.video.path)
                    log.warning("%s; its clips are replaced, as are those of %d more", error, len(self.unreadable) - 1)
        raise ValueError(f"not one clip in {self.config.path} can be decoded")

    def _read_clip(self, stretch: Segment, place: int, seed: int) -> UInt8[Tensor, "time channel height width"]:
        config, random = self.config, np.random.default_rng(seed)
        start = stretch.start + place * self.clip_span
        if self.train:
            start += int(random.integers(min(self.clip_span, stretch.stop - self.clip_span - start + 1)))
        frames = self._cached_reader(stretch).read(start, config.clip_frames, stride=config.stride)
        frames = resize_and_crop(
            convert_channels(frames, config.channels),
            config.height,
            config.width,
            resize=config.resize or 0,
            crop=config.crop if self.train else "centre",
            seed=int(random.integers(2**62)),
        )
        if self.train and config.flip and random.random() < 0.5:
            frames = frames.flip(3)
        return frames.contiguous()

    def _cached_reader(self, stretch: Segment) -> VideoReader:
        config = self.config
        if not config.cache or isinstance(stretch.reader, ArrayVideo):
            return stretch.reader
        return open_cached(
            stretch.reader,
            stretch.video.path,
            folder=str(config.cache),
            prepare=lambda frames: resize_to_cover(
                convert_channels(frames, config.channels), config.height, config.width, resize=config.resize or 0
            ),
            prepare_key=f"{config.height} {config.width} {config.resize} {config.channels} {config.layout == 'strips'}",
        )

    def _label(self, video: VideoEntry) -> int:
        return self.classes.index(video.label) if self.config.class_conditional else 0


def list_class_names(videos: list[VideoEntry], config: VideoDataConfig) -> tuple[str, ...]:
    """The class names of training and held-out videos alike; none unless labels are asked for."""
    if not config.class_conditional:
        return ()
    if bare := [video.name for video in videos if not video.label]:
        raise ValueError(f"labels is on, but no class is known for {bare[0]} in {config.path}")
    return tuple(sorted({video.label for video in videos}, key=natural_sort_key))


def is_video_file(video: VideoEntry) -> bool:
    return video.path.lower().endswith(VIDEO_SUFFIXES) and Path(video.path).is_file()


def open_reader(video: VideoEntry, films: dict[str, VideoFile | UnreadableError], *, strips: bool) -> VideoReader:
    """The opened video. Raises UnreadableError."""
    if video.array_video is not None:
        return video.array_video
    if strips:
        return open_image_strip(video.path)
    film = films.get(video.path) or open_video(video.path)
    if isinstance(film, UnreadableError):
        raise film
    return film


def collate(items: Sequence[tuple[Tensor, int]], context_frames: int) -> ClipBatch:
    """The items as one uint8 batch."""
    frames, labels = zip(*items, strict=True)
    return ClipBatch(torch.stack(frames), torch.tensor(labels), context_frames)
