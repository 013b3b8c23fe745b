"""Meshes out to the files that viewers and printers read, each in its own axes and unit."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import trimesh
from jaxtyping import Float, UInt8
from trimesh.exchange.export import export_mesh
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

from gancore.atomic import atomic_write
from voxgan.mesh.materials import WARM_GREY

Z_UP_ROTATION = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
"""Turns y up and the front to +z into z up and the front to -y."""


def save_mesh(mesh: trimesh.Trimesh, path: str | Path, *, size_mm: float | None = None) -> None:
    """Writes the mesh by the path's ending, whole or not at all; missing folders are made.

    .glb, .obj and .ply have y up and count in metres, .stl and .3mf z up in millimetres, the unit cube being one metre
    wide; with a size the object's longest side is that many millimetres. GLB (with its normals and a material), OBJ and
    PLY keep vertex colours; STL and 3MF know none. Raises ValueError for another ending, a mesh that is not closed, no
    size, or a path that cannot be written.
    """
    path = Path(path)
    kind = find_format(path)
    if size_mm is not None and not 0 < size_mm < np.inf:
        raise ValueError(f"size_mm must be above 0, got {size_mm}")
    if not mesh.is_volume:
        raise ValueError(f"cannot write {path}: the surface is not closed around a positive volume")
    content = kind.encode(convert_to_format(mesh, kind, size_mm=size_mm))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error}") from error


@dataclass(frozen=True)
class MeshFormat:
    """What a kind of file takes for granted, and how it is made."""

    up: Literal["y", "z"]
    unit: Literal["metres", "millimetres"]
    encode: Callable[[trimesh.Trimesh], bytes]


def find_format(path: Path) -> MeshFormat:
    """The format of the path's ending. Raises ValueError if there is none."""
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"cannot write {path}: the ending must be one of {' '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


def convert_to_format(mesh: trimesh.Trimesh, kind: MeshFormat, *, size_mm: float | None) -> trimesh.Trimesh:
    """A copy in the axes and the unit of the format."""
    vertices = np.asarray(mesh.vertices)
    metres = 1.0 if size_mm is None else size_mm / 1000 / np.ptp(vertices, axis=0).max()
    vertices = vertices * metres * (1000 if kind.unit == "millimetres" else 1)
    copy = trimesh.Trimesh(vertices @ Z_UP_ROTATION.T if kind.up == "z" else vertices, mesh.faces, process=False)
    copy.visual = ColorVisuals(copy, vertex_colors=vertex_colours(mesh))
    copy.metadata = {"up": kind.up, "unit": kind.unit}
    return copy


def vertex_colours(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "vertices 4"] | None:
    """The colours of the vertices if they have any of their own."""
    visual = mesh.visual
    return np.asarray(visual.vertex_colors) if isinstance(visual, ColorVisuals) and visual.kind else None


def encode_glb(mesh: trimesh.Trimesh) -> bytes:
    """With a rough material that is no metal; colours are linear, as glTF takes them."""
    colours = vertex_colours(mesh)
    if colours is not None:
        mesh.vertex_attributes["_COLOR_0"] = (srgb_to_linear(colours) * 65535).round().astype(np.uint16)
    tint = np.ones(4) if colours is not None else srgb_to_linear(np.array(WARM_GREY))
    mesh.visual = TextureVisuals(
        material=PBRMaterial("surface", baseColorFactor=tint, metallicFactor=0.0, roughnessFactor=0.8)
    )
    return export_mesh(mesh, None, "glb", include_normals=True, tree_postprocessor=rename_colour_attribute)


def rename_colour_attribute(tree: dict[str, Any]) -> None:
    """Makes the attribute of 16-bit colours the vertex colours; of trimesh's own 8 bits, dark colours need more."""
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    if "_COLOR_0" in attributes:
        attributes["COLOR_0"] = attributes.pop("_COLOR_0")
        tree["accessors"][attributes["COLOR_0"]]["normalized"] = True


def srgb_to_linear(colours: np.ndarray) -> Float[np.ndarray, "*batch 4"]:
    """Colours of a picture (sRGB, 0 to 255) as shares of light; alpha as it is (IEC 61966-2-1)."""
    shares = np.asarray(colours, np.float64) / 255
    light = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    light[..., 3] = shares[..., 3]
    return light


def encode_obj(mesh: trimesh.Trimesh) -> bytes:
    text = export_mesh(mesh, None, "obj", include_normals=True, header=axes_comment(mesh))
    return text.encode()


def encode_ply(mesh: trimesh.Trimesh) -> bytes:
    content = export_mesh(mesh, None, "ply", vertex_normal=True)
    return re.sub(rb"comment .*", b"comment " + axes_comment(mesh).encode(), content, count=1)


def encode_stl(mesh: trimesh.Trimesh) -> bytes:
    """Binary, its 80 bytes of header put to use."""
    return axes_comment(mesh).encode().ljust(80) + export_mesh(mesh, None, "stl")[80:]


def encode_3mf(mesh: trimesh.Trimesh) -> bytes:
    return export_mesh(mesh, None, "3mf")


def axes_comment(mesh: trimesh.Trimesh) -> str:
    """What a reader has to know."""
    return f"{mesh.metadata['up']} is up, unit: {mesh.metadata['unit']}"


FORMATS = {
    ".glb": MeshFormat("y", "metres", encode_glb),
    ".obj": MeshFormat("y", "metres", encode_obj),
    ".ply": MeshFormat("y", "metres", encode_ply),
    ".stl": MeshFormat("z", "millimetres", encode_stl),
    ".3mf": MeshFormat("z", "millimetres", encode_3mf),
}
