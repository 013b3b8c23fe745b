"""How objects made from noise lie among real ones that training never saw, beside training objects in their place."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from voxgan import metrics
from voxgan.baselines import best_possible, occupancies
from voxgan.coverage import among, chamfer_distances, occupancy_divergence
from voxgan.generator import VoxelGenerator
from voxgan.mesh import SurfaceConfig, from_occupancy
from voxgan.overlap import pairwise_iou, spread
from voxgan.packed import PackedSet

THRESHOLD = 0.5
POINTS = 512
"""Points of each surface, by which sets of surfaces are compared."""
SURFACE = SurfaceConfig(components=0.0)
"""All parts count."""

Objects = Bool[Tensor, "objects x y z"]

CONVENTIONS = {
    "iou_cov, iou_mmd, iou_1nna": "Coverage, minimum matching distance and 1-NN accuracy by 1 - IoU of voxels.",
    "cd_cov, cd_mmd, cd_1nna": f"The same by cd_l2_sum of {POINTS} points of each surface.",
    "jsd": "Jensen-Shannon divergence in bits of where matter lies, voxel by voxel.",
    "distance": "Mean 1 - IoU over pairs of made objects; near 0 if all are the same.",
    "nearest_training": "Mean IoU of each made object with the training object most like it; 1 if all are copies.",
    "empty": "Share of made objects without a voxel; such ones have no surface and are left out of cd_*.",
    "training objects": "As many random training objects in place of made ones: as good as it gets without learning.",
}


def made(generator: VoxelGenerator, labels: Sequence[str], *, seed: int) -> Objects:
    """An object from noise for each label, voxels above THRESHOLD; of that class if the model knows classes.

    Raises ValueError if the model does not know a class.
    """
    told = labels if generator.shape.classes else [None] * len(labels)
    seeds = range(seed, seed + len(labels))
    return torch.cat(
        [generator.sample(1, seed=n, label=label) > THRESHOLD for n, label in zip(seeds, told, strict=True)]
    )


def compared_sets(
    generator: VoxelGenerator,
    packed: PackedSet,
    train: Sequence[int],
    real: Sequence[int],
    *,
    seed: int,
    surfaces: bool,
) -> dict[str, dict[str, float]]:
    """The scores of as many made objects as there are real ones, and of training objects in their place."""
    truth = occupancies(packed, real)
    strangers = np.random.default_rng(seed).choice(train, len(real), replace=len(train) < len(real)).tolist()
    sets = {
        "model": made(generator, [packed.objects[index].label for index in real], seed=seed),
        "training objects": occupancies(packed, strangers),
    }
    scores = {name: voxel_scores(objects, truth) for name, objects in sets.items()}
    scores["model"]["nearest_training"] = float(best_possible(packed, train, sets["model"]).mean())
    scores["real objects"] = {
        "nearest_training": float(best_possible(packed, train, truth).mean()),
        "distance": spread(truth),
    }
    if surfaces:
        points = surface_points(truth, seed=seed)
        for name, objects in sets.items():
            scores[name] |= surface_scores(surface_points(objects, seed=seed), points)
    return scores


def voxel_scores(ours: Objects, real: Objects) -> dict[str, float]:
    """What is told by voxels alone."""
    pairs = (1 - pairwise_iou(a, b) for a, b in ((ours, ours), (ours, real), (real, real)))
    return {
        **{f"iou_{name}": score for name, score in among(*pairs).items()},
        "jsd": occupancy_divergence(ours, real),
        "distance": spread(ours),
        "empty": float((~ours.any(3).any(2).any(1)).double().mean()),
    }


def surface_scores(ours: Float[Tensor, "ours points 3"], real: Float[Tensor, "real points 3"]) -> dict[str, float]:
    """What is told by points of the surfaces; of as many objects of either set as the smaller one has."""
    count = min(len(ours), len(real))
    if not count:
        return {}
    pairs = (
        chamfer_distances(a, b) for a, b in ((ours[:count],) * 2, (ours[:count], real[:count]), (real[:count],) * 2)
    )
    return {f"cd_{name}": score for name, score in among(*pairs).items()}


def surface_points(objects: Objects, *, seed: int) -> Float[Tensor, "surfaces points 3"]:
    """Points of the surface of each object that has one."""
    found = [
        metrics.sampled(from_occupancy(voxels.float().numpy(), SURFACE), POINTS, seed=seed).points
        for voxels in objects
        if voxels.any()
    ]
    return torch.from_numpy(np.stack(found)).float() if found else torch.empty(0, POINTS, 3)
