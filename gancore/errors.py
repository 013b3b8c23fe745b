"""Errors that users can mend: their types, and one line on standard error instead of a traceback."""

import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class UnreadableError(ValueError):
    """A file whose content cannot be read; the message names the file and the reason."""


class UnwritableError(ValueError):
    """A file that cannot be written; the message names the file and the reason. What was there before is whole."""


class LostProcessError(ValueError):
    """One of the processes that train together has ended; each of the others says so."""


class ArchitectureError(ValueError):
    """Weights that belong to a network of another architecture; the message names the first that differ."""


def report_user_errors(main: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Wrap a function so that an error a user can mend becomes one line on standard error and exit code 2.

    Such are ValueError and OSError, and MemoryError where something is larger than this machine.
    Ctrl-C becomes exit code 130. Of several processes only that of rank 0 writes the line, unless another is lost. With
    VIDVOX_TRACEBACK=1 in the environment the exception is raised as it is.
    """

    @functools.wraps(main)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return main(*args, **kwargs)
        except (ValueError, OSError, MemoryError, KeyboardInterrupt) as error:
            if os.environ.get("VIDVOX_TRACEBACK") == "1":
                raise
            _exit(error)

    return guarded


def _exit(error: BaseException) -> NoReturn:
    if isinstance(error, KeyboardInterrupt):
        raise SystemExit(130) from error
    if os.environ.get("RANK", "0") != "0" and not isinstance(error, LostProcessError):
        time.sleep(2)  # a launcher ends all processes once one has failed: rank 0 must have said why
    else:
        line = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, MemoryError):
            line = f"this takes more memory than there is ({line})"
        if isinstance(error, OSError) and error.filename is not None and error.strerror:
            line = f"{error.filename}: {error.strerror}"
        print(f"{program_name()}: error: {line}", file=sys.stderr)
    raise SystemExit(2) from error


def program_name() -> str:
    """Return the name by which the running program was called; `python -m vidvox` is vidvox."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name
