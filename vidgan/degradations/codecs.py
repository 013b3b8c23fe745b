"""Compression artefacts: JPEG, and H.264, H.265 and MPEG-4 through FFmpeg in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import torch
from av.video.codeccontext import VideoCodecContext
from jaxtyping import UInt8
from PIL import Image

from vidgan.degradations.degraded import DegradedClip, require_picture_channels
from vidgan.degradations.severity import interpolate, walk_severity
from vidgan.frames import Frames, convert_channels

JPEG_QUALITY = (95.0, 25.0, 18.0, 15.0, 10.0, 7.0)
"""Quality of JPEG; severities 1 to 5 are those of imagecorruptions."""
H264_CRF = (16.0, 23.0, 30.0, 37.0, 44.0, 51.0)
H265_CRF = (21.0, 27.0, 33.0, 39.0, 45.0, 51.0)
"""Constant rate factors; severities 1 to 5 are those of Mini Kinetics-C (Yi et al. 2021)."""
MACROBLOCK = 16
"""Encoders are given frames of whole macroblocks, with the edges repeated."""
RATE = Fraction(25)
"""Frames per second that encoders are told if nothing else is known."""

Images = UInt8[np.ndarray, "time height width 3"]


def compress_jpeg(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """JPEG frame by frame, with a quality that drifts."""
    require_picture_channels(frames, "jpeg")
    quality = interpolate(JPEG_QUALITY, walk_severity(random, severity, len(frames)))
    return DegradedClip(to_jpeg(frames, np.rint(quality).astype(int).tolist()))


def to_jpeg(frames: Frames, qualities: Sequence[int]) -> Frames:
    """Compresses and decodes every frame of 1 or 3 channels with a quality of its own, 1 to 95."""
    result = torch.empty(frames.shape, dtype=torch.uint8)
    for target, frame, quality in zip(result, frames, qualities, strict=True):
        pixels = frame[0].numpy() if len(frame) == 1 else np.ascontiguousarray(frame.movedim(0, 2).numpy())
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        decoded = torch.from_numpy(np.array(Image.open(file)))
        target[:] = decoded[None] if len(frame) == 1 else decoded.movedim(2, 0)
    return result


@dataclass(frozen=True)
class VideoCodec:
    """An encoder of FFmpeg and the decoder that goes with it."""

    encoder: str
    decoder: str
    options: dict[str, str] = field(default_factory=dict)
    smallest_side: int = 32
    """Of the frames that it is given."""

    def encode(
        self, images: Images, *, rate: Fraction = RATE, bit_rate: int | None = None, **options: str
    ) -> list[av.Packet]:
        """The packets of a film in the order of decoding, each with the number of its frame as time stamp.

        Sides must be even. A lower `rate` in frames per second lets encoders spend more bits on a frame.
        Raises ValueError if this FFmpeg has no such encoder.
        """
        if self.encoder not in av.codecs_available:
            raise ValueError(f"this build of FFmpeg has no encoder {self.encoder}: install av from its wheel")
        context = av.CodecContext.create(self.encoder, "w")
        assert isinstance(context, VideoCodecContext)
        context.height, context.width, context.pix_fmt = images.shape[1], images.shape[2], "yuv420p"
        context.time_base, context.framerate = 1 / rate, rate
        context.thread_count = 1  # so that the result does not depend on the number of cores
        context.options = self.options | options
        if bit_rate is not None:
            context.bit_rate = bit_rate
        packets: list[av.Packet] = []
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p", threads=1)
            frame.pts, frame.time_base = number, 1 / rate
            packets += context.encode(frame)
        return packets + context.encode(None)

    def decode(self, packets: Sequence[av.Packet], frames: int, height: int, width: int) -> Images:
        """Decodes what can be decoded; a frame that cannot repeats the one before, or at the beginning the one after.

        A film of which nothing can be decoded is black.
        """
        images = np.zeros((frames, height, width, 3), np.uint8)
        decoded: list[int] = []
        for number, image in self._decode_each(packets, height, width):
            if 0 <= number < frames:
                images[number] = image
                decoded.append(number)
        if not decoded:
            return images
        shown = np.full(frames, min(decoded))
        shown[decoded] = decoded
        return images[np.maximum.accumulate(shown)]

    def _decode_each(self, packets: Sequence[av.Packet], height: int, width: int) -> Iterator[tuple[int, np.ndarray]]:
        context = av.CodecContext.create(self.decoder, "r")
        assert isinstance(context, VideoCodecContext)
        context.thread_count = 1
        context.options = {"max_pixels": str(4 * height * width + 2**17)}  # decoders pad
        for packet in [*packets, None]:
            try:
                decoded = context.decode(packet)
            except av.FFmpegError:
                continue
            for frame in decoded:
                if frame.pts is not None and (frame.height, frame.width) == (height, width):
                    yield frame.pts, frame.reformat(format="rgb24", threads=1).to_ndarray()


# Macroblock trees of libx264 read memory that nothing was written to, by which the same film gets other bits each time.
# So does libx265 in frames of 64 x 64, and in smaller ones it writes beyond its memory.
H264 = VideoCodec("libx264", "h264", {"mbtree": "0"})
H265 = VideoCodec("libx265", "hevc", {"x265-params": "log-level=none:pools=none:frame-threads=1"}, smallest_side=80)
MPEG4 = VideoCodec("mpeg4", "mpeg4")


def compress_h264(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """H.264, with one constant rate factor for the clip."""
    return DegradedClip(_compress(frames, H264, _draw_crf(H264_CRF, random, severity), "h264"))


def compress_h265(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """H.265, with one constant rate factor for the clip."""
    return DegradedClip(_compress(frames, H265, _draw_crf(H265_CRF, random, severity), "h265"))


def _draw_crf(levels: Sequence[float], random: np.random.Generator, severity: float) -> float:
    return float(interpolate(levels, walk_severity(random, severity, 1))[0])


def _compress(frames: Frames, codec: VideoCodec, crf: float, kind: str) -> Frames:
    require_picture_channels(frames, kind)
    return through_codec(frames, codec, lambda images: recode(images, codec, crf=f"{crf:.2f}"))


def recode(
    images: Images, codec: VideoCodec, *, rate: Fraction = RATE, bit_rate: int | None = None, **options: str
) -> Images:
    """Compresses and decodes a film."""
    return codec.decode(codec.encode(images, rate=rate, bit_rate=bit_rate, **options), *images.shape[:3])


def through_codec(frames: Frames, codec: VideoCodec, change: Callable[[Images], Images]) -> Frames:
    """Applies `change` to a grey or RGB clip as RGB images of sides that the codec takes."""
    height, width = frames.shape[2:]
    images = convert_channels(frames, 3).movedim(1, 3).numpy()
    more = [max(codec.smallest_side, side + -side % MACROBLOCK) - side for side in (height, width)]
    padded = np.pad(images, ((0, 0), (0, more[0]), (0, more[1]), (0, 0)), mode="edge")
    changed = torch.from_numpy(change(np.ascontiguousarray(padded))[:, :height, :width]).movedim(3, 1)
    return convert_channels(changed, frames.shape[1]).contiguous()
