"""Which way is up: turning what was made in other axes into the frame of voxgan (x right, y up, the front to +z)."""

from typing import cast, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from voxgan.commands import Axis

DEFAULT_FRONTS: dict[Axis, Axis] = {"x": "z", "y": "z", "z": "-y", "-x": "z", "-y": "-z", "-z": "y"}
"""Where an object of that up axis is taken to look if nothing is said: the turn upright is then the shortest."""


def parse_axis(text: str) -> Axis:
    """The axis of that name. Raises ValueError if there is none."""
    if text not in get_args(Axis):
        raise ValueError(f"no such axis: {text}; choose one of {' '.join(get_args(Axis))}")
    return cast(Axis, text)


def upright_rotation(up: Axis, *, front: Axis | None = None) -> Int[np.ndarray, "3 3"]:
    """The rotation R that takes a point of an object with these axes upright and facing +z: R @ point.

    Raises ValueError if the object looks up or down.
    """
    up_axis, front_axis = unit_vector(up), unit_vector(front or DEFAULT_FRONTS[up])
    if up_axis @ front_axis:
        raise ValueError(f"an object whose up axis is {up} cannot have its front at {front}")
    return np.stack([np.cross(up_axis, front_axis), up_axis, front_axis])


def unit_vector(name: Axis) -> Int[np.ndarray, "3"]:
    """The unit vector along an axis."""
    return np.eye(3, dtype=np.int64)["xyz".index(name[-1])] * (-1 if name[0] == "-" else 1)


def reorient(
    occupancy: Bool[np.ndarray, "_ _ _"] | Float[np.ndarray, "_ _ _"], *, up: Axis, front: Axis | None = None
) -> Bool[np.ndarray, "_ _ _"] | Float[np.ndarray, "_ _ _"]:
    """The same voxels with y up and the front to +z: a rotation, never a reflection.

    Raises ValueError if the object looks up or down.
    """
    turn = upright_rotation(up, front=front)
    moved = np.transpose(occupancy, np.abs(turn).argmax(1))
    return np.flip(moved, tuple(np.flatnonzero(turn.sum(1) < 0)))


def camera_angles(eye: Float[np.ndarray, "3"], *, up: Axis, front: Axis | None = None) -> tuple[float, float]:
    """Azimuth in [0, 360) and elevation, in degrees, of an eye at that place around an object of these axes."""
    x, y, z = upright_rotation(up, front=front) @ eye
    return float(np.degrees(np.arctan2(x, z)) % 360), float(np.degrees(np.arctan2(y, np.hypot(x, z))))
