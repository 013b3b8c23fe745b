"""The description of a packed data set, dataset.json: a record of each object, and digests of the other files."""

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
"""Format numbers of data sets with binary and with fractional voxels, raised when files change their meaning; others
are refused."""
MAX_SIDE = 512
"""Maximum number of voxels along each side of a grid."""
MAX_ID_LENGTH = 4096

OWN_START = re.compile(rb'\{"format": \d+, "digest": "[0-9a-f]{64}",\n|\{"side": \d+, "(occupancy|classes)": ')
"""The beginning of every dataset.json that this package wrote, in any version."""

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
    """Id of the object that this is an augmented copy of; empty if it is none."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """The contents of dataset.json."""

    side: int
    """Voxels along each side of the grids."""
    objects: tuple[PackedObject, ...]
    voxel_digests: tuple[str, ...]
    """A digest of the packed voxels of each object."""
    voxel_sizes: tuple[int, ...] = ()
    """Compressed bytes of each object's fractional voxels; empty if voxels are binary, which all have the same size."""
    occupancy: str
    """Name of the voxel file."""
    occupancy_bytes: int
    views_bytes: int
    directory_start: int
    """Offset of the central directory of views.zip, which holds the size and checksum of each view."""
    directory_digest: str
    """A digest of views.zip from that offset to its end."""

    @property
    def fractional(self) -> bool:
        """Whether voxels are stored as filled fractions, in levels from 0 to 255, rather than as bits."""
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
    """Return the contents of a dataset.json, and its digest.

    Raises FileNotFoundError, or UnreadableError if it is of another format, damaged, edited or inconsistent.
    """
    content = read_json(path)
    with as_unreadable(path, "the description of a data set"):
        _require(isinstance(content, dict), "it is not a JSON object")
        written = content.get("format", 1 if {"side", "objects"} <= content.keys() else None)
        _require(type(written) is int, "it was not made by vidvox prepare")
        _require(written >= FORMAT, "it was prepared by an older version; prepare the data set again")
        known = (FORMAT, FRACTIONAL_FORMAT)
        _require(written in known, f"it is of format {written}, and this version reads {' and '.join(map(str, known))}")
        digest = digest_bytes(path.read_bytes().partition(b"\n")[2])
        _require(content.get("digest") == digest, "it was damaged or edited; prepare the data set again")
        description = _parse(content)
        _require(description.fractional == (written == FRACTIONAL_FORMAT), "its voxels do not match its format")
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
        _require(all(type(size) is int and size > 0 for size in sizes), "a voxel size is not a positive number")
        _require(len(sizes) == len(records), "it does not have a voxel size for each object")
        _require(sum(sizes) == description.occupancy_bytes, "its voxel sizes do not add up to the size of their file")
    _require(content.get("classes") == list(description.classes), "its classes are not those of its objects")
    inside = 0 <= description.directory_start < description.views_bytes
    _require(inside, "the directory of its views lies outside of their file")
    name, count = Counter(item.id for item in description.objects).most_common(1)[0]
    _require(count == 1, f"it lists {name!r} twice")
    return description


def _parse_object(record: Any) -> PackedObject:
    _require(isinstance(record, dict), "one of its objects is not a JSON object")
    names = {field.name for field in fields(PackedObject)}
    _require(record.keys() | {"copy_of"} == names | {"voxels"}, "one of its objects has missing or unknown fields")
    split = _get(record, "split", str)
    _require(split in SPLITS, f"there is no split {split!r}")
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
    _require(not problem, f"of one of its objects, {problem}")
    return item


def _record(item: PackedObject) -> dict[str, Any]:
    """The JSON record of an object; an empty `copy_of`, which older versions do not know, is left out."""
    record = asdict(item)
    return record if item.copy_of else {name: value for name, value in record.items() if name != "copy_of"}


def parse_cameras(content: Any) -> Cameras:
    """Return the cameras in a JSON list. Raises ValueError unless each is null or two finite numbers."""
    _require(isinstance(content, list), "its cameras are not a list")
    for camera in content:
        if camera is not None:
            _require(isinstance(camera, list) and len(camera) == 2, "a camera does not have two angles")
            finite = all(type(angle) in (int, float) and math.isfinite(angle) for angle in camera)
            _require(finite, "an angle of a camera is not a finite number")
    return tuple(None if camera is None else (float(camera[0]), float(camera[1])) for camera in content)


def find_id_problem(name: str) -> str:
    """Return a clause that says why a data set cannot hold an object of this id; empty if it can."""
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
