"""An object as it lies on disk: its mesh, voxels and pictures, its class and its split."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from gancore.limits import ShapeLimits
from gancore.splits import Split, parse_splits, split_by_hash, split_of_unlisted
from voxgan.files.voxels import VOXEL_SUFFIXES
from voxgan.mesh.config import Axis
from voxgan.mesh.read import MESH_SUFFIXES, LoadedMesh, load_mesh
from voxgan.mesh.voxelise import normalise_mesh

TEST_FRACTION, VAL_FRACTION = 0.2, 0.05
"""Fractions of the objects held out where a data set declares no splits."""

MAX_JSON_BYTES = 2**28
"""Longer JSON files are refused."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceImage:
    """A picture of an object."""

    path: Path
    mask: Path | None = None
    azimuth: float | None = None
    """Degrees in [0, 360) around the upright object, 0 in front of it; None if unknown."""
    elevation: float | None = None
    """Degrees above the horizon; None if unknown."""
    box: tuple[int, int, int, int] | None = None
    """Left, top, right and bottom of the object in pixels."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An object on disk: a mesh, voxels or both, and pictures if there are any."""

    id: str
    """Unique in its data set, and the same wherever the data set lies."""
    label: str = ""
    """Its class; empty in a data set without classes."""
    split: Split | None = None
    """The split that the data set declares; None if it declares none."""
    mesh: Path | None = None
    root: Path | None = None
    """Folder below which the files lie that the mesh refers to; its own if None."""
    occupancy: Path | None = None
    """File of voxels."""
    key: str | None = None
    """Name of the object inside a file of several voxel grids."""
    images: tuple[SourceImage, ...] = ()
    up: Axis | None = None
    """Axis of a mesh that points up; None if the layout does not say. What the file itself states wins."""
    front: Axis | None = None
    """Axis of the mesh that its front faces; None if unknown."""
    voxel_up: Axis = "y"
    voxel_front: Axis | None = None
    creator: str = ""
    licence: str = ""

    def load_mesh(
        self, *, up: Axis | None = None, front: Axis | None = None, limits: ShapeLimits = ShapeLimits()
    ) -> LoadedMesh | None:
        """The mesh upright in the unit cube, its front to +z; None for an object of voxels alone.

        `up` and `front` override what the layout says of the mesh's axes, not what the file says. Raises ValueError or
        OSError if the mesh cannot be read or is above a limit.
        """
        if self.mesh is None:
            return None
        loaded = load_mesh(self.mesh, root=self.root, limits=limits)
        up, front = loaded.axes(up=up or self.up, front=front or self.front)
        return replace(loaded, mesh=normalise_mesh(loaded.mesh, up=up, front=front))

    def content_digest(self) -> bytes:
        """A 16-byte digest of the content of all files of the object and of how they are read."""
        digest = hashlib.blake2b(digest_size=16)
        materials = self.mesh.with_suffix(".mtl") if self.mesh else None
        pictures = [path for picture in self.images for path in (picture.path, picture.mask)]
        for path in (self.mesh, materials, self.occupancy, *pictures):
            if path is not None and path.is_file():
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "blake2b").digest())
        digest.update(repr((self.key, self.up, self.front, self.voxel_up, self.voxel_front)).encode())
        return digest.digest()


@dataclass(frozen=True)
class Layout:
    """The objects of a folder, and the name of the layout in which they were found."""

    name: str
    sources: tuple[Source, ...]


def assign_split(source: Source) -> Split:
    """The split that the data set declares, else one by a hash of the class and id."""
    return source.split or split_by_hash(f"{source.label}/{source.id}", test=TEST_FRACTION, val=VAL_FRACTION)


def apply_split_file(sources: Sequence[Source], path: Path) -> tuple[Source, ...]:
    """The objects in the splits that a JSON file lists (see `parse_splits`).

    A listed name is an object's id or the last part of it, with or without the suffix of a file. Objects that are not
    listed are left out, or trained on if the file lists none for training. Raises ValueError if the file is not a list
    of splits, or names none of the objects.
    """
    content = read_json(path)
    try:
        listed = {strip_suffix(name): split for name, split in parse_splits(content).items()}
    except ValueError as error:
        raise ValueError(f"{path} is {error}") from error
    splits = [listed.get(source.id) or listed.get(PurePosixPath(source.id).name) for source in sources]
    if not any(splits):
        raise ValueError(f"{path} names none of the {len(sources)} objects")
    rest = split_of_unlisted(listed.values())
    kept = tuple(
        replace(source, split=split or rest) for source, split in zip(sources, splits, strict=True) if split or rest
    )
    if len(kept) < len(sources):
        log.warning(
            "%s does not name %d of %d objects; they are left out", path, len(sources) - len(kept), len(sources)
        )
    return kept


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises ValueError if it is not JSON or too long."""
    if path.stat().st_size > MAX_JSON_BYTES:
        raise ValueError(f"{path} is longer than the {MAX_JSON_BYTES:,} bytes that are read")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read {path} as JSON: {error}") from error


def strip_suffix(name: str) -> str:
    """The name without the suffix of a mesh or voxel file."""
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in (*MESH_SUFFIXES, *VOXEL_SUFFIXES) else name
