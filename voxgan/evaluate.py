"""How well objects are reconstructed from pictures, beside what needs no model: the mean shape and retrieval."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import tqdm
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from gancore.atomic import replacing
from gancore.config import to_dict
from gancore.data import mix
from gancore.tables import table
from voxgan import baselines
from voxgan.baselines import DISTANCES, THRESHOLDS, Distance, Gallery, features, occupancies
from voxgan.networks import ImageToVoxels, load
from voxgan.overlap import iou, iou_at
from voxgan.packed import PackedSet, Split, open_packed
from voxgan.pictures import encoded, framed

FIXED = (0.2, 0.3, 0.4, 0.5)
MOST_VALIDATION = 256
"""Objects by which thresholds and distances are chosen, at most."""


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Measure reconstruction from pictures on objects that training never saw."""

    model: str
    """Folder of a trained ImageToVoxels (runs/NAME/generator), or the name of one on the Hub."""

    data: str = "furniture"
    """A data set that tools/prepare_shapes.py made; or furniture, the one that comes with the package."""

    split: Split = "test"
    """Which objects."""

    views: tuple[int, ...] = (1, 3, 5)
    """Numbers of pictures to reconstruct from."""

    draws: int = 4
    """Random choices of pictures of each object, over which its scores are averaged."""

    labels: bool = False
    """Tell a model with classes the class of each object."""

    limit: int = 0
    """Objects measured, evenly spaced over the split; 0 for all."""

    batch: int = 8
    """Objects at a time, which bounds the memory needed; the scores do not depend on it."""

    seed: int = 0
    """Seed of the choice of pictures, and of the random object."""

    out: str = ""
    """JSON file for all numbers and the protocol; empty for none."""

    cpu: bool = False
    """Stay on the CPU even if there is a GPU."""

    def __post_init__(self) -> None:
        if not self.views or min(self.views) < 1:
            raise ValueError(f"views must be one or more numbers from 1 on, got {self.views}")
        for name, least in {"draws": 1, "batch": 1, "limit": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


@torch.inference_mode()
def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """The report: a protocol, and IoU of the model and its rivals by threshold, class and number of pictures.

    Raises ValueError if the model or the data cannot be read or do not fit each other.
    """
    packed, model = open_packed(config.data), load(config.model)
    if not isinstance(model, ImageToVoxels):
        raise ValueError(f"{config.model} makes objects from noise; reconstruction needs an ImageToVoxels")
    if model.shape.side != packed.side:
        raise ValueError(
            f"{config.data} has objects of {packed.side} voxels a side, and {config.model} makes {model.shape.side}"
        )
    model.to(torch.device("cuda" if torch.cuda.is_available() and not config.cpu else "cpu"))
    train, test = with_pictures(packed, "train"), spaced(with_pictures(packed, config.split), config.limit)
    validation = spaced(with_pictures(packed, "val") or train, MOST_VALIDATION)
    searched = baselines.gallery(packed, train)
    distances = {distance: retrieval_score(packed, validation, searched, distance, config) for distance in DISTANCES}
    distance = max(distances, key=distances.__getitem__)
    first = config.views[0]
    threshold = THRESHOLDS[int(model_iou(model, packed, validation, config)[first].mean(0).argmax())]
    rows = {
        **{f"model, {views(count)}": scores for count, scores in model_iou(model, packed, test, config).items()},
        **shape_rivals(packed, train, test, config),
        **{
            f"nearest picture, {views(count)}": scores
            for count, scores in retrieval_iou(packed, test, searched, distance, config).items()
        },
    }
    judges = "val" if packed.indices("val") else "train"
    protocol = {
        "settings": to_dict(config),
        "side": packed.side,
        "objects": len(test),
        "training objects": len(train),
        "chosen on": f"{len(validation)} objects of {judges}, {views(first)}, by sample mean IoU",
        "threshold": threshold,
        "distance": str(distance),
        "distances": {str(each): score for each, score in distances.items()},
        "conventions": CONVENTIONS,
    }
    labels = [packed.objects[index].label for index in test]
    return {"protocol": protocol, "iou": {name: scored(labels, row, threshold) for name, row in rows.items()}}


CONVENTIONS = {
    "iou": "Intersection over union of voxels, of each object a mean over the draws, then over objects.",
    "sample_mean, class_mean": "Mean over all objects; mean over classes of the mean over their objects.",
    "chosen": "The threshold that is best on the validation objects; for rivals, whose voxels are 0 or 1, their only.",
    "mean shape": "Mean occupancy of the class's training objects, cut where it fits these best.",
    "nearest picture": "The training object with the picture nearest to the given one; of several, by summed distance.",
    "oracle": "The training object with the highest IoU with the true one.",
}


def views(count: int) -> str:
    return f"{count} view" + ("s" if count > 1 else "")


def with_pictures(packed: PackedSet, split: Split) -> list[int]:
    """The objects of a split. Raises ValueError if none of them has a picture, except in val."""
    indices = [index for index in packed.indices(split) if packed.objects[index].cameras]
    if not indices and split != "val":
        raise ValueError(f"{packed.folder} has no objects with pictures in its part {split}")
    return indices


def spaced(indices: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly spaced; all for 0."""
    count = min(most or len(indices), len(indices))
    return [indices[number * len(indices) // count] for number in range(count)]


def drawn(packed: PackedSet, index: int, config: EvaluateConfig) -> Int[np.ndarray, "draws views"]:
    """Which pictures of an object are shown, distinct in each draw if there are enough; 3 views include the 1 view."""
    total = len(packed.objects[index].cameras)
    random = np.random.default_rng(mix(config.seed, index))
    rounds = range(-(-config.draws * max(config.views) // total))
    # one permutation after the other, so that single views of all draws are as many different ones as there are
    order = np.concatenate([random.permutation(total) for _ in rounds])[: config.draws * max(config.views)]
    return order.reshape(max(config.views), config.draws).T


def model_iou(
    model: ImageToVoxels, packed: PackedSet, indices: Sequence[int], config: EvaluateConfig
) -> dict[int, Float[Tensor, "objects thresholds"]]:
    """IoU by number of views and threshold, a mean over the draws."""
    device = next(model.parameters()).device
    scores: dict[int, list[Tensor]] = {count: [] for count in config.views}
    for first in tqdm(range(0, len(indices), config.batch), unit="batch", leave=False):
        chunk = indices[first : first + config.batch]
        shown = torch.cat([pictures(packed, index, model, config) for index in chunk]).to(device)
        truth = occupancies(packed, chunk).repeat_interleave(config.draws, 0).to(device)
        labels = known(model, packed, chunk).repeat_interleave(config.draws).to(device) if config.labels else None
        for count in config.views:
            at = iou_at(model(shown[:, :count], labels).sigmoid(), truth, THRESHOLDS)
            scores[count].append(reduce(at, "(o d) t -> o t", "mean", d=config.draws).cpu())
    return {count: torch.cat(parts) for count, parts in scores.items()}


def pictures(
    packed: PackedSet, index: int, model: ImageToVoxels, config: EvaluateConfig
) -> Float[Tensor, "draws views channels height width"]:
    """The drawn pictures of an object as the encoder takes them."""
    encoder, numbers = model.encoder.config, drawn(packed, index, config)
    framed_views = [framed(packed.view(index, int(number)), encoder.size) for number in numbers.ravel()]
    return rearrange(encoded(framed_views, mask=encoder.mask), "(d v) c h w -> d v c h w", d=config.draws)


def known(model: ImageToVoxels, packed: PackedSet, indices: Sequence[int]) -> Int[Tensor, " objects"]:
    """The classes of the objects. Raises ValueError if the model does not know one."""
    return torch.tensor([model.shape.label(packed.objects[index].label) for index in indices])


# -------------------------------------------------------------------------------------------------------------- rivals


def shape_rivals(
    packed: PackedSet, train: Sequence[int], test: Sequence[int], config: EvaluateConfig
) -> dict[str, Float[Tensor, "objects 1"]]:
    """IoU of what is found without pictures."""
    means, random = baselines.mean_shapes(packed, train), np.random.default_rng(config.seed)
    rows: dict[str, list[Tensor]] = {"mean shape of its class": [], "random object of its class": [], "oracle": []}
    for chunk, truth in baselines.in_chunks(packed, test):
        labels = [packed.objects[index].label for index in chunk]
        mates = {label: baselines.classmates(packed, train, label) for label in set(labels)}
        mean = torch.stack([means[label if label in means else ""] for label in labels])
        strangers = [random.choice(mates[label], config.draws) for label in labels]
        rows["mean shape of its class"].append(iou(mean, truth))
        rows["random object of its class"].append(found_iou(packed, np.stack(strangers), truth))
        rows["oracle"].append(baselines.best_possible(packed, train, truth))
    return {name: torch.cat(parts)[:, None] for name, parts in rows.items()}


def retrieval_iou(
    packed: PackedSet, indices: Sequence[int], searched: Gallery, distance: Distance, config: EvaluateConfig
) -> dict[int, Float[Tensor, "objects 1"]]:
    """IoU of the object whose pictures are nearest, by number of views, a mean over the draws."""
    scores: dict[int, list[Tensor]] = {count: [] for count in config.views}
    for first in tqdm(range(0, len(indices), 64), unit="batch", leave=False):
        chunk = indices[first : first + 64]
        queries = np.stack([queried(packed, index, config) for index in chunk])
        found = baselines.nearest(queries, searched, distance=distance, counts=config.views)
        for count, objects in found.items():
            scores[count].append(found_iou(packed, objects, occupancies(packed, chunk)))
    return {count: torch.cat(parts)[:, None] for count, parts in scores.items()}


def retrieval_score(
    packed: PackedSet, indices: Sequence[int], searched: Gallery, distance: Distance, config: EvaluateConfig
) -> float:
    """The mean IoU of retrieval with the first number of views."""
    return float(retrieval_iou(packed, indices, searched, distance, config)[config.views[0]].mean())


def queried(packed: PackedSet, index: int, config: EvaluateConfig) -> UInt8[np.ndarray, "draws views 2 height width"]:
    numbers = drawn(packed, index, config)
    small = np.stack([features(packed.view(index, int(number))) for number in numbers.ravel()])
    return rearrange(small, "(d v) c h w -> d v c h w", d=config.draws)


def found_iou(
    packed: PackedSet, objects: Int[np.ndarray, "objects draws"], truth: Bool[Tensor, "objects x y z"]
) -> Float[Tensor, " objects"]:
    """IoU of objects of the data set with the true ones, a mean over the draws."""
    return torch.stack([iou(occupancies(packed, column), truth) for column in objects.T.tolist()]).mean(0)


# -------------------------------------------------------------------------------------------------------------- report


def scored(labels: Sequence[str], scores: Float[Tensor, "objects thresholds"], threshold: float) -> dict[str, Any]:
    """Means over objects and over classes at each threshold, and by class at the chosen one."""
    places = {f"{value:g}": THRESHOLDS.index(value) for value in FIXED} if scores.shape[1] > 1 else {}
    chosen = scores[:, THRESHOLDS.index(threshold) if places else 0]
    at = {**{name: scores[:, place] for name, place in places.items()}, "chosen": chosen}
    return {
        "sample_mean": {name: float(values.mean()) for name, values in at.items()},
        "class_mean": {name: mean(by_class(labels, values)) for name, values in at.items()},
        "classes": by_class(labels, chosen),
        "objects": [round(value, 4) for value in chosen.tolist()],
    }


def by_class(labels: Sequence[str], values: Float[Tensor, " objects"]) -> dict[str, float]:
    """The mean over the objects of each class."""
    return {
        label: mean([value for value, its in zip(values.tolist(), labels, strict=True) if its == label])
        for label in sorted(set(labels))
    }


def mean(values: Sequence[float] | Mapping[str, float]) -> float:
    numbers = list(values.values() if isinstance(values, Mapping) else values)
    return sum(numbers) / len(numbers)


def write(report: Mapping[str, Any], path: str | Path) -> None:
    """Writes JSON; an older report stays whole until the new one is."""
    with replacing(Path(path)) as partial:
        partial.write_text(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def summary(report: Mapping[str, Any]) -> str:
    """The protocol in a few lines, then a table of IoU with a column for each threshold and each class."""
    about = report["protocol"]
    settings = about["settings"]
    heading = (
        f"{settings['data']}, {settings['split']}: {about['objects']} objects of {about['side']}^3 voxels, "
        f"{settings['draws']} draws of views, seed {settings['seed']}\n"
        f"threshold {about['threshold']:g} and distance ({about['distance']}) chosen on {about['chosen on']}\n"
        f"sample means; class means and classes at the chosen threshold"
    )
    classes = list(next(iter(report["iou"].values()))["classes"])
    fixed = [f"{value:g}" for value in FIXED]
    rows = {}
    for name, row in report["iou"].items():
        means = [row["sample_mean"].get(key) for key in (*fixed, "chosen")]
        cells = [*means, row["class_mean"]["chosen"], *(row["classes"][label] for label in classes)]
        rows[name] = ["-" if cell is None else f"{cell:.3f}" for cell in cells]
    columns = [*(f"@{key}" for key in fixed), "chosen", "class mean", *(label or "all" for label in classes)]
    return f"{heading}\n\n{table('IoU', columns, rows)}"
