"""What colour a mesh is, and where: from whatever a file says of its materials and pictures."""

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.color import to_rgba
from trimesh.visual.material import PBRMaterial

WARM_GREY = (176, 168, 158, 255)
"""The colour of what has none."""

SAMPLE_BARYCENTRIC = np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4], [2, 2, 2]]) / 6
"""Barycentric points spread over a face: where its picture is looked up for its mean colour."""

MAX_TEXELS = 256
"""Of a picture on a mesh, along its longest side: finer ones would only flicker in views of this size."""
MAX_TEXTURE_ROWS = 16 * 1024
"""Of all pictures on a mesh together; parts beyond keep one colour a face."""


def face_colours(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "faces 4"]:
    """The mean colour of each face, opaque; a warm grey where the mesh says nothing."""
    visual = mesh.visual
    if isinstance(visual, TextureVisuals):
        picture, tint = read_material(visual)
        colours = tint
        if picture is not None:
            colours = sample_texture(picture, SAMPLE_BARYCENTRIC @ corner_uv(mesh)).mean(1).round()
    elif isinstance(visual, ColorVisuals) and visual.kind is not None:
        colours = np.asarray(visual.face_colors)
    else:
        colours = np.asarray(WARM_GREY)
    colours = np.array(np.broadcast_to(colours, (len(mesh.faces), 4)), np.uint8)
    colours[:, 3] = 255
    return colours


def corner_colours(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "faces 3 4"]:
    """The colour of each corner of each face: that of its vertex where the mesh has such, else of the face."""
    if isinstance(mesh.visual, ColorVisuals) and mesh.visual.kind == "vertex":
        return np.asarray(mesh.visual.vertex_colors, np.uint8)[mesh.faces]
    return face_colours(mesh)[:, None].repeat(3, axis=1)


def read_material(visual: TextureVisuals) -> tuple[UInt8[np.ndarray, "height width 4"] | None, UInt8[np.ndarray, "4"]]:
    """The picture on the faces, if any and if they say where it lies, and their colour without it."""
    if isinstance(visual.material, PBRMaterial):
        picture, factor = visual.material.baseColorTexture, visual.material.baseColorFactor
    else:
        picture, factor = getattr(visual.material, "image", None), getattr(visual.material, "main_color", None)
    tint = np.array(WARM_GREY if factor is None else to_rgba(factor), np.uint8)
    if picture is None or visual.uv is None or not len(visual.uv):
        return None, tint
    picture.thumbnail((4 * MAX_TEXELS, 4 * MAX_TEXELS))
    pixels = np.array(picture.convert("RGBA"))
    # the factor of glTF tints its picture; the diffuse colour of an OBJ is what viewers show that read no pictures
    if isinstance(visual.material, PBRMaterial) and factor is not None:
        pixels = (pixels * (tint / 255)).round().astype(np.uint8)
    return pixels, tint


def corner_uv(mesh: trimesh.Trimesh) -> Float[np.ndarray, "faces 3 2"]:
    """Where each corner of each face lies in its picture, right and up, in pictures."""
    assert isinstance(mesh.visual, TextureVisuals)
    places = np.asarray(mesh.visual.uv, np.float64)[mesh.faces]
    return np.where(np.isfinite(places), places, 0)


def sample_texture(
    picture: UInt8[np.ndarray, "height width 4"], places: Float[np.ndarray, "*batch 2"]
) -> UInt8[np.ndarray, "*batch 4"]:
    """The colours of the picture, repeated for ever, at those places: right and up, in pictures."""
    height, width = picture.shape[:2]
    across = np.minimum((places[..., 0] % 1 * width).astype(int), width - 1)
    down = np.minimum(((1 - places[..., 1] % 1) * height).astype(int), height - 1)
    return picture[down, across]


def attach_colours(whole: trimesh.Trimesh, parts: list[trimesh.Trimesh]) -> trimesh.Trimesh:
    """The mesh made of these parts, given their colours, and their pictures as `Pictures` finds them."""
    whole.visual = ColorVisuals(whole, face_colors=np.concatenate([face_colours(part) for part in parts]))
    scale = MAX_TEXELS / np.ptp(whole.triangles.reshape(-1, 3), axis=0).max()
    pictures: list[np.ndarray] = []
    numbers, places = [], []
    for part, own in zip(
        parts, np.split(whole.area_faces, np.cumsum([len(part.faces) for part in parts])), strict=False
    ):
        picture = read_material(part.visual)[0] if isinstance(part.visual, TextureVisuals) else None
        if picture is None or sum(len(known) for known in pictures) > MAX_TEXTURE_ROWS:
            numbers.append(np.full(len(part.faces), -1))
            places.append(np.zeros((len(part.faces), 3, 2)))
            continue
        numbers.append(np.full(len(part.faces), len(pictures)))
        places.append(corner_uv(part))
        pictures.append(shrink_texture(picture, places[-1], texels=own.sum() * scale**2))
    if pictures:
        whole.face_attributes["picture"] = np.concatenate(numbers)
        whole.face_attributes["places"] = np.concatenate(places)
        whole.metadata["pictures"] = pictures
    return whole


def shrink_texture(
    picture: UInt8[np.ndarray, "height width 4"], places: Float[np.ndarray, "faces 3 2"], *, texels: float
) -> UInt8[np.ndarray, "less_high less_wide 4"]:
    """The picture, small enough that what all those places show of it is at most so many texels."""
    (right, up), (far_right, far_up) = (np.moveaxis(places[:, corner] - places[:, 0], 1, 0) for corner in (1, 2))
    shown = abs(right * far_up - far_right * up).sum() / 2 * picture.shape[0] * picture.shape[1]
    share = min((texels / max(shown, 1e-9)) ** 0.5, 1)
    size = (max(round(picture.shape[1] * share), 1), max(round(picture.shape[0] * share), 1))
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


class Textures:
    """The pictures that lie on a mesh's faces."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        self.images: list[np.ndarray] = mesh.metadata.get("pictures", [])
        self.texture_index = np.asarray(mesh.face_attributes.get("picture", np.full(len(mesh.faces), -1)))
        self.uv = np.asarray(mesh.face_attributes.get("places", np.zeros((0, 3, 2))))

    def sample(
        self,
        colours: Float[np.ndarray, "points 3"],
        face: Int[np.ndarray, " points"],
        weights: Float[np.ndarray, "points 3"],
    ) -> Float[np.ndarray, "points 3"]:
        """The colours, in [0, 255], with those of the pictures at barycentric points of faces that have one."""
        colours = colours.copy()
        for number, picture in enumerate(self.images):
            where = np.flatnonzero(self.texture_index[face] == number)
            places = np.einsum("pc,pcd->pd", weights[where], self.uv[face[where]])
            colours[where] = sample_texture(picture, places)[:, :3]
        return colours
