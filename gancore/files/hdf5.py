"""Opening and listing HDF5 files so that damaged ones neither use gigabytes of memory nor take forever."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import h5py

from gancore.errors import UnreadableError
from gancore.files.limits import ReadingLimits
from gancore.files.reading import MAX_NESTING

SIGNATURE = b"\x89HDF\r\n\x1a\n"
END_OF_FILE = {0: 40, 1: 44, 2: 28, 3: 28}
"""Where each version of the superblock states the end of the file (HDF5 File Format Specification, section II.A)."""
SUPERBLOCK_BYTES = 48
"""Length of the shortest superblock, and what every version needs up to the end of the file's address."""


@contextmanager
def open_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """The opened file. Raises UnreadableError if it is shorter than it states, or OSError if h5py cannot open it."""
    stated, size = _stated_size(path), os.path.getsize(path)
    if stated is not None and not SUPERBLOCK_BYTES <= stated <= size:  # the library may take gigabytes for the rest
        raise UnreadableError(f"{path} is cut short or damaged: it states {stated:,} bytes and has {size:,}")
    with h5py.File(path) as file:
        yield file


def iterate_datasets(
    file: h5py.File, path: str | os.PathLike[str], limits: ReadingLimits
) -> Iterator[tuple[str, h5py.Dataset]]:
    """The data sets of the file with their names in it, each once; soft and external links are not followed.

    Raises UnreadableError if there are too many entries or levels, or RuntimeError if a group is damaged.
    `h5py.Group.visititems` also measures each group's index, and does not return where a node is its own successor.
    """
    names: list[bytes] = []

    def note(name: bytes) -> bool | None:
        names.append(name)
        too_many = len(names) > limits.max_members or name.count(b"/") > MAX_NESTING
        return True if too_many else None  # anything but None ends the visit

    file.id.links.visit(note)
    limits.check_members(len(names), path)
    if names and names[-1].count(b"/") > MAX_NESTING:
        raise UnreadableError(f"{path} is nested more than {MAX_NESTING} levels deep")
    seen = set()
    for name in names:
        if file.id.links.get_info(name).type == h5py.h5l.TYPE_HARD:
            item = file[name]
            if isinstance(item, h5py.Dataset) and item.id not in seen:
                seen.add(item.id)
                yield name.decode(errors="surrogateescape"), item


def _stated_size(path: str | os.PathLike[str]) -> int | None:
    """The size of the file by its superblock, which lies at its start or after a user block; None if none is found."""
    start, size = 0, os.path.getsize(path)
    with open(path, "rb") as file:
        while start < size:
            file.seek(start)
            superblock = file.read(SUPERBLOCK_BYTES + 4)
            if superblock.startswith(SIGNATURE) and len(superblock) > SUPERBLOCK_BYTES:
                version = superblock[len(SIGNATURE)]
                address_bytes = superblock[9 if version > 1 else 13]
                if version not in END_OF_FILE or address_bytes != 8:  # hardly any file has shorter addresses
                    return None
                place = END_OF_FILE[version]
                base, end = (int.from_bytes(superblock[at : at + 8], "little") for at in (place - 16, place))
                return start + end - base
            start = max(512, 2 * start)
    return None
