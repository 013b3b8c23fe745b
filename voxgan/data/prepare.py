"""From a folder of meshes, voxels and pictures to a packed data set, in parallel and resumable."""

import csv
import logging
import os
import tempfile
from collections import Counter
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
from gancore.splits import SPLITS
from voxgan.commands import PrepareConfig
from voxgan.data.layouts import find_objects
from voxgan.data.near_duplicates import find_near_duplicates, group_duplicates
from voxgan.data.packed import PackedObject, bytes_per_object, write_packed_dataset
from voxgan.data.prepared import PreparedShape, Recipe, cache_key, load_shape, prepare_shape, save_shape
from voxgan.data.sources import Source, assign_split
from voxgan.data.sweethome3d import unpack_package

JOBS_PER_WORKER = 32
"""Objects submitted at a time for each process."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """An object to prepare, and the folder in which to cache it."""

    source: Source
    recipe: Recipe
    cache: Path


@dataclass(frozen=True)
class Outcome:
    """The file in which an object was cached, or the reason why it was not."""

    source: Source
    shape_path: Path | None = None
    reason: str = ""

    def load(self) -> PreparedShape:
        """The cached shape. Raises ValueError if its file has been removed or damaged."""
        assert self.shape_path
        shape = load_shape(self.shape_path)
        if shape is None:
            raise ValueError(f"{self.shape_path} was removed or damaged; prepare again")
        return shape


@dataclass(frozen=True)
class PrepareResult:
    """What is in a data set that was written, and what could not be prepared."""

    objects: tuple[PackedObject, ...]
    failed: tuple[Outcome, ...]

    def __str__(self) -> str:
        counts = Counter(item.split for item in self.objects)
        splits = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
        return f"{len(self.objects)} objects ({splits}), {len(self.failed)} failed"


def prepare_dataset(config: PrepareConfig) -> PrepareResult:
    """Writes the data set and its manifest.

    An object that fails is named in the manifest with the reason, and the others are prepared all the same. Raises
    ValueError if all fail, FileNotFoundError without the folder.
    """
    cache = config.cache or config.out.with_name(config.out.name + ".cache")
    recipe = Recipe(**{field.name: getattr(config, field.name) for field in fields(Recipe)})
    with open_sources(config.folder) as sources:
        config.out.mkdir(parents=True, exist_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        jobs = [Job(source, recipe, cache) for source in sources]
        progress = tqdm(run_jobs(jobs, workers=config.workers), total=len(jobs), desc="shapes", unit="object")
        outcomes = sorted(progress, key=lambda outcome: outcome.source.id)
    prepared = [outcome for outcome in outcomes if outcome.shape_path]
    failed = tuple(outcome for outcome in outcomes if not outcome.shape_path)
    objects = describe_objects(prepared, side=config.side, duplicate_iou=config.duplicate_iou) if prepared else []
    manifest = config.out / "manifest.csv"
    write_manifest(manifest, objects, failed=failed)
    if not prepared:
        raise ValueError(
            f"none of the {len(failed)} objects in {config.folder} can be prepared; {manifest} says why, "
            f"the first being: {failed[0].reason}"
        )
    for outcome in failed:
        log.warning("left out %s: %s", outcome.source.id, outcome.reason)
    contents = ((shape.occupancy, shape.views) for shape in (outcome.load() for outcome in prepared))
    write_packed_dataset(config.out, objects, contents=contents, side=config.side, compressed=config.compress)
    return PrepareResult(tuple(objects), failed)


@contextmanager
def open_sources(path: Path) -> Iterator[Sequence[Source]]:
    """The objects of a folder, a file, or the furniture's Debian package, readable inside the block."""
    if path.suffix.lower() == ".deb" and path.is_file():
        with tempfile.TemporaryDirectory() as folder:
            unpack_package(path, Path(folder))
            yield find_objects(Path(folder)).sources
    else:
        yield find_objects(path).sources


def run_jobs(jobs: Sequence[Job], *, workers: int | None = None) -> Iterator[Outcome]:
    """The outcome of each job, in any order, in this many processes or one a processor core.

    A job that kills its process costs no other job.
    """
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        yield from map(run_job, jobs)
        return
    remaining = iter(jobs)
    pool = start_pool(workers)
    try:
        while batch := list(islice(remaining, JOBS_PER_WORKER * workers)):
            futures = {pool.submit(run_job, job): job for job in batch}
            unfinished = []
            for future in as_completed(futures):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    unfinished.append(futures[future])
            if unfinished:
                yield from map(run_isolated, unfinished)
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
    """The outcome of the job in a process of its own."""
    with start_pool(1) as pool:
        try:
            return pool.submit(run_job, job).result()
        except BrokenProcessPool:
            return Outcome(job.source, reason="its process died: memory ran out, or a library crashed")


def run_job(job: Job) -> Outcome:
    """Prepares the job's object and caches it, unless it is cached already."""
    try:
        path = job.cache / f"{cache_key(job.source, job.recipe)}.zip"
        if load_shape(path) is None:
            save_shape(prepare_shape(job.source, job.recipe), path)
        return Outcome(job.source, shape_path=path)
    except Exception as error:  # whatever is wrong with one object, the others are prepared
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return Outcome(job.source, reason=reason)


def describe_objects(outcomes: Sequence[Outcome], *, side: int, duplicate_iou: float) -> list[PackedObject]:
    """The records of the objects with their splits: declared ones, else by hash.

    Near-duplicates whose splits are not declared all follow the first of them.
    """
    bits = np.empty((len(outcomes), bytes_per_object(side)), np.uint8)
    objects = []
    for row, outcome in zip(bits, outcomes, strict=True):
        shape, source = outcome.load(), outcome.source
        row[:] = np.packbits(shape.occupancy)
        objects.append(
            PackedObject(
                id=source.id,
                label=source.label,
                split=assign_split(source),
                cameras=shape.cameras,
                creator=source.creator,
                licence=source.licence,
            )
        )
    free = np.array([index for index, outcome in enumerate(outcomes) if outcome.source.split is None], int)
    if duplicate_iou < 1 and len(free):
        pairs = find_near_duplicates(bits[free], side=side, overlap=duplicate_iou)
        for index, first in zip(free, free[group_duplicates(len(free), pairs)], strict=True):
            objects[index] = replace(objects[index], split=objects[first].split)
    return objects


def write_manifest(path: Path, objects: Sequence[PackedObject], *, failed: Sequence[Outcome]) -> None:
    """Writes a CSV file with a line for each object, with the reason for each that is not in the data set."""
    lines: list[tuple[str | int, ...]] = [
        (item.id, item.label, item.split, len(item.cameras), item.creator, item.licence, "ok", "") for item in objects
    ]
    lines += [(failure.source.id, failure.source.label, "", 0, "", "", "failed", failure.reason) for failure in failed]
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "label", "split", "views", "creator", "licence", "status", "reason"))
        writer.writerows(lines)
