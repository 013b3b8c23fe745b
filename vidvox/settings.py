"""Settings that a training saved in its run folder."""

import json
from pathlib import Path
from typing import Any


def read_run_settings(folder: Path) -> dict[str, Any] | None:
    """Return the settings of a run folder; None if it is not one."""
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return settings if isinstance(settings, dict) and "train" in settings else None
