"""Text of mesh files: its encoding, its numbers, and what a comment of our own exports states."""

import codecs
import re
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int

from gancore.files.limits import ShapeLimits
from voxgan.mesh.config import Axis

BYTES_PER_CHARACTER = 10
"""Memory that text takes while it is read, in bytes a character."""
OWN_COMMENT = re.compile(r"\b([xyz]) is up, unit: (metres|millimetres)\b")
UNITS = {"metres": 1.0, "millimetres": 0.001}
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def decode(content: bytes) -> str:
    """Return the text in UTF-8, UTF-16, UTF-32 or, failing all, Latin-1."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    head = content[:256]
    for encoding, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if len(head) > 3 and zeros.count(0) > 0.9 * len(zeros) and others.count(0) < 0.1 * len(others):
            return content.decode(encoding, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def check_text_size(size: int, name: object, *, limits: ShapeLimits) -> None:
    """Raise ValueError if text of this many bytes would take more memory than the limit."""
    limits.check_bytes(size * BYTES_PER_CHARACTER, name)


def stated_axes(text: str) -> tuple[Axis | None, float | None]:
    """Return the up axis and the unit in metres that a comment of our own exports states."""
    match = OWN_COMMENT.search(text)
    if match is None:
        return None, None
    up: dict[str, Axis] = {"x": "x", "y": "y", "z": "z"}
    return up[match[1]], UNITS[match[2]]


def parse_floats(tokens: Iterable[str], what: str) -> Float[np.ndarray, " numbers"]:
    """Parse numbers. Raises ValueError, naming `what`, at the first token that is not one."""
    tokens = list(tokens)
    try:
        return np.fromiter(map(float, tokens), np.float64, len(tokens))
    except ValueError as error:
        raise ValueError(f"{_first_wrong(tokens, float)!r} is not a number of {what}") from error


def parse_integers(tokens: Iterable[str], what: str) -> Int[np.ndarray, " numbers"]:
    """Parse whole numbers. Raises ValueError, naming `what`, at the first token that is not one."""
    tokens = list(tokens)
    try:
        return np.fromiter(map(int, tokens), np.int64, len(tokens))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{_first_wrong(tokens, int)!r} is not a whole number of {what}") from error


def _first_wrong(tokens: Sequence[str], convert: type) -> str:
    for token in tokens:
        try:
            convert(token)
        except ValueError:
            return token[:40]
    return "a number of too many digits"


def parse_rows(lines: Sequence[str], what: str) -> Float[np.ndarray, "rows columns"]:
    """Parse rows of numbers, cut to the shortest row. Raises ValueError, naming `what`, if a token is not a number."""
    try:
        table = np.loadtxt(lines, np.float64, comments=None, ndmin=2)
        if len(table) == len(lines):
            return table
    except ValueError:
        pass
    rows = [line.split() for line in lines]  # of several lengths, some of them empty or no numbers
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        width = min(widths)
        rows = [row[:width] for row in rows]
    flat = parse_floats((token for row in rows for token in row), what)
    return flat.reshape(len(rows), -1) if rows and flat.size else np.empty((len(rows), 0))
