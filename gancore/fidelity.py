"""How alike two sets of samples are, by features of any network or by raw numbers; rows are samples.

Everything is computed in float64 on the CPU, whatever comes in. Functions raise ValueError where widths differ, numbers
are not finite or samples are too few. Where samples are drawn, the draw depends on the seed and not on their order.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from accelerate.utils import tqdm
from jaxtyping import Float, Int
from scipy import stats
from scipy.optimize import linear_sum_assignment
from torch import Tensor

Features = Float[Tensor, "_samples _width"] | Float[np.ndarray, "_samples _width"]
Rows = Float[Tensor, "_samples _width"]

BLOCK = 2**22
"""Distances that are held at once."""
EXACT = "donot_use_mm_for_euclid_dist"
"""A matrix product would be faster, but find copies some way apart."""
LARGEST_ASSIGNMENT = 4096
"""Samples of a set that an exact Wasserstein distance takes; time grows with their cube."""
DRAWN = 1024
"""Samples of each set whose exact Wasserstein distance `fidelity` gives."""
LEAST_SAMPLES = 6
"""Samples that `fidelity` needs of each set."""


@dataclass(frozen=True)
class Estimate:
    """A mean over parts of the samples, and that mean less and plus the standard deviation over the parts."""

    value: float
    low: float
    high: float

    @classmethod
    def over(cls, parts: Float[Tensor, " parts"]) -> "Estimate":
        value, deviation = float(parts.mean()), float(parts.std(correction=0))
        return cls(value, value - deviation, value + deviation)


def fidelity(real: Features, fake: Features, *, seed: int = 0) -> dict[str, float]:
    """All the numbers here that compare two sets and need no classes, from at least LEAST_SAMPLES of each.

    wasserstein is that of as many samples of each, DRAWN at most.
    """
    real, fake = _pair(real, fake, least=LEAST_SAMPLES)
    kernel = kernel_distance(real, fake, seed=seed)
    few = min(len(real), len(fake), DRAWN)
    return {
        "frechet_distance": frechet_distance(Moments.of(real), Moments.of(fake)),
        "kernel_distance": kernel.value,
        "kernel_distance_low": kernel.low,
        "kernel_distance_high": kernel.high,
        "wasserstein": wasserstein(*(_shuffled(rows, _generator(seed))[:few] for rows in (real, fake))),
        "sliced_wasserstein": sliced_wasserstein(real, fake, seed=seed),
        "feature_matching": feature_matching(real, fake),
        **precision_recall(real, fake),
        **density_coverage(real, fake),
    }


# --------------------------------------------------------------------------------------------------------- Gaussians


class Moments:
    """Mean and covariance of rows that come batch by batch; neither their order nor the size of a batch matters."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = self._scatter = torch.zeros(0)

    @classmethod
    def of(cls, features: Features) -> "Moments":
        """Those of all rows at once."""
        moments = cls()
        moments.add(features)
        return moments

    def add(self, features: Features) -> None:
        """Takes in one more batch (Chan, Golub and LeVeque 1979: no large sums that cancel)."""
        rows = _rows(features)
        if not self.count:
            self._mean, self._scatter = torch.zeros(rows.shape[1]).double(), torch.zeros([rows.shape[1]] * 2).double()
        _same_width(self._mean.shape[0], rows.shape[1])
        if not len(rows):
            return
        mean, before = rows.mean(0), self.count
        self.count += len(rows)
        step, centred = mean - self._mean, rows - mean
        self._scatter = self._scatter + centred.T @ centred + step.outer(step) * (before * len(rows) / self.count)
        self._mean = self._mean + step * (len(rows) / self.count)

    @property
    def mean(self) -> Float[Tensor, " width"]:
        _enough(self.count, 1)
        return self._mean

    @property
    def covariance(self) -> Float[Tensor, "width width"]:
        """Divided by one less than the number of rows. Raises ValueError for fewer than two."""
        _enough(self.count, 2)
        return self._scatter / (self.count - 1)


def frechet_distance(real: Moments, fake: Moments) -> float:
    """Squared Wasserstein-2 distance of two Gaussians of these moments (Dowson and Landau 1982): FID, FVD.

    The trace of the root of both covariances' product is the sum of singular values of the product of their factors;
    that holds for singular covariances too, and its rounding is not magnified by a root.
    """
    _same_width(len(real.mean), len(fake.mean))
    ours, theirs = real.covariance, fake.covariance
    common = torch.linalg.svdvals(_factor(ours).T @ _factor(theirs)).sum()
    apart = (real.mean - fake.mean).square().sum()
    return max(0.0, float(apart + ours.trace() + theirs.trace() - 2 * common))


def _factor(covariance: Float[Tensor, "width width"]) -> Float[Tensor, "width rank"]:
    """A matrix that makes the covariance when multiplied with its transpose."""
    values, vectors = torch.linalg.eigh(covariance)
    rounding = values[-1] * len(values) * torch.finfo(values.dtype).eps
    present = values > rounding
    return vectors[:, present] * values[present].sqrt()


def feature_matching(real: Features, fake: Features) -> float:
    """Euclidean distance of the two means (Salimans et al. 2016)."""
    a, b = _pair(real, fake)
    return float((a.mean(0) - b.mean(0)).norm())


# ------------------------------------------------------------------------------------------------- any distribution


def kernel_distance(real: Features, fake: Features, *, subsets: int = 100, size: int = 1000, seed: int = 0) -> Estimate:
    """KID (Binkowski et al. 2018): unbiased squared MMD by the kernel (x.y / width + 1)^3, over random subsets.

    A subset has at most half of the smaller set, or all would be alike. Near zero it may be negative.
    """
    a, b = _pair(real, fake, least=4)
    size, generator = min(size, len(a) // 2, len(b) // 2), _generator(seed)
    a, b = _shuffled(a, generator), _shuffled(b, generator)
    return Estimate.over(
        torch.stack(
            [
                _squared_mmd(_subset(a, size, generator), _subset(b, size, generator))
                for _ in tqdm(range(subsets), unit="subset", leave=False, delay=2)
            ]
        )
    )


def _squared_mmd(a: Rows, b: Rows) -> Float[Tensor, ""]:
    within = sum(_kernel(rows, rows).fill_diagonal_(0).sum() / (len(rows) * (len(rows) - 1)) for rows in (a, b))
    return within - 2 * _kernel(a, b).mean()


def _kernel(a: Rows, b: Rows) -> Rows:
    return (a @ b.T / a.shape[1] + 1) ** 3


def wasserstein(a: Features, b: Features) -> float:
    """Wasserstein-1 distance by exact assignment: the mean Euclidean distance of samples paired so that it is least.

    Raises ValueError if there are not as many of both, or more than 4096.
    """
    a, b = _pair(a, b)
    if len(a) != len(b) or len(a) > LARGEST_ASSIGNMENT:
        raise ValueError(
            f"an exact Wasserstein distance takes as many samples of both sets and at most {LARGEST_ASSIGNMENT}, "
            f"not {len(a)} and {len(b)}: use fewer, or the sliced one"
        )
    distances = torch.cdist(a, b, compute_mode=EXACT).numpy()
    return float(distances[linear_sum_assignment(distances)].mean())


def sliced_wasserstein(a: Features, b: Features, *, projections: int = 128, seed: int = 0) -> float:
    """Mean Wasserstein-1 distance of the sets projected on random directions (Bonneel et al. 2015)."""
    a, b = _pair(a, b)
    directions = torch.randn(a.shape[1], projections, generator=_generator(seed), dtype=torch.float64)
    directions /= directions.norm(dim=0)
    lines = zip((a @ directions).T.numpy(), (b @ directions).T.numpy(), strict=True)
    return float(np.mean([stats.wasserstein_distance(ours, theirs) for ours, theirs in lines]))


# ------------------------------------------------------------------------------------------------------- neighbours


def precision_recall(real: Features, fake: Features, *, neighbours: int = 3) -> dict[str, float]:
    """Precision, the share of fakes among reals, recall, of reals among fakes, and their harmonic mean.

    Among: no further from some sample than that one's so-manieth nearest neighbour is (Kynkaanniemi et al. 2019).
    """
    real, fake = _pair(real, fake, least=neighbours + 1)
    precision, recall = _share_among(fake, real, neighbours), _share_among(real, fake, neighbours)
    f_score = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": precision, "recall": recall, "f_score": f_score}


def _share_among(points: Rows, others: Rows, neighbours: int) -> float:
    radii = _radii(others, neighbours)
    return float(torch.cat([(block <= radii).any(1) for block in _distances(points, others)]).double().mean())


def density_coverage(real: Features, fake: Features, *, neighbours: int = 5) -> dict[str, float]:
    """Density, how many reals a fake is among, and coverage, the share of reals with a fake near (Naeem et al. 2020).

    Both are 1 at best, but density may exceed it where fakes crowd.
    """
    real, fake = _pair(real, fake, least=neighbours + 1)
    radii = _radii(real, neighbours)
    # A real one that has copies has a radius of zero and is covered by one more copy; for density less is right, as a
    # set is then exactly 1 dense in itself.
    covered = torch.cat([block.amin(1) for block in _distances(real, fake)]) <= radii
    among = torch.cat([(block < radii).sum(1) for block in _distances(fake, real)])
    return {"density": float(among.double().mean()) / neighbours, "coverage": float(covered.double().mean())}


class Nearest(NamedTuple):
    """Which training samples are nearest to each sample, nearest first, and how far they are."""

    indices: Int[Tensor, "samples count"]
    distances: Float[Tensor, "samples count"]


def nearest(fake: Features, train: Features, *, count: int = 3) -> Nearest:
    """See Nearest."""
    fake, train = _pair(fake, train)
    _enough(len(train), count)
    found = [block.topk(count, largest=False) for block in _distances(fake, train)]
    return Nearest(torch.cat([each.indices for each in found]), torch.cat([each.values for each in found]))


def memorised_share(fake: Features, train: Features) -> float:
    """The share of samples no further from a training sample than that one's own nearest training neighbour is.

    1 for copies; what is fresh has about as much as held-out samples have, which is not 0.
    """
    fake, train = _pair(fake, train)
    _enough(len(train), 2)
    closest = nearest(fake, train, count=1)
    return float((closest.distances <= _radii(train, 1)[closest.indices]).double().mean())


def _radii(rows: Rows, neighbours: int) -> Float[Tensor, " samples"]:
    """How far the so-manieth nearest other row is from each."""
    return torch.cat([block.kthvalue(neighbours + 1, dim=1).values for block in _distances(rows, rows)])


def _distances(a: Rows, b: Rows) -> Iterator[Rows]:
    """Euclidean distances of some rows of a from all of b at a time."""
    for some in tqdm(a.split(max(1, BLOCK // len(b))), unit="block", leave=False, delay=2):
        yield torch.cdist(some, b, compute_mode=EXACT)


# ---------------------------------------------------------------------------------------------------------- classes


def inception_score(outputs: Features, *, splits: int = 10, seed: int = 0) -> Estimate:
    """exp of the mean KL of each sample's classes from all samples' classes (Salimans et al. 2016), over random splits.

    Outputs are a classifier's logits, or probabilities if every row sums to one. Best is the number of classes.
    """
    rows = _rows(outputs)
    _enough(len(rows), splits)
    parts = _shuffled(_probabilities(rows), _generator(seed)).tensor_split(splits)
    return Estimate.over(torch.stack([_score(part) for part in parts]))


def _probabilities(rows: Rows) -> Rows:
    given = bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-3).all())
    return rows / rows.sum(1, keepdim=True) if given else rows.softmax(1)


def _score(part: Rows) -> Float[Tensor, ""]:
    average = part.mean(0)
    return (torch.xlogy(part, part).sum(1).mean() - torch.xlogy(average, average).sum()).exp()


class Modes(NamedTuple):
    """How many classes samples fall into, their share of all classes, and KL of how often from uniform, in nats."""

    hit: int
    share: float
    kl: float


def modes_hit(predicted: Int[Tensor, " samples"] | Int[np.ndarray, " samples"], classes: int) -> Modes:
    """See Modes; predicted is the class of each sample, from 0 on. Raises ValueError for another class."""
    labels = torch.as_tensor(predicted).cpu().long()
    _enough(len(labels), 1)
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"classes from 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
    counts = labels.bincount(minlength=classes)
    shares = counts.double() / len(labels)
    hit = int((counts > 0).sum())
    return Modes(hit, hit / classes, max(0.0, math.log(classes) + float(torch.xlogy(shares, shares).sum())))


# ------------------------------------------------------------------------------------------------------------- rows


def _rows(features: Features) -> Rows:
    """The features as float64 on the CPU. Raises ValueError if they are not a finite matrix."""
    rows = torch.as_tensor(features).detach().cpu().double()
    if rows.ndim != 2:
        raise ValueError(f"features are a matrix with a row for each sample, not of shape {tuple(rows.shape)}")
    bad = int((~rows.isfinite()).any(1).sum())
    if bad:
        raise ValueError(f"features of {bad} of {len(rows)} samples are not finite (NaN or infinite)")
    return rows


def _pair(a: Features, b: Features, *, least: int = 1) -> tuple[Rows, Rows]:
    """Both as rows. Raises ValueError unless they are of one width and at least so many."""
    a, b = _rows(a), _rows(b)
    _same_width(a.shape[1], b.shape[1])
    _enough(min(len(a), len(b)), least)
    return a, b


def _same_width(a: int, b: int) -> None:
    if a != b:
        raise ValueError(f"features of widths {a} and {b} cannot be compared: take both from the same network")


def _enough(count: int, least: int) -> None:
    if count < least:
        raise ValueError(f"{count} samples are too few: at least {least} are needed")


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _shuffled(rows: Rows, generator: torch.Generator) -> Rows:
    """The rows in an order that the generator and the numbers in them determine, not the order they came in."""
    direction = torch.randn(rows.shape[1], generator=_generator(0), dtype=torch.float64)
    known = rows[(rows * direction).sum(1).argsort()]
    return known[torch.randperm(len(rows), generator=generator)]


def _subset(rows: Rows, size: int, generator: torch.Generator) -> Rows:
    return rows[torch.randperm(len(rows), generator=generator)[:size]]
