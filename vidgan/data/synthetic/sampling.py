"""The base class of rendered sources: number and shape of the clips, and the seed that renders each."""

from gancore.data import Sample
from gancore.rng import derive_seed
from gancore.splits import Split
from vidgan.data.synthetic.patches import PatchSource

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


class RenderedClips:
    """The part that all data sets of rendered clips share; their label is always 0.

    Training clips depend on `sample.seed` alone; clips of val and test depend on the split and `sample.index` alone.

    Raises ValueError if the frames are too small, or neither grey nor RGB.
    """

    classes: tuple[str, ...] = ()

    def __init__(
        self,
        patches: PatchSource,
        *,
        split: Split,
        height: int = 64,
        width: int = 64,
        channels: int = 3,
        clip_frames: int = 20,
    ):
        """`patches` paints what the clips show."""
        check_shape(height, width, channels)
        self.patches, self.split, self.channels = patches, split, channels
        self.height, self.width, self.clip_frames = height, width, clip_frames

    def __len__(self) -> int:
        return count_clips(self.split)
