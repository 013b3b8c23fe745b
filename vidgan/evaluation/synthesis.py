"""How clips made from noise compare with true ones, as sets: variety, movement, classes, and what was memorised."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from gancore.features.network import FeatureNetwork
from gancore.metrics.distances import count_modes
from gancore.metrics.neighbours import find_nearest, memorised_share
from vidgan import metrics
from vidgan.data.dataset import ClipBatch, open_dataset
from vidgan.evaluation.clip_sets import TRAINING_SET, ClipSets
from vidgan.evaluation.config import EvaluateConfig
from vidgan.evaluation.methods import EvaluationSet, spaced_indices, to_cpu_uint8
from vidgan.evaluation.scores import NO_REFERENCE_METRICS, RunningMeans, to_json_list
from vidgan.objective import Futures

CLOSEST_PAIRS = 4
"""Made clips that are named with the true clip that each resembles most, those nearest to one first."""


@dataclass
class RunningDiversity:
    """Root mean squared difference of two clips of a set that comes batch by batch, on a range of one."""

    count: int = 0
    total: Tensor = field(default_factory=lambda: torch.zeros(()))
    squares: Tensor = field(default_factory=lambda: torch.zeros(()))

    def add(self, clips: metrics.ClipTensor) -> None:
        """Takes in the clips of a batch."""
        rows = clips.double().cpu() / 2
        self.count += len(rows)
        self.total = self.total + rows.sum(0)
        self.squares = self.squares + (rows**2).sum(0)

    def compute(self) -> float | None:
        """Nothing for fewer than two clips."""
        if self.count < 2:
            return None
        variance = (self.squares - self.total**2 / self.count) / (self.count - 1)
        return float((2 * variance.mean().clamp(min=0)).sqrt())


class SynthesisScores:
    """What there is to say of clips made from noise beside as many true ones."""

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config
        self.running_means = RunningMeans()
        self.diversities = {"true": RunningDiversity(), "samples": RunningDiversity()}
        self.labels: list[Tensor] = []

    def add(self, batch: ClipBatch, made: Mapping[str, Futures]) -> None:
        """Takes in true clips, and a made one for each."""
        (futures,) = made.values()
        for name, clips in {"true": batch.frames, "samples": futures[:, 0]}.items():
            looks = {"sharpness": metrics.sharpness(clips), "motion": metrics.motion(clips)}
            self.running_means.add({f"{look}/{name}": scores for look, scores in looks.items() if scores.shape[1]})
            self.diversities[name].add(clips)
        self.labels.append(batch.labels.cpu())

    def report(self, trials: EvaluationSet, sets: ClipSets) -> dict[str, Any]:
        """Looks by frame, differences between clips, and by features of the best network at hand their neighbours.

        Neighbours are sought among as many training clips where they are known, among the true ones elsewhere.
        """
        found: dict[str, Any] = {
            look: {name: to_json_list(curve) for name, curve in self.running_means.means_by_forecast(look).items()}
            for look in NO_REFERENCE_METRICS
        }
        found["diversity"] = {name: spread.compute() for name, spread in self.diversities.items()}
        network = next((each for each in reversed(sets.networks) if not each.per_frame), None)
        if network is None or len(trials) < 2:
            return found
        reference = open_training_set(self.config, trials)
        labels = self.labels if reference is None else _add_training_clips(reference, sets, batch=self.config.batch)
        known = Reference("true" if reference is None else TRAINING_SET, torch.cat(labels))
        found["neighbours"] = _report_neighbours(sets, network, known)
        if len(trials.ground_truth.classes) > 1:
            found["classes"] = _report_classes(
                sets, network, known, torch.cat(self.labels), len(trials.ground_truth.classes)
            )
        return found


class Reference(NamedTuple):
    """A set of true clips among which neighbours are sought, and the class of each."""

    name: str
    labels: Int64[Tensor, " clips"]


def open_training_set(config: EvaluateConfig, evaluation_set: EvaluationSet) -> EvaluationSet | None:
    """As many clips that the model was trained on as are measured; nothing where they are not known."""
    if config.ground_truth or config.split == "train":
        return None
    try:
        dataset = open_dataset(config.data, train=True)
    except ValueError:  # all of the source may be held out
        return None
    chosen = spaced_indices(len(dataset), len(evaluation_set))
    return replace(evaluation_set, ground_truth=dataset, indices=chosen, methods={}) if len(chosen) > 1 else None


def _add_training_clips(reference: EvaluationSet, sets: ClipSets, *, batch: int) -> list[Tensor]:
    """The labels of the training clips, whose features are a set from now on."""
    labels = []
    for clips, _ in reference.iterate_batches(batch):
        sets.add(TRAINING_SET, to_cpu_uint8(clips.frames))
        labels.append(clips.labels.cpu())
    return labels


def _report_neighbours(sets: ClipSets, network: FeatureNetwork, known: Reference) -> dict[str, Any]:
    made, rows = sets.features(network, "samples"), sets.features(network, known.name)
    found = find_nearest(made, rows, count=1)
    memorised = {"samples": memorised_share(made, rows)}
    if known.name != "true":
        memorised["true"] = memorised_share(sets.features(network, "true"), rows)
    closest = [
        {"sample": sample, "neighbour": int(found.indices[sample, 0]), "distance": float(found.distances[sample, 0])}
        for sample in found.distances[:, 0].argsort()[:CLOSEST_PAIRS].tolist()
    ]
    return {"network": network.name, "among": known.name, "memorised_share": memorised, "closest": closest}


def _report_classes(
    sets: ClipSets, network: FeatureNetwork, known: Reference, wanted: Int64[Tensor, " clips"], classes: int
) -> dict[str, Any]:
    """The classes that made clips fall into, each being of the class of its nearest neighbour."""
    rows = sets.features(network, known.name)
    predicted = known.labels[find_nearest(sets.features(network, "samples"), rows, count=1).indices[:, 0]]
    place = int(known.name == "true")  # a clip is its own nearest neighbour
    own = known.labels[find_nearest(sets.features(network, "true"), rows, count=1 + place).indices[:, place]]
    modes = count_modes(predicted, classes)
    return {
        "network": network.name,
        "among": known.name,
        "classes_there_are": classes,
        "hit": modes.hit_count,
        "share": modes.hit_share,
        "kl_from_uniform": modes.kl_from_uniform,
        "samples_of_the_class_asked_for": _true_fraction(predicted == wanted),
        "true_clips_of_their_class": _true_fraction(own == wanted),
    }


def _true_fraction(which: Tensor) -> float:
    return float(which.double().mean())
