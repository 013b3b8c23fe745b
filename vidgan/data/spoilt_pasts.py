"""Clips whose past is given spoilt, so that predictors learn from bad input, and are measured on it."""

import numpy as np

from gancore.data import Sample
from gancore.rng import derive_seed
from vidgan.data.dataset import ClipDataset
from vidgan.data.synthetic.cut_outs import Item
from vidgan.data_config import VideoDataConfig
from vidgan.degradations.kinds import degrade, scale_of_chain


def spoil_pasts(clips: ClipDataset, config: VideoDataConfig, *, train: bool) -> ClipDataset:
    """The clips with pasts that are spoilt as the settings say, or the data set as it is if they say nothing of it.

    Raises ValueError for a degradation that is unknown or changes the size of frames.
    """
    return SpoiltPasts(clips, config, train=train) if config.past_degradations else clips


class SpoiltPasts:
    """Clips that come with a spoilt copy of their past; everything random about it derives from the sample.

    Training clips draw their kind, held-out ones take the kinds in turn; each has a severity of its own.
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
        config, item = self.config, self.clips[sample]
        seed = derive_seed(sample.seed, sample.index, 15)
        random, kinds = np.random.default_rng(seed), config.past_degradations
        number = int(random.integers(len(kinds))) if self.train else sample.index % len(kinds)
        severity = float(random.uniform(config.past_least_severity, config.past_most_severity))
        past = item[0][: config.context_frames]
        spoilt = degrade(past, kinds[number], severity=severity, seed=derive_seed(seed, 1)).frames
        known = item[2] if len(item) > 2 else None
        return (item[0], item[1], known, spoilt, item[4]) if len(item) > 4 else (item[0], item[1], known, spoilt)
