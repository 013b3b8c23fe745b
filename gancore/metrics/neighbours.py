"""Whether samples lie among others, by the distances to their nearest neighbours; rows are samples.

Distances are computed in float64, some rows at a time. See gancore.metrics.checks for the errors raised.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from accelerate.utils import tqdm
from jaxtyping import Float, Int
from torch import Tensor

from gancore.metrics.checks import FeatureMatrix, FeaturesLike, require_samples, validate_pair

MAX_BLOCK_DISTANCES = 2**22
"""Distances that are held at once."""
COPY_TOLERANCE = 1e-12
"""Squared distance over squared lengths below which rounding may have made it, so that it counts as none."""


def precision_recall(real: FeaturesLike, fake: FeaturesLike, *, neighbours: int = 3) -> dict[str, float]:
    """Precision, the share of fakes among reals, recall, of reals among fakes, and their harmonic mean.

    Among: no further from some sample than its own k-th nearest neighbour is, k being neighbours (Kynkaanniemi et al.
    2019).
    """
    real, fake = validate_pair(real, fake, minimum=neighbours + 1)
    precision, recall = _fraction_within(fake, real, neighbours), _fraction_within(real, fake, neighbours)
    f_score = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": precision, "recall": recall, "f_score": f_score}


def _fraction_within(points: FeatureMatrix, others: FeatureMatrix, neighbours: int) -> float:
    radii = _kth_neighbour_radii(others, neighbours)
    return float(torch.cat([(block <= radii).any(1) for block in _distance_blocks(points, others)]).double().mean())


def density_coverage(real: FeaturesLike, fake: FeaturesLike, *, neighbours: int = 5) -> dict[str, float]:
    """Density, of how many reals a fake is a neighbour, over k, and coverage, the share of reals that have such a fake.

    A neighbour is as near as a real one's k-th nearest other real one, k being neighbours (Naeem et al. 2020). Of like
    sets both are near 1; density exceeds it where fakes crowd.
    """
    real, fake = validate_pair(real, fake, minimum=neighbours + 1)
    radii = _kth_neighbour_radii(real, neighbours)
    # Density counts what is nearer, so that a set is exactly 1 dense in itself; coverage also what is as near, so that
    # reals which are all alike are covered by one more.
    covered = torch.cat([block.amin(1) for block in _distance_blocks(real, fake)]) <= radii
    among = torch.cat([(block < radii).sum(1) for block in _distance_blocks(fake, real)])
    return {"density": float(among.double().mean()) / neighbours, "coverage": float(covered.double().mean())}


class NearestSamples(NamedTuple):
    """Which training samples are nearest to each sample, nearest first, and how far they are."""

    indices: Int[Tensor, "samples count"]
    distances: Float[Tensor, "samples count"]


def find_nearest(fake: FeaturesLike, train: FeaturesLike, *, count: int = 3) -> NearestSamples:
    """See Nearest."""
    fake, train = validate_pair(fake, train)
    require_samples(len(train), count)
    found = [block.topk(count, largest=False) for block in _distance_blocks(fake, train)]
    return NearestSamples(torch.cat([each.indices for each in found]), torch.cat([each.values for each in found]))


def memorised_share(fake: FeaturesLike, train: FeaturesLike) -> float:
    """The share of samples no further from a training sample than that one's own nearest training neighbour is.

    1 for copies; what is fresh has about as much as held-out samples have, which is not 0.
    """
    fake, train = validate_pair(fake, train)
    require_samples(len(train), 2)
    closest = find_nearest(fake, train, count=1)
    return float((closest.distances <= _kth_neighbour_radii(train, 1)[closest.indices]).double().mean())


def _kth_neighbour_radii(rows: FeatureMatrix, neighbours: int) -> Float[Tensor, " samples"]:
    """How far the last of so many nearest other rows is from each."""
    return torch.cat([block.kthvalue(neighbours + 1, dim=1).values for block in _distance_blocks(rows, rows)])


def _distance_blocks(a: FeatureMatrix, b: FeatureMatrix) -> Iterator[Float[Tensor, "_some _samples"]]:
    """Euclidean distances of some rows of a from all of b at a time, rounded so that they are the same both ways.

    By a matrix product, which is some times faster than differences.
    """
    centre = b.mean(0)  # lengths from there are short, and so are rounding errors
    b = b - centre
    lengths = b.square().sum(1)
    for some in tqdm(a.split(max(1, MAX_BLOCK_DISTANCES // len(b))), unit="block", leave=False, delay=2):
        some = some - centre
        both = some.square().sum(1, keepdim=True) + lengths
        squared = torch.addmm(both, some, b.T, alpha=-2)
        yield squared.masked_fill_(squared < COPY_TOLERANCE * both, 0).sqrt_().float()
