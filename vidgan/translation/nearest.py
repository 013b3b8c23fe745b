"""The nearest training frame: the simple method beside a translation that was learned from pairs of two folders."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from gancore.data import Sample, evenly_spaced
from vidgan.frames import to_float
from vidgan.translation.pairs import Pair, PairDataset

CLIPS, GIGABYTES = 256, 0.5
"""Training clips that are looked at, evenly spaced, and the memory that their targets may take."""
SIDE = 16
"""Sources are compared after averaging to SIDE x SIDE pixels."""


@dataclass(frozen=True)
class NearestFrame:
    """For each frame of a source, the target of the training frame whose source is nearest in squared error."""

    sources: Float[Tensor, "frames numbers"]
    targets: UInt8[Tensor, "frames channel height width"]

    @classmethod
    def from_training(cls, pairs: PairDataset) -> "NearestFrame":
        """Reads the frames of at most CLIPS pairs, fewer where GIGABYTES do not hold them."""
        count = min(CLIPS, max(1, int(GIGABYTES * 1e9) // pairs[Sample(0, 0)].target.nbytes))
        seen = [pairs[Sample(index, 0)] for index in evenly_spaced(len(pairs), count=count)]
        return cls(torch.cat([describe(pair.source) for pair in seen]), torch.cat([pair.target for pair in seen]))

    def __call__(self, pair: Pair) -> UInt8[Tensor, "time channel height width"]:
        """Targets of the frames nearest to those of a source."""
        return self.targets[torch.cdist(describe(pair.source), self.sources).argmin(1)]


def describe(frames: UInt8[Tensor, "time channel height width"]) -> Float[Tensor, "time numbers"]:
    """The averages of a frame by which it is compared."""
    return adaptive_avg_pool2d(to_float(frames), SIDE).flatten(1)
