"""An object as a data set has it on disk, and which part of the data it belongs to."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from gancore.data import is_held_out
from voxgan.files.voxels import VOXEL_SUFFIXES
from voxgan.mesh.axes import Axis
from voxgan.mesh.read import MESH_SUFFIXES

DeclaredSplit = Literal["train", "val", "test", ""]

SPLIT_NAMES: dict[str, DeclaredSplit] = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLIT_NAMES |= {"val": "val", "valid": "val", "validation": "val"}
"""Names of folders, and of parts in lists."""

TEST_SHARE, VAL_SHARE = 0.2, 0.05
"""Shares of the objects that a data set without parts of its own holds out."""

MAX_BYTES = 2**28
"""Lists and catalogues that are longer are refused."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceImage:
    """A picture of an object."""

    path: Path
    mask: Path | None = None
    azimuth: float | None = None
    """Degrees in [0, 360) around the upright object, 0 in front of it; None if unknown."""
    elevation: float | None = None
    box: tuple[int, int, int, int] | None = None
    """Left, top, right and bottom of the object in pixels."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An object: a mesh, voxels or both, and pictures if there are any."""

    id: str
    """Unique in its data set, the same wherever that lies."""
    label: str = ""
    split: DeclaredSplit = ""
    """What the data set itself says; empty where it says nothing."""
    mesh: Path | None = None
    occupancy: Path | None = None
    key: str | None = None
    """Which object of the occupancy's file."""
    images: tuple[SourceImage, ...] = ()
    up: Axis = "y"
    """Axis of the mesh that points up."""
    front: Axis | None = None
    """Axis of the mesh that its front looks along; None if unknown."""
    voxel_up: Axis = "y"
    voxel_front: Axis | None = None


@dataclass(frozen=True)
class Layout:
    """The objects of a folder."""

    name: str
    sources: tuple[Source, ...]


def assign_split(source: Source) -> Literal["train", "val", "test"]:
    """The part that the data set gives, else one by a hash that never changes when other objects come or go."""
    name = f"{source.label}/{source.id}"
    if source.split:
        return source.split
    return "test" if is_held_out(name, TEST_SHARE) else "val" if is_held_out(name, TEST_SHARE + VAL_SHARE) else "train"


def read_json(path: Path) -> Any:
    """What the file holds. Raises ValueError if that is not JSON, or more than is read."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} holds more than the {MAX_BYTES:,} bytes that are read")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read {path} as JSON: {error}") from error


def apply_split_file(sources: Sequence[Source], path: Path) -> tuple[Source, ...]:
    """The objects that the list names, in the parts that it gives; with no train part, all others are that.

    The list is {"train": [names], ...}, {name: part} or, as for the 3D-R2N2 set, a list of classes that each have such
    lists and a taxonomy_id. A name is an object's id or the last part of it, with or without the ending of a file.
    Raises ValueError if the file is none of these, or names no object.
    """
    try:
        parts = dict(parse_splits(read_json(path)))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no list of parts such as {{'train': ['name', ...], 'test': [...]}}") from error
    found = [(source, parts.get(source.id) or parts.get(PurePosixPath(source.id).name)) for source in sources]
    if not any(part for _, part in found):
        raise ValueError(f"{path} names none of the {len(sources)} objects")
    rest: DeclaredSplit = "" if "train" in parts.values() else "train"
    kept = tuple(replace(source, split=part or rest) for source, part in found if part or rest)
    if len(kept) < len(sources):
        log.warning(
            "%s does not name %d of %d objects; they are left out", path, len(sources) - len(kept), len(sources)
        )
    return kept


def parse_splits(content: Any) -> Iterator[tuple[str, DeclaredSplit]]:
    """Names and their parts."""
    if isinstance(content, list):
        for group in content:
            below = f"{group['taxonomy_id']}/"
            yield from ((below + name, part) for part in ("train", "val", "test") for name in group.get(part, ()))
        return
    for key, value in content.items():
        if isinstance(value, str):
            yield strip_suffix(key), SPLIT_NAMES[value]
        else:
            yield from ((strip_suffix(name), SPLIT_NAMES[key]) for name in value)


def strip_suffix(name: str) -> str:
    """The name without the ending of a mesh or of voxels."""
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in (*MESH_SUFFIXES, *VOXEL_SUFFIXES) else name
