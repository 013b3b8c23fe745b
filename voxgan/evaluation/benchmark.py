"""Comparisons of the run times of the metrics of objects with those of other libraries."""

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

from gancore.comparison import Comparison
from voxgan.evaluation.baselines import THRESHOLDS
from voxgan.mesh.surface import extract_surface
from voxgan.metrics import occupancy as overlap
from voxgan.metrics import sets as coverage
from voxgan.metrics import surface as metrics

OBJECTS, SIDE = 2, 32
SET_SIZE = 16
"""Objects in each of two sets."""
POINTS, EMD_POINTS, SET_POINTS = 10_000, 512, 512
"""Points on a surface for distances, for the earth mover's distance, and to compare sets."""


def voxel_comparisons() -> dict[str, Comparison]:
    """Return the comparisons for metrics of single objects by voxels."""
    generated, real = sample_ellipsoids(OBJECTS, seed=0), sample_ellipsoids(OBJECTS, seed=1) > 0.5
    return {
        "IoU at one threshold": Comparison(
            partial(overlap.iou, generated > 0.5, real),
            OBJECTS,
            {"scikit-learn Jaccard": partial(sklearn_jaccard, generated, real)},
        ),
        f"IoU at {len(THRESHOLDS)} thresholds": Comparison(
            partial(overlap.iou_at, generated, real, THRESHOLDS), OBJECTS
        ),
        f"average precision, {SIDE}^3": Comparison(
            partial(map_pairs, lambda a, b: overlap.average_precision(a.flatten(), b.flatten()), generated, real),
            OBJECTS,
            {
                "scikit-learn AP": partial(
                    map_pairs,
                    lambda a, b: average_precision_score(b.numpy().ravel(), a.numpy().ravel()),
                    generated,
                    real,
                )
            },
        ),
        "AP with and without alignment": Comparison(
            partial(map_pairs, overlap.ikea_average_precision, generated, real), OBJECTS
        ),
    }


def surface_comparisons() -> dict[str, Comparison]:
    """Return the comparisons for metrics of single surfaces."""
    (generated,), (real,) = (
        [extract_surface(one.numpy()) for one in sample_ellipsoids(1, seed=seed)] for seed in (0, 1)
    )
    few = [metrics.sample_surface(mesh, EMD_POINTS).points for mesh in (generated, real)]
    return {
        "Chamfer, F-score, normals": Comparison(
            partial(metrics.surface_distances, generated, real, points=POINTS),
            1,
            {"SciPy k-d trees": partial(scipy_nearest, generated, real)},
        ),
        f"EMD of {EMD_POINTS} points": Comparison(
            partial(metrics.earth_movers_distance, *few), 1, {"SciPy assignment": partial(scipy_emd, *few)}
        ),
        "mesh quality": Comparison(partial(fresh_mesh_quality, generated), 1),
    }


def set_comparisons() -> dict[str, Comparison]:
    """Return the comparisons for metrics of two sets of objects."""
    generated, real = (sample_ellipsoids(SET_SIZE, seed=seed) > 0.5 for seed in (0, 1))
    clouds = torch.rand(2, SET_SIZE, SET_POINTS, 3)
    return {
        "COV, MMD, 1-NNA by voxels": Comparison(partial(measure_sets, overlap.pairwise_iou, generated, real), SET_SIZE),
        f"COV, MMD, 1-NNA by {SET_POINTS} points": Comparison(
            partial(measure_sets, coverage.pairwise_chamfer, *clouds), SET_SIZE
        ),
        "JSD": Comparison(partial(coverage.occupancy_divergence, generated, real), SET_SIZE),
    }


def sample_ellipsoids(count: int, *, seed: int) -> Tensor:
    """Draw ellipsoids of random sizes, as probabilities that fall smoothly across their surfaces."""
    radii = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) * 0.3 + 0.15
    places = torch.stack(torch.meshgrid(*[(torch.arange(SIDE) + 0.5) / SIDE - 0.5] * 3, indexing="ij"), -1)
    return ((1 - (places / radii[:, None, None, None]).norm(dim=-1)) * 4).sigmoid()


def map_pairs(score: Callable[[Tensor, Tensor], object], generated: Tensor, real: Tensor) -> list[object]:
    return [score(*pair) for pair in zip(generated, real, strict=True)]


def sklearn_jaccard(generated: Tensor, real: Tensor) -> list[float]:
    pairs = zip((generated > 0.5).flatten(1).numpy(), real.flatten(1).numpy(), strict=True)
    return [float(jaccard_score(b, a)) for a, b in pairs]


def scipy_nearest(generated: trimesh.Trimesh, real: trimesh.Trimesh) -> None:
    """Find nearest neighbours in both directions between POINTS points on either surface."""
    a, b = (metrics.sample_surface(mesh, POINTS).points for mesh in (generated, real))
    cKDTree(a).query(b)
    cKDTree(b).query(a)


def scipy_emd(a: np.ndarray, b: np.ndarray) -> float:
    distances = cdist(a, b)
    return float(distances[linear_sum_assignment(distances)].mean())


def fresh_mesh_quality(mesh: trimesh.Trimesh) -> dict[str, float]:
    """Measure a copy, since trimesh caches its results."""
    return metrics.mesh_quality(trimesh.Trimesh(mesh.vertices, mesh.faces, process=False))


def measure_sets(distances: Callable[[Tensor, Tensor], Tensor], generated: Tensor, real: Tensor) -> dict[str, float]:
    return coverage.set_metrics(distances(generated, generated), distances(generated, real), distances(real, real))
