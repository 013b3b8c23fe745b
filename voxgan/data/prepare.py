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

from gancore.atomic import atomic_write
from voxgan.data.layouts import find_objects
from voxgan.data.near_duplicates import find_near_duplicates, group_duplicates
from voxgan.data.packed import Cameras, PackedObject, bytes_per_object, write_packed_dataset
from voxgan.data.prepared import PreparedShape, Recipe, cache_key, load_shape, prepare_shape, save_shape
from voxgan.data.sources import Source, assign_split
from voxgan.data.sweethome3d import FurnitureModel, find_furniture, unpack_package
from voxgan.mesh.config import MAX_FACES, Axis

JOBS_PER_WORKER = 32
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

    compress: bool = False
    """Store voxels compressed: much smaller on disk, but read into memory whole."""

    up: Axis | None = None
    """Axis of the meshes that points up; if null, what their layout says, or y."""

    front: Axis | None = None
    """Axis of the meshes that their front looks along; if null, what their layout says, or z."""

    max_faces: int = MAX_FACES
    """A mesh of so many faces or more is refused; of the largest it takes a few hundred bytes of memory a face."""

    duplicate_iou: float = 0.95
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
        if not 0 < self.duplicate_iou <= 1:
            raise ValueError(f"twins must lie in (0, 1], got {self.duplicate_iou}")

    @property
    def recipe(self) -> Recipe:
        return Recipe(**{field.name: getattr(self, field.name) for field in fields(Recipe)})


@dataclass(frozen=True)
class Job:
    source: Source | FurnitureModel
    recipe: Recipe
    cache: Path


@dataclass(frozen=True)
class Outcome:
    """What became of an object: where it is kept, or why it is not."""

    source: Source | FurnitureModel
    shape_path: Path | None = None
    reason: str = ""


@dataclass(frozen=True)
class PrepareResult:
    """A data set that was written."""

    objects: tuple[PackedObject, ...]
    failed: tuple[Outcome, ...]

    def __str__(self) -> str:
        counts = [f"{sum(item.split == part for item in self.objects)} {part}" for part in ("train", "val", "test")]
        return f"{len(self.objects)} objects ({', '.join(counts)}), {len(self.failed)} failed"


def prepare_dataset(config: PrepareConfig) -> PrepareResult:
    """Writes the data set and its manifest.

    An object that fails is named in the manifest with its reason, and the rest goes on. Raises ValueError if all fail.
    """
    out = Path(config.out)
    cache = Path(config.cache) if config.cache else out.with_name(out.name + ".cache")
    with open_sources(Path(config.folder)) as sources:
        out.mkdir(parents=True, exist_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        jobs = [Job(source, config.recipe, cache) for source in sources]
        made = tqdm(run_jobs(jobs, workers=config.workers), total=len(jobs), desc="shapes", unit="object")
        outcomes = sorted(made, key=lambda outcome: outcome.source.id)
    good = [outcome for outcome in outcomes if outcome.kept]
    failed = tuple(outcome for outcome in outcomes if not outcome.kept)
    objects = describe_objects(good, config) if good else []
    write_manifest(out / "manifest.csv", objects, failed=failed)
    if not good:
        raise ValueError(
            f"none of the {len(failed)} objects in {config.folder} can be prepared; {out / 'manifest.csv'} says why, "
            f"the first being: {failed[0].reason}"
        )
    for outcome in failed:
        log.warning("left out %s: %s", outcome.source.id, outcome.reason)
    contents = ((shape.occupancy, shape.views) for shape in map(require_shape, good))
    write_packed_dataset(out, objects, contents=contents, side=config.side, compressed=config.compress)
    return PrepareResult(tuple(objects), failed)


@contextmanager
def open_sources(path: Path) -> Iterator[Sequence[Source | FurnitureModel]]:
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


def run_jobs(jobs: Sequence[Job], *, workers: int) -> Iterator[Outcome]:
    """What becomes of each job, in any order; one that kills its process costs no other."""
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        yield from map(attempt, jobs)
        return
    left = iter(jobs)
    pool = start_pool(workers)
    try:
        while batch := list(islice(left, JOBS_PER_WORKER * workers)):
            futures = {pool.submit(attempt, job): job for job in batch}
            suspects = []
            for future in as_completed(futures):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    suspects.append(futures[future])
            if suspects:
                yield from map(run_isolated, suspects)
                pool = start_pool(workers)
    finally:
        pool.shutdown(cancel_futures=True)


def start_pool(workers: int) -> ProcessPoolExecutor:
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=limit_threads)


def limit_threads() -> None:
    os.environ["IGL_NUM_THREADS"] = "1"  # libigl would take all cores in each of the processes


def run_isolated(job: Job) -> Outcome:
    with start_pool(1) as pool:
        try:
            return pool.submit(attempt, job).result()
        except BrokenProcessPool:
            return Outcome(job.source, reason="its process died: memory ran out, or a library crashed")


def attempt(job: Job) -> Outcome:
    """Keeps the job's shape, unless it is kept already."""
    try:
        path = job.cache / f"{cache_key(job.source, job.recipe)}.zip"
        if load_shape(path) is None:
            save_shape(prepare_shape(job.source, job.recipe), path)
        return Outcome(job.source, shape_path=path)
    except Exception as error:  # whatever is wrong with one object, the others go on
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return Outcome(job.source, reason=reason)


def require_shape(outcome: Outcome) -> PreparedShape:
    assert outcome.shape_path
    shape = load_shape(outcome.shape_path)
    if shape is None:
        raise ValueError(f"{outcome.shape_path} has gone or was damaged; prepare again")
    return shape


def describe_objects(outcomes: Sequence[Outcome], config: PrepareConfig) -> list[PackedObject]:
    """The objects with their parts: given ones, else by a hash of the id, twins by that of their first."""
    bits = np.empty((len(outcomes), bytes_per_object(config.side)), np.uint8)
    objects = []
    for row, outcome in zip(bits, outcomes, strict=True):
        shape = require_shape(outcome)
        row[:] = np.packbits(shape.occupancy)
        objects.append(build_record(outcome.source, cameras=shape.cameras))
    free = np.array([index for index, outcome in enumerate(outcomes) if not declared_split(outcome.source)], int)
    pairs = (
        find_near_duplicates(bits[free], side=config.side, overlap=config.duplicate_iou)
        if config.duplicate_iou < 1 and len(free)
        else ()
    )
    for index, first in zip(free, free[group_duplicates(len(free), pairs)], strict=True):
        objects[index] = replace(objects[index], split=objects[first].split)
    return objects


def build_record(source: Source | FurnitureModel, *, cameras: Cameras) -> PackedObject:
    item = PackedObject(id=source.id, label=source.label, cameras=cameras)
    if isinstance(source, Source):
        return replace(item, split=assign_split(source))
    split = assign_split(Source(id=source.id, label=source.label))
    return replace(item, split=split, creator=source.creator, licence=source.licence)


def declared_split(source: Source | FurnitureModel) -> str:
    return source.split if isinstance(source, Source) else ""


def write_manifest(path: Path, objects: Sequence[PackedObject], *, failed: Sequence[Outcome]) -> None:
    """A CSV file with a line for each object: what it is and, if it is not in the data set, why."""
    lines: list[tuple[str | int, ...]] = [
        (item.id, item.label, item.split, len(item.cameras), item.creator, item.licence, "ok", "") for item in objects
    ]
    lines += [(failure.source.id, failure.source.label, "", 0, "", "", "failed", failure.reason) for failure in failed]
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "label", "split", "views", "creator", "licence", "status", "reason"))
        writer.writerows(lines)
