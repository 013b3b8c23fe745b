"""Textures of a mesh: sampling them at points on faces, and scaling them down to the resolution of views."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from voxgan.mesh.srgb import linear_to_srgb, srgb_to_linear

MAX_TEXELS = 256
"""Texels along the longest side of a mesh; finer textures would only cause aliasing in views of our size."""
MAX_TEXTURE_ROWS = 16 * 1024
"""Maximum total number of rows of a mesh's textures; further parts keep one colour per face."""


@dataclass(frozen=True)
class Textures:
    """Images on the faces of a mesh."""

    images: tuple[UInt8[np.ndarray, "_height _width 4"], ...]
    image_index: Int[np.ndarray, " faces"]
    """The image on each face, -1 for none."""
    uv: Float[np.ndarray, "faces 3 2"]
    """UV coordinates of each corner of each face."""
    tint: Float[np.ndarray, "faces 3 3"] | None = None
    """Linear RGB of each corner, by which the image is multiplied; None for white."""

    def sample(
        self,
        colours: Float[np.ndarray, "points 3"],
        face: Int[np.ndarray, " points"],
        weights: Float[np.ndarray, "points 3"],
    ) -> Float[np.ndarray, "points 3"]:
        """Colours in [0, 255] of points on faces: from the texture where the face has one, else as given.

        `weights` are the points' barycentric coordinates in their faces.
        """
        colours = colours.copy()
        for number, image in enumerate(self.images):
            where = np.flatnonzero(self.image_index[face] == number)
            uv = np.einsum("pc,pcd->pd", weights[where], self.uv[face[where]])
            colours[where] = sample_texture(image, uv)[:, :3]
            if self.tint is not None:
                tint = np.einsum("pc,pcd->pd", weights[where], self.tint[face[where]])
                colours[where] = linear_to_srgb(srgb_to_linear(colours[where]) * tint)
        return colours


def sample_texture(
    image: UInt8[np.ndarray, "height width 4"], uv: Float[np.ndarray, "*batch 2"]
) -> UInt8[np.ndarray, "*batch 4"]:
    """The nearest texels at UV coordinates (u to the right, v up) of an image that repeats."""
    height, width = image.shape[:2]
    column = np.minimum((uv[..., 0] % 1 * width).astype(int), width - 1)
    row = np.minimum(((1 - uv[..., 1] % 1) * height).astype(int), height - 1)
    return image[row, column]


def shrink_texture(
    image: UInt8[np.ndarray, "height width 4"], uv: Float[np.ndarray, "faces 3 2"], *, texels: float
) -> UInt8[np.ndarray, "new_height new_width 4"]:
    """The texture, scaled down so that the faces with these UV coordinates show at most `texels` of its texels."""
    (right, up), (far_right, far_up) = (np.moveaxis(uv[:, corner] - uv[:, 0], 1, 0) for corner in (1, 2))
    shown = abs(right * far_up - far_right * up).sum() / 2 * image.shape[0] * image.shape[1]
    scale = min((texels / max(shown, 1e-9)) ** 0.5, 1)
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BOX))
