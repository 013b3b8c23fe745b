"""A cache of videos for later runs: their properties, found by probing, and their decoded frames as arrays."""

import json
import operator
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from gancore.errors import UnreadableError
from gancore.files.atomic import atomic_write
from gancore.files.limits import VideoLimits
from gancore.files.reading import read_json
from vidgan.files.array_files import list_arrays
from vidgan.files.arrays import ArrayPart, ArrayVideo
from vidgan.files.image_sequence import is_image
from vidgan.files.readers import DEFAULT_LIMITS, VideoReader
from vidgan.files.video_file import VideoFile, open_video_file
from vidgan.frames import Frames

CHUNK_FRAMES = 256
"""Number of frames decoded at a time, so that a long video need not fit in memory."""
CACHE_VERSION = 3
"""Increased whenever the way of reading videos changes, which invalidates older caches."""
PROBES_FILE = "probes.json"


def probe_videos(
    paths: Iterable[str], folder: str | Path | None, *, limits: VideoLimits = DEFAULT_LIMITS
) -> dict[str, VideoFile | UnreadableError]:
    """Opens every video file, or says why it cannot be read.

    If a folder is given, its `probes.json` keeps the results for files that have not changed since; a damaged one is
    replaced. Raises UnwritableError if it cannot be written.
    """
    file = Path(folder, PROBES_FILE) if folder else None
    records = _read_records(file) if file else {}
    probes: dict[str, VideoFile | UnreadableError] = {}
    added: dict[str, dict[str, Any]] = {}
    for path in paths:
        try:
            key = fingerprint_path(path)
            known = _from_record(path, records.get(key), limits)
            probe = known or open_video_file(path, limits=limits)
            limits.check_frames(probe.frames, path)
        except FileNotFoundError:
            probes[path] = UnreadableError(f"{path} is gone, or a link to nothing")
        except UnreadableError as error:
            probes[path] = error
        else:
            probes[path] = probe
            if not known:
                added[key] = _to_record(probe)
    if file and added:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as partial:
            partial.write_text(json.dumps({"version": CACHE_VERSION, "films": records | added}), encoding="utf-8")
    return probes


def _read_records(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file)
    except (FileNotFoundError, UnreadableError):
        return {}
    if not isinstance(content, dict) or content.get("version") != CACHE_VERSION:
        return {}
    return content["films"] if isinstance(content.get("films"), dict) else {}


def _to_record(film: VideoFile) -> dict[str, Any]:
    values = {field.name: getattr(film, field.name) for field in fields(film) if field.name not in ("path", "limits")}
    return {name: str(value) if isinstance(value, Fraction) else value for name, value in values.items()}


def _from_record(path: str, record: Any, limits: VideoLimits) -> VideoFile | None:
    """The video file of a record; None if the record is missing or damaged."""
    try:
        rate, pixel_aspect = Fraction(record["rate"]), Fraction(record["pixel_aspect"])
        frames, origin, stream = (operator.index(record[name]) for name in ("frames", "origin", "stream"))
        timed, even = (bool(record[name]) for name in ("timed", "even"))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if rate <= 0 or pixel_aspect <= 0 or frames <= 0 or stream < 0:
        return None
    return VideoFile(path, frames, rate, origin, timed, even, stream, pixel_aspect, limits)


def fingerprint_path(path: str) -> str:
    """A key that changes whenever the file, or a picture in the folder, is changed or replaced.

    Raises FileNotFoundError if the path does not exist.
    """
    entries: Sequence[os.DirEntry[str] | Path] = [Path(path)]
    if os.path.isdir(path):  # where an editor's lock, for one, may be a link to nothing
        pictures = (entry for entry in os.scandir(path) if is_image(entry.name))
        entries = sorted(pictures, key=lambda entry: entry.name)
    digest = blake2b(os.fsencode(os.path.abspath(path)), digest_size=16)
    for entry in entries:
        state = entry.stat()
        stamp = f" {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
        digest.update(os.fsencode(entry.name) + stamp.encode())
    return digest.hexdigest()


def open_cached(
    reader: VideoReader, path: str, *, folder: str | Path, prepare: Callable[[Frames], Frames], prepare_key: str
) -> ArrayVideo:
    """The video after `prepare`, read from an npy file in the folder, which is written on first use.

    A truncated file is written again. Processes may write the same file at the same time; both leave a complete one.

    Args:
        reader: The video.
        path: Where the video is; part of the cache's key.
        folder: Folder of the cache.
        prepare: Applied to the decoded frames, at most CHUNK_FRAMES at a time.
        prepare_key: Distinguishes the results of different `prepare` functions.

    Raises:
        UnreadableError: The video is broken or gone.
        UnwritableError: The file cannot be written.
    """
    try:
        state = f"{CACHE_VERSION} {fingerprint_path(path)} {reader.frames} {reader.rate} {prepare_key}"
    except FileNotFoundError as error:
        raise UnreadableError(f"{path} is gone: it was there when it was opened") from error
    file = Path(folder, f"{blake2b(state.encode(), digest_size=16).hexdigest()}.npy")
    try:
        return _open_decoded(file, reader)
    except (FileNotFoundError, UnreadableError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as partial:
            write_decoded_frames(reader, partial, prepare)
        return _open_decoded(file, reader)


def _open_decoded(file: Path, reader: VideoReader) -> ArrayVideo:
    header = list_arrays(str(file), DEFAULT_LIMITS)[""]
    if len(header.shape) != 4 or header.shape[0] != reader.frames or header.dtype != np.uint8:
        raise UnreadableError(f"{file} is not what was decoded")
    return ArrayVideo(str(file), (ArrayPart("", header, "tchw", frames=header.shape[0]),), rate=reader.rate)


def write_decoded_frames(reader: VideoReader, file: Path, prepare: Callable[[Frames], Frames]) -> None:
    """Decodes a whole video, chunk by chunk, into an npy file of the frames after `prepare`.

    Raises UnreadableError if the video is broken, OSError if the disk is full.
    """
    with file.open("wb") as target:  # not a memory map: writing to one on a full disk kills the process
        for start in range(0, reader.frames, CHUNK_FRAMES):
            count = min(CHUNK_FRAMES, reader.frames - start)
            frames = np.ascontiguousarray(prepare(reader.read(start, count)).numpy())
            if not start:
                shape = (reader.frames, *frames.shape[1:])
                np.lib.format.write_array_header_1_0(
                    target,
                    {"descr": np.lib.format.dtype_to_descr(frames.dtype), "fortran_order": False, "shape": shape},
                )
            elif frames.shape[1:] != shape[1:]:
                raise UnreadableError(f"the frames of the video differ in size from number {start} on")
            target.write(frames.data)
