"""The colours and textures of a mesh, from whatever materials a file gives it."""

from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.color import to_rgba
from trimesh.visual.material import PBRMaterial

WARM_GREY = (176, 168, 158, 255)
"""RGBA of faces without a colour of their own."""

SAMPLE_BARYCENTRIC = np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4], [2, 2, 2]]) / 6
"""Barycentric points, spread over a face, at which its texture is sampled for the face's mean colour."""

MAX_TEXELS = 256
"""Texels along the longest side of a mesh: finer textures would only flicker in views of this size."""
MAX_TEXTURE_ROWS = 16 * 1024
"""Rows of all textures of a mesh together; parts beyond that keep one colour per face."""


@dataclass(frozen=True)
class Textures:
    """Images on the faces of a mesh."""

    images: tuple[UInt8[np.ndarray, "_height _width 4"], ...]
    image_index: Int[np.ndarray, " faces"]
    """The image on each face, -1 for none."""
    uv: Float[np.ndarray, "faces 3 2"]
    """UV coordinates of each corner of each face."""

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
        return colours


@dataclass(frozen=True)
class TexturedMesh:
    """A mesh with one colour per face, and the textures on its faces in the same order, if it has any."""

    mesh: trimesh.Trimesh
    textures: Textures | None = None


def face_colours(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "faces 4"]:
    """The mean RGBA of each face, opaque; a warm grey where the mesh has no colours."""
    visual = mesh.visual
    if isinstance(visual, TextureVisuals):
        image, colours = read_material(visual)
        if image is not None:
            colours = sample_texture(image, SAMPLE_BARYCENTRIC @ corner_uv(mesh)).mean(1).round()
    elif isinstance(visual, ColorVisuals) and visual.kind is not None:
        colours = np.asarray(visual.face_colors)
    else:
        colours = np.asarray(WARM_GREY)
    colours = np.array(np.broadcast_to(colours, (len(mesh.faces), 4)), np.uint8)
    colours[:, 3] = 255
    return colours


def corner_colours(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "faces 3 4"]:
    """The RGBA of each corner of each face: that of its vertex if the mesh has vertex colours, else of the face."""
    if isinstance(mesh.visual, ColorVisuals) and mesh.visual.kind == "vertex":
        return np.asarray(mesh.visual.vertex_colors, np.uint8)[mesh.faces]
    return face_colours(mesh)[:, None].repeat(3, axis=1)


def read_material(visual: TextureVisuals) -> tuple[UInt8[np.ndarray, "height width 4"] | None, UInt8[np.ndarray, "4"]]:
    """The texture of a material, at most 4 * MAX_TEXELS a side, and the plain colour of faces without texture.

    The texture is None if the material has no image or the mesh has no UV coordinates.
    """
    image, factor = _texture_image(visual), _base_colour(visual)
    tint = np.array(WARM_GREY if factor is None else to_rgba(factor), np.uint8)
    if image is None:
        return None, tint
    if max(image.size) > 4 * MAX_TEXELS:
        image = image.copy()
        image.thumbnail((4 * MAX_TEXELS, 4 * MAX_TEXELS))
    pixels = np.array(image.convert("RGBA"))
    # in glTF the colour tints the texture; in OBJ the diffuse colour only stands in for the texture
    if isinstance(visual.material, PBRMaterial) and factor is not None:
        pixels = (pixels * (tint / 255)).round().astype(np.uint8)
    return pixels, tint


def shrink_image_in_place(visual: TextureVisuals) -> None:
    """Reduces the texture's image to at most 4 * MAX_TEXELS a side, for a mesh that was just read.

    An image that is not decoded yet, such as a large JPEG, is then never decoded at its full size.
    """
    image = _texture_image(visual)
    if image is not None:
        image.thumbnail((4 * MAX_TEXELS, 4 * MAX_TEXELS))


def _texture_image(visual: TextureVisuals) -> Image.Image | None:
    if visual.uv is None or not len(visual.uv):
        return None
    material = visual.material
    return material.baseColorTexture if isinstance(material, PBRMaterial) else getattr(material, "image", None)


def _base_colour(visual: TextureVisuals) -> np.ndarray | None:
    material = visual.material
    return material.baseColorFactor if isinstance(material, PBRMaterial) else getattr(material, "main_color", None)


def corner_uv(mesh: trimesh.Trimesh) -> Float[np.ndarray, "faces 3 2"]:
    """The UV coordinates of each corner of each face of a mesh that has them; u to the right, v up."""
    assert isinstance(mesh.visual, TextureVisuals)
    uv = np.asarray(mesh.visual.uv, np.float64)[mesh.faces]
    return np.where(np.isfinite(uv), uv, 0)


def sample_texture(
    image: UInt8[np.ndarray, "height width 4"], uv: Float[np.ndarray, "*batch 2"]
) -> UInt8[np.ndarray, "*batch 4"]:
    """The nearest texels of an image that repeats endlessly, at UV coordinates; u to the right, v up."""
    height, width = image.shape[:2]
    column = np.minimum((uv[..., 0] % 1 * width).astype(int), width - 1)
    row = np.minimum(((1 - uv[..., 1] % 1) * height).astype(int), height - 1)
    return image[row, column]


def merge_materials(whole: trimesh.Trimesh, parts: list[trimesh.Trimesh]) -> TexturedMesh:
    """Gives `whole`, whose faces are those of the parts in order, the parts' face colours and textures."""
    whole.visual = ColorVisuals(whole, face_colors=np.concatenate([face_colours(part) for part in parts]))
    texels_per_unit = MAX_TEXELS / np.ptp(whole.triangles.reshape(-1, 3), axis=0).max()
    areas = np.split(whole.area_faces, np.cumsum([len(part.faces) for part in parts])[:-1])
    images: list[np.ndarray] = []
    index, uv = [], []
    for part, area in zip(parts, areas, strict=True):
        image = read_material(part.visual)[0] if isinstance(part.visual, TextureVisuals) else None
        if image is None or sum(len(known) for known in images) > MAX_TEXTURE_ROWS:
            index.append(np.full(len(part.faces), -1))
            uv.append(np.zeros((len(part.faces), 3, 2)))
            continue
        index.append(np.full(len(part.faces), len(images)))
        uv.append(corner_uv(part))
        images.append(shrink_texture(image, uv[-1], texels=area.sum() * texels_per_unit**2))
    if not images:
        return TexturedMesh(whole)
    return TexturedMesh(whole, Textures(tuple(images), np.concatenate(index), np.concatenate(uv)))


def shrink_texture(
    image: UInt8[np.ndarray, "height width 4"], uv: Float[np.ndarray, "faces 3 2"], *, texels: float
) -> UInt8[np.ndarray, "new_height new_width 4"]:
    """The texture, scaled down so far that the faces with these UV coordinates show at most `texels` of its texels."""
    (right, up), (far_right, far_up) = (np.moveaxis(uv[:, corner] - uv[:, 0], 1, 0) for corner in (1, 2))
    shown = abs(right * far_up - far_right * up).sum() / 2 * image.shape[0] * image.shape[1]
    scale = min((texels / max(shown, 1e-9)) ** 0.5, 1)
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BOX))
