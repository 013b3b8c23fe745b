"""Frames that are pictures of their own: one page each, read as RGB on black."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from gancore.files.pictures import grey_levels, holds_levels, list_pages, open_header, turn_upright
from gancore.files.reading import as_unreadable
from vidgan.files.readers import RGBImage

FORMATS = ["PNG", "JPEG", "BMP", "DIB", "WEBP", "PPM", "TIFF", "GIF"]
"""Formats, as Pillow calls them, that a picture may have, whatever its ending."""


@contextmanager
def open_picture(file: str | Path | BytesIO, name: object, limits: VideoLimits) -> Iterator[Image.Image]:
    """Opens a picture by its header; whatever goes wrong with it becomes an UnreadableError that calls it `name`."""
    with as_unreadable(str(name), "a picture"), open_header(file, formats=FORMATS) as image:
        limits.check_pixels(image.height, image.width, name)
        yield image


def read_picture(file: str | Path | BytesIO, name: object, limits: VideoLimits) -> RGBImage:
    """Reads a picture of one page as RGB on black. Raises UnreadableError if it cannot be read, or has more pages."""
    with open_picture(file, name, limits) as image:
        pages = list_pages(image)
        if len(pages) > 1:
            raise UnreadableError(f"{name} has {len(pages)} pages, and lies among pictures of one: put it by itself")
        image.seek(pages[0])
        limits.check_pixels(image.height, image.width, name)
        return picture_to_rgb(image, name)


def has_pages(file: str | Path | BytesIO, limits: VideoLimits) -> bool:
    """Whether a picture has several pages; False as well if it cannot be read."""
    try:
        with open_picture(file, file, limits) as image:
            return len(list_pages(image)) > 1
    except (UnreadableError, FileNotFoundError):
        return False


def picture_to_rgb(image: Image.Image, name: object) -> RGBImage:
    """The current page as RGB, as its orientation tag shows it, on black where transparent.

    Grey values of up to 16 bits are scaled by their depth, floats lie in [0, 1]. Raises UnreadableError for others.
    """
    if holds_levels(image):
        levels = grey_levels(image, float_range=(0.0, 1.0))
        shown = levels.to_8_bits()
        if shown is None:
            raise UnreadableError(
                f"{name} is a picture of mode {image.mode} with values from {levels.values.min():.6g} to "
                f"{levels.values.max():.6g}; expected 8 or 16 bits, or floats in [0, 1]"
            )
    else:
        shown = turn_upright(image)
    if not shown.has_transparency_data:
        return np.asarray(shown.convert("RGB"))
    return composite_on_black(np.asarray(shown.convert("RGBA")))


def composite_on_black(pixels: UInt8[np.ndarray, "height width 4"]) -> RGBImage:
    """The colours multiplied by alpha."""
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    if alpha.min() == 255:
        return colour
    return ((colour.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)
