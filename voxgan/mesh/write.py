"""Writes meshes to files for viewers and printers, each format in its own axes and unit."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import trimesh
from jaxtyping import UInt8
from trimesh.exchange.export import export_mesh
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

from gancore.files.atomic import atomic_write, create_parents
from voxgan.mesh.config import check_size
from voxgan.mesh.materials import WARM_GREY
from voxgan.mesh.srgb import srgb_to_linear
from voxgan.mesh.write_3mf import encode_3mf

Z_UP_ROTATION = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
"""Rotates from y up and the front facing +z to z up and the front facing -y."""

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
"""What glTF calls buffers of vertices and of indices."""


def save_mesh(mesh: trimesh.Trimesh, path: str | Path, *, size_mm: float | None = None) -> None:
    """Writes the mesh in the format of the path's suffix, atomically; missing folders are created.

    .glb, .obj and .ply have y up and are in metres, .stl and .3mf have z up and are in millimetres. The unit cube is
    one metre wide, or the object's longest side is `size_mm` millimetres if given. All but STL keep vertex colours; GLB
    has normals and a material.

    Raises ValueError for another suffix, a mesh that is not closed, a size that `check_size` refuses, or a path that
    cannot be written.
    """
    path = Path(path)
    kind = find_format(path)
    check_size(size_mm)
    if not mesh.is_volume:
        raise ValueError(f"cannot write {path}: the surface is not closed around a positive volume")
    content = kind.encode(convert_to_format(mesh, kind, size_mm=size_mm))
    create_parents(path)
    with atomic_write(path) as partial:
        partial.write_bytes(content)


@dataclass(frozen=True)
class MeshFormat:
    """The conventions of a file format, and the function that encodes a mesh in it."""

    up: Literal["y", "z"]
    unit: Literal["metres", "millimetres"]
    encode: Callable[[trimesh.Trimesh], bytes]


def find_format(path: Path) -> MeshFormat:
    """The format that belongs to the path's ending. Raises ValueError if there is none."""
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"cannot write {path}: the ending must be one of {' '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


def convert_to_format(mesh: trimesh.Trimesh, kind: MeshFormat, *, size_mm: float | None) -> trimesh.Trimesh:
    """A copy in the axes and the unit of the format, its longest side `size_mm` millimetres if given."""
    vertices = np.asarray(mesh.vertices)
    metres = 1.0 if size_mm is None else size_mm / 1000 / np.ptp(vertices, axis=0).max()
    vertices = vertices * metres * (1000 if kind.unit == "millimetres" else 1)
    copy = trimesh.Trimesh(vertices @ Z_UP_ROTATION.T if kind.up == "z" else vertices, mesh.faces, process=False)
    copy.visual = ColorVisuals(copy, vertex_colors=vertex_colours(mesh))
    copy.metadata = {"up": kind.up, "unit": kind.unit}
    return copy


def vertex_colours(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "vertices 4"] | None:
    """The RGBA of the vertices, None if the mesh has no colours."""
    visual = mesh.visual
    return np.asarray(visual.vertex_colors) if isinstance(visual, ColorVisuals) and visual.kind else None


def encode_glb(mesh: trimesh.Trimesh) -> bytes:
    """The mesh as GLB, with a rough, non-metallic material and linear colours, as glTF requires."""
    colours = vertex_colours(mesh)
    if colours is not None:
        mesh.vertex_attributes["_COLOR_0"] = (srgb_to_linear(colours) * 65535).round().astype(np.uint16)
    tint = np.ones(4) if colours is not None else srgb_to_linear(np.array(WARM_GREY))
    mesh.visual = TextureVisuals(
        material=PBRMaterial("surface", baseColorFactor=tint, metallicFactor=0.0, roughnessFactor=0.8)
    )
    return export_mesh(mesh, None, "glb", include_normals=True, tree_postprocessor=complete_tree)


def complete_tree(tree: dict[str, Any]) -> None:
    """Completes trimesh's glTF: the targets of buffer views, and vertex colours of 16 bits.

    trimesh's own vertex colours have 8 bits, too few for dark colours in linear light.
    """
    primitive = tree["meshes"][0]["primitives"][0]
    attributes = primitive["attributes"]
    if "_COLOR_0" in attributes:
        attributes["COLOR_0"] = attributes.pop("_COLOR_0")
        tree["accessors"][attributes["COLOR_0"]]["normalized"] = True
    for target, accessors in ((ARRAY_BUFFER, attributes.values()), (ELEMENT_ARRAY_BUFFER, [primitive["indices"]])):
        for accessor in accessors:
            tree["bufferViews"][tree["accessors"][accessor]["bufferView"]]["target"] = target


def encode_obj(mesh: trimesh.Trimesh) -> bytes:
    """The mesh as OBJ, with normals, a comment about its axes, and more decimals the smaller it is."""
    digits = 8 + max(0, -math.floor(math.log10(mesh.extents.max())) - 1)
    text = export_mesh(mesh, None, "obj", include_normals=True, header=axes_comment(mesh), digits=digits)
    return text.encode()


def encode_ply(mesh: trimesh.Trimesh) -> bytes:
    """The mesh as binary PLY, with normals and a comment about its axes."""
    content = export_mesh(mesh, None, "ply", vertex_normal=True)
    return re.sub(rb"comment .*", b"comment " + axes_comment(mesh).encode(), content, count=1)


def encode_stl(mesh: trimesh.Trimesh) -> bytes:
    """The mesh as binary STL, with a comment about its axes in the 80-byte header."""
    return axes_comment(mesh).encode().ljust(80) + export_mesh(mesh, None, "stl")[80:]


def axes_comment(mesh: trimesh.Trimesh) -> str:
    """One line that states which way is up and the unit."""
    return f"{mesh.metadata['up']} is up, unit: {mesh.metadata['unit']}"


FORMATS = {
    ".glb": MeshFormat("y", "metres", encode_glb),
    ".obj": MeshFormat("y", "metres", encode_obj),
    ".ply": MeshFormat("y", "metres", encode_ply),
    ".stl": MeshFormat("z", "millimetres", encode_stl),
    ".3mf": MeshFormat("z", "millimetres", lambda mesh: encode_3mf(mesh, vertex_colours(mesh))),
}
"""The formats that are written, by file ending."""
