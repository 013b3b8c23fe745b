"""Readers of single videos: video files, folders and zips of frames, and strips; opened cheaply, read in windows."""

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

from gancore.errors import UnreadableError

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
"""Frames that a file may lack at its end (counted by its container, never coded); the last one repeats for them."""

DEFAULT_RATE = Fraction(10)
"""Frames per second of image sequences and arrays, whose files state no rate."""

RGBImage = UInt8[np.ndarray, "height width 3"]


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
        """Reads `count` frames: start, start + stride, ... Raises UnreadableError if one is broken or missing."""
        ...


@dataclass(frozen=True)
class VideoFile:
    """A file that PyAV can decode, read as RGB at a constant frame rate.

    Where frames are not evenly spaced, frame number k is the one displayed nearest to k / rate seconds. Quarter turns
    of the display matrix are applied, transparent frames are composited on black, sound is ignored.
    """

    path: str
    frames: int
    rate: Fraction
    origin: int
    """Time stamp of frame 0, in units of the stream's time base."""
    timed: bool
    """Whether frames carry usable time stamps; if not, they are counted from the beginning of the file."""

    channels = 3

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        wanted = list(range(start, start + count * stride, stride))
        images: list[RGBImage] = []
        shown: VideoFrame | None = None
        end = 0
        for position, frame in self._frames_from(start):
            while len(images) < count and shown is not None and wanted[len(images)] < position:
                images.append(frame_to_rgb(shown))
            if len(images) == count:
                return stack_images(images, self.path)
            shown, end = frame, max(position + 1, self._frame_number(frame, frame.duration))
        while shown is not None and len(images) < count and wanted[len(images)] < end + MAX_MISSING_FRAMES:
            images.append(frame_to_rgb(shown))
        if len(images) < count:
            raise UnreadableError(f"{self.path} ends before frame {wanted[len(images)]}")
        return stack_images(images, self.path)

    def _frames_from(self, start: int) -> Iterator[tuple[int, VideoFrame]]:
        """Yields (number, frame) in display order, from `start` or the key frame before it."""
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
    """Duration of one unit of the time stamps, in seconds."""
    return stream.time_base or Fraction(1, av.time_base)


def seek_keyframe(container: InputContainer, stream: VideoStream, stamp: int) -> bool:
    """Seeks to the key frame before the time stamp; returns whether the container supports it."""
    try:
        container.seek(stamp, stream=stream)
    except av.FFmpegError:
        return False
    return True


@contextmanager
def open_decoder(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Opens the file and its first video stream for decoding in the calling thread only, as loader workers need it.

    Raises UnreadableError if the file is not a video.
    """
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
    """Opens a video file by its container's header; packets are counted only if the header states no length.

    Raises UnreadableError if the file is not a video, or has no frames.
    """
    with open_decoder(path) as (container, stream):
        rate, unit = stream.average_rate, stream_time_base(stream)
        # Where a format stores few or no time stamps, the generated ones are wrong for reordered frames.
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
    """Converts to RGB, rotated upright and composited on black where transparent."""
    transparent = any(component.is_alpha for component in frame.format.components)
    pixels = frame.reformat(format="rgba" if transparent else "rgb24", threads=1).to_ndarray()
    return np.rot90(composite_on_black(pixels) if transparent else pixels, round(frame.rotation / 90))


def composite_on_black(pixels: UInt8[np.ndarray, "height width 4"]) -> RGBImage:
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    if alpha.min() == 255:
        return colour
    return ((colour.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)


def stack_images(images: list[RGBImage], path: str) -> UInt8[Tensor, "time 3 height width"]:
    """Stacks images into frames as a channels-last view, which resizes faster than a contiguous copy.

    Raises UnreadableError, naming `path`, if they differ in size.
    """
    if len({image.shape for image in images}) > 1:
        raise UnreadableError(f"the frames of {path} differ in size")
    return torch.from_numpy(np.stack(images)).movedim(3, 1)


@dataclass(frozen=True)
class ImageSequence:
    """Frames as single images in a folder or a zip, in natural order (frame2 before frame10).

    Read as RGB; transparent images are composited on black.
    """

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
    """Square frames side by side in one image; read as RGB, composited on black where transparent."""

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
    """Opens the images of a folder or a zip, or those of `names` alone, as one video.

    Raises UnreadableError if there are no images.
    """
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
        raise UnreadableError(f"{path} holds no images ({' '.join(IMAGE_SUFFIXES)})")
    return ImageSequence(path, tuple(sorted(names, key=natural_sort_key)), zipped)


def open_image_strip(path: str) -> ImageStrip:
    """Opens a strip by its image's header. Raises UnreadableError unless the width is a multiple of the height."""
    try:
        with Image.open(path) as image:
            width, height = image.size
    except OSError as error:
        raise UnreadableError(f"cannot read {path} as an image") from error
    if width % height:
        raise UnreadableError(
            f"{path} is not a strip of square frames: its width {width} is not a multiple of its height {height}"
        )
    return ImageStrip(path, width // height)


def read_image(file: Path | BytesIO, label: str = "") -> RGBImage:
    """Reads an image as RGB on black. Raises UnreadableError, naming the file or `label`, if it is broken."""
    try:
        with Image.open(file) as image:
            return composite_on_black(np.asarray(image.convert("RGBA")))
    except OSError as error:
        raise UnreadableError(f"cannot read {label or file} as an image") from error


@contextmanager
def open_zip(path: str) -> Iterator[zipfile.ZipFile]:
    """Opens a zip for reading; an error in it, now or later, becomes an UnreadableError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error) as error:
        raise UnreadableError(f"cannot read {path} as a zip: {error}") from error


def natural_sort_key(name: str) -> list[tuple[int, str]]:
    """Sort key by which numbers inside names are ordered by value: frame2 before frame10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
