"""Tables of published results, shown next to what was measured here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """Results that others have published under one protocol."""

    title: str
    columns: tuple[str, ...]
    """Names of the metrics."""
    rows: Mapping[str, Sequence[float | int | None]]
    """By method: a number for each column, or None where none was published."""
    note: str = ""
    """The protocol, and what must agree for a comparison."""
