"""The cache of prepared objects: an object is prepared again if anything that it depends on has changed."""

import functools
import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from gancore.errors import UnreadableError
from gancore.files.atomic import atomic_write
from gancore.files.limits import ShapeLimits
from gancore.files.reading import as_unreadable, require_regular_file
from voxgan.data.description import parse_cameras
from voxgan.data.prepared import PreparedShape, Recipe, prepare_copy, prepare_shape
from voxgan.data.sources import Source, digest_file
from voxgan.data.stored_voxels import StoredVoxels, pack_voxels, unpack_voxels

METHOD = (
    *("voxgan/mesh", "voxgan/files", "voxgan/rendering", "voxgan/data/packed.py", "voxgan/data/prepared.py"),
    *("voxgan/data/copies.py", "voxgan/data/proportions.py"),
    *("voxgan/data/stored_voxels.py", "voxgan/data/sources.py", "voxgan/data/sweethome3d.py", "voxgan/data/procedural"),
    *("gancore/data.py", "gancore/files/pictures.py", "gancore/rng.py"),
)
"""The code on which prepared shapes depend."""
LIBRARIES = (
    *("DracoPy", "embreex", "fast-simplification", "h5py", "libigl", "lxml", "manifold3d", "numpy", "pillow"),
    *("scikit-image", "scipy", "trimesh"),
)
"""The libraries on whose versions prepared shapes depend."""
UNSETTLED = "changed while it was read"
"""Stored instead of a file's digest, so that the object is prepared again the next time."""


@dataclass(frozen=True, kw_only=True)
class CachedShape:
    """A prepared shape in the cache."""

    shape: PreparedShape
    digest: str
    """A digest of the cache file."""
    file_digests: tuple[tuple[str, str | None], ...]
    """The path of every file that the shape depends on, relative to the data set's root, and its digest; None if the
    file did not exist."""
    limits: dict[str, Any]
    """The limits under which files were read."""


def obtain_shape(
    source: Source, recipe: Recipe, path: Path, key: str, *, original: Callable[[], StoredVoxels] | None = None
) -> CachedShape:
    """The shape in the cache file, prepared again unless everything that it depends on is unchanged.

    For an augmented copy, `original` loads the voxels of the object itself. Raises ValueError or OSError if the object
    cannot be prepared, UnwritableError if it cannot be cached.
    """
    cached = load_shape(path, key)
    if cached is None or not _is_current(cached, source, recipe):
        started = time.time_ns()
        shape = prepare_copy(source, recipe, original()) if original else prepare_shape(source, recipe)
        content = _pack(shape, key, _digest_files(source, shape.files, started), recipe)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_bytes(content)
        cached = _unpack(content, key)
    return cached


def cache_key(source: Source, recipe: Recipe) -> str:
    """A key that depends on the object's id and files, the recipe, and the code and libraries that prepare objects."""
    limits = {field.name for field in fields(ShapeLimits)}  # limits do not change a shape that was read completely
    settings = {name: value for name, value in asdict(recipe).items() if name not in limits}
    if not recipe.copy:
        del settings["proportions"], settings["copy"]
    pictures = [(each.mask is not None, each.azimuth, each.elevation) for each in source.images]
    present = [path.is_file() for path in source.own_files()]
    description = json.dumps([source.id, settings, pictures, present, _digest_method()], sort_keys=True).encode()
    return hashlib.blake2b(source.content_digest() + description, digest_size=16).hexdigest()


def load_shape(path: Path, key: str) -> CachedShape | None:
    """The shape in a cache file of this key; None if there is none, or it is damaged or of another key."""
    try:
        require_regular_file(path)
        with as_unreadable(path, "a prepared object"):
            return _unpack(path.read_bytes(), key)
    except (FileNotFoundError, UnreadableError):
        return None


def _is_current(cached: CachedShape, source: Source, recipe: Recipe) -> bool:
    """Whether the files that the shape depends on are unchanged, and none that was missing can be read now."""
    if any(digest != _digest_hex(_locate(source, name)) for name, digest in cached.file_digests):
        return False
    if cached.shape.problem and cached.limits != _limits(recipe):
        return False
    if not cached.shape.missing:
        return True
    loaded = source.load_mesh(up=recipe.up, front=recipe.front, limits=recipe)  # missing files may exist now
    names = {_name(source, each) for each in source.files_behind(loaded)}
    return (
        loaded is not None and loaded.missing == cached.shape.missing and names == {n for n, _ in cached.file_digests}
    )


def _pack(shape: PreparedShape, key: str, digests: list[tuple[str, str | None]], recipe: Recipe) -> bytes:
    """The content of a cache file: a zip of the description, the voxels and the views."""
    description = {
        "key": key,
        "side": len(shape.voxels),
        "fractional": shape.voxels.dtype != np.bool_,
        "cameras": shape.cameras,
        "files": digests,
        "lost_pictures": shape.lost_pictures,
        "rendered": shape.rendered,
        "missing": shape.missing,
        "limits": _limits(recipe),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("shape.json"), json.dumps(description))  # without a date
        archive.writestr(zipfile.ZipInfo("occupancy"), pack_voxels(shape.voxels))
        for number, picture in enumerate(shape.views):
            archive.writestr(zipfile.ZipInfo(f"{number}.webp"), picture)
    return file.getvalue()


def _unpack(content: bytes, key: str) -> CachedShape:
    """The shape in the content of a cache file. Raises an error of any kind if it is damaged or of another key."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is compressed")
        described = json.loads(archive.read("shape.json"))
        side, cameras = described["side"], parse_cameras(described["cameras"])
        if described["key"] != key:
            raise ValueError("it is of another object")
        shape = PreparedShape(
            voxels=unpack_voxels(archive.read("occupancy"), side, fractional=described["fractional"]),
            cameras=cameras,
            views=tuple(archive.read(f"{number}.webp") for number in range(len(cameras))),
            lost_pictures=tuple(described["lost_pictures"]),
            rendered=described["rendered"],
            missing=tuple(described["missing"]),
        )
        return CachedShape(
            shape=shape,
            digest=hashlib.blake2b(content, digest_size=16).hexdigest(),
            file_digests=tuple((name, digest) for name, digest in described["files"]),
            limits=described["limits"],
        )


def _digest_files(source: Source, paths: tuple[Path, ...], started: int) -> list[tuple[str, str | None]]:
    """The names and digests of files that were read after `started`, in nanoseconds since the epoch."""
    digests = []
    for path in paths:
        changed = path.exists() and path.stat().st_ctime_ns >= started
        digests.append((_name(source, path), UNSETTLED if changed else _digest_hex(path)))
    return digests


def _digest_hex(path: Path) -> str | None:
    digest = digest_file(path)
    return None if digest is None else digest.hex()


def _name(source: Source, path: Path) -> str:
    """The path relative to the data set's root if it is below it, so that the cache survives moving the data set."""
    root = source.root
    return str(path.relative_to(root)) if root and path.is_relative_to(root) else str(path.absolute())


def _locate(source: Source, name: str) -> Path:
    return (source.root or Path()) / name


def _limits(recipe: Recipe) -> dict[str, Any]:
    return {field.name: getattr(recipe, field.name) for field in fields(ShapeLimits)}


@functools.cache
def _digest_method() -> str:
    """A digest of the code and the versions of the libraries that prepare objects."""
    digest = hashlib.blake2b(digest_size=16)
    root = Path(str(files("voxgan"))).parent
    for name in METHOD:
        path = root / name
        for module in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(module.read_bytes())
    digest.update(repr([_library_version(name) for name in LIBRARIES]).encode())
    return digest.hexdigest()


def _library_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
