"""Reading clips from any kind of video, and writing MP4, GIF, PNG strips, frame folders and arrays."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, cast

import av
import numpy as np
from av.video.stream import VideoStream
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from gancore.atomic import atomic_write
from vidgan.files.arrays import ARRAY_SUFFIXES, open_array_videos
from vidgan.files.readers import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    VideoReader,
    natural_sort_key,
    open_image_sequence,
    open_video_file,
)
from vidgan.frames import Frames, convert_channels


class Clip(NamedTuple):
    """Frames, and their rate in frames per second."""

    frames: UInt8[Tensor, "time channel height width"]
    rate: Fraction


def read_clip(
    path: str | Path, *, start: int = 0, frames: int | None = None, stride: int = 1, channels: int = 3
) -> Clip:
    """Reads frames start, start + stride, ... of a video file, a folder or zip of frames, an image or an array.

    Reads to the end unless `frames` says how many. Video files and images become RGB, arrays keep their channels;
    `channels` tells a clip of other than 1, 3 or 4 channels from a stack of grey ones. The rate of the result is that
    of the frames returned, so stride 2 halves it.

    Raises FileNotFoundError if the path does not exist, ValueError if it is not a video or too short.
    """
    reader = open_video(path, channels=channels)
    available = max(0, -(-(reader.frames - start) // stride))
    wanted = available if frames is None else frames
    if not 0 < wanted <= available:
        raise ValueError(
            f"{path} has {reader.frames} frames, too few to read {wanted} from number {start} on at stride {stride}"
        )
    return Clip(reader.read(start, wanted, stride=stride).contiguous(), reader.rate / stride)


def open_video(path: str | Path, *, channels: int = 3) -> VideoReader:
    """Opens a single video for reading, by the suffix of its path.

    Raises FileNotFoundError if the path does not exist, ValueError if it is not one video; the message for a folder of
    videos names some of them.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    suffix = path.suffix.lower()
    if path.is_dir():
        names = sorted((entry.name for entry in path.iterdir()), key=natural_sort_key)
        several = [name for name in names if Path(name).suffix.lower() in (*VIDEO_SUFFIXES, *ARRAY_SUFFIXES, ".zip")]
        if several and not any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in names):
            more = f" and {len(several) - 3} more" if len(several) > 3 else ""
            raise ValueError(f"{path} is a folder of videos ({', '.join(several[:3])}{more}): name one of them")
        return open_image_sequence(str(path))
    if suffix == ".zip":
        return open_image_sequence(str(path))
    if suffix in IMAGE_SUFFIXES:
        return open_image_sequence(str(path.parent), [path.name])
    if suffix in ARRAY_SUFFIXES:
        videos = open_array_videos(str(path), channels=channels)
        if len(videos) != 1:
            raise ValueError(f"{path} holds {len(videos)} videos, but only one can be read here")
        return videos[0]
    return open_video_file(str(path))


def write_clip(
    path: str | Path,
    frames: UInt8[Tensor, "time channel height width"] | UInt8[Tensor, "rows time channel height width"],
    *,
    rate: Fraction | float | int,
) -> None:
    """Writes the frames by the path's suffix, whole or not at all; missing folders are created.

    .mp4 is H.264 in yuv420p, where an odd height or width grows by one repeated row or column; .gif keeps time to a
    hundredth of a second; .png is a strip of frames side by side, with one strip below the other if there are several
    rows; .npy takes any number of channels; a path without a suffix becomes a folder of numbered PNG files, which may
    replace only such a folder. The suffix may be in capitals.

    Raises ValueError for another suffix, other than 1 or 3 channels, no frames, or a path that cannot be written.
    """
    path = Path(path)
    if problem := describe_write_problem(path, frames, rate):
        raise ValueError(f"cannot write {path}: {problem}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            with atomic_write(path) as partial:
                WRITERS[path.suffix.lower()](partial, frames.cpu(), Fraction(rate).limit_denominator(1001))
        else:
            write_folder(path, frames.cpu())
    except (OSError, av.FFmpegError) as error:
        raise ValueError(f"cannot write {path}: {error}") from error


def describe_write_problem(path: Path, frames: Tensor, rate: Fraction | float | int) -> str:
    """Says why the frames cannot be written to the path; empty if they can."""
    suffix = path.suffix.lower()
    if suffix and suffix not in WRITERS:
        return f"its suffix must be one of {' '.join(WRITERS)}, or none for a folder of frames"
    if suffix != ".npy" and frames.shape[-3] not in (1, 3):
        return f"{frames.shape[-3]} channels cannot be shown as an image; .npy can store them"
    if frames.ndim == 5 and suffix not in (".png", ".npy"):
        return "only .png and .npy can hold several rows"
    if not frames.numel():
        return "there are no frames"
    return "" if rate > 0 else f"the rate must be positive, not {rate}"


def write_mp4(path: Path, frames: Frames, rate: Fraction) -> None:
    even = np.pad(
        to_rgb_arrays(frames), ((0, 0), (0, frames.shape[2] % 2), (0, frames.shape[3] % 2), (0, 0)), mode="edge"
    )
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(codec, rate=rate, options={"crf": "16"} if codec == "libx264" else {})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = even.shape[1], even.shape[2], "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in to_av_frames(even, rate):
            container.mux(stream.encode(frame.reformat(format="yuv420p", threads=1)))
        container.mux(stream.encode())


def write_gif(path: Path, frames: Frames, rate: Fraction) -> None:
    """Writes with one palette of 256 colours for the whole clip, so that static regions do not flicker."""
    height, width = frames.shape[2:]
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
    with av.open(str(path), "w", format="gif") as container:
        stream = container.add_stream("gif", rate=rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "pal8"
        for frame in to_av_frames(to_rgb_arrays(frames), rate):
            source.push(frame)
        source.push(None)
        for _ in frames:
            container.mux(stream.encode(cast(av.VideoFrame, sink.pull())))
        container.mux(stream.encode())


def write_png(path: Path, frames: Tensor, _rate: Fraction) -> None:
    rows = frames if frames.ndim == 5 else frames[None]
    sheet = rearrange(rows, "rows time channel height width -> channel (rows height) (time width)")
    Image.fromarray(to_rgb_arrays(sheet[None])[0]).save(path)


def write_npy(path: Path, frames: Tensor, _rate: Fraction) -> None:
    np.save(path, frames.numpy())


def write_folder(path: Path, frames: Frames) -> None:
    if path.exists() and not all(re.fullmatch(r"\d+\.png", inside.name) for inside in path.iterdir()):
        raise ValueError(f"cannot write {path}: the folder holds files other than frames")
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    partial.mkdir()
    try:
        for number, pixels in enumerate(to_rgb_arrays(frames)):
            Image.fromarray(pixels).save(partial / f"{number:05d}.png")
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


WRITERS: dict[str, Callable[[Path, Tensor, Fraction], None]] = {
    ".mp4": write_mp4,
    ".gif": write_gif,
    ".png": write_png,
    ".npy": write_npy,
}


def to_av_frames(pixels: UInt8[np.ndarray, "time height width 3"], rate: Fraction) -> Iterator[av.VideoFrame]:
    for number, picture in enumerate(pixels):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, 1 / rate
        yield frame


def to_rgb_arrays(frames: Frames) -> UInt8[np.ndarray, "time height width 3"]:
    return np.ascontiguousarray(rearrange(convert_channels(frames, 3), "t c h w -> t h w c").numpy())
