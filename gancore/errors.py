"""The error of a file that cannot be read, and a guard that turns whatever a library raises into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UnreadableError(ValueError):
    """A file that cannot be read; the message is one line that names it."""


@contextmanager
def as_unreadable(path: Path, kind: str) -> Iterator[None]:
    """Turns whatever is raised while a file is read into an UnreadableError of one line that names it.

    `kind` completes "cannot read PATH as ...", for example "a mesh". FileNotFoundError and UnreadableError pass.
    """
    try:
        yield
    except (FileNotFoundError, UnreadableError):
        raise
    except Exception as error:  # libraries raise errors of a dozen kinds for broken files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnreadableError(f"cannot read {path} as {kind}: {reason}") from error
