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
from vidgan.data.layouts import Video, find_videos, unfolded
from vidgan.files.arrays import ARRAYS
from vidgan.files.readers import FILMS, UNSTATED_RATE, Footage
from vidgan.files.video import Frames, open_footage, with_channels, write_clip

NUMBERED = re.compile(r"(.+)[-/#](\d+)")
"""The name of one sample of several: NAME-0, NAME/0, or one of an array that holds them all."""


@dataclass(frozen=True)
class ClipFiles:
    """Clips of one folder, all of `frames` frames and of one size, read when asked for."""

    names: tuple[str, ...]
    footage: tuple[Footage, ...]
    frames: int
    channels: int

    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, sample: Sample) -> tuple[Frames, int]:
        """(Frames, label 0). Raises ValueError if the clip cannot be read or is of another size than the first one."""
        frames = self._read(sample.index)
        if frames.shape != self.shape:
            raise ValueError(
                f"{self.names[sample.index]} has frames of {size(frames.shape)}, and {self.names[0]} of "
                f"{size(self.shape)}: clips that are compared have one size"
            )
        return frames, 0

    @cached_property
    def shape(self) -> torch.Size:
        """Of every clip."""
        return self._read(0).shape

    def as_predictions(self) -> "Predicted":
        """The clips as if each had been made beside itself."""
        return Predicted(self, tuple((footage,) for footage in self.footage), context=0)

    def _read(self, index: int) -> Frames:
        return read(self.footage[index], self.frames, channels=self.channels)


def read(footage: Footage, frames: int, *, channels: int, start: int = 0) -> Frames:
    """So many frames of a clip, in grey or in colour as is asked for."""
    return with_channels(footage.read(start, frames), channels).contiguous()


def told(shape: torch.Size) -> str:
    """A clip's shape, as one says it."""
    return f"{shape[0]} frames of {size(shape)} in {shape[1]} channel{'s' * (shape[1] > 1)}"


def size(shape: torch.Size) -> str:
    """Height and width, as one says them."""
    return f"{shape[-2]}x{shape[-1]}"


def true_clips(source: str, *, context: int = 0, channels: int = 0, frames: int = 0) -> ClipFiles:
    """The clips of a file or folder, to be compared with; the channels are those of the files unless given.

    They are of `frames` frames, or as long as they are if that is 0. Raises FileNotFoundError or ValueError if there
    are none, or they differ in length, or nothing is left of them after the context.
    """
    found = opened(source, channels=channels)
    names = tuple(found)
    lengths = {name: footage.frames for name, footage in found.items()}
    length = frames or lengths[names[0]]
    for name in names:
        if lengths[name] != length if not frames else lengths[name] < frames:
            wanted = f"{frames} are needed" if frames else f"{names[0]} has {length}: cut them to one length"
            raise ValueError(f"{source}: {name} has {lengths[name]} frames, and {wanted}")
    if context >= length:
        raise ValueError(f"context is {context}, but the clips of {source} have {length} frames")
    kinds = {footage.channels for footage in found.values()}
    if not channels and len(kinds) > 1:
        raise ValueError(f"{source} has clips of {' and '.join(map(str, sorted(kinds)))} channels: give --channels")
    return ClipFiles(names, tuple(found.values()), length, channels or min(kinds))


@dataclass(frozen=True)
class Predicted:
    """The futures of each true clip, in the order of these, as files hold them."""

    true: ClipFiles
    files: tuple[tuple[Footage, ...], ...]
    context: int

    def __getitem__(self, index: int) -> UInt8[Tensor, "samples steps channels height width"]:
        """The futures of a clip. Raises ValueError if one cannot be read or is of another size than the true one."""
        steps = self.true.frames - self.context
        futures = []
        for footage in self.files[index]:
            frames = read(footage, steps, channels=self.true.channels, start=footage.frames - steps)
            if frames.shape[1:] != self.true.shape[1:]:
                raise ValueError(
                    f"the prediction of {self.true.names[index]} has frames of {size(frames.shape)}, and the true "
                    f"clip of {size(self.true.shape)}: predict at the size of the true clips"
                )
            futures.append(frames)
        return torch.stack(futures)


def predicted(source: str, true: ClipFiles, *, context: int) -> Predicted:
    """The predictions of a file or folder for each true clip: NAME, or NAME-0, NAME-1, ..., or NAME/0, NAME/1, ...

    They hold the frames after the context, or the context as well. Raises ValueError if a clip has no prediction or a
    prediction no clip, or numbers of frames or samples do not fit.
    """
    found = opened(source, channels=true.channels)
    names = paired(list(found), true.names, source)
    counts = {name: len(names[name]) for name in true.names}
    first = true.names[0]
    for name, count in counts.items():
        if count != counts[first]:
            raise ValueError(f"{source} has {count} predictions of {name}, and {counts[first]} of {first}")
    steps = true.frames - context
    for name, footage in found.items():
        if footage.frames not in (steps, true.frames):
            least = f"{steps}, or {true.frames} with the context" if context else f"{steps}"
            raise ValueError(f"{source}: {name} has {footage.frames} frames, and its true clip needs {least}")
    return Predicted(true, tuple(tuple(found[each] for each in names[name]) for name in true.names), context)


def paired(predictions: Sequence[str], true: Sequence[str], source: str) -> dict[str, list[str]]:
    """The names of the predictions of each true clip, samples in the order of their numbers."""
    if len(predictions) == len(true) == 1:
        return {true[0]: list(predictions)}
    known = set(true)
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in true}
    strangers = []
    for name in predictions:
        numbered = NUMBERED.fullmatch(name)
        if name in known:
            found[name].append((-1, name))
        elif numbered and numbered[1] in known:
            found[numbered[1]].append((int(numbered[2]), name))
        else:
            strangers.append(name)
    lacking = [name for name, samples in found.items() if not samples]
    if lacking or strangers:
        complaints = [
            f"{len(names)} {what}: {few(names)}"
            for what, names in (
                ("true clips have no prediction", lacking),
                ("predictions have no true clip", strangers),
            )
            if names
        ]
        raise ValueError(f"{source} does not go with the true clips; {'; '.join(complaints)} (files pair by name)")
    return {name: [sample for _, sample in sorted(samples)] for name, samples in found.items()}


def opened(source: str, *, channels: int) -> dict[str, Footage]:
    """The videos of a file or folder by their names without endings, those inside an array by its name and a number.

    Raises FileNotFoundError or ValueError if there are none, or one cannot be opened.
    """
    videos, unreadable = unfolded(find_videos(source, "folder"), channels or 3)
    if unreadable:
        raise ValueError(unreadable[0])
    root = Path(source)
    return {name_of(video, alone=root.is_file()): video.clip or open_footage(video.path) for video in videos}


def name_of(video: Video, *, alone: bool) -> str:
    """The video's name without the ending; of a file that was given alone only what stands behind a #."""
    stem, mark, number = video.name.partition("#") if video.clip else (video.name, "", "")
    path = Path(stem)
    if path.suffix.lower() in (*FILMS, *ARRAYS, ".zip"):
        stem = path.with_suffix("").as_posix()
    return ("" if alone and mark else stem) + mark + number


def few(names: Sequence[str], count: int = 3) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def save(
    folder: Path, number: int, true: Frames, futures: UInt8[Tensor, "samples steps channels height width"]
) -> None:
    """Writes a true clip and its futures losslessly below truth/ and predictions/, named so that they are paired."""
    write_clip(folder / "truth" / f"{number:05d}.npy", true, rate=UNSTATED_RATE)
    for sample, future in enumerate(futures):
        name = f"{number:05d}-{sample}" if len(futures) > 1 else f"{number:05d}"
        write_clip(folder / "predictions" / f"{name}.npy", future, rate=UNSTATED_RATE)
