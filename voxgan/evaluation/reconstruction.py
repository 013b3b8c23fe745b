"""Scores the reconstructions of a method and of the baselines by IoU; nothing is chosen on the scored objects."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from accelerate.utils import tqdm
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gancore.splits import Split
from voxgan.commands import EvaluateConfig
from voxgan.data.packed import PackedDataset
from voxgan.evaluation import baselines, surfaces
from voxgan.evaluation.baselines import (
    PICTURE_DISTANCES,
    THRESHOLDS,
    PictureDistance,
    ViewGallery,
    build_gallery,
    load_occupancies,
)
from voxgan.evaluation.methods import ModelMethod, ReconstructionMethod
from voxgan.evaluation.predictions import THRESHOLD, PredictionFolder
from voxgan.evaluation.report import ORACLE, BaselineChoice, IoUReport, ReconstructionReport
from voxgan.evaluation.ridge import RidgeMethod, fit_ridge
from voxgan.evaluation.selection import MAX_VALIDATION, select_objects
from voxgan.evaluation.set_fidelity import load_image_network
from voxgan.evaluation.views import ViewSelection, format_view_count
from voxgan.metrics.occupancy import iou

FIXED_THRESHOLDS = (0.2, 0.3, 0.4, 0.5)
"""Thresholds at which IoU is reported in addition to the chosen one."""
QUERIES_PER_BATCH = 64
"""Number of objects whose nearest pictures are searched at once."""
CONVENTIONS = {
    "iou": "Intersection over union of voxels: for each object a mean over the draws, then a mean over objects.",
    "sample_mean, class_mean": "Mean over all objects; mean over classes of the mean over their objects.",
    "chosen": "At the threshold that is best on the validation objects; baselines have binary voxels.",
    "mean shape of its class": "Mean occupancy of the class's training objects, cut where it fits these best.",
    "nearest picture": "The training object with the picture nearest to the one shown; of several, by summed distance.",
    "random object of its class": "A training object of the class.",
    "ridge regression": "Linear regression from features of each picture to voxels, fitted to the training objects; a "
    "mean over the pictures shown, filled above a threshold that is its own.",
    "predictions": "The objects of the folder's files, meshes voxelised as the data set's are; one that is missing or "
    "unreadable counts as empty.",
    ORACLE: "The training object with the highest IoU with the true one, which no retrieval can exceed: a bound that "
    "has seen the ground truth.",
}


class Reconstruction(NamedTuple):
    """The report on a method's reconstructions, and the objects and scores from which examples are chosen."""

    report: ReconstructionReport
    indices: list[int]
    """The scored objects."""
    scores: Float[Tensor, " objects"]
    """Their IoU by the method's first variant, at the chosen threshold."""


def evaluate_reconstruction(
    method: ReconstructionMethod, selection: ViewSelection, config: EvaluateConfig
) -> Reconstruction:
    """Score the method and the baselines by threshold and class.

    Raises ValueError if there are no objects to score, or predictions are missing that may not be.
    """
    packed, pictures = selection.packed, isinstance(method, ModelMethod)
    test = select_objects(packed, config.split, count=config.max_items, pictures=pictures)
    missing = method.check_missing(test) if isinstance(method, PredictionFolder) else []
    threshold, chosen_on = choose_threshold(method, packed, pictures=pictures)
    by_variant = method.iou(test)
    choice, by_baseline, ridge = score_baselines(selection, test, pictures=pictures)
    compared = [(method, threshold), *([(ridge, float(choice.ridge.threshold))] if ridge and choice.ridge else [])]
    labels = [packed.objects[index].label for index in test]
    report = ReconstructionReport(
        objects=len(test),
        names=[packed.objects[index].id for index in test],
        missing=missing,
        threshold=threshold,
        threshold_chosen_on=chosen_on,
        baseline_choice=choice,
        conventions=CONVENTIONS,
        iou={name: summarise_iou(labels, row, threshold) for name, row in {**by_variant, **by_baseline}.items()},
        iou_by_threshold={name: mean_by_threshold(row) for name, row in by_variant.items()},
        surfaces=(
            surfaces.score_surfaces(compared, packed, test, renders=config.renders_per_object, seed=config.seed)
            if config.surfaces
            else None
        ),
    )
    return Reconstruction(report, test, next(iter(by_variant.values()))[:, THRESHOLDS.index(threshold)])


def choose_threshold(method: ReconstructionMethod, packed: PackedDataset, *, pictures: bool) -> tuple[float, str]:
    """Choose the threshold with the best mean IoU on validation objects, or on training objects if there are none.

    Returns the threshold, and a description of the objects that it was chosen on.
    """
    split: Split = "val" if select_objects(packed, "val", pictures=pictures) else "train"
    chosen = select_objects(packed, split, count=MAX_VALIDATION, pictures=pictures)
    if isinstance(method, PredictionFolder) and not (split == "val" and method.covers(chosen)):
        return THRESHOLD, "nothing: the validation objects were not all predicted"
    name, scores = next(iter(method.iou(chosen).items()))
    threshold = THRESHOLDS[int(scores.mean(0).argmax())]
    return threshold, f"{len(chosen)} objects of {split}, {name.removeprefix(f'{method.name}, ')}, by sample mean IoU"


def mean_by_threshold(scores: Float[Tensor, "objects thresholds"]) -> dict[str, float | int]:
    """Return the mean over objects at each of THRESHOLDS."""
    return dict(zip((f"{value:g}" for value in THRESHOLDS), scores.mean(0).tolist(), strict=True))


def summarise_iou(labels: Sequence[str], scores: Float[Tensor, "objects thresholds"], threshold: float) -> IoUReport:
    """Summarise IoU over objects and classes at each threshold, and by class and object at the chosen one.

    Args:
        labels: The class of each object.
        scores: At each of THRESHOLDS, or in a single column for binary voxels.
        threshold: The chosen one.
    """
    places = {f"{value:g}": THRESHOLDS.index(value) for value in FIXED_THRESHOLDS} if scores.shape[1] > 1 else {}
    chosen = scores[:, THRESHOLDS.index(threshold) if places else 0]
    at = {**{name: scores[:, place] for name, place in places.items()}, "chosen": chosen}
    return IoUReport(
        sample_mean={name: float(values.mean()) for name, values in at.items()},
        class_mean={name: mean(list(mean_by_class(labels, values).values())) for name, values in at.items()},
        classes=mean_by_class(labels, chosen),
        objects=[round(value, 4) for value in chosen.tolist()],
    )


def mean_by_class(labels: Sequence[str], values: Float[Tensor, " objects"]) -> dict[str, float | int]:
    """Return the mean over the objects of each class."""
    return {
        label: mean([value for value, own in zip(values.tolist(), labels, strict=True) if own == label])
        for label in sorted(set(labels))
    }


def mean(numbers: Sequence[float | int]) -> float:
    """Return the arithmetic mean."""
    return sum(numbers) / len(numbers)


# ------------------------------------------------------------------------------------------------------------ baselines


class BaselineScores(NamedTuple):
    """The baselines' choices and scores."""

    choice: BaselineChoice
    iou: dict[str, Float[Tensor, "objects 1"]]
    ridge: RidgeMethod | None = None


def score_baselines(selection: ViewSelection, test: Sequence[int], *, pictures: bool) -> BaselineScores:
    """Compute the IoU of the baselines and the oracle, after choosing their hyperparameters on validation objects.

    Args:
        selection: The pictures shown.
        test: The objects to score.
        pictures: Whether only training objects with pictures are used.
    """
    packed = selection.packed
    if not packed.indices("train"):
        return BaselineScores(BaselineChoice(training_objects=0), {})
    train = select_objects(packed, "train", pictures=pictures)
    rows = shape_baselines(selection, train, test)
    with_pictures = [index for index in train if packed.objects[index].cameras]
    if not with_pictures or not all(packed.objects[index].cameras for index in test):
        return BaselineScores(BaselineChoice(training_objects=len(train)), rows)
    split: Split = "val" if select_objects(packed, "val", pictures=True) else "train"
    chosen = select_objects(packed, split, count=MAX_VALIDATION, pictures=True)
    first, gallery = selection.views[0], build_gallery(packed, train)
    fits = {each: retrieval_iou(selection, chosen, gallery, distance=each)[first] for each in PICTURE_DISTANCES}
    distance = max(PICTURE_DISTANCES, key=lambda each: float(fits[each].mean()))
    found = retrieval_iou(selection, test, gallery, distance=distance)
    val = chosen if split == "val" else []
    ridge, ridge_choice = fit_ridge(selection, with_pictures, val, network=load_image_network())
    place = THRESHOLDS.index(float(ridge_choice.threshold))
    choice = BaselineChoice(
        training_objects=len(train),
        picture_distance=str(distance),
        picture_distances={str(each): float(fit.mean()) for each, fit in fits.items()},
        ridge=ridge_choice,
    )
    by_ridge = {name: scores[:, place, None] for name, scores in ridge.iou(test).items()}
    by_picture = {f"nearest picture, {format_view_count(count)}": row for count, row in found.items()}
    return BaselineScores(choice, {**by_ridge, **by_picture, **rows}, ridge)


def shape_baselines(
    selection: ViewSelection, train: Sequence[int], test: Sequence[int]
) -> dict[str, Float[Tensor, "objects 1"]]:
    """Compute the IoU of the baselines that use no pictures, and of the oracle."""
    packed = selection.packed
    means, random = baselines.mean_shapes(packed, train), np.random.default_rng(selection.seed)
    rows: dict[str, list[Tensor]] = {"mean shape of its class": [], "random object of its class": [], ORACLE: []}
    for chunk, truth in baselines.iterate_chunks(packed, test):
        labels = [packed.objects[index].label for index in chunk]
        same_class = {label: baselines.same_class(packed, train, label) for label in set(labels)}
        shapes = torch.stack([means[label if label in means else ""] for label in labels])
        drawn = [random.choice(same_class[label], selection.view_draws) for label in labels]
        rows["mean shape of its class"].append(iou(shapes, truth))
        rows["random object of its class"].append(mean_draw_iou(packed, np.stack(drawn), truth))
        rows[ORACLE].append(baselines.oracle_iou(packed, train, truth))
    return {name: torch.cat(parts)[:, None] for name, parts in rows.items()}


def retrieval_iou(
    selection: ViewSelection, indices: Sequence[int], gallery: ViewGallery, *, distance: PictureDistance
) -> dict[int, Float[Tensor, "objects 1"]]:
    """Compute the IoU of the training object with the nearest pictures, by number of views, averaged over the draws."""
    scores: dict[int, list[Tensor]] = {count: [] for count in selection.views}
    for first in tqdm(range(0, len(indices), QUERIES_PER_BATCH), unit="batch", leave=False):
        chunk = indices[first : first + QUERIES_PER_BATCH]
        queries = np.stack([selection.query_features(index) for index in chunk])
        found = baselines.nearest_objects(queries, gallery, distance=distance, counts=selection.views)
        for count, objects in found.items():
            scores[count].append(mean_draw_iou(selection.packed, objects, load_occupancies(selection.packed, chunk)))
    return {count: torch.cat(parts)[:, None] for count, parts in scores.items()}


def mean_draw_iou(
    packed: PackedDataset, objects: Int[np.ndarray, "objects draws"], truth: Bool[Tensor, "objects x y z"]
) -> Float[Tensor, " objects"]:
    """Compute the IoU of objects of the data set with the true ones, averaged over the draws."""
    return torch.stack([iou(load_occupancies(packed, column), truth) for column in objects.T.tolist()]).mean(0)
