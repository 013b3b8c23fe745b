"""Images of an object: reads them, cuts the object out of its background, crops and encodes them for the encoder."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageOps
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import Tensor

from gancore.errors import UnreadableError
from gancore.reading import as_unreadable
from voxgan.files.background import require_plain_background

MAX_SIDE = 1024
"""Pixels along the longer side of an image, at most, after reading: more than any encoder uses."""
FRAME_MARGIN = 0.06
"""Fraction of a framed image that is left free at either end of the object's longer side."""
OPAQUE = 250
"""Alpha from which a pixel counts as opaque."""

Rgba = UInt8[np.ndarray, "height width 4"]
"""Pixels with straight alpha."""
ImageInput: TypeAlias = str | os.PathLike[str] | np.ndarray | Image.Image
"""A file, a Pillow image, or uint8 pixels (height width) with 1, 3 or 4 channels or none."""


def read_image(image: ImageInput) -> Rgba:
    """The image with straight alpha, upright, its longer side at most MAX_SIDE pixels.

    Raises FileNotFoundError, UnreadableError if the file cannot be read, or ValueError if the array has another shape
    or type, or the image is less than 8 pixels wide or high.
    """
    if isinstance(image, Image.Image):
        return _to_rgba(image, "the image")
    if isinstance(image, np.ndarray):
        channels = image.shape[2] if image.ndim == 3 else 1
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or channels not in (1, 3, 4):
            raise ValueError(f"an image is uint8 of shape (height width 3 or 4), not {image.dtype} {image.shape}")
        return _to_rgba(Image.fromarray(image[..., 0] if image.ndim == 3 and channels == 1 else image), "the image")
    with _open(image) as opened:
        opened.draft("RGB", (MAX_SIDE, MAX_SIDE))  # a large JPEG is not decoded at full size
        return _to_rgba(opened, str(image))


def count_megapixels(path: str | os.PathLike[str]) -> float:
    """Millions of pixels in an image, from the header of its file.

    Raises FileNotFoundError, or UnreadableError if it cannot be read.
    """
    with _open(path) as image:
        return image.width * image.height / 1e6


@contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: no such image")
    with as_unreadable(Path(path), "an image"), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is scaled down at once
        with Image.open(path) as image:
            yield image


def _to_rgba(image: Image.Image, name: str) -> Rgba:
    if min(image.size) < 8:
        raise UnreadableError(f"{name} has {image.width}x{image.height} pixels; at least 8x8 are needed")
    image = ImageOps.exif_transpose(image).convert("RGBA")
    image.thumbnail((MAX_SIDE, MAX_SIDE), reducing_gap=2.0)
    return np.array(image)


def read_mask(image: ImageInput) -> Bool[np.ndarray, "height width"]:
    """The pixels of a mask that are brighter than half, or at least half opaque if it has an alpha channel."""
    pixels = read_image(image)
    alpha = pixels[..., 3]
    return alpha > 127 if alpha.min() < OPAQUE else pixels[..., :3].mean(2) > 127


def segment_object(image: Rgba, mask: Bool[np.ndarray, "mask_height mask_width"] | None = None) -> Rgba:
    """The image with everything but the object transparent.

    A mask decides if there is one, else the image's own alpha, and for opaque images this rule: the background has the
    median colour of the border; the object is the largest connected region that differs from it by more than Otsu's
    threshold, with its holes filled. Raises ValueError if that leaves no object.
    """
    if mask is not None:
        size = image.shape[1::-1]
        covered = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    elif image[..., 3].min() < OPAQUE:
        covered = image[..., 3] > 0
    else:
        covered = _differs_from_border(image[..., :3].astype(np.float32))
    if not covered.any():
        raise ValueError("the image shows no object: all of it is transparent or background")
    image = image.copy()
    image[..., 3] *= covered
    return image


def _differs_from_border(pixels: Float[np.ndarray, "height width 3"]) -> Bool[np.ndarray, "height width"]:
    """The largest region that differs from the median colour of the border; nothing in an image of one colour."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    distance = np.linalg.norm(pixels - np.median(border, axis=0), axis=2)
    if distance.max() < 8:
        return np.zeros(distance.shape, bool)
    regions, count = ndimage.label(distance > threshold_otsu(distance))
    if not count:  # half the border has one colour and half another, both as far from their median
        return np.zeros(distance.shape, bool)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)[1:]
    return ndimage.binary_fill_holes(regions == 1 + sizes.argmax())


def frame_object(image: Rgba, side: int, *, margin: float = FRAME_MARGIN) -> UInt8[np.ndarray, "side side 4"]:
    """The square crop around the object, scaled to `side` pixels; the object's longer side fills 1 - 2 * margin of it.

    Raises ValueError if the image is transparent all over.
    """
    rows, columns = (np.flatnonzero((image[..., 3] > 127).any(axis)) for axis in (1, 0))
    if not len(rows):
        raise ValueError("the image shows no object: it is transparent all over")
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    half = max(bottom - top, right - left) / (1 - 2 * margin) / 2
    y, x = (top + bottom) / 2, (left + right) / 2
    window = tuple(round(edge) for edge in (x - half, y - half, x + half, y + half))
    # resized with colours weighted by alpha, so that transparent pixels do not bleed in
    premultiplied = Image.fromarray(image).convert("RGBa").crop(window)
    return np.array(premultiplied.resize((side, side), Image.Resampling.BOX, reducing_gap=3.0).convert("RGBA"))


def encode_views(
    images: Sequence[UInt8[np.ndarray, "side side 4"]],
    *,
    mask: bool,
    background: float | Float[Tensor, "views 3 side side"] = 0.0,
) -> Float[Tensor, "views channels side side"]:
    """Framed images as input of the encoder: RGB in [-1, 1] over a background, the mask as fourth channel if set."""
    pixels = rearrange(torch.from_numpy(np.stack(images)).float() / 255, "v h w c -> v c h w")
    colour, alpha = pixels[:, :3] * 2 - 1, pixels[:, 3:]
    colour = background + alpha * (colour - background)
    return torch.cat([colour, 2 * alpha - 1], 1) if mask else colour


def cut_out_object(image: ImageInput, mask: ImageInput | None = None) -> Rgba:
    """Reads an image and makes everything but the object transparent; see `segment_object`.

    Raises FileNotFoundError, or ValueError naming the image if it cannot be read, shows no object, or needs a mask
    because the object cannot be told from the background.
    """
    pixels = read_image(image)
    try:
        cut_out = segment_object(pixels, None if mask is None else read_mask(mask))
        if mask is None and pixels[..., 3].min() >= OPAQUE:
            require_plain_background(pixels[..., :3].astype(np.float32))
        return cut_out
    except ValueError as error:
        name = image if isinstance(image, str | Path) else "the image"
        raise ValueError(f"{name}: {error}") from error
