"""The sources of objects on disk: the mesh, voxels and pictures of each, its class and its split."""

import hashlib
import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from gancore.files.limits import ShapeLimits
from gancore.files.reading import as_unreadable, read_json, require_regular_file
from gancore.splits import Split, parse_splits, split_by_hash, split_of_unlisted
from voxgan.data.description import find_id_problem
from voxgan.files.voxels import VOXEL_SUFFIXES
from voxgan.mesh.config import Axis
from voxgan.mesh.read import MESH_SUFFIXES, LoadedMesh, load_mesh
from voxgan.mesh.voxelise import normalise_mesh

TEST_FRACTION, VAL_FRACTION = 0.2, 0.05
"""Fractions of the objects that are held out if a data set declares no splits."""

MAX_TEXT_BYTES = 2**28
"""Maximum size of lists and tables."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceImage:
    """A picture of an object."""

    path: Path
    mask: Path | None = None
    azimuth: float | None = None
    """Degrees in [0, 360) about the up axis, 0 in front of the object; None if unknown."""
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
    """Folder to which references in the mesh file are confined; the mesh's own folder if None."""
    occupancy: Path | None = None
    """Voxel file."""
    key: str | None = None
    """Key of the object in a file of several voxel grids."""
    images: tuple[SourceImage, ...] = ()
    up: Axis | None = None
    """Up axis of the mesh; None if the layout does not define it. An axis stated in the file has precedence."""
    front: Axis | None = None
    """Axis that the front of the mesh faces; None if unknown."""
    voxel_up: Axis | None = None
    """Up axis of the voxels if the data set defines a coordinate frame for voxels, else None."""
    voxel_front: Axis | None = None
    """Axis that the front of the voxels faces; None if unknown."""
    closed: bool = False
    """Whether the mesh is known to consist of closed parts with outward faces."""
    creator: str = ""
    licence: str = ""
    problem: str = ""
    """Why the object cannot be prepared, if its file names show that; else empty."""

    def load_mesh(
        self, *, up: Axis | None = None, front: Axis | None = None, limits: ShapeLimits = ShapeLimits()
    ) -> LoadedMesh | None:
        """The mesh, normalised to the unit cube with y up and the front to +z; None if the object has only voxels.

        `up` and `front` override the layout's axes, but not those stated in the file. Raises ValueError or OSError if
        the mesh cannot be read or exceeds a limit.
        """
        if self.mesh is None:
            return None
        loaded = load_mesh(self.mesh, root=self.root, limits=limits)
        up, front = loaded.axes(up=up or self.up, front=front or self.front)
        return replace(loaded, mesh=normalise_mesh(loaded.mesh, up=up, front=front))

    def own_files(self) -> tuple[Path, ...]:
        """The paths of the mesh, its material file, the voxels, and each picture with its mask, existing or not."""
        materials = self.mesh.with_suffix(".mtl") if self.mesh else None
        pictures = [path for picture in self.images for path in (picture.path, picture.mask)]
        return tuple(path for path in (self.mesh, materials, self.occupancy, *pictures) if path is not None)

    def files_behind(self, loaded: LoadedMesh | None) -> tuple[Path, ...]:
        """Every file that the object depends on, given its mesh; `content_digest` covers files in an archive."""
        return tuple(dict.fromkeys([*self.own_files(), *(loaded.files if loaded else ())]))

    def content_digest(self) -> bytes:
        """A 16-byte digest of the contents of the object's own files and of the axes and key they are read with."""
        digest = hashlib.blake2b(digest_size=16)
        for path in self.own_files():
            digest.update(digest_file(path) or b"")
        digest.update(repr((self.key, self.up or "y", self.front, self.voxel_up or "y", self.voxel_front)).encode())
        return digest.digest()


def digest_file(path: Path) -> bytes | None:
    """The digest of a file's content; None if there is no such regular file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


@dataclass(frozen=True)
class Layout:
    """The objects of a folder, and the name of its layout."""

    name: str
    sources: tuple[Source, ...]
    left_out: tuple[Source, ...] = ()
    """The objects that cannot be prepared, each with a problem."""


def assign_split(source: Source) -> Split:
    """The split that the data set declares, else a split by a hash of class and id."""
    return source.split or split_by_hash(f"{source.label}/{source.id}", test=TEST_FRACTION, val=VAL_FRACTION)


def apply_split_file(sources: Sequence[Source], path: Path) -> tuple[Source, ...]:
    """The objects with the splits that a JSON file lists (see `parse_splits`).

    A listed name is an object's id or its last part, with or without a file suffix. Objects that are not listed get a
    problem, or are training objects if the file lists none. Raises ValueError if the file is not a list of splits, or
    names none of the objects.
    """
    content = read_json(path)
    with as_unreadable(path, "a list of splits"):
        listed = {strip_suffix(name): split for name, split in parse_splits(content).items()}
    splits = [listed.get(source.id) or listed.get(PurePosixPath(source.id).name) for source in sources]
    if not any(splits):
        raise ValueError(f"{path} names none of the {len(sources)} objects")
    rest = split_of_unlisted(listed.values())
    unlisted = f"{path.name} does not list it"
    if not rest and (count := splits.count(None)):
        log.warning("%s does not list %d of %d objects; they are left out", path, count, len(sources))
    return tuple(
        replace(source, split=split or rest, problem=source.problem or ("" if split or rest else unlisted))
        for source, split in zip(sources, splits, strict=True)
    )


def divide_sources(sources: Sequence[Source]) -> tuple[list[Source], list[Source]]:
    """Divide objects into those that can be prepared and those that cannot, for example because an id is repeated."""
    good, bad, seen = [], [], set()
    for source in sources:
        named = replace(source, id=clean_name(source.id), label=clean_name(source.label))
        problem = named.problem or find_id_problem(named.id)
        if not problem and named.id in seen:
            problem = "it has the id of another object"
        if problem:
            bad.append(replace(named, problem=problem))
        else:
            seen.add(named.id)
            good.append(named)
    return good, bad


def clean_name(name: str) -> str:
    """The name with control characters, line breaks and undecodable bytes escaped, as \\n and \\xff."""
    return "".join(
        letter.encode("ascii", "backslashreplace").decode()
        if unicodedata.category(letter) in ("Cs", "Zl", "Zp")
        else repr(letter)[1:-1]
        if unicodedata.category(letter) == "Cc"
        else letter
        for letter in name
    )


def read_text(path: Path) -> str:
    """The content of a UTF-8 text file; undecodable bytes are replaced.

    Raises FileNotFoundError, or UnreadableError if it is not a regular file or larger than MAX_TEXT_BYTES.
    """
    require_regular_file(path)
    with as_unreadable(path, "text"):
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise ValueError(f"it is longer than the {MAX_TEXT_BYTES:,} bytes that are read")
        return path.read_text(encoding="utf-8", errors="replace")


def strip_suffix(name: str) -> str:
    """The name without the suffix of a mesh or voxel file."""
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in (*MESH_SUFFIXES, *VOXEL_SUFFIXES) else name
