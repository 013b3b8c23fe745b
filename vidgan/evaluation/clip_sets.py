"""Compares sets of clips by network features: what each network computes from a clip, and distances of sets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.features.network import FeatureNetwork
from gancore.metrics.distances import MIN_SET_SAMPLES, compute_fidelity, inception_score
from vidgan.evaluation.fvd import ClipSet, frechet_video_distance
from vidgan.evaluation.report import SetReport

FRAMES_PER_CLIP = 4
"""Frames of each clip, evenly spaced, that networks of single frames see: neighbouring ones are nearly the same."""
INCEPTION_SPLITS = 10
"""Parts of the samples over which the inception score is averaged."""

TRUE_SET = "true"
"""Name of the set of true clips, with which all others are compared."""
TRAINING_SET = "training"
"""Name of the set of clips that a model was trained on."""

Clips = UInt8[Tensor, "_batch _time _channels _height _width"]


@runtime_checkable
class Classifier(Protocol):
    """A network whose features can be turned into class scores."""

    def class_logits(self, rows: Float[Tensor, "rows _features"]) -> Float[Tensor, "rows _classes"]:
        """Compute the logits of the classes for each row of features."""


class ClipSets:
    """Features of named sets of clips, by every network; the clips come batch by batch."""

    def __init__(
        self,
        networks: Sequence[FeatureNetwork],
        *,
        context_frames: int,
        with_context: bool,
        split: str,
        cache: Path | None,
    ):
        """Start with empty sets.

        Args:
            networks: Networks that compute features of clips or of frames.
            context_frames: Past frames at the start of every clip.
            with_context: Whether networks of whole clips see the past too.
            split: Where the true clips come from, for the protocol.
            cache: Folder that keeps features by the content of their clips; None keeps none.
        """
        self.networks, self.context_frames, self.split, self.cache = networks, context_frames, split, cache
        self.with_context = with_context and context_frames > 0
        self.sets: dict[tuple[str, str], ClipSet] = {}
        self.rows: dict[tuple[str, str], list[Tensor]] = {}

    def add(self, name: str, clips: Clips) -> None:
        """Add whole clips, past included, to the set of this name."""
        for network in self.networks:
            key = network.name, name
            if key not in self.sets:
                self.sets[key], self.rows[key] = ClipSet(network, cache=self.cache), []
            self.rows[key].append(self.sets[key].add(self._select_frames(network, clips)))

    def _select_frames(self, network: FeatureNetwork, clips: Clips) -> Clips:
        """Whole clips, or what follows the past; for networks of single frames, a few frames after the past."""
        future = clips[:, self.context_frames :]
        if network.per_frame:
            count = min(FRAMES_PER_CLIP, future.shape[1])
            return future[:, [number * future.shape[1] // count for number in range(count)]]
        return clips if self.with_context else future

    def features(self, network: FeatureNetwork, name: str) -> Float[Tensor, "rows features"]:
        """Return the features of a set, in the order its clips came."""
        return torch.cat(self.rows[network.name, name])

    def report(self, *, seed: int) -> dict[str, SetReport]:
        """Compare every set but that of training clips with the true one, by the name of each network.

        A set that is too small to be compared has None in place of scores.
        """
        names = dict.fromkeys(name for _, name in self.sets)
        compared = [name for name in names if name not in (TRUE_SET, TRAINING_SET)]
        return {
            network.name: SetReport(
                distance=network.distance_name,
                protocol=self._protocol(network, compared[0]),
                scores={name: self._scores(network, name, seed=seed) for name in compared},
            )
            for network in self.networks
        }

    def _protocol(self, network: FeatureNetwork, name: str) -> dict[str, str | int]:
        context = "none" if not self.context_frames else "in front of every future" if self.with_context else "left out"
        if network.per_frame and self.context_frames:
            context = f"left out; {FRAMES_PER_CLIP} frames of each future"
        sets = self.sets[network.name, TRUE_SET], self.sets[network.name, name]
        if min(each.clips for each in sets) < 2:
            return {"network": network.name, "context": context}
        return frechet_video_distance(*sets, context=context, split=self.split).protocol

    def _scores(self, network: FeatureNetwork, name: str, *, seed: int) -> dict[str, float | int] | None:
        rows = self.features(network, TRUE_SET), self.features(network, name)
        if min(map(len, rows)) < MIN_SET_SAMPLES:
            return None
        scores: dict[str, float | int] = {**compute_fidelity(*rows, seed=seed)}
        if isinstance(network, Classifier) and len(rows[1]) >= INCEPTION_SPLITS:
            score = inception_score(network.class_logits(rows[1]), splits=INCEPTION_SPLITS, seed=seed)
            scores |= {
                "inception_score": score.value,
                "inception_score_low": score.low,
                "inception_score_high": score.high,
            }
        return scores
