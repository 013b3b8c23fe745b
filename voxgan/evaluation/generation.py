"""Scores a set of objects generated from noise against as many real ones, with training objects as the reference."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import trimesh
from jaxtyping import Bool, Float
from torch import Tensor

from gancore.data import evenly_spaced
from gancore.metrics.distances import count_modes
from voxgan.commands import EvaluateConfig
from voxgan.data.packed import PackedDataset
from voxgan.evaluation import set_fidelity
from voxgan.evaluation.baselines import iterate_chunks, load_occupancies, mean_shape, oracle_iou
from voxgan.evaluation.media import extract_whole_surface
from voxgan.evaluation.predictions import coordinate_frame, read_unpaired
from voxgan.evaluation.report import GenerationReport, Scores
from voxgan.evaluation.selection import select_objects
from voxgan.metrics import surface as metrics
from voxgan.metrics.occupancy import coarsen, mean_pairwise_distance, pairwise_iou
from voxgan.metrics.sets import minimum_matching_distance, occupancy_divergence, pairwise_chamfer, set_metrics
from voxgan.networks.generator import VoxelGenerator

THRESHOLD = 0.5
"""Probability above which a generated voxel is filled."""
POINTS = 512
"""Points on each surface by which sets of surfaces are compared."""
MIN_OF_CLASS, CLASS_DRAWS = 5, 4
"""Least number of real objects of a class for scores by class, and number of generated sets that they average over."""
REAL_SET, TRAINING_SET = "real objects", "training objects"
"""Names of the sets that generated objects are compared with."""

Objects = Bool[Tensor, "objects x y z"]
Meshes = Sequence[trimesh.Trimesh | None]

CONVENTIONS = {
    "iou_cov, iou_mmd, iou_1nna": "Coverage, minimum matching distance and 1-NN accuracy by 1 - IoU of voxels.",
    "cd_cov, cd_mmd, cd_1nna": f"The same by cd_l2_sum of {POINTS} points of each surface.",
    "by class": f"The same among all real objects of one class and as many generated ones; mean of {CLASS_DRAWS} sets.",
    "jsd": "Jensen-Shannon divergence, in bits, of the occupancies by voxel.",
    "distance": "Mean 1 - IoU over pairs of generated objects; near 0 if all are the same.",
    "nearest_training": "Mean IoU of each generated object with the training object most like it; 1 for copies.",
    "classes_hit, classes_kl": "Classes of the training objects most like each, and KL in nats of how often each class "
    "comes from uniform.",
    "empty": "Share of generated objects without a voxel; they have no surface and are left out of cd_*.",
    TRAINING_SET: "As many random training objects in place of generated ones: a reference that needs no model.",
}


class GeneratedObjects(NamedTuple):
    """Objects from noise, and as many real ones to compare them with."""

    name: str
    """Name of the set in the report."""
    objects: Objects
    meshes: Meshes
    """Their predicted surfaces; None for objects that have only voxels."""
    real: list[int]
    """Indices of the real objects."""


def open_generated(generator: VoxelGenerator | None, packed: PackedDataset, config: EvaluateConfig) -> GeneratedObjects:
    """Generate an object of the same class for each real one; without a generator, read the unpaired predictions.

    Raises ValueError if the generator was not trained on a class, or the predictions cannot be read.
    """
    count = min(config.max_items or config.generated_objects, config.generated_objects)
    real = select_objects(packed, config.split, count=count)
    if generator:
        labels = [packed.objects[index].label for index in real]
        objects = generate_objects(generator, labels, side=packed.side, seed=config.seed)
        return GeneratedObjects("model", objects, [None] * len(real), real)
    assert config.predictions is not None
    files = read_unpaired(config.predictions, packed.side, frame=coordinate_frame(config), count=len(real))
    return GeneratedObjects(
        "predictions",
        torch.stack([predicted.probabilities > THRESHOLD for predicted in files]),
        [predicted.mesh for predicted in files],
        [real[place] for place in evenly_spaced(len(real), count=len(files))],
    )


def generate_objects(generator: VoxelGenerator, labels: Sequence[str], *, side: int, seed: int) -> Objects:
    """Generate an object from noise for each label, of that class if the model has classes: voxels above THRESHOLD.

    Probabilities on a finer grid are averaged down to `side`. Raises ValueError if the model was not trained on one of
    the classes.
    """
    classes = labels if generator.shape.classes else [None] * len(labels)
    seeds = range(seed, seed + len(labels))
    drawn = (generator.sample(1, seed=n, label=label) for n, label in zip(seeds, classes, strict=True))
    return torch.cat([coarsen(probabilities, side) > THRESHOLD for probabilities in drawn])


def evaluate_generation(
    generated: GeneratedObjects, packed: PackedDataset, config: EvaluateConfig, *, generator: VoxelGenerator | None
) -> GenerationReport:
    """Score generated objects, and as many training objects as a reference, against the real ones; also by class."""
    train, count = select_objects(packed, "train"), len(generated.real)
    sets = {generated.name: generated.objects, **training_reference(packed, train, count, seed=config.seed)}
    return GenerationReport(
        objects=count,
        threshold=THRESHOLD,
        conventions={**CONVENTIONS, **set_fidelity.CONVENTIONS},
        scores=score_sets(
            generated.objects,
            packed,
            train,
            generated.real,
            name=generated.name,
            seed=config.seed,
            meshes=generated.meshes if config.surfaces else None,
        ),
        fidelity=set_fidelity.measure_fidelity(
            sets,
            load_occupancies(packed, generated.real),
            packed,
            train=train,
            renders=config.renders_per_object,
            seed=config.seed,
        ),
        classes=score_classes(generator, packed, config) if generator and generator.shape.classes else {},
    )


def score_classes(generator: VoxelGenerator, packed: PackedDataset, config: EvaluateConfig) -> Scores:
    """Score generated objects of each class against its real ones, if there are at least MIN_OF_CLASS of these.

    The references are as many training objects of the class, and its mean shape. Scores are means over CLASS_DRAWS
    sets.
    """
    held_out, train = (select_objects(packed, split) for split in (config.split, "train"))
    scores: Scores = {}
    for label in generator.shape.classes:
        real, own = ([n for n in part if packed.objects[n].label == label] for part in (held_out, train))
        if len(real) < MIN_OF_CLASS or not own:
            continue
        truth = load_occupancies(packed, real)
        draws = []
        for draw in range(CLASS_DRAWS):
            seed = config.seed + draw * len(real)
            objects = generate_objects(generator, [label] * len(real), side=packed.side, seed=seed)
            sets = {"": objects, ", training": training_reference(packed, own, len(real), seed=seed)[TRAINING_SET]}
            draws.append(
                {f"{k[4:]}{whose}": v for whose, each in sets.items() for k, v in iou_scores(each, truth).items()}
            )
        scores[label] = {
            "objects": len(real),
            **{name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]},
            "mmd, mean shape": minimum_matching_distance(1 - pairwise_iou(mean_shape(packed, own)[None], truth)),
        }
    return scores


def score_sets(
    generated: Objects,
    packed: PackedDataset,
    train: Sequence[int],
    real: Sequence[int],
    *,
    name: str = "model",
    seed: int,
    meshes: Meshes | None = None,
) -> Scores:
    """Score a set of generated objects, and as many training objects as a reference, against as many real ones.

    Args:
        generated: Voxels of the generated objects.
        packed: The data set.
        train: Indices of the training objects.
        real: Indices of the real objects.
        name: Name of the generated objects in the scores.
        seed: Seed of the choice of training objects and of points on surfaces.
        meshes: If given, surfaces are compared too: these, or those of the voxels where an entry is None.
    """
    truth = load_occupancies(packed, real)
    sets = {name: generated, **training_reference(packed, train, len(real), seed=seed)}
    scores: Scores = {whose: {**voxel_scores(objects, truth)} for whose, objects in sets.items()}
    scores[REAL_SET] = {"distance": mean_pairwise_distance(truth)}
    for whose, objects in {name: generated, REAL_SET: truth}.items():
        scores[whose]["nearest_training"] = float(oracle_iou(packed, train, objects).mean())
    for whose, objects in {**sets, REAL_SET: truth}.items():
        scores[whose] |= class_coverage(objects, packed, train)
    if meshes is not None:
        points = sample_surfaces(truth, seed=seed)
        for whose, objects in sets.items():
            given = meshes if whose == name else ()
            scores[whose] |= surface_scores(sample_surfaces(objects, seed=seed, meshes=given), points)
    return scores


def training_reference(packed: PackedDataset, train: Sequence[int], count: int, *, seed: int) -> dict[str, Objects]:
    """Return `count` random training objects, by their name in the scores."""
    drawn = np.random.default_rng(seed).choice(train, count, replace=len(train) < count).tolist()
    return {TRAINING_SET: load_occupancies(packed, drawn)}


def nearest_training_objects(packed: PackedDataset, train: Sequence[int], objects: Objects) -> list[int]:
    """Return the index of the training object with the highest IoU with each object."""
    chunks = [pairwise_iou(objects, chunk) for _, chunk in iterate_chunks(packed, train)]
    return [train[place] for place in torch.cat(chunks, 1).argmax(1).tolist()]


def class_coverage(objects: Objects, packed: PackedDataset, train: Sequence[int]) -> dict[str, float]:
    """Count the classes of the nearest training objects, and measure their KL from uniform; empty without classes."""
    known = sorted({packed.objects[index].label for index in train} - {""})
    labels = [packed.objects[index].label for index in nearest_training_objects(packed, train, objects)]
    if not known or "" in labels:
        return {}
    modes = count_modes(torch.tensor([known.index(label) for label in labels]), len(known))
    return {"classes_hit": float(modes.hit_count), "classes_kl": modes.kl_from_uniform}


def voxel_scores(generated: Objects, real: Objects) -> dict[str, float]:
    """Compare two sets of objects by their voxels."""
    return {
        **iou_scores(generated, real),
        "jsd": occupancy_divergence(generated, real),
        "distance": mean_pairwise_distance(generated),
        "empty": float((~generated.any(3).any(2).any(1)).double().mean()),
    }


def iou_scores(generated: Objects, real: Objects) -> dict[str, float]:
    """Coverage, minimum matching distance and 1-NN accuracy by 1 - IoU."""
    pairs = (1 - pairwise_iou(a, b) for a, b in ((generated, generated), (generated, real), (real, real)))
    return {f"iou_{name}": score for name, score in set_metrics(*pairs).items()}


def surface_scores(
    generated: Float[Tensor, "generated points 3"], real: Float[Tensor, "real points 3"]
) -> dict[str, float]:
    """Compare two sets of objects by points on their surfaces; equally many objects of either set."""
    count = min(len(generated), len(real))
    if not count:
        return {}
    pairs = (
        pairwise_chamfer(a, b)
        for a, b in ((generated[:count],) * 2, (generated[:count], real[:count]), (real[:count],) * 2)
    )
    return {f"cd_{name}": score for name, score in set_metrics(*pairs).items()}


def sample_surfaces(objects: Objects, *, seed: int, meshes: Meshes = ()) -> Float[Tensor, "surfaces points 3"]:
    """Sample points on the surface of each object that has one: of its mesh if given, else of its voxels."""
    given = [*meshes] or [None] * len(objects)
    surfaces = [mesh or extract_whole_surface(voxels.float()) for voxels, mesh in zip(objects, given, strict=True)]
    found = [metrics.sample_surface(mesh, POINTS, seed=seed).points for mesh in surfaces if mesh]
    return torch.from_numpy(np.stack(found)).float() if found else torch.empty(0, POINTS, 3)
