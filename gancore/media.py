"""Writing pictures and animations: MP4, GIF and PNG, each file whole or not at all."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from einops import rearrange, repeat
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from gancore.atomic import atomic_write

MEDIA_SUFFIXES = (".mp4", ".gif", ".png")
"""Endings that `write_animation` knows, in lower case."""
MAX_RATE_DENOMINATOR = 1001
"""Frame rates are rounded to fractions with at most this denominator, which 30000/1001 still has."""

Frames = UInt8[Tensor, "time _channel height width"]
"""A clip of 1 (grey) or 3 (RGB) channels in [0, 255]."""


def write_animation(
    path: str | Path,
    frames: Frames,
    *,
    rate: Fraction | float | int,
    crf: int = 16,
    sheet: tuple[int, int] | None = None,
) -> None:
    """Writes the frames in the format that the path's ending names, in upper or lower case.

    .mp4 and .gif play at `rate` frames per second; .png is a still: all frames side by side, or with
    `sheet = (columns, rows)` a grid of that many frames, evenly spaced in time. `crf` is the quality of an MP4.
    Missing folders are created, and an older file stays whole until the new one is.

    Raises ValueError for any other ending, for frames that cannot be shown, and where the file cannot be written.
    """
    path = Path(path)
    require_media_suffix(path)
    _check_frames(path, frames)
    match path.suffix.lower():
        case ".mp4":
            write_mp4(path, frames, rate=rate, crf=crf)
        case ".gif":
            write_gif(path, frames, rate=rate)
        case _:
            columns, rows = sheet or (len(frames), 1)
            count = min(len(frames), columns * rows)
            chosen = frames[np.arange(count) * len(frames) // count]
            write_png(path, tile_images(chosen, columns=min(count, columns)))


def require_media_suffix(path: Path) -> None:
    """Raises ValueError unless `write_animation` can write a file of this ending."""
    if path.suffix.lower() not in MEDIA_SUFFIXES:
        raise ValueError(f"cannot write {path}: the ending must be one of {' '.join(MEDIA_SUFFIXES)}")


def write_mp4(path: str | Path, frames: Frames, *, rate: Fraction | float | int, crf: int = 16) -> None:
    """Writes an MP4 that plays everywhere: H.264 in yuv420p, or MPEG-4 where PyAV was built without x264.

    An odd height or width grows by one repeated row or column. `crf` is x264's constant rate factor: 0 is lossless, 18
    looks lossless, 23 is x264's own default. Raises ValueError as `write_animation` does.
    """
    _write(path, partial(_encode_mp4, frames=_to_rgb_arrays(path, frames), rate=_to_fraction(path, rate), crf=crf))


def write_gif(path: str | Path, frames: Frames, *, rate: Fraction | float | int) -> None:
    """Writes a GIF that repeats for ever and keeps time to a hundredth of a second.

    One palette of 256 colours serves the whole clip, so that what stands still does not flicker. Raises ValueError as
    `write_animation` does.
    """
    _write(path, partial(_encode_gif, frames=_to_rgb_arrays(path, frames), rate=_to_fraction(path, rate)))


def write_png(path: str | Path, image: UInt8[Tensor, "_channel height width"]) -> None:
    """Writes a picture of 1 (grey) or 3 (RGB) channels as an RGB PNG. Raises ValueError as `write_animation` does."""
    (pixels,) = _to_rgb_arrays(path, image[None])
    _write(path, lambda target: Image.fromarray(pixels).save(target, format="PNG"))


def write_frame_folder(path: str | Path, frames: Frames) -> None:
    """Writes a folder of PNG files, 00000.png and so on, whole or not at all.

    An older folder of numbered PNG files is replaced. Raises ValueError as `write_animation` does, and where the folder
    holds anything else.
    """
    path, pixels = Path(path), _to_rgb_arrays(path, frames)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        if path.exists() and not all(re.fullmatch(r"\d+\.png", inside.name) for inside in path.iterdir()):
            raise ValueError(f"cannot write {path}: the folder holds other files than frames")
        partial.mkdir(parents=True)
        for number, frame in enumerate(pixels):
            Image.fromarray(frame).save(partial / f"{number:05d}.png")
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def tile_images(
    images: UInt8[Tensor, "image channel height width"], *, columns: int, fill: int = 255
) -> UInt8[Tensor, "channel grid_height grid_width"]:
    """The images in a grid without gaps, row by row; the empty places of the last row have the value `fill`."""
    full = pad(images, (0, 0, 0, 0, 0, 0, 0, -len(images) % columns), value=fill)
    return rearrange(full, "(row column) c h w -> c (row h) (column w)", column=columns)


def _write(path: str | Path, encode: Callable[[Path], None]) -> None:
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as target:
            encode(target)
    except (OSError, av.FFmpegError) as error:
        raise ValueError(f"cannot write {path}: {error}") from error


def _check_frames(path: str | Path, frames: Frames) -> None:
    if not frames.numel():
        raise ValueError(f"cannot write {path}: there are no frames")
    if frames.shape[1] not in (1, 3):
        raise ValueError(f"cannot write {path}: a picture has 1 or 3 channels, not {frames.shape[1]}")


def _to_rgb_arrays(path: str | Path, frames: Frames) -> UInt8[np.ndarray, "time height width 3"]:
    _check_frames(path, frames)
    pixels = rearrange(frames.cpu(), "time channel height width -> time height width channel").numpy()
    return np.ascontiguousarray(pixels if pixels.shape[-1] == 3 else repeat(pixels, "... 1 -> ... rgb", rgb=3))


def _to_fraction(path: str | Path, rate: Fraction | float | int) -> Fraction:
    if not rate > 0:
        raise ValueError(f"cannot write {path}: the rate must be positive, not {rate}")
    return Fraction(rate).limit_denominator(MAX_RATE_DENOMINATOR)


def _encode_mp4(target: Path, *, frames: UInt8[np.ndarray, "time height width 3"], rate: Fraction, crf: int) -> None:
    even = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(codec, rate=rate, options={"crf": str(crf)} if codec == "libx264" else {})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = even.shape[1], even.shape[2], "yuv420p"
        stream.codec_context.thread_count = 1  # so that the bytes do not depend on the number of cores
        for frame in _to_av_frames(even, rate):
            container.mux(stream.encode(frame.reformat(format="yuv420p", threads=1)))
        container.mux(stream.encode())


def _encode_gif(target: Path, *, frames: UInt8[np.ndarray, "time height width 3"], rate: Fraction) -> None:
    height, width = frames.shape[1:3]
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=1 / rate)
    split, palette, apply = graph.add("split"), graph.add("palettegen"), graph.add("paletteuse", "dither=none")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(apply, 1, 0)
    palette.link_to(apply, 0, 1)
    apply.link_to(sink)
    graph.configure()
    with av.open(str(target), "w", format="gif") as container:
        stream = container.add_stream("gif", rate=rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "pal8"
        for frame in _to_av_frames(frames, rate):
            source.push(frame)
        source.push(None)
        for _ in frames:
            container.mux(stream.encode(cast(av.VideoFrame, sink.pull())))
        container.mux(stream.encode())


def _to_av_frames(pixels: UInt8[np.ndarray, "time height width 3"], rate: Fraction) -> Iterator[av.VideoFrame]:
    for number, picture in enumerate(pixels):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, 1 / rate
        yield frame
