"""Clips that another tool predicted, read from its files and paired with the true ones by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from gancore.data import Sample
from vidgan.data.layouts import VideoEntry, expand_array_files, find_videos
from vidgan.files.arrays import ARRAY_SUFFIXES
from vidgan.files.readers import DEFAULT_RATE, VIDEO_SUFFIXES, VideoReader
from vidgan.files.video import open_video, write_clip
from vidgan.frames import Frames, convert_channels

NUMBERED_NAME = re.compile(r"(.+)[-/#](\d+)")
"""The name of one sample of several: NAME-0, NAME/0, or one of an array that holds them all."""


@dataclass(frozen=True)
class ClipFiles:
    """Clips of one folder, all of `frames` frames and of one size, read when asked for."""

    names: tuple[str, ...]
    readers: tuple[VideoReader, ...]
    clip_frames: int
    channels: int

    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, sample: Sample) -> tuple[Frames, int]:
        """(Frames, label 0). Raises ValueError if the clip cannot be read or is of another size than the first one."""
        frames = self._read_frames(sample.index)
        if frames.shape != self.shape:
            raise ValueError(
                f"{self.names[sample.index]} has frames of {format_size(frames.shape)}, and {self.names[0]} of "
                f"{format_size(self.shape)}: clips that are compared have one size"
            )
        return frames, 0

    @cached_property
    def shape(self) -> torch.Size:
        """Of every clip."""
        return self._read_frames(0).shape

    def as_predictions(self) -> "PredictionFiles":
        """The clips as if each had been made beside itself."""
        return PredictionFiles(self, tuple((footage,) for footage in self.readers), context_frames=0)

    def _read_frames(self, index: int) -> Frames:
        return read_frames(self.readers[index], self.clip_frames, channels=self.channels)


def read_frames(reader: VideoReader, frames: int, *, channels: int, start: int = 0) -> Frames:
    """So many frames of a clip, in grey or in colour as is asked for."""
    return convert_channels(reader.read(start, frames), channels).contiguous()


def format_shape(shape: torch.Size) -> str:
    """A clip's shape, as one says it."""
    return f"{shape[0]} frames of {format_size(shape)} in {shape[1]} channel{'s' * (shape[1] > 1)}"


def format_size(shape: torch.Size) -> str:
    """Height and width, as one says them."""
    return f"{shape[-2]}x{shape[-1]}"


def open_ground_truth(source: str, *, context_frames: int = 0, channels: int = 0, clip_frames: int = 0) -> ClipFiles:
    """The clips of a file or folder, to be compared with; the channels are those of the files unless given.

    They are of `frames` frames, or as long as they are if that is 0. Raises FileNotFoundError or ValueError if there
    are none, or they differ in length, or nothing is left of them after the context.
    """
    found = open_videos(source, channels=channels)
    names = tuple(found)
    lengths = {name: footage.frames for name, footage in found.items()}
    length = clip_frames or lengths[names[0]]
    for name in names:
        if lengths[name] != length if not clip_frames else lengths[name] < clip_frames:
            wanted = f"{clip_frames} are needed" if clip_frames else f"{names[0]} has {length}: cut them to one length"
            raise ValueError(f"{source}: {name} has {lengths[name]} frames, and {wanted}")
    if context_frames >= length:
        raise ValueError(f"context is {context_frames}, but the clips of {source} have {length} frames")
    kinds = {footage.channels for footage in found.values()}
    if not channels and len(kinds) > 1:
        raise ValueError(f"{source} has clips of {' and '.join(map(str, sorted(kinds)))} channels: give --channels")
    return ClipFiles(names, tuple(found.values()), length, channels or min(kinds))


@dataclass(frozen=True)
class PredictionFiles:
    """The futures of each true clip, in the order of these, as files hold them."""

    ground_truth: ClipFiles
    readers: tuple[tuple[VideoReader, ...], ...]
    context_frames: int

    def __getitem__(self, index: int) -> UInt8[Tensor, "samples steps channels height width"]:
        """The futures of a clip. Raises ValueError if one cannot be read or is of another size than the true one."""
        steps = self.ground_truth.clip_frames - self.context_frames
        futures = []
        for footage in self.readers[index]:
            frames = read_frames(footage, steps, channels=self.ground_truth.channels, start=footage.frames - steps)
            if frames.shape[1:] != self.ground_truth.shape[1:]:
                raise ValueError(
                    f"the prediction of {self.ground_truth.names[index]} has frames of {format_size(frames.shape)}, and the true "
                    f"clip of {format_size(self.ground_truth.shape)}: predict at the size of the true clips"
                )
            futures.append(frames)
        return torch.stack(futures)


def open_predictions(source: str, true: ClipFiles, *, context_frames: int) -> PredictionFiles:
    """The predictions of a file or folder for each true clip: NAME, or NAME-0, NAME-1, ..., or NAME/0, NAME/1, ...

    They hold the frames after the context, or the context as well. Raises ValueError if a clip has no prediction or a
    prediction no clip, or numbers of frames or samples do not fit.
    """
    found = open_videos(source, channels=true.channels)
    names = pair_by_name(list(found), true.names, source)
    counts = {name: len(names[name]) for name in true.names}
    first = true.names[0]
    for name, count in counts.items():
        if count != counts[first]:
            raise ValueError(f"{source} has {count} predictions of {name}, and {counts[first]} of {first}")
    steps = true.clip_frames - context_frames
    for name, footage in found.items():
        if footage.frames not in (steps, true.clip_frames):
            least = f"{steps}, or {true.clip_frames} with the context" if context_frames else f"{steps}"
            raise ValueError(f"{source}: {name} has {footage.frames} frames, and its true clip needs {least}")
    return PredictionFiles(
        true, tuple(tuple(found[each] for each in names[name]) for name in true.names), context_frames
    )


def pair_by_name(predictions: Sequence[str], true: Sequence[str], source: str) -> dict[str, list[str]]:
    """The names of the predictions of each true clip, samples in the order of their numbers."""
    if len(predictions) == len(true) == 1:
        return {true[0]: list(predictions)}
    known = set(true)
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in true}
    strangers = []
    for name in predictions:
        numbered = NUMBERED_NAME.fullmatch(name)
        if name in known:
            found[name].append((-1, name))
        elif numbered and numbered[1] in known:
            found[numbered[1]].append((int(numbered[2]), name))
        else:
            strangers.append(name)
    lacking = [name for name, samples in found.items() if not samples]
    if lacking or strangers:
        complaints = [
            f"{len(names)} {what}: {abbreviate_names(names)}"
            for what, names in (
                ("true clips have no prediction", lacking),
                ("predictions have no true clip", strangers),
            )
            if names
        ]
        raise ValueError(f"{source} does not go with the true clips; {'; '.join(complaints)} (files pair by name)")
    return {name: [sample for _, sample in sorted(samples)] for name, samples in found.items()}


def open_videos(source: str, *, channels: int) -> dict[str, VideoReader]:
    """The videos of a file or folder by their names without endings, those inside an array by its name and a number.

    Raises FileNotFoundError or ValueError if there are none, or one cannot be opened.
    """
    videos, unreadable = expand_array_files(find_videos(source, "folder"), channels or 3)
    if unreadable:
        raise ValueError(unreadable[0])
    root = Path(source)
    return {clip_name_of(video, alone=root.is_file()): video.array_video or open_video(video.path) for video in videos}


def clip_name_of(video: VideoEntry, *, alone: bool) -> str:
    """The video's name without the ending; of a file that was given alone only what stands behind a #."""
    stem, mark, number = video.name.partition("#") if video.array_video else (video.name, "", "")
    path = Path(stem)
    if path.suffix.lower() in (*VIDEO_SUFFIXES, *ARRAY_SUFFIXES, ".zip"):
        stem = path.with_suffix("").as_posix()
    return ("" if alone and mark else stem) + mark + number


def abbreviate_names(names: Sequence[str], count: int = 3) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def write_clip_pair(
    folder: Path, number: int, true: Frames, futures: UInt8[Tensor, "samples steps channels height width"]
) -> None:
    """Writes a true clip and its futures losslessly below truth/ and predictions/, named so that they are paired."""
    write_clip(folder / "truth" / f"{number:05d}.npy", true, rate=DEFAULT_RATE)
    for sample, future in enumerate(futures):
        name = f"{number:05d}-{sample}" if len(futures) > 1 else f"{number:05d}"
        write_clip(folder / "predictions" / f"{name}.npy", future, rate=DEFAULT_RATE)
