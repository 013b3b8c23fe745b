"""The data set that training reads: voxels packed eight to the byte, and all views in one file.

It is a folder of dataset.json (the side of the grids, the classes and a record for each object), occupancy.npy (uint8,
objects x bytes, numpy.packbits of x y z; or the same compressed as occupancy.npz) and views.zip (stored, not
compressed: `<object>/<view>.webp`).
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Int64, UInt8
from PIL import Image, UnidentifiedImageError

from gancore.atomic import atomic_write
from gancore.splits import Split

Cameras: TypeAlias = tuple[tuple[float, float] | None, ...]

BUNDLED = "furniture"
"""Name of the data set that comes with the package."""
ZIP_HEADER_BYTES = 30
"""Length of a zip file's local header before the file's name."""
OCCUPANCY_FILES = {False: "occupancy.npy", True: "occupancy.npz"}
"""Name of the voxels' file, by whether it is compressed."""


@dataclass(frozen=True, kw_only=True)
class PackedObject:
    """The record of an object: everything but its voxels and views."""

    id: str
    label: str = ""
    """Its class; empty in a data set without classes."""
    split: Split = "train"
    """The split it belongs to."""
    cameras: Cameras = ()
    """Azimuth and elevation of each view in degrees; None where they are not known."""
    creator: str = ""
    licence: str = ""


class PackedDataset:
    """A packed data set, mapped into memory: cheap to open, to pickle and to share among loader workers.

    With `only_classes`, `indices` lists the objects of these classes alone; objects keep their numbers. Raises
    ValueError if the folder is not a packed data set, was written only in part, or lacks one of the classes.
    """

    def __init__(self, folder: Path, *, only_classes: Sequence[str] | None = None):
        self.folder = Path(folder)
        self.only_classes = None if only_classes is None else tuple(only_classes)
        try:
            description = json.loads((self.folder / "dataset.json").read_text(encoding="utf-8"))
            self.side: int = description["side"]
            self.classes: tuple[str, ...] = tuple(description["classes"])
            self.objects: tuple[PackedObject, ...] = tuple(map(parse_object, description["objects"]))
            self._bits = open_bits(self.folder / description.get("occupancy", OCCUPANCY_FILES[False]))
            self._zip = np.memmap(self.folder / "views.zip", np.uint8, "r")
        except FileNotFoundError as error:
            raise ValueError(
                f"{folder} is not a packed data set: it has no {Path(str(error.filename)).name}"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{folder} is not a readable packed data set: {error}") from error
        if self._bits.shape != (len(self.objects), bytes_per_object(self.side)):
            raise ValueError(f"{folder}: dataset.json and occupancy do not belong together; prepare it again")
        if unknown := set(self.only_classes or ()) - set(self.classes):
            known = ", ".join(self.classes) or "no classes"
            raise ValueError(f"{folder} has no {', '.join(sorted(unknown))}; there are {known}")

    def of_classes(self, classes: Sequence[str]) -> "PackedDataset":
        """The same data set with the objects of these classes alone. Raises ValueError if one does not exist."""
        return PackedDataset(self.folder, only_classes=classes)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(PackedDataset, only_classes=self.only_classes), (self.folder,)

    def __len__(self) -> int:
        return len(self.objects)

    def indices(self, split: Split) -> list[int]:
        """The numbers of the objects of the split, and of the classes if the data set was opened with some."""
        return [
            index
            for index, item in enumerate(self.objects)
            if item.split == split and (self.only_classes is None or item.label in self.only_classes)
        ]

    def occupancy(self, index: int) -> Bool[np.ndarray, "x y z"]:
        """The voxels that the object fills."""
        bits = np.unpackbits(self._bits[index], count=self.side**3)
        return bits.view(np.bool_).reshape(self.side, self.side, self.side)

    def read_view(self, index: int, number: int) -> UInt8[np.ndarray, "height width 4"]:
        """View `number` of the object, with straight alpha.

        Raises IndexError if there is no such view, ValueError if it is damaged.
        """
        if not 0 <= number < len(self.objects[index].cameras):
            raise IndexError(f"object {index} of {self.folder} has no view {number}")
        start, size, checksum = self._views[self._first_view[index] + number]
        content = self._zip[start : start + size].tobytes()
        try:
            if zlib.crc32(content) != checksum:
                raise ValueError("its checksum is wrong")
            with Image.open(io.BytesIO(content)) as picture:
                return np.array(picture.convert("RGBA"))
        except (UnidentifiedImageError, OSError, ValueError) as error:
            raise ValueError(f"{self.folder}: view {number} of object {index} cannot be read: {error}") from error

    @cached_property
    def _first_view(self) -> Int64[np.ndarray, " objects"]:
        counts = [len(item.cameras) for item in self.objects]
        return np.cumsum([0, *counts[:-1]], dtype=np.int64)

    @cached_property
    def _views(self) -> Int64[np.ndarray, "views 3"]:
        """The start of each view in views.zip, its size in bytes, and its CRC-32."""
        rows = np.zeros((sum(len(item.cameras) for item in self.objects), 3), np.int64)
        try:
            with zipfile.ZipFile(self.folder / "views.zip") as archive:
                entries = {entry.filename: entry for entry in archive.infolist()}
            row = 0
            for index, item in enumerate(self.objects):
                for number in range(len(item.cameras)):
                    rows[row] = self._locate(entries[view_name(index, number)])
                    row += 1
        except (zipfile.BadZipFile, KeyError, IndexError) as error:
            raise ValueError(f"{self.folder}: dataset.json and views.zip do not belong together: {error}") from error
        return rows

    def _locate(self, entry: zipfile.ZipInfo) -> tuple[int, int, int]:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{self.folder}: {entry.filename} in views.zip is compressed; store it")
        lengths = self._zip[entry.header_offset + 26 : entry.header_offset + ZIP_HEADER_BYTES].view("<u2")
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
    if not (folder / "dataset.json").is_file():
        raise ValueError(
            f"{source} is not a packed data set; make one of meshes or voxels with vidvox prepare {source} -o DATASET"
        )
    return PackedDataset(folder)


def write_packed_dataset(
    folder: Path,
    objects: Sequence[PackedObject],
    *,
    contents: Iterable[tuple[Bool[np.ndarray, "x y z"], Sequence[bytes]]],
    side: int,
    compressed: bool = False,
) -> None:
    """Writes a packed data set; `contents` gives each object's occupancy and WebP views, in the order of `objects`.

    Compressed voxels are small on disk, but read into memory as a whole. A data set that is already in the folder stays
    until all of the new one is written. Raises ValueError without objects.
    """
    if not objects:
        raise ValueError(f"there are no objects to write to {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "side": side,
        "occupancy": OCCUPANCY_FILES[compressed],
        "classes": sorted({item.label for item in objects} - {""}),
        "objects": [asdict(item) for item in objects],
    }
    with (
        atomic_write(folder / "dataset.json") as description,
        atomic_write(folder / OCCUPANCY_FILES[compressed]) as occupancies,
        atomic_write(folder / "views.zip") as views,
    ):
        bits = allocate_bits(occupancies, (len(objects), bytes_per_object(side)), compressed=compressed)
        with zipfile.ZipFile(views, "w", zipfile.ZIP_STORED) as archive:
            for index, (item, (occupancy, pictures)) in enumerate(zip(objects, contents, strict=True)):
                assert occupancy.shape == (side, side, side)
                assert len(pictures) == len(item.cameras)
                bits[index] = np.packbits(occupancy)
                for number, picture in enumerate(pictures):
                    archive.writestr(zipfile.ZipInfo(view_name(index, number)), picture)
        if compressed:
            np.savez_compressed(occupancies, bits)
        description.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / OCCUPANCY_FILES[not compressed]).unlink(missing_ok=True)  # of an older data set


def encode_webp(view: UInt8[np.ndarray, "height width 4"], *, quality: int | None = None) -> bytes:
    """The view as a WebP file with alpha: lossless, or of a quality from 0 to 100."""
    file = io.BytesIO()
    picture = Image.fromarray(view)
    if quality is None:
        picture.save(file, "WEBP", lossless=True)
    else:
        picture.save(file, "WEBP", quality=quality, method=6)
    return file.getvalue()


def open_bits(path: Path) -> UInt8[np.ndarray, "objects bytes"]:
    """The packed voxels of all objects: mapped into memory, or read if they are compressed."""
    loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        return loaded["arr_0"]


def allocate_bits(path: Path, shape: tuple[int, int], *, compressed: bool) -> UInt8[np.ndarray, "objects bytes"]:
    """An array to write the voxels to: mapped to the file, or in memory if it is to be compressed."""
    if compressed:
        return np.empty(shape, np.uint8)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def parse_object(record: dict[str, Any]) -> PackedObject:
    """The object of a record of dataset.json."""
    cameras = tuple(None if camera is None else (camera[0], camera[1]) for camera in record["cameras"])
    return PackedObject(**{**record, "cameras": cameras})


def bytes_per_object(side: int) -> int:
    """Bytes of a packed grid of side^3 voxels."""
    return (side**3 + 7) // 8


def view_name(index: int, number: int) -> str:
    """The name of a view inside views.zip."""
    return f"{index}/{number}.webp"
