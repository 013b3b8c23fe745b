"""What a command may write: held against what it reads, and against what lies there already, before it starts."""

import os
from collections.abc import Iterable
from pathlib import Path


def check_outputs(outputs: Iterable[Path | None], *, inputs: Iterable[Path | None] = (), overwrite: bool) -> None:
    """Raise ValueError unless every output may be written. None stands for an input or output that was not asked for.

    An output may not be an input, lie in an input folder, or be a folder around an input; symbolic and hard links are
    followed. A file that exists is replaced only with `overwrite`. What a folder of outputs may replace is for its
    writer to say.
    """
    wanted = [path for path in outputs if path is not None]
    read = [path for path in inputs if path is not None and path.exists()]
    for out in wanted:
        for path in read:
            if _is_same(out, path):
                raise ValueError(f"{out} is read by this command, which would write over it: choose another output")
            if path.is_dir() and _is_inside(out, path):
                raise ValueError(f"{out} lies in {path}, which this command reads: choose an output outside")
            if out.is_dir() and _is_inside(path, out):
                raise ValueError(f"{out} is the folder of {path}, which this command reads: choose another output")
        if out.is_file() and not overwrite:
            raise ValueError(f"{out} exists already; choose another output, or replace it with --overwrite")
    for number, out in enumerate(wanted):
        if any(_is_same(out, other) for other in wanted[:number]):
            raise ValueError(f"{out} is named for two outputs")


def _is_same(first: Path, second: Path) -> bool:
    if first.exists() and second.exists():
        return os.path.samefile(first, second)
    return first.resolve() == second.resolve()


def _is_inside(path: Path, folder: Path) -> bool:
    return folder.resolve() in path.resolve().parents
