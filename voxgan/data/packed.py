"""The data set that training reads: voxels packed to bits or compressed levels, and all views in one file.

It is a folder of dataset.json (the side of the grids, the classes, a record for each object, and digests of the other
files), the voxels and views.zip (stored, not compressed: `<object>/<view>.webp`). Binary voxels are in occupancy.npy
(uint8, objects x bytes, numpy.packbits of x y z; or the same compressed as occupancy.npz). Fractional ones are in
occupancy.zlib: for each object its levels from 0 to 255 (uint8, x y z) compressed by zlib, one after the other.
"""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image

from gancore.errors import UnreadableError
from gancore.files.atomic import atomic_write, sync_to_disk
from gancore.files.reading import as_unreadable, require_regular_file, resolve_below
from gancore.splits import Split
from voxgan.data.description import (
    DESCRIPTION,
    Cameras,
    Description,
    PackedObject,
    digest_bytes,
    digest_voxels,
    format_description,
    read_description,
)
from voxgan.data.file_parts import FileParts
from voxgan.data.stored_voxels import (
    StoredVoxels,
    bytes_per_object,
    filled_voxels,
    pack_voxels,
    to_fractions,
    unpack_voxels,
)

__all__ = ["Cameras", "PackedDataset", "PackedObject", "encode_webp", "open_packed_dataset", "write_packed_dataset"]

BUNDLED = "furniture"
"""Name of the data set that comes with the package."""
ZIP_HEADER_BYTES = 30
"""Length of a zip file's local header before the file's name."""
OCCUPANCY_FILES = {"bits": "occupancy.npy", "compressed bits": "occupancy.npz", "levels": "occupancy.zlib"}
"""Name of the voxel file, by its content."""
VIEWS = "views.zip"
NPY_HEADER_BYTES = 128
"""Length of the header of an npy file of packed voxels."""
CHECKED_BYTES = 2**26
"""Bytes of voxels that are verified when a data set is opened; every object is verified when it is read."""
MAX_VIEW_SIDE = 4096
"""Maximum number of pixels along the longer side of a view."""


class PackedDataset:
    """A packed data set: cheap to open, to pickle and to share among loader workers.

    Every object and view is checked against its digest when it is read, so that damaged, replaced or truncated files
    raise an error instead of giving wrong data.

    Args:
        folder: The folder of the data set.
        only_classes: Classes to which `indices` is restricted; the numbering of objects does not change.
        digest: Digest that the description must have, such as that of an earlier opening.

    Raises:
        UnreadableError: The folder is not a packed data set, is of another version, or is damaged, edited or
        incomplete. ValueError: The data set lacks one of the classes.
    """

    def __init__(self, folder: Path, *, only_classes: Sequence[str] | None = None, digest: str | None = None):
        self.folder = Path(folder)
        self.only_classes = None if only_classes is None else tuple(only_classes)
        try:
            self._description, self._digest = read_description(self.folder / DESCRIPTION)
            if digest not in (None, self._digest):
                raise UnreadableError("it was prepared again while it was in use")
            self._views_file = FileParts(self.folder / VIEWS)
            self._read_voxels = self._open_voxels()
        except FileNotFoundError as error:
            name = Path(error.filename or str(error).rpartition(": ")[2]).name
            raise UnreadableError(f"{folder} is not a packed data set: it has no {name}") from error
        except UnreadableError as error:
            raise UnreadableError(f"{folder} is not a readable packed data set: {error}") from error
        self.side = self._description.side
        self.objects = self._description.objects
        self.classes = self._description.classes
        self.fractional = self._description.fractional
        self._check_files()
        if unknown := set(self.only_classes or ()) - set(self.classes):
            known = ", ".join(self.classes) or "no classes"
            raise ValueError(f"{folder} has no {', '.join(sorted(unknown))}; there are {known}")

    def _open_voxels(self) -> Callable[[int], bytes]:
        """A function that reads the packed voxels of the object with an index."""
        described = self._description
        path = resolve_below(self.folder, described.occupancy)
        shape = (len(described.objects), bytes_per_object(described.side))
        if path.suffix == ".npz":
            bits = read_compressed_bits(path, shape)
            return lambda index: bits[index].tobytes()
        parts = FileParts(path)
        if described.fractional:
            ends = np.cumsum(described.voxel_sizes, dtype=np.int64).tolist()
            return lambda index: parts.read(ends[index] - described.voxel_sizes[index], described.voxel_sizes[index])
        with as_unreadable(path, "voxels"):
            start = _check_header(parts.read(0, min(parts.size, NPY_HEADER_BYTES)), shape)
        return lambda index: parts.read(start + index * shape[1], shape[1])

    def _check_files(self) -> None:
        """Raises UnreadableError unless the files were written together with dataset.json."""
        described = self._description
        size = (self.folder / described.occupancy).stat().st_size
        if size != described.occupancy_bytes:
            raise self._mismatch("occupancy", f"{size:,} bytes, not {described.occupancy_bytes:,}")
        sizes = described.voxel_sizes or [bytes_per_object(self.side)] * len(self)
        for index in np.flatnonzero(np.cumsum(sizes) <= CHECKED_BYTES).tolist():
            self._checked_voxels(index)
        size, start = self._views_file.size, described.directory_start
        if size != described.views_bytes:
            raise self._mismatch(VIEWS, f"{size:,} bytes, not {described.views_bytes:,}")
        if digest_bytes(self._views_file.read(start, size - start)) != described.directory_digest:
            raise self._mismatch(VIEWS, "other views")

    def _mismatch(self, name: str, reason: str) -> UnreadableError:
        return UnreadableError(
            f"{self.folder}: dataset.json and {name} do not belong together ({reason}); prepare it again"
        )

    def of_classes(self, classes: Sequence[str]) -> "PackedDataset":
        """The same data set restricted to these classes. Raises ValueError if one does not exist."""
        return PackedDataset(self.folder, only_classes=classes)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(PackedDataset, only_classes=self.only_classes, digest=self._digest), (self.folder,)

    def __len__(self) -> int:
        return len(self.objects)

    def indices(self, split: Split) -> list[int]:
        """The indices of the objects of a split, restricted to `only_classes` if the data set was opened with them."""
        return [
            index
            for index, item in enumerate(self.objects)
            if item.split == split and (self.only_classes is None or item.label in self.only_classes)
        ]

    def occupancy(self, index: int) -> Bool[np.ndarray, "x y z"]:
        """The filled voxels of the object; fractional voxels count as filled if they are more than half full.

        Raises UnreadableError if they are damaged.
        """
        return filled_voxels(self.stored_voxels(index))

    def fractions(self, index: int) -> Float[np.ndarray, "x y z"]:
        """The filled fraction of each voxel, float32 in [0, 1]; 0 or 1 in a binary data set.

        Raises UnreadableError if the voxels are damaged.
        """
        return to_fractions(self.stored_voxels(index))

    def stored_voxels(self, index: int) -> StoredVoxels:
        """The object's filled voxels, or levels from 0 to 255 in a fractional data set.

        Raises UnreadableError if they are damaged.
        """
        packed = self._checked_voxels(index)
        with as_unreadable(self.folder / self._description.occupancy, "voxels"):
            return unpack_voxels(packed, self.side, fractional=self.fractional)

    def voxel_digest(self, index: int) -> str:
        """The digest of an object's voxels in the description."""
        return self._description.voxel_digests[index]

    def _checked_voxels(self, index: int) -> bytes:
        packed = self._read_voxels(index)
        if digest_voxels(packed) != self.voxel_digest(index):
            raise self._mismatch("occupancy", f"other voxels of {self.objects[index].id}")
        return packed

    def read_view(self, index: int, number: int) -> UInt8[np.ndarray, "height width 4"]:
        """View `number` of the object, with straight alpha.

        Raises IndexError if there is no such view, UnreadableError if it is damaged.
        """
        if not 0 <= number < len(self.objects[index].cameras):
            raise IndexError(f"object {index} of {self.folder} has no view {number}")
        start, size, checksum = (int(each) for each in self._views[self._first_view[index] + number])
        try:
            content = self._views_file.read(start, size)
            if zlib.crc32(content) != checksum:
                raise ValueError("its checksum is wrong")
            with Image.open(io.BytesIO(content), formats=("WEBP",)) as picture:
                if max(picture.size) > MAX_VIEW_SIDE:
                    raise ValueError(f"it is larger than {MAX_VIEW_SIDE} pixels a side")
                return np.array(picture.convert("RGBA"))
        except (OSError, ValueError, MemoryError) as error:
            raise UnreadableError(f"{self.folder}: view {number} of object {index} cannot be read: {error}") from error

    @cached_property
    def _first_view(self) -> Int64[np.ndarray, " objects"]:
        counts = [len(item.cameras) for item in self.objects]
        return np.cumsum([0, *counts[:-1]], dtype=np.int64)

    @cached_property
    def _views(self) -> Int64[np.ndarray, "views 3"]:
        """The offset of each view in views.zip, its size in bytes, and its CRC-32."""
        rows = np.zeros((sum(len(item.cameras) for item in self.objects), 3), np.int64)
        with as_unreadable(self.folder / VIEWS, "views"), zipfile.ZipFile(self._views_file.open()) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            names = (view_name(*each) for each in self._view_numbers())
            for row, name in enumerate(names):
                if name not in entries:
                    raise self._mismatch(VIEWS, f"no {name}")
                rows[row] = self._locate(entries[name])
        return rows

    def _view_numbers(self) -> Iterable[tuple[int, int]]:
        return ((index, number) for index, item in enumerate(self.objects) for number in range(len(item.cameras)))

    def _locate(self, entry: zipfile.ZipInfo) -> tuple[int, int, int]:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise UnreadableError(f"{self.folder}: {entry.filename} in views.zip is compressed; store it")
        lengths = np.frombuffer(self._views_file.read(entry.header_offset + 26, 4), "<u2")
        return entry.header_offset + ZIP_HEADER_BYTES + int(lengths.sum()), entry.file_size, entry.CRC


def open_packed_dataset(source: str) -> PackedDataset:
    """The packed data set in a folder, or the one that comes with the package for "furniture".

    Raises FileNotFoundError if there is no such folder, ValueError if it is not a packed data set.
    """
    if source == BUNDLED:
        return PackedDataset(Path(str(files("voxgan") / "assets" / BUNDLED)))
    folder = Path(source)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder of a packed data set: {source}")
    if not (folder / DESCRIPTION).is_file():
        raise ValueError(
            f"{source} is not a packed data set; make one of meshes or voxels with vidvox prepare {source} -o DATASET"
        )
    return PackedDataset(folder)


def write_packed_dataset(
    folder: Path,
    objects: Sequence[PackedObject],
    *,
    contents: Iterable[tuple[StoredVoxels, Sequence[bytes]]],
    side: int,
    compressed: bool = False,
    fractional: bool = False,
) -> None:
    """Writes a packed data set, and replaces one that is already in the folder once the new one is complete.

    Args:
        folder: The folder of the data set.
        objects: The records of the objects, at least one.
        contents: Voxels and WebP views of each object, in the order of `objects`.
        side: Voxels along each side of the grids.
        compressed: Compress binary voxels: small on disk, but read into memory as a whole.
        fractional: Whether voxels are uint8 levels from 0 to 255 instead of booleans.

    Raises:
        ValueError: There are no objects.
    """
    if not objects:
        raise ValueError(f"there are no objects to write to {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    name = OCCUPANCY_FILES["levels" if fractional else "compressed bits" if compressed else "bits"]
    with ExitStack() as writing:
        # files are replaced in reverse order, so dataset.json, which holds the digests of the others, comes last
        description, occupancies, views = (
            writing.enter_context(atomic_write(folder / each)) for each in (DESCRIPTION, name, VIEWS)
        )
        digests, sizes = _write_contents(occupancies, views, objects, contents=contents, side=side, name=name)
        content = describe_files(
            objects, digests, occupancies, views, side=side, name=name, sizes=sizes if fractional else ()
        )
        description.write_text(format_description(content), encoding="utf-8")
        for path in (description, occupancies, views):
            sync_to_disk(path)  # a full disk shows here, before any of them is replaced
    for other in set(OCCUPANCY_FILES.values()) - {name}:
        (folder / other).unlink(missing_ok=True)  # of an older data set


def _write_contents(
    occupancies: Path,
    views: Path,
    objects: Sequence[PackedObject],
    *,
    contents: Iterable[tuple[StoredVoxels, Sequence[bytes]]],
    side: int,
    name: str,
) -> tuple[list[str], list[int]]:
    """Writes voxels, to a file that will be named `name`, and views.

    Returns the digest of each object's packed voxels, and their size in bytes.
    """
    shape = (len(objects), bytes_per_object(side))
    kind = np.uint8 if name == OCCUPANCY_FILES["levels"] else np.bool_
    compressed = name == OCCUPANCY_FILES["compressed bits"]
    digests, sizes, rows = [], [], bytearray()
    with occupancies.open("wb") as file, zipfile.ZipFile(views, "w", zipfile.ZIP_STORED) as archive:
        if name == OCCUPANCY_FILES["bits"]:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for index, (item, (voxels, pictures)) in enumerate(zip(objects, contents, strict=True)):
            assert (voxels.shape, voxels.dtype) == ((side, side, side), kind)
            assert len(pictures) == len(item.cameras)
            packed = pack_voxels(voxels)
            digests.append(digest_voxels(packed))
            sizes.append(len(packed))
            if compressed:
                rows += packed
            else:
                file.write(packed)
            for number, picture in enumerate(pictures):
                archive.writestr(zipfile.ZipInfo(view_name(index, number)), picture)
        if compressed:
            np.savez_compressed(file, np.frombuffer(rows, np.uint8).reshape(shape))
    return digests, sizes


def describe_files(
    objects: Sequence[PackedObject],
    digests: Sequence[str],
    occupancies: Path,
    views: Path,
    *,
    side: int,
    name: str,
    sizes: Sequence[int] = (),
) -> Description:
    """The description of a data set of these files, whose voxel file will be named `name`."""
    with zipfile.ZipFile(views) as archive:
        start = archive.start_dir
    with views.open("rb") as file:
        file.seek(start)
        directory = file.read()
    return Description(
        side=side,
        objects=tuple(objects),
        voxel_digests=tuple(digests),
        voxel_sizes=tuple(sizes),
        occupancy=name,
        occupancy_bytes=occupancies.stat().st_size,
        views_bytes=views.stat().st_size,
        directory_start=start,
        directory_digest=digest_bytes(directory),
    )


def encode_webp(view: UInt8[np.ndarray, "height width 4"], *, quality: int | None = None) -> bytes:
    """The view as a WebP file with alpha, lossless or with a quality from 0 to 100."""
    file = io.BytesIO()
    picture = Image.fromarray(view)
    if quality is None:
        picture.save(file, "WEBP", lossless=True)
    else:
        picture.save(file, "WEBP", quality=quality, method=6)
    return file.getvalue()


def read_compressed_bits(path: Path, shape: tuple[int, int]) -> UInt8[np.ndarray, "objects bytes"]:
    """The packed voxels of all objects in an npz file, which must have exactly this shape.

    Raises FileNotFoundError, or UnreadableError if it holds anything else.
    """
    require_regular_file(path)
    with as_unreadable(path, "voxels"), zipfile.ZipFile(path) as archive, archive.open("arr_0.npy") as member:
        content = member.read(NPY_HEADER_BYTES + shape[0] * shape[1] + 1)  # reading to the end checks its checksum
        start = _check_header(content, shape)
        if len(content) - start != shape[0] * shape[1]:
            raise ValueError("it was cut short")
        return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _check_header(content: bytes, shape: tuple[int, int]) -> int:
    """The length of the npy header at the start. Raises ValueError unless it declares uint8 of this shape."""
    file = io.BytesIO(content[:NPY_HEADER_BYTES])
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it is of another version of the format")
    found, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if (found, fortran_order, dtype) != (shape, False, np.uint8):
        raise ValueError(f"it holds {dtype} of shape {found}; dataset.json and occupancy do not belong together")
    return file.tell()


def view_name(index: int, number: int) -> str:
    """The name of a view inside views.zip."""
    return f"{index}/{number}.webp"
