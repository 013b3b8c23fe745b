"""How alike two sets of samples are, by features of any network or by raw numbers; rows are samples.

Everything is computed in float64 on the CPU, whatever comes in. Functions raise ValueError where widths differ, numbers
are not finite or samples are too few. Where samples are drawn, the draw depends on the seed and not on their order.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from accelerate.utils import tqdm
from jaxtyping import Float, Int
from scipy import stats
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from gancore.metrics.checks import (
    FeatureMatrix,
    FeaturesLike,
    as_float64_matrix,
    create_seeded_rng,
    require_same_width,
    require_samples,
    shuffle_rows,
    validate_pair,
)
from gancore.metrics.neighbours import density_coverage, precision_recall

MAX_ASSIGNMENT_SAMPLES = 4096
"""Samples of a set that an exact Wasserstein distance takes; time grows with their cube."""
MAX_WASSERSTEIN_SAMPLES = 1024
"""Samples of each set whose exact Wasserstein distance `fidelity` gives."""
MIN_SET_SAMPLES = 6
"""Samples that `fidelity` needs of each set, for density's five neighbours."""


@dataclass(frozen=True)
class Estimate:
    """A mean over parts of the samples, and that mean less and plus the standard deviation over the parts."""

    value: float
    low: float
    high: float

    @classmethod
    def from_parts(cls, parts: Float[Tensor, " parts"]) -> "Estimate":
        value, deviation = float(parts.mean()), float(parts.std(correction=0))
        return cls(value, value - deviation, value + deviation)


def compute_fidelity(real: FeaturesLike, fake: FeaturesLike, *, seed: int = 0) -> dict[str, float]:
    """Every number here that compares two sets and needs no classes, by its name; at least LEAST_SAMPLES of each.

    wasserstein is that of as many drawn from both, DRAWN at most.
    """
    real, fake = validate_pair(real, fake, minimum=MIN_SET_SAMPLES)
    kernel = kernel_distance(real, fake, seed=seed)
    few = min(len(real), len(fake), MAX_WASSERSTEIN_SAMPLES)
    return {
        "frechet_distance": frechet_distance(*map(Moments.from_features, _project_to_common_span(real, fake))),
        "kernel_distance": kernel.value,
        "kernel_distance_low": kernel.low,
        "kernel_distance_high": kernel.high,
        "wasserstein": wasserstein(*(shuffle_rows(rows, create_seeded_rng(seed))[:few] for rows in (real, fake))),
        "sliced_wasserstein": sliced_wasserstein(real, fake, seed=seed),
        "feature_matching": feature_matching(real, fake),
        **precision_recall(real, fake),
        **density_coverage(real, fake),
    }


# ------------------------------------------------------------------------------------------------------------ Gaussians


class Moments:
    """Mean and covariance of rows that come batch by batch; neither their order nor the size of a batch matters."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = self._scatter = torch.zeros(0)

    @classmethod
    def from_features(cls, features: FeaturesLike) -> "Moments":
        """Those of all rows at once."""
        moments = cls()
        moments.add(features)
        return moments

    def add(self, features: FeaturesLike) -> None:
        """Takes in one more batch (Chan, Golub and LeVeque 1979: no large sums that cancel)."""
        rows = as_float64_matrix(features)
        if not self.count:
            self._mean, self._scatter = torch.zeros(rows.shape[1]).double(), torch.zeros([rows.shape[1]] * 2).double()
        require_same_width(self._mean.shape[0], rows.shape[1])
        if not len(rows):
            return
        mean, before = rows.mean(0), self.count
        self.count += len(rows)
        step, centred = mean - self._mean, rows - mean
        self._scatter = self._scatter + centred.T @ centred + step.outer(step) * (before * len(rows) / self.count)
        self._mean = self._mean + step * (len(rows) / self.count)

    @property
    def mean(self) -> Float[Tensor, " width"]:
        """Raises ValueError if there was no row."""
        require_samples(self.count, 1)
        return self._mean

    @property
    def covariance(self) -> Float[Tensor, "width width"]:
        """Divided by one less than the number of rows. Raises ValueError for fewer than two."""
        require_samples(self.count, 2)
        return self._scatter / (self.count - 1)


def frechet_distance(real: Moments, fake: Moments) -> float:
    """Squared Wasserstein-2 distance of two Gaussians of these moments (Dowson and Landau 1982): FID, FVD.

    The trace of the root of both covariances' product is the sum of singular values of the product of their factors;
    that holds for singular covariances too, and its rounding is not magnified by a root.
    """
    require_same_width(len(real.mean), len(fake.mean))
    ours, theirs = real.covariance, fake.covariance
    common = torch.linalg.svdvals(_covariance_factor(ours).T @ _covariance_factor(theirs)).sum()
    apart = (real.mean - fake.mean).square().sum()
    return max(0.0, float(apart + ours.trace() + theirs.trace() - 2 * common))


def _covariance_factor(covariance: Float[Tensor, "width width"]) -> Float[Tensor, "width rank"]:
    """A matrix that makes the covariance when multiplied with its transpose."""
    values, vectors = torch.linalg.eigh(covariance)
    rounding = values[-1] * len(values) * torch.finfo(values.dtype).eps
    present = values > rounding
    return vectors[:, present] * values[present].sqrt()


def _project_to_common_span(a: FeatureMatrix, b: FeatureMatrix) -> tuple[FeatureMatrix, FeatureMatrix]:
    """Both turned so that there are no more columns than rows: distances stay, and covariances of raw voxels fit."""
    if a.shape[1] <= len(a) + len(b):
        return a, b
    basis = torch.linalg.qr(torch.cat([a, b]).T).Q
    return a @ basis, b @ basis


def feature_matching(real: FeaturesLike, fake: FeaturesLike) -> float:
    """Euclidean distance of the two means (Salimans et al. 2016)."""
    a, b = validate_pair(real, fake)
    return float((a.mean(0) - b.mean(0)).norm())


# ----------------------------------------------------------------------------------------------------- any distribution


def kernel_distance(
    real: FeaturesLike, fake: FeaturesLike, *, subsets: int = 100, size: int = 1000, seed: int = 0
) -> Estimate:
    """KID (Binkowski et al. 2018): unbiased squared MMD by the kernel (x.y / width + 1)^3, over random subsets.

    A subset has at most half of the smaller set, or all would be alike. Of like sets it may be negative.
    """
    a, b = validate_pair(real, fake, minimum=4)
    require_samples(size, 2)
    size, generator = min(size, len(a) // 2, len(b) // 2), create_seeded_rng(seed)
    a, b = shuffle_rows(a, generator), shuffle_rows(b, generator)
    draws = tqdm(range(subsets), unit="subset", leave=False, delay=2)
    parts = [_squared_mmd(_random_subset(a, size, generator), _random_subset(b, size, generator)) for _ in draws]
    return Estimate.from_parts(torch.stack(parts))


def _squared_mmd(a: FeatureMatrix, b: FeatureMatrix) -> Float[Tensor, ""]:
    within = sum(
        _polynomial_kernel(rows, rows).fill_diagonal_(0).sum() / (len(rows) * (len(rows) - 1)) for rows in (a, b)
    )
    return within - 2 * _polynomial_kernel(a, b).mean()


def _polynomial_kernel(a: FeatureMatrix, b: FeatureMatrix) -> FeatureMatrix:
    return (a @ b.T / a.shape[1] + 1) ** 3


def wasserstein(a: FeaturesLike, b: FeaturesLike) -> float:
    """Wasserstein-1 distance by exact assignment: the mean Euclidean distance of samples paired so that it is least.

    Raises ValueError if there are not as many of both, or more than 4096.
    """
    a, b = validate_pair(a, b)
    if len(a) != len(b) or len(a) > MAX_ASSIGNMENT_SAMPLES:
        raise ValueError(
            f"an exact Wasserstein distance takes as many samples of both sets and at most {MAX_ASSIGNMENT_SAMPLES}, "
            f"not {len(a)} and {len(b)}: use fewer, or the sliced one"
        )
    distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    return float(distances[linear_sum_assignment(distances)].mean())


def sliced_wasserstein(a: FeaturesLike, b: FeaturesLike, *, projections: int = 128, seed: int = 0) -> float:
    """Mean Wasserstein-1 distance of the sets projected on random directions (Bonneel et al. 2015)."""
    a, b = validate_pair(a, b)
    directions = torch.randn(a.shape[1], projections, generator=create_seeded_rng(seed), dtype=torch.float64)
    directions /= directions.norm(dim=0)
    lines = zip((a @ directions).T.numpy(), (b @ directions).T.numpy(), strict=True)
    return float(np.mean([stats.wasserstein_distance(ours, theirs) for ours, theirs in lines]))


def _random_subset(rows: FeatureMatrix, size: int, generator: torch.Generator) -> FeatureMatrix:
    return rows[torch.randperm(len(rows), generator=generator)[:size]]


# -------------------------------------------------------------------------------------------------------------- classes


def inception_score(outputs: FeaturesLike, *, splits: int = 10, seed: int = 0) -> Estimate:
    """exp of the mean KL of each sample's classes from all samples' classes (Salimans et al. 2016), over random splits.

    Outputs are a classifier's logits, or probabilities if every row sums to one. Best is the number of classes.
    """
    rows = as_float64_matrix(outputs)
    require_samples(len(rows), splits)
    parts = shuffle_rows(_probabilities(rows), create_seeded_rng(seed)).tensor_split(splits)
    return Estimate.from_parts(torch.stack([_split_score(part) for part in parts]))


def _probabilities(rows: FeatureMatrix) -> FeatureMatrix:
    given = bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-3).all())
    return rows / rows.sum(1, keepdim=True) if given else rows.softmax(1)


def _split_score(part: FeatureMatrix) -> Float[Tensor, ""]:
    average = part.mean(0)
    return (torch.xlogy(part, part).sum(1).mean() - torch.xlogy(average, average).sum()).exp()


class ModeCoverage(NamedTuple):
    """How many classes samples fall into, their share of all classes, and KL of how often from uniform, in nats."""

    hit_count: int
    hit_share: float
    kl_from_uniform: float


def count_modes(predicted: Int[Tensor, " samples"] | Int[np.ndarray, " samples"], classes: int) -> ModeCoverage:
    """See Modes; predicted is the class of each sample, from 0 on. Raises ValueError for another class."""
    labels = torch.as_tensor(predicted).cpu().long()
    require_samples(len(labels), 1)
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"classes from 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
    counts = labels.bincount(minlength=classes)
    shares = counts.double() / len(labels)
    hit = int((counts > 0).sum())
    return ModeCoverage(hit, hit / classes, max(0.0, math.log(classes) + float(torch.xlogy(shares, shares).sum())))
