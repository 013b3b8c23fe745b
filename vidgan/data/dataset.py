"""A folder of videos, frame folders, arrays or moving digits -> batches of clips in [-1, 1]."""

import logging
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from gancore.data import Sample
from vidgan.data.cache import decoded, open_films
from vidgan.data.layouts import Video, find_videos, part_of, unfolded
from vidgan.data.moving_mnist import MovingDigits
from vidgan.files.arrays import ArrayClip
from vidgan.files.readers import FILMS, Film, Footage, UnreadableError, natural, open_strip
from vidgan.files.video import open_footage, resize_and_crop, resized, to_float, with_channels

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clips:
    """A batch of clips: uint8 [0, 255] as the loader makes it, float32 [-1, 1] after `to`."""

    frames: Float[Tensor, "batch time channel height width"] | UInt8[Tensor, "batch time channel height width"]
    labels: Int64[Tensor, " batch"]
    context: int

    @property
    def past(self) -> Tensor:
        """The first `context` frames of every clip."""
        return self.frames[:, : self.context]

    @property
    def future(self) -> Tensor:
        """The frames after the past."""
        return self.frames[:, self.context :]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, part: slice) -> "Clips":
        return Clips(self.frames[part], self.labels[part], self.context)

    def pin_memory(self) -> "Clips":
        """The batch in page-locked memory, from which the device can be fed while it works."""
        return Clips(self.frames.pin_memory(), self.labels.pin_memory(), self.context)

    def to(self, device: torch.device | str) -> "Clips":
        """The batch on the device, scaled there; floats are only moved."""
        frames = self.frames.to(device, non_blocking=True)
        if frames.dtype == torch.uint8:
            frames = to_float(frames)
        return Clips(frames, self.labels.to(device, non_blocking=True), self.context)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which clips to train on, and how they are cut from their videos."""

    source: str = "moving-mnist"
    """"moving-mnist" for moving digits made on the fly, or a folder or file of videos, frames or arrays."""

    layout: Literal["auto", "folder", "ucf101", "kinetics600", "kth", "bair", "strips"] = "auto"
    """How the videos lie in the source; "auto" recognises all but strips (pictures with the frames side by side)."""

    height: int = 64
    """Height of a frame in pixels."""

    width: int = 64
    """Width of a frame in pixels."""

    channels: int = 3
    """3 for RGB, 1 for luminance, any other number for arrays that have as many channels."""

    frames: int = 20
    """Length of a clip in frames, context included."""

    context: int = 10
    """How many of the frames are the past that is given; 0 for synthesis without a past."""

    stride: int = 1
    """Frames of the video from one frame of the clip to the next."""

    crop: Literal["centre", "random"] = "centre"
    """Where training clips are cut out of larger frames; held-out clips are always cut at the centre."""

    resize: int = 0
    """Shorter side in pixels before the crop; 0 resizes until the frame just covers height x width."""

    flip: bool = False
    """Mirror half of the training clips left to right."""

    labels: bool = False
    """Take the name of the folder around each video as its class."""

    held_out: float = 0.1
    """Share that is never trained on, where the layout has no split of its own; 1 to measure on all of the source."""

    held_out_names: tuple[str, ...] = ()
    """Hold out exactly the files whose names begin with one of these, in place of a share."""

    split: Literal["name", "time"] = "name"
    """"name" holds out whole videos, "time" the end of every video, for few and long ones."""

    split_file: str = ""
    """A text file that names the held-out videos, one a line, in place of a share."""

    cache: str = ""
    """Folder for videos decoded once into memory-mapped files; empty decodes every time."""

    digits: int = 2
    """How many digits move in a moving-mnist clip."""

    workers: int = 0
    """Processes that read clips beside the training process."""

    def __post_init__(self) -> None:
        for key in ("height", "width", "channels", "frames", "stride", "digits"):
            require(getattr(self, key) >= 1, f"{key} must be at least 1, not {getattr(self, key)}")
        for key in ("workers", "resize"):
            require(getattr(self, key) >= 0, f"{key} must not be negative, not {getattr(self, key)}")
        limits = f"[0, frames) = [0, {self.frames})"
        require(0 <= self.context < self.frames, f"context must lie in {limits}, not {self.context}")
        require(0 <= self.held_out <= 1, f"held_out must lie in [0, 1], not {self.held_out}")
        require(not (self.split_file and self.held_out_names), "split_file and held_out_names exclude each other")
        require(
            self.split == "name" or not (self.split_file or self.held_out_names),
            "split=time holds out the end of every video, so it takes neither split_file nor held_out_names",
        )
        require(not (self.labels and self.source == "moving-mnist"), "labels is on, but moving-mnist has no classes")


def require(condition: bool, complaint: str) -> None:
    if not condition:
        raise ValueError(complaint)


@runtime_checkable
class Dataset(Protocol):
    """Clips by (index, seed); everything random about a clip comes from the seed."""

    classes: tuple[str, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, sample: Sample) -> tuple[Tensor, int]: ...


def open_dataset(config: DataConfig, *, train: bool) -> Dataset:
    """The training or the held-out clips of the source.

    Raises FileNotFoundError if there is no such source, ValueError if it holds no clip of the length asked for.
    """
    if config.source == "moving-mnist":
        return MovingDigits(
            train=train,
            height=config.height,
            width=config.width,
            channels=config.channels,
            frames=config.frames,
            digits=config.digits,
        )
    return VideoClips(config, train=train)


@dataclass(frozen=True)
class Stretch:
    """Frames `first` to `last` (excluded) of a video, which clips are cut from."""

    video: Video
    footage: Footage
    first: int
    last: int


class VideoClips:
    """Clips cut from videos: one item for each clip's length of footage, so that longer videos count for more.

    A training clip begins anywhere within its length, held-out clips lie end to end. Where a video turns out broken
    only as it is decoded, the next good clip stands in, the same at every reading, and the video is named once.
    """

    def __init__(self, config: DataConfig, *, train: bool):
        self.config, self.train = config, train
        self.span = (config.frames - 1) * config.stride + 1
        videos = find_videos(config.source, config.layout)
        self.classes = classes_of(videos, config)
        self.stretches, skipped = self._open(videos)
        self.ends = list(accumulate((stretch.last - stretch.first) // self.span for stretch in self.stretches))
        self.broken: set[str] = set()
        if not self.ends:
            raise ValueError(
                f"no {'training' if train else 'held-out'} clip of {config.frames} frames at stride {config.stride} in "
                f"{config.source}: {len(videos)} videos found, {len(skipped)} of this part skipped"
                + (f" ({skipped[0]})" if skipped else "")
            )
        if skipped:
            log.warning("%d videos are skipped: %s", len(skipped), "; ".join(skipped[:20]))

    def _open(self, videos: list[Video]) -> tuple[list[Stretch], list[str]]:
        """The stretches of this part that hold a clip, and for each video without one a line that says why."""
        config = self.config
        videos, skipped = unfolded(videos, config.channels)
        if config.split == "name":
            videos = part_of(
                videos,
                train=self.train,
                share=config.held_out,
                names=config.held_out_names,
                split_file=config.split_file,
            )
        films = open_films([video.path for video in videos if is_film(video)], config.cache)
        stretches = []
        for video in videos:
            try:
                stretches.append(self._stretch(video, footage_of(video, films, strips=config.layout == "strips")))
            except UnreadableError as error:
                skipped.append(str(error))
        return stretches, skipped

    def _stretch(self, video: Video, footage: Footage) -> Stretch:
        if footage.channels != self.config.channels and {footage.channels, self.config.channels} != {1, 3}:
            raise ValueError(f"channels is {self.config.channels}, but {video.path} has {footage.channels}")
        first, last = video.first, min(video.last or footage.frames, footage.frames)
        if self.config.split == "time":
            turn = first + round((last - first) * (1 - self.config.held_out))
            first, last = (first, turn) if self.train else (turn, last)
        if last - first < self.span:
            raise UnreadableError(f"{video.path} has {max(0, last - first)} frames to cut from, not {self.span}")
        return Stretch(video, footage, first, last)

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, sample: Sample) -> tuple[UInt8[Tensor, "time channel height width"], int]:
        for later in range(len(self)):
            index = (sample.index + later) % len(self)
            number = bisect_right(self.ends, index)
            stretch, place = self.stretches[number], index - (self.ends[number - 1] if number else 0)
            try:
                return self._cut(stretch, place, sample.seed), self._label(stretch.video)
            except UnreadableError as error:
                if stretch.video.path not in self.broken:
                    self.broken.add(stretch.video.path)
                    log.warning("%s; its clips are replaced, as are those of %d more", error, len(self.broken) - 1)
        raise ValueError(f"not one clip in {self.config.source} can be decoded")

    def _cut(self, stretch: Stretch, place: int, seed: int) -> UInt8[Tensor, "time channel height width"]:
        config, random = self.config, np.random.default_rng(seed)
        start = stretch.first + place * self.span
        if self.train:
            start += int(random.integers(min(self.span, stretch.last - self.span - start + 1)))
        frames = self._source(stretch).read(start, config.frames, stride=config.stride)
        frames = resize_and_crop(
            with_channels(frames, config.channels),
            config.height,
            config.width,
            resize=config.resize,
            crop=config.crop if self.train else "centre",
            seed=int(random.integers(2**62)),
        )
        if self.train and config.flip and random.random() < 0.5:
            frames = frames.flip(3)
        return frames.contiguous()

    def _source(self, stretch: Stretch) -> Footage:
        config = self.config
        if not config.cache or isinstance(stretch.footage, ArrayClip):
            return stretch.footage
        return decoded(
            stretch.footage,
            stretch.video.path,
            folder=config.cache,
            prepare=lambda frames: resized(
                with_channels(frames, config.channels), config.height, config.width, resize=config.resize
            ),
            how=f"{config.height} {config.width} {config.resize} {config.channels} {config.layout == 'strips'}",
        )

    def _label(self, video: Video) -> int:
        return self.classes.index(video.label) if self.config.labels else 0


def classes_of(videos: list[Video], config: DataConfig) -> tuple[str, ...]:
    """The class names of training and held-out videos alike; none unless labels are asked for."""
    if not config.labels:
        return ()
    if bare := [video.name for video in videos if not video.label]:
        raise ValueError(f"labels is on, but no class is known for {bare[0]} in {config.source}")
    return tuple(sorted({video.label for video in videos}, key=natural))


def is_film(video: Video) -> bool:
    return video.path.lower().endswith(FILMS) and Path(video.path).is_file()


def footage_of(video: Video, films: dict[str, Film | UnreadableError], *, strips: bool) -> Footage:
    """The opened video. Raises UnreadableError."""
    if video.clip is not None:
        return video.clip
    if strips:
        return open_strip(video.path)
    film = films.get(video.path) or open_footage(video.path)
    if isinstance(film, UnreadableError):
        raise film
    return film


def collate(items: Sequence[tuple[Tensor, int]], context: int) -> Clips:
    """The items as one uint8 batch."""
    frames, labels = zip(*items, strict=True)
    return Clips(torch.stack(frames), torch.tensor(labels), context)
