"""Run folders: telling them from other folders, locking them, and moving an earlier run aside."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gancore.checkpoint import list_checkpoints
from gancore.errors import UnreadableError
from gancore.files.atomic import as_unwritable, sweep_partials
from gancore.files.locks import lock_folder
from gancore.files.reading import read_json

FOLDERS = ("samples", "generator", "best")
"""Folders that training writes into the run folder, besides the checkpoints."""
WRITTEN = re.compile(
    r"config\.json|stats\.jsonl|alarms\.jsonl|curves\.png|index\.html|checkpoint-[0-9]{8,}(\.old)?|events\.out\..*|"
    + "|".join(FOLDERS)
)
"""Matches the names of all that training itself writes into the run folder; some trackers write more."""


@contextmanager
def hold_run_folder(run: Path, *, start_over: bool) -> Iterator[Path | None]:
    """Locks a run folder against other trainings within the block; creates it if it is missing.

    Partial files of killed runs are removed. With `start_over` an earlier run is moved into a subfolder
    before-<number>, whose path is yielded.

    Raises:
        ValueError: The folder holds something else than a run, or another process trains there.
        UnwritableError: The folder cannot be written.
    """
    check_run_folder(run)
    with lock_folder(run):
        for folder in (run, *(run / name for name in FOLDERS)):
            sweep_partials(folder)
        yield _move_aside(run) if start_over else None


def check_run_folder(run: Path) -> None:
    """Raise ValueError unless the folder is missing, empty or holds a run; hidden files are ignored."""
    try:
        names = sorted(name for name in os.listdir(run) if not name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnreadableError(f"cannot use {run} as a run folder: {error.strerror}") from error
    if list_checkpoints(run) or _has_run_settings(run):
        return
    foreign = [name for name in names if name == "config.json" or not WRITTEN.fullmatch(name)]
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise ValueError(f"{run} holds {', '.join(foreign[:3])}{more} and no run: choose another folder with --run")


def _has_run_settings(run: Path) -> bool:
    try:
        settings = read_json(run / "config.json")
    except (FileNotFoundError, UnreadableError):
        return False
    return isinstance(settings, dict) and isinstance(settings.get("train"), dict)


def _move_aside(run: Path) -> Path | None:
    """Moves an earlier run into a new subfolder and returns its path; None if there is nothing to move."""
    with as_unwritable(run):
        written = sorted(name for name in os.listdir(run) if WRITTEN.fullmatch(name))
        if not written:
            return None
        number = 1
        while (run / f"before-{number}").exists():
            number += 1
        aside = run / f"before-{number}"
        aside.mkdir()
        for name in written:  # sorted, so checkpoints move early: a half-moved run without them is not resumed
            os.rename(run / name, aside / name)
        return aside
