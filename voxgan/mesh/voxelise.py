"""Converts meshes, including broken ones, to solid voxels."""

from collections.abc import Iterator

import numpy as np
import trimesh
from einops import reduce, repeat
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_opening, grey_opening, label, maximum_filter

from voxgan.mesh.axes import Axis, upright_rotation
from voxgan.mesh.winding import count_windings, fill_columns, orient_outward, winding_numbers

POINTS_PER_BATCH = 200_000
"""Surface points that are computed at a time."""
THIN_LEVEL = 0.75
"""Least fraction of voxels in parts one voxel thick; marching cubes makes a sheet of it 2/3 of a voxel thick."""


def normalise_mesh(mesh: trimesh.Trimesh, *, up: Axis = "y", front: Axis | None = None) -> trimesh.Trimesh:
    """A copy with y up and the front facing +z, its bounding box centred at the origin, its longest side 1.

    `up` and `front` are axes of the given mesh. Raises ValueError if they lie along the same axis, or the mesh has no
    extent.
    """
    vertices = mesh.vertices @ upright_rotation(up, front=front).T
    used = vertices[mesh.faces.ravel()]
    low, high = (used.min(0), used.max(0)) if len(used) else (np.zeros(3), np.zeros(3))
    if not (longest := (high - low).max()) > 0:
        raise ValueError("a mesh without extent has no size to normalise")
    moved = mesh.copy()
    moved.vertices = (vertices - (low + high) / 2) / longest
    return moved


def voxelise(
    mesh: trimesh.Trimesh, side: int, *, supersample: int = 2, closed: bool = False
) -> Bool[np.ndarray, "side side side"]:
    """The voxels of the unit cube that a normalised mesh fills; cavities count as filled.

    A point is inside if the magnitude of the winding number of the mesh, with all parts oriented outward, exceeds one
    half, which closes holes. Parts too thin for that are added from samples of the surface. Enclosed cavities are then
    filled, since it cannot be seen whether a wardrobe was modelled hollow.

    Args:
        mesh: A mesh in the unit cube around the origin.
        side: Voxels along each side.
        supersample: Each voxel is decided by supersample^3 finer ones.
        closed: Promises closed parts with outward faces, which may intersect; then winding numbers are counted exactly
            along columns, many times faster.

    Raises:
        ValueError: No face has an area.
    """
    inside, fine = sample_mesh(*outward_faces(mesh, closed=closed), side, factors=(supersample,), closed=closed)
    return fill_cavities(add_thin_parts(inside, fine))


def voxelise_fractions(
    mesh: trimesh.Trimesh, side: int, *, closed: bool = False
) -> Float[np.ndarray, "side side side"]:
    """The fraction of each voxel of the unit cube that a normalised mesh fills, float32 in [0, 1].

    The fractions above one half are exactly the voxels of `voxelise`, with the same treatment of gaps, cavities and
    thin parts: a fraction on the other side of one half is moved to one half. Parts a single voxel thick have at least
    THIN_LEVEL, or their surface would vanish. Raises ValueError if no face has an area.
    """
    vertices, faces = outward_faces(mesh, closed=closed)
    inside, fine, *finest = sample_mesh(vertices, faces, side, factors=(2,) if closed else (2, 2), closed=closed)
    parts = fill_columns(vertices, faces, len(fine)) if closed else fill_fractions(finest[0], 2)
    # fractions matter only next to fine voxels outside; elsewhere the object is full
    shown = maximum_filter(~fill_cavities(fine), 3, mode="constant", cval=True)
    fractions = fill_fractions(np.where(shown, parts, 1), 2)
    occupied = fill_cavities(add_thin_parts(inside, fine))
    thick = binary_opening(occupied, np.ones((2, 2, 2)))
    thin = occupied & ~thick & ((fractions >= 0.25) | ~maximum_filter(thick, 3))  # and not an edge of a thick part
    least = np.where(thin, THIN_LEVEL, np.nextafter(np.float32(0.5), np.float32(1)))
    return np.where(occupied, np.maximum(fractions, least), np.minimum(fractions, 0.5)).astype(np.float32)


def outward_faces(
    mesh: trimesh.Trimesh, *, closed: bool
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """The vertices and faces, oriented outward unless `closed`. Raises ValueError if no face has an area."""
    vertices, faces = (mesh.vertices, mesh.faces) if closed else orient_outward(mesh)
    if not len(faces):
        raise ValueError("a mesh none of whose faces has an area fills no voxels")
    return np.asarray(vertices), np.asarray(faces)


def sample_mesh(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    side: int,
    *,
    factors: tuple[int, ...],
    closed: bool,
) -> list[Bool[np.ndarray, "x y z"]]:
    """The grids of `find_inside`, with the surface of parts too thin for the centres added to the second."""
    if closed:
        inside, solid, *finer = (count_windings(vertices, faces, size) > 0 for size in (side, side * factors[0]))
    else:
        inside, solid, *finer = find_inside(vertices, faces, side, factors=factors)
    fine = solid.copy()
    for points, normals in sample_triangles(vertices[faces], spacing=0.5 / len(fine)):
        fine[voxel_indices(points[uncovered_points(solid, points, normals)], len(fine))] = True
    return [inside, fine, *finer]


def find_inside(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    side: int,
    *,
    factors: tuple[int, ...],
) -> list[Bool[np.ndarray, "x y z"]]:
    """The voxels at whose centres the winding number exceeds one half, then those of grids finer by each factor.

    The number changes fast only across the surface, so only voxels near it are evaluated again on the finer grids.
    """
    voxels, solid = np.indices((side,) * 3).reshape(3, -1).T, np.zeros((side,) * 3, bool)
    levels = [solid]
    for factor in (*factors, None):
        numbers = abs(winding_numbers(vertices, faces, voxels, len(solid)))
        solid[tuple(voxels.T)] = numbers > 0.5
        if factor is None:
            break
        close = np.zeros(solid.shape, bool)
        close[tuple(voxels[abs(numbers - 0.5) < 0.25].T)] = True
        for points, _ in sample_triangles(vertices[faces], spacing=0.25 / len(solid)):
            close[voxel_indices(points, len(solid))] = True
        voxels, solid = subdivide_voxels(np.argwhere(close), factor), upsample_voxels(solid, factor)
        levels.append(solid)
    return levels


def fill_cavities(solid: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """The solid voxels and the empty ones that are not connected with the outside through faces of empty voxels."""
    parts, _ = label(np.pad(~solid, 1, constant_values=True))
    return (parts != parts[0, 0, 0])[1:-1, 1:-1, 1:-1]


SurfacePoints = tuple[Float[np.ndarray, "samples 3"], Float[np.ndarray, "samples 3"]]
"""Points on a surface, and the unit normals there."""


def sample_triangles(triangles: Float[np.ndarray, "faces 3 3"], *, spacing: float) -> Iterator[SurfacePoints]:
    """Points on the triangles at most `spacing` apart, and their unit normals, batch by batch.

    Each triangle gets rows of points along its longest side; triangles of similar size share a pattern.
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
        for batch in np.array_split(chosen, -(-len(chosen) * len(weights) // POINTS_PER_BATCH)):
            points = np.einsum("pc,cfd->fpd", weights, np.stack([a[batch], b[batch], c[batch]])).reshape(-1, 3)
            yield points, normals[batch].repeat(len(weights), axis=0)


def barycentric_pattern(along: int, rows: int) -> Float[np.ndarray, "points 3"]:
    """Barycentric points in rows parallel to the first side of a triangle."""
    across, up = np.meshgrid(np.linspace(0, 1, along + 1), np.linspace(0, 1, rows + 1)[:-1])
    flat = np.stack([(1 - up) * (1 - across), (1 - up) * across, up], -1).reshape(-1, 3)
    # moved inwards a little, or the edges of a box aligned with the grid would fall into the neighbouring voxels
    return np.concatenate([flat, [[0, 0, 1]]]) * 0.999 + 0.001 / 3


def voxel_indices(points: Float[np.ndarray, "points 3"], side: int) -> tuple[np.ndarray, ...]:
    """The indices of the voxels the points lie in; of two that share a face, the lower one."""
    # rounding errors would assign points between two voxels inconsistently
    where = np.floor((points + 0.5) * side - 1e-6).astype(int)
    return tuple(where.clip(0, side - 1).T)


def subdivide_voxels(voxels: Int[np.ndarray, "voxels 3"], factor: int) -> Int[np.ndarray, "parts 3"]:
    """The indices of the finer voxels that make up each voxel."""
    return (voxels[:, None] * factor + np.indices((factor,) * 3).reshape(3, -1).T).reshape(-1, 3)


def uncovered_points(
    solid: Bool[np.ndarray, "fine fine fine"], points: np.ndarray, normals: np.ndarray
) -> Bool[np.ndarray, " points"]:
    """Which points of the surface have no solid voxel close by on either side.

    Voxels that the surface of a solid merely touches are not added, or every solid would grow by half a voxel.
    """
    pitch = 1 / len(solid)
    behind = (points + depth * pitch * normals for depth in (-1, -0.5, 0.5, 1))
    return ~np.any([solid[voxel_indices(shifted, len(solid))] for shifted in behind], axis=0)


def add_thin_parts(
    inside: Bool[np.ndarray, "side side side"], fine: Bool[np.ndarray, "fine fine fine"]
) -> Bool[np.ndarray, "side side side"]:
    """The voxels whose centres are inside, and those of thin parts that centres miss.

    Testing centres is right for solids, but loses thin legs and sheets; adding every voxel that is touched would fatten
    solids. So where a part is too thin to contain centres reliably, that is, where an opening removes it, a voxel is
    filled if a quarter of it is: then a leg stays connected however it crosses the grid. Fine voxels about
    a voxel or more away from all that are added too.
    """
    factor = len(fine) // len(inside)
    thick = grey_opening(fine.view(np.uint8), size=factor + 1, mode="constant")
    thin = fine & ~maximum_filter(thick, 2 * factor - 1).astype(bool)
    kept = inside | (fill_fractions(thin, factor) >= 0.25)
    lost = fine & ~maximum_filter(upsample_voxels(kept, factor), 2 * factor - 1)
    return kept | (fill_fractions(lost, factor) > 0)


def upsample_voxels(voxels: Bool[np.ndarray, "x y z"], factor: int) -> Bool[np.ndarray, "fine_x fine_y fine_z"]:
    """Each voxel divided into factor^3 equal ones."""
    return repeat(voxels, "x y z -> (x a) (y b) (z c)", a=factor, b=factor, c=factor)


def fill_fractions(
    fine: Bool[np.ndarray, "fine_x fine_y fine_z"] | Float[np.ndarray, "fine_x fine_y fine_z"], factor: int
) -> Float[np.ndarray, "x y z"]:
    """The fraction of each voxel that is filled, in [0, 1], from factor^3 finer ones and their fractions."""
    return reduce(fine.astype(np.float32), "(x a) (y b) (z c) -> x y z", "mean", a=factor, b=factor, c=factor)
