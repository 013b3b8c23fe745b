"""Metrics of occupancies: intersection over union (IoU), paired or of all pairs, and average precision."""

from collections.abc import Iterator, Sequence
from itertools import permutations, product

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

Occupancies = Bool[Tensor, "batch x y z"]
Probabilities = Float[Tensor, "batch x y z"]

SLAB_VOXELS = 2**15
"""Voxels of each object per matrix product, which bounds the memory."""


def coarsen(probabilities: Probabilities, side: int) -> Float[Tensor, "batch side side side"]:
    """Average probabilities over cubes of voxels, down to `side` a side, which must divide theirs."""
    factor = probabilities.shape[1] // side
    return probabilities if factor == 1 else F.avg_pool3d(probabilities, factor)


def iou(ours: Occupancies, theirs: Occupancies) -> Float[Tensor, " batch"]:
    """IoU of each pair, in [0, 1], higher is better; 1 where both are empty."""
    both, either = (ours & theirs).sum((1, 2, 3)), (ours | theirs).sum((1, 2, 3))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def iou_at(
    probabilities: Probabilities, occupancies: Occupancies, thresholds: Sequence[float]
) -> Float[Tensor, "batch thresholds"]:
    """IoU of each pair at each threshold above which a probability counts as occupied."""
    return torch.stack([iou(probabilities > threshold, occupancies) for threshold in thresholds], 1)


def pairwise_iou(
    ours: Bool[Tensor, "ours x y z"], theirs: Bool[Tensor, "theirs x y z"]
) -> Float[Tensor, "ours theirs"]:
    """IoU of each of ours with each of theirs; 1 where both are empty."""
    a, b = ours.flatten(1), theirs.flatten(1)
    slabs = zip(a.split(SLAB_VOXELS, 1), b.split(SLAB_VOXELS, 1), strict=True)
    both = torch.stack([mine.float() @ other.float().T for mine, other in slabs]).sum(0)
    either = a.sum(1)[:, None] + b.sum(1) - both
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def mean_pairwise_distance(occupancies: Occupancies) -> float:
    """The mean of 1 - IoU over all pairs of objects, in [0, 1]: diversity; 0 if all are equal or there is only one."""
    count = len(occupancies)
    if count < 2:
        return 0.0
    pairs = torch.triu_indices(count, count, offset=1)
    return float(1 - pairwise_iou(occupancies, occupancies)[pairs[0], pairs[1]].mean())


# --------------------------------------------------------------------------------------------------- average precision

IKEA_SIDE = 20
"""Side of the grid on which objects of the IKEA data set are compared."""
MAX_SHIFT = 2
"""Largest shift in voxels of the alignment, a tenth of that side."""


def average_precision(
    scores: Float[Tensor, " voxels"], labels: Bool[Tensor, "*batch voxels"]
) -> Float[Tensor, "*batch"]:
    """Average precision, in [0, 1], higher is better; 1 where no label is true.

    As in scikit-learn, it is the sum over all distinct scores, as thresholds, of the gain in recall times the
    precision.
    """
    scores, order = scores.sort(descending=True)
    ends = torch.cat([scores[1:] < scores[:-1], torch.ones(1, dtype=torch.bool, device=scores.device)])
    hits = labels[..., order].cumsum(-1)[..., ends].double()
    precision = hits / (1 + ends.nonzero()[:, 0])
    gained = hits.diff(dim=-1, prepend=torch.zeros_like(hits[..., :1]))
    total = hits[..., -1]
    return torch.where(total > 0, (gained * precision).sum(-1) / total.clamp(min=1), 1.0)


def ikea_average_precision(probabilities: Float[Tensor, "x y z"], occupancy: Bool[Tensor, "x y z"]) -> dict[str, float]:
    """Average precision on 20^3 voxels: `ap` without alignment, `ap_aligned` the best over poses and shifts.

    Poses are the 48 signed permutations of the axes, shifts up to 10 % of the side along each. The search follows the
    IKEA protocol of 3D-VAE-GAN (Wu et al. 2016), which hides errors of pose. A coarse voxel takes the largest value in
    it, and voxels that a shift moves beyond the grid still count.
    """
    scores, truth = (F.pad(resample_grid(grid), [MAX_SHIFT] * 6) for grid in (probabilities, occupancy.float()))
    ranks = descending_ranks(scores.flatten()).view(scores.shape)
    shifted, voxels = all_shifts(ranks), ranks.numel()
    precisions = (average_precision_from_ranks(shifted[:, pose > 0.5], voxels) for pose in signed_permutations(truth))
    best = max(float(each.max()) for each in precisions)
    return {"ap": float(average_precision_from_ranks(ranks[truth > 0.5][None], voxels)), "ap_aligned": best}


def descending_ranks(scores: Float[Tensor, " voxels"]) -> Int64[Tensor, " voxels"]:
    """For each voxel, the number of voxels with at least its score, itself included."""
    return len(scores) - torch.searchsorted(scores.sort().values, scores)


def average_precision_from_ranks(ranks: Int64[Tensor, "batch positives"], voxels: int) -> Float[Tensor, " batch"]:
    """Average precision from the `descending_ranks`, among `voxels` voxels, of those whose label is true."""
    hits = torch.zeros(len(ranks), voxels + 1, dtype=torch.int32)
    hits.scatter_add_(1, ranks, torch.ones_like(ranks, dtype=torch.int32))
    true_positives = hits.cumsum(1, dtype=torch.int32).gather(1, ranks)
    return (true_positives / ranks.double()).mean(1) if ranks.shape[1] else torch.ones(len(ranks), dtype=torch.float64)


def resample_grid(grid: Float[Tensor, "x y z"]) -> Float[Tensor, "20 20 20"]:
    """The grid on IKEA_SIDE^3 voxels: maxima of a finer grid, nearest voxels of a coarser one."""
    if grid.shape[0] > IKEA_SIDE:
        return F.adaptive_max_pool3d(grid[None], IKEA_SIDE)[0]
    return F.interpolate(grid[None, None], size=(IKEA_SIDE,) * 3)[0, 0]


def signed_permutations(grid: Float[Tensor, "side side side"]) -> Iterator[Float[Tensor, "side side side"]]:
    """The grid under the 48 signed permutations of its axes, reflections included."""
    for axes in permutations(range(3)):
        for flipped in product((False, True), repeat=3):
            yield grid.permute(axes).flip([axis for axis in range(3) if flipped[axis]])


def all_shifts(grid: Int64[Tensor, "side side side"]) -> Int64[Tensor, "shifts side side side"]:
    """The grid rolled by every shift of up to MAX_SHIFT voxels along each axis."""
    return torch.stack([grid.roll(shift, (0, 1, 2)) for shift in product(range(-MAX_SHIFT, MAX_SHIFT + 1), repeat=3)])
