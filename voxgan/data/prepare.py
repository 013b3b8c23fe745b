"""A folder of meshes, voxels and pictures -> a packed data set, in parallel, resumed where it was left."""

import csv
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gancore.atomic import replacing
from voxgan.data.layouts import find_objects
from voxgan.data.near_duplicates import groups, twins
from voxgan.data.packed import Cameras, PackedObject, packed_bytes, write_packed
from voxgan.data.prepared import Recipe, Shape, keep, kept, key_of, shape_of
from voxgan.data.sources import Source, assign_split
from voxgan.data.sweethome3d import Furniture, find_furniture, unpack_package
from voxgan.mesh.axes import Up
from voxgan.mesh.voxelise import MANY_FACES

BATCH = 32
"""Objects a process is given at a time."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Prepare a data set: voxels and views of every object in a folder."""

    folder: str
    """Folder of meshes, voxels and pictures in a known layout, with classes or without; or the Debian package
    sweethome3d-furniture, or a folder of its catalogues (.sh3f)."""

    out: str
    """Folder of the data set; manifest.csv in there tells what became of each object."""

    side: int = 32
    """Voxels along each side of the unit cube."""

    views: int = 24
    """Pictures of each object; of its own pictures, if it has some, at most so many."""

    view_size: int = 128
    """Width and height of a view in pixels."""

    quality: int | None = None
    """WebP quality of the views from 0 to 100; lossless if null."""

    compressed: bool = False
    """Store voxels compressed: much smaller on disk, but read into memory whole."""

    up: Up | None = None
    """Axis of the meshes that points up; if null, what their layout says, or y."""

    front: Up | None = None
    """Axis of the meshes that their front looks along; if null, what their layout says, or z."""

    max_faces: int = MANY_FACES
    """A mesh of so many faces or more is refused; of the largest it takes a few hundred bytes of memory a face."""

    twins: float = 0.95
    """IoU above which objects without a given split are taken for the same and go to the same part; 1 turns it off."""

    workers: int = 0
    """Processes; 0 is one a processor core, 1 works without further ones."""

    cache: str = ""
    """Folder where finished objects are kept, so that nothing is made twice; if empty, OUT.cache."""

    seed: int = 0
    """Where the random cameras and lights start from."""

    def __post_init__(self) -> None:
        for name, least, most in (("side", 4, 256), ("views", 0, 1000), ("view_size", 8, 2048), ("workers", 0, 1024)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie between {least} and {most}, got {getattr(self, name)}")
        if self.max_faces < 1:
            raise ValueError(f"max_faces must be at least 1, got {self.max_faces}")
        if self.quality is not None and not 0 <= self.quality <= 100:
            raise ValueError(f"quality must lie between 0 and 100, got {self.quality}")
        if Path(self.out).resolve().is_relative_to(Path(self.folder).resolve()):
            raise ValueError(f"out must not lie inside the folder of objects, got {self.out}")
        if not 0 < self.twins <= 1:
            raise ValueError(f"twins must lie in (0, 1], got {self.twins}")

    @property
    def recipe(self) -> Recipe:
        return Recipe(**{field.name: getattr(self, field.name) for field in fields(Recipe)})


@dataclass(frozen=True)
class Job:
    source: Source | Furniture
    recipe: Recipe
    cache: Path


@dataclass(frozen=True)
class Outcome:
    """What became of an object: where it is kept, or why it is not."""

    source: Source | Furniture
    kept: Path | None = None
    reason: str = ""


@dataclass(frozen=True)
class Prepared:
    """A data set that was written."""

    objects: tuple[PackedObject, ...]
    failed: tuple[Outcome, ...]

    def __str__(self) -> str:
        counts = [f"{sum(item.split == part for item in self.objects)} {part}" for part in ("train", "val", "test")]
        return f"{len(self.objects)} objects ({', '.join(counts)}), {len(self.failed)} failed"


def prepare(config: PrepareConfig) -> Prepared:
    """Writes the data set and its manifest.

    An object that fails is named in the manifest with its reason, and the rest goes on. Raises ValueError if all fail.
    """
    out = Path(config.out)
    cache = Path(config.cache) if config.cache else out.with_name(out.name + ".cache")
    with found(Path(config.folder)) as sources:
        out.mkdir(parents=True, exist_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        jobs = [Job(source, config.recipe, cache) for source in sources]
        made = tqdm(attempts(jobs, workers=config.workers), total=len(jobs), desc="shapes", unit="object")
        outcomes = sorted(made, key=lambda outcome: outcome.source.id)
    good = [outcome for outcome in outcomes if outcome.kept]
    failed = tuple(outcome for outcome in outcomes if not outcome.kept)
    objects = described(good, config) if good else []
    write_manifest(out / "manifest.csv", objects, failed=failed)
    if not good:
        raise ValueError(
            f"none of the {len(failed)} objects in {config.folder} can be prepared; {out / 'manifest.csv'} says why, "
            f"the first being: {failed[0].reason}"
        )
    for outcome in failed:
        log.warning("left out %s: %s", outcome.source.id, outcome.reason)
    contents = ((shape.occupancy, shape.views) for shape in map(finished, good))
    write_packed(out, objects, contents=contents, side=config.side, compressed=config.compressed)
    return Prepared(tuple(objects), failed)


@contextmanager
def found(path: Path) -> Iterator[Sequence[Source | Furniture]]:
    """The objects of a folder, or of the furniture's package or catalogues, readable inside the block."""
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    if path.suffix == ".deb":
        with tempfile.TemporaryDirectory() as folder:
            yield find_furniture(unpack_package(path, Path(folder)))
    elif catalogues := sorted(path.glob("*.sh3f")):
        yield find_furniture(catalogues)
    else:
        yield find_objects(path).sources


def attempts(jobs: Sequence[Job], *, workers: int) -> Iterator[Outcome]:
    """What becomes of each job, in any order; one that kills its process costs no other."""
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        yield from map(attempt, jobs)
        return
    left = iter(jobs)
    pool = processes(workers)
    try:
        while batch := list(islice(left, BATCH * workers)):
            futures = {pool.submit(attempt, job): job for job in batch}
            suspects = []
            for future in as_completed(futures):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    suspects.append(futures[future])
            if suspects:
                yield from map(alone, suspects)
                pool = processes(workers)
    finally:
        pool.shutdown(cancel_futures=True)


def processes(workers: int) -> ProcessPoolExecutor:
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=be_one_thread)


def be_one_thread() -> None:
    os.environ["IGL_NUM_THREADS"] = "1"  # libigl would take all cores in each of the processes


def alone(job: Job) -> Outcome:
    with processes(1) as pool:
        try:
            return pool.submit(attempt, job).result()
        except BrokenProcessPool:
            return Outcome(job.source, reason="its process died: memory ran out, or a library crashed")


def attempt(job: Job) -> Outcome:
    """Keeps the job's shape, unless it is kept already."""
    try:
        path = job.cache / f"{key_of(job.source, job.recipe)}.zip"
        if kept(path) is None:
            keep(shape_of(job.source, job.recipe), path)
        return Outcome(job.source, kept=path)
    except Exception as error:  # whatever is wrong with one object, the others go on
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return Outcome(job.source, reason=reason)


def finished(outcome: Outcome) -> Shape:
    assert outcome.kept
    shape = kept(outcome.kept)
    if shape is None:
        raise ValueError(f"{outcome.kept} has gone or was damaged; prepare again")
    return shape


def described(outcomes: Sequence[Outcome], config: PrepareConfig) -> list[PackedObject]:
    """The objects with their parts: given ones, else by a hash of the id, twins by that of their first."""
    bits = np.empty((len(outcomes), packed_bytes(config.side)), np.uint8)
    objects = []
    for row, outcome in zip(bits, outcomes, strict=True):
        shape = finished(outcome)
        row[:] = np.packbits(shape.occupancy)
        objects.append(packed(outcome.source, cameras=shape.cameras))
    free = np.array([index for index, outcome in enumerate(outcomes) if not given_split(outcome.source)], int)
    pairs = twins(bits[free], side=config.side, overlap=config.twins) if config.twins < 1 and len(free) else ()
    for index, first in zip(free, free[groups(len(free), pairs)], strict=True):
        objects[index] = replace(objects[index], split=objects[first].split)
    return objects


def packed(source: Source | Furniture, *, cameras: Cameras) -> PackedObject:
    item = PackedObject(id=source.id, label=source.label, cameras=cameras)
    if isinstance(source, Source):
        return replace(item, split=assign_split(source))
    split = assign_split(Source(id=source.id, label=source.label))
    return replace(item, split=split, creator=source.creator, licence=source.licence)


def given_split(source: Source | Furniture) -> str:
    return source.split if isinstance(source, Source) else ""


def write_manifest(path: Path, objects: Sequence[PackedObject], *, failed: Sequence[Outcome]) -> None:
    """A CSV file with a line for each object: what it is and, if it is not in the data set, why."""
    lines: list[tuple[str | int, ...]] = [
        (item.id, item.label, item.split, len(item.cameras), item.creator, item.licence, "ok", "") for item in objects
    ]
    lines += [(failure.source.id, failure.source.label, "", 0, "", "", "failed", failure.reason) for failure in failed]
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "label", "split", "views", "creator", "licence", "status", "reason"))
        writer.writerows(lines)
