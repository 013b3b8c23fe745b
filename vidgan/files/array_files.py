"""Arrays in npy, npz and HDF5 files: listed by their headers, read in windows, and never from any other file."""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import IOBase
from pathlib import Path
from typing import cast

import h5py
import numpy as np

from gancore.errors import UnreadableError
from gancore.files.hdf5 import iterate_datasets, open_hdf5
from gancore.files.limits import ReadingLimits
from gancore.files.reading import as_unreadable, require_regular_file

ARRAY_SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")


@dataclass(frozen=True)
class ArrayHeader:
    """What the header of an array says."""

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int = 0
    """Bytes of an npy file before its values."""
    fortran_order: bool = False
    """Whether the first axis of an npy changes fastest."""

    @property
    def bytes(self) -> int:
        """Size of all values."""
        return _product(self.shape) * self.dtype.itemsize


def list_arrays(path: str, limits: ReadingLimits) -> dict[str, ArrayHeader]:
    """The arrays in a file by name, in their order; that of an npy has no name.

    Raises FileNotFoundError, or UnreadableError if the file is broken or holds Python objects.
    """
    with _reading(path):
        match Path(path).suffix.lower():
            case ".npy":
                with open(path, "rb") as file:
                    header = _read_header(file, path)
                if header.offset + header.bytes > Path(path).stat().st_size:
                    raise UnreadableError(f"{path} is cut short: it has less than the {header.bytes:,} bytes it states")
                return {"": header}
            case ".npz":
                with zipfile.ZipFile(path) as archive:
                    limits.check_members(len(archive.infolist()), path)
                    return {_array_name(info): _member_header(archive, info, path) for info in _arrays_of(archive)}
            case _:
                with open_hdf5(path) as file:
                    found = iterate_datasets(file, path, limits)
                    return {name: ArrayHeader(item.shape, item.dtype) for name, item in found if item.shape is not None}


@dataclass(frozen=True)
class Window:
    """Frames of one video along the leading axes of an array."""

    axes: str
    """The leading axes: "t" (time), or "nt" or "tn" if there are many videos."""
    video: int
    """Number of the video along n."""
    start: int
    count: int
    stride: int

    @property
    def selection(self) -> tuple[int | slice, ...]:
        """The index of these frames into an array."""
        time = slice(self.start, self.start + (self.count - 1) * self.stride + 1, self.stride)
        return tuple(time if axis == "t" else self.video for axis in self.axes)


def read_window(path: str, name: str, header: ArrayHeader, window: Window, limits: ReadingLimits) -> np.ndarray:
    """The frames of a window, time first; `header` is what the array was opened by.

    Raises FileNotFoundError, or UnreadableError if the file no longer has this array, or is broken.
    """
    frame_bytes = _product(header.shape[len(window.axes) :]) * header.dtype.itemsize
    limits.check_bytes(window.count * frame_bytes, path)
    with _reading(path):
        match Path(path).suffix.lower():
            case ".npy" if not header.fortran_order:
                return _read_npy_frames(path, header, window, frame_bytes)
            case ".npy" | ".npz":
                state = Path(path).stat()
                array = _load(path, name, limits, state.st_mtime_ns, state.st_size)
                _require_same(path, header, array.shape, array.dtype)
                return array[window.selection]
            case _:
                with open_hdf5(path) as file:
                    dataset = _find_dataset(file, name, path)
                    _require_same(path, header, dataset.shape, dataset.dtype)
                    limits.check_bytes(_product(dataset.chunks or (0,)) * header.dtype.itemsize, path)
                    return np.asarray(dataset[window.selection])


@contextmanager
def _reading(path: str) -> Iterator[None]:
    require_regular_file(path)
    with as_unreadable(path, "an array"):
        yield


def _require_same(path: str, header: ArrayHeader, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if (header.shape, header.dtype) != (shape, dtype):
        raise UnreadableError(f"{path} has changed since it was opened")


def _product(numbers: Sequence[int]) -> int:
    product = 1
    for number in numbers:
        product *= int(number)
    return product


# ------------------------------------------------------------------------------------------------------- npy and npz


def _read_header(file: IOBase, path: str) -> ArrayHeader:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise UnreadableError(f"cannot read {path} as an array: version {version[0]}.{version[1]} of npy is unknown")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read(file)
    if dtype.hasobject:
        raise UnreadableError(f"cannot read {path} as an array: it holds Python objects")
    if any(side < 0 for side in shape):
        raise UnreadableError(f"cannot read {path} as an array: its shape is {shape}")
    return ArrayHeader(tuple(shape), dtype, file.tell(), fortran_order and len(shape) > 1)


def _read_npy_frames(path: str, header: ArrayHeader, window: Window, frame_bytes: int) -> np.ndarray:
    axes = len(window.axes)
    values = np.empty((window.count, *header.shape[axes:]), header.dtype)
    target = values.reshape(-1).view(np.uint8).data
    strides = {axis: _product(header.shape[place + 1 : axes]) for place, axis in enumerate(window.axes)}
    first = strides.get("n", 0) * window.video + strides["t"] * window.start
    step = strides["t"] * window.stride
    run = window.count if step == 1 else 1  # frames that lie one behind the other are read at once
    with open(path, "rb", buffering=0) as file:  # not mapped: a map of a file that is cut short ends the process
        found = _read_header(file, path)
        _require_same(path, header, found.shape, found.dtype)
        for number in range(0, window.count, run):
            file.seek(found.offset + (first + number * step) * frame_bytes)
            part = target[number * frame_bytes : (number + run) * frame_bytes]
            while part:
                length = file.readinto(part)
                if not length:
                    raise UnreadableError(f"{path} is cut short")
                part = part[length:]
    return values


def _arrays_of(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [info for info in archive.infolist() if info.filename.endswith(".npy")]


def _array_name(info: zipfile.ZipInfo) -> str:
    return info.filename.removesuffix(".npy")


def _member_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> ArrayHeader:
    with archive.open(info) as member:
        header = _read_header(cast(IOBase, member), path)
    if header.offset + header.bytes != info.file_size:
        raise UnreadableError(f"cannot read {path} as an array: {info.filename} has another size than it states")
    return header


@lru_cache(maxsize=4)  # an npz has to be unpacked whole, which is too slow to repeat for every clip
def _load(path: str, name: str, limits: ReadingLimits, _modified: int, _size: int) -> np.ndarray:
    """Loads an array whole; time of the last change and size of its file are part of the cache's key."""
    if Path(path).suffix.lower() == ".npy":
        limits.check_bytes(Path(path).stat().st_size, path)
        return np.load(path, allow_pickle=False)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
        limits.check_bytes(_member_header(archive, info, path).bytes, f"{name} in {path}")
        with archive.open(info) as member:
            return np.lib.format.read_array(member, allow_pickle=False)


# ---------------------------------------------------------------------------------------------------------------- HDF5


def _find_dataset(file: h5py.File, name: str, path: str) -> h5py.Dataset:
    """The data set, which must lie in this file itself: links and storage may name any file of the disk."""
    group: h5py.Group = file
    for part in name.split("/"):
        link = group.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise UnreadableError(f"{name} in {path} is a link to something else, which is not followed")
        group = group[part]
    if not isinstance(group, h5py.Dataset):
        raise UnreadableError(f"{path} holds no array {name}")
    if group.external or group.is_virtual:
        raise UnreadableError(f"{name} in {path} takes its values from other files, which are not read")
    return group
