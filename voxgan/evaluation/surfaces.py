"""Compares the surfaces of reconstructed objects with the true ones, by sampled points and by voxels."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
import trimesh
from accelerate.utils import tqdm
from torch import Tensor

from voxgan.data.packed import PackedDataset
from voxgan.evaluation import set_fidelity
from voxgan.evaluation.baselines import load_occupancies
from voxgan.evaluation.media import extract_true_surface
from voxgan.evaluation.methods import ReconstructionMethod
from voxgan.evaluation.report import SurfaceReport
from voxgan.metrics import surface as metrics
from voxgan.metrics.occupancy import ikea_average_precision

POINTS = 10_000
"""Points sampled on each surface."""
EMD_POINTS = 512
"""Points sampled on each surface for the earth mover's distance."""
F_SCORE_DISTANCE = 0.01
"""Distance threshold of the F-score, in sides of the unit cube."""

CONVENTIONS = {
    "scope": "The first draw of pictures only; surfaces of voxels, the true ones too, by marching cubes after "
    "smoothing with all parts kept; true ones of fractional voxels without smoothing, predicted meshes as they are.",
    "cd_l1_half, cd_l1_sum, cd_l2_half, cd_l2_sum": f"Mean distance of {POINTS} points from the other surface, in cube "
    "sides: l1 as it is, l2 squared; half the mean of both ways, sum their sum.",
    "emd": f"Mean distance of {EMD_POINTS} random points of each surface, paired one to one for the least sum; not 0 "
    "for equal surfaces, as their points differ.",
    "f_score, precision, recall": f"Points within {F_SCORE_DISTANCE:g} of the cube's side of the other surface.",
    "normal_consistency": "Mean |n.n'| at nearest places, both ways; blind to a mesh inside out, unlike signed_volume.",
    "top_unevenness": "Root mean square distance from level of the largest region that faces up, in cube sides.",
    "ap, ap_aligned": "Average precision on 20^3 voxels as the object stands, and the best of 48 signed permutations "
    "of the axes and shifts up to 10 %.",
    "without_surface": "Share of reconstructions with nothing above the threshold: their f_score is 0, and means of "
    "distances, normals and health leave them out.",
}


def score_surfaces(
    methods: Sequence[tuple[ReconstructionMethod, float]],
    packed: PackedDataset,
    indices: Sequence[int],
    *,
    renders: int,
    seed: int,
) -> SurfaceReport:
    """Compare the surfaces of reconstructed objects with the true ones, one by one and as sets, by variant.

    Args:
        methods: Reconstruction methods, each with the probability at which surfaces of its voxels are extracted.
        packed: The data set.
        indices: The objects.
        renders: Renders of each object by which an image network compares the sets; 0 for none.
        seed: Of what the distances between sets draw at random.

    Raises:
        ValueError: One of the objects fills no voxel.
    """
    rows = defaultdict(list)
    voxels: defaultdict[str, list[Tensor]] = defaultdict(list)
    for index in tqdm(indices, unit="object", leave=False):
        truth = torch.from_numpy(packed.occupancy(index))
        if (real := extract_true_surface(packed, index)) is None:
            raise ValueError(f"{packed.objects[index].id} fills no voxel, so it has no surface")
        for method, threshold in methods:
            for name, predicted in method.predict(index).items():
                voxels[name].append(predicted.probabilities > threshold)
                rows[name].append(
                    ikea_average_precision(predicted.probabilities, truth)
                    | score_surface(predicted.surface(threshold), real)
                )
    return SurfaceReport(
        conventions=CONVENTIONS | set_fidelity.CONVENTIONS,
        scores={name: mean_scores(row) for name, row in rows.items()},
        fidelity=set_fidelity.measure_fidelity(
            {name: torch.stack(objects) for name, objects in voxels.items()},
            load_occupancies(packed, indices),
            packed,
            train=packed.indices("train"),
            renders=renders,
            seed=seed,
        ),
    )


def score_surface(mesh: trimesh.Trimesh | None, real: trimesh.Trimesh) -> dict[str, float]:
    """Compare the surface of a reconstruction with the true one; None is a reconstruction without a surface."""
    if mesh is None:
        return {"f_score": 0.0, "precision": 0.0, "recall": 0.0, "without_surface": 1.0}
    few = (metrics.sample_surface(each, EMD_POINTS).points for each in (mesh, real))
    return {
        **metrics.surface_distances(mesh, real, points=POINTS, at=F_SCORE_DISTANCE),
        "emd": metrics.earth_movers_distance(*few),
        **metrics.mesh_quality(mesh),
        **metrics.top_unevenness(mesh),
        "without_surface": 0.0,
    }


def mean_scores(rows: Sequence[dict[str, float]]) -> dict[str, float | int]:
    """Return the mean of each score over the objects that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
