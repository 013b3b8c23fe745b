"""manifest.csv, the list of all objects of a folder and whether each was prepared."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gancore.files.atomic import atomic_write
from voxgan.data.description import PackedObject

MANIFEST = "manifest.csv"
COLUMNS = ("id", "label", "split", "views", "creator", "licence", "status", "reason")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An object that is not in the data set, and why."""

    id: str
    label: str = ""
    reason: str


def write_manifest(
    path: Path, objects: Sequence[PackedObject], *, problems: Mapping[str, str], failed: Sequence[Failure]
) -> None:
    """Writes a CSV file with a line for each object.

    The last column says why an object failed, or which of the files of a prepared one could not be read (`problems`, by
    id). Cells that a spreadsheet would run as formulas are escaped by `neutralise`.
    """
    lines: list[tuple[str, ...]] = []
    for item in objects:
        views, reason = str(len(item.cameras)), problems.get(item.id, "")
        lines.append((item.id, item.label, item.split, views, item.creator, item.licence, "ok", reason))
    lines += [(each.id, each.label, "", "0", "", "", "failed", each.reason) for each in failed]
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(map(neutralise, line) for line in lines)


def neutralise(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would run as a formula, or that begins with an apostrophe."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "'")) else cell


def is_own_manifest(path: Path) -> bool:
    """Whether the file begins as `write_manifest` begins it."""
    header = ",".join(COLUMNS).encode() + b"\r\n"
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(header)) == header
