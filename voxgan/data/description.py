"""The description of a packed data set, dataset.json: the record of each object, and digests of what lies beside it."""

import hashlib
import json
import math
import re
from collections import Counter
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias, TypeVar, cast

from gancore.files.reading import as_unreadable, read_json
from gancore.splits import SPLITS, Split

Cameras: TypeAlias = tuple[tuple[float, float] | None, ...]

DESCRIPTION = "dataset.json"
FORMAT, FRACTIONAL_FORMAT = 2, 3
"""Of data sets with binary and with fractional voxels. Raised whenever files change their meaning; others are refused.
"""
MAX_SIDE = 512
"""Voxels along each side of a grid, at most."""
MAX_ID_LENGTH = 4096

OWN_START = re.compile(rb'\{"format": \d+, "digest": "[0-9a-f]{64}",\n|\{"side": \d+, "(occupancy|classes)": ')
"""How every dataset.json of this package begins, that of older versions too."""

Kind = TypeVar("Kind")


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
    copy_of: str = ""
    """Id of the object that it shows in other proportions; empty for most."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What dataset.json says."""

    side: int
    """Voxels along each side of the grids."""
    objects: tuple[PackedObject, ...]
    voxel_digests: tuple[str, ...]
    """A digest of the packed voxels of each object."""
    voxel_sizes: tuple[int, ...] = ()
    """Of fractional voxels, the bytes of each object's; empty if voxels are binary, which all take the same."""
    occupancy: str
    """Name of the file of voxels."""
    occupancy_bytes: int
    views_bytes: int
    directory_start: int
    """Where the directory of views.zip begins, which holds the size and checksum of each view."""
    directory_digest: str
    """A digest of views.zip from there to its end."""

    @property
    def fractional(self) -> bool:
        """Whether voxels say how full they are, in levels from 0 to 255, and not only whether they are filled."""
        return bool(self.voxel_sizes)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the objects in alphabetical order."""
        return tuple(sorted({item.label for item in self.objects} - {""}))


def digest_voxels(packed: bytes) -> str:
    """Return the digest of an object's packed voxels."""
    return hashlib.blake2b(packed, digest_size=8).hexdigest()


def digest_bytes(content: bytes) -> str:
    """Return the digest of a part of a file."""
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def is_own_description(path: Path) -> bool:
    """Whether the file is a dataset.json that this package wrote, of any version."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return OWN_START.match(file.read(200)) is not None


def format_description(description: Description) -> str:
    """Return the text of dataset.json; its first line holds a digest of all that follows."""
    fractional = {"values": "fractional", "sizes": description.voxel_sizes} if description.fractional else {}
    head = {
        "version": _package_version(),
        "side": description.side,
        "classes": description.classes,
        "occupancy": {"name": description.occupancy, "bytes": description.occupancy_bytes, **fractional},
        "views": {
            "bytes": description.views_bytes,
            "directory": description.directory_start,
            "digest": description.directory_digest,
        },
    }
    records = (
        json.dumps(_record(item) | {"voxels": digest}, ensure_ascii=False)
        for item, digest in zip(description.objects, description.voxel_digests, strict=True)
    )
    body = json.dumps(head, ensure_ascii=False)[1:-1] + ', "objects": [\n' + ",\n".join(records) + "\n]}\n"
    written = FRACTIONAL_FORMAT if description.fractional else FORMAT
    return f'{{"format": {written}, "digest": "{digest_bytes(body.encode())}",\n{body}'


def read_description(path: Path) -> tuple[Description, str]:
    """Return what a dataset.json says, and its digest.

    Raises FileNotFoundError, or UnreadableError if it is of another format, was damaged or edited, or makes no sense.
    """
    content = read_json(path)
    with as_unreadable(path, "the description of a data set"):
        _require(isinstance(content, dict), "it is no record")
        written = content.get("format", 1 if {"side", "objects"} <= content.keys() else None)
        _require(type(written) is int, "it was not made by vidvox prepare")
        _require(written >= FORMAT, "it was prepared by an older version; prepare the data set again")
        known = (FORMAT, FRACTIONAL_FORMAT)
        _require(written in known, f"it is of format {written}, and this version reads {' and '.join(map(str, known))}")
        digest = digest_bytes(path.read_bytes().partition(b"\n")[2])
        _require(content.get("digest") == digest, "it was damaged or edited; prepare the data set again")
        description = _parse(content)
        _require(description.fractional == (written == FRACTIONAL_FORMAT), "its voxels are not those of its format")
        return description, digest


def _parse(content: dict[str, Any]) -> Description:
    records = _get(content, "objects", list)
    occupancy, views = _get(content, "occupancy", dict), _get(content, "views", dict)
    description = Description(
        side=_get(content, "side", int),
        objects=tuple(map(_parse_object, records)),
        voxel_digests=tuple(_get(record, "voxels", str) for record in records),
        voxel_sizes=tuple(_get(occupancy, "sizes", list)) if occupancy.get("values") == "fractional" else (),
        occupancy=_get(occupancy, "name", str),
        occupancy_bytes=_get(occupancy, "bytes", int),
        views_bytes=_get(views, "bytes", int),
        directory_start=_get(views, "directory", int),
        directory_digest=_get(views, "digest", str),
    )
    _require(1 <= description.side <= MAX_SIDE, f"its side of {description.side} does not lie in [1, {MAX_SIDE}]")
    _require(bool(records), "it lists no objects")
    if sizes := description.voxel_sizes:
        _require(all(type(size) is int and size > 0 for size in sizes), "a size of voxels is no number of bytes")
        _require(len(sizes) == len(records), "its sizes of voxels are not those of its objects")
        _require(sum(sizes) == description.occupancy_bytes, "its voxels do not fit their file")
    _require(content.get("classes") == list(description.classes), "its classes are not those of its objects")
    _require(0 <= description.directory_start < description.views_bytes, "its views do not fit their file")
    name, count = Counter(item.id for item in description.objects).most_common(1)[0]
    _require(count == 1, f"it lists {name!r} twice")
    return description


def _parse_object(record: Any) -> PackedObject:
    _require(isinstance(record, dict), "one of its objects is no record")
    names = {field.name for field in fields(PackedObject)}
    _require(record.keys() | {"copy_of"} == names | {"voxels"}, "one of its objects lacks a field, or has one too many")
    split = _get(record, "split", str)
    _require(split in SPLITS, f"it knows no split {split!r}")
    item = PackedObject(
        id=_get(record, "id", str),
        label=_get(record, "label", str),
        split=cast(Split, split),
        cameras=parse_cameras(record["cameras"]),
        creator=_get(record, "creator", str),
        licence=_get(record, "licence", str),
        copy_of=_get(record, "copy_of", str) if "copy_of" in record else "",
    )
    problem = find_id_problem(item.id)
    _require(not problem, f"of one of its objects: {problem}")
    return item


def _record(item: PackedObject) -> dict[str, Any]:
    """The object's record without what only a copy has, so that older versions read data sets without copies."""
    record = asdict(item)
    return record if item.copy_of else {name: value for name, value in record.items() if name != "copy_of"}


def parse_cameras(content: Any) -> Cameras:
    """Return the angles in a list of a JSON file. Raises ValueError unless each is null or two finite numbers."""
    _require(isinstance(content, list), "its cameras are no list")
    for camera in content:
        if camera is not None:
            _require(isinstance(camera, list) and len(camera) == 2, "a camera is not two angles")
            _require(all(type(angle) in (int, float) and math.isfinite(angle) for angle in camera), "an angle is none")
    return tuple(None if camera is None else (float(camera[0]), float(camera[1])) for camera in content)


def find_id_problem(name: str) -> str:
    """Return why a data set cannot hold an object of this id, a clause; empty if it can."""
    path = PurePosixPath(name)
    if not name:
        return "it has no name"
    if path.is_absolute() or ".." in path.parts:
        return "its name leads out of its folder"
    if len(name) > MAX_ID_LENGTH:
        return f"its name has more than {MAX_ID_LENGTH} letters"
    return ""


def _get(record: dict[str, Any], name: str, kind: type[Kind]) -> Kind:
    value = record.get(name)
    _require(type(value) is kind, f"its {name} is missing or of the wrong type")
    return cast(Kind, value)


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise ValueError(reason)


def _package_version() -> str:
    try:
        return version("vidvox")
    except PackageNotFoundError:
        return "unknown"
