"""Settings of meshes and surfaces, without slow imports, so that commands parse their flags quickly."""

from dataclasses import dataclass
from typing import Literal

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]
"""A direction along an axis of an object."""

PREDICTED_THRESHOLD = 0.25
"""Default threshold for the surface of a model's output; for known voxels it is 0.5."""

SIZES_MM = (1e-3, 1e6)
"""Least and greatest size of exported meshes in millimetres, since files hold single-precision numbers."""


def check_size(size_mm: float | None) -> None:
    """Raise ValueError unless a size in millimetres lies within SIZES_MM or is None."""
    if size_mm is not None and not SIZES_MM[0] <= size_mm <= SIZES_MM[1]:
        raise ValueError(f"size_mm must lie in [{SIZES_MM[0]:g}, {SIZES_MM[1]:,.0f}], got {size_mm}")


@dataclass(frozen=True, kw_only=True)
class SurfaceConfig:
    """How a closed surface is extracted from probabilities."""

    threshold: float = 0.5
    """Probability at which the surface lies, between 0 and 1."""

    smooth_sigma: float = 0.8
    """Standard deviation in voxels of the Gaussian that removes staircases from the probabilities; 0 for none."""

    min_component_share: float = 1.0
    """Parts with at least this fraction of the largest part's voxels are kept: 1 keeps the largest alone, 0 all."""

    bridge: float = 3.0
    """Parts at most this many voxels apart are joined along the most probable path; 0 joins none."""

    taubin_iterations: int = 20
    """Iterations of Taubin smoothing, which rounds edges and preserves the volume; 0 for none."""

    flatten: float = 1.6
    """Regions that face along an axis are made flat if they are at most this many voxels from a plane (root mean
    square), and neither small nor round; 0 for none."""

    target_faces: int | None = None
    """Maximum number of triangles, at least 4; no limit if not given."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {self.threshold}")
        if not 0 <= self.min_component_share <= 1:
            raise ValueError(f"min_component_share must lie in [0, 1], got {self.min_component_share}")
        for name in ("smooth_sigma", "bridge", "taubin_iterations", "flatten"):
            if not 0 <= getattr(self, name) <= 100:
                raise ValueError(f"{name} must lie in [0, 100], got {getattr(self, name)}")
        if self.target_faces is not None and self.target_faces < 4:
            raise ValueError(f"target_faces must be at least 4, got {self.target_faces}")
