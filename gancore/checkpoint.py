"""Checkpoints that survive a kill: written aside, verified, moved into place at once, rotated."""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gancore.atomic import sync_to_disk
from gancore.errors import ArchitectureError

FORMAT_VERSION = 2


class FormatError(ValueError):
    """A checkpoint that another version of this package wrote."""


def save(folder: Path, step: int, state: dict[str, Any], *, keep_checkpoints: int | None) -> Path:
    """Writes `folder/checkpoint-<step>` and keeps the newest `keep_checkpoints` up to it; None keeps all.

    `state` holds tensors and plain containers only. Killed at any moment, it leaves the old state or the new one whole;
    what a killed save left lying is swept by the next one. Raises OSError if the disk is full or read-only.
    """
    assert step >= 0
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    path = folder / f"checkpoint-{step:08d}"
    partial = folder / f".partial-{path.name}"
    partial.mkdir()
    try:
        _write(partial, step, state)
        _move_into_place(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _delete_oldest(folder, step, keep_checkpoints)
    return path


def find_latest(folder: Path) -> Path | None:
    """The newest intact checkpoint; damaged ones are logged by name and skipped.

    Raises FormatError if another version of this package wrote the newest one: a training must not start over there.
    """
    for path in reversed(_list_checkpoints(folder)):
        try:
            _verify(path)
            return path
        except FormatError:
            raise
        except (ValueError, OSError) as error:
            logging.getLogger(__name__).warning("skipped a damaged checkpoint: %s", error)
    return None


def load(path: Path, *, map_location: torch.device | str = "cpu") -> tuple[int, dict[str, Any]]:
    """The step and the state. Raises ValueError naming the file that is missing, truncated or altered."""
    step = _verify(path)
    return step, torch.load(path / "state.pt", map_location=map_location, weights_only=True)


def load_into(module: nn.Module, state: Mapping[str, Any], name: str) -> None:
    """Fills every parameter and buffer of `module`. Raises ArchitectureError if `name` holds another architecture."""
    check_architecture(module, state, name)
    module.load_state_dict(state)


def check_architecture(module: nn.Module, state: Mapping[str, Any], name: str) -> None:
    """Raises ArchitectureError unless `state` has the parameters and buffers of `module`, all of the same shape."""
    own = module.state_dict()
    shapes = [
        f"{key} is {_format_shape(state[key])} and should be {_format_shape(own[key])}"
        for key in own
        if key in state and _format_shape(state[key]) != _format_shape(own[key])
    ]
    lists = {"missing": own.keys() - state.keys(), "unexpected": state.keys() - own.keys(), "of another shape": shapes}
    if complaints := [f"{kind}: {_list_first(keys)}" for kind, keys in lists.items() if keys]:
        raise ArchitectureError(f"{name} is of another architecture ({'; '.join(complaints)})")


def _list_first(keys: Any, count: int = 3) -> str:
    more = f" and {len(keys) - count} more" if len(keys) > count else ""
    return ", ".join(sorted(keys)[:count]) + more


def _format_shape(value: Any) -> str:
    return "x".join(map(str, getattr(value, "shape", ()))) or "a scalar"


def _write(partial: Path, step: int, state: dict[str, Any]) -> None:
    file = partial / "state.pt"
    with file.open("wb") as stream:
        torch.save(state, stream)
    torch.load(file, map_location="cpu", weights_only=True, mmap=True)  # what cannot be read back is no checkpoint
    manifest = {"format": FORMAT_VERSION, "step": step, "files": {file.name: _fingerprint(file)}}
    (partial / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    for written in (file, partial / "manifest.json", partial):
        sync_to_disk(written)


def _fingerprint(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _move_into_place(partial: Path, path: Path) -> None:
    """Moves the new folder into place; one of the same step stays readable under another name until then."""
    aside = path.with_suffix(".old")
    if path.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(path, aside)
    os.replace(partial, path)
    sync_to_disk(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    for leftover in folder.glob(".partial-checkpoint-*"):
        shutil.rmtree(leftover)
    for aside in folder.glob("checkpoint-*.old"):
        if aside.with_suffix("").exists():
            shutil.rmtree(aside)


def _delete_oldest(folder: Path, step: int, keep: int | None) -> None:
    """Deletes the oldest checkpoints up to `step`; later, damaged ones are neither counted nor deleted."""
    earlier = [path for path in _list_checkpoints(folder) if _step_of(path) <= step]
    for path in earlier[:-keep] if keep else []:
        gone = path.with_name(f".partial-{path.name}")
        os.replace(path, gone)
        shutil.rmtree(gone)


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("checkpoint-"))


def _list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of the folder, oldest first."""
    found = [path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d{8,}(\.old)?", path.name)]
    return sorted(found, key=lambda path: (_step_of(path), path.suffix == ""))


def _verify(path: Path) -> int:
    """Checks every byte of a checkpoint and returns its step. Raises ValueError naming the file at fault."""
    manifest = _read_manifest(path / "manifest.json")
    for name, written in manifest["files"].items():
        if not (path / name).is_file():
            raise ValueError(f"{path / name} is missing")
        found = _fingerprint(path / name)
        if found["bytes"] != written["bytes"]:
            raise ValueError(f"{path / name} holds {found['bytes']} bytes of {written['bytes']}")
        if found["sha256"] != written["sha256"]:
            raise ValueError(f"{path / name} is damaged: its SHA-256 differs from the one recorded in the manifest")
    return manifest["step"]


def _read_manifest(file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(file.read_text())
        version, _, _ = manifest["format"], manifest["step"], manifest["files"]
    except FileNotFoundError as error:
        raise ValueError(f"{file} is missing") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged") from error
    if version != FORMAT_VERSION:
        raise FormatError(
            f"{file} has format {version}, but this version of vidvox reads format {FORMAT_VERSION}: "
            "train in another run folder, or resume with the version that wrote it"
        )
    return manifest
