"""Safe reading of files: only regular ones, no references out of their folder, one type of error."""

import json
import os
import stat
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from gancore.errors import UnreadableError, describe_error, format_line

MAX_JSON_BYTES = 2**28
"""Longer JSON files are refused."""
MAX_SETTINGS_BYTES = 2**20
"""Longer files of settings are refused."""
MAX_NESTING = 100
"""JSON and YAML nested more deeply is refused."""


@contextmanager
def as_unreadable(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Turns whatever is raised while a file is read into an UnreadableError of one line that names it.

    `kind` completes "cannot read PATH as ...", for example "a mesh". What names it already passes: UnreadableError, and
    FileNotFoundError where the file itself is missing.
    """
    name = format_line(str(path))
    try:
        yield
    except (FileNotFoundError, UnreadableError) as error:
        if any(each in str(error) for each in (str(path), name)):
            raise
        raise UnreadableError(f"cannot read {name} as {kind}: {format_line(str(error), length=200)}") from error
    except MemoryError as error:
        raise UnreadableError(f"cannot read {name} as {kind}: it takes more memory than there is") from error
    except RecursionError as error:
        raise UnreadableError(f"cannot read {name} as {kind}: it is nested too deeply") from error
    except Exception as error:  # libraries raise errors of a dozen kinds for broken files
        raise UnreadableError(f"cannot read {name} as {kind}: {describe_error(error)}") from error


def require_regular_file(path: str | os.PathLike[str]) -> None:
    """Raise UnreadableError unless this is a regular file: a pipe or a device could keep a reader waiting for ever.

    Raises FileNotFoundError if there is none.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no such file: {path}") from error
    except OSError as error:
        raise UnreadableError(f"cannot read {path}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise UnreadableError(f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'a pipe or device'}, not a file")


def split_member(path: str | Path) -> tuple[Path, str | None]:
    """Split FILE::NAME, where FILE is a file and the whole is not, into both; the name is None for other paths."""
    file, mark, name = str(path).rpartition("::")
    if mark and name and not Path(path).exists() and Path(file).is_file():
        return Path(file), name
    return Path(path), None


def containing_file(path: Path) -> Path:
    """Return the file of a path FILE::NAME, where NAME is a part of what the file holds; other paths as they are."""
    return split_member(path)[0]


def resolve_below(root: Path, reference: str) -> Path:
    """Return the path of a file that another file refers to, which must lie below `root`, symbolic links included.

    Raises UnreadableError if the reference is absolute or leads out of `root`.
    """
    absolute = PurePosixPath(reference).is_absolute() or PureWindowsPath(reference).is_absolute()
    path = root / reference
    if absolute or "\0" in reference or not path.resolve().is_relative_to(root.resolve()):
        raise UnreadableError(f"{reference!r} leads out of {root}")
    return path


def read_text(path: Path, *, kind: str = "text", max_bytes: int = MAX_JSON_BYTES) -> str:
    """Return the content of a text file in UTF-8, or in UTF-16 as some editors save it, without a byte order mark.

    Raises FileNotFoundError, or UnreadableError naming the file if it cannot be read or has more than `max_bytes`.
    """
    require_regular_file(path)
    with as_unreadable(path, kind):
        if path.stat().st_size > max_bytes:
            raise ValueError(f"it is longer than the {max_bytes:,} bytes that are read")
        content = path.read_bytes()
        encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
        return content.decode(encoding)


def read_json(path: Path, *, kind: str = "JSON", max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Return the content of a JSON file, of at most `max_bytes` and MAX_NESTING levels.

    Raises FileNotFoundError, or UnreadableError naming the file if it cannot be read or gives a name twice.
    """
    text = read_text(path, kind=kind, max_bytes=max_bytes)
    with as_unreadable(path, kind):
        content = json.loads(text, object_pairs_hook=_refuse_twice)
        check_nesting(content)
        return content


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The mapping of these names and values. Raises ValueError for a duplicate name."""
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"duplicate key {name}")
    return mapping


def check_nesting(content: Any) -> None:
    """Raise ValueError if lists and mappings are nested more than MAX_NESTING levels deep."""
    level = [content]
    for _ in range(MAX_NESTING):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise ValueError(f"it is nested more than {MAX_NESTING} levels deep")
