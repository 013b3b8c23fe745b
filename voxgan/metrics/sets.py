"""How a set of generated objects lies among real ones: COV, MMD, 1-NNA and JSD (Achlioptas et al. 2018; PointFlow)."""

import torch
from accelerate.utils import tqdm
from jaxtyping import Bool, Float
from scipy.spatial.distance import jensenshannon
from torch import Tensor

CHUNK = 32
"""Objects compared with one at once."""
CDIST_MODE = "donot_use_mm_for_euclid_dist"
"""A matrix product would be faster, but find points that coincide some way apart."""


def coverage(distances: Float[Tensor, "made real"]) -> float:
    """COV: the share of real objects that are the nearest one of some made object. 1 is best; noise may raise it."""
    return distances.argmin(1).unique().numel() / distances.shape[1]


def minimum_matching_distance(distances: Float[Tensor, "made real"]) -> float:
    """MMD: the mean over real objects of the distance to the nearest made one; it hardly sees bad ones among good."""
    return float(distances.amin(0).mean())


def one_nearest_neighbour_accuracy(
    made: Float[Tensor, "made made"], between: Float[Tensor, "made real"], real: Float[Tensor, "real real"]
) -> float:
    """1-NNA: how often an object's nearest other one is of its own set. 0.5 is best; 0 means copies, 1 nothing alike.

    Of several nearest ones each counts its share. Raises ValueError if the sets are not of one size.
    """
    if len(made) != len(real):
        raise ValueError(f"1-NNA compares sets of one size, not {len(made)} and {len(real)}")
    distances = torch.cat([torch.cat([made, between], 1), torch.cat([between.T, real], 1)])
    distances = distances.clone().fill_diagonal_(torch.inf)
    closest = distances == distances.amin(1, keepdim=True)
    own = torch.arange(2 * len(made)) < len(made)
    same = own[:, None] == own
    return float(((closest & same).sum(1) / closest.sum(1)).mean())


def set_metrics(
    made: Float[Tensor, "made made"], between: Float[Tensor, "made real"], real: Float[Tensor, "real real"]
) -> dict[str, float]:
    """COV, MMD and 1-NNA by these distances."""
    return {
        "cov": coverage(between),
        "mmd": minimum_matching_distance(between),
        "1nna": one_nearest_neighbour_accuracy(made, between, real),
    }


def occupancy_divergence(made: Bool[Tensor, "made x y z"], real: Bool[Tensor, "real x y z"]) -> float:
    """JSD in bits of where in the cube matter lies, voxel by voxel: 0 is best; the mean shape alone scores well.

    1, the worst, where one set has no matter at all.
    """
    ours, theirs = (objects.sum(0).flatten().double().numpy() for objects in (made, real))
    if not (ours.any() and theirs.any()):
        return float(ours.any() or theirs.any())
    return float(jensenshannon(ours, theirs, base=2) ** 2)


def pairwise_chamfer(
    ours: Float[Tensor, "ours points 3"], theirs: Float[Tensor, "theirs points 3"]
) -> Float[Tensor, "ours theirs"]:
    """cd_l2_sum of every pair of point sets: the sum of both mean squared distances to the nearest point."""
    rows = []
    for points in tqdm(ours, unit="object", leave=False):
        squared = [torch.cdist(points[None], some, compute_mode=CDIST_MODE) ** 2 for some in theirs.split(CHUNK)]
        rows.append(torch.cat([each.amin(2).mean(1) + each.amin(1).mean(1) for each in squared]))
    return torch.stack(rows)
