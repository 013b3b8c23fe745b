"""Settings that a training saved in its run folder."""

from pathlib import Path
from typing import Any

from gancore.files.reading import MAX_SETTINGS_BYTES, read_json


def read_run_settings(folder: Path) -> dict[str, Any] | None:
    """Return the settings in the config.json of a run folder; None if there is none, or it cannot be read."""
    try:
        settings = read_json(folder / "config.json", kind="the settings of a run", max_bytes=MAX_SETTINGS_BYTES)
    except (OSError, ValueError):
        return None
    return settings if isinstance(settings, dict) and "train" in settings else None
