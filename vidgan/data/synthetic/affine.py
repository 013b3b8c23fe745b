"""Affine maps of the plane, one for each frame, as 3x3 matrices that act on (x, y, 1) with x to the right, y down."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float

Maps: TypeAlias = Float[np.ndarray, "time 3 3"]
Points: TypeAlias = Float[np.ndarray, "time 2"]
Numbers: TypeAlias = Float[np.ndarray, " time"]


def identity(frames: int) -> Maps:
    """The map that moves nothing, for each frame."""
    return np.tile(np.eye(3), (frames, 1, 1))


def translation(offset: Points) -> Maps:
    """Moves by `offset` pixels."""
    maps = identity(len(offset))
    maps[:, :2, 2] = offset
    return maps


def rotation(angle: Numbers) -> Maps:
    """Turns about the origin by `angle` radians, clockwise as seen on the screen."""
    maps, cosine, sine = identity(len(angle)), np.cos(angle), np.sin(angle)
    maps[:, 0, 0], maps[:, 0, 1] = cosine, -sine
    maps[:, 1, 0], maps[:, 1, 1] = sine, cosine
    return maps


def scaling(factor: Points) -> Maps:
    """Stretches by a factor along x and another along y."""
    maps = identity(len(factor))
    maps[:, 0, 0], maps[:, 1, 1] = factor.T
    return maps


def fix(point: tuple[float, float], frames: int) -> Maps:
    """Translation of the origin to a point, the same in all frames."""
    return translation(np.tile(np.array(point, float), (frames, 1)))


def attach(
    parent: Maps, *, joint: tuple[float, float], angle: Numbers, pivot: tuple[float, float] = (0.0, 0.0)
) -> Maps:
    """Where a part is that turns about a joint of its parent.

    Args:
        parent: Maps from the parent's pixels to the screen.
        joint: The point of the parent that the part hangs on.
        angle: How far the part is turned against its parent, in radians.
        pivot: The part's own point that stays on the joint.
    """
    frames = len(parent)
    return parent @ fix(joint, frames) @ rotation(angle) @ fix((-pivot[0], -pivot[1]), frames)
