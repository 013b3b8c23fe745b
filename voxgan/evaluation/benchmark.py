"""What it costs to measure objects on the machine at hand, metric by metric, beside plain calls of libraries."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import trimesh
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from sklearn.metrics import average_precision_score, jaccard_score
from torch import Tensor

from gancore.benchmark import Contest
from voxgan.evaluation.baselines import THRESHOLDS
from voxgan.mesh.surface import from_occupancy
from voxgan.metrics import occupancy as overlap
from voxgan.metrics import sets as coverage
from voxgan.metrics import surface as metrics

OBJECTS, SIDE = 2, 32
SET = 16
"""Objects in each of two sets."""
POINTS, PAIRED, OF_SET = 10_000, 512, 512
"""Points of a surface, those that are paired one to one, and those by which sets are compared."""


def voxel_contests() -> dict[str, Contest]:
    """What is measured of the voxels of every object."""
    made, real = ellipsoids(OBJECTS, seed=0), ellipsoids(OBJECTS, seed=1) > 0.5
    return {
        "IoU at one threshold": Contest(
            partial(overlap.iou, made > 0.5, real), OBJECTS, "scikit-learn Jaccard", partial(bare_jaccard, made, real)
        ),
        f"IoU at {len(THRESHOLDS)} thresholds": Contest(partial(overlap.iou_at, made, real, THRESHOLDS), OBJECTS),
        f"average precision, {SIDE}^3": Contest(
            partial(one_by_one, lambda a, b: overlap.average_precision(a.flatten(), b.flatten()), made, real),
            OBJECTS,
            "scikit-learn AP",
            partial(one_by_one, lambda a, b: average_precision_score(b.numpy().ravel(), a.numpy().ravel()), made, real),
        ),
        "AP with and without alignment": Contest(partial(one_by_one, overlap.ikea_precision, made, real), OBJECTS),
    }


def surface_contests() -> dict[str, Contest]:
    """What is measured of every surface."""
    (made,), (real,) = ([from_occupancy(one.numpy()) for one in ellipsoids(1, seed=seed)] for seed in (0, 1))
    few = [metrics.sampled(mesh, PAIRED).points for mesh in (made, real)]
    return {
        "Chamfer, F-score, normals": Contest(
            partial(metrics.compared, made, real, points=POINTS), 1, "SciPy k-d trees", partial(bare_trees, made, real)
        ),
        f"EMD of {PAIRED} points": Contest(
            partial(metrics.earth_mover, *few), 1, "SciPy assignment", partial(bare_assignment, *few)
        ),
        "mesh health": Contest(partial(health, made), 1),
    }


def set_contests() -> dict[str, Contest]:
    """What compares two sets of objects."""
    made, real = (ellipsoids(SET, seed=seed) > 0.5 for seed in (0, 1))
    clouds = torch.rand(2, SET, OF_SET, 3)
    return {
        "COV, MMD, 1-NNA by voxels": Contest(partial(among, overlap.pairwise_iou, made, real), SET),
        f"COV, MMD, 1-NNA by {OF_SET} points": Contest(partial(among, coverage.chamfer_distances, *clouds), SET),
        "JSD": Contest(partial(coverage.occupancy_divergence, made, real), SET),
    }


def ellipsoids(count: int, *, seed: int) -> Tensor:
    """Probabilities that fall across the surfaces of ellipsoids of all sizes."""
    radii = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) * 0.3 + 0.15
    places = torch.stack(torch.meshgrid(*[(torch.arange(SIDE) + 0.5) / SIDE - 0.5] * 3, indexing="ij"), -1)
    return ((1 - (places / radii[:, None, None, None]).norm(dim=-1)) * 4).sigmoid()


def one_by_one(score: Callable[[Tensor, Tensor], object], made: Tensor, real: Tensor) -> list[object]:
    return [score(*pair) for pair in zip(made, real, strict=True)]


def bare_jaccard(made: Tensor, real: Tensor) -> list[float]:
    pairs = zip((made > 0.5).flatten(1).numpy(), real.flatten(1).numpy(), strict=True)
    return [float(jaccard_score(b, a)) for a, b in pairs]


def bare_trees(made: trimesh.Trimesh, real: trimesh.Trimesh) -> None:
    """Nearest points both ways between as many points of either, sampled beforehand or not."""
    a, b = (metrics.sampled(mesh, POINTS).points for mesh in (made, real))
    cKDTree(a).query(b)
    cKDTree(b).query(a)


def bare_assignment(a: np.ndarray, b: np.ndarray) -> float:
    distances = cdist(a, b)
    return float(distances[linear_sum_assignment(distances)].mean())


def health(mesh: trimesh.Trimesh) -> dict[str, float]:
    """Of a copy, as trimesh remembers what it has once computed."""
    return metrics.health(trimesh.Trimesh(mesh.vertices, mesh.faces, process=False))


def among(distances: Callable[[Tensor, Tensor], Tensor], made: Tensor, real: Tensor) -> dict[str, float]:
    return coverage.among(distances(made, made), distances(made, real), distances(real, real))
