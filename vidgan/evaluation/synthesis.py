"""How clips made from noise compare with true ones, as sets: variety, movement, classes, and what was memorised."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from gancore.features.network import FeatureNetwork
from gancore.metrics.distances import memorised_share, modes_hit, nearest
from vidgan import metrics
from vidgan.data.dataset import Clips, open_dataset
from vidgan.evaluation.clip_sets import TRAINING, ClipSets
from vidgan.evaluation.config import EvaluateConfig
from vidgan.evaluation.methods import Trials, evenly, pixels
from vidgan.evaluation.scores import LOOKS, Totals, plain
from vidgan.objective import Futures

CLOSEST = 4
"""Made clips that are named with the true clip that each resembles most, those nearest to one first."""


@dataclass
class Spread:
    """Root mean squared difference of two clips of a set that comes batch by batch, on a range of one."""

    count: int = 0
    total: Tensor = field(default_factory=lambda: torch.zeros(()))
    squares: Tensor = field(default_factory=lambda: torch.zeros(()))

    def add(self, clips: metrics.Clip) -> None:
        """Takes in the clips of a batch."""
        rows = clips.double().cpu() / 2
        self.count += len(rows)
        self.total = self.total + rows.sum(0)
        self.squares = self.squares + (rows**2).sum(0)

    def value(self) -> float | None:
        """Nothing for fewer than two clips."""
        if self.count < 2:
            return None
        variance = (self.squares - self.total**2 / self.count) / (self.count - 1)
        return float((2 * variance.mean().clamp(min=0)).sqrt())


class Synthesis:
    """What there is to say of clips made from noise beside as many true ones."""

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config
        self.totals = Totals()
        self.spreads = {"true": Spread(), "samples": Spread()}
        self.labels: list[Tensor] = []

    def add(self, batch: Clips, made: Mapping[str, Futures]) -> None:
        """Takes in true clips, and a made one for each."""
        (futures,) = made.values()
        for name, clips in {"true": batch.frames, "samples": futures[:, 0]}.items():
            looks = {"sharpness": metrics.sharpness(clips), "motion": metrics.motion(clips)}
            self.totals.add({f"{look}/{name}": scores for look, scores in looks.items() if scores.shape[1]})
            self.spreads[name].add(clips)
        self.labels.append(batch.labels.cpu())

    def report(self, trials: Trials, sets: ClipSets) -> dict[str, Any]:
        """Looks by frame, differences between clips, and by features of the best network at hand their neighbours.

        Neighbours are sought among as many training clips where they are known, among the true ones elsewhere.
        """
        found: dict[str, Any] = {
            look: {name: plain(curve) for name, curve in self.totals.of(look).items()} for look in LOOKS
        }
        found["diversity"] = {name: spread.value() for name, spread in self.spreads.items()}
        network = next((each for each in reversed(sets.networks) if not each.per_frame), None)
        if network is None or len(trials) < 2:
            return found
        reference = training(self.config, trials)
        labels = self.labels if reference is None else _gathered(reference, sets, batch=self.config.batch)
        known = Known("true" if reference is None else TRAINING, torch.cat(labels))
        found["neighbours"] = _neighbours(sets, network, known)
        if len(trials.true.classes) > 1:
            found["classes"] = _classes(sets, network, known, torch.cat(self.labels), len(trials.true.classes))
        return found


class Known(NamedTuple):
    """A set of true clips among which neighbours are sought, and the class of each."""

    name: str
    labels: Int64[Tensor, " clips"]


def training(config: EvaluateConfig, trials: Trials) -> Trials | None:
    """As many clips that the model was trained on as are measured; nothing where they are not known."""
    if config.truth or config.split == "train":
        return None
    try:
        dataset = open_dataset(config.data, train=True)
    except ValueError:  # all of the source may be held out
        return None
    chosen = evenly(len(dataset), len(trials))
    return replace(trials, true=dataset, indices=chosen, entrants={}) if len(chosen) > 1 else None


def _gathered(reference: Trials, sets: ClipSets, *, batch: int) -> list[Tensor]:
    """The labels of the training clips, whose features are a set from now on."""
    labels = []
    for clips, _ in reference.batches(batch):
        sets.add(TRAINING, pixels(clips.frames))
        labels.append(clips.labels.cpu())
    return labels


def _neighbours(sets: ClipSets, network: FeatureNetwork, known: Known) -> dict[str, Any]:
    made, rows = sets.features(network, "samples"), sets.features(network, known.name)
    found = nearest(made, rows, count=1)
    memorised = {"samples": memorised_share(made, rows)}
    if known.name != "true":
        memorised["true"] = memorised_share(sets.features(network, "true"), rows)
    closest = [
        {"sample": sample, "neighbour": int(found.indices[sample, 0]), "distance": float(found.distances[sample, 0])}
        for sample in found.distances[:, 0].argsort()[:CLOSEST].tolist()
    ]
    return {"network": network.name, "among": known.name, "memorised_share": memorised, "closest": closest}


def _classes(
    sets: ClipSets, network: FeatureNetwork, known: Known, wanted: Int64[Tensor, " clips"], classes: int
) -> dict[str, Any]:
    """The classes that made clips fall into, each being of the class of its nearest neighbour."""
    rows = sets.features(network, known.name)
    predicted = known.labels[nearest(sets.features(network, "samples"), rows, count=1).indices[:, 0]]
    place = int(known.name == "true")  # a clip is its own nearest neighbour
    own = known.labels[nearest(sets.features(network, "true"), rows, count=1 + place).indices[:, place]]
    modes = modes_hit(predicted, classes)
    return {
        "network": network.name,
        "among": known.name,
        "classes_there_are": classes,
        "hit": modes.hit,
        "share": modes.share,
        "kl_from_uniform": modes.kl,
        "samples_of_the_class_asked_for": _share(predicted == wanted),
        "true_clips_of_their_class": _share(own == wanted),
    }


def _share(which: Tensor) -> float:
    return float(which.double().mean())
