"""Distances between two surfaces by points sampled from both, and the quality of a mesh.

Distances are in units of the cube's side, from sampled points of one mesh to the nearest point on the other's surface,
which avoids the noise of distances between two point sets. Each name of a Chamfer distance states its convention.
"""

from typing import NamedTuple

import igl
import numpy as np
import trimesh
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

UPWARD = 0.85
"""Least y component of the normal of an upward face, a tilt of at most 32 degrees."""


class SurfaceSamples(NamedTuple):
    """Points sampled uniformly from a surface, and the unit normals there."""

    points: Float[np.ndarray, "points 3"]
    normals: Float[np.ndarray, "points 3"]


def sample_surface(mesh: trimesh.Trimesh, count: int, *, seed: int = 0) -> SurfaceSamples:
    """`count` points of the mesh, drawn with probability proportional to area."""
    points, faces = trimesh.sample.sample_surface(mesh, count, seed=seed)[:2]
    return SurfaceSamples(np.asarray(points, np.float64), np.asarray(mesh.face_normals[faces], np.float64))


class PointMeshDistances(NamedTuple):
    """Distances of points to a mesh, and cosines between their normals and those of the nearest faces."""

    distance: Float[np.ndarray, " points"]
    cosine: Float[np.ndarray, " points"]


def point_mesh_distances(ours: SurfaceSamples, mesh: trimesh.Trimesh) -> PointMeshDistances:
    """The distance of each sample to the mesh, and the cosine between both normals."""
    squared, faces, _ = igl.point_mesh_squared_distance(
        ours.points, np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    )
    return PointMeshDistances(np.sqrt(squared), (ours.normals * mesh.face_normals[faces]).sum(1))


def surface_distances(
    ours: trimesh.Trimesh, theirs: trimesh.Trimesh, *, points: int = 10_000, at: float = 0.01
) -> dict[str, float]:
    """Chamfer distances, F-score at distance `at` and normal consistency; ours is the reconstruction, theirs the truth.

    `points` points are sampled from each surface. Chamfer distances are better if lower; F-score, its precision and
    recall, and normal consistency lie in [0, 1], higher is better.
    """
    there = point_mesh_distances(sample_surface(ours, points), theirs)
    back = point_mesh_distances(sample_surface(theirs, points), ours)
    return {
        **chamfer(there.distance, back.distance),
        **f_score(there.distance, back.distance, at=at),
        "normal_consistency": float(np.abs(there.cosine).mean() + np.abs(back.cosine).mean()) / 2,
    }


def chamfer(there: Float[np.ndarray, " ours"], back: Float[np.ndarray, " theirs"]) -> dict[str, float]:
    """The Chamfer distance in the four conventions in use.

    l1 is the Euclidean distance, l2 its square; half is the mean of both directions, sum their sum. Occupancy Networks
    report cd_l1_half (times ten), PointFlow cd_l2_sum, Pix3D cd_l1_sum.
    """
    unsquared, squared = there.mean() + back.mean(), (there**2).mean() + (back**2).mean()
    return {
        "cd_l1_half": float(unsquared / 2),
        "cd_l1_sum": float(unsquared),
        "cd_l2_half": float(squared / 2),
        "cd_l2_sum": float(squared),
    }


def f_score(
    there: Float[np.ndarray, " ours"], back: Float[np.ndarray, " theirs"], *, at: float = 0.01
) -> dict[str, float]:
    """Precision (share of our points within `at` of the truth), recall (the converse) and their harmonic mean."""
    precision, recall = float((there < at).mean()), float((back < at).mean())
    f = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"f_score": f, "precision": precision, "recall": recall}


def earth_movers_distance(ours: Float[np.ndarray, "ours 3"], theirs: Float[np.ndarray, "theirs 3"]) -> float:
    """EMD: the mean Euclidean distance under the one-to-one assignment of points that minimises it (exact).

    Raises ValueError if the numbers of points differ.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"the sets must have equally many points, got {len(ours)} and {len(theirs)}")
    distances = cdist(ours, theirs)
    return float(distances[linear_sum_assignment(distances)].mean())


def mesh_quality(mesh: trimesh.Trimesh) -> dict[str, float]:
    """Whether the mesh is closed, its components, genus, and signed volume (negative if inside out).

    The genus is summed over components and is meaningful for closed meshes only.
    """
    components = mesh.body_count
    return {
        "watertight": float(mesh.is_watertight),
        "components": float(components),
        "genus": float(components - mesh.euler_number / 2),
        "signed_volume": float(mesh.volume),
    }


def top_unevenness(mesh: trimesh.Trimesh) -> dict[str, float]:
    """Deviation from level of the largest connected region that faces up (+y), such as a seat or a table top.

    It is the area-weighted standard deviation of its height, in cube sides; empty if no face is upward.
    """
    upward = mesh.face_normals[:, 1] > UPWARD
    if not upward.any():
        return {}
    pairs = mesh.face_adjacency[upward[mesh.face_adjacency].all(1)]
    regions = trimesh.graph.connected_components(pairs, nodes=np.flatnonzero(upward))
    top = max(regions, key=lambda faces: mesh.area_faces[faces].sum())
    heights, areas = mesh.triangles_center[top, 1], mesh.area_faces[top]
    off_level = heights - np.average(heights, weights=areas)
    return {"top_unevenness": float(np.average(off_level**2, weights=areas) ** 0.5)}
