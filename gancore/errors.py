"""Errors that users can fix: their types, and one line on standard error instead of a traceback."""

import functools
import os
import re
import sys
import time
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class UnreadableError(ValueError):
    """A file whose content cannot be read; the message names the file and the reason, in one line."""

    def __init__(self, message: str):
        super().__init__(format_line(message))  # names read from the file may contain line breaks


class UnwritableError(ValueError):
    """A file that cannot be written; the message names the file and the reason. Older contents are untouched."""


class LostProcessError(ValueError):
    """Another process of the same training has ended; raised in all remaining ones."""


class ArchitectureError(ValueError):
    """Weights of a network with another architecture; the message names the first ones that differ."""


def report_user_errors(main: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Wrap a function so that an error that users can fix becomes one line on standard error and exit code 2.

    These errors are ValueError, OSError and running out of memory, on the CPU or the GPU. Ctrl-C becomes exit code 130.
    Of several processes only rank 0 writes the line, except for a LostProcessError, which every process reports. With
    VIDVOX_TRACEBACK=1 in the environment, exceptions are raised unchanged.
    """

    @functools.wraps(main)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # file names may not be valid text
                stream.reconfigure(errors="backslashreplace")
        try:
            return main(*args, **kwargs)
        except (ValueError, OSError, MemoryError, RuntimeError, KeyboardInterrupt) as error:
            if os.environ.get("VIDVOX_TRACEBACK") == "1":
                raise
            if isinstance(error, RuntimeError) and not _is_out_of_memory(error):
                raise
            _exit(error)

    return guarded


def _exit(error: BaseException) -> NoReturn:
    if isinstance(error, KeyboardInterrupt):
        raise SystemExit(130) from error
    if os.environ.get("RANK", "0") != "0" and not isinstance(error, LostProcessError):
        time.sleep(2)  # launchers kill all processes once one has failed: let rank 0 report why first
    else:
        line = str(error) or type(error).__name__
        if _is_out_of_memory(error):
            line = f"this takes more memory than there is ({line})"
        if isinstance(error, OSError) and error.filename is not None and error.strerror:
            line = f"{error.filename}: {error.strerror}"
        print(f"{program_name()}: error: {format_line(line)}", file=sys.stderr)
    raise SystemExit(2) from error


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the CPU or the GPU; for the CPU, torch raises a plain RuntimeError."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and (type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error))
    )


def format_line(text: str, *, length: int = 1000) -> str:
    """Return a text as one line that is safe to print: line breaks become spaces, control characters escapes (\\x1b).

    Unescaped control characters in a file name could move the cursor, change colours or hide text. The middle of a
    text longer than `length` characters is dropped.
    """
    text = text.strip()
    if len(text) > length:
        text = f"{text[: length * 2 // 3]} ... {text[5 - length // 3 :]}"
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in re.sub(r"\s*\n\s*", " ", text))


OPEN_FILE = re.compile(r" <_io\.[^>]*>")
"""The repr of an open file in an error message."""


def describe_error(error: BaseException) -> str:
    """Return an error's message, or its type if it has none, as one line of at most 200 characters.

    For an error of the operating system this is the reason only, without number and path. The reprs of open files,
    which some libraries include, are removed.
    """
    text = OPEN_FILE.sub("", str(error))
    return getattr(error, "strerror", None) or format_line(text, length=200) or type(error).__name__


def program_name() -> str:
    """Return the name by which the running program was called; `python -m vidvox` is vidvox."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name
