"""Several clips in one file: beside one another in a video, one under the other in a strip."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from gancore.media import write_png
from gancore.reporting.contact_sheet import make_contact_sheet
from vidgan.files.video import write_clip

GRID_GAP = 2
"""Pixels between neighbours."""


def write_grid(
    path: str | Path,
    clips: UInt8[Tensor, "clips time channel height width"],
    *,
    rate: Fraction | float | int,
    columns: int | None = None,
    labels: Sequence[str] | None = None,
) -> None:
    """Writes the clips by the path's ending, whole or not at all; missing folders are made.

    .mp4, .gif and a folder of frames show them in a grid, all in one row unless `columns` is given; .png shows each as
    a row of frames, with its label before it if there are labels; .npy keeps an axis for them unless there is only one.
    Raises ValueError or OSError as write_clip does.
    """
    path = Path(path)
    if path.suffix == ".png" and labels is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, make_contact_sheet(clips, labels=labels))
    elif path.suffix in (".png", ".npy"):
        write_clip(path, clips if len(clips) > 1 else clips[0], rate=rate)
    else:
        write_clip(path, tile_clips(clips, columns=columns or len(clips)), rate=rate)


def tile_clips(
    clips: UInt8[Tensor, "clips time channel height width"], *, columns: int
) -> UInt8[Tensor, "time channel grid_height grid_width"]:
    """One clip that shows them all, row by row with white gaps between neighbours; places left over are black."""
    rows = ceil(len(clips) / columns)
    full = F.pad(clips, (0, 0, 0, 0, 0, 0, 0, 0, 0, rows * columns - len(clips)))
    spaced = F.pad(full, (0, GRID_GAP, 0, GRID_GAP), value=255)
    joined = rearrange(spaced, "(row column) t c h w -> t c (row h) (column w)", column=columns)
    return joined[..., :-GRID_GAP, :-GRID_GAP]
