"""The report of an evaluation of objects, as stored in report.json."""

from dataclasses import dataclass, field
from typing import Any

from gancore.evaluation.report import SCHEMA, Number
from gancore.evaluation.verdict import Verdict, judge_methods

ORACLE = "oracle"
"""The training object with the highest IoU: a bound rather than a baseline, since it uses the ground truth."""
BASELINES = ("ridge regression", "nearest picture", "mean shape of its class", "random object of its class")
"""Prefixes of the names of the reconstruction baselines."""

Scores = dict[str, dict[str, Number]]
"""Scores by what is scored, then by the name of the score."""


@dataclass(frozen=True, kw_only=True)
class IoUReport:
    """IoU of the reconstructions by one method."""

    sample_mean: dict[str, Number]
    """Mean over all objects, by threshold; "chosen" is the threshold chosen on the validation objects."""
    class_mean: dict[str, Number]
    """Mean over classes of the mean over their objects, by threshold."""
    classes: dict[str, Number]
    """Mean over the objects of each class, at the chosen threshold."""
    objects: list[Number]
    """IoU of each object, at the chosen threshold."""


@dataclass(frozen=True, kw_only=True)
class SurfaceReport:
    """Surfaces of reconstructions compared with the true ones: means over objects, by method."""

    conventions: dict[str, str]
    scores: Scores
    fidelity: dict[str, Scores] = field(default_factory=dict)
    """Distances between the set of reconstructions and that of the true objects, by kind of features and method."""


@dataclass(frozen=True, kw_only=True)
class RidgeChoice:
    """The training set of the ridge regression, and its hyperparameters, which are chosen on the validation objects."""

    features: str
    """Description of the features of a picture."""
    training_objects: int
    training_pictures: int
    penalty: Number
    """The ridge penalty, added to the diagonal of the kernel matrix; the features have a total variance of 1."""
    mirrored: bool
    """Whether predictions are averaged with their left-right mirror images."""
    threshold: Number
    """Predicted value above which a voxel is filled."""
    penalties: dict[str, Number]
    """IoU on the validation objects by penalty, mirrored or not as chosen, each at its best threshold."""


@dataclass(frozen=True, kw_only=True)
class BaselineChoice:
    """The training set of the baselines, and their hyperparameters."""

    training_objects: int
    picture_distance: str | None = None
    """How pictures are compared by the nearest-picture baseline."""
    picture_distances: dict[str, Number] | None = None
    """IoU on the validation objects for each candidate distance."""
    ridge: RidgeChoice | None = None


@dataclass(frozen=True, kw_only=True)
class ReconstructionReport:
    """Objects reconstructed from pictures, or read from another tool's files, against the true ones."""

    objects: int
    names: list[str]
    missing: list[str]
    """Objects without a prediction, which count as empty."""
    threshold: Number
    threshold_chosen_on: str
    baseline_choice: BaselineChoice
    conventions: dict[str, str]
    iou: dict[str, IoUReport]
    """By method, the baselines included."""
    iou_by_threshold: dict[str, dict[str, Number]]
    """Mean over objects, by method and threshold."""
    surfaces: SurfaceReport | None = None

    def verdicts(self) -> list[Verdict]:
        """Compare each method with the best baseline that sees as many pictures or none, without the oracle."""
        scores = {name: row.sample_mean["chosen"] for name, row in self.iou.items()}
        methods = [name for name in scores if name != ORACLE and not name.startswith(BASELINES)]
        found = []
        for method in methods:
            views = method.partition(", ")[2]
            baselines = [
                name
                for name in scores
                if name.startswith(BASELINES) and (name.partition(", ")[2] in ("", views) or not views)
            ]
            found += judge_methods("IoU", scores, methods=[method], baselines=baselines, higher_is_better=True)
        return found


@dataclass(frozen=True, kw_only=True)
class GenerationReport:
    """Objects generated from noise, as a set, against as many real ones and against training objects."""

    objects: int
    threshold: Number
    conventions: dict[str, str]
    scores: Scores
    fidelity: dict[str, Scores]
    """By kind of features."""
    classes: Scores
    """Scores within each class, if the model has classes."""


@dataclass(frozen=True, kw_only=True)
class ProbeReport:
    """Classes of objects predicted from the features of a discriminator by a linear SVM."""

    objects: int
    training_objects: int
    classes: int
    discriminator_trained_on: str
    conventions: dict[str, str]
    scores: Scores


@dataclass(frozen=True, kw_only=True)
class VoxelReport:
    """Everything that an evaluation of objects measured, and what it depends on."""

    schema: int = SCHEMA
    settings: dict[str, Any]
    """The settings of the evaluation."""
    side: int
    """Voxels along each side of an object."""
    reconstruction: ReconstructionReport | None = None
    generation: GenerationReport | None = None
    probe: ProbeReport | None = None
    provenance: dict[str, Any]
    """Versions, device, seed and fingerprint of the data."""
