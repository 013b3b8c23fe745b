"""Reading clips from any kind of video, and writing MP4, GIF, PNG strips, frame folders and arrays."""

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from gancore import media
from gancore.atomic import atomic_write, create_parents
from vidgan.files.arrays import ARRAY_SUFFIXES, open_array_videos
from vidgan.files.readers import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    VideoReader,
    natural_sort_key,
    open_image_sequence,
    open_video_file,
)

CLIP_SUFFIXES = (*media.MEDIA_SUFFIXES, ".npy")
"""Suffixes that `write_clip` knows, in lower case."""


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
        refuse_video_folder(path)
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


def refuse_video_folder(path: Path) -> None:
    """Raises ValueError, naming some of them, if the folder holds videos instead of images."""
    names = sorted((entry.name for entry in path.iterdir()), key=natural_sort_key)
    suffixes = {name: Path(name).suffix.lower() for name in names}
    videos = [name for name in names if suffixes[name] in (*VIDEO_SUFFIXES, *ARRAY_SUFFIXES, ".zip")]
    if videos and not any(suffix in IMAGE_SUFFIXES for suffix in suffixes.values()):
        more = f" and {len(videos) - 3} more" if len(videos) > 3 else ""
        raise ValueError(f"{path} is a folder of videos ({', '.join(videos[:3])}{more}): name one of them")


def write_clip(
    path: str | Path,
    frames: UInt8[Tensor, "time channel height width"] | UInt8[Tensor, "rows time channel height width"],
    *,
    rate: Fraction | float | int,
) -> None:
    """Writes the frames in the format of the path's suffix, whole or not at all; missing folders are created.

    .mp4, .gif and .png (a strip with the frames side by side, and one row below the other if there are rows) are
    written as gancore.media does; .npy takes any number of channels; a path without a suffix becomes a folder of
    numbered PNG files, which may replace only such a folder that this function wrote.

    Raises ValueError for any other suffix, other than 1 or 3 channels, no frames, sizes and rates that the format
    cannot hold, or a path that cannot be written.
    """
    path = Path(path)
    check_clip_path(path)
    suffix = path.suffix.lower()
    if problem := describe_write_problem(path, frames, rate):
        raise ValueError(f"cannot write {path}: {problem}")
    if suffix == ".npy":
        create_parents(path)
        with atomic_write(path) as partial, partial.open("wb") as file:
            np.save(file, frames.cpu().numpy())
    elif suffix == ".png":
        rows = frames if frames.ndim == 5 else frames[None]
        media.write_png(path, media.tile_images(rows.flatten(0, 1), columns=rows.shape[1]))
    elif suffix:
        media.write_animation(path, frames, rate=rate)
    else:
        media.write_frame_folder(path, frames)


def check_clip_path(path: Path, *, overwrite: bool = True) -> None:
    """Raises ValueError unless `write_clip` can write to a path like this, before there are frames.

    A folder of frames may replace one only with `overwrite`, and only one that was written by `write_clip`.
    """
    suffix = path.suffix.lower()
    if (suffix and suffix not in CLIP_SUFFIXES) or path.name.lower() in CLIP_SUFFIXES:
        wanted = f"its suffix must be one of {' '.join(CLIP_SUFFIXES)}, or none for a folder of frames"
        raise ValueError(f"cannot write {path}: {wanted}")
    if not suffix:
        media.check_frame_folder(path, overwrite=overwrite)


def describe_write_problem(path: Path, frames: Tensor, rate: Fraction | float | int) -> str:
    """Says why the frames cannot be written to the path; empty if they can."""
    suffix = path.suffix.lower()
    if suffix != ".npy" and frames.shape[-3] not in (1, 3):
        return f"a picture has 1 or 3 channels, not {frames.shape[-3]}; .npy takes any number"
    if frames.ndim == 5 and suffix not in (".png", ".npy"):
        return "only .png and .npy can hold several rows"
    if not frames.numel():
        return "there are no frames"
    return "" if rate > 0 else f"the rate must be positive, not {rate}"
