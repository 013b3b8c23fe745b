"""Clips in from anything, out to MP4, GIF, PNG strips, frame folders and arrays."""

from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore import media
from gancore.atomic import atomic_write
from vidgan.files.arrays import ARRAY_SUFFIXES, open_array_videos
from vidgan.files.readers import IMAGE_SUFFIXES, VideoReader, open_image_sequence, open_video_file

CLIP_SUFFIXES = (*media.MEDIA_SUFFIXES, ".npy")
"""Endings that `write_clip` knows, in lower case."""

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
    """Writes the frames in the format of the path's ending, whole or not at all; missing folders are created.

    .mp4, .gif and .png (a strip with the frames side by side, and one row below the other if there are rows) are
    written as gancore.media does; .npy takes any number of channels; no ending makes a folder of numbered PNG files,
    which may replace only such a folder.

    Raises ValueError for any other ending, other than 1 or 3 channels, no frames, or a path that cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if problem := describe_write_problem(path, frames, rate):
        raise ValueError(f"cannot write {path}: {problem}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npy":
            with atomic_write(path) as partial, partial.open("wb") as file:
                np.save(file, frames.cpu().numpy())
        elif suffix == ".png":
            rows = frames if frames.ndim == 5 else frames[None]
            media.write_png(path, media.tile_images(rows.flatten(0, 1), columns=rows.shape[1]))
        elif suffix:
            media.write_animation(path, frames, rate=rate)
        else:
            media.write_frame_folder(path, frames)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error}") from error


def describe_write_problem(path: Path, frames: Tensor, rate: Fraction | float | int) -> str:
    """Why the frames cannot be written to this path, or nothing."""
    suffix = path.suffix.lower()
    if suffix and suffix not in CLIP_SUFFIXES:
        return f"the ending must be one of {' '.join(CLIP_SUFFIXES)}, or none for a folder"
    if suffix != ".npy" and frames.shape[-3] not in (1, 3):
        return f"a picture has 1 or 3 channels, not {frames.shape[-3]}; .npy takes any number"
    if frames.ndim == 5 and suffix not in (".png", ".npy"):
        return "only .png and .npy take several rows"
    if not frames.numel():
        return "there are no frames"
    return "" if rate > 0 else f"the rate must be positive, not {rate}"
