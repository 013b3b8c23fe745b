"""The training data of animators: frames of clips, each with one moving figure."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from gancore.data import Sample, evenly_spaced
from gancore.rng import derive_seed
from gancore.splits import Split
from vidgan.animation_config import FigureDataConfig
from vidgan.data.batch import ClipBatch, collate
from vidgan.data.dataset import ClipDataset, open_dataset
from vidgan.data.synthetic.puppets import PuppetClips
from vidgan.frames import Frames

MIN_CONTRAST = 0.5
"""Least factor of the contrast of a recoloured channel."""


@dataclass(frozen=True)
class FigureFrames:
    """Some frames of each clip of a data set, in random order for training, else evenly spaced over the clip.

    Of puppets only these frames are rendered.
    """

    clips: ClipDataset
    count: int
    train: bool
    recolour: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """None: figures have no names."""
        return ()

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, sample: Sample) -> tuple[Frames, int]:
        if isinstance(self.clips, PuppetClips):
            times = self._choose(sample, self.clips.clip_frames)
            frames = self.clips.render(self.clips.draw(sample).at(times))
        else:
            frames = self.clips[sample][0]
            frames = frames[torch.tensor(self._choose(sample, len(frames)))]
        if self.recolour and self.train:
            frames = recolour(frames, np.random.default_rng(derive_seed(sample.seed, sample.index, 22)))
        return frames, 0

    def _choose(self, sample: Sample, frames: int) -> list[int]:
        if not self.train:
            return evenly_spaced(frames, count=self.count)
        random = np.random.default_rng(derive_seed(sample.seed, sample.index, 21))
        return random.permutation(frames)[: self.count].tolist()


def open_figures(config: FigureDataConfig, *, split: Split) -> FigureFrames:
    """Opens the clips of a split; see `vidgan.data.dataset.open_dataset` for what it raises."""
    return FigureFrames(open_dataset(config, split=split), config.frames, split == "train", config.recolour)


def recolour(frames: Frames, random: np.random.Generator) -> Frames:
    """The uint8 frames with their channels in random order, each with MIN_CONTRAST to all of its contrast, and lighter
    by at most what that leaves room for; the same for all frames."""
    channels = frames.shape[1]
    contrast = random.uniform(MIN_CONTRAST, 1, channels)
    offset = 255 * random.uniform(0, 1, channels) * (1 - contrast)
    gain, shift = (torch.from_numpy(each).float()[:, None, None] for each in (contrast, offset))
    return (frames[:, random.permutation(channels)] * gain + shift).round().to(torch.uint8)


def collate_figures(items: Iterable[tuple[Frames, int]]) -> ClipBatch:
    """Stacks items into one uint8 batch of clips without a past."""
    return collate(list(items), 0)
