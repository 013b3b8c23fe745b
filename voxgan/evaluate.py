"""How good a model of objects is on those that training never saw, beside rivals that need no model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gancore.atomic import replacing
from gancore.config import to_dict
from gancore.tables import table
from voxgan import generation, surfaces
from voxgan.baselines import DISTANCES, THRESHOLDS, gallery
from voxgan.generator import VoxelGenerator
from voxgan.networks import ImageToVoxels, load
from voxgan.packed import PackedSet, Split, open_packed
from voxgan.reconstruction import Trials, model_iou, retrieval_iou, shape_rivals

FIXED = (0.2, 0.3, 0.4, 0.5)
MOST_VALIDATION = 256
"""Objects by which threshold and distance are chosen, at most."""


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Measure reconstruction from pictures, and generation from noise, against objects that training never saw."""

    model: str
    """Folder of a trained ImageToVoxels or VoxelGenerator (runs/NAME/generator), or the name of one on the Hub."""

    data: str = "furniture"
    """A data set that tools/prepare_shapes.py made; or furniture, the one that comes with the package."""

    split: Split = "test"
    """Which objects."""

    views: tuple[int, ...] = (1, 3, 5)
    """Numbers of pictures to reconstruct from."""

    draws: int = 4
    """Random choices of pictures of each object, over which its scores are averaged."""

    labels: bool = False
    """Tell a model with classes the class of each object to reconstruct."""

    surfaces: bool = False
    """Also compare surfaces (Chamfer, F-score, normals, health) and give average precision; takes far longer."""

    samples: int = 500
    """Objects made from noise, and compared with as many real ones; 0 for none."""

    limit: int = 0
    """Objects measured, evenly spaced over the split; 0 for all."""

    batch: int = 8
    """Objects at a time, which bounds the memory needed; the scores do not depend on it."""

    seed: int = 0
    """Seed of the choice of pictures, of random objects and of noise."""

    out: str = ""
    """JSON file for all numbers and the protocol; empty for none."""

    cpu: bool = False
    """Stay on the CPU even if there is a GPU."""

    def __post_init__(self) -> None:
        if not self.views or min(self.views) < 1:
            raise ValueError(f"views must be one or more numbers from 1 on, got {self.views}")
        for name, least in {"draws": 1, "batch": 1, "samples": 0, "limit": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


@torch.inference_mode()
def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """The report: settings, and scores of reconstruction (of an ImageToVoxels) and of generation with their protocols.

    Raises ValueError if the model or the data cannot be read or do not fit each other.
    """
    packed, model = open_packed(config.data), load(config.model)
    if model.shape.side != packed.side:
        raise ValueError(
            f"{config.data} has objects of {packed.side} voxels a side, and {config.model} makes {model.shape.side}"
        )
    model.to(torch.device("cuda" if torch.cuda.is_available() and not config.cpu else "cpu"))
    report: dict[str, Any] = {"settings": to_dict(config), "side": packed.side}
    if isinstance(model, ImageToVoxels):
        report["reconstruction"] = reconstruction(model, packed, config)
    if config.samples:
        report["generation"] = from_noise(
            model.generator if isinstance(model, ImageToVoxels) else model, packed, config
        )
    return report


def part(packed: PackedSet, split: Split, *, most: int = 0, pictures: bool = False) -> list[int]:
    """The objects of a split that have pictures if need be; at most so many, evenly spaced, unless that is 0.

    Raises ValueError if there are none, except in val.
    """
    indices = [index for index in packed.indices(split) if packed.objects[index].cameras or not pictures]
    if not indices and split != "val":
        raise ValueError(f"{packed.folder} has no objects{' with pictures' * pictures} in its part {split}")
    count = min(most or len(indices), len(indices))
    return [indices[number * len(indices) // count] for number in range(count)]


# ------------------------------------------------------------------------------------------------------ reconstruction

CONVENTIONS = {
    "iou": "Intersection over union of voxels: of each object a mean over the draws, then a mean over objects.",
    "sample_mean, class_mean": "Mean over all objects; mean over classes of the mean over their objects.",
    "chosen": "At the threshold that is best on the validation objects; rivals have voxels that are 0 or 1.",
    "mean shape of its class": "Mean occupancy of the class's training objects, cut where it fits these best.",
    "nearest picture": "The training object with the picture nearest to the one shown; of several, by summed distance.",
    "random object of its class": "A training object of the class.",
    "oracle": "The training object with the highest IoU with the true one: no retrieval does better.",
}


def reconstruction(model: ImageToVoxels, packed: PackedSet, config: EvaluateConfig) -> dict[str, Any]:
    """Scores of the model and its rivals by threshold, class and number of pictures; none chosen on what is scored."""
    trials = Trials(packed, config.views, config.draws, config.seed)
    train = part(packed, "train", pictures=True)
    test = part(packed, config.split, most=config.limit, pictures=True)
    judges: Split = "val" if part(packed, "val", pictures=True) else "train"
    judged = part(packed, judges, most=MOST_VALIDATION, pictures=True)
    first, searched = config.views[0], gallery(packed, train)
    fits = {each: retrieval_iou(trials, judged, searched, distance=each)[first] for each in DISTANCES}
    distance = max(DISTANCES, key=lambda each: float(fits[each].mean()))
    likely = partial(model_iou, model, trials, batch=config.batch, labels=config.labels)
    threshold = THRESHOLDS[int(likely(judged)[first].mean(0).argmax())]
    found = retrieval_iou(trials, test, searched, distance=distance)
    rows = {
        **{f"model, {counted(count)}": row for count, row in likely(test).items()},
        **{f"nearest picture, {counted(count)}": row for count, row in found.items()},
        **shape_rivals(trials, train, test),
    }
    labels = [packed.objects[index].label for index in test]
    result = {
        "objects": len(test),
        "training objects": len(train),
        "chosen on": f"{len(judged)} objects of {judges}, {counted(first)}, by sample mean IoU",
        "threshold": threshold,
        "distance": str(distance),
        "distances": {str(each): float(fit.mean()) for each, fit in fits.items()},
        "conventions": CONVENTIONS,
        "iou": {name: scored(labels, row, threshold) for name, row in rows.items()},
    }
    if config.surfaces:
        result["surfaces"] = surfaces.scores(model, trials, test, threshold=threshold, labels=config.labels)
    return result


def counted(views: int) -> str:
    return f"{views} view" + ("s" if views > 1 else "")


def scored(labels: Sequence[str], scores: Float[Tensor, "objects thresholds"], threshold: float) -> dict[str, Any]:
    """Means over objects and over classes at each threshold, and by class and object at the chosen one."""
    places = {f"{value:g}": THRESHOLDS.index(value) for value in FIXED} if scores.shape[1] > 1 else {}
    chosen = scores[:, THRESHOLDS.index(threshold) if places else 0]
    at = {**{name: scores[:, place] for name, place in places.items()}, "chosen": chosen}
    return {
        "sample_mean": {name: float(values.mean()) for name, values in at.items()},
        "class_mean": {name: mean(list(by_class(labels, values).values())) for name, values in at.items()},
        "classes": by_class(labels, chosen),
        "objects": [round(value, 4) for value in chosen.tolist()],
    }


def by_class(labels: Sequence[str], values: Float[Tensor, " objects"]) -> dict[str, float]:
    """The mean over the objects of each class."""
    return {
        label: mean([value for value, its in zip(values.tolist(), labels, strict=True) if its == label])
        for label in sorted(set(labels))
    }


def mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


# ---------------------------------------------------------------------------------------------------------- generation


def from_noise(generator: VoxelGenerator, packed: PackedSet, config: EvaluateConfig) -> dict[str, Any]:
    """Scores of as many objects from noise as there are real ones, and of training objects in their place."""
    train = part(packed, "train")
    real = part(packed, config.split, most=min(config.limit or config.samples, config.samples))
    scores = generation.compared_sets(generator, packed, train, real, seed=config.seed, surfaces=config.surfaces)
    return {
        "objects": len(real),
        "threshold": generation.THRESHOLD,
        "conventions": generation.CONVENTIONS,
        "scores": scores,
    }


# -------------------------------------------------------------------------------------------------------------- report


def write(report: Mapping[str, Any], path: str | Path) -> None:
    """Writes JSON; an older report stays whole until the new one is."""
    with replacing(Path(path)) as partial:
        partial.write_text(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def summary(report: Mapping[str, Any]) -> str:
    """The protocol in a few lines, then tables of what was measured."""
    settings = report["settings"]
    blocks = [f"{settings['data']}, {settings['split']}, {report['side']}^3 voxels, seed {settings['seed']}"]
    if "reconstruction" in report:
        blocks += reconstruction_tables(report["reconstruction"], draws=settings["draws"])
    if "generation" in report:
        made = report["generation"]
        blocks.append(by_name(f"generation, {made['objects']} objects", made["scores"]))
    return "\n\n".join(blocks)


def reconstruction_tables(found: Mapping[str, Any], *, draws: int) -> list[str]:
    heading = (
        f"reconstruction of {found['objects']} objects, {draws} draws of pictures each; sample means, then class mean "
        f"and classes at the threshold {found['threshold']:g};\n"
        f"that and the distance ({found['distance']}) were chosen on {found['chosen on']}"
    )
    columns = [f"{value:g}" for value in FIXED] + ["chosen"]
    classes = list(next(iter(found["iou"].values()))["classes"])
    rows = {
        name: [
            *(cell(row["sample_mean"].get(column)) for column in columns),
            cell(row["class_mean"]["chosen"]),
            *(cell(row["classes"][label]) for label in classes),
        ]
        for name, row in found["iou"].items()
    }
    names = [*(f"@{column}" for column in columns[:-1]), "chosen", "class mean", *(label or "all" for label in classes)]
    tables = [heading, table("IoU", names, rows)]
    return [*tables, by_name("surfaces", found["surfaces"]["scores"])] if "surfaces" in found else tables


def by_name(title: str, scores: Mapping[str, Mapping[str, float]]) -> str:
    """A table with a row for each score and a column for each of what is scored."""
    names = list(dict.fromkeys(name for column in scores.values() for name in column))
    rows = {name: [f"{column[name]:.3g}" if name in column else "-" for column in scores.values()] for name in names}
    return table(title, list(scores), rows)


def cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
