"""Masks of what is to be filled in a video: from a picture or video, a box, or numbers of missing frames."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor

from gancore.files.limits import VideoLimits
from vidgan.files.readers import DEFAULT_LIMITS, VideoReader
from vidgan.files.video import open_video
from vidgan.frames import convert_channels

WHITE = 128
"""Least luminance of what is white in a mask."""


@runtime_checkable
class KnownReader(Protocol):
    """A mask of a film: which pixels can be relied on."""

    def read(self, start: int, count: int) -> Bool[Tensor, "time 1 height width"]:
        """The mask of `count` frames from number `start` on."""
        ...


@dataclass(frozen=True)
class FilmMask:
    """Which pixels of a film are known: those that neither the mask nor the box covers, in frames that are there."""

    height: int
    width: int
    drawn: VideoReader | None = None
    """White where pixels are to be filled; one of a single frame serves for all."""
    box: tuple[int, int, int, int] | None = None
    """Top, left, height and width of a rectangle that is to be filled."""
    missing: tuple[range, ...] = ()
    """Numbers of frames that are to be filled whole, counted from 0."""

    def read(self, start: int, count: int) -> Bool[Tensor, "time 1 height width"]:
        """The mask of `count` frames from number `start` on, true where a pixel is known."""
        known = torch.ones(count, 1, self.height, self.width, dtype=torch.bool)
        if self.drawn is not None:
            still = self.drawn.frames == 1
            drawn = self.drawn.read(0, 1) if still else self.drawn.read(start, count)
            known &= convert_channels(drawn, 1) < WHITE
        if self.box:
            top, left, height, width = self.box
            known[:, :, top : top + height, left : left + width] = False
        for number in range(count):
            if any(start + number in each for each in self.missing):
                known[number] = False
        return known


def open_mask(
    film: VideoReader,
    *,
    name: object,
    mask: Path | VideoReader | None = None,
    box: tuple[int, int, int, int] | None = None,
    missing: str = "",
    limits: VideoLimits = DEFAULT_LIMITS,
) -> FilmMask:
    """The mask of a film, which messages call `name`, from what a user gives; see `FilmMask`.

    Raises ValueError if the mask has another size or another number of frames than the film, or the box or the missing
    frames lie outside it.
    """
    height, width = film.read(0, 1).shape[2:]
    drawn, shown = None, mask if isinstance(mask, Path) else "the mask"
    if mask is not None:
        drawn = open_video(mask, channels=1, limits=limits) if isinstance(mask, Path) else mask
        size = tuple(drawn.read(0, 1).shape[2:])
        if size != (height, width):
            raise ValueError(f"{shown} has {size[0]}x{size[1]} pixels, but {name} {height}x{width}: they must be alike")
        if drawn.frames not in (1, film.frames):
            raise ValueError(f"{shown} has {drawn.frames} frames, but {name} {film.frames}: give as many, or a picture")
        if drawn.channels not in (1, 3):
            raise ValueError(f"{shown} has {drawn.channels} channels: a mask is grey or RGB")
    if box:
        top, left, rows, columns = box
        if min(box) < 0 or not rows or not columns or top + rows > height or left + columns > width:
            raise ValueError(
                f"the box {','.join(map(str, box))} (y,x,height,width) does not lie in {name}, which has "
                f"{height}x{width} pixels"
            )
    ranges = parse_frame_ranges(missing)
    if last := max((each.stop - 1 for each in ranges if each.stop > film.frames), default=0):
        raise ValueError(f"missing: {name} has frames 0 to {film.frames - 1}, and no frame {last}")
    return FilmMask(height, width, drawn, box, ranges)


def parse_frame_ranges(text: str) -> tuple[range, ...]:
    """The numbers in a list like "10-14,30", where ranges include both ends. Raises ValueError for any other text."""
    ranges = []
    words = [part.strip() for part in text.split(",") if part.strip()]
    if text and not words:
        words = [text]
    for word in words:
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", word)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise ValueError(f"missing should be numbers and ranges of frames like 10-14,30, not {text!r}")
        ranges.append(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(ranges)
