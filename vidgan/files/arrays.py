"""Videos in npy, npz and HDF5 files: one per file, or many in one array."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from vidgan.files.array_files import ARRAY_SUFFIXES, ArrayHeader, Window, list_arrays, read_window
from vidgan.files.readers import DEFAULT_LIMITS, DEFAULT_RATE, check_window, reading_frames

EXPECTED_VALUES = "expected uint8 in [0, 255] or floats in [0, 1]"
"""The rest of an error message about the values of an array."""
SAMPLED_FRAMES = 64
"""Frames, evenly spaced over an array of floats, whose values are looked at when it is opened."""

ACTIONS_ARRAY = "actions"
"""Name of the array of what was done at each frame."""
BESIDE_FRAMES = (ACTIONS_ARRAY, "rewards")
"""Names of arrays that lie beside the frames of episodes, and are never frames."""

__all__ = [
    "ACTIONS_ARRAY",
    "ARRAY_SUFFIXES",
    "ArrayPart",
    "ArrayVideo",
    "convert_to_uint8",
    "infer_axes",
    "open_array_videos",
]


@dataclass(frozen=True)
class ArrayPart:
    """Frames `start` to `start + frames` of one video in an array."""

    name: str
    """Name of the array in its file; empty in an npy."""
    header: ArrayHeader
    axes: str
    """The array's axes in their order: n (video), t (time), c (channel), h (height), w (width); such as "nthw"."""
    index: int = 0
    """Number of the video along axis n."""
    start: int = 0
    frames: int = 0

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis."""
        return dict(zip(self.axes, self.header.shape, strict=True))

    def read(self, path: str, start: int, count: int, stride: int, limits: VideoLimits) -> np.ndarray:
        """Reads frames start, start + stride, ... of the part as they are, with the axes t c h w."""
        leading = "".join(axis for axis in self.axes if axis in "nt")
        window = Window(leading, self.index, self.start + start, count, stride)
        values, axes = read_window(path, self.name, self.header, window, limits), self.axes.replace("n", "")
        if "c" not in axes:
            values, axes = values[..., None], axes + "c"
        return rearrange(values, f"{' '.join(axes)} -> t c h w")


@dataclass(frozen=True)
class ArrayVideo:
    """One video inside an array file, of uint8 in [0, 255], floats in [0, 1] or bool."""

    path: str
    parts: tuple[ArrayPart, ...]
    """What the video consists of, one after the other: a past and a future may be arrays of their own."""
    index: int = 0
    """Number of the video in its file."""
    rate: Fraction = DEFAULT_RATE
    limits: VideoLimits = DEFAULT_LIMITS

    @property
    def frames(self) -> int:
        return sum(part.frames for part in self.parts)

    @property
    def channels(self) -> int:
        return self.parts[0].sizes.get("c", 1)

    def read(self, start: int, count: int, *, stride: int = 1) -> UInt8[Tensor, "time channel height width"]:
        """Reads `count` frames: start, start + stride, ... Raises UnreadableError if there are fewer."""
        check_window(self.path, self.frames, start, count, stride)
        pieces, before = [], 0
        with reading_frames(self.path, "an array"):
            for part in self.parts:
                first = start + max(0, -(-(before - start) // stride)) * stride - before  # first frame in this part
                end = min(part.frames, start + (count - 1) * stride + 1 - before)
                if first < end:
                    pieces.append(part.read(self.path, first, len(range(first, end, stride)), stride, self.limits))
                before += part.frames
            return torch.from_numpy(np.array(convert_to_uint8(np.concatenate(pieces), self.path)))


def open_array_videos(
    path: str, *, channels: int = 3, name: str | None = None, limits: VideoLimits = DEFAULT_LIMITS
) -> list[ArrayVideo]:
    """Lists the videos of an array file without reading their frames.

    An array of 3 axes is one grey video (time, height, width), but not if the last one is 3 or 4 long, as in a picture;
    one of 5 axes holds many videos of any number of channels. One of 4 axes is a single video if its last or second
    axis can be the channels (1, 3, 4 or `channels` long), otherwise many grey ones. Many videos lie along the first
    axis; in a file named `mnist_test_seq`, along the second. Arrays called `actions` and `rewards` lie beside frames,
    and are none. Of several others, `name` is the one to read; without it, `past` and `future` are joined, and
    `input_raw_data` is cut as `clips` says (the layout of PredRNN).

    Raises UnreadableError for any other shape, number of arrays or type of values.
    """
    arrays = list_arrays(path, limits)
    if name is not None:
        if name not in arrays:
            raise UnreadableError(f"{path} holds no array {name}; it holds {', '.join(arrays)}")
        arrays = {name: arrays[name]}
    elif {"clips", "input_raw_data"} <= arrays.keys():
        return _check(_cut_into_clips(path, arrays, limits), path, limits)
    candidates = {key: header for key, header in arrays.items() if 3 <= len(header.shape) <= 5}
    candidates = {key: each for key, each in candidates.items() if key.rpartition("/")[2] not in BESIDE_FRAMES}
    if not candidates:
        raise UnreadableError(f"{path} holds no array of three or more axes{f': {_describe(arrays)}' if name else ''}")
    joined = ("past", "future") if candidates.keys() == {"past", "future"} else tuple(candidates)
    if len(joined) > 1 and joined != ("past", "future"):
        names = ", ".join(f"{path}::{key}" for key in candidates)
        raise UnreadableError(f"{path} holds {len(candidates)} arrays that could be the video; name one: {names}")
    time_first = Path(path).stem.startswith("mnist_test_seq")
    parts = [_open_array(path, key, candidates[key], channels, time_first=time_first) for key in joined]
    if len({part.axes for part in parts}) > 1 and {len(part.axes) for part in parts} == {4}:
        parts = [replace(part, axes="nthw", frames=part.header.shape[1]) for part in parts]  # not channels, but times
    shapes = [{axis: size for axis, size in part.sizes.items() if axis != "t"} for part in parts]
    if any(shape != shapes[0] for shape in shapes):
        raise UnreadableError(f"past and future of {path} differ in shape: {_describe(candidates)}")
    videos = []
    for index in range(shapes[0].get("n", 1)):
        own = tuple(replace(part, index=index) for part in parts)
        videos.append(ArrayVideo(path, own, index, limits=limits))
    return _check(videos, path, limits)


def _open_array(path: str, name: str, header: ArrayHeader, channels: int, *, time_first: bool) -> ArrayPart:
    """The array as a part of a video. Raises UnreadableError unless its shape and type can be those of videos."""
    _check_type(header.dtype, path)
    axes = infer_axes(header.shape, channels, time_first=time_first)
    if axes is None or 0 in header.shape:
        raise UnreadableError(
            f"{path} holds an array of shape {header.shape}, which is not a video of time, height and width"
        )
    if axes == "thw" and header.shape[2] in (3, 4):
        raise UnreadableError(
            f"{path} holds an array of shape {header.shape}, as a picture has it: give a video four axes, time first"
        )
    return ArrayPart(name, header, axes, frames=header.shape[axes.index("t")])


def _cut_into_clips(path: str, arrays: Mapping[str, ArrayHeader], limits: VideoLimits) -> list[ArrayVideo]:
    """The clips of PredRNN's layout: all frames in one array, and where the past and the future of each lie in it."""
    whole = _open_array(path, "input_raw_data", arrays["input_raw_data"], 1, time_first=False)
    table = arrays["clips"]
    if whole.axes not in ("tchw", "thwc", "thw") or len(table.shape) != 3 or table.shape[2] != 2:
        raise UnreadableError(f"{path} does not have the shapes of PredRNN's layout: {_describe(arrays)}")
    if not np.issubdtype(table.dtype, np.integer):
        raise UnreadableError(f"{path}: clips are whole numbers, not {table.dtype}")
    limits.check_members(table.shape[1], path)
    clips = read_window(path, "clips", table, Window("t", 0, 0, table.shape[0], 1), limits)
    videos = []
    for index, ranges in enumerate(clips.swapaxes(0, 1).tolist()):
        if any(start < 0 or length < 1 or start + length > whole.frames for start, length in ranges):
            raise UnreadableError(f"{path}: clip {index} lies outside its {whole.frames} frames")
        parts = [ArrayPart(whole.name, whole.header, whole.axes, 0, start, length) for start, length in ranges]
        videos.append(ArrayVideo(path, tuple(parts), index, limits=limits))
    if not videos:
        raise UnreadableError(f"{path} holds no clips")
    return videos


def _check(videos: Sequence[ArrayVideo], path: str, limits: VideoLimits) -> list[ArrayVideo]:
    """The videos, unless they are larger than the limits allow or some of their frames have values out of range."""
    sizes = videos[0].parts[0].sizes
    limits.check_pixels(sizes["h"], sizes["w"], path)
    limits.check_members(len(videos), path)
    limits.check_frames(max(video.frames for video in videos), path)
    if np.issubdtype(videos[0].parts[0].header.dtype, np.floating):
        total = sum(video.frames for video in videos)
        for number in range(0, total, max(1, total // SAMPLED_FRAMES)):
            video = videos[number * len(videos) // total]
            video.read(number % video.frames, 1)
    return list(videos)


def _describe(arrays: Mapping[str, ArrayHeader]) -> str:
    return ", ".join(f"{name} {header.shape}" for name, header in arrays.items())


def infer_axes(shape: tuple[int, ...], channels: int, *, time_first: bool) -> str | None:
    """Guesses what the axes of an array are, as in ArrayPart.axes; None if it cannot hold videos."""
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
    """Scales bool and floats in [0, 1] to bytes. Raises UnreadableError, naming `path`, for others."""
    _check_type(values.dtype, path)
    if values.dtype == np.uint8:
        return values
    values = values.astype(np.float32)
    if not (values.min() >= 0 and values.max() <= 1):
        found = f"floats from {values.min():.3g} to {values.max():.3g}, outside [0, 1]"
        hint = "; scale frames in [-1, 1] by (x + 1) / 2" if values.min() >= -1 and values.max() <= 1 else ""
        raise UnreadableError(f"{path} holds {found}; {EXPECTED_VALUES}{hint}")
    return (values * 255).round().astype(np.uint8)


def _check_type(dtype: np.dtype, path: str) -> None:
    """Raises UnreadableError unless these can be the values of frames; those of wider integers have no known range."""
    if not (dtype in (np.uint8, np.bool_) or np.issubdtype(dtype, np.floating)):
        raise UnreadableError(f"{path} holds values of type {dtype}; {EXPECTED_VALUES}")
