"""Checks whether an object can be segmented from the background by the colour of the picture's border."""

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from skimage.filters import threshold_otsu

MAX_STRAY_BORDER = 0.05
"""Largest fraction of the border that may differ from the background without belonging to the object."""
MIN_LARGEST_SHARE = 0.25
"""Least fraction of the foreground pixels that must be in the largest connected region, the object."""


def require_plain_background(pixels: Float[np.ndarray, "height width 3"]) -> None:
    """Raises ValueError if the largest region that differs from the border's median colour is unlikely to be an object.

    In textures, noise and photographs of whole scenes, either much of the border differs from its own median colour, or
    the foreground is scattered over many regions. An object that is cut off by the border passes.
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
            "the object cannot be separated from the background; give a mask (--masks), or a picture with a plain or "
            "transparent background"
        )
