"""Labelled sets of arrays: class folders or WebDataset shards, with a manifest that records their origin."""

import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from gancore.errors import UnreadableError
from gancore.files.arrays import write_npy
from gancore.files.atomic import atomic_write, create_parents
from gancore.files.outputs import check_new_folder
from gancore.files.reading import as_unreadable, read_json, resolve_below

MANIFEST = "manifest.json"
Kind = Literal["clips", "voxels"]


class LabelledArray(NamedTuple):
    """A sample of a labelled set."""

    label: str
    """Name of its class."""
    values: np.ndarray
    """Clips: uint8 (time, height, width, channel); voxels: bool (x, y, z), y up."""


def write_labelled_set(
    folder: Path,
    samples: Iterable[LabelledArray],
    *,
    kind: Kind,
    provenance: Mapping[str, Any],
    shard_size: int | None = None,
) -> dict[str, Any]:
    """Writes samples as they come, and last the manifest, which is returned.

    Without a shard size, sample 3 of the class chair is chair/00003.npy. With one, each shard-00000.tar holds so many
    samples in the layout of WebDataset: 00003.npy, 00003.cls (its name) and 00003.json. Raises ValueError if there is
    anything in the folder, or a label cannot be the name of a folder.
    """
    check_new_folder(folder, "dataset")
    folder.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    files: list[str] = []
    pending: list[tuple[int, LabelledArray]] = []
    for number, sample in enumerate(samples):
        if Path(sample.label).name != sample.label or sample.label.startswith("."):
            raise ValueError(f"the class {sample.label!r} cannot be the name of a folder")
        counts[sample.label] += 1
        if shard_size is None:
            files.append(f"{sample.label}/{number:05d}.npy")
            create_parents(folder / files[-1])
            with atomic_write(folder / files[-1]) as partial, partial.open("wb") as file:
                write_npy(file, sample.values)
            continue
        pending.append((number, sample))
        if len(pending) == shard_size:
            files.append(_write_shard(folder, len(files), pending))
            pending = []
    if pending:
        files.append(_write_shard(folder, len(files), pending))
    manifest = {"kind": kind, "samples": sum(counts.values()), "classes": dict(sorted(counts.items())), **provenance}
    manifest |= {"shard_size": shard_size, "files": files}
    with atomic_write(folder / MANIFEST) as partial:
        partial.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return manifest


def _write_shard(folder: Path, number: int, samples: list[tuple[int, LabelledArray]]) -> str:
    """Writes a tar of the samples with these numbers; returns its name. The same samples give the same bytes."""
    name = f"shard-{number:05d}.tar"
    with atomic_write(folder / name) as partial, tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as archive:
        for key, (label, values) in samples:
            array = io.BytesIO()
            write_npy(array, values)
            described = json.dumps({"label": label, "shape": values.shape, "dtype": values.dtype.name})
            for suffix, content in (("npy", array.getvalue()), ("cls", label.encode()), ("json", described.encode())):
                entry = tarfile.TarInfo(f"{key:05d}.{suffix}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return name


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a labelled set. Raises UnreadableError if there is none."""
    manifest = read_json(folder / MANIFEST, kind="the manifest of a labelled set")
    if not isinstance(manifest, dict) or manifest.get("kind") not in ("clips", "voxels"):
        raise UnreadableError(f"{folder / MANIFEST} is not the manifest of a labelled set")
    if not isinstance(manifest.get("files"), list) or not all(isinstance(each, str) for each in manifest["files"]):
        raise UnreadableError(f"{folder / MANIFEST} lists no files")
    return manifest


def read_labelled_set(folder: Path) -> Iterator[LabelledArray]:
    """The samples of a labelled set, one after the other. Raises UnreadableError if one cannot be read."""
    for name in read_manifest(folder)["files"]:
        path = resolve_below(folder, name)
        with as_unreadable(path, "a part of a labelled set"):
            if path.suffix == ".npy":
                yield LabelledArray(path.parent.name, np.load(path, allow_pickle=False))
                continue
            with tarfile.open(path) as archive:
                found: dict[str, bytes] = {}
                for entry in archive:
                    stored = archive.extractfile(entry)
                    found[entry.name] = stored.read() if stored else b""
            for key in sorted(each.removesuffix(".npy") for each in found if each.endswith(".npy")):
                values = np.load(io.BytesIO(found[f"{key}.npy"]), allow_pickle=False)
                yield LabelledArray(found[f"{key}.cls"].decode(), values)
