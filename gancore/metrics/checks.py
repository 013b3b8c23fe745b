"""Samples as rows of numbers that are fit to be compared: of one width, finite, enough, in float64 on the CPU."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Features = Float[Tensor, "_samples _width"] | Float[np.ndarray, "_samples _width"]
Rows = Float[Tensor, "_samples _width"]


def rows_of(features: Features, *, name: str = "the set") -> Rows:
    """The features as float64 on the CPU. Raises ValueError if they are not a finite matrix."""
    rows = torch.as_tensor(features).detach().cpu().double()
    if rows.ndim != 2:
        raise ValueError(f"features of {name} must be a matrix with a row a sample, not of shape {tuple(rows.shape)}")
    bad = int((~rows.isfinite()).any(1).sum())
    if bad:
        raise ValueError(f"{bad} of {len(rows)} samples of {name} have features that are not finite (NaN or infinite)")
    return rows


def pair(first: Features, second: Features, *, least: int = 1) -> tuple[Rows, Rows]:
    """Both as rows. Raises ValueError unless they are of one width and at least so many."""
    a, b = rows_of(first, name="the first set"), rows_of(second, name="the second set")
    same_width(a.shape[1], b.shape[1])
    enough(min(len(a), len(b)), least)
    return a, b


def same_width(first: int, second: int) -> None:
    """Raises ValueError if they are not."""
    if first != second:
        raise ValueError(f"features of width {first} and {second} cannot be compared: take both from one network")


def enough(count: int, least: int) -> None:
    """Raises ValueError if they are not."""
    if count < least:
        raise ValueError(f"at least {least} samples are needed, not {count}")


def generator_of(seed: int) -> torch.Generator:
    """A source of random numbers that starts from this seed."""
    return torch.Generator().manual_seed(seed)


def shuffled(rows: Rows, generator: torch.Generator) -> Rows:
    """The rows in an order that the generator and the numbers in them determine, not the order they came in."""
    direction = torch.randn(rows.shape[1], generator=generator_of(0), dtype=torch.float64)
    known = rows[(rows * direction).sum(1).argsort()]
    return known[torch.randperm(len(rows), generator=generator)]
