"""Real and generated voxels as features for a classifier."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float

from gancore.evaluation.transfer import LabelledRows
from gancore.files.labelled_set import read_labelled_set
from gancore.splits import Split
from voxgan.data.packed import open_packed_dataset

SIDE = 16
"""Cells along each side of the grid that a classifier sees."""


def describe_voxels(occupancy: np.ndarray) -> Float[np.ndarray, " features"]:
    """The mean occupancy of each cell of a coarse grid, SIDE a side, flattened."""
    grid = torch.from_numpy(np.ascontiguousarray(occupancy)).float()[None, None]
    return F.adaptive_avg_pool3d(grid, SIDE).flatten().double().numpy()


def read_real_voxels(source: str, *, split: Split) -> LabelledRows:
    """The objects of a split of a prepared data set. Raises ValueError if there are none, or they have no classes."""
    packed = open_packed_dataset(source)
    found = [(packed.objects[index].label, describe_voxels(packed.occupancy(index))) for index in packed.indices(split)]
    if not found or not packed.classes:
        raise ValueError(f"{source} has no objects with classes in its split {split}")
    return LabelledRows(np.stack([row for _, row in found]), [str(label) for label, _ in found])


def read_generated_voxels(folder: Path) -> LabelledRows:
    """The objects that `vidvox generate --dataset` wrote. Raises ValueError if there are none."""
    found = [(each.label, describe_voxels(each.values)) for each in read_labelled_set(folder)]
    if not found:
        raise ValueError(f"{folder} holds no objects")
    return LabelledRows(np.stack([row for _, row in found]), [label for label, _ in found])
