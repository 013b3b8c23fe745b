"""Samples as rows of numbers that are fit to be compared: of one width, finite, enough, in float64 on the CPU."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

FeaturesLike = Float[Tensor, "_samples _width"] | Float[np.ndarray, "_samples _width"]
FeatureMatrix = Float[Tensor, "_samples _width"]


def as_float64_matrix(features: FeaturesLike, *, name: str = "the set") -> FeatureMatrix:
    """The features as float64 on the CPU. Raises ValueError if they are not a finite matrix."""
    rows = torch.as_tensor(features).detach().cpu().double()
    if rows.ndim != 2:
        raise ValueError(f"features of {name} must be a matrix with a row a sample, not of shape {tuple(rows.shape)}")
    bad = int((~rows.isfinite()).any(1).sum())
    if bad:
        raise ValueError(f"{bad} of {len(rows)} samples of {name} have features that are not finite (NaN or infinite)")
    return rows


def validate_pair(
    first: FeaturesLike, second: FeaturesLike, *, minimum: int = 1
) -> tuple[FeatureMatrix, FeatureMatrix]:
    """Both as rows. Raises ValueError unless they are of one width and at least so many."""
    a, b = as_float64_matrix(first, name="the first set"), as_float64_matrix(second, name="the second set")
    require_same_width(a.shape[1], b.shape[1])
    require_samples(min(len(a), len(b)), minimum)
    return a, b


def require_same_width(first: int, second: int) -> None:
    """Raises ValueError if they are not."""
    if first != second:
        raise ValueError(f"features of width {first} and {second} cannot be compared: take both from one network")


def require_samples(count: int, minimum: int) -> None:
    """Raises ValueError if they are not."""
    if count < minimum:
        raise ValueError(f"at least {minimum} samples are needed, not {count}")


def create_seeded_rng(seed: int) -> torch.Generator:
    """A source of random numbers that starts from this seed."""
    return torch.Generator().manual_seed(seed)


def shuffle_rows(rows: FeatureMatrix, generator: torch.Generator) -> FeatureMatrix:
    """The rows in an order that the generator and the numbers in them determine, not the order they came in."""
    direction = torch.randn(rows.shape[1], generator=create_seeded_rng(0), dtype=torch.float64)
    known = rows[(rows * direction).sum(1).argsort()]
    return known[torch.randperm(len(rows), generator=generator)]
