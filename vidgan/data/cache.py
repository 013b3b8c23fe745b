"""What a first look at videos found, kept for later runs: their lengths, and their decoded frames as memory maps."""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from gancore.atomic import atomic_write
from gancore.errors import UnreadableError
from vidgan.files.arrays import ArrayVideo
from vidgan.files.readers import VideoReader
from vidgan.files.video_file import VideoFile, open_video_file
from vidgan.frames import Frames

CHUNK_FRAMES = 256
"""Frames decoded at a time, so that a long video need not fit in memory."""


@dataclass(frozen=True)
class Probe:
    """What opening a video file found: a reader, or the reason why it cannot be read."""

    reader: VideoFile | None
    reason: str = ""


def probe_video(path: str) -> Probe:
    """Opens a video file by its header."""
    try:
        return Probe(open_video_file(path))
    except UnreadableError as error:
        return Probe(None, str(error))


def probe_videos(paths: Iterable[str], folder: str | Path | None) -> dict[str, Probe]:
    """Probes every path; `probes.json` in the folder, if one is given, spares files unchanged since an earlier call."""
    file = Path(folder, "probes.json") if folder else None
    records = json.loads(file.read_text(encoding="utf-8")) if file and file.is_file() else {}
    probes: dict[str, Probe] = {}
    added: dict[str, dict[str, Any]] = {}
    for path in paths:
        key = fingerprint_path(path)
        if key in records:
            probes[path] = _from_record(path, records[key])
        else:
            probes[path] = probe_video(path)
            added[key] = _to_record(probes[path])
    if file and added:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as partial:
            partial.write_text(json.dumps(records | added), encoding="utf-8")
    return probes


def _to_record(probe: Probe) -> dict[str, Any]:
    if probe.reader is None:
        return {"error": probe.reason}
    return asdict(probe.reader) | {"rate": str(probe.reader.rate)}


def _from_record(path: str, record: dict[str, Any]) -> Probe:
    if "error" in record:
        return Probe(None, record["error"])
    return Probe(VideoFile(**record | {"path": path, "rate": Fraction(record["rate"])}))


def fingerprint_path(path: str) -> str:
    """A key that changes whenever the file, or a file in the folder, changes in size or time of modification."""
    entries = sorted(os.scandir(path), key=lambda entry: entry.name) if os.path.isdir(path) else [Path(path)]
    digest = blake2b(os.path.abspath(path).encode(), digest_size=16)
    for entry in entries:
        state = entry.stat()
        digest.update(f"{entry.name} {state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()


def open_cached(
    reader: VideoReader, path: str, *, folder: str | Path, prepare: Callable[[Frames], Frames], prepare_key: str
) -> ArrayVideo:
    """The video after `prepare`, read from a memory-mapped file in the folder that is written on first use.

    `prepare_key` tells results of different `prepare` functions apart. Processes that write the same file at the same
    time do the work twice, and each leaves a whole file.
    """
    key = blake2b(f"{fingerprint_path(path)} {prepare_key}".encode(), digest_size=16).hexdigest()
    file = Path(folder, f"{key}.npy")
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as partial:
            write_decoded_frames(reader, partial, prepare)
    shape = np.load(file, mmap_mode="r").shape
    return ArrayVideo(str(file), shape[0], shape[1], "tchw")


def write_decoded_frames(reader: VideoReader, file: Path, prepare: Callable[[Frames], Frames]) -> None:
    """Decodes a whole video, chunk by chunk, into an npy file of the frames after `prepare`."""
    target: np.ndarray | None = None
    for start in range(0, reader.frames, CHUNK_FRAMES):
        count = min(CHUNK_FRAMES, reader.frames - start)
        frames = prepare(reader.read(start, count)).numpy()
        if target is None:
            shape = (reader.frames, *frames.shape[1:])
            target = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        target[start : start + count] = frames
    assert isinstance(target, np.memmap)
    target.flush()
