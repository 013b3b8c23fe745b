"""Settings that a training saved in its run folder: read, and as a flat list of keys to compare and to show."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gancore.reading import MAX_SETTINGS_BYTES, read_json


def iter_values(settings: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of every setting in nested ones; a list comes as a tuple."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from iter_values(value, f"{section}{name}.")
        else:
            yield f"{section}{name}", tuple(value) if isinstance(value, list) else value


def read_run_settings(folder: Path) -> dict[str, Any] | None:
    """Return the settings of a run folder; None if it is not one, or the file that holds them cannot be read."""
    try:
        settings = read_json(folder / "config.json", kind="the settings of a run", max_bytes=MAX_SETTINGS_BYTES)
    except (OSError, ValueError):
        return None
    return settings if isinstance(settings, dict) and "train" in settings else None
