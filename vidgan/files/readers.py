"""One video of any kind, opened cheaply and read in windows: films, frame folders, zips, strips and arrays."""

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import dropwhile
from pathlib import Path
from typing import Protocol, runtime_checkable

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

VIDEO_SUFFIXES = (
    ".mp4",
    ".avi",
    ".mkv",
    ".webm",
    ".gif",
    ".mov",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".wmv",
    ".flv",
    ".ogv",
    ".3gp",
)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")

MAX_MISSING_FRAMES = 2
"""The last frame stands in for so many that the container counts and the decoder never gives (dropped, not coded)."""

DEFAULT_RATE = Fraction(10)
"""Frames per second of pictures and arrays, which state none."""

RGBImage = UInt8[np.ndarray, "height width 3"]


class UnreadableError(ValueError):
    """A video that is broken, or shorter than it was said to be; the message names the file."""


@runtime_checkable
class VideoReader(Protocol):
    """A video of `frames` frames at `rate` frames per second."""

    @property
    def frames(self) -> int: ...

    @property
    def rate(self) -> Fraction: ...

    @property
    def channels(self) -> int: ...

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        """Frames start, start + stride, ...; raises UnreadableError if they cannot be had."""
        ...


@dataclass(frozen=True)
class VideoFile:
    """Anything PyAV decodes, as RGB at a constant rate.

    Where frames are not evenly spaced, frame number k is the one on show nearest to k / rate seconds. Quarter turns of
    the display matrix are applied, alpha lies on black, sound is ignored.
    """

    path: str
    frames: int
    rate: Fraction
    origin: int
    """Time stamp of frame 0 in the stream's own unit."""
    timed: bool
    """Whether the frames carry time stamps; without them frames are counted from the beginning."""

    channels = 3

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        wanted = list(range(start, start + count * stride, stride))
        pictures: list[RGBImage] = []
        shown: VideoFrame | None = None
        end = 0
        for position, frame in self._frames_from(start):
            while len(pictures) < count and shown is not None and wanted[len(pictures)] < position:
                pictures.append(frame_to_rgb(shown))
            if len(pictures) == count:
                return stack_images(pictures, self.path)
            shown, end = frame, max(position + 1, self._frame_number(frame, frame.duration))
        while shown is not None and len(pictures) < count and wanted[len(pictures)] < end + MAX_MISSING_FRAMES:
            pictures.append(frame_to_rgb(shown))
        if len(pictures) < count:
            raise UnreadableError(f"{self.path} ends before frame {wanted[len(pictures)]}")
        return stack_images(pictures, self.path)

    def _frames_from(self, start: int) -> Iterator[tuple[int, VideoFrame]]:
        """Positions and frames in the order shown, from `start` or the key frame before it on."""
        # Containers index by decoding time, so the key frame they find may be shown only after `start`: look earlier.
        for seconds in (0, 1, 4, 16) if self.timed and start else ():
            with open_decoder(self.path) as (container, stream):
                if not seek_keyframe(
                    container, stream, self.origin + round((start / self.rate - seconds) / stream_time_base(stream))
                ):
                    continue
                # What is shown before the key frame refers to what was not decoded.
                frames = dropwhile(lambda placed: not placed[1].key_frame, self._numbered_frames(container, stream))
                first = next(frames, None)
                if first is not None and first[0] <= start:
                    yield first
                    yield from frames
                    return
        with open_decoder(self.path) as (container, stream):
            yield from self._numbered_frames(container, stream)

    def _numbered_frames(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[int, VideoFrame]]:
        position = -1
        for frame in container.decode(stream):
            if self.timed and frame.pts is not None:
                position = self._frame_number(frame)
            elif not self.timed or position >= 0:
                position += 1
            if position >= 0:
                yield position, frame

    def _frame_number(self, frame: VideoFrame, later: int = 0) -> int:
        if not self.timed or frame.pts is None:
            return 0
        return round((frame.pts + later - self.origin) * (frame.time_base or 0) * self.rate)


def stream_time_base(stream: VideoStream) -> Fraction:
    """Seconds of one time stamp."""
    return stream.time_base or Fraction(1, av.time_base)


def seek_keyframe(container: InputContainer, stream: VideoStream, stamp: int) -> bool:
    """Whether the container could go to the key frame before the time stamp."""
    try:
        container.seek(stamp, stream=stream)
    except av.FFmpegError:
        return False
    return True


@contextmanager
def open_decoder(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and its first video stream, decoded by the calling thread alone, so that it is right in a worker."""
    try:
        with av.open(path) as container:
            if not container.streams.video:
                raise UnreadableError(f"{path} has no video stream")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            stream.thread_type = "NONE"
            yield container, stream
    except av.FFmpegError as error:
        raise UnreadableError(f"cannot read {path} as a video: {error.strerror}") from error


def open_video_file(path: str) -> VideoFile:
    """The film as its container describes it; packets are counted only where the container does not say."""
    with open_decoder(path) as (container, stream):
        rate, unit = stream.average_rate, stream_time_base(stream)
        # Stamps made up for files that store none, or few, are wrong where frames are reordered.
        timed = not (stream.codec_context.has_b_frames and container.format.name in ("avi", "mpeg"))
        if stream.frames and rate:
            frames = stream.frames
            if stream.duration:  # an edit list may hide some of the frames
                frames = max(1, min(frames, round(stream.duration * unit * rate)))
            return VideoFile(path, frames, rate, stream.start_time or 0, timed)
        stamps = [packet.pts for packet in container.demux(stream) if packet.size]
    if not stamps:
        raise UnreadableError(f"{path} holds no frames")
    rate = rate or Fraction(25)
    shown = [stamp for stamp in stamps if stamp is not None]
    if not shown:
        return VideoFile(path, len(stamps), rate, 0, False)
    seconds = (max(shown) - min(shown)) * unit
    if seconds and abs(rate * seconds - (len(stamps) - 1)) >= Fraction(1, 2):
        rate = ((len(stamps) - 1) / seconds).limit_denominator(1001)
    return VideoFile(path, len(stamps), rate, min(shown), timed)


def frame_to_rgb(frame: VideoFrame) -> RGBImage:
    """The frame as it is to be seen: upright, and on black where it is transparent."""
    transparent = any(component.is_alpha for component in frame.format.components)
    pixels = frame.reformat(format="rgba" if transparent else "rgb24", threads=1).to_ndarray()
    return np.rot90(composite_on_black(pixels) if transparent else pixels, round(frame.rotation / 90))


def composite_on_black(pixels: UInt8[np.ndarray, "height width 4"]) -> RGBImage:
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    if alpha.min() == 255:
        return colour
    return ((colour.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)


def stack_images(pictures: list[RGBImage], path: str) -> UInt8[Tensor, "time 3 height width"]:
    """The pictures as frames, left as they lie in memory: they are resized faster so."""
    if len({picture.shape for picture in pictures}) > 1:
        raise UnreadableError(f"the frames of {path} differ in size")
    return torch.from_numpy(np.stack(pictures)).movedim(3, 1)


@dataclass(frozen=True)
class ImageSequence:
    """Frames as single pictures, in a folder or in a zip, in natural order (frame2 before frame10); RGB on black."""

    path: str
    names: tuple[str, ...]
    is_zip: bool

    channels = 3
    rate = DEFAULT_RATE

    @property
    def frames(self) -> int:
        return len(self.names)

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        wanted = self.names[start : start + count * stride : stride]
        if len(wanted) < count:
            raise UnreadableError(
                f"{self.path} has {self.frames} frames, too few for frame {start + (count - 1) * stride}"
            )
        if not self.is_zip:
            return stack_images([read_image(Path(self.path, name)) for name in wanted], self.path)
        with open_zip(self.path) as archive:
            return stack_images([read_image(BytesIO(archive.read(name)), self.path) for name in wanted], self.path)


@dataclass(frozen=True)
class ImageStrip:
    """Frames side by side in one picture: as many squares as its width holds; RGB on black."""

    path: str
    frames: int

    channels = 3
    rate = DEFAULT_RATE

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        pixels = read_image(Path(self.path))
        frames = np.split(pixels, pixels.shape[1] // len(pixels), axis=1)[start : start + count * stride : stride]
        if len(frames) < count:
            raise UnreadableError(
                f"{self.path} has {self.frames} frames, too few for frame {start + (count - 1) * stride}"
            )
        return stack_images(frames, self.path)


def open_image_sequence(path: str, names: list[str] | None = None) -> ImageSequence:
    """The pictures of a folder or a zip. Raises UnreadableError if there are none."""
    zipped = names is None and Path(path).is_file()
    if zipped:
        with open_zip(path) as archive:
            names = archive.namelist()
    elif names is None:
        names = [entry.name for entry in Path(path).iterdir()]
    names = [
        name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES and not Path(name).name.startswith(".")
    ]
    if not names:
        raise UnreadableError(f"{path} holds no pictures ({' '.join(IMAGE_SUFFIXES)})")
    return ImageSequence(path, tuple(sorted(names, key=natural_sort_key)), zipped)


def open_image_strip(path: str) -> ImageStrip:
    """The strip, by its picture's header. Raises UnreadableError if its width is no multiple of its height."""
    try:
        with Image.open(path) as image:
            width, height = image.size
    except OSError as error:
        raise UnreadableError(f"cannot read {path} as a picture") from error
    if width % height:
        raise UnreadableError(f"{path} is no strip of square frames: {width} is no multiple of {height}")
    return ImageStrip(path, width // height)


def read_image(file: Path | BytesIO, named: str = "") -> RGBImage:
    try:
        with Image.open(file) as image:
            return composite_on_black(np.asarray(image.convert("RGBA")))
    except OSError as error:
        raise UnreadableError(f"cannot read {named or file} as a picture") from error


@contextmanager
def open_zip(path: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error) as error:
        raise UnreadableError(f"cannot read {path} as a zip: {error}") from error


def natural_sort_key(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers inside names by value."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
