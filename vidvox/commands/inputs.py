"""Checks that the files a command reads are there, before anything slow is imported."""

from pathlib import Path

from gancore.files.reading import containing_file


def require_input(path: Path) -> None:
    """Raise FileNotFoundError unless there is such a file or folder; FILE::NAME stands for its file."""
    if not containing_file(path).exists():
        raise FileNotFoundError(f"no such file or folder: {path}")


def require_file(path: Path) -> None:
    """Raise FileNotFoundError unless there is such a file."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
