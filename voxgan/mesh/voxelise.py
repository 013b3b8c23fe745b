"""Meshes of any kind, also broken ones -> solid occupancy."""

import io
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import fast_simplification
import numpy as np
import trimesh
from einops import reduce, repeat
from jaxtyping import Bool, Float, Int
from scipy.ndimage import grey_opening, label, maximum_filter
from scipy.spatial import cKDTree
from trimesh.resolvers import FilePathResolver

from voxgan.commands import MAX_FACES
from voxgan.mesh.axes import Axis, upright_rotation
from voxgan.mesh.materials import attach_colours, face_colours
from voxgan.mesh.winding import orient_outward, remove_duplicate_faces, winding_numbers

MESH_SUFFIXES = (".obj", ".off", ".ply", ".stl", ".glb", ".gltf", ".dae", ".3mf")
MAX_BYTES = 2**27
"""Larger files are refused before they are read."""
TARGET_FACES = 200_000
"""Meshes of more faces are decimated to this many: far finer than any voxels and views here."""
POINTS_PER_BATCH = 200_000
"""Surface points at a time."""


def load_mesh(path: Path, *, max_faces: int = MAX_FACES) -> trimesh.Trimesh:
    """All parts of the file as one mesh, in the file's axes and units, with one colour a face.

    Raises FileNotFoundError, or ValueError with one line if the file holds no mesh with an extent in space, or one of
    `max_faces` faces or more.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.suffix.lower() not in MESH_SUFFIXES:
        raise ValueError(f"{path} is no mesh: its name should end in one of {' '.join(MESH_SUFFIXES)}")
    try:
        check_file_size(path)
        mesh = join_scene(read_scene(path), max_faces=max_faces)
    except Exception as error:  # readers raise whatever the file makes them trip over
        raise ValueError(f"cannot read {path} as a mesh: {explain_error(error)}") from error
    return decimate_mesh(mesh) if len(mesh.faces) > TARGET_FACES else mesh


def explain_error(error: Exception) -> str:
    if "charset_normalizer" in str(error):  # where trimesh turns after failing to read a file as binary and as text
        return "it is cut short, or something else under that name"
    return " ".join(str(error).split())[:200] or type(error).__name__


def read_scene(path: Path) -> trimesh.Scene:
    """What trimesh makes of the file; text in other encodings than UTF-8 loses its accents only."""
    if path.suffix.lower() not in (".obj", ".off"):
        return trimesh.load_scene(path, process=False)
    text = io.StringIO(path.read_text(encoding="utf-8", errors="replace"))
    return trimesh.load_scene(
        text, file_type=path.suffix[1:].lower(), resolver=LenientResolver(str(path)), process=False
    )


class LenientResolver(FilePathResolver):
    """Finds materials and pictures beside a mesh."""

    def get(self, name: str) -> bytes:
        content = super().get(name)
        return content.decode(errors="replace").encode() if name.lower().endswith(".mtl") else content


def check_file_size(path: Path) -> None:
    """Raises ValueError if the file, or what a zip says it unpacks to, is more than MOST_BYTES."""
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            size = sum(part.file_size for part in parts.infolist())
    if size > MAX_BYTES:
        raise ValueError(f"it holds {size / 2**20:.0f} MiB, more than the {MAX_BYTES / 2**20:.0f} that are read")


def join_scene(scene: trimesh.Scene, *, max_faces: int) -> trimesh.Trimesh:
    """The scene's meshes, each where its transform puts it."""
    parts = []
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        if isinstance(part := scene.geometry[name], trimesh.Trimesh) and len(part.faces):
            parts.append((transform, part))
    count = sum(len(part.faces) for _, part in parts)
    if not count:
        raise ValueError("it holds no faces")
    if count >= max_faces:
        raise ValueError(f"it holds {count:,} faces; decimate it below {max_faces:,}, or raise max_faces")
    starts = np.cumsum([0] + [len(part.vertices) for _, part in parts])
    whole = trimesh.Trimesh(
        np.concatenate([trimesh.transform_points(part.vertices, transform) for transform, part in parts]),
        np.concatenate([part.faces + start for (_, part), start in zip(parts, starts, strict=False)]),
        process=False,
    )
    check_extents(whole)
    return attach_colours(whole, [part for _, part in parts])


def check_extents(mesh: trimesh.Trimesh) -> None:
    corners = mesh.vertices[mesh.faces]
    if not (abs(corners) < 1e30).all():
        raise ValueError("it has vertices that are not numbers")
    extents = np.ptp(corners.reshape(-1, 3), axis=0)
    if extents.min() <= 1e-6 * extents.max():
        raise ValueError(f"it is flat: its extents are {' x '.join(f'{extent:g}' for extent in extents)}")


def decimate_mesh(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with at most ENOUGH_FACES faces, each in the colour of the face that was nearest."""
    vertices, faces = remove_duplicate_faces(mesh.vertices, mesh.faces)  # an STL joins no two triangles
    if len(faces) > TARGET_FACES:
        vertices, faces = fast_simplification.simplify(
            vertices.astype(np.float32), faces.astype(np.int32), target_count=TARGET_FACES
        )
    _, nearest = cKDTree(mesh.triangles_center).query(vertices[faces].mean(1))
    return trimesh.Trimesh(vertices, faces, face_colors=face_colours(mesh)[nearest], process=False)


def normalise_mesh(mesh: trimesh.Trimesh, *, up: Axis = "y", front: Axis | None = None) -> trimesh.Trimesh:
    """A copy with y up and the front to +z, its bounding box centred at the origin and as long as 1.

    `up` and `front` are axes of the given mesh. Raises ValueError if they are one, or the mesh has no extent.
    """
    vertices = mesh.vertices @ upright_rotation(up, front=front).T
    used = vertices[mesh.faces.ravel()]
    low, high = (used.min(0), used.max(0)) if len(used) else (np.zeros(3), np.zeros(3))
    if not (longest := (high - low).max()) > 0:
        raise ValueError("a mesh without extent has no size to normalise")
    moved = mesh.copy()
    moved.vertices = (vertices - (low + high) / 2) / longest
    return moved


def voxelise(mesh: trimesh.Trimesh, side: int, *, supersample: int = 2) -> Bool[np.ndarray, "side side side"]:
    """Which voxels of the unit cube a normalised mesh fills; cavities count as filled.

    Inside is where the winding number of the mesh, all parts turned outward, exceeds one half in size, which closes
    holes. What is too thin for that comes from a pass over the surface. What is then shut off from outside is filled,
    as nobody sees whether a wardrobe was modelled hollow.
    """
    vertices, faces = orient_outward(mesh)
    samples = partial(sample_triangles, vertices[faces], spacing=0.5 / (side * supersample))
    numbers = winding_numbers(vertices, faces, np.indices((side,) * 3).reshape(3, -1).T, side).reshape((side,) * 3)
    inside = abs(numbers) > 0.5
    # the number changes fast only across the surface: the rest need not be looked at more finely
    close = abs(abs(numbers) - 0.5) < 0.25
    for points, _ in samples():
        close[voxel_indices(points, side)] = True
    solid = upsample_voxels(inside, supersample)
    if supersample > 1:
        parts = subdivide_voxels(np.argwhere(close), supersample)
        solid[tuple(parts.T)] = abs(winding_numbers(vertices, faces, parts, len(solid))) > 0.5
    fine = solid.copy()
    for points, normals in samples():
        fine[voxel_indices(points[uncovered_points(solid, points, normals)], len(fine))] = True
    return fill_cavities(add_thin_parts(inside, fine))


def fill_cavities(solid: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """The voxels, and those that nothing from outside reaches through their sides."""
    parts, _ = label(np.pad(~solid, 1, constant_values=True))
    return (parts != parts[0, 0, 0])[1:-1, 1:-1, 1:-1]


SurfacePoints = tuple[Float[np.ndarray, "samples 3"], Float[np.ndarray, "samples 3"]]


def sample_triangles(triangles: Float[np.ndarray, "faces 3 3"], *, spacing: float) -> Iterator[SurfacePoints]:
    """Points on the triangles, nowhere further apart than the spacing, and their unit normals, batch by batch.

    Each triangle gets rows along its longest side; triangles of like size share one pattern.
    """
    edges = np.linalg.norm(np.roll(triangles, -1, axis=1) - triangles, axis=2)
    order = (edges.argmax(1)[:, None] + np.arange(3)) % 3
    a, b, c = np.moveaxis(np.take_along_axis(triangles, order[..., None], axis=1), 1, 0)
    normals = np.cross(b - a, c - a)
    doubled = np.linalg.norm(normals, axis=1)
    normals /= np.maximum(doubled, 1e-30)[:, None]
    longest = np.maximum(edges.max(1), 1e-30)
    along, rows = (
        np.ceil(np.log2(np.maximum(length / spacing, 1))).astype(int) for length in (longest, doubled / longest)
    )
    for kind in np.unique(np.stack([along, rows], 1), axis=0):
        weights = barycentric_pattern(*(2**kind).tolist())
        chosen = np.flatnonzero((along == kind[0]) & (rows == kind[1]))
        for some in np.array_split(chosen, -(-len(chosen) * len(weights) // POINTS_PER_BATCH)):
            points = np.einsum("pc,cfd->fpd", weights, np.stack([a[some], b[some], c[some]])).reshape(-1, 3)
            yield points, normals[some].repeat(len(weights), axis=0)


def barycentric_pattern(along: int, rows: int) -> Float[np.ndarray, "points 3"]:
    """Barycentric points in rows parallel to the first side of a triangle."""
    across, up = np.meshgrid(np.linspace(0, 1, along + 1), np.linspace(0, 1, rows + 1)[:-1])
    flat = np.stack([(1 - up) * (1 - across), (1 - up) * across, up], -1).reshape(-1, 3)
    # drawn inwards a little, or the edges of a box that fits the grid would lie in the voxels beside it
    return np.concatenate([flat, [[0, 0, 1]]]) * 0.999 + 0.001 / 3


def voxel_indices(points: Float[np.ndarray, "points 3"], side: int) -> tuple[np.ndarray, ...]:
    """The indices of the voxels the points lie in; of two that share a face, the lower one."""
    # points exactly between two voxels come with rounding errors, and would hit now one, now the other
    where = np.floor((points + 0.5) * side - 1e-6).astype(int)
    return tuple(where.clip(0, side - 1).T)


def subdivide_voxels(voxels: Int[np.ndarray, "voxels 3"], factor: int) -> Int[np.ndarray, "parts 3"]:
    """The indices of the finer voxels that make up each voxel."""
    return (voxels[:, None] * factor + np.indices((factor,) * 3).reshape(3, -1).T).reshape(-1, 3)


def uncovered_points(
    solid: Bool[np.ndarray, "fine fine fine"], points: np.ndarray, normals: np.ndarray
) -> Bool[np.ndarray, " points"]:
    """Whether the surface has nothing solid behind it, on either side.

    Voxels that the skin of a solid merely touches stay out, or every solid would grow by half a voxel all around.
    """
    pitch = 1 / len(solid)
    behind = (points + depth * pitch * normals for depth in (-1, -0.5, 0.5, 1))
    return ~np.any([solid[voxel_indices(places, len(solid))] for places in behind], axis=0)


def add_thin_parts(
    inside: Bool[np.ndarray, "side side side"], fine: Bool[np.ndarray, "fine fine fine"]
) -> Bool[np.ndarray, "side side side"]:
    """The voxels whose centres are inside, and those of parts that centres would miss.

    Centres alone are right for solids, and lose thin legs and sheets; all voxels that are touched at all would fatten
    every solid. So of what is too thin to be sure of a centre, hence removed by an opening, a voxel needs a quarter:
    then a leg stays whole however it runs across the grid. What sticks out of all that by a voxel is kept anyway.
    """
    factor = len(fine) // len(inside)
    thick = grey_opening(fine.view(np.uint8), size=factor + 1, mode="constant")
    thin = fine & ~maximum_filter(thick, 2 * factor - 1).astype(bool)
    kept = inside | (fill_fractions(thin, factor) >= 0.25)
    lost = fine & ~maximum_filter(upsample_voxels(kept, factor), 2 * factor - 1)
    return kept | (fill_fractions(lost, factor) > 0)


def upsample_voxels(voxels: Bool[np.ndarray, "x y z"], factor: int) -> Bool[np.ndarray, "fine_x fine_y fine_z"]:
    return repeat(voxels, "x y z -> (x a) (y b) (z c)", a=factor, b=factor, c=factor)


def fill_fractions(fine: Bool[np.ndarray, "fine_x fine_y fine_z"], factor: int) -> Float[np.ndarray, "x y z"]:
    """How much of each voxel is filled, from 0 to 1."""
    return reduce(fine.astype(np.float32), "(x a) (y b) (z c) -> x y z", "mean", a=factor, b=factor, c=factor)
