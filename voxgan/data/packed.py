"""The data set that training reads: occupancies packed eight voxels to the byte, and the views in one file.

A folder of dataset.json (what the objects are), occupancy.npy (uint8, objects x bytes, numpy.packbits of x y z; or
the same compressed as occupancy.npz) and views.zip (stored, not compressed: `<object>/<view>.webp`).
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Int64, UInt8
from PIL import Image, UnidentifiedImageError

from gancore.atomic import atomic_write

Split = Literal["train", "val", "test"]
Cameras: TypeAlias = tuple[tuple[float, float] | None, ...]

BUNDLED = "furniture"
ZIP_HEADER_BYTES = 30
OCCUPANCY_FILES = {False: "occupancy.npy", True: "occupancy.npz"}
"""The file of the voxels, by whether they are compressed."""


@dataclass(frozen=True, kw_only=True)
class PackedObject:
    """What is known of one object beside its voxels and views."""

    id: str
    label: str = ""
    """Its class; empty in a data set without classes."""
    split: Split = "train"
    cameras: Cameras = ()
    """Azimuth and elevation of each view in degrees; None where they are not known."""
    creator: str = ""
    licence: str = ""


class PackedDataset:
    """A packed data set, mapped into memory: cheap to open, to pickle and to share among loader workers.

    Raises ValueError where the folder is none, or was written only in part.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        try:
            described = json.loads((self.folder / "dataset.json").read_text(encoding="utf-8"))
            self.side: int = described["side"]
            self.classes: tuple[str, ...] = tuple(described["classes"])
            self.objects: tuple[PackedObject, ...] = tuple(map(parse_object, described["objects"]))
            self._bits = open_bits(self.folder / described.get("occupancy", OCCUPANCY_FILES[False]))
            self._zip = np.memmap(self.folder / "views.zip", np.uint8, "r")
        except FileNotFoundError as error:
            raise ValueError(f"{folder} is no packed data set: it has no {Path(str(error.filename)).name}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{folder} is no packed data set that can be read: {error}") from error
        if self._bits.shape != (len(self.objects), bytes_per_object(self.side)):
            raise ValueError(f"{folder}: dataset.json and occupancy do not belong together; prepare it again")

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedDataset, (self.folder,)

    def __len__(self) -> int:
        return len(self.objects)

    def indices(self, split: Split) -> list[int]:
        """The numbers of the objects of this part."""
        return [index for index, item in enumerate(self.objects) if item.split == split]

    def occupancy(self, index: int) -> Bool[np.ndarray, "x y z"]:
        """Which voxels the object fills."""
        bits = np.unpackbits(self._bits[index], count=self.side**3)
        return bits.view(np.bool_).reshape(self.side, self.side, self.side)

    def read_view(self, index: int, number: int) -> UInt8[np.ndarray, "height width 4"]:
        """A picture of the object, straight alpha. Raises ValueError where it is damaged, IndexError without such."""
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
        """Where each view starts in views.zip, its size, and its checksum."""
        where = np.zeros((sum(len(item.cameras) for item in self.objects), 3), np.int64)
        try:
            with zipfile.ZipFile(self.folder / "views.zip") as archive:
                entries = {entry.filename: entry for entry in archive.infolist()}
            row = 0
            for index, item in enumerate(self.objects):
                for number in range(len(item.cameras)):
                    where[row] = self._stored(entries[view_name(index, number)])
                    row += 1
        except (zipfile.BadZipFile, KeyError, IndexError) as error:
            raise ValueError(f"{self.folder}: dataset.json and views.zip do not belong together: {error}") from error
        return where

    def _stored(self, entry: zipfile.ZipInfo) -> tuple[int, int, int]:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{self.folder}: {entry.filename} in views.zip is compressed; store it")
        lengths = self._zip[entry.header_offset + 26 : entry.header_offset + ZIP_HEADER_BYTES].view("<u2")
        return entry.header_offset + ZIP_HEADER_BYTES + int(lengths.sum()), entry.file_size, entry.CRC


def open_packed_dataset(source: str) -> PackedDataset:
    """The packed data set in a folder, or the embedded one for "furniture".

    Raises FileNotFoundError without such a folder, ValueError where it is not a packed data set.
    """
    if source == BUNDLED:
        return PackedDataset(Path(str(files("voxgan") / "assets" / BUNDLED)))
    folder = Path(source)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder of a packed data set: {source}")
    if not (folder / "dataset.json").is_file():
        raise ValueError(
            f"{source} is no packed data set; make one of meshes or voxels with "
            f"python tools/prepare_shapes.py {source} --out DATASET"
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
    """A packed data set of these objects, the contents of each being its occupancy and its encoded views.

    Compressed voxels are small on disk, but read into memory whole. What stood in the folder stays until all of the new
    one is written.
    """
    if not objects:
        raise ValueError(f"there is no object to write to {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    classes = json.dumps(sorted({item.label for item in objects} - {""}), ensure_ascii=False)
    lines = ",\n".join(json.dumps(asdict(item), ensure_ascii=False) for item in objects)
    described = f'{{"side": {side}, "occupancy": "{OCCUPANCY_FILES[compressed]}", "classes": {classes}, "objects": [\n{lines}\n]}}\n'
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
        description.write_text(described, encoding="utf-8")
    (folder / OCCUPANCY_FILES[not compressed]).unlink(missing_ok=True)  # of a set that was kept in the other way


def encode_webp(view: UInt8[np.ndarray, "height width 4"], *, quality: int | None = None) -> bytes:
    """The view as WebP with alpha: lossless, or of this quality from 0 to 100."""
    file = io.BytesIO()
    picture = Image.fromarray(view)
    if quality is None:
        picture.save(file, "WEBP", lossless=True)
    else:
        picture.save(file, "WEBP", quality=quality, method=6)
    return file.getvalue()


def open_bits(path: Path) -> UInt8[np.ndarray, "objects bytes"]:
    """The voxels of all objects: mapped into memory, or read if they are compressed."""
    loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        return loaded["arr_0"]


def allocate_bits(path: Path, shape: tuple[int, int], *, compressed: bool) -> UInt8[np.ndarray, "objects bytes"]:
    if compressed:
        return np.empty(shape, np.uint8)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def parse_object(described: dict[str, Any]) -> PackedObject:
    cameras = tuple(None if camera is None else (camera[0], camera[1]) for camera in described["cameras"])
    return PackedObject(**{**described, "cameras": cameras})


def bytes_per_object(side: int) -> int:
    return (side**3 + 7) // 8


def view_name(index: int, number: int) -> str:
    return f"{index}/{number}.webp"
