"""Saved settings as a flat list of keys, to compare and to show."""

from collections.abc import Iterator, Mapping
from typing import Any


def iter_values(settings: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of every setting in nested ones; a list comes as a tuple."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from iter_values(value, f"{section}{name}.")
        else:
            yield f"{section}{name}", tuple(value) if isinstance(value, list) else value
