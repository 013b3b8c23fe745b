"""Prepares a packed data set from a folder of meshes, voxels and pictures, in parallel and resumably."""

import errno
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gancore.errors import UnwritableError
from gancore.files.atomic import hold_new_folder, sweep_partials
from gancore.files.locks import lock_folder
from gancore.files.outputs import check_outputs
from gancore.splits import SPLITS, Split
from voxgan.commands import PrepareConfig
from voxgan.data.description import DESCRIPTION, PackedObject, is_own_description
from voxgan.data.layouts import find_objects
from voxgan.data.manifest import MANIFEST, Failure, is_own_manifest, write_manifest
from voxgan.data.near_duplicates import find_near_duplicates, group_duplicates
from voxgan.data.packed import OCCUPANCY_FILES, VIEWS, write_packed_dataset
from voxgan.data.prepared import PreparedShape, Recipe
from voxgan.data.procedural.source import list_programs
from voxgan.data.shape_cache import cache_key, load_shape, obtain_shape
from voxgan.data.sources import Layout, Source, assign_split, clean_name
from voxgan.data.stored_voxels import StoredVoxels, bytes_per_object, filled_voxels, to_fractions, to_levels
from voxgan.data.sweethome3d import unpack_package
from voxgan.data.workers import limit_time, run_in_processes

OWN_NAMES = {DESCRIPTION, VIEWS, *OCCUPANCY_FILES.values(), MANIFEST}
"""Names of the files of a data set."""
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """An object to prepare, and the folder in which to cache it."""

    source: Source
    recipe: Recipe
    cache: Path
    scratch: Path | None = None
    """Folder for temporary files; the system's if None."""
    max_minutes: float = PrepareConfig.max_minutes
    original: "Outcome | None" = None
    """The prepared object to make an augmented copy of; None for an object itself."""


@dataclass(frozen=True)
class Outcome:
    """The cache file of a prepared object, or the reason why it could not be prepared."""

    source: Source
    shape_path: Path | None = None
    digest: str = ""
    """Digest of the cache file."""
    reason: str = ""
    """Why the object could not be prepared, or which of its files could not be read if it was prepared anyway."""
    disk_full: bool = False
    rendered: bool = False
    """Whether its views were rendered, because it has no pictures of its own."""
    copy: int = 0
    """Number of an augmented copy; 0 for the object itself."""

    @property
    def id(self) -> str:
        """Id of the object in the data set."""
        return f"{self.source.id}~{self.copy}" if self.copy else self.source.id

    def load(self) -> PreparedShape:
        """The cached shape. Raises ValueError if its file has been removed, replaced or damaged."""
        assert self.shape_path
        cached = load_shape(self.shape_path, self.shape_path.stem)
        if cached is None or cached.digest != self.digest:
            raise ValueError(f"{self.shape_path} was removed, replaced or damaged; prepare again")
        return cached.shape


@dataclass(frozen=True)
class PrepareResult:
    """The objects of a data set that was written, and those that could not be prepared."""

    objects: tuple[PackedObject, ...]
    failed: tuple[Failure, ...]
    incomplete: int = 0
    """Number of objects with a texture or picture that could not be read."""

    def __str__(self) -> str:
        counts = Counter(item.split for item in self.objects)
        splits = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
        incomplete = f", {self.incomplete} incomplete" if self.incomplete else ""
        return f"{len(self.objects)} objects ({splits}), {len(self.failed)} failed{incomplete}"


def prepare_dataset(config: PrepareConfig) -> PrepareResult:
    """Writes the data set and its manifest.

    An object that fails is listed in the manifest with the reason, and does not affect the others.

    Raises:
        ValueError: All objects fail, the output is the input or holds foreign files, or another process prepares into
            it.
        FileNotFoundError: There is no such input.
        UnwritableError: The disk is full; an existing data set stays intact.
    """
    cache = config.cache or config.out.with_name(config.out.name + ".cache")
    check_outputs([config.out, cache], inputs=[] if config.builds_furniture else [config.folder], overwrite=False)
    require_own_folder(config.out, cache=cache)
    recipe = Recipe(**{field.name: getattr(config, field.name) for field in fields(Recipe) if field.name != "copy"})
    with scratch_folder(cache) as scratch, open_layout(config, scratch) as layout, lock_folder(config.out):
        sweep_partials(config.out)
        jobs = [Job(source, recipe, cache, scratch, config.max_minutes) for source in layout.sources]
        outcomes = finish_jobs(jobs, workers=config.workers, of="shapes")
        prepared = [outcome for outcome in outcomes if outcome.shape_path]
        objects = describe_objects(prepared, side=config.side, duplicate_iou=config.duplicate_iou) if prepared else []
        training = {item.id for item in objects if item.split == "train"}
        names = {each.id for each in prepared}
        copied = [
            Job(each.source, replace(recipe, copy=number), cache, scratch, config.max_minutes, original=each)
            for each in prepared
            if each.id in training and each.rendered
            for number in range(1, config.copies + 1)
        ]
        if taken := names & {f"{job.source.id}~{job.recipe.copy}" for job in copied}:
            raise ValueError(f"{min(taken)} is the id of an object, and of a copy of another object; rename it")
        copies = finish_jobs(copied, workers=config.workers, of="copies")
        objects += [describe_object(copy, split="train") for copy in copies if copy.shape_path]
        return write_outcomes(config, [*outcomes, *copies], objects, left_out=layout.left_out)


def finish_jobs(jobs: Sequence[Job], *, workers: int | None, of: str) -> list[Outcome]:
    """The outcomes of all jobs, in the order of their ids."""
    progress = tqdm(run_jobs(jobs, workers=workers), total=len(jobs), desc=of, unit="object", disable=not jobs)
    return sorted(progress, key=lambda outcome: (outcome.source.id, outcome.copy))


def write_outcomes(
    config: PrepareConfig, outcomes: Sequence[Outcome], objects: Sequence[PackedObject], *, left_out: Sequence[Source]
) -> PrepareResult:
    """Writes the prepared objects with their records `objects`, and the manifest; ValueError if there are none."""
    prepared = [outcome for outcome in outcomes if outcome.shape_path]
    problems = {outcome.id: outcome.reason for outcome in prepared if outcome.reason}
    failed = [
        *(Failure(id=each.id, label=each.source.label, reason=each.reason) for each in outcomes if not each.shape_path),
        *(Failure(id=source.id, label=source.label, reason=source.problem) for source in left_out),
    ]
    failed.sort(key=lambda failure: failure.id)
    manifest = config.out / MANIFEST
    if not prepared or not manifest.exists():  # written first, so that a later run recognises the folder as its own
        write_manifest(manifest, objects, problems=problems, failed=failed)
    if not prepared:
        raise ValueError(
            f"none of the {len(failed)} objects in {config.folder} can be prepared; {manifest} says why, "
            f"the first being: {failed[0].reason}"
        )
    for failure in failed:
        log.warning("left out %s: %s", failure.id, failure.reason)
    shapes = (outcome.load() for outcome in prepared)
    contents = ((to_levels(to_fractions(s.voxels)) if config.fractional else s.voxels, s.views) for s in shapes)
    write_packed_dataset(
        config.out,
        objects,
        contents=contents,
        side=config.side,
        compressed=config.compress,
        fractional=config.fractional,
    )
    write_manifest(manifest, objects, problems=problems, failed=failed)
    return PrepareResult(tuple(objects), tuple(failed), len(problems))


def require_own_folder(folder: Path, *, cache: Path) -> None:
    """Raises ValueError if the folder holds anything but a data set of this package; hidden files are ignored."""
    if not folder.is_dir():
        return
    names = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".") and entry != cache}
    foreign = sorted(names - OWN_NAMES)
    if not foreign and names and not (is_own_manifest(folder / MANIFEST) or is_own_description(folder / DESCRIPTION)):
        foreign = sorted(names)
    if foreign:
        named = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise ValueError(f"{folder} holds files that vidvox prepare did not make ({named}): choose another output")


@contextmanager
def scratch_folder(cache: Path) -> Iterator[Path]:
    """A new temporary folder in the cache, which is removed afterwards; so is an empty cache."""
    sweep_partials(cache)
    try:
        with hold_new_folder(cache / "scratch") as scratch:
            yield scratch
    finally:
        with suppress(OSError):
            cache.rmdir()


@contextmanager
def open_layout(config: PrepareConfig, scratch: Path) -> Iterator[Layout]:
    """The objects of a folder, a file, the Debian package of furniture, or programs; readable inside the block."""
    path = config.folder
    if config.builds_furniture:
        assert config.objects
        yield list_programs(config.objects)
    elif path.suffix.lower() == ".deb" and path.is_file():
        unpack_package(path, scratch / "package")
        yield find_objects(scratch / "package")
    else:
        yield find_objects(path)


def run_jobs(jobs: Sequence[Job], *, workers: int | None = None) -> Iterator[Outcome]:
    """Yield the outcome of each job, in any order, from that many processes or one per processor core.

    A job that crashes its process or takes too long does not affect the others. With one worker, jobs run in this
    process, which cannot be killed. Raises UnwritableError if the disk is full.
    """
    if workers == 1 or not jobs:
        outcomes: Iterator[Outcome] = map(run_job, jobs)
    else:
        outcomes = run_in_processes(
            run_job,
            jobs,
            workers=min(workers or os.cpu_count() or 1, len(jobs)),
            seconds=jobs[0].max_minutes * 60,
            fail=lambda job, reason: Outcome(job.source, reason=reason, copy=job.recipe.copy),
            preload=__name__,
        )
    for outcome in outcomes:
        if outcome.disk_full:
            raise UnwritableError(outcome.reason)
        yield outcome


def run_job(job: Job) -> Outcome:
    """Prepares the job's object and caches it, unless it is cached already."""
    try:
        with limit_time(job.max_minutes * 60), temporary_files_in(job.scratch):
            key = cache_key(job.source, job.recipe)
            path = job.cache / f"{key}.zip"
            original = partial(_load_voxels, job.original) if job.original else None
            cached = obtain_shape(job.source, job.recipe, path, key, original=original)
        reason = one_line(cached.shape.problem)
        return Outcome(
            job.source,
            shape_path=path,
            digest=cached.digest,
            reason=reason,
            rendered=cached.shape.rendered,
            copy=job.recipe.copy,
        )
    except Exception as error:  # a failure of one object must not stop the others
        reason = one_line(str(error).replace(f"{job.scratch}/", "")) or type(error).__name__
        return Outcome(job.source, reason=reason, disk_full=is_disk_full(error), copy=job.recipe.copy)


def _load_voxels(outcome: Outcome) -> StoredVoxels:
    return outcome.load().voxels


def one_line(text: str) -> str:
    """The text as one line of at most 300 characters."""
    return clean_name(" ".join(text.split()))[:300]


def is_disk_full(error: BaseException | None) -> bool:
    """Whether the error or one of its causes is a full disk, so that no other object can be written either."""
    causes: list[BaseException] = []
    while error is not None:
        causes.append(error)
        error = error.__cause__
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return False
    return any(
        isinstance(cause, UnwritableError) or (isinstance(cause, OSError) and cause.errno in DISK_FULL)
        for cause in causes
    )


@contextmanager
def temporary_files_in(folder: Path | None) -> Iterator[None]:
    """Inside the block, this process creates its temporary files in the folder, if one is given."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder) if folder else before
    try:
        yield
    finally:
        tempfile.tempdir = before


def describe_objects(outcomes: Sequence[Outcome], *, side: int, duplicate_iou: float) -> list[PackedObject]:
    """The records of the objects with their splits: those that the data set declares, else splits by hash.

    Near-duplicates without a declared split all get the split of the first of them. If no object would be left for
    training, the first object without a declared split is moved there with its near-duplicates.
    """
    bits = np.empty((len(outcomes), bytes_per_object(side)), np.uint8)
    objects = []
    for row, outcome in zip(bits, outcomes, strict=True):
        row[:] = np.packbits(filled_voxels(outcome.load().voxels))
        objects.append(describe_object(outcome, split=assign_split(outcome.source)))
    free = np.array([index for index, outcome in enumerate(outcomes) if outcome.source.split is None], int)
    if not len(free):
        return objects
    pairs = find_near_duplicates(bits[free], side=side, overlap=duplicate_iou) if duplicate_iou < 1 else ()
    firsts = free[group_duplicates(len(free), pairs)]
    for index, first in zip(free, firsts, strict=True):
        objects[index] = replace(objects[index], split=objects[first].split)
    if all(item.split != "train" for item in objects):
        for index in free[firsts == free[0]]:
            objects[index] = replace(objects[index], split="train")
        log.warning("all objects would be held out: %s and its near-duplicates are trained on", objects[free[0]].id)
    return objects


def describe_object(outcome: Outcome, *, split: Split) -> PackedObject:
    """The record of a prepared object."""
    source = outcome.source
    return PackedObject(
        id=outcome.id,
        label=source.label,
        split=split,
        cameras=outcome.load().cameras,
        creator=source.creator,
        licence=source.licence,
        copy_of=source.id if outcome.copy else "",
    )
