"""Videos in npy, npz and HDF5 files: one, or many behind one another."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from vidgan.files.readers import DEFAULT_RATE, UnreadableError

ARRAY_SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")


@dataclass(frozen=True)
class ArrayVideo:
    """One video inside an array file.

    Values are uint8, or bool, or floats in [0, 1].
    """

    path: str
    frames: int
    channels: int
    axes: str
    """What the axes of the file's array are: n(umber) t(ime) c(hannel) h(eight) w(idth), in its order."""
    index: int = 0
    """Which video, where the array has an axis for that."""
    rate: Fraction = DEFAULT_RATE

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        last = start + (count - 1) * stride
        if last >= self.frames:
            raise UnreadableError(f"{self.path} has {self.frames} frames, not {last + 1}")
        where: dict[str, int | slice] = {"n": self.index, "t": slice(start, last + 1, stride)}
        with_time = self.axes.replace("n", "")
        with open_first_array(self.path) as array:
            values = np.asarray(array[tuple(where.get(axis, slice(None)) for axis in self.axes)])
        if "c" not in with_time:
            values, with_time = values[..., None], with_time + "c"
        values = rearrange(values, f"{' '.join(with_time)} -> t c h w")
        return torch.from_numpy(np.array(convert_to_uint8(values, self.path)))


def open_array_videos(path: str, *, channels: int = 3) -> list[ArrayVideo]:
    """The videos of the file.

    With 3 axes one grey video, with 5 many of any channels. With 4 one video if its last or second axis may be that of
    channels (1, 3, 4 or `channels` long), else many grey ones. Many videos lie along the first axis; in a file named
    `mnist_test_seq`, along the second. Raises UnreadableError for anything else.
    """
    with open_first_array(path) as array:
        shape, kind = array.shape, array.dtype
    if not (kind in (np.uint8, np.bool_) or np.issubdtype(kind, np.floating)):
        raise UnreadableError(f"{path} holds values of type {kind}; store uint8, or floats in [0, 1]")
    axes = infer_axes(shape, channels, time_first=Path(path).stem.startswith("mnist_test_seq"))
    if axes is None:
        raise UnreadableError(f"{path} holds an array of shape {shape}, which is no video of time, height and width")
    sizes = dict(zip(axes, shape, strict=True))
    one = ArrayVideo(path, sizes["t"], sizes.get("c", 1), axes)
    return (
        [one]
        if "n" not in axes
        else [ArrayVideo(path, one.frames, one.channels, axes, index) for index in range(sizes["n"])]
    )


def infer_axes(shape: tuple[int, ...], channels: int, *, time_first: bool) -> str | None:
    if len(shape) == 3:
        return "thw"
    if len(shape) == 4:
        likely = {1, 3, 4, channels}
        if shape[-1] in likely:
            return "thwc"
        if shape[1] in likely:
            return "tchw"
        return "tnhw" if time_first else "nthw"
    if len(shape) == 5:
        order = "tn" if time_first else "nt"
        return order + ("hwc" if shape[-1] <= shape[2] else "chw")
    return None


def convert_to_uint8(values: np.ndarray, path: str) -> UInt8[np.ndarray, "..."]:
    if values.dtype == np.uint8:
        return values
    values = values.astype(np.float32)
    if not (values.min() >= 0 and values.max() <= 1):
        raise UnreadableError(f"{path} holds numbers outside [0, 1]; store uint8, or floats in [0, 1]")
    return (values * 255).round().astype(np.uint8)


@contextmanager
def open_first_array(path: str) -> Iterator[np.ndarray | h5py.Dataset]:
    """The file's first array of three or more axes; values are read where it is sliced."""
    try:
        if Path(path).suffix.lower() in (".h5", ".hdf5"):
            with h5py.File(path) as file:
                yield find_video_dataset(file, path)
        else:
            yield load_first_array(path, Path(path).stat().st_mtime_ns)
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise UnreadableError(f"cannot read {path} as an array: {error}") from error


def find_video_dataset(file: h5py.File, path: str) -> h5py.Dataset:
    found = file.visititems(lambda _, item: item if isinstance(item, h5py.Dataset) and item.ndim >= 3 else None)
    if found is None:
        raise UnreadableError(f"{path} holds no array of three or more axes")
    return found


@lru_cache(maxsize=4)  # an npz has to be unpacked whole, which would be slow for every clip
def load_first_array(path: str, _changed: int) -> np.ndarray:
    try:
        content = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise UnreadableError(f"cannot read {path} as an array: {error}") from error
    if isinstance(content, np.ndarray):
        return content
    with content as arrays:
        for name in arrays.files:
            if arrays[name].ndim >= 3:
                return arrays[name]
    raise UnreadableError(f"{path} holds no array of three or more axes")
