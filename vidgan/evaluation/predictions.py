"""Reads the clips of another tool from files, and pairs them with the ground truth by name."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from gancore.data import Sample
from gancore.evaluation.pairing import list_names, pair_by_name
from gancore.files.limits import VideoLimits
from vidgan.data.layouts import VideoEntry, expand_array_files, find_videos
from vidgan.files.arrays import ARRAY_SUFFIXES, ArrayVideo
from vidgan.files.readers import DEFAULT_LIMITS, DEFAULT_RATE, VIDEO_SUFFIXES, VideoReader
from vidgan.files.video import open_video, write_clip
from vidgan.frames import Frames, convert_channels


@dataclass(frozen=True)
class ClipFiles:
    """True clips of a file or folder, all `clip_frames` long and of one size, read when asked for."""

    names: tuple[str, ...]
    readers: tuple[VideoReader, ...]
    clip_frames: int
    channels: int

    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, sample: Sample) -> tuple[Frames, int]:
        """Return (frames, label 0). Raises ValueError if it cannot be read or its size is not the first clip's."""
        frames = self._read_frames(sample.index)
        if frames.shape != self.shape:
            raise ValueError(
                f"{self.names[sample.index]} has frames of {format_size(frames.shape)}, and {self.names[0]} of "
                f"{format_size(self.shape)}: clips that are compared have one size"
            )
        return frames, 0

    @cached_property
    def shape(self) -> torch.Size:
        """Shape of every clip: time, channels, height, width."""
        return self._read_frames(0).shape

    def as_predictions(self) -> "PredictionFiles":
        """Return the clips as predictions, one for each; for clips that were generated from noise."""
        return PredictionFiles(self, tuple((reader,) for reader in self.readers), context_frames=0)

    def _read_frames(self, index: int) -> Frames:
        return read_frames(self.readers[index], self.clip_frames, channels=self.channels)


def read_frames(reader: VideoReader, frames: int, *, channels: int, start: int = 0) -> Frames:
    """Read `frames` frames of a clip from `start` on, in grey (1 channel) or colour (3)."""
    return convert_channels(reader.read(start, frames), channels).contiguous()


def format_shape(shape: torch.Size) -> str:
    """Describe the shape of a clip: "16 frames of 64x64 in 3 channels"."""
    return f"{shape[0]} frames of {format_size(shape)} in {shape[1]} channel{'s' * (shape[1] > 1)}"


def format_size(shape: torch.Size) -> str:
    """Describe height and width: "64x48"."""
    return f"{shape[-2]}x{shape[-1]}"


def open_ground_truth(
    source: Path, *, context_frames: int = 0, channels: int | None = None, limits: VideoLimits = DEFAULT_LIMITS
) -> ClipFiles:
    """Open the true clips of a file or folder.

    Args:
        source: A video, an array of clips, or a folder of either.
        context_frames: Past frames at the start of every clip.
        channels: 1 to read the clips in grey, 3 in colour; as the files are if None.
        limits: What a clip may hold.

    Raises:
        FileNotFoundError, ValueError: There are no clips, they differ in length or in channels, or they are no longer
            than the context.
    """
    found = open_videos(source, channels=channels, limits=limits)
    names = tuple(found)
    length = found[names[0]].frames
    for name, reader in found.items():
        if reader.frames != length:
            raise ValueError(
                f"{source}: {name} has {reader.frames} frames, and {names[0]} has {length}: cut them to one length"
            )
    if context_frames >= length:
        raise ValueError(f"context_frames is {context_frames}, but the clips of {source} have {length} frames")
    kinds = {reader.channels for reader in found.values()}
    if not channels and len(kinds) > 1:
        raise ValueError(f"{source} has clips of {' and '.join(map(str, sorted(kinds)))} channels: give --channels")
    return ClipFiles(names, tuple(found.values()), length, channels or min(kinds))


@dataclass(frozen=True)
class PredictionFiles:
    """Predicted futures of each true clip, in the order of the true clips, read when asked for."""

    ground_truth: ClipFiles
    readers: tuple[tuple[VideoReader, ...], ...]
    context_frames: int

    def __getitem__(self, index: int) -> UInt8[Tensor, "samples steps channels height width"]:
        """Read the futures of a clip. Raises ValueError if one cannot be read or its size is not the true clip's."""
        steps = self.ground_truth.clip_frames - self.context_frames
        futures = []
        for reader in self.readers[index]:
            frames = read_frames(reader, steps, channels=self.ground_truth.channels, start=reader.frames - steps)
            if frames.shape[1:] != self.ground_truth.shape[1:]:
                raise ValueError(
                    f"the prediction of {self.ground_truth.names[index]} has frames of {format_size(frames.shape)}, "
                    f"and the true clip of {format_size(self.ground_truth.shape)}: predict at the true clips' size"
                )
            futures.append(frames)
        return torch.stack(futures)


def open_predictions(
    source: Path, true: ClipFiles, *, context_frames: int, limits: VideoLimits = DEFAULT_LIMITS
) -> PredictionFiles:
    """Open the predictions for each true clip X: files X, or X-0, X-1, ..., or X/0, X/1, ... for several samples.

    Args:
        source: A file or folder of predictions, which hold the frames after the context, or the context as well.
        true: The true clips.
        context_frames: Past frames at the start of every true clip.
        limits: What a clip may hold.

    Raises:
        ValueError: A clip has no prediction or a prediction no clip, or numbers of frames or samples do not fit.
    """
    found = open_videos(source, channels=true.channels, limits=limits)
    pairing = pair_by_name(list(found), true.names, numbered_samples=True)
    mismatches = {
        "true clips have no prediction": pairing.missing,
        "predictions have no true clip": pairing.unmatched,
    }
    complaints = [f"{len(names)} {what}: {list_names(names)}" for what, names in mismatches.items() if names]
    if complaints:
        raise ValueError(f"{source} does not go with the true clips; {'; '.join(complaints)} (files pair by name)")
    first = true.names[0]
    for name, files in pairing.files.items():
        if len(files) != len(pairing.files[first]):
            raise ValueError(
                f"{source} has {len(files)} predictions of {name}, and {len(pairing.files[first])} of {first}"
            )
    steps = true.clip_frames - context_frames
    for name, reader in found.items():
        if reader.frames not in (steps, true.clip_frames):
            needed = f"{steps}, or {true.clip_frames} with the context" if context_frames else f"{steps}"
            raise ValueError(f"{source}: {name} has {reader.frames} frames, and its true clip needs {needed}")
    readers = tuple(tuple(found[file] for file in pairing.files[name]) for name in true.names)
    return PredictionFiles(true, readers, context_frames)


def open_videos(source: Path, *, channels: int | None, limits: VideoLimits) -> dict[str, VideoReader]:
    """Open the videos of a file or folder, by their names without endings; clip 3 of the array X is called X#3.

    Raises FileNotFoundError or ValueError if there are none, or one cannot be opened.
    """
    found = find_videos(str(source), "folder", limits=limits)
    videos, unreadable = expand_array_files(found, channels or 3, limits=limits)
    if unreadable:
        raise ValueError(unreadable[0])
    opened: dict[str, VideoReader] = {}
    for video in videos:
        name = clip_name_of(video, alone=not source.is_dir())
        if name in opened:
            raise ValueError(f"{source} holds two clips called {name}, which pair by name: rename one")
        opened[name] = video.reader or open_video(video.address, limits=limits)
    return opened


def clip_name_of(video: VideoEntry, *, alone: bool) -> str:
    """Return the video's name without its ending; for clips of an array that is the whole source, the number alone."""
    match = re.fullmatch(r"(.*)#(\d+)", video.name, re.DOTALL) if isinstance(video.reader, ArrayVideo) else None
    stem, mark, number = (match[1], "#", match[2]) if match else (video.name, "", "")
    path = Path(stem)
    if path.suffix.lower() in (*VIDEO_SUFFIXES, *ARRAY_SUFFIXES, ".zip"):
        stem = path.with_suffix("").as_posix()
    return ("" if alone and mark else stem) + mark + number


def write_clip_pair(
    folder: Path, number: int, true: Frames, futures: UInt8[Tensor, "samples steps channels height width"]
) -> None:
    """Write a true clip and its futures losslessly below truth/ and predictions/, named so that they can be paired."""
    write_clip(folder / "truth" / f"{number:05d}.npy", true, rate=DEFAULT_RATE)
    for sample, future in enumerate(futures):
        name = f"{number:05d}-{sample}" if len(futures) > 1 else f"{number:05d}"
        write_clip(folder / "predictions" / f"{name}.npy", future, rate=DEFAULT_RATE)
