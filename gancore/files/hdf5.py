"""HDF5 files, of which damaged ones are refused before its library walks through them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import h5py

from gancore.errors import UnreadableError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
END_OF_FILE = {0: 40, 1: 44, 2: 28, 3: 28}
"""Where each version of the superblock states the end of the file (HDF5 File Format Specification, section II.A)."""
SMALLEST = 48
"""Bytes of the shortest superblock."""


@contextmanager
def open_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """The opened file. Raises UnreadableError if its size is not what it states, or OSError if h5py cannot open it."""
    stated, size = _stated_size(path), os.path.getsize(path)
    if stated is not None and not SMALLEST <= stated <= size:  # the library may take gigabytes for what is not there
        raise UnreadableError(f"{path} is cut short or damaged: it states {stated:,} bytes and has {size:,}")
    with h5py.File(path) as file:
        yield file


def visit_hdf5(file: h5py.File, found: Callable[[str, h5py.Group | h5py.Dataset], None]) -> None:
    """Calls `found` with the name of every group and data set and with itself; links are not followed.

    Raises RuntimeError if the members of a group cannot be listed: h5py's own visit may then never end.
    """

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Group):
            len(item)
        found(name, item)

    len(file)
    file.visititems(visit)


def _stated_size(path: str | os.PathLike[str]) -> int | None:
    """The size of the file by its superblock, which lies at its start or behind a user block; None if none is found."""
    with open(path, "rb") as file:
        start, size = 0, os.path.getsize(path)
        while start < size:
            file.seek(start)
            superblock = file.read(52)
            if superblock.startswith(SIGNATURE):
                version = superblock[8] if len(superblock) > 8 else -1
                width = superblock[9 if version > 1 else 13] if version in END_OF_FILE else 0
                if width != 8:  # of addresses; hardly any file has others
                    return None
                place = END_OF_FILE[version]
                base = int.from_bytes(superblock[place - 16 : place - 8], "little")
                return int.from_bytes(superblock[place : place + 8], "little") + (start if not base else 0)
            start = max(512, 2 * start)
    return None
