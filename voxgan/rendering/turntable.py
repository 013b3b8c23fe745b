"""Films and sheets of a turning object."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image

from gancore.atomic import atomic_write

FRAME_RATE = 16
"""Frames a second: 48 of them turn once in three seconds."""
SHEET_COLUMNS, SHEET_ROWS = 4, 2
"""Of a sheet."""

Frames = UInt8[np.ndarray, "frames height width 3"]


def write_turntable(path: str | Path, frames: Frames, *, rate: int = FRAME_RATE) -> None:
    """Writes the frames by the path's ending, whole or not at all; missing folders are made.

    .mp4 is H.264, .gif runs for ever, .png shows up to eight of the frames, evenly spread. Raises ValueError for
    another ending or a path that cannot be written.
    """
    path = Path(path)
    write = find_writer(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            write(partial, frames, rate)
    except (OSError, av.FFmpegError) as error:
        raise ValueError(f"cannot write {path}: {error}") from error


def find_writer(path: Path) -> Callable[[Path, Frames, int], None]:
    """What writes files of that ending. Raises ValueError if nothing does."""
    if path.suffix.lower() not in WRITERS:
        raise ValueError(f"cannot write {path}: the ending must be one of {' '.join(WRITERS)}")
    return WRITERS[path.suffix.lower()]


def write_mp4(path: Path, frames: Frames, rate: int) -> None:
    even = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(codec, rate=rate, options={"crf": "18"} if codec == "libx264" else {})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = even.shape[1], even.shape[2], "yuv420p"
        stream.codec_context.thread_count = 1
        for number, picture in enumerate(even):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p", threads=1)
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_gif(path: Path, frames: Frames, rate: int) -> None:
    """Through one palette for all frames, so that what stands still does not flicker."""
    every = rearrange(frames[:, ::2, ::2], "f h w c -> (f h) w c")
    palette = Image.fromarray(np.ascontiguousarray(every)).quantize(256)
    first, *rest = (Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    first.save(path, save_all=True, append_images=rest, duration=round(1000 / rate), loop=0)


def write_png(path: Path, frames: Frames, _rate: int) -> None:
    Image.fromarray(arrange_sheet(frames)).save(path)


def arrange_sheet(frames: Frames) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Up to COLUMNS * ROWS of the frames, row by row; what is left over of the last row is white."""
    count = min(len(frames), SHEET_COLUMNS * SHEET_ROWS)
    chosen = frames[np.arange(count) * len(frames) // count]
    columns = min(count, SHEET_COLUMNS)
    full = np.pad(chosen, ((0, -count % columns), (0, 0), (0, 0), (0, 0)), constant_values=255)
    return rearrange(full, "(row column) h w c -> (row h) (column w) c", column=columns)


WRITERS: dict[str, Callable[[Path, Frames, int], None]] = {".mp4": write_mp4, ".gif": write_gif, ".png": write_png}
