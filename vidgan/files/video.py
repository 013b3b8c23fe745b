"""Reading clips from any kind of video, and writing MP4, GIF, PNG strips, frame folders and arrays."""

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gancore.errors import UnreadableError
from gancore.files import media
from gancore.files.arrays import write_npy
from gancore.files.atomic import atomic_write, create_parents
from gancore.files.limits import VideoLimits
from gancore.files.reading import split_member
from vidgan.files.archives import list_members, open_zip
from vidgan.files.arrays import ARRAY_SUFFIXES, open_array_videos
from vidgan.files.image_sequence import are_videos, group_by_folder, is_image, open_image_file, open_image_sequence
from vidgan.files.readers import DEFAULT_LIMITS, IMAGE_SUFFIXES, VIDEO_SUFFIXES, VideoReader, sort_naturally
from vidgan.files.video_file import open_video_file

CLIP_SUFFIXES = (*media.MEDIA_SUFFIXES, ".npy")
"""Suffixes that `write_clip` knows, in lower case."""

COMMENT_SUFFIXES = (".mp4", ".png", "")
"""Suffixes of files that can hold a comment; the last is that of a folder of pictures."""


class Clip(NamedTuple):
    """Frames, and their rate in frames per second."""

    frames: UInt8[Tensor, "time channel height width"]
    rate: Fraction


def read_clip(
    path: str | Path,
    *,
    start: int = 0,
    frames: int | None = None,
    stride: int = 1,
    channels: int = 3,
    limits: VideoLimits = DEFAULT_LIMITS,
) -> Clip:
    """Reads frames start, start + stride, ... of a video file, a folder or zip of frames, an image or an array.

    Reads to the end unless `frames` says how many. Video files and images become RGB, arrays keep their channels;
    `channels` tells a clip of other than 1, 3 or 4 channels from a stack of grey ones. The rate of the result is that
    of the frames returned, so stride 2 halves it. `open_video` says how one of several videos in a file is named.

    Raises FileNotFoundError if the path does not exist, ValueError if it is not a video, too short, or larger than the
    limits allow.
    """
    reader = open_video(path, channels=channels, limits=limits)
    available = max(0, -(-(reader.frames - start) // stride))
    wanted = available if frames is None else frames
    if start < 0 or not 0 < wanted <= available:
        raise ValueError(
            f"{path} has {reader.frames} frames, too few to read {wanted} from number {start} on at stride {stride}"
        )
    read = reader.read(start, wanted, stride=stride)
    planar = np.ascontiguousarray(read.numpy())  # Tensor.contiguous takes twice as long for bytes
    return Clip(torch.from_numpy(planar), reader.rate / stride)


def open_video(path: str | Path, *, channels: int = 3, limits: VideoLimits = DEFAULT_LIMITS) -> VideoReader:
    """Opens a single video for reading, by the suffix of its path.

    In a path FILE::NAME, NAME is an array of the file, a folder of a zip, or the number of a film in a container.

    Raises FileNotFoundError if the path does not exist, ValueError if it is not one video; the message for a folder of
    videos names some of them.
    """
    path, name = split_member(path)
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    suffix = path.suffix.lower()
    if path.is_dir():
        refuse_video_folder(path, limits)
        pictures = [entry.name for entry in path.iterdir() if is_image(entry.name)]
        if are_videos(path, pictures, limits):
            return open_video(path / pictures[0], limits=limits)
        return open_image_sequence(str(path), limits=limits)
    if suffix == ".zip":
        return open_zip_folder(str(path), name, limits)
    if suffix in ARRAY_SUFFIXES:
        videos = open_array_videos(str(path), channels=channels, name=name, limits=limits)
        if len(videos) != 1:
            raise ValueError(f"{path} holds {len(videos)} videos, but only one can be read here")
        return videos[0]
    if suffix in IMAGE_SUFFIXES:
        return open_image_file(str(path), limits=limits)
    if name is not None and not name.isdecimal():
        raise UnreadableError(f"{path}::{name}: films in a container are numbered from 0")
    return open_video_file(str(path), number=None if name is None else int(name), limits=limits)


def open_zip_folder(path: str, folder: str | None, limits: VideoLimits) -> VideoReader:
    """Opens the pictures in a folder of a zip; in that which holds pictures if none is given.

    Raises UnreadableError if there is none, or several of which none is given.
    """
    folders = list_zip_folders(path, limits)
    if folder is None and len(folders) > 1:
        names = [f"{path}::{each}" for each in sort_naturally(folders)]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise UnreadableError(f"{path} holds {len(names)} videos: name one, {', '.join(names[:3])}{more}")
    if folder is not None and folder not in folders:
        raise UnreadableError(f"{path} holds no pictures in a folder {folder}")
    names = folders[folder] if folder is not None else next(iter(folders.values()), [])
    return open_image_sequence(path, names, limits=limits)


def list_zip_folders(path: str, limits: VideoLimits) -> dict[str, list[str]]:
    """The pictures in a zip by the folder around them, "." at its root. Raises UnreadableError if it is broken."""
    with open_zip(path, limits) as archive:
        return group_by_folder(list_members(archive, path))


def refuse_video_folder(path: Path, limits: VideoLimits) -> None:
    """Raises ValueError, naming some of them, if the folder holds videos instead of images, or several stacks."""
    names = sort_naturally(entry.name for entry in path.iterdir())
    pictures = [name for name in names if is_image(name)]
    videos = [name for name in names if Path(name).suffix.lower() in (*VIDEO_SUFFIXES, *ARRAY_SUFFIXES, ".zip")]
    if len(pictures) > 1 and are_videos(path, pictures, limits):
        videos, pictures = pictures, []
    if videos and not pictures:
        more = f" and {len(videos) - 3} more" if len(videos) > 3 else ""
        raise ValueError(f"{path} is a folder of videos ({', '.join(videos[:3])}{more}): name one of them")


def write_clip(
    path: str | Path,
    frames: UInt8[Tensor, "time channel height width"] | UInt8[Tensor, "rows time channel height width"],
    *,
    rate: Fraction | float | int,
    comment: str | None = None,
) -> None:
    """Writes the frames in the format of the path's suffix, whole or not at all; missing folders are created.

    .mp4, .gif and .png (a strip with the frames side by side, and one row below the other if there are rows) are
    written as gancore.files.media does; .npy takes any number of channels; a path without a suffix becomes a folder of
    numbered PNG files, which may replace only such a folder that this function wrote. `comment` is kept in the file,
    by formats that can.

    Raises ValueError for any other suffix, other than 1 or 3 channels, no frames, sizes and rates that the format
    cannot hold, or a path that cannot be written.
    """
    path = Path(path)
    check_clip_path(path, comment=comment)
    suffix = path.suffix.lower()
    if problem := describe_write_problem(path, frames, rate):
        raise ValueError(f"cannot write {path}: {problem}")
    if suffix == ".npy":
        create_parents(path)
        with atomic_write(path) as partial, partial.open("wb") as file:
            write_npy(file, frames.cpu().numpy())
    elif suffix == ".png":
        rows = frames if frames.ndim == 5 else frames[None]
        media.write_png(path, media.tile_images(rows.flatten(0, 1), columns=rows.shape[1]), comment=comment)
    elif suffix == ".mp4":
        with media.open_mp4(path, rate=rate, comment=comment) as write:
            write(frames)
    elif suffix:
        media.write_animation(path, frames, rate=rate)
    else:
        with media.open_frame_folder(path, comment=comment) as write:
            write(frames)


def check_clip_path(path: Path, *, overwrite: bool = True, comment: str | None = None) -> None:
    """Raises ValueError unless `write_clip` can write to a path like this, before there are frames.

    A folder of frames may replace one only with `overwrite`, and only one that was written by `write_clip`.
    """
    suffix = path.suffix.lower()
    if (suffix and suffix not in CLIP_SUFFIXES) or path.name.lower() in CLIP_SUFFIXES:
        wanted = f"its suffix must be one of {' '.join(CLIP_SUFFIXES)}, or none for a folder of frames"
        raise ValueError(f"cannot write {path}: {wanted}")
    if comment is not None and suffix not in COMMENT_SUFFIXES:
        raise ValueError(
            f"cannot write {path}: what is made here says in its file that it was made, which {suffix} cannot hold; "
            "choose .mp4, .png or a folder of frames"
        )
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
