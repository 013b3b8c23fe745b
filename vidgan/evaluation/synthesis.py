"""Scores of a set of clips generated from noise, next to real ones: variety, motion, classes, memorisation."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from gancore.data import evenly_spaced
from gancore.features.network import FeatureNetwork
from gancore.metrics.distances import count_modes
from gancore.metrics.neighbours import find_nearest, memorised_share
from vidgan import metrics
from vidgan.commands import EvaluateConfig
from vidgan.data.batch import ClipBatch
from vidgan.data.dataset import open_dataset
from vidgan.evaluation.clip_sets import TRAINING_SET, TRUE_SET, ClipSets
from vidgan.evaluation.methods import EvaluationSet, to_cpu_uint8
from vidgan.evaluation.report import ClassReport, Neighbour, NeighbourReport, PredictionReport, SynthesisReport
from vidgan.evaluation.scores import NO_REFERENCE_METRICS, ScoreTable, to_curve
from vidgan.objective import Futures

CLOSEST_PAIRS = 4
"""Generated clips that are reported with their nearest known clip, the closest pairs first."""
SAMPLE_SET = "samples"
"""Name of the set of generated clips."""


@dataclass
class RunningDiversity:
    """Root mean squared difference of two clips of a set that comes batch by batch, on a range of one."""

    count: int = 0
    total: Tensor = field(default_factory=lambda: torch.zeros(()))
    squares: Tensor = field(default_factory=lambda: torch.zeros(()))

    def add(self, clips: metrics.ClipTensor) -> None:
        """Add the clips of a batch, in [-1, 1]."""
        rows = clips.double().cpu() / 2
        self.count += len(rows)
        self.total = self.total + rows.sum(0)
        self.squares = self.squares + (rows**2).sum(0)

    def compute(self) -> float | None:
        """Return the difference; None for fewer than two clips."""
        if self.count < 2:
            return None
        variance = (self.squares - self.total**2 / self.count) / (self.count - 1)
        return float((2 * variance.mean().clamp(min=0)).sqrt())


class SynthesisScorer:
    """Scores clips generated from noise, batch by batch, next to equally many true ones."""

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config
        self.table = ScoreTable()
        self.diversities = {TRUE_SET: RunningDiversity(), SAMPLE_SET: RunningDiversity()}
        self.labels: list[Tensor] = []

    def add(self, batch: ClipBatch, futures_by_method: Mapping[str, Futures]) -> None:
        """Score a batch of true clips, and the generated clip that stands for each."""
        (futures,) = futures_by_method.values()
        for name, clips in {TRUE_SET: batch.frames, SAMPLE_SET: futures[:, 0]}.items():
            scores = {(metric, name): score(clips) for metric, score in NO_REFERENCE_METRICS.items()}
            self.table.add({key: each for key, each in scores.items() if each.shape[1]})
            self.diversities[name].add(clips)
        self.labels.append(batch.labels.cpu())

    def report(self, evaluation_set: EvaluationSet, sets: ClipSets) -> PredictionReport | SynthesisReport:
        """Summarise the scores, and search neighbours by the features of the last network that sees whole clips.

        Neighbours are searched among equally many training clips if these are known, else among the true clips.
        """
        looks = {
            metric: {name: to_curve(mean) for name, mean in self.table.means_by_forecast(metric).items()}
            for metric in NO_REFERENCE_METRICS
        }
        scores = SynthesisReport(
            sharpness=looks["sharpness"],
            motion=looks["motion"],
            diversity={name: diversity.compute() for name, diversity in self.diversities.items()},
        )
        network = next((each for each in reversed(sets.networks) if not each.per_frame), None)
        if network is None or len(evaluation_set) < 2:
            return scores
        training = open_training_set(self.config, evaluation_set)
        labels = self.labels if training is None else _add_training_clips(training, sets, batch=self.config.batch)
        reference = Reference(TRUE_SET if training is None else TRAINING_SET, torch.cat(labels))
        classes = len(evaluation_set.ground_truth.classes)
        return replace(
            scores,
            neighbours=_report_neighbours(sets, network, reference),
            classes=(
                _report_classes(sets, network, reference, torch.cat(self.labels), classes) if classes > 1 else None
            ),
        )


class Reference(NamedTuple):
    """The set of known clips among which neighbours are searched, and the class index of each."""

    name: str
    labels: Int64[Tensor, " clips"]


def open_training_set(config: EvaluateConfig, evaluation_set: EvaluationSet) -> EvaluationSet | None:
    """Open as many training clips as are measured; None if they are not known or are themselves the true clips."""
    if config.ground_truth or config.split == "train":
        return None
    try:
        dataset = open_dataset(config.data, split="train")
    except ValueError:  # all of the source may be held out
        return None
    chosen = tuple(evenly_spaced(len(dataset), count=len(evaluation_set)))
    return replace(evaluation_set, ground_truth=dataset, indices=chosen, methods={}) if len(chosen) > 1 else None


def _add_training_clips(training: EvaluationSet, sets: ClipSets, *, batch: int) -> list[Tensor]:
    """Adds the training clips to a set of their own; returns their labels."""
    labels = []
    for clips, _ in training.iterate_batches(batch):
        sets.add(TRAINING_SET, to_cpu_uint8(clips.frames))
        labels.append(clips.labels.cpu())
    return labels


def _report_neighbours(sets: ClipSets, network: FeatureNetwork, reference: Reference) -> NeighbourReport:
    samples, known = sets.features(network, SAMPLE_SET), sets.features(network, reference.name)
    nearest = find_nearest(samples, known, count=1)
    memorised = {SAMPLE_SET: memorised_share(samples, known)}
    if reference.name != TRUE_SET:
        memorised[TRUE_SET] = memorised_share(sets.features(network, TRUE_SET), known)
    closest = [
        Neighbour(
            sample=sample,
            neighbour=int(nearest.indices[sample, 0]),
            distance=float(nearest.distances[sample, 0]),
        )
        for sample in nearest.distances[:, 0].argsort()[:CLOSEST_PAIRS].tolist()
    ]
    return NeighbourReport(network=network.name, reference=reference.name, memorised_share=memorised, closest=closest)


def _report_classes(
    sets: ClipSets, network: FeatureNetwork, reference: Reference, requested: Int64[Tensor, " clips"], classes: int
) -> ClassReport:
    """The classes that generated clips fall into, each being of the class of its nearest neighbour."""
    known = sets.features(network, reference.name)
    predicted = reference.labels[find_nearest(sets.features(network, SAMPLE_SET), known, count=1).indices[:, 0]]
    place = int(reference.name == TRUE_SET)  # a clip is its own nearest neighbour
    own = reference.labels[find_nearest(sets.features(network, TRUE_SET), known, count=1 + place).indices[:, place]]
    modes = count_modes(predicted, classes)
    return ClassReport(
        network=network.name,
        reference=reference.name,
        classes=classes,
        classes_hit=modes.hit_count,
        hit_share=modes.hit_share,
        kl_from_uniform=modes.kl_from_uniform,
        samples_of_requested_class=_true_fraction(predicted == requested),
        true_clips_of_own_class=_true_fraction(own == requested),
    )


def _true_fraction(which: Tensor) -> float:
    return float(which.double().mean())
