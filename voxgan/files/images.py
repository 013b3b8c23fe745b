"""Pictures of an object: read, cut out of their background, framed as the encoder sees them."""

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

MAX_SIDE = 1024
"""Longer side of a picture in pixels after reading; more than any encoder looks at."""
FRAME_MARGIN = 0.06
"""Share of a framed picture left free at either end of the object's longer side."""
OPAQUE = 250
"""Alpha from which on a pixel counts as fully covered."""

Rgba = UInt8[np.ndarray, "height width 4"]
ImageInput: TypeAlias = str | os.PathLike[str] | np.ndarray | Image.Image


def read_image(picture: ImageInput) -> Rgba:
    """The picture with straight alpha, upright, its longer side at most LARGEST pixels.

    Takes a file, a Pillow image, or uint8 pixels (height width) with 1, 3 or 4 channels or none. Raises ValueError if
    it cannot be read or is less than 8 pixels wide or high.
    """
    if isinstance(picture, np.ndarray):
        picture = _from_array(picture)
    if isinstance(picture, Image.Image):
        return _reduced(picture, "the picture")
    with _opened(picture) as image:
        image.draft("RGB", (MAX_SIDE, MAX_SIDE))  # a large JPEG is not decoded at full size
        return _reduced(image, str(picture))


def count_megapixels(path: str | os.PathLike[str]) -> float:
    """Millions of pixels in a picture, by the head of its file. Raises ValueError if it cannot be read."""
    with _opened(path) as image:
        return image.width * image.height / 1e6


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is reduced at once
            with Image.open(path) as image:
                yield image
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such picture") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is not a picture that can be read: {error}") from error


def _from_array(pixels: np.ndarray) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
        raise ValueError(f"a picture is uint8 of shape (height width 3 or 4), not {pixels.dtype} {pixels.shape}")
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _reduced(image: Image.Image, name: str) -> Rgba:
    if min(image.size) < 8:
        raise ValueError(f"{name} has {image.width}x{image.height} pixels; at least 8x8 are needed")
    image = ImageOps.exif_transpose(image).convert("RGBA")
    image.thumbnail((MAX_SIDE, MAX_SIDE), reducing_gap=2.0)
    return np.array(image)


def read_mask(path: ImageInput) -> Bool[np.ndarray, "height width"]:
    """Where a mask picture is brighter than half, or opaque if it has an alpha channel."""
    pixels = read_image(path)
    alpha = pixels[..., 3]
    return alpha > 127 if alpha.min() < OPAQUE else pixels[..., :3].mean(2) > 127


def segment_object(picture: Rgba, mask: Bool[np.ndarray, "mask_height mask_width"] | None = None) -> Rgba:
    """The picture with everything but the object transparent.

    A mask decides if there is one, else the picture's own alpha, and for opaque pictures this rule: the background has
    the median colour of the border; the object is the largest connected patch that differs from it by more than Otsu's
    threshold, its holes filled. Raises ValueError if that leaves nothing, or no background.
    """
    if mask is not None:
        shape = picture.shape[1::-1]
        covered = np.asarray(Image.fromarray(mask).resize(shape, Image.Resampling.NEAREST))
    elif picture[..., 3].min() < OPAQUE:
        covered = picture[..., 3] > 0
    else:
        covered = _differs_from_border(picture[..., :3].astype(np.float32))
    if not covered.any():
        raise ValueError("the picture shows no object: all of it is transparent or background")
    picture = picture.copy()
    picture[..., 3] *= covered
    return picture


def _differs_from_border(pixels: Float[np.ndarray, "height width 3"]) -> Bool[np.ndarray, "height width"]:
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    distance = np.linalg.norm(pixels - np.median(border, axis=0), axis=2)
    if distance.max() < 8:
        return np.zeros(distance.shape, bool)
    patches, count = ndimage.label(distance > threshold_otsu(distance))
    sizes = np.bincount(patches.ravel(), minlength=count + 1)[1:]
    return ndimage.binary_fill_holes(patches == 1 + sizes.argmax())


def frame_object(picture: Rgba, side: int, *, margin: float = FRAME_MARGIN) -> UInt8[np.ndarray, "side side 4"]:
    """The square window around the object, whose longer side fills 1 - 2 * margin of it.

    Raises ValueError if the picture is transparent all over.
    """
    rows, columns = (np.flatnonzero((picture[..., 3] > 127).any(axis)) for axis in (1, 0))
    if not len(rows):
        raise ValueError("the picture shows no object: it is transparent all over")
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    half = max(bottom - top, right - left) / (1 - 2 * margin) / 2
    y, x = (top + bottom) / 2, (left + right) / 2
    # Colours weighted by alpha, so that what is transparent does not bleed in.
    window = tuple(round(edge) for edge in (x - half, y - half, x + half, y + half))
    premultiplied = Image.fromarray(picture).convert("RGBa").crop(window)
    return np.array(premultiplied.resize((side, side), Image.Resampling.BOX, reducing_gap=3.0).convert("RGBA"))


def encode_views(
    pictures: Sequence[UInt8[np.ndarray, "side side 4"]],
    *,
    mask: bool,
    background: float | Float[Tensor, "views 3 side side"] = 0.0,
) -> Float[Tensor, "views channels side side"]:
    """Framed pictures as the encoder takes them: in [-1, 1] over a background, the mask as fourth channel."""
    pixels = rearrange(torch.from_numpy(np.stack(pictures)).float() / 255, "v h w c -> v c h w")
    colour, alpha = pixels[:, :3] * 2 - 1, pixels[:, 3:]
    colour = background + alpha * (colour - background)
    return torch.cat([colour, 2 * alpha - 1], 1) if mask else colour


def cut_out_object(picture: ImageInput, mask: ImageInput | None = None) -> Rgba:
    """The object cut out of a picture. Raises ValueError naming the picture where there is none to be seen."""
    pixels = read_image(picture)
    try:
        return segment_object(pixels, None if mask is None else read_mask(mask))
    except ValueError as error:
        name = picture if isinstance(picture, str | Path) else "the picture"
        raise ValueError(f"{name}: {error}") from error
