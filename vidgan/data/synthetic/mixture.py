"""Real training clips, a fraction of which is replaced by clips rendered from patches of the same videos."""

from typing import Protocol, runtime_checkable

import numpy as np

from gancore.data import Sample
from gancore.rng import derive_seed
from vidgan.data.synthetic.cut_outs import CutOutClips, Item


@runtime_checkable
class Clips(Protocol):
    """Clips that are read by sample."""

    @property
    def item_names(self) -> list[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, sample: Sample) -> Item: ...


class MixedClips:
    """Clips of videos, each replaced by a rendered one with a certain probability.

    This depends on `sample.seed` alone, so an item is real in some epochs and rendered in others.
    """

    classes: tuple[str, ...] = ()

    def __init__(self, videos: Clips, rendered: CutOutClips, *, fraction: float):
        """`fraction`, in (0, 1], is the probability of a rendered clip."""
        self.videos, self.rendered, self.fraction = videos, rendered, fraction

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def item_names(self) -> list[str]:
        """Those of the videos."""
        return self.videos.item_names

    def __getitem__(self, sample: Sample) -> Item:
        renders = np.random.default_rng(derive_seed(sample.seed, 14)).random() < self.fraction
        return (self.rendered if renders else self.videos)[sample]
