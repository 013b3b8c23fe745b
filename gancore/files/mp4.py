"""Encoding an MP4 frame by frame, with the sound of another film beside it."""

from fractions import Fraction
from typing import Protocol, runtime_checkable

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from jaxtyping import UInt8

SRGB, BT_709, BT_601, LIMITED_RANGE = 13, 1, 6, 1
"""How an MP4 states its colours (ITU-T H.273): transfer function, primaries, matrix and range."""

RGBFrames = UInt8[np.ndarray, "time height width 3"]


@runtime_checkable
class Sound(Protocol):
    """Sound that is written between the frames."""

    def attach(self, container: OutputContainer) -> None:
        """Adds its streams to a container that has not been written to."""
        ...

    def write_until(self, seconds: Fraction | None) -> None:
        """Writes what is heard before this time from the first frame on; all that is left if None."""
        ...


class Mp4Encoder:
    """Writes frames to an open container: H.264 in yuv420p, or MPEG-4 where PyAV was built without x264.

    An odd height or width grows by one repeated row or column. Pixels are square, and colours sRGB, as the file states.
    """

    def __init__(self, container: OutputContainer, *, rate: Fraction, crf: int, sound: Sound | None = None):
        self.container, self.rate, self.sound, self.count = container, rate, sound, 0
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        # macroblock trees read memory that nothing was written to: equal frames would become different files
        options = {"crf": str(crf), "mbtree": "0"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        self.stream = stream
        if sound:
            sound.attach(container)

    def write(self, frames: RGBFrames) -> None:
        """Encodes frames, all of one size, and writes the sound before each."""
        even = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
        if not self.count:
            self._state_format(*even.shape[1:3])
        for picture in even:
            if self.sound:
                self.sound.write_until(self.count / self.rate)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = self.count, 1 / self.rate
            self.container.mux(self.stream.encode(frame.reformat(format="yuv420p", threads=1)))
            self.count += 1

    def finish(self) -> None:
        """Writes what the encoder holds back, and the rest of the sound."""
        self.container.mux(self.stream.encode())
        if self.sound:
            self.sound.write_until(None)

    def _state_format(self, height: int, width: int) -> None:
        stream = self.stream
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(1)
        stream.codec_context.color_primaries, stream.codec_context.color_trc = BT_709, SRGB
        stream.codec_context.colorspace, stream.codec_context.color_range = BT_601, LIMITED_RANGE
        stream.codec_context.thread_count = 1  # so that the film does not depend on the number of cores
