"""Batches of clips in [-1, 1] from video files, folders of frames, arrays or moving digits."""

import logging
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from gancore.data import Sample
from gancore.errors import UnreadableError
from vidgan.config import VideoDataConfig
from vidgan.data.cache import Probe, open_cached, probe_videos
from vidgan.data.layouts import VideoEntry, expand_array_files, find_videos, select_split
from vidgan.data.moving_mnist import MovingMNIST
from vidgan.files.arrays import ArrayVideo
from vidgan.files.readers import VIDEO_SUFFIXES, VideoReader, natural_sort_key, open_image_strip
from vidgan.files.video import open_video
from vidgan.frames import convert_channels, resize_and_crop, resize_to_cover, to_float

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipBatch:
    """A batch of clips: uint8 in [0, 255] from the loader, float32 in [-1, 1] after `to`."""

    frames: Float[Tensor, "batch time channel height width"] | UInt8[Tensor, "batch time channel height width"]
    labels: Int64[Tensor, " batch"]
    context_frames: int

    @property
    def past(self) -> Tensor:
        """The first `context_frames` frames of every clip."""
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
        """Copies to page-locked memory, from which transfers to the device run in the background."""
        return ClipBatch(self.frames.pin_memory(), self.labels.pin_memory(), self.context_frames)

    def to(self, device: torch.device | str) -> "ClipBatch":
        """Moves to the device and there scales bytes to [-1, 1]; floats are only moved."""
        frames = self.frames.to(device, non_blocking=True)
        if frames.dtype == torch.uint8:
            frames = to_float(frames)
        return ClipBatch(frames, self.labels.to(device, non_blocking=True), self.context_frames)


@runtime_checkable
class ClipDataset(Protocol):
    """A data set of clips, read by (index, seed); everything random about a clip is derived from the seed."""

    classes: tuple[str, ...]
    """Names of the classes; empty for unlabelled clips."""

    def __len__(self) -> int: ...

    def __getitem__(self, sample: Sample) -> tuple[Tensor, int]:
        """The uint8 frames (time, channel, height, width) of a clip and the number of its class, 0 without classes."""
        ...


def open_dataset(config: VideoDataConfig, *, train: bool) -> ClipDataset:
    """Opens the training or the held-out clips of the source.

    Raises FileNotFoundError if the source does not exist, ValueError if it holds no clip of the requested length.
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
    return open_video_clips(config, train=train)


@dataclass(frozen=True)
class Segment:
    """Frames `start` to `stop` (excluded) of a video, which clips are cut from."""

    video: VideoEntry
    reader: VideoReader
    start: int
    stop: int


def open_video_clips(config: VideoDataConfig, *, train: bool) -> "VideoClipDataset":
    """Finds the videos of the source and opens those of the training or the held-out part; decodes nothing yet.

    Videos that cannot be read or are too short are skipped with one warning for all. A source of a single video is
    split by time, as it cannot be split by name. Raises what open_dataset does.
    """
    found = find_videos(config.path, config.layout)
    classes = list_class_names(found, config.path) if config.class_conditional else ()
    videos, skipped = expand_array_files(found, config.channels)
    alone = is_single_video(videos, config)
    if config.split_by == "name" and not alone:
        videos = select_split(
            videos,
            train=train,
            fraction=config.holdout_fraction,
            prefixes=config.holdout_prefixes,
            holdout_file=config.holdout_file,
        )
    clip_span = (config.clip_frames - 1) * config.stride + 1
    probes = probe_videos([video.path for video in videos if is_video_file(video)], config.cache)
    segments = []
    for video in videos:
        try:
            reader = open_reader(video, probes, strips=config.layout == "strips")
            check_channels(video, reader, config.channels)
            start, stop = video.start, min(video.stop or reader.frames, reader.frames)
            if config.split_by == "time" or alone:
                boundary = start + round((stop - start) * (1 - config.holdout_fraction))
                if alone and stop - start >= 2 * clip_span:  # enough for a clip on either side
                    boundary = min(max(boundary, start + clip_span), stop - clip_span)
                start, stop = (start, boundary) if train else (boundary, stop)
            if stop - start < clip_span:
                raise UnreadableError(f"{video.path} has {max(0, stop - start)} frames to cut from, not {clip_span}")
        except UnreadableError as error:
            skipped.append(str(error))
        else:
            segments.append(Segment(video, reader, start, stop))
    if not segments:
        message = (
            f"no {'training' if train else 'held-out'} clip of {config.clip_frames} frames at stride {config.stride} "
            f"in {config.path}: {len(found)} videos found, {len(skipped)} of this part skipped"
        )
        if skipped:
            message += f" ({skipped[0]})"
        elif config.split_by == "name":
            message += "; another holdout_fraction or split_by=time leaves videos in both parts"
        raise ValueError(message)
    if skipped:
        log.warning("%d videos are skipped: %s", len(skipped), "; ".join(skipped[:20]))
    return VideoClipDataset(segments, classes, config, train=train)


def is_single_video(videos: list[VideoEntry], config: VideoDataConfig) -> bool:
    """Whether the source is one video of which a part is held out, without anything that says which videos are."""
    chosen = config.holdout_file or config.holdout_prefixes or any(video.split for video in videos)
    return len(videos) == 1 and not chosen and 0 < config.holdout_fraction < 1


class VideoClipDataset:
    """Clips cut from segments of videos: one item for each clip's length of a segment, so that long videos count more.

    A training clip begins anywhere within its item's length, held-out clips lie end to end. Where a video turns out to
    be broken only as it is decoded, the next good clip replaces it, the same one at every reading; the warning about
    it is logged once in every process that reads clips.
    """

    def __init__(self, segments: Sequence[Segment], classes: tuple[str, ...], config: VideoDataConfig, *, train: bool):
        self.segments, self.classes, self.config, self.train = segments, classes, config, train
        self.clip_span = (config.clip_frames - 1) * config.stride + 1
        self.cumulative_clips = list(accumulate((each.stop - each.start) // self.clip_span for each in segments))
        self._warned: set[str] = set()
        """Paths of broken videos that this process has logged; every loader worker has a set of its own."""

    def __len__(self) -> int:
        return self.cumulative_clips[-1]

    def __getitem__(self, sample: Sample) -> tuple[UInt8[Tensor, "time channel height width"], int]:
        for offset in range(len(self)):
            index = (sample.index + offset) % len(self)
            number = bisect_right(self.cumulative_clips, index)
            segment, item = self.segments[number], index - (self.cumulative_clips[number - 1] if number else 0)
            try:
                return self._read_clip(segment, item, sample.seed), self._label(segment.video)
            except UnreadableError as error:
                if segment.video.path not in self._warned:
                    self._warned.add(segment.video.path)
                    log.warning("%s; its clips are replaced, as are those of %d more", error, len(self._warned) - 1)
        raise ValueError(f"not one clip in {self.config.path} can be decoded")

    def _read_clip(self, segment: Segment, item: int, seed: int) -> UInt8[Tensor, "time channel height width"]:
        config, random = self.config, np.random.default_rng(seed)
        start = segment.start + item * self.clip_span
        if self.train:
            start += int(random.integers(min(self.clip_span, segment.stop - self.clip_span - start + 1)))
        frames = self._cached_reader(segment).read(start, config.clip_frames, stride=config.stride)
        frames = resize_and_crop(
            convert_channels(frames, config.channels),
            config.height,
            config.width,
            resize=config.resize,
            crop=config.crop if self.train else "centre",
            seed=int(random.integers(2**62)),
        )
        if self.train and config.flip and random.random() < 0.5:
            frames = frames.flip(3)
        return frames.contiguous()

    def _cached_reader(self, segment: Segment) -> VideoReader:
        config = self.config
        if not config.cache or isinstance(segment.reader, ArrayVideo):
            return segment.reader
        return open_cached(
            segment.reader,
            segment.video.path,
            folder=config.cache,
            prepare=lambda frames: resize_to_cover(
                convert_channels(frames, config.channels), config.height, config.width, resize=config.resize
            ),
            prepare_key=f"{config.height} {config.width} {config.resize} {config.channels} {config.layout == 'strips'}",
        )

    def _label(self, video: VideoEntry) -> int:
        return self.classes.index(video.label) if video.label and self.classes else 0


def list_class_names(videos: list[VideoEntry], source: str) -> tuple[str, ...]:
    """The names of the classes of training and held-out videos alike, in natural order.

    Raises ValueError if the class of a video is unknown.
    """
    if unlabelled := [video.name for video in videos if not video.label]:
        raise ValueError(
            f"class_conditional is on, but no class is known for {unlabelled[0]} in {source}: put each video into a "
            "folder that is named after its class"
        )
    return tuple(sorted({video.label for video in videos if video.label}, key=natural_sort_key))


def is_video_file(video: VideoEntry) -> bool:
    """Whether the entry is a file that PyAV reads, not an array, a zip or a folder of images."""
    return video.path.lower().endswith(VIDEO_SUFFIXES) and Path(video.path).is_file()


def open_reader(video: VideoEntry, probes: Mapping[str, Probe], *, strips: bool) -> VideoReader:
    """Opens a video for reading, by its probe if it has one. Raises UnreadableError if it cannot be read."""
    if video.array_video is not None:
        return video.array_video
    if strips:
        return open_image_strip(video.path)
    probe = probes.get(video.path)
    if probe is None:
        return open_video(video.path)
    if probe.reader is None:
        raise UnreadableError(probe.reason)
    return probe.reader


def check_channels(video: VideoEntry, reader: VideoReader, channels: int) -> None:
    """Raises ValueError unless the video has `channels` channels, or grey can be converted to RGB or back."""
    if reader.channels != channels and {reader.channels, channels} != {1, 3}:
        raise ValueError(
            f"channels is {channels}, but {video.path} has {reader.channels} channels: "
            f"set data.channels to {reader.channels}"
        )


def collate(items: Sequence[tuple[Tensor, int]], context_frames: int) -> ClipBatch:
    """Stacks items of a data set into one uint8 batch."""
    frames, labels = zip(*items, strict=True)
    return ClipBatch(torch.stack(frames), torch.tensor(labels), context_frames)
