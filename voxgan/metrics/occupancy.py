"""How much occupancies overlap: intersection over union of pairs and of all with all, and average precision."""

from collections.abc import Iterator, Sequence
from itertools import permutations, product

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

Occupancies = Bool[Tensor, "batch x y z"]
Probabilities = Float[Tensor, "batch x y z"]

SLAB_VOXELS = 2**15
"""Voxels of each object that are multiplied at once."""


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
    a, b = ours.flatten(1), theirs.flatten(1)
    parts = zip(
        a.split(SLAB_VOXELS, 1), b.split(SLAB_VOXELS, 1), strict=True
    )  # a matrix product wants bytes to be floats
    both = torch.stack([mine.float() @ other.float().T for mine, other in parts]).sum(0)
    either = a.sum(1)[:, None] + b.sum(1) - both
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def mean_pairwise_distance(occupancies: Occupancies) -> float:
    """The mean of 1 - IoU over all pairs of different objects: 0 where all are the same, or there is but one."""
    count = len(occupancies)
    if count < 2:
        return 0.0
    pairs = torch.triu_indices(count, count, offset=1)
    return float(1 - pairwise_iou(occupancies, occupancies)[pairs[0], pairs[1]].mean())


# --------------------------------------------------------------------------------------------------- average precision

IKEA_SIDE = 20
"""Side of the grid that objects of the IKEA set are compared on."""
MAX_SHIFT = 2
"""Voxels of it that alignment may move an object by, a tenth of the side."""


def average_precision(
    scores: Float[Tensor, " voxels"], labels: Bool[Tensor, "*batch voxels"]
) -> Float[Tensor, "*batch"]:
    """Area under precision over recall, with a step for each distinct score; 1 where there is nothing to find.

    As scikit-learn defines it: the sum over thresholds of the recall gained there times the precision there.
    """
    scores, order = scores.sort(descending=True)
    ends = torch.cat([scores[1:] < scores[:-1], torch.ones(1, dtype=torch.bool, device=scores.device)])
    hits = labels[..., order].cumsum(-1)[..., ends].double()
    precision = hits / (1 + ends.nonzero()[:, 0])
    gained = hits.diff(dim=-1, prepend=torch.zeros_like(hits[..., :1]))
    total = hits[..., -1]
    return torch.where(total > 0, (gained * precision).sum(-1) / total.clamp(min=1), 1.0)


def ikea_average_precision(probabilities: Float[Tensor, "x y z"], occupancy: Bool[Tensor, "x y z"]) -> dict[str, float]:
    """AP on 20^3 voxels as the object stands, and the best over 48 signed permutations of axes and shifts up to 10 %.

    Coarser voxels take the largest value in them. The search is that of 3D-VAE-GAN's IKEA protocol; it hides errors of
    pose. What a shift moves over the border still counts.
    """
    scores, truth = (F.pad(resample_grid(grid), [MAX_SHIFT] * 6) for grid in (probabilities, occupancy.float()))
    above = descending_ranks(scores.flatten()).view(scores.shape)
    everywhere, voxels = all_shifts(above), above.numel()
    precisions = (
        average_precision_from_ranks(everywhere[:, turned > 0.5], voxels) for turned in signed_permutations(truth)
    )
    best = max(float(each.max()) for each in precisions)
    return {"ap": float(average_precision_from_ranks(above[truth > 0.5][None], voxels)), "ap_aligned": best}


def descending_ranks(scores: Float[Tensor, " voxels"]) -> Int64[Tensor, " voxels"]:
    """How many voxels score as high as each, itself among them."""
    return len(scores) - torch.searchsorted(scores.sort().values, scores)


def average_precision_from_ranks(above: Int64[Tensor, "batch found"], voxels: int) -> Float[Tensor, " batch"]:
    """Average precision by what `at_least` says of those voxels, of so many, that are to be found."""
    hits = torch.zeros(len(above), voxels + 1, dtype=torch.int32)
    hits.scatter_add_(1, above, torch.ones_like(above, dtype=torch.int32))
    found = hits.cumsum(1, dtype=torch.int32).gather(1, above)
    return (found / above.double()).mean(1) if above.shape[1] else torch.ones(len(above), dtype=torch.float64)


def resample_grid(grid: Float[Tensor, "x y z"]) -> Float[Tensor, "20 20 20"]:
    if grid.shape[0] > IKEA_SIDE:
        return F.adaptive_max_pool3d(grid[None], IKEA_SIDE)[0]
    return F.interpolate(grid[None, None], size=(IKEA_SIDE,) * 3)[0, 0]


def signed_permutations(grid: Float[Tensor, "side side side"]) -> Iterator[Float[Tensor, "side side side"]]:
    """The 48 signed permutations of its axes, mirrored ones among them."""
    for axes in permutations(range(3)):
        for flipped in product((False, True), repeat=3):
            yield grid.permute(axes).flip([axis for axis in range(3) if flipped[axis]])


def all_shifts(grid: Int64[Tensor, "side side side"]) -> Int64[Tensor, "shifts side side side"]:
    """The grid moved by up to SHIFT voxels along every axis, all around."""
    return torch.stack([grid.roll(shift, (0, 1, 2)) for shift in product(range(-MAX_SHIFT, MAX_SHIFT + 1), repeat=3)])
