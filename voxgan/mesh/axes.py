"""Coordinate axes of objects: converts other conventions to voxgan's (x to the right, y up, the front facing +z)."""

import logging
from pathlib import Path
from typing import cast, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from voxgan.mesh.config import Axis

DEFAULT_FRONTS: dict[Axis, Axis] = {"x": "z", "y": "z", "z": "-y", "-x": "z", "-y": "-z", "-z": "y"}
"""Default front for each up axis: the one that the shortest rotation upright turns to +z."""
USUAL_UP: dict[str, Axis] = {".stl": "z"}
"""The usual up axis of formats that state none, if it is not y."""

log = logging.getLogger(__name__)


def parse_axis(text: str) -> Axis:
    """Returns the axis of that name. Raises ValueError if there is none."""
    if text not in get_args(Axis):
        raise ValueError(f"no such axis: {text}; choose one of {' '.join(get_args(Axis))}")
    return cast(Axis, text)


def upright_rotation(up: Axis, *, front: Axis | None = None) -> Int[np.ndarray, "3 3"]:
    """Returns the rotation matrix R that turns an object with these axes upright, facing +z: R @ point.

    Raises ValueError if `up` and `front` lie along the same axis.
    """
    up_axis, front_axis = unit_vector(up), unit_vector(front or DEFAULT_FRONTS[up])
    if up_axis @ front_axis:
        raise ValueError(f"an object whose up axis is {up} cannot have its front at {front}")
    return np.stack([np.cross(up_axis, front_axis), up_axis, front_axis])


def choose_axes(path: Path, stated: Axis | None, *, up: Axis | None, front: Axis | None) -> tuple[Axis, Axis | None]:
    """Returns the up axis of a mesh file, and its front if that is known.

    The axis `stated` by the file or its format has precedence over `up`, with a warning in the log if they differ.
    Without either, the usual axis of the format is used. A front that is not perpendicular to the stated axis is
    dropped.
    """
    if stated is None:
        return up or USUAL_UP.get(path.suffix.lower(), "y"), front
    if up not in (None, stated):
        log.warning("%s states that %s is up, which overrides the given up axis %s", path, stated, up)
        if front is not None and front[-1] == stated[-1]:
            return stated, None
    return stated, front


def unit_vector(axis: Axis) -> Int[np.ndarray, "3"]:
    """Returns the unit vector along an axis."""
    return np.eye(3, dtype=np.int64)["xyz".index(axis[-1])] * (-1 if axis[0] == "-" else 1)


def reorient(
    occupancy: Bool[np.ndarray, "_ _ _"] | Float[np.ndarray, "_ _ _"], *, up: Axis, front: Axis | None = None
) -> Bool[np.ndarray, "_ _ _"] | Float[np.ndarray, "_ _ _"]:
    """Rotates voxels with these axes to y up and the front facing +z; never a reflection.

    Raises ValueError if `up` and `front` lie along the same axis.
    """
    rotation = upright_rotation(up, front=front)
    transposed = np.transpose(occupancy, np.abs(rotation).argmax(1))
    return np.flip(transposed, tuple(np.flatnonzero(rotation.sum(1) < 0)))


def camera_angles(eye: Float[np.ndarray, "3"], *, up: Axis, front: Axis | None = None) -> tuple[float, float]:
    """Returns azimuth in [0, 360) and elevation, in degrees, of a camera at `eye` around an object with these axes."""
    x, y, z = upright_rotation(up, front=front) @ eye
    return float(np.degrees(np.arctan2(x, z)) % 360), float(np.degrees(np.arctan2(y, np.hypot(x, z))))
