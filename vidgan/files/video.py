"""Clips in from anything, out to MP4, GIF, PNG strips, frame folders and arrays."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple, cast

import av
import numpy as np
import torch
import torch.nn.functional as F
from av.video.stream import VideoStream
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from gancore.atomic import atomic_write
from vidgan.files.arrays import ARRAY_SUFFIXES, open_array_videos
from vidgan.files.readers import IMAGE_SUFFIXES, VideoReader, open_image_sequence, open_video_file

Frames = UInt8[Tensor, "time channel height width"]


class Clip(NamedTuple):
    """Frames and how many of them make a second."""

    frames: UInt8[Tensor, "time channel height width"]
    rate: Fraction


def read_clip(
    path: str | Path, *, start: int = 0, frames: int | None = None, stride: int = 1, channels: int = 3
) -> Clip:
    """Frames start, start + stride, ... of a film, a folder or zip of frames, a picture, or an array; all by default.

    Films and pictures are RGB, arrays keep their channels; `channels` tells one clip of other than 1, 3 or 4 channels
    from a stack of grey ones. The rate is that of the frames given back.

    Raises FileNotFoundError if there is no such path, ValueError if it is no video or too short.
    """
    footage = open_video(path, channels=channels)
    available = max(0, -(-(footage.frames - start) // stride))
    wanted = available if frames is None else frames
    if not 0 < wanted <= available:
        raise ValueError(
            f"{path} has {footage.frames} frames: {wanted} from number {start} on at stride {stride} cannot be had"
        )
    return Clip(footage.read(start, wanted, stride=stride).contiguous(), footage.rate / stride)


def open_video(path: str | Path, *, channels: int = 3) -> VideoReader:
    """The video at the path, by its ending. Raises FileNotFoundError or ValueError as read_clip does."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    ending = path.suffix.lower()
    if path.is_dir() or ending == ".zip":
        return open_image_sequence(str(path))
    if ending in IMAGE_SUFFIXES:
        return open_image_sequence(str(path.parent), [path.name])
    if ending in ARRAY_SUFFIXES:
        videos = open_array_videos(str(path), channels=channels)
        if len(videos) != 1:
            raise ValueError(f"{path} holds {len(videos)} videos, where one is wanted")
        return videos[0]
    return open_video_file(str(path))


def to_float(frames: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """[0, 255] as [-1, 1] in float32; to_uint8 takes it back exactly."""
    return frames.float() / 127.5 - 1


def to_uint8(frames: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """[-1, 1] as [0, 255], rounded; what lies outside is clamped."""
    return ((frames.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def convert_channels(frames: UInt8[Tensor, "time c height width"], channels: int) -> Frames:
    """The frames in grey (ITU-R 601 luminance) or in RGB; ValueError where that means nothing."""
    present = frames.shape[1]
    if present == channels:
        return frames
    if (present, channels) == (1, 3):
        return frames.expand(-1, 3, -1, -1)
    if (present, channels) == (3, 1):
        weights = torch.tensor([0.299, 0.587, 0.114])
        return torch.einsum("tchw,c->thw", frames.float(), weights)[:, None].round().to(torch.uint8)
    raise ValueError(f"frames have {present} channels, which cannot become {channels}")


def resize_and_crop(
    frames: UInt8[Tensor, "time channel h w"],
    height: int,
    width: int,
    *,
    resize: int = 0,
    crop: Literal["centre", "random"] = "centre",
    seed: int = 0,
) -> Frames:
    """The frames at height x width: resized with their proportions kept, then one crop for all of them.

    Bilinear, antialiased. The shorter side becomes `resize` pixels, or as many as it takes to just cover the crop. A
    random crop is placed by the seed.
    """
    frames = resize_to_cover(frames, height, width, resize=resize)
    spare = frames.shape[2] - height, frames.shape[3] - width
    if crop == "random":
        random = torch.rand(2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).tolist()
        top, left = (int(share * (free + 1)) for share, free in zip(random, spare, strict=True))
    else:
        top, left = spare[0] // 2, spare[1] // 2
    return frames[:, :, top : top + height, left : left + width]


def resize_to_cover(frames: UInt8[Tensor, "time channel h w"], height: int, width: int, *, resize: int = 0) -> Frames:
    """The frames at the size from which height x width is cropped; doing it twice changes nothing more."""
    h, w = frames.shape[2:]
    scale = max(height / h, width / w, resize / min(h, w))
    size = max(height, round(h * scale)), max(width, round(w * scale))
    if size == (h, w):
        return frames
    return F.interpolate(frames, size, mode="bilinear", antialias=True)


def write_clip(
    path: str | Path,
    frames: UInt8[Tensor, "time channel height width"] | UInt8[Tensor, "rows time channel height width"],
    *,
    rate: Fraction | float | int,
) -> None:
    """Writes the frames by the path's ending, whole or not at all; missing folders are made.

    .mp4 is H.264 in yuv420p, where an odd height or width grows by one repeated row or column; .gif keeps time to a
    hundredth of a second; .png is a strip with the frames side by side, and one row under the other if there are rows;
    .npy takes any number of channels; no ending makes a folder of numbered PNG, which may replace only such a folder.

    Raises ValueError for another ending, other than 1 or 3 channels, no frames, or a path that cannot be written.
    """
    path = Path(path)
    if complaint := describe_write_problem(path, frames, rate):
        raise ValueError(f"cannot write {path}: {complaint}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            with atomic_write(path) as partial:
                WRITERS[path.suffix](partial, frames.cpu(), Fraction(rate).limit_denominator(1001))
        else:
            write_folder(path, frames.cpu())
    except (OSError, av.FFmpegError) as error:
        raise ValueError(f"cannot write {path}: {error}") from error


def describe_write_problem(path: Path, frames: Tensor, rate: Fraction | float | int) -> str:
    """What speaks against writing, or nothing."""
    if path.suffix and path.suffix not in WRITERS:
        return f"the ending must be one of {' '.join(WRITERS)}, or none for a folder"
    if path.suffix != ".npy" and frames.shape[-3] not in (1, 3):
        return f"{frames.shape[-3]} channels are no picture; .npy takes them"
    if frames.ndim == 5 and path.suffix not in (".png", ".npy"):
        return "only .png and .npy take several rows"
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
    """Through one palette of 256 colours for the whole clip, so that what stands still does not flicker."""
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
        raise ValueError(f"cannot write {path}: the folder holds other files than frames")
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
