"""Videos in npy, npz and HDF5 files: one per file, or many in one array."""

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

from gancore.errors import UnreadableError
from vidgan.files.readers import DEFAULT_RATE

ARRAY_SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")

EXPECTED_VALUES = "expected uint8 in [0, 255] or floats in [0, 1]"
"""The rest of an error message about the values of an array."""


@dataclass(frozen=True)
class ArrayVideo:
    """One video inside an array file, of uint8 in [0, 255], floats in [0, 1] or bool."""

    path: str
    frames: int
    channels: int
    axes: str
    """The array's axes in their order: n (video), t (time), c (channel), h (height), w (width); such as "nthw"."""
    index: int = 0
    """Number of the video along axis n."""
    rate: Fraction = DEFAULT_RATE

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        """Reads `count` frames: start, start + stride, ... Raises UnreadableError if there are fewer."""
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
    """Lists the videos of an array file without reading their frames.

    An array of 3 axes is one grey video (time, height, width); one of 5 axes holds many videos of any number of
    channels. One of 4 axes is a single video if its last or second axis can be the channels (1, 3, 4 or `channels`
    long), otherwise many grey ones. Many videos lie along the first axis; in a file named `mnist_test_seq`, along the
    second. Raises UnreadableError for any other shape or type of values.
    """
    with open_first_array(path) as array:
        shape, kind = array.shape, array.dtype
    if not (kind in (np.uint8, np.bool_) or np.issubdtype(kind, np.floating)):
        raise UnreadableError(f"{path} holds values of type {kind}; {EXPECTED_VALUES}")
    axes = infer_axes(shape, channels, time_first=Path(path).stem.startswith("mnist_test_seq"))
    if axes is None:
        raise UnreadableError(f"{path} holds an array of shape {shape}, which is not a video of time, height and width")
    sizes = dict(zip(axes, shape, strict=True))
    one = ArrayVideo(path, sizes["t"], sizes.get("c", 1), axes)
    return (
        [one]
        if "n" not in axes
        else [ArrayVideo(path, one.frames, one.channels, axes, index) for index in range(sizes["n"])]
    )


def infer_axes(shape: tuple[int, ...], channels: int, *, time_first: bool) -> str | None:
    """Guesses what the axes of an array are, as in ArrayVideo.axes; None if it cannot hold videos."""
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
    """Scales bool and floats in [0, 1] to bytes. Raises UnreadableError, naming `path`, for values outside."""
    if values.dtype == np.uint8:
        return values
    values = values.astype(np.float32)
    if not (values.min() >= 0 and values.max() <= 1):
        found = f"floats from {values.min():.3g} to {values.max():.3g}, outside [0, 1]"
        hint = "; scale frames in [-1, 1] by (x + 1) / 2" if values.min() >= -1 and values.max() <= 1 else ""
        raise UnreadableError(f"{path} holds {found}; {EXPECTED_VALUES}{hint}")
    return (values * 255).round().astype(np.uint8)


@contextmanager
def open_first_array(path: str) -> Iterator[np.ndarray | h5py.Dataset]:
    """Opens the file's first array of three or more axes; its values are read from disk when it is sliced.

    Raises UnreadableError if there is none.
    """
    try:
        if Path(path).suffix.lower() in (".h5", ".hdf5"):
            with h5py.File(path) as file:
                yield find_video_dataset(file, path)
        else:
            yield load_first_array(path, Path(path).stat().st_mtime_ns)
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise UnreadableError(f"cannot read {path} as an array: {error}") from error


def find_video_dataset(file: h5py.File, path: str) -> h5py.Dataset:
    """Returns the first data set of three or more axes. Raises UnreadableError if there is none."""
    found = file.visititems(lambda _, item: item if isinstance(item, h5py.Dataset) and item.ndim >= 3 else None)
    if found is None:
        raise UnreadableError(f"{path} holds no array of three or more axes")
    return found


@lru_cache(maxsize=4)  # an npz has to be unpacked whole, which is too slow to repeat for every clip
def load_first_array(path: str, _modified: int) -> np.ndarray:
    """Loads an npy as a memory map, an npz whole; `_modified` is the time of the last change, part of the cache key."""
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
