"""Several clips in one file: side by side in a video, one below the other in a strip."""

from fractions import Fraction
from math import ceil
from pathlib import Path

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from vidgan.files.video import write_clip

GRID_GAP = 2
"""Pixels between neighbouring clips."""


def write_grid(
    path: str | Path,
    clips: UInt8[Tensor, "clips time channel height width"],
    *,
    rate: Fraction | float | int,
    columns: int | None = None,
) -> None:
    """Writes the clips by the path's suffix, whole or not at all; missing folders are created.

    .mp4, .gif and a folder of frames show them in a grid, all in one row unless `columns` is given; .png shows each as
    a row of frames; .npy has an axis for them unless there is only one. Raises ValueError as write_clip does.
    """
    if Path(path).suffix.lower() in (".png", ".npy"):
        write_clip(path, clips if len(clips) > 1 else clips[0], rate=rate)
    else:
        write_clip(path, tile_clips(clips, columns=columns or len(clips)), rate=rate)


def tile_clips(
    clips: UInt8[Tensor, "clips time channel height width"], *, columns: int
) -> UInt8[Tensor, "time channel grid_height grid_width"]:
    """Joins clips into one that shows them in a grid, row by row, with white gaps; cells left over are black."""
    rows = ceil(len(clips) / columns)
    full = F.pad(clips, (0, 0, 0, 0, 0, 0, 0, 0, 0, rows * columns - len(clips)))
    spaced = F.pad(full, (0, GRID_GAP, 0, GRID_GAP), value=255)
    joined = rearrange(spaced, "(row column) t c h w -> t c (row h) (column w)", column=columns)
    return joined[..., :-GRID_GAP, :-GRID_GAP]
