"""The colours and textures of a mesh, from whatever materials a file gives it.

What a face shows is, format by format:

- glTF: base-colour factor * texture * vertex colour (COLOR_0), each white if missing. Factor and vertex colours are
  linear, the texture is sRGB; they are multiplied in linear light. `LinearMaterial` stands for all that.
- OBJ: the diffuse texture, else the colours of the vertices, else the diffuse colour; all are sRGB.
- COLLADA: the diffuse texture, else the diffuse colour; both are sRGB.
- PLY, OFF and 3MF: a texture (PLY), else colours of faces, else of vertices or corners; all are sRGB.
- STL has no colours.

Colours are kept as sRGB. Faces without any are a warm grey. Everything is opaque: alpha only says which texels are
seen, unless glTF says that it means nothing (OPAQUE). A fault in colours costs colours, never the geometry.
"""

from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float, Num, UInt8
from PIL import Image
from scipy import ndimage
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.color import DEFAULT_COLOR
from trimesh.visual.material import Material, PBRMaterial, SimpleMaterial

from gancore.errors import describe_error
from gancore.files.pictures import to_rgba
from voxgan.mesh.srgb import linear_to_srgb, srgb_to_linear
from voxgan.mesh.textures import MAX_TEXELS, MAX_TEXTURE_ROWS, Textures, sample_texture, shrink_texture

WARM_GREY = (176, 168, 158, 255)
"""RGBA of faces without a colour of their own."""

SAMPLE_BARYCENTRIC = np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4], [2, 2, 2]]) / 6
"""Barycentric points, spread over a face, at which its texture is sampled for the face's mean colour."""

ALPHA_CUTOFF = 128
"""Alpha below which a texel of a glTF material with MASK or BLEND is hidden."""


@dataclass(frozen=True)
class TexturedMesh:
    """A mesh with colours of its faces or vertices, and the textures on its faces, if it has any."""

    mesh: trimesh.Trimesh
    textures: Textures | None = None
    faults: tuple[str, ...] = ()
    """What is wrong with colours that the file holds and that the mesh lacks."""


class LinearMaterial(PBRMaterial):
    """A material of glTF; trimesh would round the factor to 8 bits, too few for dark colours in linear light."""

    def __init__(
        self, factor: Num[np.ndarray, " channels"], image: Image.Image | None = None, *, alpha_mode: str = "OPAQUE"
    ) -> None:
        super().__init__(baseColorFactor=np.asarray(factor, np.float64), baseColorTexture=image, alphaMode=alpha_mode)
        self.factor = np.nan_to_num(np.asarray(factor, np.float64)[:3], nan=1.0).clip(0, 1)
        """Linear RGB in [0, 1]."""


class DiffuseMaterial(SimpleMaterial):
    """A material of other formats, with a diffuse colour in sRGB, 0 to 1, unless it has none."""

    def __init__(self, colour: tuple[float, float, float] | None = None, image: Image.Image | None = None) -> None:
        super().__init__(image=image, diffuse=None if colour is None else np.array(colour, np.float64))
        self.is_stated = colour is not None


@dataclass(frozen=True)
class Paint:
    """The colours of a part of a mesh: those of its corners, and an image over them if there is one."""

    corners: UInt8[np.ndarray, "faces 3 3"]
    """RGB; where there is an image it has been multiplied by the material's colour already."""
    image: UInt8[np.ndarray, "height width 4"] | None = None
    uv: Float[np.ndarray, "faces 3 2"] | None = None
    tint: Float[np.ndarray, "faces 3 3"] | None = None
    """Linear vertex colours, by which the image is multiplied."""

    def face_colours(self) -> UInt8[np.ndarray, "faces 4"]:
        """The mean RGBA of each face, opaque."""
        colours = self.corners.astype(np.float64).mean(1)
        if self.image is not None and self.uv is not None:
            texels = sample_texture(self.image, SAMPLE_BARYCENTRIC @ self.uv)[..., :3]
            if self.tint is not None:
                texels = linear_to_srgb(srgb_to_linear(texels) * (SAMPLE_BARYCENTRIC @ self.tint))
            colours = texels.mean(1)
        return with_alpha(colours)


def with_alpha(colours: Num[np.ndarray, "*batch 3"]) -> UInt8[np.ndarray, "*batch 4"]:
    """RGB in [0, 255] as opaque RGBA."""
    return np.concatenate([colours.round(), np.full((*colours.shape[:-1], 1), 255)], -1).astype(np.uint8)


def face_colours(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "faces 4"]:
    """The mean RGBA of each face, opaque; a warm grey where the mesh has no colours."""
    return read_paint(mesh)[0].face_colours()


def corner_colours(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "faces 3 4"]:
    """The RGBA of each corner of each face: that of its vertex if the mesh has vertex colours, else of the face."""
    if isinstance(mesh.visual, ColorVisuals) and mesh.visual.kind == "vertex":
        return np.asarray(mesh.visual.vertex_colors, np.uint8)[mesh.faces]
    return face_colours(mesh)[:, None].repeat(3, axis=1)


def read_paint(mesh: trimesh.Trimesh) -> tuple[Paint, str]:
    """The colours of a part as its format means them, and what is wrong with them; empty if nothing is."""
    count = len(mesh.faces)
    plain = Paint(np.broadcast_to(np.array(WARM_GREY[:3], np.uint8), (count, 3, 3)))
    try:
        if isinstance(mesh.visual, TextureVisuals):
            return _read_material(mesh, mesh.visual)
        if not isinstance(mesh.visual, ColorVisuals) or mesh.visual.kind is None:
            return plain, ""
        if mesh.visual.kind == "vertex":
            colours = np.asarray(mesh.visual.vertex_colors)[mesh.faces][..., :3]
        else:
            colours = np.asarray(mesh.visual.face_colors)[:, None, :3].repeat(3, axis=1)
        if colours.shape != (count, 3, 3):
            raise ValueError(f"there are {len(colours):,} colours for {count:,} faces")
        return Paint(colours.astype(np.uint8)), ""
    except (ValueError, TypeError, IndexError) as error:  # whatever is wrong with colours, the mesh is whole
        return plain, f"colours cannot be read: {describe_error(error)}"


def _read_material(mesh: trimesh.Trimesh, visual: TextureVisuals) -> tuple[Paint, str]:
    colour, tint, fault = _base_colour(visual), None, ""
    try:
        tint = _vertex_tint(mesh, visual)
    except (ValueError, TypeError) as error:
        fault = str(error)
    shade = np.broadcast_to(WARM_GREY[:3] if colour is None else linear_to_srgb(colour), (len(mesh.faces), 3, 3))
    if tint is not None:
        shade = linear_to_srgb((1.0 if colour is None else colour) * tint)
    plain = Paint(shade.round().astype(np.uint8))
    picture = _texture_image(visual)
    if picture is None:
        return plain, fault
    try:
        image, uv = _read_texture(picture, visual.material), corner_uv(mesh)
    except (ValueError, OSError) as error:
        return plain, f"a texture cannot be read: {describe_error(error)}"
    # in glTF the colour tints the texture; elsewhere it only stands in for it
    if isinstance(visual.material, PBRMaterial) and colour is not None and (colour != 1).any():
        image[..., :3] = linear_to_srgb(srgb_to_linear(image[..., :3]) * colour).round()
    return Paint(plain.corners, image, uv, tint), fault


def _base_colour(visual: TextureVisuals) -> Float[np.ndarray, "3"] | None:
    """The linear RGB of a material; None if it has none."""
    material = visual.material
    if isinstance(material, LinearMaterial):
        return material.factor
    if isinstance(material, PBRMaterial):
        factor = material.baseColorFactor
        return np.ones(3) if factor is None else np.asarray(factor, np.float64)[:3] / 255
    own = getattr(material, "diffuse", None)
    stated = getattr(material, "is_stated", own is not None and not np.array_equal(own, DEFAULT_COLOR))
    return srgb_to_linear(np.asarray(own)[:3]) if stated else None


def _vertex_attribute(mesh: trimesh.Trimesh) -> np.ndarray | None:
    """The vertex colours of a mesh with a material; those of the mesh stay in step when vertices are removed."""
    found = mesh.vertex_attributes.get("color")
    if found is None and isinstance(mesh.visual, TextureVisuals):
        found = mesh.visual.vertex_attributes.get("color")
    return None if found is None else np.asarray(found)


def _vertex_tint(mesh: trimesh.Trimesh, visual: TextureVisuals) -> Float[np.ndarray, "faces 3 3"] | None:
    """The linear vertex colours of glTF at each corner; white where they are not numbers."""
    colours = _vertex_attribute(mesh)
    if colours is None or not isinstance(visual.material, PBRMaterial):
        return None
    if len(colours) != len(mesh.vertices):
        raise ValueError(f"there are {len(colours):,} vertex colours for {len(mesh.vertices):,} vertices")
    scale = np.iinfo(colours.dtype).max if colours.dtype.kind in "iu" else 1
    tint = np.asarray(colours, np.float64)[:, :3] / scale
    return np.where(np.isfinite(tint).all(1, keepdims=True), tint, 1.0).clip(0, 1)[mesh.faces]


def _read_texture(picture: Image.Image, material: Material) -> UInt8[np.ndarray, "height width 4"]:
    """The texels of a picture, at most 4 * MAX_TEXELS a side; those that alpha hides take the nearest seen colour."""
    if max(picture.size) > 4 * MAX_TEXELS:
        picture = picture.copy()
        picture.thumbnail((4 * MAX_TEXELS, 4 * MAX_TEXELS))
    texels = np.array(to_rgba(picture, "a texture", upright=False))
    if isinstance(material, PBRMaterial) and material.alphaMode not in ("MASK", "BLEND"):
        return texels
    hidden = texels[..., 3] == 0 if not isinstance(material, PBRMaterial) else texels[..., 3] < ALPHA_CUTOFF
    if hidden.any() and not hidden.all():
        row, column = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
        texels = texels[row, column]
    return texels


def _texture_image(visual: TextureVisuals) -> Image.Image | None:
    if visual.uv is None or not len(visual.uv):
        return None
    material = visual.material
    return material.baseColorTexture if isinstance(material, PBRMaterial) else getattr(material, "image", None)


def corner_uv(mesh: trimesh.Trimesh) -> Float[np.ndarray, "faces 3 2"]:
    """The UV coordinates of each corner of each face of a mesh that has them; u to the right, v up."""
    assert isinstance(mesh.visual, TextureVisuals)
    uv = np.asarray(mesh.visual.uv, np.float64)
    if uv.ndim != 2 or uv.shape[1] < 2 or len(uv) != len(mesh.vertices):
        raise ValueError(f"there are UV coordinates of shape {uv.shape} for {len(mesh.vertices):,} vertices")
    return np.where(np.isfinite(uv[:, :2]), uv[:, :2], 0)[mesh.faces]


def merge_materials(whole: trimesh.Trimesh, parts: list[trimesh.Trimesh]) -> TexturedMesh:
    """Gives `whole`, whose faces are those of the parts in order, the parts' colours and textures.

    It has colours of vertices if all parts have nothing else, and else of faces.
    """
    read = [read_paint(part) for part in parts]
    faults = tuple(dict.fromkeys(fault for _, fault in read if fault))
    paints = [paint for paint, _ in read]
    if all(map(has_vertex_colours, parts)) and not faults:
        colours = np.zeros((len(whole.vertices), 3), np.uint8)
        colours[whole.faces] = np.concatenate([paint.corners for paint in paints])
        whole.visual = ColorVisuals(whole, vertex_colors=with_alpha(colours))
    else:
        whole.visual = ColorVisuals(whole, face_colors=np.concatenate([paint.face_colours() for paint in paints]))
    texels_per_unit = MAX_TEXELS / np.ptp(whole.triangles.reshape(-1, 3), axis=0).max()
    areas = np.split(whole.area_faces, np.cumsum([len(part.faces) for part in parts])[:-1])
    images: list[np.ndarray] = []
    index, uv, tint = [], [], []
    for paint, area in zip(paints, areas, strict=True):
        count = len(paint.corners)
        known = paint.image is not None and sum(len(image) for image in images) <= MAX_TEXTURE_ROWS
        index.append(np.full(count, len(images) if known else -1))
        uv.append(paint.uv if known and paint.uv is not None else np.zeros((count, 3, 2)))
        tint.append(paint.tint if known and paint.tint is not None else np.ones((count, 3, 3)))
        if known and paint.image is not None:
            images.append(shrink_texture(paint.image, uv[-1], texels=area.sum() * texels_per_unit**2))
    if not images:
        return TexturedMesh(whole, faults=faults)
    tinted = np.concatenate(tint) if any(paint.tint is not None for paint in paints) else None
    return TexturedMesh(whole, Textures(tuple(images), np.concatenate(index), np.concatenate(uv), tinted), faults)


def has_vertex_colours(part: trimesh.Trimesh) -> bool:
    """Whether the part has colours of its vertices, and no texture."""
    if isinstance(part.visual, TextureVisuals):
        return _vertex_attribute(part) is not None and _texture_image(part.visual) is None
    return isinstance(part.visual, ColorVisuals) and part.visual.kind == "vertex"
