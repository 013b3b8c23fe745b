"""Clips that come with a degraded copy of their past, for predictors to learn from and be evaluated on bad input."""

import numpy as np

from gancore.data import Sample
from gancore.rng import derive_seed
from vidgan.data.dataset import ClipDataset
from vidgan.data.synthetic.cut_outs import Item, complete_item
from vidgan.data_config import VideoDataConfig
from vidgan.degradations.kinds import degrade, scale_of_chain


def degrade_pasts(clips: ClipDataset, config: VideoDataConfig, *, train: bool) -> ClipDataset:
    """The clips with pasts degraded by `config.past_degradations`; the data set itself if there are none.

    Raises ValueError for a degradation that is unknown or changes the size of frames.
    """
    return DegradedPasts(clips, config, train=train) if config.past_degradations else clips


class DegradedPasts:
    """Clips that come with a degraded copy of their past, a function of the sample.

    The kind of degradation is drawn for training clips, and cycles through the kinds for held-out clips. The severity
    is drawn for each clip.
    """

    def __init__(self, clips: ClipDataset, config: VideoDataConfig, *, train: bool):
        """Raises ValueError for a degradation that is unknown or changes the size of frames."""
        for name in config.past_degradations:
            try:
                scale = scale_of_chain(name)
            except ValueError as error:
                raise ValueError(f"data.past_degradations: {error}") from error
            if scale != 1:
                raise ValueError(f"data.past_degradations: {name} makes frames smaller than those of the future")
        self.clips, self.config, self.train, self.classes = clips, config, train, clips.classes

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, sample: Sample) -> Item:
        config, item = self.config, complete_item(self.clips[sample])
        seed = derive_seed(sample.seed, sample.index, 15)
        random, kinds = np.random.default_rng(seed), config.past_degradations
        number = int(random.integers(len(kinds))) if self.train else sample.index % len(kinds)
        severity = float(random.uniform(config.past_least_severity, config.past_most_severity))
        past = item.frames[: config.context_frames]
        degraded = degrade(past, kinds[number], severity=severity, seed=derive_seed(seed, 1)).frames
        return item._replace(given_past=degraded)
