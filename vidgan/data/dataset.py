"""Data sets of clips, cut from video files, folders of frames or arrays, or generated: opening, splitting, reading."""

import logging
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.data import Sample
from gancore.errors import UnreadableError
from gancore.splits import Split, divide_held_out
from vidgan.data.cache import open_cached, probe_videos
from vidgan.data.layouts import VideoEntry, expand_array_files, find_videos, select_split
from vidgan.data.moving_mnist import MovingMNIST
from vidgan.data.synthetic.cut_outs import CutOutClips, Item
from vidgan.data.synthetic.mixture import MixedClips
from vidgan.data.synthetic.patches import PatchSource, ProceduralPatches, VideoPatches
from vidgan.data.synthetic.physics import PhysicsClips
from vidgan.data.synthetic.puppets import PuppetClips
from vidgan.data.synthetic.sprite_world import SpriteWorld
from vidgan.data_config import VideoDataConfig
from vidgan.files.actions import read_video_actions
from vidgan.files.arrays import ArrayVideo
from vidgan.files.image_sequence import open_image_strip
from vidgan.files.readers import VIDEO_SUFFIXES, VideoReader, natural_sort_key
from vidgan.files.video import open_video
from vidgan.files.video_file import VideoFile
from vidgan.frames import Frames, convert_channels, resize_and_crop, resize_to_cover

log = logging.getLogger(__name__)

Probes: TypeAlias = Mapping[str, VideoFile | UnreadableError]
"""By path, opened video files, or the reasons why they cannot be read."""

BUNDLED_CLIP = files("vidgan") / "assets" / "pedestrians.mp4"
"""The clip that the path "pedestrians" stands for: 300 frames of a street."""


@runtime_checkable
class ClipDataset(Protocol):
    """A data set of clips, read by (index, seed); everything random about a clip is derived from the seed."""

    classes: tuple[str, ...]
    """Names of the classes; empty for unlabelled clips."""

    def __len__(self) -> int: ...

    def __getitem__(self, sample: Sample) -> Item:
        """The uint8 frames (time, channel, height, width) of a clip and the number of its class, 0 without classes."""
        ...


def open_dataset(config: VideoDataConfig, *, split: Split, displacements: bool = False) -> ClipDataset:
    """Opens a split of the source: train for training, val for choosing weights, test for evaluation.

    With `displacements`, cut-outs come with the displacements of their pixels.

    Raises:
        FileNotFoundError: The source does not exist.
        ValueError: The source holds no clip of the requested length.
    """
    shape = {name: getattr(config, name) for name in ("height", "width", "channels", "clip_frames")}
    known_after = config.context_frames if displacements else None
    match config.path:
        case "moving-mnist":
            return MovingMNIST(split=split, digits=config.digits, **shape)
        case "cut-outs":
            return CutOutClips(open_patches(config, split=split), split=split, known_after=known_after, **shape)
        case "physics":
            patches, acted = open_patches(config, split=split), config.actions > 0
            return PhysicsClips(patches, actions=acted, split=split, **shape)
        case "sprite-world":
            patches, acted = open_patches(config, split=split), config.actions > 0
            return SpriteWorld(patches, actions=acted, split=split, **shape)
        case "puppets":
            return PuppetClips(open_patches(config, split=split), split=split, **shape)
    videos = open_video_clips(config, split=split)
    if split != "train" or not config.synthetic_fraction:
        return videos
    rendered = CutOutClips(cut_patches(videos), split=split, known_after=known_after, **shape)
    return MixedClips(videos, rendered, fraction=config.synthetic_fraction)


def open_patches(config: VideoDataConfig, *, split: Split) -> PatchSource:
    """The patches that rendered clips of a split show: of its part of the videos in `config.patches`, if given."""
    if not config.patches:
        return ProceduralPatches()
    return cut_patches(
        open_video_clips(
            replace(config, path=config.patches, patches=None, clip_frames=1, context_frames=0), split=split
        )
    )


def cut_patches(videos: "VideoClipDataset") -> VideoPatches:
    """Patches of the frames of a split."""
    return VideoPatches(
        [(segment.reader, range(segment.start, segment.stop)) for segment in videos.segments],
        smallest=round(1.5 * min(videos.config.height, videos.config.width)),
    )


@dataclass(frozen=True)
class Segment:
    """Frames `start` to `stop` (excluded) of a video, from which clips are cut."""

    video: VideoEntry
    reader: VideoReader
    start: int
    stop: int
    actions: Float[np.ndarray, "frames size"] | None = None
    """The action at each frame of the whole video, for clips with actions."""


def open_video_clips(config: VideoDataConfig, *, split: Split) -> "VideoClipDataset":
    """Finds the videos of the source and opens those of a split, without decoding them yet.

    Held-out videos are divided between val and test by a hash of their names (exceptions are in `select_split`). With
    `split_by` "time", the held-out end of each video is divided in the middle. A source that is a single video is
    always split by time. A single held-out video or clip cannot be divided and is both val and test, and `val_is_test`
    is set.

    Videos that cannot be read or are too short are skipped, with one warning for all. Raises as `open_dataset`.
    """
    source = str(BUNDLED_CLIP) if config.path == "pedestrians" else config.path
    found = find_videos(source, config.layout, limits=config, exclude=config.cache)
    classes = list_class_names(found, source) if config.class_conditional else ()
    videos, skipped = expand_array_files(found, config.channels, limits=config)
    alone = is_single_video(videos, config)
    by_time = config.split_by == "time" or alone
    undivided = by_time and split != "train" and config.holdout_fraction < 1
    if not by_time:
        videos, undivided = select_split(
            videos,
            split=split,
            fraction=config.holdout_fraction,
            prefixes=config.holdout_prefixes,
            holdout_file=config.holdout_file,
        )
    probes = probe_videos([video.path for video in videos if is_video_file(video)], config.cache, limits=config)
    segments = []
    for video in videos:
        try:
            segment = open_segment(video, config, probes)
            segments.append(take_part(segment, config, train=split == "train", alone=alone) if by_time else segment)
        except (UnreadableError, FileNotFoundError) as error:
            skipped.append(" ".join(str(error).split()))
    if not segments:
        message = (
            f"no {'training' if split == 'train' else 'held-out'} clip of {config.clip_frames} frames at stride "
            f"{config.stride} in {config.path}: videos found: {len(found)}, of this part skipped: {len(skipped)}"
        )
        if skipped:
            message += f" ({skipped[0]})"
        elif config.split_by == "name":
            message += "; another holdout_fraction or split_by=time leaves videos in both parts"
        raise ValueError(message)
    if skipped:
        log.warning("videos skipped (%d): %s", len(skipped), "; ".join(skipped[:20]))
    val_is_test = split != "train" and not any(video.split == "val" for video in found)
    if undivided:
        parts = divide_by_time(segments, clip_span(config)) if by_time else divide_by_name(segments)
        val_is_test = not parts["val"]
        segments = parts["test" if val_is_test else split]
    return VideoClipDataset(segments, classes, config, split=split, val_is_test=val_is_test)


def clip_span(config: VideoDataConfig) -> int:
    """Number of video frames that a clip spans, from its first to its last frame."""
    return (config.clip_frames - 1) * config.stride + 1


def open_segment(video: VideoEntry, config: VideoDataConfig, probes: Probes) -> Segment:
    """Opens a whole video as one segment.

    Raises:
        UnreadableError: It cannot be read, is too short for a clip, or has no actions although they are configured.
        ValueError: Its number of channels cannot be converted to the configured one.
    """
    reader = open_reader(video, probes, config)
    check_channels(video, reader, config.channels)
    segment = Segment(video, reader, video.start, min(video.stop or reader.frames, reader.frames))
    check_length(segment, config)
    if not config.actions:
        return segment
    return replace(segment, actions=read_video_actions(video.path, reader, size=config.actions, limits=config))


def check_length(segment: Segment, config: VideoDataConfig) -> None:
    """Raises UnreadableError if the segment is too short for a clip."""
    frames, span = segment.stop - segment.start, clip_span(config)
    if frames < span:
        raise UnreadableError(f"{segment.video.path} has {max(0, frames)} frames to cut from, not {span}")


def take_part(segment: Segment, config: VideoDataConfig, *, train: bool, alone: bool) -> Segment:
    """The part of a video for training, or its held-out end, in a split by time.

    If the video is `alone` in its source and long enough for two clips, both parts get at least one. Raises
    UnreadableError if the part is too short for a clip.
    """
    start, stop, span = segment.start, segment.stop, clip_span(config)
    boundary = start + round((stop - start) * (1 - config.holdout_fraction))
    if alone and stop - start >= 2 * span:
        boundary = min(max(boundary, start + span), stop - span)
    part = replace(segment, stop=boundary) if train else replace(segment, start=boundary)
    check_length(part, config)
    return part


def divide_by_name(segments: Sequence[Segment]) -> dict[Split, list[Segment]]:
    """Divides held-out videos between val and test by a hash, keeping groups together; a single group is all test."""
    splits = divide_held_out({each.video.group or each.video.name for each in segments})
    parts: dict[Split, list[Segment]] = {"val": [], "test": []}
    for each in segments:
        parts[splits[each.video.group or each.video.name]].append(each)
    return parts


def divide_by_time(segments: Sequence[Segment], span: int) -> dict[Split, list[Segment]]:
    """Divides the held-out end of each video: the earlier half of its clips is val, the later half test.

    An end with a single clip is test.
    """
    parts: dict[Split, list[Segment]] = {"val": [], "test": []}
    for each in segments:
        middle = each.start + (each.stop - each.start) // span // 2 * span
        if middle > each.start:
            parts["val"].append(replace(each, stop=middle))
        parts["test"].append(replace(each, start=middle))
    return parts


def is_single_video(videos: list[VideoEntry], config: VideoDataConfig) -> bool:
    """Whether the source is a single video, partly held out, that neither options nor the layout assign to a split."""
    chosen = config.holdout_file or config.holdout_prefixes or any(video.split for video in videos)
    return len(videos) == 1 and not chosen and 0 < config.holdout_fraction < 1


class VideoClipDataset:
    """Clips cut from segments of videos, with one item per clip length of a segment, so longer videos count more.

    A training clip starts anywhere within its item; held-out clips lie end to end. A clip that fails to decode is
    replaced by the next one that can be decoded, always the same, with one warning per video and reading process.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        classes: tuple[str, ...],
        config: VideoDataConfig,
        *,
        split: Split,
        val_is_test: bool = False,
    ):
        """`val_is_test`: held-out clips could not be divided, so that val and test are the same."""
        self.segments, self.classes, self.config = segments, classes, config
        self.split, self.train, self.val_is_test = split, split == "train", val_is_test
        self.clip_span = clip_span(config)
        self.resize = (self.train and config.max_resize) or config.resize
        self.cumulative_clips = list(accumulate((each.stop - each.start) // self.clip_span for each in segments))
        self._warned: set[str] = set()
        """Paths of broken videos that this process has warned about; every loader worker has its own set."""

    def __len__(self) -> int:
        return self.cumulative_clips[-1]

    def __getitem__(self, sample: Sample) -> Item:
        for offset in range(len(self)):
            random = np.random.default_rng(sample.seed)
            segment, start, stride = self.place_clip((sample.index + offset) % len(self), random)
            try:
                frames, label = self._read_clip(segment, start, stride, random), self._label(segment.video)
                if segment.actions is None:
                    return frames, label
                return frames, label, None, None, torch.from_numpy(segment.actions[start : start + len(frames)])
            except UnreadableError as error:
                if segment.video.path not in self._warned:
                    self._warned.add(segment.video.path)
                    log.warning("%s; its clips are replaced, as are those of %d more", error, len(self._warned) - 1)
        raise ValueError(f"not one clip in {self.config.path} can be decoded")

    @property
    def item_names(self) -> list[str]:
        """One line per segment: name of the video below the source, start and stop."""
        return [f"{each.video.name} {each.start} {each.stop}" for each in self.segments]

    def place_clip(self, index: int, random: np.random.Generator) -> tuple[Segment, int, int]:
        """Returns the segment of an item, the first video frame of its clip, and the stride between frames."""
        config, number = self.config, bisect_right(self.cumulative_clips, index)
        segment, item = self.segments[number], index - (self.cumulative_clips[number - 1] if number else 0)
        start, stride = segment.start + item * self.clip_span, config.stride
        if self.train:
            start += int(random.integers(min(self.clip_span, segment.stop - self.clip_span - start + 1)))
        if self.train and config.max_stride:
            longest = (segment.stop - segment.start - 1) // max(config.clip_frames - 1, 1)
            stride = int(random.integers(stride, max(stride, min(config.max_stride, longest)) + 1))
            start = min(start, segment.stop - (config.clip_frames - 1) * stride - 1)
        return segment, start, stride

    def _read_clip(
        self, segment: Segment, start: int, stride: int, random: np.random.Generator
    ) -> UInt8[Tensor, "time channel height width"]:
        config, shorter = self.config, None
        frames = self._prepare(self._cached_reader(segment).read(start, config.clip_frames, stride=stride))
        if self.train and config.max_resize:
            smallest = config.resize or min(config.height, config.width)
            shorter = int(random.integers(smallest, config.max_resize + 1))
        frames = resize_and_crop(
            frames,
            config.height,
            config.width,
            resize=shorter or min(frames.shape[2:]),
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
        shape = f"{config.height} {config.width} {self.resize} {config.channels} {config.layout == 'strips'}"
        return open_cached(
            segment.reader,
            segment.video.path,
            folder=config.cache,
            prepare=self._prepare,
            prepare_key=f"{shape} {segment.video.name} {segment.video.member}",
        )

    def _prepare(self, frames: UInt8[Tensor, "time c h w"]) -> Frames:
        """The frames as they are cached: converted, and as large as a clip may need them. Idempotent."""
        config = self.config
        return resize_to_cover(
            convert_channels(frames, config.channels), config.height, config.width, resize=self.resize
        )

    def _label(self, video: VideoEntry) -> int:
        return self.classes.index(video.label) if video.label and self.classes else 0


def list_class_names(videos: list[VideoEntry], source: str) -> tuple[str, ...]:
    """The class names of all videos, training and held-out, in natural order.

    Raises ValueError if the class of a video is unknown.
    """
    if unlabelled := [video.name for video in videos if not video.label]:
        raise ValueError(
            f"class_conditional is on, but no class is known for {unlabelled[0]} in {source}: put each video into a "
            "folder that is named after its class"
        )
    return tuple(sorted({video.label for video in videos if video.label}, key=natural_sort_key))


def is_video_file(video: VideoEntry) -> bool:
    """Whether the entry is a video file, which PyAV reads, not an array, a zip or a folder of images."""
    return video.path.lower().endswith(VIDEO_SUFFIXES) and Path(video.path).is_file() and video.member is None


def open_reader(video: VideoEntry, probes: Probes, config: VideoDataConfig) -> VideoReader:
    """Opens a video for reading, with its probe if it has one. Raises UnreadableError if it cannot be read."""
    if video.reader is not None:
        return video.reader
    if config.layout == "strips":
        return open_image_strip(video.path, limits=config)
    probe = probes.get(video.path)
    if probe is None:
        return open_video(video.address, channels=config.channels, limits=config)
    if isinstance(probe, UnreadableError):
        raise probe
    return probe


def check_channels(video: VideoEntry, reader: VideoReader, channels: int) -> None:
    """Raises ValueError unless the video has `channels` channels, or grey can be converted to RGB or back."""
    if reader.channels != channels and {reader.channels, channels} != {1, 3}:
        raise ValueError(
            f"channels is {channels}, but {video.path} has {reader.channels} channels: "
            f"set data.channels to {reader.channels}"
        )
