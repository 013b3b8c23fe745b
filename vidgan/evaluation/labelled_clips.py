"""Real and generated clips as rows for a classifier."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.data import Sample, evenly_spaced
from gancore.evaluation.transfer import LabelledRows
from gancore.files.labelled_set import read_labelled_set
from gancore.splits import Split
from vidgan.data.dataset import open_video_clips
from vidgan.data_config import VideoDataConfig
from vidgan.frames import to_float

FRAMES, SIDE = 4, 16
"""Frames of a clip that a classifier sees, evenly spaced, and the pixels along their sides."""


def describe_clip(clip: UInt8[Tensor, "time channel height width"]) -> Float[np.ndarray, " features"]:
    """The pixels of a few small frames of a clip."""
    chosen = to_float(clip[evenly_spaced(len(clip), count=FRAMES)])
    return F.interpolate(chosen, (SIDE, SIDE), mode="bilinear", antialias=True).flatten().double().numpy()


def read_real_clips(folder: Path, *, split: Split, shape: tuple[int, int, int, int]) -> LabelledRows:
    """The clips of a part of a folder whose folders are classes, cut as held-out ones to this shape (t, h, w, c).

    Raises ValueError or OSError if there are none, or their classes are not known.
    """
    frames, height, width, channels = shape
    data = VideoDataConfig(
        path=str(folder),
        class_conditional=True,
        clip_frames=frames,
        context_frames=0,
        height=height,
        width=width,
        channels=channels,
    )
    clips = open_video_clips(data, split=split)
    items = [clips[Sample(number, 0)] for number in range(len(clips))]
    if not items:
        raise ValueError(f"{folder} has no clips in its part {split}")
    return _stack((clips.classes[item[1]], item[0]) for item in items)


def read_generated_clips(folder: Path) -> tuple[LabelledRows, tuple[int, int, int, int]]:
    """(The clips that `vidvox generate --dataset` wrote, the shape of one). Raises ValueError if there are none."""
    samples = list(read_labelled_set(folder))
    if not samples:
        raise ValueError(f"{folder} holds no clips")
    time, height, width, channels = samples[0].values.shape
    pairs = ((each.label, torch.from_numpy(each.values).permute(0, 3, 1, 2)) for each in samples)
    return _stack(pairs), (time, height, width, channels)


def _stack(pairs: Iterable[tuple[str, Tensor]]) -> LabelledRows:
    described = [(label, describe_clip(clip)) for label, clip in pairs]
    return LabelledRows(np.stack([row for _, row in described]), [label for label, _ in described])
