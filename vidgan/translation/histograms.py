"""Histogram matching, the simple baseline of unpaired translation, as it needs no pairs either."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vidgan.frames import to_uint8
from vidgan.networks.curves import LEVELS, apply_curves

Frames = Float[Tensor, "batch time channels height width"]
Distribution = Float[Tensor, "*batch channels levels"]
"""For every level the share of the values that lie at it or below."""


@dataclass(frozen=True)
class HistogramMatching:
    """Curves, one a channel, after which the levels of sources are distributed as those of a set of targets."""

    sources: Float[Tensor, "channels levels"]
    """Distribution of all sources of the set."""
    targets: Float[Tensor, "channels levels"]
    """Distribution of all its targets."""

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[Frames, Frames]]) -> "HistogramMatching":
        """Counts the levels of batches of sources and targets, whatever belongs to what."""
        counts = [torch.stack([count_levels(clips).sum(0) for clips in batch]) for batch in pairs]
        sources, targets = accumulate(torch.stack(counts).sum(0))
        return cls(sources, targets)

    @property
    def curves(self) -> Float[Tensor, "channels levels"]:
        """From the levels of all sources to those of all targets."""
        return find_curves(self.sources, self.targets)

    @property
    def curves_back(self) -> Float[Tensor, "channels levels"]:
        """From the levels of all targets to those of all sources."""
        return find_curves(self.targets, self.sources)

    def match_clips(self, clips: Frames) -> Frames:
        """Each clip by curves of its own, from its levels to those of the targets."""
        return apply_curves(clips, find_curves(accumulate(count_levels(clips)), self.targets))

    def match_set(self, clips: Frames) -> Frames:
        """All clips by the same curves, from the levels of all sources to those of the targets."""
        return apply_curves(clips, self.curves.expand(len(clips), -1, -1))


def count_levels(clips: Frames) -> Float[Tensor, "batch channels levels"]:
    """How many values of each channel of a clip lie at each level of a byte; clips are in [-1, 1]."""
    levels = to_uint8(clips).transpose(1, 2).flatten(2).long()
    counts = torch.zeros(*levels.shape[:2], LEVELS, device=levels.device, dtype=torch.float64)
    return counts.scatter_add_(2, levels, torch.ones_like(levels, dtype=torch.float64))


def accumulate(counts: Float[Tensor, "*batch channels levels"]) -> Distribution:
    """The distribution of which these are the counts."""
    return counts.cumsum(-1) / counts.sum(-1, keepdim=True)


def find_curves(own: Distribution, wanted: Float[Tensor, "channels levels"]) -> Distribution:
    """The level that has the same share of values below it in the wanted distribution, for every level of its own.

    Levels of the wanted distribution are interpolated linearly. The curve never falls.
    """
    wanted = wanted.expand(own.shape).contiguous().to(own)
    above = torch.searchsorted(wanted, own.contiguous()).clamp(max=LEVELS - 1)
    below = (above - 1).clamp(min=0)
    low, high = wanted.gather(-1, below), wanted.gather(-1, above)
    share = ((own - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    return below + share * (above - below)
