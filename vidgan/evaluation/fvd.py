"""The Frechet video distance, and its like on other networks, over streams of clips; each number with its protocol."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from accelerate.utils import tqdm
from jaxtyping import UInt8
from torch import Tensor, nn

from gancore.features.efficientnet import EfficientNet
from gancore.features.i3d import I3D
from gancore.features.inception import load_inception
from gancore.features.network import FeatureNetwork, FeatureRows, compute_features
from gancore.features.transnet import TransNet
from gancore.metrics.distances import Moments, frechet_distance

Clips = UInt8[Tensor, "_batch _time _channels _height _width"]


FEATURE_NETWORKS: dict[str, Callable[[str | Path], nn.Module]] = {
    "i3d": I3D,
    "transnet": TransNet,
    "efficientnet": EfficientNet,
    "inception": load_inception,
}


def open_network(name: str, *, file: str | Path = "", device: str | torch.device = "cpu") -> FeatureNetwork:
    """The network of that name on the device, of the weights given or those of the cache.

    Raises FileNotFoundError that says how to get them, or ValueError for another name or other weights.
    """
    if name not in FEATURE_NETWORKS:
        raise ValueError(f"no network is called {name!r}: there are {', '.join(FEATURE_NETWORKS)}")
    return cast(FeatureNetwork, FEATURE_NETWORKS[name](file).to(device))


@dataclass(frozen=True)
class DistanceScore:
    """A number with the name its field knows it by and all that it depends on."""

    name: str
    value: float
    protocol: dict[str, str | int]


class ClipSet:
    """What a Frechet distance needs to know of a set of clips that come batch by batch, in any order."""

    def __init__(self, network: FeatureNetwork, *, cache: Path | None = None):
        self.network, self.cache = network, cache
        self.moments = Moments()
        self.clips = 0
        self.shape: tuple[int, ...] = ()

    @classmethod
    def from_batches(cls, network: FeatureNetwork, batches: Iterable[Clips], *, cache: Path | None = None) -> "ClipSet":
        """The set of all clips of a stream."""
        clips = cls(network, cache=cache)
        for batch in tqdm(batches, desc=network.name, unit="batch", leave=False):
            clips.add(batch)
        return clips

    def add(self, clips: Clips) -> FeatureRows:
        """The features of these clips, which are of the set from now on.

        Raises ValueError if they are too short for the network, or not of the shape of those before them.
        """
        shape = tuple(clips.shape[1:])
        if shape != (self.shape or shape):
            raise ValueError(
                f"clips of one shape are needed, not of {_format_shape(self.shape)} and of {_format_shape(shape)}"
            )
        (rows,) = compute_features(self.network, [clips], cache=self.cache)
        self.moments.add(rows)
        self.shape = shape
        self.clips += len(clips)
        return rows


def frechet_video_distance(real: ClipSet, made: ClipSet, *, context: str, split: str = "") -> DistanceScore:
    """FVD if the network is its I3D, else the same distance under the network's name.

    `context` and `split` say for the record whether given frames are part of the clips, and where the real clips come
    from. Raises ValueError if the two sets differ in the network or the shape of their clips, or one has no two clips.
    """
    _check_comparable(real, made)
    return DistanceScore(
        real.network.distance_name, frechet_distance(real.moments, made.moments), _protocol(real, made, context, split)
    )


def _check_comparable(real: ClipSet, made: ClipSet) -> None:
    name = real.network.distance_name
    if real.network.weights_sha256 != made.network.weights_sha256:
        raise ValueError(f"{name} needs one network for both sets, not {real.network.name} and {made.network.name}")
    for kind, clips in (("real", real), ("made", made)):
        if clips.clips < 2:
            raise ValueError(f"{name} needs at least two {kind} clips, not {clips.clips}")
    if real.shape != made.shape:
        raise ValueError(
            f"{name} needs clips of one shape: real are {_format_shape(real.shape)}, made are {_format_shape(made.shape)}"
        )


def _protocol(real: ClipSet, made: ClipSet, context: str, split: str) -> dict[str, str | int]:
    frames, channels, height, width = real.shape
    return {
        "network": real.network.name,
        "weights_sha256": real.network.weights_sha256,
        "frames": frames,
        "size": f"{height}x{width}",
        "colour": "grey, as three equal channels" if channels == 1 else "RGB",
        "preparation": real.network.preprocessing,
        "context": context,
        "split": split or "not told",
        "real_clips": real.clips,
        "made_clips": made.clips,
        "covariance": "divided by N - 1",
    }


def _format_shape(shape: tuple[int, ...]) -> str:
    frames, channels, height, width = shape
    return f"{frames} frames of {height}x{width} in {channels} channel{'s' * (channels > 1)}"
