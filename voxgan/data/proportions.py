"""Other proportions for an object: legs, seat and back longer, wider or thicker than they are."""

import numpy as np
from jaxtyping import Bool, Float

Voxels = Bool[np.ndarray, "x y z"]
SliceThickness = Float[np.ndarray, " slices"]

KNOTS = 4
"""Places along an axis, of x along half of it, between which the stretch changes linearly."""


def stretch_proportions(occupancy: Voxels, random: np.random.Generator, *, strength: float) -> Voxels:
    """The object stretched along each axis, by amounts that change along it, and as symmetric left to right as before.

    Whole slices are repeated or merged, so that whatever hangs together still does, however thin it is. Each axis and
    each knot on it has a factor whose logarithm is U(-strength, strength); then the object is scaled to the longest
    side that it had, and stands in the middle of the cube.
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
    """The first slice with something in it, and the one after the last."""
    filled = np.flatnonzero(occupancy.any(tuple({0, 1, 2} - {axis})))
    return int(filled[0]), int(filled[-1]) + 1


def sample_thickness(random: np.random.Generator, count: int, *, strength: float, mirrored: bool) -> SliceThickness:
    """How thick each of the slices becomes, in voxels."""
    whole, *knots = np.exp(random.uniform(-strength, strength, 1 + KNOTS))
    if mirrored:
        knots = [*knots, *knots[::-1]]
    return whole * np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(knots)), knots)


def restack_slices(
    slices: Bool[np.ndarray, "slices a b"], thickness: SliceThickness, *, side: int
) -> Bool[np.ndarray, "side a b"]:
    """The slices one upon the other, as thick as they should be but for rounding, in the middle of so many voxels.

    As many are added or taken on the left as on the right: an odd number of slices stays odd.
    """
    ends = np.concatenate([[0.0], thickness.cumsum()])
    count = len(slices)
    total = min(max(count + 2 * round((ends[-1] - count) / 2), 1), side - (side - count) % 2)
    bounds = np.round(ends * total / ends[-1]).astype(int) + (side - total) // 2
    made = np.zeros((side, *slices.shape[1:]), bool)
    for one, start, stop in zip(slices, bounds, bounds[1:], strict=False):
        start = min(start, (side + total) // 2 - 1)
        made[start : max(stop, start + 1)] |= one
    return made
