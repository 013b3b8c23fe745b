"""Atomic writes: a file is either as it was before or complete, whatever fails and whoever else writes there."""

import fcntl
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gancore.errors import UnwritableError, describe_error

_PARTIAL = re.compile(r"\.partial-[0-9a-f]{16}-.*", re.DOTALL)
_swept: set[Path] = set()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` with the same suffix, which replaces `path` if the block ends without an error.

    When the block fails, the neighbour is removed and `path` is what it was. What killed processes left beside it is
    removed first. A symbolic link is replaced, and what it leads to stays as it is.

    Raises:
        UnwritableError: The file cannot be written: the disk is full or read-only, a library failed to write, or a
            folder, pipe or device is in its place.
    """
    with as_unwritable(path):
        if path.exists() and not path.is_file():
            raise UnwritableError(f"cannot write {path}: it is a folder, pipe or device")
        with _hold(path, _make_file) as partial:
            try:
                yield partial
                sync_to_disk(partial)
                os.replace(partial, path)
                sync_to_disk(path.parent)
            finally:
                partial.unlink(missing_ok=True)


@contextmanager
def as_unwritable(path: Path | str) -> Iterator[None]:
    """Turns whatever a library raises while it writes into an UnwritableError of one line that names what is written.

    ValueError, TypeError and AssertionError pass: they speak of what should be written.
    """
    try:
        yield
    except (ValueError, TypeError, AssertionError):
        raise
    except Exception as error:  # torch, safetensors and FFmpeg each have errors of their own for a full disk
        raise UnwritableError(f"cannot write {path}: {describe_error(_find_os_error(error) or error)}") from error


def _find_os_error(error: BaseException | None) -> OSError | None:
    """The error of the system that this error followed, which says why; None if there was none."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def create_parents(path: Path) -> None:
    """Creates the missing folders above `path`. Raises UnwritableError if that fails."""
    with as_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)


def sync_to_disk(path: Path) -> None:
    """Waits until the content of this file, or the entries of this folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def hold_new_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path` that no other process sweeps; removed at the end, unless it was moved away."""
    with _hold(path, _make_folder) as partial:
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _hold(path: Path, make: Callable[[Path], int]) -> Iterator[Path]:
    """A new file or folder beside `path`, locked as long as the block or the process lives."""
    _sweep_once(path.parent)
    while True:
        partial = _name_partial(path)
        descriptor = make(partial)
        try:
            with suppress(OSError):  # a file system without locks: nobody can sweep there either
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink == 0:  # swept between its creation and its lock
                continue
            yield partial
            return
        finally:
            os.close(descriptor)


def _make_file(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)


def _make_folder(path: Path) -> int:
    path.mkdir(parents=True)
    return os.open(path, os.O_RDONLY)


def _name_partial(path: Path) -> Path:
    """A name that no process on any machine shares, with the suffix of `path`, and no longer than names may be."""
    readable = os.fsencode(path.name)[-150:].decode(sys.getfilesystemencoding(), errors="ignore")
    return path.with_name(f".partial-{secrets.token_hex(8)}-{readable}")


def sweep_partials(folder: Path) -> None:
    """Removes the partial files and folders that nobody holds: what processes left that were killed as they wrote."""
    with suppress(OSError):
        for partial in [entry for entry in folder.iterdir() if _PARTIAL.fullmatch(entry.name)]:
            _remove_unless_held(partial)


def _sweep_once(folder: Path) -> None:
    """Sweeps a folder the first time that this process writes to it; later a kill would have ended this process."""
    folder = folder.absolute()
    if folder not in _swept:
        _swept.add(folder)
        sweep_partials(folder)


def _remove_unless_held(partial: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(partial, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            else:
                partial.unlink()
        finally:
            os.close(descriptor)
