"""How good a model of objects, or a folder of another tool's, is on objects that training never saw, beside rivals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gancore.parsing import to_dict
from gancore.reporting.page import Media
from gancore.reporting.preference import PreferencePair
from gancore.reporting.provenance import DataFingerprint, collect_provenance
from gancore.splits import Split
from voxgan.data.packed import PackedDataset, open_packed_dataset
from voxgan.evaluation import examples as cases
from voxgan.evaluation import generation, probe, surfaces
from voxgan.evaluation import set_fidelity as likeness
from voxgan.evaluation.baselines import PICTURE_DISTANCES, THRESHOLDS, build_gallery, load_occupancies
from voxgan.evaluation.predictions import THRESHOLD, CoordinateFrame, PredictionFolder, match_predictions, read_unpaired
from voxgan.evaluation.reconstruction import (
    Method,
    ModelMethod,
    ViewSelection,
    format_view_count,
    retrieval_iou,
    shape_baselines,
)
from voxgan.mesh.axes import Axis
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels, load_model

FIXED_THRESHOLDS = (0.2, 0.3, 0.4, 0.5)
MAX_VALIDATION = 256
"""Objects by which threshold and distance are chosen, at most."""


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Measure reconstruction from pictures, and generation from noise, against objects that training never saw."""

    model: str = ""
    """Folder of a trained ImageToVoxels or VoxelGenerator (runs/NAME/generator), or the name of one on the Hub."""

    predictions: str = ""
    """Instead of a model a folder of another tool's meshes or voxels, each named like its object of the data set."""

    unpaired: bool = False
    """The predictions are new objects and not reconstructions; their names mean nothing."""

    up: Axis = "y"
    """Axis of the predictions that points up."""

    front: Axis | None = None
    """Axis of the predictions that their front looks along; z, or what the shortest turn upright makes z, if null."""

    normalise: Literal["as_is", "box"] = "as_is"
    """Predicted meshes as they are in the unit cube around the origin; or centred, their longest side scaled to 1."""

    on_missing: Literal["stop", "empty"] = "stop"
    """What to do without a readable prediction of an object: stop, or score it as if nothing had been made."""

    data: str = "furniture"
    """A data set that tools/prepare_shapes.py made; or furniture, the one that comes with the package."""

    split: Split = "test"
    """Which objects."""

    classes: tuple[str, ...] = ()
    """Only objects of these classes, of the training objects too; all if there are none."""

    views: tuple[int, ...] = (1, 3, 5)
    """Numbers of pictures to reconstruct from."""

    view_draws: int = 4
    """Random choices of pictures of each object, over which its scores are averaged."""

    class_conditional: bool = False
    """Tell a model with classes the class of each object to reconstruct."""

    surfaces: bool = False
    """Also compare surfaces (Chamfer, F-score, normals, health) and give average precision; takes far longer."""

    samples: int = 500
    """Objects made from noise, and compared with as many real ones; 0 for none."""

    renders_per_object: int = 2
    """Renders of each object by which an image network compares made and real ones; 0 for none."""

    probe_run: str = ""
    """Folder of a run (runs/NAME) whose discriminator's features are classified by a linear SVM; empty for none."""

    max_objects: int = 0
    """Objects measured, evenly spaced over the split; 0 for all."""

    batch: int = 8
    """Objects at a time, which bounds the memory needed; the scores do not depend on it."""

    seed: int = 0
    """Seed of the choice of pictures, of random objects and of noise."""

    out: str = ""
    """Folder for report.json, all numbers and the protocol, and report.html, a page to look at; empty for none."""

    rating_page: str = ""
    """HTML page of blind pairs, a real and a made object, for people to choose between; empty for none."""

    baseline_model: str = ""
    """Another model, whose objects that page shows in place of the real ones."""

    cpu: bool = False
    """Stay on the CPU even if there is a GPU."""

    def __post_init__(self) -> None:
        if bool(self.model) == bool(self.predictions):
            raise ValueError("give either a model or a folder of predictions to measure")
        if self.unpaired and not (self.predictions and self.samples):
            raise ValueError("unpaired is for predictions, and needs samples above 0")
        if not self.views or min(self.views) < 1:
            raise ValueError(f"views must be one or more numbers from 1 on, got {self.views}")
        for name, least in {"draws": 1, "batch": 1, "samples": 0, "renders": 0, "limit": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.baseline_model and not (self.rating_page and self.model):
            raise ValueError("rival is another model for the page of rate, beside a model")
        if self.rating_page and Path(self.rating_page).suffix != ".html":
            raise ValueError(f"rate is the name of a page, such as rate.html, got {self.rating_page}")


class EvaluationResult(NamedTuple):
    """What was measured, and what can be looked at."""

    report: dict[str, Any]
    """Numbers with their protocol; plain JSON."""
    galleries: dict[str, list[Media]]
    """Animations by title; none unless there is a page to show them."""
    pairs: list[PreferencePair]
    """For people to choose between; none unless there is a page for that."""


@torch.inference_mode()
def evaluate(config: EvaluateConfig) -> EvaluationResult:
    """Settings and scores: of reconstruction, of generation and of the discriminator, each with its protocol.

    Raises ValueError if the model, the predictions or the data cannot be read or do not fit each other.
    """
    packed = open_dataset(config)
    model = load_matching_model(config, packed) if config.model else None
    done = EvaluationResult({"settings": to_dict(config), "side": packed.side}, {}, [])
    if config.probe_run:  # first, as a folder that is no run is better known now than after minutes of work
        parts = {"train": select_objects(packed, "train"), "val": select_objects(packed, "val", most=MAX_VALIDATION)}
        test = select_objects(packed, config.split, most=config.max_objects)
        done.report["probe"] = probe.probe_discriminator(config.probe_run, packed, **parts, test=test, seed=config.seed)
    if candidate := build_method(config, packed, model):
        evaluate_reconstruction(
            candidate, ViewSelection(packed, config.views, config.view_draws, config.seed), config, done
        )
    if config.samples and (model or config.unpaired):
        evaluate_generation(model.generator if isinstance(model, ImageToVoxels) else model, packed, config, done)
    if config.baseline_model:
        done.pairs[:] = pair_with_baseline(done.pairs, config)
    device = next(model.parameters()).device if model else "cpu"
    done.report["provenance"] = collect_provenance(
        seed=config.seed, data=fingerprint_data(packed, config), device=device
    )
    return done


def pair_with_baseline(pairs: Sequence[PreferencePair], config: EvaluateConfig) -> list[PreferencePair]:
    """The pairs, with what the rival made of the same pictures or noise in place of the real objects."""
    shown = replace(
        config,
        model=config.baseline_model,
        baseline_model="",
        out="",
        probe_run="",
        surfaces=False,
        renders_per_object=0,
    )
    theirs = evaluate(shown).pairs
    if [pair.name for pair in pairs] != [pair.name for pair in theirs]:
        raise ValueError(f"{config.model} and {config.baseline_model} do not make objects of the same things")
    return [PreferencePair(ours.name, ours.a, other.a) for ours, other in zip(pairs, theirs, strict=True)]


class ClassSubset(PackedDataset):
    """A data set of which only some classes are looked at. Raises ValueError if it has no such class."""

    def __init__(self, folder: Path, wanted: tuple[str, ...]):
        super().__init__(folder)
        if unknown := set(wanted) - set(self.classes):
            known = ", ".join(self.classes) or "none"
            raise ValueError(f"classes: {folder} has no {', '.join(sorted(unknown))}; there are {known}")
        self.selected_classes = wanted

    def indices(self, split: Split) -> list[int]:
        return [index for index in super().indices(split) if self.objects[index].label in self.selected_classes]


def open_dataset(config: EvaluateConfig) -> PackedDataset:
    """The data set, or its classes that are asked for."""
    packed = open_packed_dataset(config.data)
    return ClassSubset(packed.folder, config.classes) if config.classes else packed


def load_matching_model(config: EvaluateConfig, packed: PackedDataset) -> ImageToVoxels | VoxelGenerator:
    """The model, where it is to work. Raises ValueError if its objects are of another size."""
    model = load_model(config.model)
    if model.shape.side != packed.side:
        raise ValueError(
            f"{config.data} has objects of {packed.side} voxels a side, and {config.model} makes {model.shape.side}"
        )
    return model.to(torch.device("cuda" if torch.cuda.is_available() and not config.cpu else "cpu"))


def build_method(
    config: EvaluateConfig, packed: PackedDataset, model: ImageToVoxels | VoxelGenerator | None
) -> Method | None:
    """Who reconstructs objects, if anybody does."""
    if isinstance(model, ImageToVoxels):
        trials = ViewSelection(packed, config.views, config.view_draws, config.seed)
        return ModelMethod(
            model=model, selection=trials, batch=config.batch, class_conditional=config.class_conditional
        )
    if config.predictions and not config.unpaired:
        return match_predictions(config.predictions, packed, frame=coordinate_frame(config), missing=config.on_missing)
    return None


def coordinate_frame(config: EvaluateConfig) -> CoordinateFrame:
    return CoordinateFrame(up=config.up, front=config.front, normalise=config.normalise)


def fingerprint_data(packed: PackedDataset, config: EvaluateConfig) -> str:
    """What was measured on, by its content."""
    fingerprint = DataFingerprint()
    for index in select_objects(packed, config.split, most=config.max_objects):
        fingerprint.add(packed.occupancy(index)[None])
    return f"voxels of {fingerprint.count} objects of {config.split}, sha256 {fingerprint.hexdigest()}"


def select_objects(packed: PackedDataset, split: Split, *, most: int = 0, pictures: bool = False) -> list[int]:
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
    "predictions": "The objects of the folder's files, meshes voxelised as the data set's are; one that is missing or "
    "unreadable counts as empty.",
    "oracle": "The training object with the highest IoU with the true one: no retrieval does better.",
}


def evaluate_reconstruction(
    candidate: Method, trials: ViewSelection, config: EvaluateConfig, done: EvaluationResult
) -> None:
    """Adds scores of the candidate and its rivals by threshold and class; none chosen on what is scored."""
    packed, pictures = trials.packed, isinstance(candidate, ModelMethod)
    test = select_objects(packed, config.split, most=config.max_objects, pictures=pictures)
    lacking = candidate.check_missing(test) if isinstance(candidate, PredictionFolder) else []
    threshold, chosen = choose_threshold(candidate, packed, pictures=pictures)
    ours = candidate.iou(test)
    said, rivals = score_baselines(trials, test, pictures=pictures)
    labels = [packed.objects[index].label for index in test]
    done.report["reconstruction"] = found = {
        "objects": len(test),
        "names": [packed.objects[index].id for index in test],
        "missing": lacking,
        "chosen on": chosen,
        "threshold": threshold,
        **said,
        "conventions": CONVENTIONS,
        "iou": {name: summarise_scores(labels, row, threshold) for name, row in {**ours, **rivals}.items()},
        "by threshold": {name: mean_by_threshold(row) for name, row in ours.items()},
    }
    if config.surfaces:
        found["surfaces"] = surfaces.score_surfaces(candidate, packed, test, threshold=threshold)
    scores = next(iter(ours.values()))[:, THRESHOLDS.index(threshold)]
    if config.out:
        done.galleries.update(cases.reconstruction_media(candidate, trials, test, scores, threshold=threshold))
    if config.rating_page:
        done.pairs.extend(
            cases.build_reconstruction_pairs(candidate, packed, test, name=method_name(config), threshold=threshold)
        )


def mean_by_threshold(scores: Float[Tensor, "objects thresholds"]) -> dict[str, float]:
    """The mean over objects at each threshold."""
    return dict(zip((f"{value:g}" for value in THRESHOLDS), scores.mean(0).tolist(), strict=True))


def method_name(config: EvaluateConfig) -> str:
    """What the made objects are called."""
    return config.model or config.predictions


def choose_threshold(candidate: Method, packed: PackedDataset, *, pictures: bool) -> tuple[float, str]:
    """The threshold at which most objects overlap best that are not scored, and which ones those were."""
    judges: Split = "val" if select_objects(packed, "val", pictures=pictures) else "train"
    judged = select_objects(packed, judges, most=MAX_VALIDATION, pictures=pictures)
    if isinstance(candidate, PredictionFolder) and not (judges == "val" and candidate.covers(judged)):
        return THRESHOLD, "nothing: the validation objects were not all predicted"
    name, scores = next(iter(candidate.iou(judged).items()))
    threshold = THRESHOLDS[int(scores.mean(0).argmax())]
    return threshold, f"{len(judged)} objects of {judges}, {name.removeprefix('model, ')}, by sample mean IoU"


def score_baselines(
    trials: ViewSelection, test: Sequence[int], *, pictures: bool
) -> tuple[dict[str, Any], dict[str, Float[Tensor, "objects 1"]]]:
    """IoU of what needs no model, and by which distance pictures were looked up."""
    packed = trials.packed
    if not packed.indices("train"):
        return {"training objects": 0}, {}
    train = select_objects(packed, "train", pictures=pictures)
    rows = shape_baselines(trials, train, test)
    said: dict[str, Any] = {"training objects": len(train)}
    seen = [index for index in train if packed.objects[index].cameras]
    if not seen or not all(packed.objects[index].cameras for index in test):
        return said, rows
    judged = select_objects(
        packed, "val" if select_objects(packed, "val", pictures=True) else "train", most=MAX_VALIDATION, pictures=True
    )
    first, searched = trials.views[0], build_gallery(packed, train)
    look = partial(retrieval_iou, trials, searched=searched)
    fits = {each: look(judged, distance=each)[first] for each in PICTURE_DISTANCES}
    distance = max(PICTURE_DISTANCES, key=lambda each: float(fits[each].mean()))
    said |= {"distance": str(distance), "distances": {str(each): float(fit.mean()) for each, fit in fits.items()}}
    found = look(test, distance=distance)
    return said, {**{f"nearest picture, {format_view_count(count)}": row for count, row in found.items()}, **rows}


def summarise_scores(
    labels: Sequence[str], scores: Float[Tensor, "objects thresholds"], threshold: float
) -> dict[str, Any]:
    """Means over objects and over classes at each threshold, and by class and object at the chosen one."""
    places = {f"{value:g}": THRESHOLDS.index(value) for value in FIXED_THRESHOLDS} if scores.shape[1] > 1 else {}
    chosen = scores[:, THRESHOLDS.index(threshold) if places else 0]
    at = {**{name: scores[:, place] for name, place in places.items()}, "chosen": chosen}
    return {
        "sample_mean": {name: float(values.mean()) for name, values in at.items()},
        "class_mean": {name: mean(list(mean_by_class(labels, values).values())) for name, values in at.items()},
        "classes": mean_by_class(labels, chosen),
        "objects": [round(value, 4) for value in chosen.tolist()],
    }


def mean_by_class(labels: Sequence[str], values: Float[Tensor, " objects"]) -> dict[str, float]:
    """The mean over the objects of each class."""
    return {
        label: mean([value for value, its in zip(values.tolist(), labels, strict=True) if its == label])
        for label in sorted(set(labels))
    }


def mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


# ---------------------------------------------------------------------------------------------------------- generation


def evaluate_generation(
    generator: VoxelGenerator | None, packed: PackedDataset, config: EvaluateConfig, done: EvaluationResult
) -> None:
    """Adds scores of as many objects from noise, or of a folder, as there are real ones, and of training objects."""
    train = select_objects(packed, "train")
    real = select_objects(packed, config.split, most=min(config.max_objects or config.samples, config.samples))
    meshes: cases.Meshes = [None] * len(real)
    if generator:
        objects = generation.generate_objects(
            generator, [packed.objects[index].label for index in real], seed=config.seed
        )
    else:
        files = read_unpaired(config.predictions, packed.side, frame=coordinate_frame(config), most=len(real))
        real = [real[place] for place in cases.evenly_spaced(len(real), len(files))]
        objects = torch.stack([made.probabilities > generation.THRESHOLD for made in files])
        meshes = [made.mesh for made in files]
    name = "model" if generator else "predictions"
    compared = meshes if config.surfaces else None
    scores = generation.score_sets(objects, packed, train, real, name=name, seed=config.seed, meshes=compared)
    sets = {name: objects, **generation.training_reference(packed, train, len(real), seed=config.seed)}
    alike = likeness.measure_fidelity(
        sets, load_occupancies(packed, real), packed, train=train, renders=config.renders_per_object, seed=config.seed
    )
    done.report["generation"] = {
        "objects": len(real),
        "threshold": generation.THRESHOLD,
        "conventions": {**generation.CONVENTIONS, **likeness.CONVENTIONS},
        "scores": scores,
        "fidelity": alike,
    }
    if config.out:
        title = "Made objects beside the training objects most like them"
        done.galleries[title] = cases.nearest_training_media(objects, meshes, packed, train=train)
    if config.rating_page and not done.pairs:
        done.pairs.extend(cases.build_generation_pairs(objects, meshes, packed, real, name=method_name(config)))
