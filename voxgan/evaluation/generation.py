"""How objects made from noise lie among real ones that training never saw, beside training objects in their place."""

from collections.abc import Sequence

import numpy as np
import torch
import trimesh
from jaxtyping import Bool, Float
from torch import Tensor

from gancore.metrics.distances import count_modes
from voxgan.data.packed import PackedDataset
from voxgan.evaluation.baselines import iterate_chunks, load_occupancies, oracle_iou
from voxgan.evaluation.media import extract_whole_surface
from voxgan.metrics import surface as metrics
from voxgan.metrics.occupancy import mean_pairwise_distance, pairwise_iou
from voxgan.metrics.sets import occupancy_divergence, pairwise_chamfer, set_metrics
from voxgan.networks.generator import VoxelGenerator

THRESHOLD = 0.5
POINTS = 512
"""Points of each surface, by which sets of surfaces are compared."""

Objects = Bool[Tensor, "objects x y z"]

CONVENTIONS = {
    "iou_cov, iou_mmd, iou_1nna": "Coverage, minimum matching distance and 1-NN accuracy by 1 - IoU of voxels.",
    "cd_cov, cd_mmd, cd_1nna": f"The same by cd_l2_sum of {POINTS} points of each surface.",
    "jsd": "Jensen-Shannon divergence in bits of where matter lies, voxel by voxel.",
    "distance": "Mean 1 - IoU over pairs of made objects; near 0 if all are the same.",
    "nearest_training": "Mean IoU of each made object with the training object most like it; 1 if all are copies.",
    "classes_hit, classes_kl": "Classes of the training objects most like each, and KL in nats of how often each class "
    "comes from uniform.",
    "empty": "Share of made objects without a voxel; such ones have no surface and are left out of cd_*.",
    "training objects": "As many random training objects in place of made ones: as good as it gets without learning.",
}


def generate_objects(generator: VoxelGenerator, labels: Sequence[str], *, seed: int) -> Objects:
    """An object from noise for each label, voxels above THRESHOLD; of that class if the model knows classes.

    Raises ValueError if the model does not know a class.
    """
    told = labels if generator.shape.classes else [None] * len(labels)
    seeds = range(seed, seed + len(labels))
    return torch.cat(
        [generator.sample(1, seed=n, label=label) > THRESHOLD for n, label in zip(seeds, told, strict=True)]
    )


def score_sets(
    ours: Objects,
    packed: PackedDataset,
    train: Sequence[int],
    real: Sequence[int],
    *,
    name: str = "model",
    seed: int,
    meshes: Sequence[trimesh.Trimesh | None] | None = None,
) -> dict[str, dict[str, float]]:
    """The scores of as many made objects as there are real ones, by that name, and of training objects in their place.

    With meshes, which may be None for those that are still to be made of the voxels, surfaces are compared too.
    """
    truth = load_occupancies(packed, real)
    sets = {name: ours, **training_reference(packed, train, len(real), seed=seed)}
    scores = {whose: voxel_scores(objects, truth) for whose, objects in sets.items()}
    scores["real objects"] = {"distance": mean_pairwise_distance(truth)}
    for whose, objects in {name: ours, "real objects": truth}.items():
        scores[whose]["nearest_training"] = float(oracle_iou(packed, train, objects).mean())
    for whose, objects in {**sets, "real objects": truth}.items():
        scores[whose] |= class_coverage(objects, packed, train)
    if meshes is not None:
        points = sample_surfaces(truth, seed=seed)
        for whose, objects in sets.items():
            given = meshes if whose == name else ()
            scores[whose] |= surface_scores(sample_surfaces(objects, seed=seed, meshes=given), points)
    return scores


def training_reference(packed: PackedDataset, train: Sequence[int], count: int, *, seed: int) -> dict[str, Objects]:
    """So many random training objects, under the name that scores have them by."""
    strangers = np.random.default_rng(seed).choice(train, count, replace=len(train) < count).tolist()
    return {"training objects": load_occupancies(packed, strangers)}


def nearest_training_objects(packed: PackedDataset, train: Sequence[int], objects: Objects) -> list[int]:
    """The number of the training object that is most like each, by IoU."""
    chunks = [pairwise_iou(objects, chunk) for _, chunk in iterate_chunks(packed, train)]
    return [train[place] for place in torch.cat(chunks, 1).argmax(1).tolist()]


def class_coverage(objects: Objects, packed: PackedDataset, train: Sequence[int]) -> dict[str, float]:
    """How many classes of training objects are hit, and how unevenly; nothing where there are no classes."""
    known = sorted({packed.objects[index].label for index in train} - {""})
    labels = [packed.objects[index].label for index in nearest_training_objects(packed, train, objects)]
    if not known or "" in labels:
        return {}
    modes = count_modes(torch.tensor([known.index(label) for label in labels]), len(known))
    return {"classes_hit": float(modes.hit_count), "classes_kl": modes.kl_from_uniform}


def voxel_scores(ours: Objects, real: Objects) -> dict[str, float]:
    """What is told by voxels alone."""
    pairs = (1 - pairwise_iou(a, b) for a, b in ((ours, ours), (ours, real), (real, real)))
    return {
        **{f"iou_{name}": score for name, score in set_metrics(*pairs).items()},
        "jsd": occupancy_divergence(ours, real),
        "distance": mean_pairwise_distance(ours),
        "empty": float((~ours.any(3).any(2).any(1)).double().mean()),
    }


def surface_scores(ours: Float[Tensor, "ours points 3"], real: Float[Tensor, "real points 3"]) -> dict[str, float]:
    """What is told by points of the surfaces; of as many objects of either set as the smaller one has."""
    count = min(len(ours), len(real))
    if not count:
        return {}
    pairs = (
        pairwise_chamfer(a, b) for a, b in ((ours[:count],) * 2, (ours[:count], real[:count]), (real[:count],) * 2)
    )
    return {f"cd_{name}": score for name, score in set_metrics(*pairs).items()}


def sample_surfaces(
    objects: Objects, *, seed: int, meshes: Sequence[trimesh.Trimesh | None] = ()
) -> Float[Tensor, "surfaces points 3"]:
    """Points of the surface of each object that has one: of the mesh that was given, or of the voxels."""
    given = [*meshes] or [None] * len(objects)
    surfaces = [mesh or extract_whole_surface(voxels.float()) for voxels, mesh in zip(objects, given, strict=True)]
    found = [metrics.sample_surface(mesh, POINTS, seed=seed).points for mesh in surfaces if mesh]
    return torch.from_numpy(np.stack(found)).float() if found else torch.empty(0, POINTS, 3)
