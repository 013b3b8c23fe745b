"""The Frechet video distance, and the same distance on other networks, over streams of clips."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from accelerate.utils import tqdm
from jaxtyping import UInt8
from torch import Tensor

from gancore.features.network import FeatureNetwork, FeatureRows, compute_features
from gancore.metrics.distances import Moments, frechet_distance

Clips = UInt8[Tensor, "_batch _time _channels _height _width"]


@dataclass(frozen=True)
class DistanceScore:
    """A distance with its usual name and everything it depends on."""

    name: str
    value: float
    protocol: dict[str, str | int]


class ClipSet:
    """The statistics of a set of clips that a Frechet distance needs; clips come batch by batch, in any order."""

    def __init__(self, network: FeatureNetwork, *, cache: Path | None = None):
        self.network, self.cache = network, cache
        self.moments = Moments()
        self.clips = 0
        self.shape: tuple[int, ...] = ()

    @classmethod
    def from_batches(cls, network: FeatureNetwork, batches: Iterable[Clips], *, cache: Path | None = None) -> "ClipSet":
        """Collect the clips of a stream of batches."""
        clips = cls(network, cache=cache)
        for batch in tqdm(batches, desc=network.name, unit="batch", leave=False):
            clips.add(batch)
        return clips

    def add(self, clips: Clips) -> FeatureRows:
        """Add clips to the set and return their features.

        Raises ValueError if they are too short for the network, or of another shape than the clips before them.
        """
        shape = tuple(clips.shape[1:])
        if shape != (self.shape or shape):
            raise ValueError(
                f"all clips must have one shape, not {_format_shape(self.shape)} and {_format_shape(shape)}"
            )
        (rows,) = compute_features(self.network, [clips], cache=self.cache)
        self.moments.add(rows)
        self.shape = shape
        self.clips += len(clips)
        return rows


def frechet_video_distance(
    real: ClipSet, generated: ClipSet, *, context: str, split: str | None = None
) -> DistanceScore:
    """Compute FVD if the network is its I3D, else the same distance under the network's name.

    Args:
        real: The true clips.
        generated: The clips that are compared with them.
        context: For the protocol, whether past frames are part of the clips.
        split: For the protocol, the part of the data that the true clips come from.

    Raises:
        ValueError: The sets differ in network or shape of clips, or one has fewer than two clips.
    """
    _check_comparable(real, generated)
    return DistanceScore(
        real.network.distance_name,
        frechet_distance(real.moments, generated.moments),
        _protocol(real, generated, context, split),
    )


def _check_comparable(real: ClipSet, generated: ClipSet) -> None:
    name = real.network.distance_name
    if real.network.weights_sha256 != generated.network.weights_sha256:
        raise ValueError(
            f"{name} needs one network for both sets, not {real.network.name} and {generated.network.name}"
        )
    for kind, clips in (("real", real), ("generated", generated)):
        if clips.clips < 2:
            raise ValueError(f"{name} needs at least two {kind} clips, not {clips.clips}")
    if real.shape != generated.shape:
        raise ValueError(
            f"{name} needs clips of one shape: real are {_format_shape(real.shape)}, "
            f"generated are {_format_shape(generated.shape)}"
        )


def _protocol(real: ClipSet, generated: ClipSet, context: str, split: str | None) -> dict[str, str | int]:
    frames, channels, height, width = real.shape
    return {
        "network": real.network.name,
        "weights_sha256": real.network.weights_sha256,
        "frames": frames,
        "size": f"{height}x{width}",
        "colour": "grey, as three equal channels" if channels == 1 else "RGB",
        "preparation": real.network.preprocessing,
        "context": context,
        "split": split or "not given",
        "real_clips": real.clips,
        "generated_clips": generated.clips,
        "covariance": "divided by N - 1",
    }


def _format_shape(shape: tuple[int, ...]) -> str:
    frames, channels, height, width = shape
    return f"{frames} frames of {height}x{width} in {channels} channel{'s' * (channels > 1)}"
