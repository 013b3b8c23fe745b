"""Augments objects by random proportions: legs, seat and back become longer, wider or thicker."""

import numpy as np
from jaxtyping import Bool, Float

Voxels = Bool[np.ndarray, "x y z"] | Float[np.ndarray, "x y z"]
SliceThickness = Float[np.ndarray, " slices"]

KNOTS = 4
"""Points along an axis (half an axis for x) between which the stretch factor is interpolated linearly."""


def stretch_proportions(occupancy: Voxels, random: np.random.Generator, *, strength: float) -> Voxels:
    """The object stretched along each axis by a random factor that varies along it; symmetric objects stay symmetric.

    Whole slices are repeated or merged, so that connected parts stay connected however thin they are. Each axis and
    each knot on it has a factor whose logarithm is drawn from U(-strength, strength). The object keeps the length of
    its longest side, and is centred in the cube.
    """
    if not occupancy.any():
        return occupancy
    spans = [filled_range(occupancy, axis) for axis in range(3)]
    lengths = [stop - first for first, stop in spans]
    thickness = [sample_thickness(random, lengths[axis], strength=strength, mirrored=axis == 0) for axis in range(3)]
    scale = max(lengths) / max(each.sum() for each in thickness)
    for axis, ((first, stop), each) in enumerate(zip(spans, thickness, strict=True)):
        slices = np.moveaxis(occupancy, axis, 0)
        occupancy = np.moveaxis(restack_slices(slices[first:stop], each * scale, side=len(slices)), 0, axis)
    return occupancy


def filled_range(occupancy: Voxels, axis: int) -> tuple[int, int]:
    """The range [first, stop) of slices along the axis that are not empty."""
    filled = np.flatnonzero(occupancy.any(tuple({0, 1, 2} - {axis})))
    return int(filled[0]), int(filled[-1]) + 1


def sample_thickness(random: np.random.Generator, count: int, *, strength: float, mirrored: bool) -> SliceThickness:
    """The new thickness of each of `count` slices, in voxels before scaling; symmetric if `mirrored`."""
    whole, *knots = np.exp(random.uniform(-strength, strength, 1 + KNOTS))
    if mirrored:
        knots = [*knots, *knots[::-1]]
    return whole * np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(knots)), knots)


def restack_slices(
    slices: Bool[np.ndarray, "slices a b"] | Float[np.ndarray, "slices a b"], thickness: SliceThickness, *, side: int
) -> Bool[np.ndarray, "side a b"] | Float[np.ndarray, "side a b"]:
    """The slices stacked at their new thickness, rounded to voxels and centred among `side` voxels.

    Merged slices are combined by their maximum. The number of slices keeps its parity, so that the stack can be centred
    exactly.
    """
    ends = np.concatenate([[0.0], thickness.cumsum()])
    count = len(slices)
    total = min(max(count + 2 * round((ends[-1] - count) / 2), 1), side - (side - count) % 2)
    bounds = np.round(ends * total / ends[-1]).astype(int) + (side - total) // 2
    stacked = np.zeros((side, *slices.shape[1:]), slices.dtype)
    for slice_, start, stop in zip(slices, bounds, bounds[1:], strict=False):
        start = min(start, (side + total) // 2 - 1)
        stop = max(stop, start + 1)
        stacked[start:stop] = np.maximum(stacked[start:stop], slice_)
    return stacked
