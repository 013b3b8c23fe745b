"""Checkpoints that survive a kill: written to a temporary folder, verified, renamed into place, and rotated."""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gancore.errors import ArchitectureError, UnreadableError, describe_error
from gancore.files.atomic import as_unwritable, hold_new_folder, sweep_partials, sync_to_disk
from gancore.files.reading import require_regular_file

FORMAT_VERSION = 3
STATE, MANIFEST = "state.pt", "manifest.json"
MAX_MANIFEST_BYTES = 100_000


class FormatError(ValueError):
    """A checkpoint in the format of another version of this package."""


class DamagedError(ValueError):
    """A checkpoint with missing, truncated or altered files; the message names the first one."""


def save(folder: Path, step: int, state: dict[str, Any], *, keep_checkpoints: int | None) -> Path:
    """Writes `folder/checkpoint-<step>`, and deletes all but the newest `keep_checkpoints` up to it (None: keeps all).

    `state` holds tensors and plain containers only. Killed at any moment, it leaves the old state or the new one whole;
    what a killed save left lying is swept by the next one.

    Raises:
        UnwritableError: The disk is full or fails, or the state cannot be read back; older checkpoints are intact.
    """
    assert step >= 0
    path = folder / f"checkpoint-{step:08d}"
    with as_unwritable(path):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        with hold_new_folder(path) as partial:
            _write(partial, step, state)
            _move_into_place(partial, path)
        delete_oldest(folder, step, keep_checkpoints=keep_checkpoints)
    return path


def find_latest(folder: Path) -> Path | None:
    """The newest intact checkpoint, None if there is none at all; damaged ones are logged by name and skipped.

    Raises:
        ValueError: All checkpoints are damaged; training must not start over in this folder.
        FormatError: Another version of this package wrote the newest one.
        UnreadableError: The disk fails or denies access, for now or for good.
    """
    damages = []
    for path in reversed(list_checkpoints(folder)):
        try:
            _verify(path)
            _load_state(path, map_location="cpu", mmap=True)
            return path
        except DamagedError as error:
            logging.getLogger(__name__).warning("skipped a damaged checkpoint: %s", error)
            damages.append(str(error))
    if damages:
        more = f", nor the {len(damages) - 1} before" if len(damages) > 1 else ""
        raise ValueError(f"no checkpoint of {folder} can be read: {damages[0]}{more}")
    return None


def load(path: Path, *, map_location: torch.device | str = "cpu") -> tuple[int, dict[str, Any]]:
    """The step and the state.

    Raises:
        DamagedError: A file is missing, truncated or altered.
        FormatError: Another version of this package wrote it.
        UnreadableError: The disk fails or denies access.
    """
    step = _verify(path)
    return step, _load_state(path, map_location=map_location)


def identify(path: Path) -> str:
    """The digest of all that a checkpoint holds, as its manifest states it. Raises what `load` raises."""
    return _read_manifest(path)["sha256"]


def list_checkpoints(folder: Path) -> list[Path]:
    """All checkpoints of a folder, intact or not, oldest first; empty if there is no such folder.

    Raises UnreadableError if the folder cannot be listed.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnreadableError(f"cannot read {folder}: {error.strerror}") from error
    found = [folder / name for name in names if re.fullmatch(r"checkpoint-[0-9]{8,}(\.old)?", name)]
    return sorted(found, key=lambda path: (_step_of(path), path.suffix == ""))


def delete_oldest(folder: Path, step: int, *, keep_checkpoints: int | None) -> None:
    """Deletes all checkpoints up to `step` except the newest `keep_checkpoints`; None keeps all.

    Later ones, which are damaged, are neither counted nor deleted. Raises OSError if the disk fails.
    """
    earlier = [path for path in list_checkpoints(folder) if _step_of(path) <= step]
    for path in earlier[:-keep_checkpoints] if keep_checkpoints else []:
        with hold_new_folder(path) as gone:  # renamed first: if deleting is interrupted, the rest is swept later
            os.replace(path, gone / path.name)


def load_into(module: nn.Module, state: Mapping[str, Any], name: str) -> None:
    """Loads all parameters and buffers. Raises ArchitectureError, naming the state as `name`, if they do not fit."""
    check_architecture(module, state, name)
    module.load_state_dict(state)


def check_architecture(module: nn.Module, state: Mapping[str, Any], name: str) -> None:
    """Raises ArchitectureError unless `state` has exactly the parameters and buffers of `module`, of equal shapes."""
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
    file = partial / STATE
    with file.open("wb") as stream:
        torch.save(state, stream)
    torch.load(file, map_location="cpu", weights_only=True, mmap=True)  # what cannot be read back is no checkpoint
    (partial / MANIFEST).write_text(_format_manifest(FORMAT_VERSION, step, {STATE: _fingerprint(file)}))
    for written in (file, partial / MANIFEST, partial):
        sync_to_disk(written)


def _fingerprint(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _format_manifest(version: Any, step: Any, files: Any) -> str:
    """The text of a manifest, with a digest of its other content."""
    content = {"format": version, "step": step, "files": files}
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return json.dumps(content | {"sha256": digest}, indent=2) + "\n"


def _move_into_place(partial: Path, path: Path) -> None:
    """Renames the new folder into place; an older one of the same step stays readable as .old until then."""
    aside = path.with_suffix(".old")
    if path.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(path, aside)
    os.replace(partial, path)
    sync_to_disk(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    sweep_partials(folder)
    for aside in folder.glob("checkpoint-*.old"):
        if aside.with_suffix("").exists():
            shutil.rmtree(aside)


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("checkpoint-"))


def _verify(path: Path) -> int:
    """Checks every byte of a checkpoint and returns its step. Raises what `load` raises."""
    manifest = _read_manifest(path)
    step, written = manifest["step"], manifest["files"][STATE]
    if step != _step_of(path):
        raise DamagedError(f"{path} holds the checkpoint of step {step}")
    with _as_damage(path):
        surplus = {name for name in os.listdir(path) if not name.startswith(".")} - {STATE, MANIFEST}
        if surplus:
            raise ValueError(f"it holds {min(surplus)}, which was not written there")
    with _as_damage(path, STATE):
        require_regular_file(path / STATE)
        fingerprint = _fingerprint(path / STATE)
        if fingerprint["bytes"] != written["bytes"]:
            raise ValueError(f"it holds {fingerprint['bytes']} bytes of {written['bytes']}")
        if fingerprint["sha256"] != written["sha256"]:
            raise ValueError("its SHA-256 differs from the one recorded in the manifest")
    return step


def _load_state(path: Path, **options: Any) -> dict[str, Any]:
    with _as_damage(path, STATE):
        state = torch.load(path / STATE, weights_only=True, **options)
        if not isinstance(state, dict):
            raise ValueError("it holds no state of a training")
        return state


def _read_manifest(path: Path) -> dict[str, Any]:
    """The content of a checkpoint's manifest. Raises what `load` raises."""
    file = path / MANIFEST
    with _as_damage(path, MANIFEST):
        require_regular_file(file)
        if file.stat().st_size > MAX_MANIFEST_BYTES:
            raise ValueError("it is too long")
        text = file.read_bytes().decode()
        manifest = json.loads(text)
        version = manifest["format"]
        if version != FORMAT_VERSION and type(version) is int and _is_of_another_version(manifest):
            raise FormatError(
                f"{file} has format {version}, but this version of vidvox reads format {FORMAT_VERSION}: "
                "train in another run folder, or resume with the version that wrote it"
            )
        if text != _format_manifest(FORMAT_VERSION, manifest["step"], manifest["files"]):
            raise ValueError("its SHA-256 differs from the one that it states")
        if type(manifest["step"]) is not int or manifest["files"].keys() != {STATE}:
            raise ValueError("it is not that of a checkpoint")
        return manifest


def _is_of_another_version(manifest: dict[str, Any]) -> bool:
    """Whether a manifest of another format is undamaged; the first formats had no digest."""
    if "sha256" not in manifest:
        return True
    return manifest == json.loads(_format_manifest(manifest["format"], manifest["step"], manifest["files"]))


@contextmanager
def _as_damage(path: Path, name: str = "") -> Iterator[None]:
    """Turns the errors of a damaged file of a checkpoint into DamagedError, those of a disk into UnreadableError."""
    file = path / name
    try:
        yield
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # torch and pickle raise a dozen kinds of errors for broken files
        cause = (error.__cause__ or error) if isinstance(error, UnreadableError) else error
        if isinstance(cause, FileNotFoundError | NotADirectoryError):
            raise DamagedError(f"{file} is missing") from error
        if isinstance(cause, OSError):
            raise UnreadableError(
                f"cannot read {file}: {cause.strerror or cause}; try again, or move {path.name} away to go on from "
                "the checkpoint before"
            ) from error
        raise DamagedError(f"{file} is damaged: {describe_error(error)}") from error
