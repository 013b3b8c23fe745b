"""An object as it lies on disk: its mesh, voxels and pictures, its class and its split."""

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
"""Fractions of the objects held out where a data set declares no splits."""

MAX_TEXT_BYTES = 2**28
"""Longer lists and tables are refused."""

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
    voxel_up: Axis | None = None
    """Axis of the voxels that points up, if its data set has a frame of its own for voxels; None if it has none."""
    voxel_front: Axis | None = None
    closed: bool = False
    """Whether its mesh is known to consist of closed parts with faces outward."""
    creator: str = ""
    licence: str = ""
    problem: str = ""
    """Why it cannot be prepared, as far as its files' names tell; empty for most."""

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

    def own_files(self) -> tuple[Path, ...]:
        """The mesh, its material file, the voxels, and each picture with its mask, whether they exist or not."""
        materials = self.mesh.with_suffix(".mtl") if self.mesh else None
        pictures = [path for picture in self.images for path in (picture.path, picture.mask)]
        return tuple(path for path in (self.mesh, materials, self.occupancy, *pictures) if path is not None)

    def files_behind(self, loaded: LoadedMesh | None) -> tuple[Path, ...]:
        """Every file that the object is made of, given its mesh; those that lie in an archive are in its digest."""
        return tuple(dict.fromkeys([*self.own_files(), *(loaded.files if loaded else ())]))

    def content_digest(self) -> bytes:
        """A 16-byte digest of the content of all files of the object and of how they are read."""
        digest = hashlib.blake2b(digest_size=16)
        for path in self.own_files():
            digest.update(digest_file(path) or b"")
        digest.update(repr((self.key, self.up or "y", self.front, self.voxel_up or "y", self.voxel_front)).encode())
        return digest.digest()


def digest_file(path: Path) -> bytes | None:
    """The digest of a file's content; None without such a regular file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


@dataclass(frozen=True)
class Layout:
    """The objects of a folder, and the name of the layout in which they were found."""

    name: str
    sources: tuple[Source, ...]
    left_out: tuple[Source, ...] = ()
    """The objects that cannot be prepared, each with its problem."""


def assign_split(source: Source) -> Split:
    """The split that the data set declares, else one by a hash of the class and id."""
    return source.split or split_by_hash(f"{source.label}/{source.id}", test=TEST_FRACTION, val=VAL_FRACTION)


def apply_split_file(sources: Sequence[Source], path: Path) -> tuple[Source, ...]:
    """The objects in the splits that a JSON file lists (see `parse_splits`).

    A listed name is an object's id or the last part of it, with or without the suffix of a file. Objects that are not
    listed have a problem, or are trained on if the file lists none for training. Raises ValueError if the file is not a
    list of splits, or names none of the objects.
    """
    content = read_json(path)
    with as_unreadable(path, "a list of splits"):
        listed = {strip_suffix(name): split for name, split in parse_splits(content).items()}
    splits = [listed.get(source.id) or listed.get(PurePosixPath(source.id).name) for source in sources]
    if not any(splits):
        raise ValueError(f"{path} names none of the {len(sources)} objects")
    rest = split_of_unlisted(listed.values())
    unlisted = f"{path.name} does not name it"
    if not rest and (count := splits.count(None)):
        log.warning("%s does not name %d of %d objects; they are left out", path, count, len(sources))
    return tuple(
        replace(source, split=split or rest, problem=source.problem or ("" if split or rest else unlisted))
        for source, split in zip(sources, splits, strict=True)
    )


def divide_sources(sources: Sequence[Source]) -> tuple[list[Source], list[Source]]:
    """The objects that can be prepared, and those that cannot, also because another has the same id."""
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
    """The name with control characters, line breaks and bytes that are no text written out, as in \\n and \\xff."""
    return "".join(
        letter.encode("ascii", "backslashreplace").decode()
        if unicodedata.category(letter) in ("Cs", "Zl", "Zp")
        else repr(letter)[1:-1]
        if unicodedata.category(letter) == "Cc"
        else letter
        for letter in name
    )


def read_text(path: Path) -> str:
    """The content of a text file; bytes that are no text are replaced.

    Raises FileNotFoundError, or UnreadableError if it is no regular file or immensely long.
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
