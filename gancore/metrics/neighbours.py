"""Metrics from distances to nearest neighbours: precision, recall, density, coverage, memorisation; one row per sample.

Distances are computed in float64, some rows at a time. Functions raise ValueError if widths differ, numbers are not
finite or there are too few samples.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from accelerate.utils import tqdm
from jaxtyping import Float, Int
from torch import Tensor

from gancore.metrics.checks import FeatureMatrix, FeaturesLike, require_samples, validate_pair

MAX_BLOCK_DISTANCES = 2**22
"""Largest number of distances held in memory at once."""
COPY_TOLERANCE = 1e-12
"""Squared distances below this share of the squared lengths may be rounding errors and count as zero."""


def precision_recall(real: FeaturesLike, fake: FeaturesLike, *, neighbours: int = 3) -> dict[str, float]:
    """Precision and recall with k = `neighbours` (Kynkaanniemi et al. 2019), and their harmonic mean.

    Precision is the share of fakes inside the k-NN ball of any real, recall the share of reals inside the ball of any
    fake. The k-NN ball of a sample reaches to its k-th nearest neighbour in its own set.
    """
    real, fake = validate_pair(real, fake, minimum=neighbours + 1)
    precision, recall = _fraction_within(fake, real, neighbours), _fraction_within(real, fake, neighbours)
    f_score = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": precision, "recall": recall, "f_score": f_score}


def _fraction_within(points: FeatureMatrix, others: FeatureMatrix, neighbours: int) -> float:
    radii = _kth_neighbour_radii(others, neighbours)
    return float(torch.cat([(block <= radii).any(1) for block in _distance_blocks(points, others)]).double().mean())


def density_coverage(real: FeaturesLike, fake: FeaturesLike, *, neighbours: int = 5) -> dict[str, float]:
    """Density and coverage with k = `neighbours` (Naeem et al. 2020).

    Density is the mean number of real k-NN balls that contain a fake, divided by k; coverage is the share of real balls
    that contain any fake. Both are near 1 for two sets from one distribution; density is higher where fakes crowd.
    """
    real, fake = validate_pair(real, fake, minimum=neighbours + 1)
    radii = _kth_neighbour_radii(real, neighbours)
    # Density excludes the surface of a ball, so that a set has density 1 in itself; coverage includes it, so that reals
    # that are all equal are covered by one more of the same.
    covered = torch.cat([block.amin(1) for block in _distance_blocks(real, fake)]) <= radii
    balls = torch.cat([(block < radii).sum(1) for block in _distance_blocks(fake, real)])
    return {"density": float(balls.double().mean()) / neighbours, "coverage": float(covered.double().mean())}


class NearestSamples(NamedTuple):
    """The nearest training samples of each sample, nearest first, and their Euclidean distances."""

    indices: Int[Tensor, "samples count"]
    distances: Float[Tensor, "samples count"]


def find_nearest(fake: FeaturesLike, train: FeaturesLike, *, count: int = 3) -> NearestSamples:
    """Finds the `count` training samples nearest to each fake."""
    fake, train = validate_pair(fake, train)
    require_samples(len(train), count)
    nearest = [block.topk(count, largest=False) for block in _distance_blocks(fake, train)]
    return NearestSamples(torch.cat([each.indices for each in nearest]), torch.cat([each.values for each in nearest]))


def memorised_share(fake: FeaturesLike, train: FeaturesLike) -> float:
    """Share of fakes whose nearest training sample is no further away than its own nearest training neighbour.

    1 for copies of the training set; unmemorised samples score about what held-out data score, which is above 0.
    """
    fake, train = validate_pair(fake, train)
    require_samples(len(train), 2)
    closest = find_nearest(fake, train, count=1)
    return float((closest.distances <= _kth_neighbour_radii(train, 1)[closest.indices]).double().mean())


def _kth_neighbour_radii(rows: FeatureMatrix, neighbours: int) -> Float[Tensor, " samples"]:
    """The distance from each row to its k-th nearest other row, k = `neighbours`."""
    return torch.cat([block.kthvalue(neighbours + 1, dim=1).values for block in _distance_blocks(rows, rows)])


def _distance_blocks(a: FeatureMatrix, b: FeatureMatrix) -> Iterator[Float[Tensor, "_some _samples"]]:
    """Euclidean distances from some rows of `a` at a time to all of `b`, rounded to float32 so that both ways agree.

    A matrix product computes them several times faster than differences would.
    """
    centre = b.mean(0)  # lengths from there are short, and so are rounding errors
    b = b - centre
    lengths = b.square().sum(1)
    for some in tqdm(a.split(max(1, MAX_BLOCK_DISTANCES // len(b))), unit="block", leave=False, delay=2):
        some = some - centre
        total = some.square().sum(1, keepdim=True) + lengths
        squared = torch.addmm(total, some, b.T, alpha=-2)
        yield squared.masked_fill_(squared < COPY_TOLERANCE * total, 0).sqrt_().float()
