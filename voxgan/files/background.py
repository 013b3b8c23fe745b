"""Whether an object can be told from the background of its picture by the colour of the picture's border."""

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from skimage.filters import threshold_otsu

MAX_STRAY_BORDER = 0.05
"""Fraction of the border that may have another colour than the background without belonging to the object."""
MIN_LARGEST_SHARE = 0.25
"""Fraction of all pixels unlike the background that the largest connected region must hold to be the object."""


def require_plain_background(pixels: Float[np.ndarray, "height width 3"]) -> None:
    """Raises ValueError if the largest region that differs from the border's median colour is unlikely to be an object.

    On textures, noise and photographs of whole scenes either much of the border itself differs from its median colour,
    or what differs is scattered over many regions. An object that is cut by the border passes.
    """
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    distance = np.linalg.norm(pixels - np.median(border, axis=0), axis=2)
    regions, count = ndimage.label(distance > threshold_otsu(distance))
    if not count:
        return
    sizes = np.bincount(regions.ravel())[1:]
    edge = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    stray = np.mean((edge > 0) & (edge != 1 + sizes.argmax()))
    if stray > MAX_STRAY_BORDER or sizes.max() < MIN_LARGEST_SHARE * sizes.sum():
        raise ValueError(
            "the object cannot be told from the background; give a mask (--masks), or a picture with a plain or "
            "transparent background"
        )
