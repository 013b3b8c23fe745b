"""Images of an object: reads them, segments the object, and frames and encodes them for the encoder."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import Tensor

from gancore.errors import UnreadableError
from gancore.files.limits import ReadingLimits
from gancore.files.pictures import open_picture, to_rgba
from voxgan.files.background import require_plain_background
from voxgan.files.masks import MaskInput, has_outline, read_mask

logger = logging.getLogger(__name__)

MAX_SIDE = 1024
"""Pixels along the longer side of an image, at most, after reading: more than any encoder uses."""
FRAME_MARGIN = 0.06
"""Margin at either end of the object's longer side, as a fraction of a framed image."""
OPAQUE = 250
"""Least alpha of a pixel that counts as opaque."""

Rgba = UInt8[np.ndarray, "height width 4"]
"""Pixels with straight alpha."""
ImageInput: TypeAlias = str | os.PathLike[str] | np.ndarray | Image.Image
"""A file, a Pillow image, or uint8 pixels (height width) with 1, 3 or 4 channels or none."""


def read_image(image: ImageInput, *, limits: ReadingLimits = ReadingLimits()) -> Rgba:
    """The image as RGBA with straight alpha, upright, its longer side at most MAX_SIDE pixels.

    Images of more than 8 bits are scaled to 8. Transparency that outlines no object, such as a narrow rim, is removed
    with a warning in the log. Raises FileNotFoundError, UnreadableError if the file cannot be read or exceeds the
    limits, or ValueError if the array has another shape or type, or the image is less than 8 pixels wide or high.
    """
    if isinstance(image, Image.Image):
        return _to_pixels(image, "the image")
    if isinstance(image, np.ndarray):
        channels = image.shape[2] if image.ndim == 3 else 1
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or channels not in (1, 3, 4):
            raise ValueError(f"an image is uint8 of shape (height, width, 3 or 4), not {image.dtype} {image.shape}")
        return _to_pixels(Image.fromarray(image[..., 0] if image.ndim == 3 and channels == 1 else image), "the image")
    with open_picture(image, limits=limits) as opened:
        opened.draft("RGB", (MAX_SIDE, MAX_SIDE))  # a large JPEG is not decoded at full size
        return _to_pixels(opened, str(image))


def _to_pixels(image: Image.Image, name: str) -> Rgba:
    if min(image.size) < 8:
        raise UnreadableError(f"{name} has {image.width}x{image.height} pixels; at least 8x8 are needed")
    image = to_rgba(image, name)
    image.thumbnail((MAX_SIDE, MAX_SIDE), reducing_gap=2.0)
    pixels = np.array(image)
    if pixels[..., 3].min() >= OPAQUE or has_outline(pixels[..., 3]):
        return pixels
    logger.warning("%s: its transparent pixels outline no object, so it is read as opaque", name)
    return _make_opaque(pixels)


def _make_opaque(pixels: Rgba) -> Rgba:
    """The image without transparency; pixels less than half opaque take the colour of the nearest more opaque one."""
    clear = pixels[..., 3] <= min(127, pixels[..., 3].max() // 2)
    nearest = ndimage.distance_transform_edt(clear, return_distances=False, return_indices=True)
    pixels = pixels[nearest[0], nearest[1]]
    pixels[..., 3] = 255
    return pixels


def segment_object(image: Rgba, mask: Bool[np.ndarray, "mask_height mask_width"] | None = None) -> Rgba:
    """The image with everything but the object transparent.

    The object is given by the mask, else by the image's alpha. In an opaque image it is the largest connected region
    whose colour differs from the background's by more than Otsu's threshold (Otsu 1979), with its holes filled; the
    background has the median colour of the border. Raises ValueError if that leaves no object, or the mask has another
    aspect ratio than the image.
    """
    if mask is not None:
        require_same_aspect(image, mask)
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
    if not count:  # half the border has one colour and half another, both equally far from their median
        return np.zeros(distance.shape, bool)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)[1:]
    return ndimage.binary_fill_holes(regions == 1 + sizes.argmax())


def frame_object(image: Rgba, side: int, *, margin: float = FRAME_MARGIN) -> UInt8[np.ndarray, "side side 4"]:
    """The square crop around the object, scaled to `side` pixels; the object's longer side fills 1 - 2 * margin of it.

    Raises ValueError if the image is completely transparent.
    """
    rows, columns = (np.flatnonzero((image[..., 3] > 127).any(axis)) for axis in (1, 0))
    if not len(rows):
        raise ValueError("the image shows no object: it is completely transparent")
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    half = max(bottom - top, right - left) / (1 - 2 * margin) / 2
    y, x = (top + bottom) / 2, (left + right) / 2
    window = tuple(round(edge) for edge in (x - half, y - half, x + half, y + half))
    # resized with colours weighted by alpha, so that transparent pixels do not bleed in
    premultiplied = Image.fromarray(image).convert("RGBa").crop(window)
    return np.array(premultiplied.resize((side, side), Image.Resampling.BOX, reducing_gap=3.0).convert("RGBA"))


def frame_or_blank(image: Rgba, side: int) -> UInt8[np.ndarray, "{side} {side} 4"]:
    """The object framed by `frame_object`; a transparent image if nothing is visible, as of a sheet seen edge on."""
    visible = (image[..., 3] > 127).any()
    return frame_object(image, side) if visible else np.zeros((side, side, 4), np.uint8)


def encode_views(
    images: Sequence[UInt8[np.ndarray, "side side 4"]],
    *,
    mask: bool,
    background: float | Float[Tensor, "views 3 side side"] = 0.0,
) -> Float[Tensor, "views channels side side"]:
    """Framed images as the encoder's input: RGB in [-1, 1] over a background (0 is grey), with the mask as fourth
    channel in [-1, 1] if set."""
    pixels = rearrange(torch.from_numpy(np.stack(images)).float() / 255, "v h w c -> v c h w")
    colour, alpha = pixels[:, :3] * 2 - 1, pixels[:, 3:]
    colour = background + alpha * (colour - background)
    return torch.cat([colour, 2 * alpha - 1], 1) if mask else colour


def require_same_aspect(image: Rgba, mask: Bool[np.ndarray, "mask_height mask_width"]) -> None:
    """Raises ValueError if the mask has another aspect ratio than the image, up to a pixel of rounding."""
    (height, width), (mask_height, mask_width) = image.shape[:2], mask.shape
    if abs(width * mask_height - height * mask_width) > max(height, width, mask_height, mask_width):
        raise ValueError(
            f"the mask has an aspect ratio of {mask_width / mask_height:.3g}, and the image of {width / height:.3g}"
        )


def cut_out_object(
    image: ImageInput,
    mask: MaskInput | None = None,
    *,
    limits: ReadingLimits = ReadingLimits(),
    any_background: bool = False,
) -> Rgba:
    """Reads an image and makes everything but the object transparent; see `segment_object`.

    Raises FileNotFoundError, or ValueError naming the files if one cannot be read, the image shows no object, the mask
    has another aspect ratio than the image, or, unless `any_background` is set, the image needs a mask because the
    object cannot be told from the background.
    """
    pixels, covered = read_image(image, limits=limits), None
    name = image if isinstance(image, str | Path) else "the image"
    if mask is not None:
        covered = read_mask(mask, limits=limits)
        try:
            require_same_aspect(pixels, covered)
        except ValueError as error:
            mask_name = mask if isinstance(mask, str | Path) else "the mask"
            raise ValueError(f"{mask_name} does not fit {name}: {error}") from error
    try:
        cut_out = segment_object(pixels, covered)
        if covered is None and pixels[..., 3].min() >= OPAQUE and not any_background:
            require_plain_background(pixels[..., :3].astype(np.float32))
        return cut_out
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
