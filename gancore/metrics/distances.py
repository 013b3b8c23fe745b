"""Distances between two sets of samples, from features of any network or from raw values; one row per sample.

Everything is computed in float64 on the CPU. Functions raise ValueError if widths differ, numbers are not finite or
there are too few samples. Random subsets depend on the seed, not on the order of the samples.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from accelerate.utils import tqdm
from jaxtyping import Float, Int
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
"""Largest set for an exact Wasserstein distance, whose time grows with the cube of the number of samples."""
MAX_WASSERSTEIN_SAMPLES = 1024
"""Largest number of samples per set from which `compute_fidelity` computes the exact Wasserstein distance."""
MIN_SET_SAMPLES = 6
"""Least number of samples per set for `compute_fidelity`: density needs five neighbours of each sample."""


@dataclass(frozen=True)
class Estimate:
    """A mean over subsets of the samples; `low` and `high` are one standard deviation below and above."""

    value: float
    low: float
    high: float

    @classmethod
    def from_parts(cls, parts: Float[Tensor, " parts"]) -> "Estimate":
        value, deviation = float(parts.mean()), float(parts.std(correction=0))
        return cls(value, value - deviation, value + deviation)


def compute_fidelity(real: FeaturesLike, fake: FeaturesLike, *, seed: int = 0) -> dict[str, float]:
    """Computes every metric of two sets that needs no class labels, by its name.

    Both sets need at least MIN_SET_SAMPLES samples. `wasserstein` is computed from equally many random samples of both
    sets, at most MAX_WASSERSTEIN_SAMPLES.
    """
    real, fake = validate_pair(real, fake, minimum=MIN_SET_SAMPLES)
    kernel = kernel_distance(real, fake, seed=seed)
    count = min(len(real), len(fake), MAX_WASSERSTEIN_SAMPLES)
    return {
        "frechet_distance": frechet_distance(*map(Moments.from_features, _project_to_common_span(real, fake))),
        "kernel_distance": kernel.value,
        "kernel_distance_low": kernel.low,
        "kernel_distance_high": kernel.high,
        "wasserstein": wasserstein(*(shuffle_rows(rows, create_seeded_rng(seed))[:count] for rows in (real, fake))),
        "sliced_wasserstein": sliced_wasserstein(real, fake, seed=seed),
        "feature_matching": feature_matching(real, fake),
        **precision_recall(real, fake),
        **density_coverage(real, fake),
    }


# ------------------------------------------------------------------------------------------------------------ Gaussians


class Moments:
    """Mean and covariance of samples that arrive in batches, whose order and size do not matter."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = self._scatter = torch.zeros(0)

    @classmethod
    def from_features(cls, features: FeaturesLike) -> "Moments":
        """Computes the moments of all samples at once."""
        moments = cls()
        moments.add(features)
        return moments

    def add(self, features: FeaturesLike) -> None:
        """Adds a batch (Chan, Golub and LeVeque 1979, which avoids large sums that cancel)."""
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
        """The mean of all samples added. Raises ValueError if there are none."""
        require_samples(self.count, 1)
        return self._mean

    @property
    def covariance(self) -> Float[Tensor, "width width"]:
        """The unbiased covariance, divided by the number of samples minus one. Raises ValueError for fewer than two."""
        require_samples(self.count, 2)
        return self._scatter / (self.count - 1)


def frechet_distance(real: Moments, fake: Moments) -> float:
    """Squared Wasserstein-2 distance of two Gaussians with these moments (Dowson and Landau 1982), as in FID and FVD.

    The trace of the square root of the product of both covariances is the sum of the singular values of the product of
    their factors. That also holds for singular covariances, and no square root magnifies rounding errors.
    """
    require_same_width(len(real.mean), len(fake.mean))
    ours, theirs = real.covariance, fake.covariance
    common = torch.linalg.svdvals(_covariance_factor(ours).T @ _covariance_factor(theirs)).sum()
    apart = (real.mean - fake.mean).square().sum()
    return max(0.0, float(apart + ours.trace() + theirs.trace() - 2 * common))


def _covariance_factor(covariance: Float[Tensor, "width width"]) -> Float[Tensor, "width rank"]:
    """A matrix whose product with its own transpose is the covariance."""
    values, vectors = torch.linalg.eigh(covariance)
    rounding = values[-1] * len(values) * torch.finfo(values.dtype).eps
    present = values > rounding
    return vectors[:, present] * values[present].sqrt()


def _project_to_common_span(a: FeatureMatrix, b: FeatureMatrix) -> tuple[FeatureMatrix, FeatureMatrix]:
    """Projects both sets onto the space they span if they are wider than they have samples.

    Distances stay the same, and the covariances of raw voxels fit into memory.
    """
    if a.shape[1] <= len(a) + len(b):
        return a, b
    basis = torch.linalg.qr(torch.cat([a, b]).T).Q
    return a @ basis, b @ basis


def feature_matching(real: FeaturesLike, fake: FeaturesLike) -> float:
    """Euclidean distance between the means of both sets (Salimans et al. 2016)."""
    a, b = validate_pair(real, fake)
    return float((a.mean(0) - b.mean(0)).norm())


# ----------------------------------------------------------------------------------------------------- any distribution


def kernel_distance(
    real: FeaturesLike, fake: FeaturesLike, *, subsets: int = 100, size: int = 1000, seed: int = 0
) -> Estimate:
    """KID (Binkowski et al. 2018): unbiased squared MMD with the kernel (x.y / width + 1)^3, over random subsets.

    A subset has `size` samples, but at most half of the smaller set, so that subsets differ. The estimate may be
    negative for similar sets.
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
    """Wasserstein-1 distance by exact assignment: the mean Euclidean distance under the best pairing of the samples.

    Raises ValueError unless both sets have equally many samples, at most MAX_ASSIGNMENT_SAMPLES.
    """
    a, b = validate_pair(a, b)
    if len(a) != len(b) or len(a) > MAX_ASSIGNMENT_SAMPLES:
        raise ValueError(
            f"an exact Wasserstein distance needs equally many samples of both sets, at most {MAX_ASSIGNMENT_SAMPLES}, "
            f"not {len(a)} and {len(b)}: use fewer, or the sliced one"
        )
    from scipy.optimize import linear_sum_assignment  # half a second, which every training would pay

    distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    return float(distances[linear_sum_assignment(distances)].mean())


def sliced_wasserstein(a: FeaturesLike, b: FeaturesLike, *, projections: int = 128, seed: int = 0) -> float:
    """Mean Wasserstein-1 distance of both sets projected onto random directions (Bonneel et al. 2015)."""
    from scipy.stats import wasserstein_distance  # more than a second, which every training would pay

    a, b = validate_pair(a, b)
    directions = torch.randn(a.shape[1], projections, generator=create_seeded_rng(seed), dtype=torch.float64)
    directions /= directions.norm(dim=0)
    lines = zip((a @ directions).T.numpy(), (b @ directions).T.numpy(), strict=True)
    return float(np.mean([wasserstein_distance(ours, theirs) for ours, theirs in lines]))


def _random_subset(rows: FeatureMatrix, size: int, generator: torch.Generator) -> FeatureMatrix:
    return rows[torch.randperm(len(rows), generator=generator)[:size]]


# -------------------------------------------------------------------------------------------------------------- classes


def inception_score(outputs: FeaturesLike, *, splits: int = 10, seed: int = 0) -> Estimate:
    """Inception score (Salimans et al. 2016) over random splits of the samples.

    It is exp of the mean KL divergence of each sample's class distribution from the mean distribution: 1 at worst, the
    number of classes at best. `outputs` are a classifier's logits, or probabilities if every row sums to one.
    """
    rows = as_float64_matrix(outputs)
    require_samples(len(rows), splits)
    parts = shuffle_rows(_probabilities(rows), create_seeded_rng(seed)).tensor_split(splits)
    return Estimate.from_parts(torch.stack([_split_score(part) for part in parts]))


def _probabilities(rows: FeatureMatrix) -> FeatureMatrix:
    are_probabilities = bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-3).all())
    return rows / rows.sum(1, keepdim=True) if are_probabilities else rows.softmax(1)


def _split_score(part: FeatureMatrix) -> Float[Tensor, ""]:
    average = part.mean(0)
    return (torch.xlogy(part, part).sum(1).mean() - torch.xlogy(average, average).sum()).exp()


class ModeCoverage(NamedTuple):
    """How many classes the samples fall into."""

    hit_count: int
    """Number of classes with at least one sample."""
    hit_share: float
    """Their share of all classes."""
    kl_from_uniform: float
    """KL divergence of the class frequencies from the uniform distribution, in nats."""


def count_modes(predicted: Int[Tensor, " samples"] | Int[np.ndarray, " samples"], classes: int) -> ModeCoverage:
    """Counts the classes that samples fall into; `predicted` is the class of each sample, from 0 to classes - 1.

    Raises ValueError for a class outside that range.
    """
    labels = torch.as_tensor(predicted).cpu().long()
    require_samples(len(labels), 1)
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"classes from 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
    counts = labels.bincount(minlength=classes)
    shares = counts.double() / len(labels)
    hit = int((counts > 0).sum())
    return ModeCoverage(hit, hit / classes, max(0.0, math.log(classes) + float(torch.xlogy(shares, shares).sum())))
