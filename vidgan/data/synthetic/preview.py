"""A contact sheet of clips of a data set, for looking at the training data."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gancore.data import Sample
from gancore.files.atomic import atomic_write, create_parents
from vidgan.data.synthetic.mixture import Clips
from vidgan.files.grid import tile_clips
from vidgan.frames import convert_channels

COLUMNS = 4
"""Clips side by side."""


def write_sheet(path: str | Path, clips: Clips, *, count: int = 32, frames: int = 5, seed: int = 0) -> None:
    """Writes the first clips of a data set as a WebP picture: four a row, each as some of its frames, evenly spaced.

    Args:
        path: A file that ends in .webp; an older one is replaced.
        clips: Any data set of grey or RGB clips.
        count: Number of clips.
        frames: Frames shown of each.
        seed: The seed of the first clip, as far as clips depend on it; each next one has the next.

    Raises:
        ValueError: The path has another ending.
        OSError: The file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".webp":
        raise ValueError(f"a sheet is a .webp, not {path.name}")
    shown: list[Tensor] = []
    for index in range(min(count, len(clips))):
        clip = clips[Sample(index, seed + index)][0]
        last = len(clip) - 1
        spread = [round(number * last / max(1, frames - 1)) for number in range(frames)]
        shown.append(convert_channels(clip[spread], 3))
    sheet = tile_clips(torch.cat(shown)[:, None], columns=COLUMNS * frames)[0]
    create_parents(path)
    with atomic_write(path) as partial:
        Image.fromarray(sheet.permute(1, 2, 0).numpy()).save(partial, "WEBP", quality=80, method=6)
