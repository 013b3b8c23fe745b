"""Winding numbers of meshes, including broken ones, and the outward orientation of faces that they need."""

from collections.abc import Iterator

import igl
import numpy as np
import trimesh
from jaxtyping import Float, Int


def orient_outward(mesh: trimesh.Trimesh) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """Vertices and faces without duplicates, with the faces of every connected part oriented consistently.

    Nearly closed parts are oriented outward, by the sign of their volume about their own centre. Sheets, and parts as
    open as a bowl, which may be the inner wall of something, keep the orientation of most of their area.
    """
    vertices, faces = remove_duplicate_faces(mesh.vertices, mesh.faces)
    if not len(faces):
        return vertices, faces
    turned, part = (array.astype(np.int64) for array in igl.bfs_orient(faces))
    a, b, c = np.moveaxis(vertices[turned], 1, 0)
    normals = np.cross(b - a, c - a) / 2
    areas = np.linalg.norm(normals, axis=1)
    total = np.maximum(np.bincount(part, areas), 1e-30)
    centres = sum_by_part(areas[:, None] * (a + b + c) / 3, part) / total[:, None]
    volumes = np.bincount(part, np.einsum("fc,fc->f", a - centres[part], normals) / 3)
    openings = np.linalg.norm(sum_by_part(normals, part), axis=1)  # the area normals of a closed surface sum to zero
    flipped = np.bincount(part, areas * (turned != faces).any(1))
    closed = (openings < 0.15 * total) & (abs(volumes) > 1e-3 * total**1.5)
    wrong = np.where(closed, volumes < 0, flipped > total / 2)
    return vertices, np.where(wrong[part, None], turned[:, ::-1], turned)


def sum_by_part(vectors: Float[np.ndarray, "faces 3"], part: Int[np.ndarray, " faces"]) -> Float[np.ndarray, "parts 3"]:
    """The sum of the vectors of the faces of each part."""
    return np.stack([np.bincount(part, component) for component in vectors.T], 1)


def remove_duplicate_faces(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[Float[np.ndarray, "distinct 3"], Int[np.ndarray, "kept 3"]]:
    """The mesh without duplicate vertices, degenerate faces and duplicate faces.

    Walls are often modelled as two opposite faces to be visible from both sides; their winding numbers would cancel.
    """
    used, position = np.unique(faces, return_inverse=True)  # drops vertices that no face uses
    vertices, faces = vertices[used], position.reshape(-1, 3)
    longest = np.ptp(vertices, axis=0).max() if len(vertices) else 1
    first, position = trimesh.grouping.unique_rows(vertices / max(longest, 1e-30), digits=6)
    vertices, faces = np.asarray(vertices[first], np.float64), position[faces].astype(np.int64)
    corners = np.sort(faces, axis=1)
    real = np.flatnonzero((corners[:, 0] < corners[:, 1]) & (corners[:, 1] < corners[:, 2]))
    kept, _ = trimesh.grouping.unique_rows(corners[real])
    return vertices, np.ascontiguousarray(faces[real[np.sort(kept)]])


def winding_numbers(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    voxels: Int[np.ndarray, "voxels 3"],
    side: int,
) -> Float[np.ndarray, " voxels"]:
    """The fast winding number (Barill et al. 2018, doi 10.1145/3197517.3201337) at the centres of these voxels.

    `voxels` are indices into a grid of `side` voxels a side that fills the unit cube around the origin.
    """
    return igl.fast_winding_number(vertices, faces, (voxels + 0.5) / side - 0.5)


OFFSET = np.array([1.3e-7, 2.1e-7])
"""Offset of columns from voxel centres in x and y, so that none meets the edge of a face."""
COLUMNS = np.array([(-3, 1), (-1, -3), (1, 3), (3, -1)]) / 8
"""Offsets of the four columns through a voxel from its centre, a rotated grid with four distinct positions in x and in
y, which is as exact for axis-aligned planes as sixteen columns in a regular grid."""
PAIRS_PER_BATCH = 1_000_000
"""Pairs of a face and a column that are intersected at a time."""

Crossings = tuple[Int[np.ndarray, "met 2"], Float[np.ndarray, " met"], Int[np.ndarray, " met"]]
"""Intersections of columns with faces: the column, the height in voxels from the lowest centre, and 1 where it enters a
part or -1 where it leaves one."""


def count_windings(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], side: int
) -> Int[np.ndarray, "side side side"]:
    """The winding numbers of a mesh of closed parts at the centres of a grid that fills the unit cube at the origin.

    Along each column of voxels in z, the number grows by one where the column enters a part, through a face with a
    normal towards -z, and falls by one where it leaves. Counts are exact for closed parts.
    """
    steps = np.zeros((side, side, side + 1), np.int32)
    for columns, heights, signs in cross_faces(vertices, faces, side):
        above = np.ceil(heights).clip(0, side).astype(np.int64)
        np.add.at(steps, (*columns.T, above), signs)
    return np.cumsum(steps[..., :-1], axis=2)


def fill_columns(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], side: int
) -> Float[np.ndarray, "side side side"]:
    """The fraction of each voxel inside a mesh of closed parts with outward faces, on a grid as in `count_windings`.

    It is the mean over four columns per voxel, exact in z and within an eighth of a voxel in x and y.
    """
    return np.mean([fill_column(vertices, faces, side, beside=beside) for beside in COLUMNS], axis=0)


def fill_column(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    side: int,
    *,
    beside: Float[np.ndarray, "2"],
) -> Float[np.ndarray, "side side side"]:
    """The fraction of each voxel inside the mesh along the line in z at this offset from its centre."""
    met = list(cross_faces(vertices, faces, side, beside=beside))
    if not met:
        return np.zeros((side,) * 3)
    columns, heights, signs = (np.concatenate(each) for each in zip(*met, strict=True))
    column = columns @ (side, 1)
    order = np.lexsort((heights, column))
    column, heights, signs = column[order], (heights[order] + 0.5).clip(0, side), signs[order]
    after = np.cumsum(signs)  # number of parts that a column is in
    after -= (after - signs)[np.searchsorted(column, column)]
    changes = (after > 0).astype(float) - (after > signs)  # overlapping parts are entered and left once
    below = np.floor(heights).clip(0, side - 1).astype(np.int64)
    place, rest = column * (side + 1) + below, changes * (heights - below)
    steps = np.bincount(np.append(place, place + 1), np.append(changes - rest, rest), side * side * (side + 1))
    return np.cumsum(steps.reshape(side, side, side + 1)[..., :-1], axis=2)


def cross_faces(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    side: int,
    *,
    beside: Float[np.ndarray, "2"] | tuple[float, float] = (0.0, 0.0),
) -> Iterator[Crossings]:
    """Intersections of faces with columns of voxels along z, at this offset from the voxel centres, batch by batch."""
    corners = (np.asarray(vertices, np.float64)[faces] + 0.5) * side - 0.5  # centres of voxels at whole numbers
    flat = corners[..., :2] - (OFFSET + beside)
    first = np.ceil(flat.min(1)).clip(0, side).astype(np.int64)
    extent = (np.floor(flat.max(1)).clip(-1, side - 1).astype(np.int64) + 1 - first).clip(0)
    a, b, c = np.moveaxis(flat, 1, 0)
    area = cross_2d(b - a, c - a)
    counts = np.where(area != 0, extent.prod(1), 0)
    batch = np.cumsum(counts) // PAIRS_PER_BATCH
    for number in np.unique(batch[counts > 0]):
        chosen = np.flatnonzero((batch == number) & (counts > 0))
        face = chosen.repeat(counts[chosen])
        place = np.arange(len(face)) - (np.cumsum(counts[chosen]) - counts[chosen]).repeat(counts[chosen])
        column = first[face] + np.stack(np.divmod(place, extent[face, 1]), 1)
        sides = ((1, 2), (2, 0), (0, 1))
        opposite = [cross_2d(flat[face, two] - flat[face, one], column - flat[face, one]) for one, two in sides]
        weights = np.stack(opposite, 1) / area[face, None]
        met = (weights > 0).all(1)
        height = np.einsum("pc,pc->p", weights[met], corners[face[met], :, 2])
        yield column[met], height, -np.sign(area[face[met]]).astype(np.int64)


def cross_2d(
    one: Float[np.ndarray, "vectors 2"], other: Float[np.ndarray, "vectors 2"]
) -> Float[np.ndarray, " vectors"]:
    """Twice the signed areas of the triangles that pairs of vectors span."""
    return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
