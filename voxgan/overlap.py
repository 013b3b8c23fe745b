"""How much occupancies overlap: intersection over union of pairs, at thresholds, and of all with all."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Occupancies = Bool[Tensor, "batch x y z"]
Probabilities = Float[Tensor, "batch x y z"]


def iou(ours: Occupancies, theirs: Occupancies) -> Float[Tensor, " batch"]:
    """Intersection over union of each pair; 1 where both are empty."""
    both, either = (ours & theirs).sum((1, 2, 3)), (ours | theirs).sum((1, 2, 3))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def iou_at(
    probabilities: Probabilities, occupancies: Occupancies, thresholds: Sequence[float]
) -> Float[Tensor, "batch thresholds"]:
    """Intersection over union of each pair, voxels counting as occupied above each threshold."""
    return torch.stack([iou(probabilities > threshold, occupancies) for threshold in thresholds], 1)


def pairwise_iou(
    ours: Bool[Tensor, "ours x y z"], theirs: Bool[Tensor, "theirs x y z"]
) -> Float[Tensor, "ours theirs"]:
    """Intersection over union of each of ours with each of theirs; 1 where both are empty."""
    a, b = ours.flatten(1).float(), theirs.flatten(1).float()
    both = a @ b.T
    either = a.sum(1)[:, None] + b.sum(1) - both
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def spread(occupancies: Occupancies) -> float:
    """The mean of 1 - IoU over all pairs of different objects: 0 where all are the same."""
    count = len(occupancies)
    pairs = torch.triu_indices(count, count, offset=1)
    return float(1 - pairwise_iou(occupancies, occupancies)[pairs[0], pairs[1]].mean())
