"""Reads and writes occupancy grids, crops and resizes them.

Everywhere in voxgan an occupancy is indexed (x, y, z), with y up and the front facing +z, and fills the unit cube
around the origin: the centre of voxel i lies at (i + 0.5) / N - 0.5 on each axis.
"""

import re
from pathlib import Path

import numpy as np
import scipy.io
from jaxtyping import Bool, Float

from gancore.errors import UnreadableError
from gancore.files.arrays import write_npy
from gancore.files.atomic import atomic_write
from gancore.files.limits import ShapeLimits
from gancore.files.reading import as_unreadable
from voxgan.files.arrays import READERS, default_key, list_arrays, to_probabilities
from voxgan.files.binvox import read_binvox, write_binvox
from voxgan.mesh.axes import Axis, reorient

VOXEL_SUFFIXES = (".binvox", *READERS)
"""Suffixes of the voxel files that can be read."""


def read_occupancy(
    path: Path, *, key: str | None = None, limits: ShapeLimits = ShapeLimits()
) -> Float[np.ndarray, "x y z"]:
    """The probabilities in a binvox, npy, npz, mat (version 5 or 7.3) or HDF5 file, float32 in [0, 1].

    `key` names the array, the object in it, or both: "voxels", "#3", "voxels#3"; objects lie along the first axis.
    Without a key the file must hold one object, in its only array of three to five axes or in the only one with a usual
    name (voxels, voxel, instance, Volume, data, occupancy). An axis of channels must have length 1. Booleans and
    integers are occupied where above zero, other numbers must lie in [0, 1]. The axes are the file's own, except in an
    npz that states which is up. Fields of structures in mat files and data sets in groups have names like a/b. Raises
    FileNotFoundError, or UnreadableError before much memory is taken.
    """
    if path.suffix.lower() == ".binvox":
        require_no_key(path, key)
        return read_binvox(path, limits=limits).occupancy.astype(np.float32)
    with as_unreadable(path, "voxels"):
        keys = object_keys(path, key=key, limits=limits)
        if len(keys) > 1:
            raise UnreadableError(f"{path} holds {len(keys)} objects; choose one by a key from {keys[0]} to {keys[-1]}")
        name, number = split_key(keys[0])
        array = list_arrays(path, limits=limits)[name]
        occupancy = to_probabilities(array.read_object(number or 0), path)
    return reorient(occupancy, up=array.up) if array.up else occupancy


def stated_up(path: Path, *, key: str | None = None, limits: ShapeLimits = ShapeLimits()) -> Axis | None:
    """The up axis that a voxel file states, which `read_occupancy` applies; None if it states none, as all but npz."""
    if path.suffix.lower() != ".npz":
        return None
    name, _ = split_key(object_keys(path, key=key, limits=limits)[0])
    return list_arrays(path, limits=limits)[name].up


def require_no_key(path: Path, key: str | None) -> None:
    """Raises UnreadableError if a key other than #0 is given for a file that holds one object without a name."""
    if key not in (None, "", "#0"):
        raise UnreadableError(f"{path} holds one object without a name, and none with the key {key}")


def object_keys(path: Path, *, key: str | None = None, limits: ShapeLimits = ShapeLimits()) -> tuple[str, ...]:
    """The key of every object in the file, or of those that `key` selects.

    Raises FileNotFoundError, or UnreadableError if the file cannot be read, holds several arrays none of which has a
    usual name, or has no such key.
    """
    if path.suffix.lower() == ".binvox":
        require_no_key(path, key)
        return (key or "",)
    with as_unreadable(path, "voxels"):
        arrays = list_arrays(path, limits=limits)
        name, number = split_key(key or "")
        name = name or default_key(arrays, path)
        if name not in arrays or (number or 0) >= arrays[name].num_objects:
            raise UnreadableError(f"{path} holds no voxels with the key {key}; it has {' '.join(sorted(arrays)[:20])}")
        if number is not None or arrays[name].num_objects == 1:
            return (key or name,)
        return tuple(f"{name}#{number}" for number in range(arrays[name].num_objects))


def split_key(key: str) -> tuple[str, int | None]:
    """The name of the array and the number of the object in a key such as "voxels#3"."""
    match = re.fullmatch(r"(.*?)(?:#(\d{1,9}))?", key)
    assert match
    return match[1], int(match[2]) if match[2] else None


def write_occupancy(path: Path, occupancy: Bool[np.ndarray, "x y z"] | Float[np.ndarray, "x y z"]) -> None:
    """Writes the voxels to a binvox, npy, npz or mat file, from which `read_occupancy` reads the same values.

    Voxels that are all 0 or 1 are stored in an npz as `packed` bits (np.packbits) with their `shape` and `up` axis; in
    a mat file they are named `voxels`. Raises ValueError for another ending, and for probabilities in a binvox.
    """
    binary = occupancy == 1 if np.isin(occupancy, (0, 1)).all() else None
    suffix = path.suffix.lower()
    if suffix == ".binvox":
        if binary is None:
            raise ValueError(
                f"{path}: a binvox file cannot hold probabilities; threshold them, or write npy, npz or mat"
            )
        write_binvox(path, binary)
        return
    with atomic_write(path) as partial:
        if suffix == ".npy":
            with partial.open("wb") as file:
                write_npy(file, occupancy)
        elif suffix == ".npz" and binary is not None:
            np.savez_compressed(partial, packed=np.packbits(binary), shape=occupancy.shape, up="y")
        elif suffix == ".npz":
            np.savez_compressed(partial, occupancy=occupancy)
        elif suffix == ".mat":
            scipy.io.savemat(partial, {"voxels": occupancy}, do_compression=True)
        else:
            raise ValueError(f"cannot write voxels to {path}: its name should end in .binvox .npy .npz or .mat")


def crop_to_content(
    occupancy: Bool[np.ndarray, "_ _ _"] | Float[np.ndarray, "_ _ _"],
) -> Bool[np.ndarray, "x y z"]:
    """The smallest box that holds all occupied voxels (those above 0.5). Raises ValueError if there are none."""
    occupied = occupancy > 0.5
    if not occupied.any():
        raise ValueError("no voxel is occupied")
    filled = (np.flatnonzero(occupied.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    return occupied[tuple(slice(indices[0], indices[-1] + 1) for indices in filled)]


def resize_occupancy(
    occupancy: Bool[np.ndarray, "_ _ _"] | Float[np.ndarray, "_ _ _"], side: int
) -> Bool[np.ndarray, "{side} {side} {side}"]:
    """The occupied voxels (those above 0.5) in a cube of `side` voxels a side.

    A grid that is not a cube is first centred in one. A coarser voxel is occupied if any voxel whose centre lies in it
    is, so that thin parts survive; a finer voxel equals the one at its centre.
    """
    length = max(occupancy.shape)
    margins = [((length - each) // 2, (length - each + 1) // 2) for each in occupancy.shape]
    occupied = np.pad(occupancy > 0.5, margins)
    for axis in range(3):
        if side < length:  # the first voxel whose centre lies in each coarser one, in integers
            firsts = -((side - 2 * np.arange(side) * length) // (2 * side))
            occupied = np.logical_or.reduceat(occupied, firsts, axis=axis)
        else:
            occupied = occupied.take((2 * np.arange(side) + 1) * length // (2 * side), axis=axis)
    return occupied
