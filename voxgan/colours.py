"""One colour a face, from whatever a file says of its materials."""

import numpy as np
import trimesh
from jaxtyping import Float, UInt8
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

WARM_GREY = (176, 168, 158, 255)
"""The colour of what has none."""

INSIDE = np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4], [2, 2, 2]]) / 6
"""Where a face's texture is looked up: barycentric points spread over it."""


def face_colours(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "faces 4"]:
    """The mean colour of each face, opaque; a warm grey where the mesh says nothing."""
    visual = mesh.visual
    if isinstance(visual, TextureVisuals):
        colours = textured(visual, mesh.faces)
    elif isinstance(visual, ColorVisuals) and visual.kind is not None:
        colours = np.asarray(visual.face_colors)
    else:
        colours = np.asarray(WARM_GREY, np.uint8)
    colours = np.array(np.broadcast_to(colours, (len(mesh.faces), 4)), np.uint8)
    colours[:, 3] = 255
    return colours


def corner_colours(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "faces 3 4"]:
    """The colour of each corner of each face: that of its vertex where the mesh has such, else of the face."""
    if isinstance(mesh.visual, ColorVisuals) and mesh.visual.kind == "vertex":
        return np.asarray(mesh.visual.vertex_colors, np.uint8)[mesh.faces]
    return face_colours(mesh)[:, None].repeat(3, axis=1)


def textured(visual: TextureVisuals, faces: np.ndarray) -> np.ndarray:
    """The picture's colours at each face, times the material's; or the material's alone."""
    material = visual.material
    if isinstance(material, PBRMaterial):
        picture, tint = material.baseColorTexture, material.main_color if material.baseColorFactor is not None else None
    else:
        picture, tint = getattr(material, "image", None), getattr(material, "main_color", None)
    if picture is None or visual.uv is None or len(visual.uv) == 0:
        return np.asarray(WARM_GREY if tint is None else tint, np.uint8)
    colours = looked_up(picture, np.einsum("ic,fcd->fid", INSIDE, visual.uv[faces]))
    # the factor of glTF tints its picture, while the diffuse colour of an OBJ is what viewers without textures show
    if isinstance(material, PBRMaterial) and tint is not None:
        colours = colours * (np.asarray(tint, np.float32) / 255)
    return colours.round().astype(np.uint8)


def looked_up(picture: Image.Image, places: Float[np.ndarray, "faces points 2"]) -> Float[np.ndarray, "faces 4"]:
    """The mean colour of the picture, repeated for ever, at each face's places; what is transparent counts less."""
    pixels = np.asarray(picture.convert("RGBA"), np.float32)
    height, width = pixels.shape[:2]
    places = np.where(np.isfinite(places), places, 0) % 1.0
    across = np.minimum((places[..., 0] * width).astype(int), width - 1)
    down = np.minimum(((1 - places[..., 1]) * height).astype(int), height - 1)
    samples = pixels[down, across]
    weights = samples[..., 3:] + 1e-3
    return (samples * weights).sum(1) / weights.sum(1)
