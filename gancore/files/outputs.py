"""What a command may write: held against what it reads, and against what lies there already, before it starts."""

import os
from collections.abc import Iterable
from pathlib import Path

from gancore.files.reading import containing_file, read_json, require_regular_file

PAGE_MARK = b'<meta name="generator" content="vidvox">'
"""Stands at the beginning of every page that this package writes."""
KEY_SUFFIX = ".key.json"
"""Ending of the key to a rating page, which lies beside it."""
JSON_MARKS = ({"schema", "provenance"}, {"page", "question", "pairs"})
"""Keys of every report and of every key to a rating page."""


def check_outputs(
    outputs: Iterable[Path | None],
    *,
    inputs: Iterable[Path | None] = (),
    overwrite: bool,
    are_files: bool = False,
) -> None:
    """Raise ValueError unless every output may be written. None stands for an input or output that was not asked for.

    An output may not be an input, lie in an input folder, or be a folder around an input; symbolic and hard links are
    followed, and an input FILE::NAME stands for its file. A file that exists is replaced only with `overwrite`, a pipe
    or a device never. What a folder of outputs may replace is for its writer to say; with `are_files` a folder is
    refused. Missing folders must be such as can be created.
    """
    wanted = [path for path in outputs if path is not None]
    read = [file for path in inputs if path is not None and (file := containing_file(path)).exists()]
    places: set[tuple[int, int] | str] = set()
    for out in wanted:
        for path in read:
            if _find_place(out) == _find_place(path):
                raise ValueError(f"{out} is an input too, and the output would write over it: choose another output")
            if path.is_dir() and _is_inside(out, path):
                raise ValueError(f"{out} lies in {path}, which is an input: choose an output outside")
            if out.is_dir() and _is_inside(path, out):
                raise ValueError(f"{out} is the folder of {path}, which is an input: choose another output")
        _check_place(out, overwrite=overwrite, is_file=are_files)
        if (place := _find_place(out)) in places:
            raise ValueError(f"{out} is named for two outputs")
        places.add(place)


def check_replaceable(path: Path) -> None:
    """Raise ValueError if a page or JSON file is there that this package did not write: it is not to be replaced."""
    if not path.exists():
        return
    require_regular_file(path)
    if path.suffix == ".html":
        with path.open("rb") as file:
            own = PAGE_MARK in file.read(4096)
    else:
        content = read_json(path, kind="a report or the key to a page")
        own = isinstance(content, dict) and any(mark <= content.keys() for mark in JSON_MARKS)
    if not own:
        raise ValueError(f"{path} was not written by this program, which does not replace it: choose another output")


def check_new_folder(folder: Path | None, key: str) -> None:
    """Raise ValueError, naming the setting, if there is anything in a folder that is to be a new one."""
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{key}: {folder} is not empty, and what is written there must not be mixed with other files")


def _check_place(out: Path, *, overwrite: bool, is_file: bool) -> None:
    """Raise ValueError unless something may be written there, whatever it is."""
    if out.is_dir():
        if is_file:
            raise ValueError(f"{out} is a folder, and a file is to be written: choose another output")
        return
    if out.exists() and not out.is_file():
        raise ValueError(f"{out} is a pipe or device, which cannot be written to: choose another output")
    if os.path.lexists(out):  # a link that leads nowhere is somebody's too
        if not overwrite:
            raise ValueError(f"{out} exists already; choose another output, or replace it with --overwrite")
        return
    parent = next(folder for folder in out.absolute().parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise ValueError(f"cannot write {out}: {parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ValueError(f"cannot write {out}: nothing may be created in {parent}")


def _find_place(path: Path) -> tuple[int, int] | str:
    """What two names of one file have in common, whether or not it exists."""
    if path.exists():
        status = path.stat()
        return status.st_dev, status.st_ino
    return os.path.realpath(path)


def _is_inside(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents
