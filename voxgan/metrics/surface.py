"""How near one surface is to another, by points sampled from both, and whether a mesh is sound.

Distances are in units of the cube's side, from points of one mesh to the nearest place on the other: what distances
between ever denser points tend to, without their noise. Every name of a Chamfer distance tells its convention.
"""

from typing import NamedTuple

import igl
import numpy as np
import trimesh
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist


class SurfaceSamples(NamedTuple):
    """Points spread evenly over a surface, and the unit normals there."""

    points: Float[np.ndarray, "points 3"]
    normals: Float[np.ndarray, "points 3"]


def sample_surface(mesh: trimesh.Trimesh, count: int, *, seed: int = 0) -> SurfaceSamples:
    """So many points of the mesh."""
    points, faces = trimesh.sample.sample_surface(mesh, count, seed=seed)[:2]
    return SurfaceSamples(np.asarray(points, np.float64), np.asarray(mesh.face_normals[faces], np.float64))


class PointMeshDistances(NamedTuple):
    """How far points are from the nearest place on a mesh, and the cosine between the normals here and there."""

    distance: Float[np.ndarray, " points"]
    cosine: Float[np.ndarray, " points"]


def point_mesh_distances(ours: SurfaceSamples, mesh: trimesh.Trimesh) -> PointMeshDistances:
    """See Nearest."""
    squared, faces, _ = igl.point_mesh_squared_distance(
        ours.points, np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    )
    return PointMeshDistances(np.sqrt(squared), (ours.normals * mesh.face_normals[faces]).sum(1))


def surface_distances(
    ours: trimesh.Trimesh, theirs: trimesh.Trimesh, *, points: int = 10_000, at: float = 0.01
) -> dict[str, float]:
    """All that two surfaces are compared by; ours is the reconstruction, theirs the truth."""
    there, back = (
        point_mesh_distances(sample_surface(ours, points), theirs),
        point_mesh_distances(sample_surface(theirs, points), ours),
    )
    return {
        **chamfer(there.distance, back.distance),
        **f_score(there.distance, back.distance, at=at),
        "normal_consistency": float(np.abs(there.cosine).mean() + np.abs(back.cosine).mean()) / 2,
    }


def chamfer(there: Float[np.ndarray, " ours"], back: Float[np.ndarray, " theirs"]) -> dict[str, float]:
    """Mean distances there and back, by the four conventions in use.

    l1 takes Euclidean distances as they are, l2 squares them; half is the mean of both ways, sum their sum. Occupancy
    Networks quote cd_l1_half (times ten), PointFlow cd_l2_sum, Pix3D cd_l1_sum.
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
    """Precision, the share of our points near the truth, recall, of true ones near ours, and their harmonic mean."""
    precision, recall = float((there < at).mean()), float((back < at).mean())
    f = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"f_score": f, "precision": precision, "recall": recall}


def earth_movers_distance(ours: Float[np.ndarray, "ours 3"], theirs: Float[np.ndarray, "theirs 3"]) -> float:
    """The mean Euclidean distance of points paired one to one so that it is least (exact assignment).

    Raises ValueError if there are not as many of both.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"points are paired one to one: {len(ours)} and {len(theirs)} cannot be")
    distances = cdist(ours, theirs)
    return float(distances[linear_sum_assignment(distances)].mean())


def mesh_quality(mesh: trimesh.Trimesh) -> dict[str, float]:
    """Whether the mesh is closed, its parts, its handles, and its volume, which is negative if it is inside out.

    The genus is a sum over parts and means something for closed meshes only.
    """
    parts = mesh.body_count
    return {
        "watertight": float(mesh.is_watertight),
        "components": float(parts),
        "genus": float(parts - mesh.euler_number / 2),
        "signed_volume": float(mesh.volume),
    }
