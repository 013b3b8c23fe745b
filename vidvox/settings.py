"""Settings that a training saved in its run folder: read, and as a flat list of keys to compare and to show."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def iter_values(settings: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of every setting in nested ones; a list comes as a tuple."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from iter_values(value, f"{section}{name}.")
        else:
            yield f"{section}{name}", tuple(value) if isinstance(value, list) else value


def read_run_settings(folder: Path) -> dict[str, Any] | None:
    """Return the settings of a run folder; None if it is not one."""
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return settings if isinstance(settings, dict) and "train" in settings else None
