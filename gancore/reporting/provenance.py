"""Where numbers come from: software, device, seed and data, and the file that keeps them."""

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

from gancore.atomic import atomic_write

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
"""Those whose versions can change a number."""


def collect_provenance(*, seed: int, data: str, device: torch.device | str = "cpu") -> dict[str, Any]:
    """All besides the protocol that a number depends on; the same again wherever the same software is.

    `data` says what was measured, best by a Fingerprint. There is no date, no machine and no path in it.
    """
    software = {"python": platform.python_version()} | {name: _package_version(name) for name in NUMERICAL_PACKAGES}
    return {"software": software, "device": _device_name(torch.device(device)), "seed": seed, "data": data}


def _package_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


class DataFingerprint:
    """A SHA-256 of arrays that come batch by batch; how they are batched changes nothing.

    The rows' order, shape, type and values do.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count = 0

    def add(self, rows: Tensor | np.ndarray) -> None:
        """Takes in the rows of a batch, whose first axis numbers them."""
        for row in np.ascontiguousarray(_to_little_endian(rows)):
            self._hash.update(f"{row.dtype.name}{list(row.shape)}".encode())
            self._hash.update(row.tobytes())
        self.count += len(rows)

    def hexdigest(self) -> str:
        """The fingerprint of all rows so far, as 64 hexadecimal digits."""
        return self._hash.hexdigest()


def _to_little_endian(rows: Tensor | np.ndarray) -> np.ndarray:
    """The rows in little-endian bytes; NumPy knows no bfloat16, which fits into float32."""
    if isinstance(rows, Tensor):
        rows = (rows.float() if rows.dtype == torch.bfloat16 else rows).detach().cpu().numpy()
    return rows.astype(rows.dtype.newbyteorder("<"), copy=False)


def write_json(report: Mapping[str, Any], path: str | Path) -> None:
    """Writes JSON, in which numbers that are not finite are null; missing folders are made.

    An older report stays whole until the new one is.
    """
    text = json.dumps(_replace_non_finite(report), indent=2, ensure_ascii=False, allow_nan=False)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8", errors="replace")


def _replace_non_finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _replace_non_finite(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_replace_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
