"""Writing pictures and animations: MP4, GIF and PNG, each file whole or not at all."""

import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from einops import rearrange, repeat
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn.functional import pad

from gancore.errors import UnwritableError, describe_error
from gancore.files.atomic import as_unwritable, atomic_write, create_parents, hold_new_folder, sync_to_disk
from gancore.files.mp4 import Mp4Encoder, Sound
from gancore.files.reading import require_regular_file

logger = logging.getLogger(__name__)

MEDIA_SUFFIXES = (".mp4", ".gif", ".png")
"""Endings that `write_animation` knows, in lower case."""
MAX_RATE_DENOMINATOR = 1001
"""Frame rates are rounded to fractions with at most this denominator, which 30000/1001 still has; rates below one
frame a second to fractions with at most this numerator."""
MP4_RATES = (Fraction(1, 3600), Fraction(1_000_000))
"""Lowest and highest rate of an MP4; players cannot tell the times of frames apart beyond these."""
GIF_RATES = (Fraction(100, 65535), Fraction(50))
"""Lowest and highest rate of a GIF, which counts in hundredths of a second: browsers show delays of one as ten."""
MP4_OPTIONS = {"movflags": "+faststart"}
"""The index stands at the beginning, so that a film plays before all of it has come."""
MP4_MAX_SIDE, GIF_MAX_SIDE = 16384, 65535
"""Most pixels along a side, by H.264 and by the header of a GIF."""
FOLDER_MARK = ".vidvox-frames"
"""File in a folder of frames that this package wrote, with their number; readers of frames pass over it."""

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
    """Writes an MP4 that plays everywhere; see `open_mp4`."""
    _check_frames(path, frames)
    with open_mp4(path, rate=rate, crf=crf) as write:
        write(frames)


@contextmanager
def open_mp4(
    path: str | Path,
    *,
    rate: Fraction | float | int,
    crf: int = 16,
    sound: Sound | None = None,
    comment: str | None = None,
) -> Iterator[Callable[[Frames], None]]:
    """Yields a function that writes further frames, all of one size, to an MP4 that is there once the block has ended.

    H.264 in yuv420p, or MPEG-4 where PyAV was built without x264. An odd height or width grows by one repeated row or
    column. `crf` is x264's constant rate factor: 0 is lossless, 18 looks lossless, 23 is x264's own default. Pixels are
    square, and colours sRGB, as the file states; `comment` becomes its comment. Raises ValueError as
    `write_animation` does, for sides above MP4_MAX_SIDE and for rates outside MP4_RATES.
    """
    path, exact = Path(path), _to_fraction(path, rate)
    if not MP4_RATES[0] <= exact <= MP4_RATES[1]:
        raise ValueError(
            f"cannot write {path}: an MP4 plays from 1/{1 / MP4_RATES[0]} to {MP4_RATES[1]} frames a second, not {rate}"
        )
    with _writing(path) as target, av.open(_to_url(target), "w", format="mp4", options=MP4_OPTIONS) as container:
        if comment:
            container.metadata["comment"] = comment
        encoder = Mp4Encoder(container, rate=exact, crf=crf, sound=sound)

        def write(frames: Frames) -> None:
            pixels = _to_rgb_arrays(path, frames)
            _check_side(path, pixels, MP4_MAX_SIDE, "an MP4")
            encoder.write(pixels)

        yield write
        encoder.finish()


def write_gif(path: str | Path, frames: Frames, *, rate: Fraction | float | int) -> None:
    """Writes a GIF that repeats for ever and keeps time to a hundredth of a second.

    One palette of 256 colours serves the whole clip, so that what stands still does not flicker. A rate outside
    GIF_RATES becomes the nearest one inside, which is logged. Raises ValueError as `write_animation` does, and for
    sides above GIF_MAX_SIDE.
    """
    pixels, exact = _to_rgb_arrays(path, frames), _to_fraction(path, rate)
    _check_side(path, pixels, GIF_MAX_SIDE, "a GIF")
    held = min(max(exact, GIF_RATES[0]), GIF_RATES[1])
    with _writing(path) as target:
        _encode_gif(target, frames=pixels, rate=held)
    if held != exact:
        logger.warning(
            "%s plays at %.3g frames a second, the nearest to %s that a GIF can hold; an MP4 keeps the rate",
            path,
            held,
            rate,
        )


def write_png(path: str | Path, image: UInt8[Tensor, "_channel height width"], *, comment: str | None = None) -> None:
    """Writes a picture of 1 (grey) or 3 (RGB) channels as an RGB PNG, with a text chunk Comment if one is given.

    Raises ValueError as `write_animation` does.
    """
    (pixels,) = _to_rgb_arrays(path, image[None])
    with _writing(path) as target:
        Image.fromarray(pixels).save(target, format="PNG", pnginfo=_to_png_text(comment))


def write_frame_folder(path: str | Path, frames: Frames) -> None:
    """Writes a folder of PNG files, 00000.png and so on, whole or not at all.

    An older folder is replaced if this function wrote it and nothing was added since. Raises ValueError as
    `write_animation` and `check_frame_folder` do.
    """
    _check_frames(path, frames)
    with open_frame_folder(path) as write:
        write(frames)


@contextmanager
def open_frame_folder(path: str | Path, *, comment: str | None = None) -> Iterator[Callable[[Frames], None]]:
    """Yields a function that writes further frames to a folder, which is there once the block has ended; see
    `write_frame_folder`. `comment` becomes a text chunk of every frame."""
    path, count, text = Path(path), 0, _to_png_text(comment)
    check_frame_folder(path)
    with as_unwritable(path), hold_new_folder(path) as scratch:
        new, old = scratch / "new", scratch / "old"
        new.mkdir()

        def write(frames: Frames) -> None:
            nonlocal count
            for frame in _to_rgb_arrays(path, frames):
                Image.fromarray(frame).save(new / f"{count:05d}.png", pnginfo=text)
                count += 1

        yield write
        (new / FOLDER_MARK).write_text(f"{count}\n", encoding="ascii")
        sync_to_disk(new)
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(new, path)
        except OSError:
            if old.exists():
                os.replace(old, path)
            raise
        sync_to_disk(path.parent)


def check_frame_folder(path: Path, *, overwrite: bool = True) -> None:
    """Raises ValueError unless `write_frame_folder` may write to the path.

    There may be nothing, an empty folder, or with `overwrite` a folder of frames that it wrote itself, without any
    other file.
    """
    if path.name in ("", ".."):
        raise ValueError(f"cannot write {path}: a folder of frames needs a name")
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise ValueError(f"cannot write {path}: it exists already, and is no folder")
    names = {entry.name for entry in path.iterdir()}
    if names and not _are_own_frames(path, names):
        raise ValueError(
            f"cannot write {path}: the folder holds other files than frames that this program wrote; choose another"
        )
    if names and not overwrite:
        raise ValueError(f"{path} exists already; choose another output, or replace it with --overwrite")


def _are_own_frames(folder: Path, names: set[str]) -> bool:
    """Whether the folder holds just what `write_frame_folder` wrote, as the mark in it says."""
    if FOLDER_MARK not in names or len(names) > 10**6:
        return False
    require_regular_file(folder / FOLDER_MARK)
    with (folder / FOLDER_MARK).open("rb") as file:
        count = file.read(10).strip()
    frames = [f"{number:05d}.png" for number in range(len(names) - 1)]
    return count == str(len(frames)).encode() and names == {FOLDER_MARK, *frames}


def tile_images(
    images: UInt8[Tensor, "image channel height width"], *, columns: int, fill: int = 255
) -> UInt8[Tensor, "channel grid_height grid_width"]:
    """The images in a grid without gaps, row by row; the empty places of the last row have the value `fill`."""
    full = pad(images, (0, 0, 0, 0, 0, 0, 0, -len(images) % columns), value=fill)
    return rearrange(full, "(row column) c h w -> c (row h) (column w)", column=columns)


@contextmanager
def _writing(path: str | Path) -> Iterator[Path]:
    """A file that replaces `path` if the block ends well; its folders are created."""
    path = Path(path)
    create_parents(path)
    with atomic_write(path) as target:
        try:
            yield target
        except av.FFmpegError as error:  # some of them are ValueErrors too
            raise UnwritableError(f"cannot write {path}: {describe_error(error)}") from error


def _check_side(path: str | Path, frames: UInt8[np.ndarray, "time height width 3"], limit: int, kind: str) -> None:
    height, width = frames.shape[1:3]
    if max(height, width) > limit:
        raise ValueError(
            f"cannot write {path}: {kind} has at most {limit} pixels along a side, not {height}x{width}; .png and a "
            "folder of frames take any size"
        )


def _check_frames(path: str | Path, frames: Frames) -> None:
    if not frames.numel():
        raise ValueError(f"cannot write {path}: there are no frames")
    if frames.shape[1] not in (1, 3):
        raise ValueError(f"cannot write {path}: a picture has 1 or 3 channels, not {frames.shape[1]}")


def _to_rgb_arrays(path: str | Path, frames: Frames) -> UInt8[np.ndarray, "time height width 3"]:
    _check_frames(path, frames)
    pixels = rearrange(frames.cpu(), "time channel height width -> time height width channel").numpy()
    return np.ascontiguousarray(pixels if pixels.shape[-1] == 3 else repeat(pixels, "... 1 -> ... rgb", rgb=3))


def nearest_rate(rate: Fraction | float | int) -> Fraction:
    """The nearest rate with a denominator of at most MAX_RATE_DENOMINATOR, or below 1 with such a numerator.

    Raises ValueError unless the rate is positive and finite.
    """
    if not rate > 0:
        raise ValueError(f"the rate must be positive, not {rate}")
    if rate == math.inf:
        raise ValueError("the rate must be finite, not inf")
    exact = Fraction(rate)
    if exact < 1:
        return 1 / (1 / exact).limit_denominator(MAX_RATE_DENOMINATOR)
    return exact.limit_denominator(MAX_RATE_DENOMINATOR)


def _to_fraction(path: str | Path, rate: Fraction | float | int) -> Fraction:
    try:
        return nearest_rate(rate)
    except ValueError as error:
        raise ValueError(f"cannot write {path}: {error}") from error


def _to_png_text(comment: str | None) -> PngInfo | None:
    if comment is None:
        return None
    text = PngInfo()
    text.add_text("Comment", comment)
    return text


def _to_url(path: Path) -> str:
    """The path as FFmpeg takes it, which would read a scheme out of a name like run:1.mp4."""
    return f"file:{path}"


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
    with av.open(_to_url(target), "w", format="gif") as container:
        stream = container.add_stream("gif", rate=rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "pal8"
        stream.codec_context.sample_aspect_ratio = Fraction(1)
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
