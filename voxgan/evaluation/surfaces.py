"""How near the surfaces of reconstructed objects are to the true ones, by points and by voxels."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import trimesh
from accelerate.utils import tqdm

from voxgan.data.packed import PackedDataset
from voxgan.evaluation.reconstruction import Method, Prediction
from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.surface import extract_surface
from voxgan.metrics import surface as metrics
from voxgan.metrics.occupancy import ikea_average_precision

POINTS = 10_000
"""Points of each surface."""
EMD_POINTS = 512
"""Points of each surface that are paired one to one."""
F_SCORE_DISTANCE = 0.01
"""Share of the cube's side within which a point counts as found."""

CONVENTIONS = {
    "scope": "The first draw of pictures alone; surfaces of voxels by marching cubes after smoothing, all parts kept, "
    "so also the true one; predicted meshes as they are.",
    "cd_l1_half, cd_l1_sum, cd_l2_half, cd_l2_sum": f"Mean distance of {POINTS} points from the other surface, in cube "
    "sides: l1 as it is, l2 squared; half the mean of both ways, sum their sum.",
    "emd": f"Mean distance of {EMD_POINTS} random points of each surface, paired one to one so that it is least; of equal "
    "surfaces it is not 0, as their points differ.",
    "f_score, precision, recall": f"Points within {F_SCORE_DISTANCE:g} of the cube's side of the other surface.",
    "normal_consistency": "Mean |n.n'| at nearest places, both ways; blind to a mesh inside out, unlike signed_volume.",
    "ap, ap_aligned": "Average precision on 20^3 voxels as the object stands, and the best of 48 signed permutations "
    "of the axes and shifts up to 10 %.",
    "without_surface": "Share of reconstructions with nothing above the threshold: their f_score is 0, and means of "
    "distances, normals and health leave them out.",
}


def score_surfaces(
    candidate: Method, packed: PackedDataset, indices: Sequence[int], *, threshold: float
) -> dict[str, Any]:
    """Means over objects for each way of reconstructing them, and the protocol."""
    whole = SurfaceConfig(min_component_share=0.0, bridge=0.0)
    surface = replace(whole, threshold=threshold)
    rows = defaultdict(list)
    for index in tqdm(indices, unit="object", leave=False):
        truth = torch.from_numpy(packed.occupancy(index))
        real = extract_surface(truth.float().numpy(), whole)
        for name, made in candidate.predict(index).items():
            rows[name].append(
                ikea_average_precision(made.probabilities, truth) | score_surface(prediction_mesh(made, surface), real)
            )
    return {"conventions": CONVENTIONS, "scores": {name: mean_scores(row) for name, row in rows.items()}}


def prediction_mesh(made: Prediction, surface: SurfaceConfig) -> trimesh.Trimesh | None:
    """The surface that was given, or that of the probabilities; None where nothing is above the threshold."""
    if made.mesh is not None:
        return made.mesh
    filled = bool((made.probabilities > surface.threshold).any())
    return extract_surface(made.probabilities.numpy(), surface) if filled else None


def score_surface(mesh: trimesh.Trimesh | None, real: trimesh.Trimesh) -> dict[str, float]:
    """The surface of a reconstruction against the true one."""
    if mesh is None:
        return {"f_score": 0.0, "precision": 0.0, "recall": 0.0, "without_surface": 1.0}
    few = (metrics.sample_surface(each, EMD_POINTS).points for each in (mesh, real))
    return {
        **metrics.surface_distances(mesh, real, points=POINTS, at=F_SCORE_DISTANCE),
        "emd": metrics.earth_movers_distance(*few),
        **metrics.mesh_quality(mesh),
        "without_surface": 0.0,
    }


def mean_scores(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each score over the objects that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
