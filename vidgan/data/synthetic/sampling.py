"""What all rendered sources have in common: how many clips there are, and which seed renders each."""

from gancore.data import Sample
from gancore.rng import derive_seed
from gancore.splits import Split

TRAIN_CLIPS, HELD_OUT_CLIPS = 10_000, 1_000
"""Items of a training split and of a held-out split; a training item is another clip at every reading."""
SPLIT_SEEDS: dict[Split, int] = {"train": 11, "val": 12, "test": 13}
"""Seeds of each split, so that no two splits share a clip."""
SMALLEST_SIDE = 16
"""Frames with fewer pixels a side are too small to tell things apart."""


def count_clips(split: Split) -> int:
    """Items of a split."""
    return TRAIN_CLIPS if split == "train" else HELD_OUT_CLIPS


def choose_seed(sample: Sample, split: Split) -> int:
    """The seed of a clip: for training from `sample.seed` alone, else from the split and `sample.index`."""
    return derive_seed(SPLIT_SEEDS[split], sample.seed if split == "train" else sample.index)


def check_shape(height: int, width: int, channels: int) -> None:
    """Raises ValueError if the frames are too small, or neither grey nor RGB."""
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(f"rendered frames have at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels, not {height}x{width}")
    if channels not in (1, 3):
        raise ValueError(f"rendered frames have 1 channel (grey) or 3 (RGB), not {channels}")
