"""What every reader of a video offers, the endings by which files are told apart, and the order of numbered files."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from gancore.files.reading import as_unreadable

VIDEO_SUFFIXES = (
    *(".mp4", ".avi", ".mkv", ".webm", ".gif", ".mov", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".ogv", ".3gp"),
    *(".264", ".265", ".3g2", ".amv", ".apng", ".asf", ".av1", ".avc", ".bik", ".dav", ".divx", ".dv", ".f4v", ".flc"),
    *(".fli", ".gxf", ".h261", ".h263", ".h264", ".h265", ".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".mj2"),
    *(".mjpeg", ".mjpg", ".mk3d", ".mod", ".mp4v", ".mpe", ".mpv", ".mts", ".mxf", ".nsv", ".nut", ".obu", ".ogg"),
    *(".ogm", ".ogx", ".qt", ".rm", ".rmvb", ".roq", ".smk", ".tod", ".tp", ".trp", ".vc1", ".vob", ".wtv", ".y4m"),
)
"""Endings, in lower case, of what FFmpeg reads as a video."""
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")

DEFAULT_LIMITS = VideoLimits()

DEFAULT_RATE = Fraction(10)
"""Frames per second of image sequences and arrays, whose files state no rate."""

RGBImage = UInt8[np.ndarray, "height width 3"]


@runtime_checkable
class VideoReader(Protocol):
    """A video of `frames` frames at `rate` frames per second."""

    @property
    def frames(self) -> int: ...

    @property
    def rate(self) -> Fraction: ...

    @property
    def channels(self) -> int: ...

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        """Reads `count` frames: start, start + stride, ... Raises UnreadableError if one is broken or missing."""
        ...


@dataclass(frozen=True)
class HeldClip:
    """A clip in memory, read as a video is."""

    values: UInt8[Tensor, "time channel height width"]
    rate: Fraction = DEFAULT_RATE

    @property
    def frames(self) -> int:
        return len(self.values)

    @property
    def channels(self) -> int:
        return self.values.shape[1]

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "_time channel height width"]:
        check_window("the clip", self.frames, start, count, stride)
        return self.values[start : start + count * stride : stride]


@contextmanager
def reading_frames(path: str, kind: str) -> Iterator[None]:
    """Turns whatever is raised while frames of an open video are read into an UnreadableError that names its file."""
    try:
        with as_unreadable(path, kind):
            yield
    except FileNotFoundError as error:
        raise UnreadableError(f"{path} is gone: it was there when it was opened") from error


def check_window(path: str, frames: int, start: int, count: int, stride: int) -> None:
    """Raise UnreadableError unless a video of `frames` frames has start, start + stride, ... of them."""
    last = start + (count - 1) * stride
    if last >= frames:
        raise UnreadableError(f"{path} has {frames} frames, too few for frame {last}")


def stack_images(images: Sequence[RGBImage], path: str, limits: VideoLimits) -> UInt8[Tensor, "time 3 height width"]:
    """Stacks images into frames as a channels-last view, which resizes faster than a contiguous copy.

    Raises UnreadableError, naming `path`, if they differ in size or take more memory than the limits allow.
    """
    if len({image.shape for image in images}) > 1:
        raise UnreadableError(f"the frames of {path} differ in size")
    limits.check_bytes(sum(image.nbytes for image in images), path)
    return torch.from_numpy(np.stack(images)).movedim(3, 1)


# --------------------------------------------------------------------------------------------------------------- order


def natural_sort_key(name: str) -> list[tuple[int, str]]:
    """Sort key by which whole numbers inside names are ordered by value: frame2 before frame10."""
    return [_order_of_number(part) if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def sort_naturally(names: Iterable[str]) -> list[str]:
    """Sorts the names of a sequence by the numbers in them: frame2 before frame10, 0.25 before 0.5, -5 before 0.

    A hyphen before the last number is a minus where the name begins with it, or where other names lack it (frame-5,
    frame0); otherwise it separates (frame-1, frame-2). A point between digits is a decimal point, unless decimals of
    different lengths end in a zero, as counters do (1.9, 1.10).
    """
    names = list(names)
    matches = {name: _LAST_NUMBER.fullmatch(name) for name in names if len(name) < 1000}
    unsigned = {match["before"] for match in matches.values() if match and not match["sign"]}
    decimals = {match["decimals"] for match in matches.values() if match and match["decimals"]}
    counters = len(set(map(len, decimals))) > 1 and any(len(each) > 1 and each[-1] == "0" for each in decimals)

    def key(name: str) -> tuple[list[tuple[int, str]], Fraction, list[tuple[int, str]]]:
        match = matches.get(name)
        if match is None or (counters and match["decimals"]):
            return natural_sort_key(name), Fraction(0), []
        before, sign = match["before"], match["sign"]
        if before not in unsigned | {""} or before[-1:].isdecimal():
            before, sign = before + sign, ""
        value = Fraction(f"{match['whole']}.{match['decimals'] or 0}")
        return natural_sort_key(before), -value if sign else value, natural_sort_key(match["after"])

    return sorted(names, key=key)


_LAST_NUMBER = re.compile(
    r"(?P<before>.*?)(?P<sign>-?)(?P<whole>\d+)(?:(?<!\d\.\d)\.(?P<decimals>\d+))?(?P<after>\D*(?:\.[a-zA-Z]\w*)?)",
    re.DOTALL,
)
"""The last number of a file's name, leaving its ending aside."""


def _order_of_number(digits: str) -> tuple[int, str]:
    """Orders numbers of any length by value, and those of equal value are equal."""
    significant = digits.lstrip("0")
    return len(significant), significant
