"""Where the numbers of a report come from: software, device, seed and data; and the JSON file that keeps them."""

import hashlib
import json
import math
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancore.files.atomic import atomic_write, create_parents

NUMERICAL_PACKAGES = (
    "vidvox",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-image",
    "scikit-learn",
    "pillow",
    "av",
    "trimesh",
)
"""Packages whose version can change a number."""


def collect_provenance(*, seed: int, data: str, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Software versions, device, seed and data that a number depends on; identical for identical installations.

    `data` identifies what was measured, best by the hexdigest of a DataFingerprint. The result holds no date, machine
    name or path.
    """
    software = {"python": platform.python_version()} | {name: _package_version(name) for name in NUMERICAL_PACKAGES}
    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"software": software, "device": name, "seed": seed, "data": data}


def _package_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


class DataFingerprint:
    """A SHA-256 of arrays that arrive in batches.

    It depends on the order, shape, type and values of the rows, but not on how they are batched.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count = 0

    def add(self, rows: Tensor | np.ndarray) -> None:
        """Adds the rows of a batch, which lie along its first axis."""
        if isinstance(rows, Tensor):  # NumPy has no bfloat16, whose values float32 holds exactly
            rows = (rows.float() if rows.dtype == torch.bfloat16 else rows).detach().cpu().numpy()
        for row in np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder("<"), copy=False)):
            self._hash.update(f"{row.dtype.name}{list(row.shape)}".encode())
            self._hash.update(row.tobytes())
        self.count += len(rows)

    def hexdigest(self) -> str:
        """The fingerprint of all rows added so far, as 64 hexadecimal digits."""
        return self._hash.hexdigest()


def write_json(report: Mapping[str, Any], path: str | Path) -> None:
    """Writes a report as JSON, whole or not at all; missing folders are created.

    Numbers that are not finite become null, which JSON has in their place.
    """
    text = json.dumps(_replace_non_finite(report), indent=2, ensure_ascii=False, allow_nan=False)
    path = Path(path)
    create_parents(path)
    with atomic_write(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8", errors="replace")


def _replace_non_finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _replace_non_finite(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_replace_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
