"""Masks of objects: black and white pictures, pictures with an outline in their alpha, and label maps."""

import os

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image
from scipy import ndimage

from gancore.files.limits import ReadingLimits
from gancore.files.pictures import LOSSY_FORMATS, grey_levels, open_picture, to_rgba, turn_upright

MIN_OUTLINE_SHARE = 0.02
"""Least transparent fraction of the opaque pixels' bounding box for alpha to outline an object, unless there is a wide
transparent rim."""
MAX_RIM = 0.05
"""Greatest width of a rim that outlines no object, as a fraction of the picture's width or height."""
MAX_LABELS = 256
"""Maximum number of colours in a label map."""
LABEL_SIDE = 5
"""A square of this side with a single grey level belongs to a label; at blurred edges the level varies."""

MaskInput = str | os.PathLike[str] | np.ndarray | Image.Image
"""A file, a Pillow image, or an array (height width) of booleans or integers, or of uint8 with 3 or 4 channels."""


def read_mask(image: MaskInput, *, limits: ReadingLimits = ReadingLimits()) -> Bool[np.ndarray, "height width"]:
    """The pixels of the object in a mask, upright.

    If alpha outlines an object, these are the pixels that are at least half opaque. In a black and white mask they are
    the pixels above half of the greatest value of its depth. In a label map (0 and 1, small numbers, colours of a
    palette) they are the pixels of every label except 0 or black. Raises FileNotFoundError, or ValueError if the file
    cannot be read or a label map has no background.
    """
    if isinstance(image, np.ndarray):
        if image.ndim == 3 and image.shape[2] == 1:
            image = image[..., 0]
        if image.ndim == 2 and image.dtype == np.bool_:
            return image
        if image.ndim == 2 and np.issubdtype(image.dtype, np.integer):
            white = np.iinfo(image.dtype).max if image.dtype in (np.uint8, np.uint16) else None
            return _cover_levels(image.astype(np.int64), white)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
            raise ValueError(f"a mask has booleans or integers (height, width), not {image.dtype} {image.shape}")
        return _cover(Image.fromarray(image), "the mask")
    if isinstance(image, Image.Image):
        return _cover(image, "the mask")
    with open_picture(image, limits=limits) as opened:
        return _cover(opened, image)


def has_outline(alpha: UInt8[np.ndarray, "height width"]) -> bool:
    """Whether the transparent pixels outline an object; a narrow rim, rounded corners or stray pixels do not."""
    solid = alpha > min(127, alpha.max() // 2)
    if not solid.any():
        return True
    rows, columns = (np.flatnonzero(solid.any(axis)) for axis in (1, 0))
    for edges, length in ((rows, alpha.shape[0]), (columns, alpha.shape[1])):
        if max(edges[0], length - 1 - edges[-1]) > max(2, MAX_RIM * length):
            return True
    inside = solid[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return bool(1 - inside.mean() > MIN_OUTLINE_SHARE)


def _cover(image: Image.Image, name: object) -> Bool[np.ndarray, "height width"]:
    lossy = image.format in LOSSY_FORMATS
    if image.mode.startswith("I"):
        values, black, white, _ = grey_levels(image)
        return _cover_levels(values if black == 0 else int(black) - values, int(max(black, white or 0)) or None)
    if image.mode == "1":
        return np.asarray(turn_upright(image))
    pixels = np.asarray(to_rgba(image, name))
    if pixels[..., 3].min() < 128 and has_outline(pixels[..., 3]):
        return np.asarray(pixels[..., 3] > 127)
    colours = pixels[..., :3]
    if np.ptp(colours.astype(np.int16), axis=2).max() <= 16:  # grey, but for the rounding of colour spaces
        return _cover_levels(colours.max(2).astype(np.int64), 255, lossy=lossy)
    if not lossy and Image.fromarray(colours).getcolors(MAX_LABELS) is not None:  # None if there are more
        return np.asarray(colours.any(2))
    return np.asarray(colours.mean(2) > 127)


def _cover_levels(
    values: Int[np.ndarray, "height width"], white: int | None, *, lossy: bool = False
) -> Bool[np.ndarray, "height width"]:
    """The object's pixels by grey level; `white` is the highest possible level, or None if the levels are labels."""
    highest = int(values.max())
    half = highest if white is None else white // 2
    if lossy:
        return np.asarray(values > min(half, highest // 2))
    if highest > half:
        dim = (values > 0) & (values <= half)
        same = ndimage.maximum_filter(values, LABEL_SIDE) == ndimage.minimum_filter(values, LABEL_SIDE)
        return np.asarray(values > (0 if (dim & same).any() else half))
    if values.min() == highest:  # a plain dark mask shows nothing
        return np.zeros(values.shape, bool)
    if values.min() > 0:
        raise ValueError(f"the mask holds labels from {values.min()} to {highest}, but no 0 for the background")
    return values > 0
