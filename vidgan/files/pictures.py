"""Single pictures: opened by their header, and converted to RGB, upright and scaled by their bit depth."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from gancore.files.reading import as_unreadable, require_regular_file
from vidgan.files.readers import RGBImage

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "WEBP", "PPM", "TIFF", "GIF")
"""Formats, as Pillow calls them, that a picture may have, whatever its ending."""
SUBFILE_TYPE, BITS_PER_SAMPLE, PHOTOMETRIC, ORIENTATION = 254, 258, 262, 274
"""Tags of TIFF files; the last is one of all pictures."""


@contextmanager
def open_picture(file: str | Path | BytesIO, name: object, limits: VideoLimits) -> Iterator[Image.Image]:
    """Opens a picture by its header; whatever goes wrong with it becomes an UnreadableError that calls it `name`."""
    if isinstance(file, str | Path):
        require_regular_file(file)
    # Given a name, Pillow maps the file: cut short it would end the process, and turned TIFFs are read askew.
    with (
        as_unreadable(str(name), "a picture"),
        nullcontext(file) if isinstance(file, BytesIO) else open(file, "rb") as stream,
    ):
        allowed, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # the limits decide
        try:
            image = Image.open(stream, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = allowed
        with image:
            limits.check_pixels(image.height, image.width, name)
            yield image


def read_picture(file: str | Path | BytesIO, name: object, limits: VideoLimits) -> RGBImage:
    """Reads a picture of one page as RGB on black. Raises UnreadableError if it cannot be read, or has more pages."""
    with open_picture(file, name, limits) as image:
        if len(pages := list_pages(image)) > 1:
            raise UnreadableError(f"{name} has {len(pages)} pages, and lies among pictures of one: put it by itself")
        return picture_to_rgb(image, name)


def list_pages(image: Image.Image) -> list[int]:
    """Numbers of the pages of a TIFF, an animated PNG or WebP, leaving out previews; one for any other picture."""
    if image.format not in ("TIFF", "PNG", "WEBP"):
        return [0]
    count = getattr(image, "n_frames", 1)
    if image.format != "TIFF" or count == 1:
        return list(range(bool(image.info.get("default_image")), count))
    pages = []
    for number in range(count):
        image.seek(number)
        if not getattr(image, "tag_v2", {}).get(SUBFILE_TYPE, 0) & 1:
            pages.append(number)
    image.seek(0)
    return pages or [0]


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
    image.load()
    if image.mode == "F" or image.mode.startswith("I"):
        grey = Image.fromarray(_grey_to_bytes(image, name))
        grey.getexif()[ORIENTATION] = image.getexif().get(ORIENTATION, 1)
        image = grey
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    return composite_on_black(np.asarray(image.convert("RGBA")))


def _grey_to_bytes(image: Image.Image, name: object) -> UInt8[np.ndarray, "height width"]:
    values, tags = np.asarray(image).astype(np.float64), getattr(image, "tag_v2", {})
    if image.mode == "F":
        top = 1.0
    elif image.mode.startswith("I;16") or image.format == "PPM":
        top = 2.0 ** tags.get(BITS_PER_SAMPLE, (16,))[0] - 1
    else:
        top = -1.0  # integers whose depth is not known
    if not (values.min() >= 0 and values.max() <= top):
        raise UnreadableError(
            f"{name} is a picture of mode {image.mode} with values from {values.min():.6g} to {values.max():.6g}; "
            "expected 8 or 16 bits, or floats in [0, 1]"
        )
    scaled = (values / top * 255).round().astype(np.uint8)
    return 255 - scaled if tags.get(PHOTOMETRIC) == 0 else scaled


def composite_on_black(pixels: UInt8[np.ndarray, "height width 4"]) -> RGBImage:
    """The colours multiplied by alpha."""
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    if alpha.min() == 255:
        return colour
    return ((colour.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)
