"""Sets of clips compared by features: by which networks, what of each clip they see, and how alike the sets are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gancore.features.inception import load_lpips
from gancore.features.network import FeatureNetwork
from gancore.metrics.distances import MIN_SET_SAMPLES, compute_fidelity, inception_score
from vidgan.evaluation.fvd import FEATURE_NETWORKS, ClipSet, frechet_video_distance, open_network
from vidgan.evaluation.measure import PerceptualMetric

FRAMES_PER_CLIP = 4
"""Frames of each clip, evenly spaced, that networks of single frames see: neighbouring ones are nearly the same."""
INCEPTION_SPLITS = 10
"""Parts of the samples over which the inception score is averaged."""

TRAINING_SET = "training"
"""Name of the set of clips that a model was trained on."""

Clips = UInt8[Tensor, "_batch _time _channels _height _width"]


class BoxMeans(nn.Module):
    """The colours of a clip in 4 x 8 x 8 boxes: features for which no weights are needed."""

    name = "mean colours of 4x8x8 boxes"
    distance_name = "Frechet distance (mean colours)"
    weights_sha256 = ""
    preprocessing = "mean over boxes of time, height and width; uint8 / 255"
    feature_dim = 4 * 8 * 8 * 3
    min_frames = 1
    per_frame = False

    def forward(self, clips: UInt8[Tensor, "batch _time 3 _height _width"]) -> Float[Tensor, "batch _features"]:
        boxes = F.adaptive_avg_pool3d(rearrange(clips.float() / 255, "b t c h w -> b c t h w"), (4, 8, 8))
        return rearrange(boxes, "b c t h w -> b (t h w c)").cpu()


@runtime_checkable
class Classifier(Protocol):
    """A network whose features tell classes."""

    def class_logits(self, rows: Float[Tensor, "rows _features"]) -> Float[Tensor, "rows _classes"]:
        """Of each row of features."""


AUTO_NETWORKS = ("colours", "i3d")
NETWORK_NAMES = ("colours", *FEATURE_NETWORKS, "lpips")


class EvaluationNetworks(NamedTuple):
    """Networks by what they compare; some do both."""

    set_networks: list[FeatureNetwork]
    frame_networks: list[PerceptualMetric]
    unavailable: list[str]
    """Why some that would have been wanted are not there."""


def open_networks(names: Sequence[str], *, frames: int, channels: int, device: torch.device) -> EvaluationNetworks:
    """The networks of these names for clips of so many frames.

    "auto" stands for colours and for FVD's i3d, and what speaks against this one is told; what speaks against one
    that is named is raised, as ValueError or FileNotFoundError.
    """
    opened = EvaluationNetworks([], [], [])
    wanted = [each for name in names for each in (AUTO_NETWORKS if name == "auto" else [name]) if name != "none"]
    for name in dict.fromkeys(wanted):
        try:
            network = _open_network(name, frames=frames, channels=channels, device=device)
        except (ValueError, FileNotFoundError) as error:
            if name in names:
                raise
            opened.unavailable.append(f"{'FVD' if name == 'i3d' else name} is not there: {error}")
            continue
        if hasattr(network, "feature_dim"):
            opened.set_networks.append(network)
        if hasattr(network, "perceptual_distance"):
            opened.frame_networks.append(network)
    return opened


def _open_network(name: str, *, frames: int, channels: int, device: torch.device) -> Any:
    if name not in NETWORK_NAMES:
        raise ValueError(f"networks: {name} is none of auto, none, {', '.join(NETWORK_NAMES)}")
    if channels not in (1, 3):
        raise ValueError(f"networks see 1 or 3 channels, and the clips have {channels}")
    if name == "lpips":
        return load_lpips().to(device)
    network = BoxMeans() if name == "colours" else open_network(name, device=device)
    if frames < network.min_frames:
        raise ValueError(
            f"{network.name} needs clips of at least {network.min_frames} frames, and {frames} are to be judged"
        )
    return network


class ClipSets:
    """Sets of clips as each network sees them, by the set's name; they come batch by batch."""

    def __init__(
        self,
        networks: Sequence[FeatureNetwork],
        *,
        context_frames: int,
        with_context: bool,
        split: str,
        cache: Path | None,
    ):
        self.networks, self.context_frames, self.split, self.cache = networks, context_frames, split, cache
        self.with_context = with_context and context_frames > 0
        self.sets: dict[tuple[str, str], ClipSet] = {}
        self.rows: dict[tuple[str, str], list[Tensor]] = {}

    def add(self, name: str, clips: Clips) -> None:
        """Takes whole clips into the set of this name."""
        for network in self.networks:
            key = network.name, name
            if key not in self.sets:
                self.sets[key], self.rows[key] = ClipSet(network, cache=self.cache), []
            self.rows[key].append(self.sets[key].add(self._select_frames(network, clips)))

    def _select_frames(self, network: FeatureNetwork, clips: Clips) -> Clips:
        """Whole clips, or what follows the past; for networks of single frames, some frames that are no past."""
        future = clips[:, self.context_frames :]
        if network.per_frame:
            count = min(FRAMES_PER_CLIP, future.shape[1])
            return future[:, [number * future.shape[1] // count for number in range(count)]]
        return clips if self.with_context else future

    def features(self, network: FeatureNetwork, name: str) -> Float[Tensor, "rows features"]:
        """Those of a set, in the order its clips came."""
        return torch.cat(self.rows[network.name, name])

    def report(self, real: str, *, seed: int) -> dict[str, Any]:
        """By network: its protocol, and all distances of each made set from the real one.

        A set that is too small to be compared has null in place of distances.
        """
        made = [name for name in dict.fromkeys(name for _, name in self.sets) if name not in (real, TRAINING_SET)]
        return {
            network.name: {
                "distance": network.distance_name,
                "protocol": self._protocol(network, real, made[0]),
                "scores": {name: self._scores(network, real, name, seed=seed) for name in made},
            }
            for network in self.networks
        }

    def _protocol(self, network: FeatureNetwork, real: str, made: str) -> dict[str, Any]:
        context = "none" if not self.context_frames else "in front of every future" if self.with_context else "left out"
        if network.per_frame and self.context_frames:
            context = f"left out; {FRAMES_PER_CLIP} frames of each future"
        sets = self.sets[network.name, real], self.sets[network.name, made]
        if min(each.clips for each in sets) < 2:
            return {"network": network.name, "context": context}
        return frechet_video_distance(*sets, context=context, split=self.split).protocol

    def _scores(self, network: FeatureNetwork, real: str, made: str, *, seed: int) -> dict[str, float] | None:
        rows = self.features(network, real), self.features(network, made)
        if min(map(len, rows)) < MIN_SET_SAMPLES:
            return None
        return compute_fidelity(*rows, seed=seed) | self._inception_score(network, rows[1], seed=seed)

    def _inception_score(self, network: FeatureNetwork, rows: Tensor, *, seed: int) -> dict[str, float]:
        """The inception score, where the network is a classifier."""
        if not isinstance(network, Classifier) or len(rows) < INCEPTION_SPLITS:
            return {}
        score = inception_score(network.class_logits(rows), splits=INCEPTION_SPLITS, seed=seed)
        return {"inception_score": score.value, "inception_score_low": score.low, "inception_score_high": score.high}
