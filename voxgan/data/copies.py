"""Augmented copies of an object in other proportions: its mesh and its voxels under the same stretch of each axis."""

from dataclasses import dataclass, replace

import numpy as np
import trimesh
from jaxtyping import Float

from voxgan.data.proportions import sample_thickness
from voxgan.mesh.materials import TexturedMesh

SLICES = 16
"""Slices of an object along each axis, each with its own stretch factor."""


@dataclass(frozen=True, kw_only=True)
class AxisStretch:
    """A continuous, increasing and piecewise linear map of one coordinate in the unit cube around the origin."""

    before: Float[np.ndarray, " bounds"]
    """Bounds of the slices in the object."""
    after: Float[np.ndarray, " bounds"]
    """Bounds of the slices in the copy."""

    def forward(self, positions: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """Maps coordinates in the object to coordinates in the copy."""
        return np.interp(positions, self.before, self.after)

    def backward(self, positions: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """Maps coordinates in the copy to coordinates in the object; points outside stay outside."""
        outside = np.maximum(positions - self.after[-1], 0) + np.minimum(positions - self.after[0], 0)
        return np.interp(positions, self.after, self.before) + outside


def sample_stretches(
    low: Float[np.ndarray, "3"], high: Float[np.ndarray, "3"], random: np.random.Generator, *, strength: float
) -> tuple[AxisStretch, AxisStretch, AxisStretch]:
    """A random stretch for each axis of an object with the bounding box from `low` to `high`.

    Factors are distributed as in `stretch_proportions`: one for the axis and one for each knot along it, with
    logarithms from U(-strength, strength), symmetric in x. The copy is centred at the origin with a longest side of 1.
    """
    extents = high - low
    thickness = [
        sample_thickness(random, SLICES, strength=strength, mirrored=axis == 0) * extents[axis] / SLICES
        for axis in range(3)
    ]
    longest = max(each.sum() for each in thickness)
    x, y, z = (
        AxisStretch(
            before=np.linspace(low[axis], high[axis], SLICES + 1),
            after=np.concatenate([[0.0], each.cumsum()]) / longest - each.sum() / longest / 2,
        )
        for axis, each in enumerate(thickness)
    )
    return x, y, z


def stretch_mesh(mesh: TexturedMesh, stretches: tuple[AxisStretch, ...]) -> TexturedMesh:
    """The mesh with its vertices moved; edges stay straight."""
    vertices = np.stack([each.forward(mesh.mesh.vertices[:, axis]) for axis, each in enumerate(stretches)], 1)
    moved: trimesh.Trimesh = mesh.mesh.copy()
    moved.vertices = vertices
    return replace(mesh, mesh=moved)


def stretch_voxels(
    fractions: Float[np.ndarray, "x y z"], stretches: tuple[AxisStretch, ...]
) -> Float[np.ndarray, "x y z"]:
    """The filled fraction of each voxel of the copy: the mean over the corresponding box of the object, in [0, 1].

    Exact if the object's voxels are homogeneous.
    """
    side = len(fractions)
    for axis, each in enumerate(stretches):
        bounds = ((each.backward(np.arange(side + 1) / side - 0.5) + 0.5) * side).clip(0, side)
        slices = np.moveaxis(fractions, axis, 0)
        filled = np.concatenate([np.zeros_like(slices[:1], np.float64), slices.cumsum(0, dtype=np.float64)])
        whole = bounds.astype(int).clip(max=side - 1)
        at_bounds = filled[whole] + (bounds - whole)[:, None, None] * slices[whole]
        width = np.diff(bounds)[:, None, None]
        mean = np.diff(at_bounds, axis=0) / np.where(width > 0, width, 1)
        fractions = np.moveaxis(mean, 0, axis)
    return fractions.clip(0, 1).astype(np.float32)
