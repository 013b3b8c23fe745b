"""Metrics of a set of generated objects against real ones: COV, MMD, 1-NNA, JSD (Achlioptas et al. 2018; PointFlow)."""

import torch
from accelerate.utils import tqdm
from jaxtyping import Bool, Float
from scipy.spatial.distance import jensenshannon
from torch import Tensor

CHUNK = 32
"""Objects that one object is compared with at a time."""
CDIST_MODE = "donot_use_mm_for_euclid_dist"
"""Exact distances; those by a matrix product would be faster, but not 0 for points that coincide."""


def coverage(distances: Float[Tensor, "generated real"]) -> float:
    """COV: the share of real objects that are nearest to some generated object; in [0, 1], higher is better.

    Noise in the generated objects can raise it.
    """
    return distances.argmin(1).unique().numel() / distances.shape[1]


def minimum_matching_distance(distances: Float[Tensor, "generated real"]) -> float:
    """MMD: the mean distance from each real object to the nearest generated one; lower is better.

    A few bad generated objects hardly change it.
    """
    return float(distances.amin(0).mean())


def one_nearest_neighbour_accuracy(
    generated: Float[Tensor, "generated generated"],
    between: Float[Tensor, "generated real"],
    real: Float[Tensor, "real real"],
) -> float:
    """1-NNA: the share of objects whose nearest neighbour belongs to their own set, in [0, 1].

    0.5 is best; 0 means copies, 1 that the sets are separable. Neighbours at equal distance share the vote. Takes the
    distances within both sets and `between` them. Raises ValueError if the sets differ in size.
    """
    if len(generated) != len(real):
        raise ValueError(f"1-NNA compares sets of the same size, not {len(generated)} and {len(real)}")
    distances = torch.cat([torch.cat([generated, between], 1), torch.cat([between.T, real], 1)])
    distances = distances.clone().fill_diagonal_(torch.inf)
    closest = distances == distances.amin(1, keepdim=True)
    own = torch.arange(2 * len(generated)) < len(generated)
    same = own[:, None] == own
    return float(((closest & same).sum(1) / closest.sum(1)).mean())


def set_metrics(
    generated: Float[Tensor, "generated generated"],
    between: Float[Tensor, "generated real"],
    real: Float[Tensor, "real real"],
) -> dict[str, float]:
    """COV, MMD and 1-NNA from the distances within both sets and between them."""
    return {
        "cov": coverage(between),
        "mmd": minimum_matching_distance(between),
        "1nna": one_nearest_neighbour_accuracy(generated, between, real),
    }


def occupancy_divergence(generated: Bool[Tensor, "generated x y z"], real: Bool[Tensor, "real x y z"]) -> float:
    """JSD in bits between the distributions of filled voxels over the cube, in [0, 1]; 0 is best, 1 if one set is
    empty.

    It is 0 if both sets are empty. Copies of the mean shape score well, too.
    """
    ours, theirs = (objects.sum(0).flatten().double().numpy() for objects in (generated, real))
    if not (ours.any() and theirs.any()):
        return float(ours.any() or theirs.any())
    return float(jensenshannon(ours, theirs, base=2) ** 2)


def pairwise_chamfer(
    ours: Float[Tensor, "ours points 3"], theirs: Float[Tensor, "theirs points 3"]
) -> Float[Tensor, "ours theirs"]:
    """cd_l2_sum of every pair of point sets: the mean squared distances to nearest points, summed over both ways."""
    rows = []
    for points in tqdm(ours, unit="object", leave=False):
        squared = [torch.cdist(points[None], some, compute_mode=CDIST_MODE) ** 2 for some in theirs.split(CHUNK)]
        rows.append(torch.cat([each.amin(2).mean(1) + each.amin(1).mean(1) for each in squared]))
    return torch.stack(rows)
