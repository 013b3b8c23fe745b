"""Arrays in npy, npz, mat and HDF5 files: names and shapes first, then one object of one of them.

What a header promises is held against what is read at most, and against the file, before memory is taken for it.
"""

import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from voxgan.files.binvox import MAX_VOXELS
from voxgan.files.matlab import read_mat
from voxgan.mesh.axes import Axis, parse_axis

MAX_BYTES = 2**30
"""Compressed files that unpack to more are refused."""
MAX_OBJECTS = 10**6
"""Files of more are refused."""
USUAL_KEYS = ("voxels", "voxel", "instance", "Volume", "data", "occupancy")
"""Names that data sets and programs give their occupancies, the likeliest first."""


class UnreadableError(ValueError):
    """A file that cannot be read as voxels; the message names it."""


@dataclass(frozen=True)
class ArrayEntry:
    """An array that lies in a file, not read yet."""

    shape: tuple[int, ...]
    read: Callable[[tuple[int | slice, ...]], np.ndarray]
    up: Axis | None = None
    """The up axis, where the file states it."""

    @property
    def axes(self) -> str:
        """What its axes are: objects `n`, a single channel `1`, and `xyz`; empty if it holds no voxels."""
        if len(self.shape) == 4:
            return "xyz1" if self.shape[3] == 1 < self.shape[0] else "nxyz"
        if len(self.shape) == 5:
            return "n1xyz" if self.shape[1] == 1 else "nxyz1" if self.shape[4] == 1 else ""
        return "xyz" if len(self.shape) == 3 else ""

    @property
    def num_objects(self) -> int:
        return self.shape[0] if self.axes.startswith("n") else 1

    def read_object(self, number: int) -> np.ndarray:
        """The values of one object's voxels, as stored."""
        where: dict[str, int | slice] = {"n": number, "1": 0}
        return np.asarray(self.read(tuple(where.get(axis, slice(None)) for axis in self.axes)))


@contextmanager
def as_unreadable(path: Path) -> Iterator[None]:
    """Whatever goes wrong while the file is read becomes one line that names it."""
    try:
        yield
    except (FileNotFoundError, UnreadableError):
        raise
    except Exception as error:  # broken files make the libraries raise errors of a dozen kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnreadableError(f"cannot read {path} as voxels: {reason}") from error


def list_arrays(path: Path) -> dict[str, ArrayEntry]:
    """The arrays of the file that may hold voxels, by name; the one of an npy file is called "".

    Raises UnreadableError if there are none, or one is larger than is read.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UnreadableError(f"{path} is no file of voxels: its name should end in .binvox {' '.join(READERS)}")
    arrays = {name: array for name, array in reader(path).items() if array.axes and min(array.shape) > 0}
    if not arrays:
        raise UnreadableError(f"{path} holds no array of three axes, or of more with one channel")
    for array in arrays.values():
        voxels = math.prod(array.shape) // array.num_objects
        if voxels > MAX_VOXELS or array.num_objects > MAX_OBJECTS:
            promised = f"{array.num_objects:,} objects of {voxels:,} voxels"
            raise UnreadableError(f"{path} promises {promised}; {MAX_OBJECTS:,} of {MAX_VOXELS:,} are read at most")
    return arrays


def default_key(arrays: dict[str, ArrayEntry], path: Path) -> str:
    """The array that holds the voxels where nobody says which: the only one, or the one of a usual name."""
    if len(arrays) == 1:
        return next(iter(arrays))
    for key in USUAL_KEYS:
        named = [name for name in arrays if name.rpartition("/")[2] == key]
        if len(named) == 1:
            return named[0]
    raise UnreadableError(f"{path} holds several arrays; say which by a key: {' '.join(sorted(arrays)[:20])}")


def list_npy(path: Path) -> dict[str, ArrayEntry]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return {"": ArrayEntry(array.shape, array.__getitem__)}


def list_npz(path: Path) -> dict[str, ArrayEntry]:
    with zipfile.ZipFile(path) as archive:
        shapes = {name.removesuffix(".npy"): declared_shape(archive, name, path) for name in archive.namelist()}
    arrays = {name: ArrayEntry(shape, partial(read_part, path, name)) for name, shape in shapes.items()}
    if "packed" not in shapes or "shape" not in shapes:
        return arrays
    shape = tuple(int(length) for length in read_member(path, "shape"))
    if len(shape) != 3 or min(shape) < 1 or shapes["packed"] != (-(-math.prod(shape) // 8),):
        raise UnreadableError(f"{path} promises voxels of shape {shape} in bits of shape {shapes['packed']}")
    up = parse_axis(str(read_member(path, "up"))) if "up" in shapes else None
    return arrays | {"packed": ArrayEntry(shape, lambda where: unpack_bits(path, shape)[where], up)}


def unpack_bits(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    return np.unpackbits(read_member(path, "packed"), count=math.prod(shape)).reshape(shape).astype(np.bool_)


def declared_shape(archive: zipfile.ZipFile, name: str, path: Path) -> tuple[int, ...]:
    """The shape that a member's header states. Raises UnreadableError if the member is larger than is read."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
    size = math.prod(shape) * kind.itemsize
    if size > min(MAX_BYTES, archive.getinfo(name).file_size):
        raise UnreadableError(f"{path} promises {size:,} bytes in {name}, more than it holds or than are read")
    return shape


def read_part(path: Path, name: str, where: tuple[int | slice, ...]) -> np.ndarray:
    return read_member(path, name)[where]


def read_member(path: Path, name: str) -> np.ndarray:
    return load_member(path, path.stat().st_mtime_ns, name)


@lru_cache(maxsize=1)  # an array has to be unpacked whole, which would be slow for each of its objects
def load_member(path: Path, _changed: int, name: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[name]


def list_hdf5(path: Path, *, matlab: bool = False) -> dict[str, ArrayEntry]:
    """Datasets by their path in the file; MATLAB stores its axes in reverse."""
    arrays = {}

    def note(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.shape:
            if math.prod(item.chunks or ()) * item.dtype.itemsize > MAX_BYTES:  # unpacked whole, however little is read
                raise UnreadableError(
                    f"{path} stores {name} in chunks of more than the {MAX_BYTES:,} bytes that are read"
                )
            arrays[name] = ArrayEntry(item.shape[:: -1 if matlab else 1], partial(read_dataset, path, name, matlab))

    with h5py.File(path) as file:
        file.visititems(note)
    return arrays


def read_dataset(path: Path, name: str, matlab: bool, where: tuple[int | slice, ...]) -> np.ndarray:
    with h5py.File(path) as file:
        return file[name][where[::-1]].T if matlab else file[name][where]


def list_mat(path: Path) -> dict[str, ArrayEntry]:
    if h5py.is_hdf5(path):
        return list_hdf5(path, matlab=True)
    arrays = load_mat(path, path.stat().st_mtime_ns)
    return {name: ArrayEntry(array.shape, array.__getitem__) for name, array in arrays.items()}


@lru_cache(maxsize=1)
def load_mat(path: Path, _changed: int) -> dict[str, np.ndarray]:
    return read_mat(path, most=MAX_BYTES)


READERS = {".npy": list_npy, ".npz": list_npz, ".mat": list_mat, ".h5": list_hdf5, ".hdf5": list_hdf5}


def to_probabilities(values: np.ndarray, path: Path) -> Float[np.ndarray, "x y z"]:
    """Booleans and integers as 1 where above zero, floats as they are; float32.

    Raises UnreadableError if floats lie outside [0, 1], or the values are no numbers.
    """
    if values.dtype == np.bool_ or np.issubdtype(values.dtype, np.integer):
        return (values > 0).astype(np.float32)
    if not np.issubdtype(values.dtype, np.floating):
        raise UnreadableError(f"{path} holds values of type {values.dtype}; store booleans or probabilities")
    if not (values.min() >= 0 and values.max() <= 1):
        raise UnreadableError(f"{path} holds numbers outside [0, 1]; store booleans or probabilities")
    return values.astype(np.float32)
