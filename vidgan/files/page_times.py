"""When the pages of an animated picture are shown, from the headers in its file, without decoding a page."""

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, islice
from statistics import median
from typing import BinaryIO

import numpy as np
from PIL import Image

from gancore.errors import UnreadableError
from vidgan.files.readers import DEFAULT_RATE
from vidgan.files.timing import Timing, measure_timing

MICROSECOND = Fraction(1, 1_000_000)


def time_pages(image: Image.Image, pages: Sequence[int], path: str) -> tuple[Timing, list[int]]:
    """The timing of the pages of a picture, and when each is shown, in microseconds.

    A page that states no duration is shown as long as a frame at DEFAULT_RATE, and so is every page of a TIFF. Raises
    UnreadableError if there are fewer pages than the picture states.
    """
    durations = list(islice(_durations(image, pages, path), len(pages)))
    if len(durations) < len(pages):
        raise UnreadableError(f"{path} states {len(pages)} pages and holds {len(durations)}")
    durations = [duration or 1 / DEFAULT_RATE for duration in durations]
    stamps = [round(time / MICROSECOND) for time in accumulate(durations[:-1], initial=Fraction(0))]
    return measure_timing(stamps, MICROSECOND, stated=1 / median(durations)), stamps


def place_pages(pages: Sequence[int], stamps: Sequence[int], timing: Timing) -> tuple[int, ...]:
    """The page that is shown nearest in time to each frame."""
    if timing.even:
        return tuple(pages)
    times = np.array(stamps, dtype=np.float64)
    frames = np.arange(timing.frames) / float(timing.rate * MICROSECOND)
    return tuple(pages[number] for number in np.searchsorted((times[1:] + times[:-1]) / 2, frames).tolist())


def _durations(image: Image.Image, pages: Sequence[int], path: str) -> Iterator[Fraction]:
    """Seconds for which each page is shown, 0 where that is not stated."""
    match image.format:
        case "PNG":
            with open(path, "rb") as file:
                yield from _png_durations(file)
        case "WEBP":
            with open(path, "rb") as file:
                yield from _webp_durations(file)
        case "TIFF":
            yield from (Fraction(0) for _ in pages)
        case _:
            for page in pages:
                image.seek(page)
                yield Fraction(image.info.get("duration", 0)) / 1000


def _png_durations(file: BinaryIO) -> Iterator[Fraction]:
    """The delays in the frame controls of an animated PNG, which lie in front of the pixels of each page."""
    file.seek(8)
    while len(header := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", header)
        if kind == b"fcTL" and size == 26:
            delay, parts = struct.unpack(">20x2H2x", file.read(26))
            yield Fraction(delay, parts or 100)
            size = 0
        file.seek(size + 4, 1)


def _webp_durations(file: BinaryIO) -> Iterator[Fraction]:
    """The durations, in milliseconds of three bytes, in the frames of an animated WebP."""
    file.seek(12)
    while len(header := file.read(8)) == 8:
        kind, size = struct.unpack("<4sI", header)
        end = file.tell() + size + size % 2
        if kind == b"ANMF":
            yield Fraction(int.from_bytes(file.read(15)[12:], "little"), 1000)
        file.seek(end)
