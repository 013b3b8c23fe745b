"""Films: files that FFmpeg decodes, opened by their header and read in windows from the key frame before each."""

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import dropwhile
from typing import cast

import av
import numpy as np
from av.buffer import Buffer
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8
from torch import Tensor

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from gancore.files.reading import as_unreadable, require_regular_file
from vidgan.files.pictures import composite_on_black
from vidgan.files.readers import DEFAULT_LIMITS, RGBImage, reading_frames, stack_images
from vidgan.files.timing import Timing, measure_timing

log = logging.getLogger(__name__)

MAX_MISSING_FRAMES = 2
"""Frames that a file may lack at its end (counted by its container, never coded); the last one repeats for them."""
REFERRING_FORMATS = {"concat", "concatf", "dash", "hls", "imf", "image2", "lavfi", "rtsp", "sdp", "sap", "vapoursynth"}
"""Formats whose files name other files or addresses to read, which are refused."""
MAX_REORDERED = 16
"""Frames that a film may decode before one that is shown earlier; no codec allows more."""
NOT_FILMS = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
"""Streams that are no films, such as the cover of a disc."""


@dataclass(frozen=True)
class VideoFile:
    """A film, read as RGB at a constant frame rate.

    Where frames are not evenly spaced, frame number k is the one displayed nearest to k / rate seconds. The display
    matrix is applied if it turns by quarters or mirrors, pixels that are not square are made so by enlarging,
    transparent frames are composited on black, sound is ignored.
    """

    path: str
    frames: int
    rate: Fraction
    origin: int
    """Time stamp of frame 0, in units of the stream's time base; 0 where there are none."""
    timed: bool
    """Whether frames carry usable time stamps; if not, they are counted from the beginning of the file."""
    even: bool = True
    """Whether every frame has one stamp of its own in the grid of the rate."""
    stream: int = 0
    """Number of the stream in its container."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height."""
    limits: VideoLimits = DEFAULT_LIMITS
    in_step: bool = True
    """Whether sound fits the frames: not where they are counted though their stamps pause."""

    channels = 3

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        with reading_frames(self.path, "a video"):
            return stack_images(self._read_images(start, count, stride), self.path, self.limits)

    def _read_images(self, start: int, count: int, stride: int) -> list[RGBImage]:
        wanted = range(start, start + count * stride, stride)
        images: list[RGBImage] = []
        shown: VideoFrame | None = None
        at: int | Fraction = 0
        end: int | Fraction = 0
        for position, frame in self._frames_from(start):
            last = position - 1 if self.even else (at + position) / 2  # at which the frame before this one is on show
            self._show(images, shown, bisect_right(wanted, last), wanted)
            if len(images) == count:
                return images
            shown, at = frame, position
            end = max(position + 1, self._position(frame, frame.duration))
        self._show(images, shown, bisect_left(wanted, end + MAX_MISSING_FRAMES), wanted)
        if len(images) < count:
            raise UnreadableError(f"{self.path} ends before frame {wanted[len(images)]}")
        return images

    def _show(self, images: list[RGBImage], frame: VideoFrame | None, until: int, wanted: range) -> None:
        """Appends the frame, which may be held for long, as often as it takes to have the first `until` of `wanted`."""
        if frame is None or until <= len(images):
            return
        image = frame_to_rgb(frame, self.path, self.pixel_aspect, self.limits)
        if not images:
            self.limits.check_bytes(len(wanted) * image.nbytes, self.path)
        images += [image] * (until - len(images))

    def _frames_from(self, start: int) -> Iterator[tuple[int | Fraction, VideoFrame]]:
        """Yields (position, frame) in display order, from `start` or the key frame before it."""
        # Containers index by decoding time, so the key frame they find may be shown only after `start`: look earlier.
        for seconds in (0, 1, 4, 16) if self.timed and start else ():
            with open_decoder(self.path, self.stream, self.limits) as (container, stream):
                stamp = self.origin + round((start / self.rate - seconds) / stream_time_base(stream))
                if not seek_keyframe(container, stream, stamp):
                    continue
                # What is shown before the key frame refers to what was not decoded.
                frames = dropwhile(lambda placed: not placed[1].key_frame, self._placed_frames(container, stream))
                first = next(frames, None)
                if first is not None and first[0] <= start:
                    yield first
                    yield from frames
                    return
        with open_decoder(self.path, self.stream, self.limits) as (container, stream):
            yield from self._placed_frames(container, stream)

    def _placed_frames(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[tuple[int | Fraction, VideoFrame]]:
        position: int | Fraction = -1
        for frame in container.decode(stream):
            if self.timed and frame.pts is not None:
                position = self._position(frame)
            elif not self.timed or position >= 0:
                position += 1
            if position >= 0:
                yield position, frame

    def _position(self, frame: VideoFrame, later: int = 0) -> int | Fraction:
        """When the frame is shown, or `later`, in frames from the beginning; a whole number if the film is even."""
        if not self.timed or frame.pts is None:
            return 0
        position = (frame.pts + later - self.origin) * (frame.time_base or 0) * self.rate
        return round(position) if self.even else position


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
def open_container(path: str, limits: VideoLimits) -> Iterator[InputContainer]:
    """Opens a regular file, which may refer to no other and hold no larger frames than the limits allow."""
    require_regular_file(path)
    options = {
        "format_whitelist": _allowed_formats(),
        "protocol_whitelist": "file",
        "max_pixels": _allowed_pixels(limits),
    }
    with av.open(f"file:{path}", options=options) as container:  # a name may look like an address, run:1.mp4
        yield container


@cache
def _allowed_formats() -> str:
    return ",".join(sorted(av.formats_available - REFERRING_FORMATS))


def _allowed_pixels(limits: VideoLimits) -> str:
    """What FFmpeg may allocate for a frame, which it pads, in an integer of 32 bits."""
    return str(int(min(2e6 * limits.max_megapixels + 2**16, 2**31 - 1)))


@contextmanager
def open_decoder(path: str, number: int, limits: VideoLimits) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Opens stream `number` for decoding in the calling thread only, as loader workers need it."""
    with open_container(path, limits) as container:
        stream = container.streams[number]
        if not isinstance(stream, VideoStream):
            raise UnreadableError(f"{path} has no video in stream {number}")
        check_size(stream, path, limits)
        stream.codec_context.options = {"max_pixels": _allowed_pixels(limits)}
        stream.codec_context.thread_count = 1
        stream.thread_type = "NONE"
        yield container, stream


def open_video_file(path: str, *, number: int | None = None, limits: VideoLimits = DEFAULT_LIMITS) -> VideoFile:
    """Opens a film by its container's header; packets are looked through only where the header says too little.

    `number` chooses one of several films in a container; without it the one that is marked as default is read.

    Raises UnreadableError if the file is not a video, has no frames or more or larger ones than the limits allow, or
    holds several films of which none is chosen.
    """
    with as_unreadable(path, "a video"), open_container(path, limits) as container:
        stream = choose_stream(container, path, number)
        check_size(stream, path, limits)
        timing, origin = time_stream(container, stream)
        if not timing.frames:
            raise UnreadableError(f"{path} holds no frames")
        limits.check_frames(timing.frames, path)
        in_step = timing.timed or not timing.pause
        if not in_step:
            log.warning(
                "%s: its time stamps jump by %.6g seconds and are not believed; frames are counted, and any sound, "
                "which does not fit them, is left out",
                path,
                timing.pause,
            )
        return VideoFile(
            path=path,
            frames=timing.frames,
            rate=timing.rate,
            origin=origin,
            timed=timing.timed,
            even=timing.even,
            stream=stream.index,
            pixel_aspect=stream.sample_aspect_ratio or Fraction(1),
            limits=limits,
            in_step=in_step,
        )


def choose_stream(container: InputContainer, path: str, number: int | None) -> VideoStream:
    """The only film in a container, the one of this number, or the one marked as default, with a word to the log.

    Raises UnreadableError if there is none.
    """
    films = [stream for stream in container.streams.video if not stream.disposition & NOT_FILMS]
    if not films:
        raise UnreadableError(f"{path} has no video stream")
    names = f"{path}::0 to {path}::{len(films) - 1}"
    if number is not None:
        if number >= len(films):
            raise UnreadableError(f"{path} holds {len(films)} films, {names}")
        return films[number]
    if len(films) == 1:
        return films[0]
    default = [stream for stream in films if stream.disposition & Disposition.default]
    if len(default) != 1:
        raise UnreadableError(f"{path} holds {len(films)} films: name one, {names}")
    log.warning("%s holds %d films; the default one is read (%s)", path, len(films), names)
    return default[0]


def check_size(stream: VideoStream, path: str, limits: VideoLimits) -> None:
    """Raise UnreadableError unless there is a decoder, and the header states a size that the limits allow."""
    if cast(CodecContext | None, stream.codec_context) is None:
        raise UnreadableError(f"{path} is of a codec that FFmpeg does not read")
    if not stream.width or not stream.height:  # FFmpeg forgets a size that is not allowed
        raise UnreadableError(
            f"{path} has frames of no size, or of more than {limits.max_megapixels:g} megapixels; max_megapixels lets "
            "them in"
        )
    limits.check_pixels(stream.height, stream.width, path)


def time_stream(container: InputContainer, stream: VideoStream) -> tuple[Timing, int]:
    """The timing of a stream and its first time stamp."""
    # Where a format stores few or no time stamps, the generated ones are wrong for reordered frames.
    timed = not (stream.codec_context.has_b_frames and container.format.name in ("avi", "mpeg"))
    return time_by_index(container, stream, timed=timed) or time_by_packets(container, stream, timed=timed)


def time_by_index(container: InputContainer, stream: VideoStream, *, timed: bool) -> tuple[Timing, int] | None:
    """The timing by the index of the container; None unless it knows all frames, and they are evenly spaced."""
    unit, origin = stream_time_base(stream), stream.start_time or 0
    stamps = index_stamps(stream)
    timing = measure_timing(stamps, unit, stated=stream.average_rate)
    if not (stamps and timing.timed and timing.even):
        return None
    if timed and stream.codec_context.has_b_frames:  # the index holds decoding times, which lag behind
        end = origin + (timing.frames - 1) / (timing.rate * unit)
        if (last_stamp(container, stream, stamps) - end) * unit * timing.rate > Fraction(1, 2):
            return None
    return Timing(timing.frames, timing.rate, timed=timed), origin


def time_by_packets(container: InputContainer, stream: VideoStream, *, timed: bool) -> tuple[Timing, int]:
    """The timing by all packets, which are read but not decoded."""
    unit, stated = stream_time_base(stream), stream.average_rate
    packets = [packet.pts for packet in container.demux(stream) if packet.size and not packet.is_discard]
    stamps = sorted(stamp for stamp in packets if stamp is not None)
    if stream.codec_context.name == "vp8":  # frames that are never shown have the stamp of the next one
        stamps = sorted(set(stamps))
    elif len(stamps) < len(packets):
        timed = False
    if not stamps:
        return Timing(len(packets), stated or measure_timing([], unit, stated=None).rate, timed=False), 0
    timing = measure_timing(stamps, unit, stated=stated)
    if timed:
        return timing, stamps[0]
    first = stamps[0] if stream.start_time is None else stream.start_time  # which a format without stamps knows better
    return replace(timing, frames=len(packets), timed=False, even=True), first


def last_stamp(container: InputContainer, stream: VideoStream, indexed: list[int]) -> int:
    """When the last frame is shown, by the packets at the end, after which the container is at its beginning again.

    That is later than the last decoding time in the index, which is returned if the file is cut short.
    """
    container.seek(indexed[-MAX_REORDERED - 1 :][0], stream=stream, any_frame=True)
    stamps = [packet.pts for packet in container.demux(stream) if packet.size and packet.pts is not None]
    container.seek(indexed[0], stream=stream, any_frame=True)
    return max(stamps, default=indexed[-1])


def index_stamps(stream: VideoStream) -> list[int]:
    """The decoding times of all frames from the index of the container; empty if it has none, or hides frames."""
    if not stream.frames or len(stream.index_entries) != stream.frames:
        return []
    stamps = [entry.timestamp for entry in stream.index_entries if not entry.is_discard]
    return stamps if len(stamps) == stream.frames else []


# -------------------------------------------------------------------------------------------------------------- pixels


def frame_to_rgb(
    frame: VideoFrame, path: str, pixel_aspect: Fraction, limits: VideoLimits
) -> UInt8[np.ndarray, "shown_height shown_width 3"]:
    """Converts to RGB with square pixels, as the display matrix shows it, and on black where transparent.

    Raises UnreadableError if the frame has more pixels than the limits allow.
    """
    height, width = frame.height, frame.width
    if pixel_aspect != 1:
        height, width = max(height, round(height / pixel_aspect)), max(width, round(width * pixel_aspect))
    limits.check_pixels(height, width, path)
    transparent = any(component.is_alpha for component in frame.format.components)
    kind = "rgba" if transparent else "rgb24"
    pixels = frame.reformat(width, height, kind, threads=1).to_ndarray()
    return apply_display_matrix(composite_on_black(pixels) if transparent else pixels, frame, path)


def apply_display_matrix(
    pixels: RGBImage, frame: VideoFrame, path: str
) -> UInt8[np.ndarray, "shown_height shown_width 3"]:
    """Turns and mirrors an image as its frame asks for. Raises UnreadableError unless it is turned by quarters."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(cast(Buffer, data)), dtype=np.int32)[:5].tolist()
    upright, lying = min(abs(a), abs(d)), min(abs(b), abs(c))
    if 50 * min(upright, lying) > max(upright, lying) or not max(upright, lying):
        raise UnreadableError(f"{path} is shown turned by {frame.rotation} degrees, and not by a quarter of a circle")
    if lying > upright:
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
