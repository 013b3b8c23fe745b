"""Picture files of any mode and depth: their headers are held against limits, their pixels scaled to 8 bits."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageOps

from gancore.errors import UnreadableError
from gancore.files.limits import ReadingLimits
from gancore.files.reading import as_unreadable, require_regular_file

LOSSY_FORMATS = {"JPEG", "MPO", "WEBP", "AVIF", "JPEG2000"}
"""Formats, by their names in Pillow, in which a pixel may differ a little from the one that was stored."""
_ANIMATED_FORMATS = {"GIF", "PNG", "WEBP", "AVIF", "TIFF"}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SUBFILE_TYPE, _LOWEST, _HIGHEST = 258, 262, 254, 340, 341  # tags of TIFF


@contextmanager
def open_picture(path: str | os.PathLike[str], *, limits: ReadingLimits = ReadingLimits()) -> Iterator[Image.Image]:
    """The picture in a file; its header is read, its pixels are not yet decoded.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableError: It is not a picture, exceeds the limits, or holds several pictures.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: no such image")
    require_regular_file(path)
    with as_unreadable(path, "an image"), warnings.catch_warnings(), without_pixel_limit():
        warnings.simplefilter("ignore")  # about metadata that nobody needs
        limits.check_bytes(os.path.getsize(path), path)
        # not by its path, or Pillow would map uncompressed TIFFs, which it then turns wrong
        with open(path, "rb") as file, Image.open(file, formats=readable_formats()) as image:
            limits.check_pixels(image.height, image.width, path)
            if _holds_several(image):
                raise UnreadableError(f"{path} holds several pictures; save the one that is meant as a file of its own")
            yield image


def to_rgba(image: Image.Image, name: object, *, upright: bool = True) -> Image.Image:
    """The picture in 8 bits with straight alpha; deeper grey levels are scaled by their depth.

    It is turned as its EXIF orientation says unless `upright` is off, as for textures. Raises UnreadableError, naming
    the picture and the mode, if the file does not state the range of its numbers.
    """
    if not image.mode.startswith(("I", "F")):
        return (turn_upright(image) if upright else image).convert("RGBA")
    levels = grey_levels(image, upright=upright)
    if levels.white is None:
        raise UnreadableError(
            f"{name} has pixels of mode {image.mode}, numbers whose range it does not state; store 8 or 16 bits"
        )
    share = (levels.values - levels.black) / (levels.white - levels.black)
    if not ((share >= 0) & (share <= 1)).all():
        raise UnreadableError(f"{name} has pixels outside the range from {levels.black:g} to {levels.white:g}")
    opaque = np.full(share.shape, 255, np.uint8)
    if isinstance(hidden := image.info.get("transparency"), int):
        opaque[levels.values == hidden] = 0
    grey = (share * 255).round().astype(np.uint8)
    return Image.fromarray(np.stack([grey, grey, grey, opaque], 2))


def turn_upright(image: Image.Image) -> Image.Image:
    """A copy of the picture, turned and mirrored as its EXIF orientation says."""
    image.load()  # Pillow turns a TIFF by itself then, and must not be asked to do so twice
    return ImageOps.exif_transpose(image)


class GreyLevels(NamedTuple):
    """The numbers of a picture of one channel, and those that stand for black and white."""

    values: Int[np.ndarray, "height width"] | Float[np.ndarray, "height width"]
    black: float
    white: float | None
    """None if the file does not say."""


def grey_levels(image: Image.Image, *, upright: bool = True) -> GreyLevels:
    """The levels of a picture of 16-bit or 32-bit integers or of floats, a mode that begins with I or F."""
    tags = getattr(image, "tag_v2", {})
    black, white = 0.0, None
    if image.mode == "F":
        lowest, highest = (np.ravel(tags.get(tag, ())) for tag in (_LOWEST, _HIGHEST))
        if lowest.size and highest.size and lowest[0] < highest[0]:
            black, white = float(lowest[0]), float(highest[0])
    elif image.mode.startswith("I;16") or image.format in ("PNG", "PPM"):
        white = float(2 ** int(np.ravel(tags.get(_BITS_PER_SAMPLE, 16))[0]) - 1)
        if tags.get(_PHOTOMETRIC) == 0:
            black, white = white, 0.0
    values = np.asarray(turn_upright(image) if upright else image)
    return GreyLevels(values.astype(np.float64 if image.mode == "F" else np.int64), black, white)


def _holds_several(image: Image.Image) -> bool:
    if image.format not in _ANIMATED_FORMATS or not getattr(image, "is_animated", False):
        return False
    if image.format != "TIFF":
        return True
    image.seek(1)
    is_thumbnail = bool(image.tag_v2.get(_SUBFILE_TYPE, 0))  # type: ignore[attr-defined]
    image.seek(0)
    return not is_thumbnail


def readable_formats() -> list[str]:
    """The formats that Pillow reads by itself; for EPS it would run another program."""
    Image.init()
    return sorted(set(Image.OPEN) - {"EPS"})


@contextmanager
def without_pixel_limit() -> Iterator[None]:
    """Suspends Pillow's own limit, which no flag could raise; ours is checked instead."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
