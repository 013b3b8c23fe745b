"""Arrays in npy, npz, mat and HDF5 files: lists their names and shapes, then reads one object of one of them.

The sizes that a header declares are checked against the limits and the file before memory is allocated.
"""

import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from gancore.errors import UnreadableError
from gancore.files.hdf5 import iterate_datasets, open_hdf5
from gancore.files.limits import ReadingLimits, ShapeLimits
from gancore.files.reading import require_regular_file
from voxgan.files.matlab import read_mat
from voxgan.mesh.axes import Axis, parse_axis

USUAL_KEYS = ("voxels", "voxel", "instance", "Volume", "data", "occupancy")
"""Common names of occupancy arrays in data sets and programs, the most likely first."""
MAX_CHANNELS = 4
"""A last axis of 2 to this many, behind three longer ones, is taken for channels, such as colours."""


@dataclass(frozen=True)
class ArrayEntry:
    """An array in a file, which is read on demand."""

    shape: tuple[int, ...]
    read: Callable[[tuple[int | slice, ...]], np.ndarray]
    """Reads the part that an index selects."""
    up: Axis | None = None
    """The up axis, if the file states it."""

    @property
    def axes(self) -> str:
        """One letter per axis: `n` for objects, `1` for a single channel, and `xyz`; empty if it cannot hold voxels."""
        if len(self.shape) == 4:
            if 1 < self.shape[3] <= MAX_CHANNELS < min(self.shape[:3]):
                return ""
            return "xyz1" if self.shape[3] == 1 < self.shape[0] else "nxyz"
        if len(self.shape) == 5:
            return "n1xyz" if self.shape[1] == 1 else "nxyz1" if self.shape[4] == 1 else ""
        return "xyz" if len(self.shape) == 3 else ""

    @property
    def num_objects(self) -> int:
        """The number of objects along the first axis, or 1."""
        return self.shape[0] if self.axes.startswith("n") else 1

    def read_object(self, number: int) -> np.ndarray:
        """The values of one object's voxels as they are stored."""
        index: dict[str, int | slice] = {"n": number, "1": 0}
        return np.asarray(self.read(tuple(index.get(axis, slice(None)) for axis in self.axes)))


def list_arrays(path: Path, *, limits: ShapeLimits = ShapeLimits()) -> dict[str, ArrayEntry]:
    """The arrays of the file that may hold voxels, by name; the name in an npy file is "".

    Raises FileNotFoundError, or UnreadableError if there are none or they exceed the limits: `max_voxels` limits each
    object, `max_members` the number of arrays and of objects, `max_gigabytes` what is read into memory at once.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UnreadableError(f"{path} is not a file of voxels: its name should end in .binvox {' '.join(READERS)}")
    require_regular_file(path)
    found = reader(path, limits)
    limits.check_members(len(found), path)
    arrays = {name: array for name, array in found.items() if array.axes and min(array.shape) > 0}
    if not arrays:
        raise UnreadableError(f"{path} holds no array of voxels: none has three axes, or more with one channel")
    for array in arrays.values():
        limits.check_members(array.num_objects, path)
        limits.check_voxels(math.prod(array.shape) // array.num_objects, path)
    return arrays


def default_key(arrays: dict[str, ArrayEntry], path: Path) -> str:
    """The name of the array to read if none is given: the only array, or else the most likely of USUAL_KEYS.

    Raises UnreadableError if several arrays are left.
    """
    if len(arrays) == 1:
        return next(iter(arrays))
    for key in USUAL_KEYS:
        named = [name for name in arrays if name.rpartition("/")[2] == key]
        if len(named) == 1:
            return named[0]
    raise UnreadableError(f"{path} holds several arrays; choose one by its key: {' '.join(sorted(arrays)[:20])}")


def list_npy(path: Path, limits: ShapeLimits) -> dict[str, ArrayEntry]:
    """The array of an npy file, mapped rather than read."""
    del limits
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):  # an npz under another name
        raise UnreadableError(f"{path} is not an npy file")
    return {"": ArrayEntry(array.shape, array.__getitem__)}


def list_npz(path: Path, limits: ShapeLimits) -> dict[str, ArrayEntry]:
    """The arrays of an npz file; packed bits are listed under `packed` with the shape of their voxels."""
    with zipfile.ZipFile(path) as archive:
        limits.check_members(len(archive.namelist()), path)
        members = [name for name in archive.namelist() if name.endswith(".npy")]
        shapes = {name.removesuffix(".npy"): declared_shape(archive, name, path, limits) for name in members}
    arrays = {name: ArrayEntry(shape, partial(read_part, path, name)) for name, shape in shapes.items()}
    if "packed" not in shapes or "shape" not in shapes:
        return arrays
    shape = tuple(int(length) for length in read_member(path, "shape"))
    if len(shape) != 3 or min(shape) < 1 or shapes["packed"] != (-(-math.prod(shape) // 8),):
        raise UnreadableError(f"{path} declares voxels of shape {shape} in bits of shape {shapes['packed']}")
    up = parse_axis(str(read_member(path, "up"))) if "up" in shapes else None

    def read_packed(index: tuple[int | slice, ...]) -> np.ndarray:
        bits = np.unpackbits(read_member(path, "packed"), count=math.prod(shape))
        return bits.reshape(shape).astype(np.bool_)[index]

    return arrays | {"packed": ArrayEntry(shape, read_packed, up)}


def declared_shape(archive: zipfile.ZipFile, name: str, path: Path, limits: ShapeLimits) -> tuple[int, ...]:
    """The shape in a member's header. Raises UnreadableError if it declares more bytes than it holds or may hold."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size > archive.getinfo(name).file_size:
        raise UnreadableError(f"{path} declares {size:,} bytes in {name}, more than it holds")
    limits.check_bytes(size, f"{path}: {name}")
    return shape


def read_part(path: Path, name: str, index: tuple[int | slice, ...]) -> np.ndarray:
    """The indexed part of an array in an npz file."""
    return read_member(path, name)[index]


def read_member(path: Path, name: str) -> np.ndarray:
    """An array of an npz file; the last one is cached until the file changes."""
    return load_member(path, path.stat().st_mtime_ns, name)


@lru_cache(maxsize=1)  # an array has to be unpacked whole, which would be slow for each of its objects
def load_member(path: Path, _modified_ns: int, name: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[name]


def list_hdf5(path: Path, limits: ShapeLimits, *, matlab: bool = False) -> dict[str, ArrayEntry]:
    """The data sets of numbers in an HDF5 file by their path in it; MATLAB stores the axes in reverse.

    Links are not followed. Raises UnreadableError for a data set whose numbers lie in another file.
    """
    with open_hdf5(path) as file:
        found = iterate_datasets(file, path, limits)
        return {
            name: _dataset_entry(path, name, item, limits, matlab=matlab)
            for name, item in found
            if item.shape and item.dtype.kind in "biuf"
        }


def _dataset_entry(path: Path, name: str, item: h5py.Dataset, limits: ShapeLimits, *, matlab: bool) -> ArrayEntry:
    if item.external or item.is_virtual:
        raise UnreadableError(f"{path} stores {name} in other files, which are not read")
    entry = ArrayEntry(item.shape[:: -1 if matlab else 1], partial(read_dataset, path, name, matlab))
    if entry.axes:
        read_at_once = max(math.prod(item.shape) // entry.num_objects, math.prod(item.chunks or (0,)))
        limits.check_bytes(read_at_once * item.dtype.itemsize, f"{path}: {name}")  # a chunk is unpacked whole
        limits.check_voxels(math.prod(item.chunks or (0,)), f"a chunk of {name} in {path}")
    return entry


def read_dataset(path: Path, name: str, matlab: bool, index: tuple[int | slice, ...]) -> np.ndarray:
    """The indexed part of a data set, in MATLAB's order of axes if it was stored by MATLAB."""
    with open_hdf5(path) as file:
        return file[name][index[::-1]].T if matlab else file[name][index]


def list_mat(path: Path, limits: ShapeLimits) -> dict[str, ArrayEntry]:
    """The numeric arrays of a MATLAB file of version 5 or 7.3."""
    if h5py.is_hdf5(path):
        return list_hdf5(path, limits, matlab=True)
    own = ReadingLimits(max_gigabytes=limits.max_gigabytes, max_members=limits.max_members)
    arrays = load_mat(path, path.stat().st_mtime_ns, own)
    return {name: ArrayEntry(array.shape, array.__getitem__) for name, array in arrays.items()}


@lru_cache(maxsize=1)
def load_mat(path: Path, _modified_ns: int, limits: ReadingLimits) -> dict[str, np.ndarray]:
    return read_mat(path, limits=limits)


READERS = {".npy": list_npy, ".npz": list_npz, ".mat": list_mat, ".h5": list_hdf5, ".hdf5": list_hdf5}
"""Functions that list the arrays of a file, by file ending."""


def to_probabilities(values: np.ndarray, path: Path) -> Float[np.ndarray, "x y z"]:
    """Converts booleans and integers to 1 where above zero and else 0, and leaves floats as they are; float32.

    Raises UnreadableError if floats lie outside [0, 1], or the values are not real numbers.
    """
    if values.dtype == np.bool_:
        return (np.ascontiguousarray(values).view(np.uint8) > 0).astype(np.float32)  # a broken file has other bytes
    if np.issubdtype(values.dtype, np.integer):
        return (values > 0).astype(np.float32)
    if not np.issubdtype(values.dtype, np.floating):
        raise UnreadableError(f"{path} holds values of type {values.dtype}; store booleans or probabilities")
    if not (values.min() >= 0 and values.max() <= 1):
        raise UnreadableError(f"{path} holds numbers outside [0, 1]; store booleans or probabilities")
    return values.astype(np.float32)
