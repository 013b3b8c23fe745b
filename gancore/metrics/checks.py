"""Checks on sets of features before they are compared: finite, equally wide, enough samples; in float64 on the CPU."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

FeaturesLike = Float[Tensor, "_samples _width"] | Float[np.ndarray, "_samples _width"]
"""Features of any precision on any device, one row per sample."""
FeatureMatrix = Float[Tensor, "_samples _width"]
"""Features in float64 on the CPU, one row per sample."""


def as_float64_matrix(features: FeaturesLike, *, name: str = "the set") -> FeatureMatrix:
    """Converts features to float64 on the CPU. Raises ValueError unless they are a matrix of finite numbers."""
    rows = torch.as_tensor(features).detach().cpu().double()
    if rows.ndim != 2:
        raise ValueError(
            f"features of {name} must be a matrix with one row per sample, not of shape {tuple(rows.shape)}"
        )
    bad = int((~rows.isfinite()).any(1).sum())
    if bad:
        raise ValueError(f"{bad} of {len(rows)} samples of {name} have features that are not finite (NaN or infinite)")
    return rows


def validate_pair(
    first: FeaturesLike, second: FeaturesLike, *, minimum: int = 1
) -> tuple[FeatureMatrix, FeatureMatrix]:
    """Converts both sets to float64 on the CPU.

    Raises ValueError unless both have the same width and at least `minimum` samples.
    """
    a, b = as_float64_matrix(first, name="the first set"), as_float64_matrix(second, name="the second set")
    require_same_width(a.shape[1], b.shape[1])
    require_samples(min(len(a), len(b)), minimum)
    return a, b


def require_same_width(first: int, second: int) -> None:
    """Raises ValueError unless both widths are equal."""
    if first != second:
        raise ValueError(f"features of width {first} and {second} cannot be compared: take both from one network")


def require_samples(count: int, minimum: int) -> None:
    """Raises ValueError unless there are at least `minimum` samples."""
    if count < minimum:
        raise ValueError(f"at least {minimum} samples are needed, not {count}")


def create_seeded_rng(seed: int) -> torch.Generator:
    """Creates a random number generator with this seed."""
    return torch.Generator().manual_seed(seed)


def shuffle_rows(rows: FeatureMatrix, generator: torch.Generator) -> FeatureMatrix:
    """Shuffles the rows so that their new order depends on the generator and their values, not on the order given."""
    direction = torch.randn(rows.shape[1], generator=create_seeded_rng(0), dtype=torch.float64)
    canonical = rows[(rows * direction).sum(1).argsort()]
    return canonical[torch.randperm(len(rows), generator=generator)]
