"""Actions that come with videos: in arrays of the same file, or in a small file beside the film or the frames."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from gancore.files.reading import as_unreadable, require_regular_file
from vidgan.files.array_files import ARRAY_SUFFIXES, Window, list_arrays, read_window
from vidgan.files.arrays import ACTIONS_ARRAY, ArrayVideo
from vidgan.files.readers import DEFAULT_LIMITS, VideoReader

ACTION_SUFFIXES = (".npy", ".csv")
"""Suffixes of files of actions that lie beside films and frames."""
CAMERA = "image_"
"""Start of the names of folders of one camera, whose actions lie in the folder around it (BAIR)."""

Actions = Float[np.ndarray, "time size"]


def read_video_actions(path: str, reader: VideoReader, *, size: int, limits: VideoLimits = DEFAULT_LIMITS) -> Actions:
    """The actions of a video, one a frame; that of the last frame, which leads nowhere, is zero if it is not there.

    In an array file they are the array `actions` beside the frames, with the videos and times along the same axes. Of
    a folder of frames they lie in it, of folders of cameras (`image_main`) around them, as `actions.npy` or
    `actions.csv`, and of a film `walk.mp4` in `walk.actions.npy` or `walk.actions.csv`.

    Raises UnreadableError if there are none, they are not of this size, or they are not as many as frames, or one less.
    """
    if isinstance(reader, ArrayVideo):
        source, values = f"{path}::{ACTIONS_ARRAY}", _read_beside_array(path, reader, limits)
    else:
        source = str(find_action_file(Path(path)))
        values = _load(source, limits)
    actions = convert_actions(values, size=size, source=source)
    if len(actions) not in (reader.frames, reader.frames - 1):
        raise UnreadableError(f"{source} has {len(actions)} actions, and the video {reader.frames} frames")
    return np.concatenate([actions, np.zeros((reader.frames - len(actions), size), np.float32)])


def read_plan(path: Path, *, size: int, limits: VideoLimits = DEFAULT_LIMITS) -> Actions:
    """The actions in a file of them, or in the array `actions` of an npz or HDF5 file.

    Raises FileNotFoundError if there is no such file, UnreadableError if they cannot be read or are not of this size.
    """
    return convert_actions(_load(str(path), limits), size=size, source=str(path))


def convert_actions(values: np.ndarray, *, size: int, source: str) -> Actions:
    """Actions as vectors. One number a frame, where the size is greater, is that of a choice, and becomes one-hot.

    Raises UnreadableError, naming the source, for other sizes, and for what is no number or not that of a choice.
    """
    if not (np.issubdtype(values.dtype, np.number) or values.dtype == np.bool_) or np.iscomplexobj(values):
        raise UnreadableError(f"{source} holds values of type {values.dtype}; actions are numbers")
    if not values.size:
        raise UnreadableError(f"{source} holds no actions")
    if values.ndim not in (1, 2):
        raise UnreadableError(f"{source} has the shape {values.shape}; actions are one or several numbers a frame")
    vectors = values.reshape(len(values), -1).astype(np.float64)
    if not np.isfinite(vectors).all():
        raise UnreadableError(f"{source} holds numbers that are not finite")
    if vectors.shape[1] == 1 < size:
        chosen = vectors[:, 0]
        if (chosen != chosen.round()).any() or (chosen < 0).any() or (chosen >= size).any():
            found = f"from {chosen.min():g} to {chosen.max():g}"
            raise UnreadableError(f"{source} holds numbers {found}; one of {size} choices is a whole number below that")
        return np.eye(size, dtype=np.float32)[chosen.astype(int)]
    if vectors.shape[1] != size:
        raise UnreadableError(f"{source} has actions of {vectors.shape[1]} numbers, not of {size} (data.actions)")
    return vectors.astype(np.float32)


def find_action_file(video: Path) -> Path:
    """The file of actions that belongs to a film or a folder of frames. Raises UnreadableError if there is none."""
    if video.is_dir():
        folders = [video, video.parent] if video.name.startswith(CAMERA) else [video]
        places = [folder / f"actions{suffix}" for folder in folders for suffix in ACTION_SUFFIXES]
    else:
        places = [video.with_suffix(f".actions{suffix}") for suffix in ACTION_SUFFIXES]
    for place in places:
        if place.is_file():
            return place
    raise UnreadableError(f"{video} comes without actions: there is no {' or '.join(place.name for place in places)}")


def _read_beside_array(path: str, video: ArrayVideo, limits: VideoLimits) -> np.ndarray:
    """The array `actions` beside that of the frames, of this video."""
    part, arrays = video.parts[0], list_arrays(path, limits)
    folder = part.name.rpartition("/")[0]
    name = f"{folder}/{ACTIONS_ARRAY}" if folder else ACTIONS_ARRAY
    if name not in arrays or name == part.name:
        raise UnreadableError(f"{path} comes without actions: it holds no array {name}")
    if len(video.parts) > 1:
        raise UnreadableError(f"{path}: actions are read where frames are one array, not a past and a future")
    header, leading = arrays[name], "".join(axis for axis in part.axes if axis in "nt")
    if len(header.shape) not in (len(leading), len(leading) + 1):
        raise UnreadableError(f"{path}::{name} has the shape {header.shape}, and the frames {part.header.shape}")
    if "n" in leading and header.shape[leading.index("n")] != part.sizes["n"]:
        many = header.shape[leading.index("n")]
        raise UnreadableError(f"{path}::{name} holds the actions of {many} videos, and there are {part.sizes['n']}")
    steps = header.shape[leading.index("t")]
    limits.check_frames(steps, f"{path}::{name}")
    return read_window(path, name, header, Window(leading, part.index, 0, steps, 1), limits)


def _load(path: str, limits: VideoLimits) -> np.ndarray:
    """The numbers of a file of actions."""
    require_regular_file(path)
    if path.lower().endswith(".csv"):
        with as_unreadable(path, "a table of actions"):
            rows = Path(path).read_text(encoding="utf-8-sig").splitlines()
            titled = any(word.strip()[:1].isalpha() for word in rows[0].split(",")) if rows else False
            return np.loadtxt(rows[titled:], delimiter=",", ndmin=2)
    if not path.lower().endswith(ARRAY_SUFFIXES):
        raise UnreadableError(f"{path} holds no actions: give a .npy, .csv, .npz or .h5")
    arrays = list_arrays(path, limits)
    name = ACTIONS_ARRAY if ACTIONS_ARRAY in arrays else next(iter(arrays), None) if len(arrays) == 1 else None
    if name is None:
        raise UnreadableError(f"{path} holds no array {ACTIONS_ARRAY}; it holds {', '.join(arrays) or 'none'}")
    header = arrays[name]
    if not header.shape:
        raise UnreadableError(f"{path} holds a single number, not actions")
    return read_window(path, name, header, Window("t", 0, 0, header.shape[0], 1), limits)
