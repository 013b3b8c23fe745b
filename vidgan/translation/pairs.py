"""Pairs of clips, source and target: degraded copies, folders with equally named videos, or two unpaired sets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from gancore.data import Sample
from gancore.rng import derive_seed
from gancore.splits import Split
from vidgan.data.dataset import ClipDataset, open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.degradations.kinds import degrade, parse_chain, scale_of_chain
from vidgan.frames import to_float
from vidgan.translation.folder_pairs import ClipBytes, Pair, open_folder_pairs
from vidgan.translation_config import PairDataConfig

MASKING = ("holes", "dropped")
"""Degradations that say which pixels are lost."""


@dataclass(frozen=True)
class PairBatch:
    """A batch of pairs: uint8 in [0, 255] from the loader, float32 in [-1, 1] after `to`."""

    source: Float[Tensor, "batch time channels h w"] | UInt8[Tensor, "batch time channels h w"]
    target: Float[Tensor, "batch time channels height width"] | UInt8[Tensor, "batch time channels height width"]
    known: Bool[Tensor, "batch time 1 h w"] | None = None

    def __len__(self) -> int:
        return len(self.source)

    def pin_memory(self) -> "PairBatch":
        """Copies to page-locked memory, from which transfers to the device run in the background."""
        return PairBatch(
            self.source.pin_memory(), self.target.pin_memory(), None if self.known is None else self.known.pin_memory()
        )

    def to(self, device: torch.device | str) -> "PairBatch":
        """Moves to the device and there scales bytes to [-1, 1]; floats are only moved."""
        source, target = (frames.to(device, non_blocking=True) for frames in (self.source, self.target))
        if source.dtype == torch.uint8:
            source, target = to_float(source), to_float(target)
        known = None if self.known is None else self.known.to(device, non_blocking=True)
        return PairBatch(source, target, known)


def collate_pairs(pairs: Sequence[Pair]) -> PairBatch:
    """Stacks pairs into one uint8 batch; if only some have a mask, all pixels of the others are known."""
    source, target = torch.stack([pair.source for pair in pairs]), torch.stack([pair.target for pair in pairs])
    if all(pair.known is None for pair in pairs):
        return PairBatch(source, target)
    known = torch.ones_like(source[:, :, :1], dtype=torch.bool)
    for number, pair in enumerate(pairs):
        if pair.known is not None:
            known[number] = pair.known
    return PairBatch(source, target, known)


@runtime_checkable
class PairDataset(Protocol):
    """A data set of pairs, read by (index, seed), which determine all random choices."""

    @property
    def targets(self) -> ClipDataset:
        """The target clips."""
        ...

    @property
    def has_truth(self) -> bool:
        """Whether a source and its target show the same scene."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, sample: Sample) -> Pair: ...


def open_pairs(config: PairDataConfig, *, split: Split) -> PairDataset:
    """Opens a split of pairs: train for training, val for choosing weights, test for evaluation.

    Held-out degraded clips are paired with their originals even if training is not `paired`.

    Raises:
        FileNotFoundError: A folder does not exist.
        ValueError: It holds no clip of the requested length, or videos lack a counterpart.
    """
    videos = clip_settings(config)
    if config.sources and config.paired:
        return open_folder_pairs(config, videos, split=split)
    if config.sources:
        sources = open_dataset(replace(videos, path=config.sources), split=split)
        return UnpairedClips(sources, open_dataset(videos, split=split))
    margin = ceil(config.drift * (config.clip_frames - 1)) if split == "train" else 0
    wider = replace(videos, height=config.height + margin, width=config.width + margin)
    clips = open_dataset(wider, split=split)
    return DegradedClips(clips, config, train=split == "train")


class PairFormat(NamedTuple):
    """How the sources and targets of a data set are related in size and kind."""

    scale: int
    """Target pixels per source pixel along each side."""
    masked: bool
    """Whether sources come with a mask of known pixels."""


def measure_pairs(config: PairDataConfig, dataset: PairDataset) -> PairFormat:
    """The format of a data set's pairs, from its degradations, or else from its first pair."""
    if config.degradations:
        scales = {scale_of_chain(name) for name in config.degradations}
        if len(scales) > 1:
            raise ValueError(f"data.degradations: all must shrink alike, not {', '.join(config.degradations)}")
        return PairFormat(
            scales.pop(), any(kind in MASKING for name in config.degradations for kind in parse_chain(name))
        )
    source, target, _ = dataset[Sample(0, 0)]
    return PairFormat(target.shape[-1] // source.shape[-1], masked=False)


def clip_settings(config: PairDataConfig) -> VideoDataConfig:
    """The settings of the target clips alone."""
    return VideoDataConfig(**{name: getattr(config, name) for name in VideoDataConfig.__dataclass_fields__})


@dataclass(frozen=True)
class DegradedClips:
    """Clips with degraded copies as sources.

    Training clips are cropped by a drifting window, and their kind of degradation is drawn; held-out clips cycle
    through the kinds. The severity is drawn for each clip.
    """

    targets: ClipDataset
    config: PairDataConfig
    train: bool

    @property
    def has_truth(self) -> bool:
        """Whether the source shows the same scene as the target; always for held-out clips."""
        return not self.train or self.config.paired

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def item_names(self) -> list[str]:
        """Those of the targets, if they have names."""
        return getattr(self.targets, "item_names", [])

    def __getitem__(self, sample: Sample) -> Pair:
        config, seed = self.config, derive_seed(sample.seed, sample.index)
        random = np.random.default_rng(seed)
        target = self._read(sample)
        shown = target
        if not self.has_truth:
            shown = self._read(Sample(int(random.integers(len(self))), derive_seed(seed, 1)))
        count = len(config.degradations)
        number = int(random.integers(count)) if self.train else sample.index % count
        severity = float(random.uniform(config.least_severity, config.most_severity))
        degraded = degrade(shown, config.degradations[number], severity=severity, seed=derive_seed(seed, 2))
        return Pair(degraded.frames, target, degraded.known)

    def _read(self, sample: Sample) -> ClipBytes:
        config, seed = self.config, derive_seed(sample.seed, sample.index, 3)
        return drift_crop(self.targets[sample][0], config.height, config.width, speed=config.drift, seed=seed)


def drift_crop(
    frames: UInt8[Tensor, "time channel h w"], height: int, width: int, *, speed: float, seed: int
) -> ClipBytes:
    """Crops height x width by a window that moves in a straight line, by up to `speed` pixels per frame and axis.

    In half of the clips the window stands still, like a static camera.
    """
    spare = np.array([frames.shape[2] - height, frames.shape[3] - width])
    if not spare.any():
        return frames
    random, steps = np.random.default_rng(seed), len(frames)
    fastest = speed * random.integers(2)
    way = np.minimum(random.uniform(0, fastest, 2) * (steps - 1), spare) * random.choice([-1, 1], 2)
    start = random.uniform(np.maximum(0, -way), spare - np.maximum(0, way))
    corners = np.rint(start + np.linspace(0, 1, steps)[:, None] * way).astype(int)
    cropped = [
        frame[:, top : top + height, left : left + width] for frame, (top, left) in zip(frames, corners, strict=True)
    ]
    return torch.stack(cropped)


@dataclass(frozen=True)
class UnpairedClips:
    """Source and target clips drawn independently from two unrelated data sets."""

    sources: ClipDataset
    targets: ClipDataset
    has_truth = False

    def __len__(self) -> int:
        return max(len(self.sources), len(self.targets))

    @property
    def item_names(self) -> list[str]:
        """Those of both, as far as they have names."""
        return [name for each in (self.sources, self.targets) for name in getattr(each, "item_names", [])]

    def __getitem__(self, sample: Sample) -> Pair:
        clips = []
        for number, each in enumerate((self.sources, self.targets)):
            seed = derive_seed(sample.seed, sample.index, number)
            clips.append(each[Sample(seed % len(each), seed)][0])
        return Pair(*clips)
