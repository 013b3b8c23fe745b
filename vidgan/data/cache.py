"""What was learnt about videos once, kept: their lengths, and their decoded frames as memory-mapped files."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path

import numpy as np

from gancore.atomic import atomic_write
from vidgan.files.arrays import ArrayVideo
from vidgan.files.readers import UnreadableError, VideoFile, VideoReader, open_video_file
from vidgan.frames import Frames

CHUNK_FRAMES = 256
"""Frames decoded at a time, so that a long video need not fit in memory."""


def open_video_files(paths: list[str], folder: str) -> dict[str, VideoFile | UnreadableError]:
    """Every film, or why it is none; from `probes.json` in the folder where the file has not changed since."""
    memory = Path(folder, "probes.json") if folder else None
    known = json.loads(memory.read_text(encoding="utf-8")) if memory and memory.is_file() else {}
    films: dict[str, VideoFile | UnreadableError] = {}
    added = {}
    for path in paths:
        key = fingerprint_path(path)
        if key not in known:
            added[key] = probe_video(path)
        films[path] = restore_probe(path, known.get(key) or added[key])
    if memory and added:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(memory) as partial:
            partial.write_text(json.dumps(known | added), encoding="utf-8")
    return films


def probe_video(path: str) -> dict[str, str | int | bool]:
    try:
        film = open_video_file(path)
    except UnreadableError as error:
        return {"error": str(error)}
    return asdict(film) | {"rate": str(film.rate)}


def restore_probe(path: str, known: dict) -> VideoFile | UnreadableError:
    if "error" in known:
        return UnreadableError(known["error"])
    return VideoFile(**known | {"path": path, "rate": Fraction(known["rate"])})


def fingerprint_path(path: str) -> str:
    """A key that changes when the file, or a file of the folder, does."""
    entries = sorted(os.scandir(path), key=lambda entry: entry.name) if os.path.isdir(path) else [Path(path)]
    digest = blake2b(os.path.abspath(path).encode(), digest_size=16)
    for entry in entries:
        state = entry.stat()
        digest.update(f"{entry.name} {state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()


def open_cached(
    reader: VideoReader, path: str, *, folder: str, prepare: Callable[[Frames], Frames], prepare_key: str
) -> ArrayVideo:
    """The footage as `prepare` leaves it, from a memory-mapped file that is made on first use.

    `how` names what `prepare` does. Processes that make it at once do so twice, and either result is whole.
    """
    file = Path(
        folder, f"{blake2b(f'{fingerprint_path(path)} {prepare_key}'.encode(), digest_size=16).hexdigest()}.npy"
    )
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as partial:
            write_decoded_frames(reader, partial, prepare)
    shape = np.load(file, mmap_mode="r").shape
    return ArrayVideo(str(file), shape[0], shape[1], "tchw")


def write_decoded_frames(reader: VideoReader, file: Path, prepare: Callable[[Frames], Frames]) -> None:
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
