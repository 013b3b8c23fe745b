"""Picture files of any mode and depth: their headers are held against limits, their pixels scaled to 8 bits."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from io import BytesIO
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageOps

from gancore.errors import UnreadableError
from gancore.files.limits import ReadingLimits
from gancore.files.reading import as_unreadable, require_regular_file

LOSSY_FORMATS = {"JPEG", "MPO", "WEBP", "AVIF", "JPEG2000"}
"""Formats, by their names in Pillow, in which a pixel may differ a little from the one that was stored."""
ORIENTATION = 274
"""Tag of the EXIF orientation."""
_PAGED_FORMATS = {"GIF", "PNG", "WEBP", "AVIF", "TIFF"}
_SUBFILE_TYPE, _BITS_PER_SAMPLE, _PHOTOMETRIC, _LOWEST, _HIGHEST = 254, 258, 262, 340, 341  # tags of TIFF
_PREVIEW_OR_MASK = 0b101  # bits of the subfile type


@contextmanager
def open_picture(path: str | os.PathLike[str], *, limits: ReadingLimits = ReadingLimits()) -> Iterator[Image.Image]:
    """The picture in a file; its header is read, its pixels are not yet decoded.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableError: It is not a picture, exceeds the limits, or holds several pictures.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: no such image")
    with as_unreadable(path, "an image"):
        limits.check_bytes(os.path.getsize(path), path)
        with open_header(path, formats=readable_formats()) as image:
            limits.check_pixels(image.height, image.width, path)
            pages = list_pages(image)
            if len(pages) > 1 or pages[0] > 0:
                raise UnreadableError(f"{path} holds several pictures; save the one that is meant as a file of its own")
            yield image


@contextmanager
def open_header(file: str | os.PathLike[str] | BytesIO, *, formats: list[str]) -> Iterator[Image.Image]:
    """The picture in a file or in memory, of one of Pillow's formats; its size is not held against any limit.

    Raises FileNotFoundError, UnreadableError unless it is a regular file, or what Pillow raises.
    """
    if not isinstance(file, BytesIO):
        require_regular_file(file)
    # Given a path, Pillow maps uncompressed TIFFs: cut short they would end the process, and they are turned wrong.
    with (
        warnings.catch_warnings(),
        _without_pixel_limit(),
        nullcontext(file) if isinstance(file, BytesIO) else open(file, "rb") as stream,
    ):
        warnings.simplefilter("ignore")  # about metadata that nobody needs
        with Image.open(stream, formats=formats) as image:
            yield image


def list_pages(image: Image.Image) -> Sequence[int]:
    """Numbers of the pages of a TIFF, or of an animated picture, leaving out previews and masks; [0] for any other."""
    if image.format not in _PAGED_FORMATS:
        return [0]
    count = getattr(image, "n_frames", 1)
    if image.format != "TIFF" or count == 1:
        return range(bool(image.info.get("default_image")), count) or [0]  # a range, for a file may state billions
    pages = []
    for number in range(count):
        image.seek(number)
        if not getattr(image, "tag_v2", {}).get(_SUBFILE_TYPE, 0) & _PREVIEW_OR_MASK:
            pages.append(number)
    image.seek(0)
    return pages or [0]


def to_rgba(image: Image.Image, name: object, *, upright: bool = True) -> Image.Image:
    """The picture in 8 bits with straight alpha; deeper grey levels are scaled by their depth.

    It is turned as its EXIF orientation says unless `upright` is off, as for textures. Raises UnreadableError, naming
    the picture and the mode, if the file does not state the range of its numbers.
    """
    if not holds_levels(image):
        return (turn_upright(image) if upright else image).convert("RGBA")
    levels = grey_levels(image, upright=upright)
    if levels.white is None:
        raise UnreadableError(
            f"{name} has pixels of mode {image.mode}, numbers whose range it does not state; store 8 or 16 bits"
        )
    shown = levels.to_8_bits()
    if shown is None:
        raise UnreadableError(f"{name} has pixels outside the range from {levels.black:g} to {levels.white:g}")
    return shown.convert("RGBA")


def holds_levels(image: Image.Image) -> bool:
    """Whether its pixels are integers of 16 or 32 bits, or floats."""
    return image.mode.startswith(("I", "F"))


def turn_upright(image: Image.Image) -> Image.Image:
    """The picture turned and mirrored as its EXIF orientation says; itself if that is how it stands."""
    image.load()  # Pillow turns a TIFF by itself then, and must not be asked to do so twice
    return image if image.getexif().get(ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)


class GreyLevels(NamedTuple):
    """The numbers of a picture of one channel, and those that stand for black, white and nothing."""

    values: Int[np.ndarray, "height width"] | Float[np.ndarray, "height width"]
    black: float
    white: float | None
    """None if the file does not say."""
    transparent: int | None = None

    def to_8_bits(self) -> Image.Image | None:
        """The picture in mode L, or LA if a level is transparent; None if it is unknown what white is, or levels lie
        beyond black or white."""
        if self.white is None:
            return None
        share = (self.values - self.black) / (self.white - self.black)
        if not ((share >= 0) & (share <= 1)).all():
            return None
        grey = Image.fromarray((share * 255).round().astype(np.uint8))
        if self.transparent is not None:
            grey.putalpha(Image.fromarray(np.where(self.values == self.transparent, 0, 255).astype(np.uint8)))
        return grey


def grey_levels(
    image: Image.Image, *, upright: bool = True, float_range: tuple[float, float] | None = None
) -> GreyLevels:
    """The levels of a picture of 16-bit or 32-bit integers or of floats, a mode that begins with I or F.

    Floats lie in `float_range`, or without it in the range that the file states.
    """
    tags = getattr(image, "tag_v2", {})
    black, white = 0.0, None
    if image.mode == "F":
        lowest, highest = (np.ravel(tags.get(tag, ())) for tag in (_LOWEST, _HIGHEST))
        if float_range:
            black, white = float_range
        elif lowest.size and highest.size and lowest[0] < highest[0]:
            black, white = float(lowest[0]), float(highest[0])
    elif image.mode.startswith("I;16") or image.format in ("PNG", "PPM"):
        white = float(2 ** int(np.ravel(tags.get(_BITS_PER_SAMPLE, 16))[0]) - 1)
    if white is not None and tags.get(_PHOTOMETRIC) == 0:
        black, white = white, black
    hidden = image.info.get("transparency")
    values = np.asarray(turn_upright(image) if upright else image)
    return GreyLevels(
        values.astype(np.float64 if image.mode == "F" else np.int64),
        black,
        white,
        hidden if isinstance(hidden, int) else None,
    )


def readable_formats() -> list[str]:
    """The formats that Pillow reads by itself; for EPS it would run another program."""
    Image.init()
    return sorted(set(Image.OPEN) - {"EPS"})


@contextmanager
def _without_pixel_limit() -> Iterator[None]:
    """Suspends Pillow's own limit, which no flag could raise; ours is checked instead."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
