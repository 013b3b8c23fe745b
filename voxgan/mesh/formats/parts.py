"""The parts of a mesh file: triangles with colours or a material, held against what the file may hold."""

from dataclasses import dataclass, field

import manifold3d
import numpy as np
import trimesh
from jaxtyping import Float, Int, Num, UInt8
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import Material

from voxgan.mesh.config import Axis
from voxgan.mesh.materials import WARM_GREY

LARGEST_UNIT = 1.5
"""Colours of floats up to this are meant to lie in [0, 1]; otherwise some program wrote them as 0 to 255."""
LARGE_POLYGON = 32
"""Polygons of more corners are not cut into a fan, whose hub would be a corner of thousands of triangles."""
MAX_CORNERS = 1024
"""Polygons of more corners lose those within a MAX_CORNERS-th of their extent of the one before: nobody sees them, and
hundreds of thousands of slivers would take minutes."""


@dataclass
class MeshScene:
    """What a reader found in a file."""

    parts: list[trimesh.Trimesh] = field(default_factory=list)
    """Each where its transform puts it."""
    up: Axis | None = None
    """The axis that the file, or the specification of its format, says is up; None if nothing does."""
    metres: float | None = None
    """Length of the unit in metres, None if nothing says so."""
    without_faces: str = ""
    """What the file holds instead of faces, if it has none."""


def make_part(
    vertices: Num[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    *,
    uv: Num[np.ndarray, "vertices 2"] | None = None,
    material: Material | None = None,
    image: Image.Image | None = None,
    vertex_colours: Num[np.ndarray, "vertices _"] | None = None,
    face_colours: Num[np.ndarray, "faces _"] | None = None,
    transform: Float[np.ndarray, "4 4"] | None = None,
) -> trimesh.Trimesh:
    """Return a mesh of these triangles, moved by `transform`, with a material or with colours.

    Colours are RGB or RGBA as `to_bytes` takes them; vertex colours beside a material are linear. A transform that
    mirrors turns the faces, so that their fronts stay in front. Raises ValueError if a face refers to a vertex that
    does not exist.
    """
    check_indices(faces, len(vertices), "vertex")
    vertices = np.asarray(vertices, np.float64)
    if transform is not None and not np.array_equal(transform, np.eye(4)):
        vertices = vertices @ transform[:3, :3].T + transform[:3, 3]
        if np.linalg.det(transform[:3, :3]) < 0:
            faces = faces[:, ::-1]
    mesh = trimesh.Trimesh(vertices, np.asarray(faces, np.int64), process=False)
    if material is not None or image is not None:
        mesh.visual = TextureVisuals(uv=uv, material=material, image=image)
        if vertex_colours is not None:  # as an attribute of the mesh, which keeps it in step with its vertices
            mesh.vertex_attributes["color"] = vertex_colours
    elif face_colours is not None:
        mesh.visual = ColorVisuals(mesh, face_colors=to_bytes(face_colours))
    elif vertex_colours is not None:
        mesh.visual = ColorVisuals(mesh, vertex_colors=to_bytes(vertex_colours))
    return mesh


def to_bytes(colours: Num[np.ndarray, "rows channels"]) -> UInt8[np.ndarray, "rows 3"]:
    """Return the RGB of colours as bytes: floats from 0 to 1 and integers of 16 bits are scaled by their range.

    Floats that go beyond 1, and integers of 32 bits, are 0 to 255. What is not a number is a warm grey.
    """
    colours = np.asarray(colours)[:, :3]
    if colours.dtype.kind == "f":
        finite = np.isfinite(colours).all(1, keepdims=True)
        values = np.where(finite, colours, 0).astype(np.float64)
        values *= 255 if values.max(initial=0) <= LARGEST_UNIT else 1
        return np.where(finite, values.clip(0, 255).round(), WARM_GREY[:3]).astype(np.uint8)
    if colours.dtype == np.int8:
        colours = colours.view(np.uint8)
    depth = {np.dtype(np.uint16): 65535, np.dtype(np.int16): 32767}.get(colours.dtype.newbyteorder("="), 255)
    return (colours / depth * 255).clip(0, 255).round().astype(np.uint8)


def check_indices(indices: Int[np.ndarray, "*shape"], count: int, what: str) -> None:
    """Raise ValueError unless all indices lie in [0, count)."""
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        worst = int(indices.min()) if indices.min() < 0 else int(indices.max())
        raise ValueError(f"a face refers to {what} {worst}, counted from 0, and there are {count:,}")


# -------------------------------------------------------------------------------------------- strips, fans and polygons


def cut_strip(corners: Int[np.ndarray, " corners"]) -> Int[np.ndarray, "triangles 3"]:
    """Return the triangles of a strip; every second one is turned, so that all face one way."""
    first = np.arange(max(len(corners) - 2, 0))
    odd = first % 2
    return corners[np.stack([first, first + 1 + odd, first + 2 - odd], 1)]


def cut_fan(corners: Int[np.ndarray, " corners"]) -> Int[np.ndarray, "triangles 3"]:
    """Return the triangles of a fan, all of which have its first corner."""
    first = np.arange(max(len(corners) - 2, 0))
    return corners[np.stack([first + 1, first + 2, np.zeros_like(first)], 1)]


def triangulate(
    points: Num[np.ndarray, "corners 3"], counts: Int[np.ndarray, " polygons"]
) -> tuple[Int[np.ndarray, "triangles 3"], Int[np.ndarray, " triangles"]]:
    """Cut polygons, given as the points of all their corners in a row and their numbers of corners, into triangles.

    Returns the triangles as indices of corners, and the polygon of each. Concave polygons are cut inside their
    outline. Polygons of fewer than three corners give none.
    """
    starts = np.cumsum(counts) - counts
    triangles, owners = [np.empty((0, 3), np.int64)], [np.empty(0, np.int64)]
    for count in np.unique(counts[counts >= 3]).tolist():
        polygons = np.flatnonzero(counts == count)
        corners = starts[polygons, None] + np.arange(count)
        for chosen, cut in _cut_polygons(points, corners):
            triangles.append(cut.reshape(-1, 3))
            owners.append(polygons[chosen].repeat(cut.shape[1]))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(triangles)[order], owner[order]


def _cut_polygons(points: np.ndarray, corners: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Which of the polygons, all with as many corners, are cut into which triangles."""
    every, count = np.arange(len(corners)), corners.shape[1]
    if count == 3:
        return [(every, corners[:, None])]
    # turned so that a fan starts at the corner that points inward, if there is one
    with np.errstate(all="ignore"):
        outline = np.nan_to_num(points[corners].astype(np.float64), posinf=0, neginf=0)
        outline -= outline[:, :1]
        normal = np.cross(outline, np.roll(outline, -1, axis=1)).sum(1)
        edges = np.roll(outline, -1, axis=1) - outline
        turns = np.einsum("pcd,pd->pc", np.cross(np.roll(edges, 1, axis=1), edges), normal)
    inward = turns < -1e-9 * np.maximum(abs(turns).max(1, keepdims=True), 1e-300)
    simple = inward.sum(1) <= (1 if count == 4 else 0)
    simple &= count <= LARGE_POLYGON
    shift = np.where(inward.any(1), inward.argmax(1), 0)[:, None]
    turned = np.take_along_axis(corners, (np.arange(count) + shift) % count, axis=1)
    fans = np.stack([turned[:, :1].repeat(count - 2, 1), turned[:, 1:-1], turned[:, 2:]], axis=2)
    cuts = [(every[simple], fans[simple])]
    for index in every[~simple]:
        inside = _cut_concave(outline[index], normal[index])
        cuts.append((every[index : index + 1], fans[index][None] if inside is None else corners[index][inside][None]))
    return cuts


def _cut_concave(outline: np.ndarray, normal: np.ndarray) -> np.ndarray | None:
    """The triangles of one polygon as indices of its corners; None if it has no inside to be cut."""
    length = np.linalg.norm(normal)
    if not 0 < length < np.inf:
        return None
    across = np.eye(3)[abs(normal).argmin()]
    right = np.cross(across, normal / length)
    right /= np.linalg.norm(right)
    flat = outline @ np.stack([right, np.cross(normal / length, right)], 1)
    kept = np.arange(len(flat))
    if len(flat) > MAX_CORNERS:
        cells = np.floor((flat - flat.min(0)) / np.ptp(flat, axis=0).max() * MAX_CORNERS)
        kept = np.flatnonzero((cells != np.roll(cells, 1, axis=0)).any(1))
    triangles = np.asarray(manifold3d.triangulate([flat[kept]]), np.int64)
    return kept[triangles] if triangles.shape == (len(kept) - 2, 3) else None
