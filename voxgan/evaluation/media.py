"""Animations of turning objects, side by side, for reports and for preference studies."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import trimesh
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from gancore.reporting.page import encode_webp_uri
from voxgan.data.packed import PackedDataset
from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.surface import extract_surface
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene, composite_over, render_turntable

SIDE = 128
"""Width and height in pixels of a picture or a turning object."""
FRAMES, FRAME_RATE = 24, 8
"""Frames of a turn, and frames per second."""
BACKGROUND = (255, 255, 255)
WHOLE = SurfaceConfig(min_component_share=0.0, bridge=0.0)
"""Settings that extract surfaces with all their parts."""

StillImage = UInt8[Tensor, "_high _wide 3"]
Animation = UInt8[Tensor, "time 3 _high _wide"]


def extract_whole_surface(probabilities: Float[Tensor, "x y z"], *, threshold: float = 0.5) -> trimesh.Trimesh | None:
    """Extract the surface with all its parts; None if nothing is above the threshold."""
    if not (probabilities > threshold).any():
        return None
    return extract_surface(probabilities.numpy(), replace(WHOLE, threshold=threshold))


def extract_true_surface(packed: PackedDataset, index: int) -> trimesh.Trimesh | None:
    """Extract the surface of an object of the data set with all its parts; None if it fills no voxel.

    Fractional voxels place the surface themselves; the surface of binary ones is smoothed, which removes their stairs.
    """
    fractions = packed.fractions(index)
    surface = replace(WHOLE, flatten=0.0)
    if packed.fractional:
        surface = replace(surface, smooth_sigma=0.0, taubin_iterations=0)
    return extract_surface(fractions, surface) if (fractions > surface.threshold).any() else None


def render_still(scene: Scene | None, camera: Camera) -> StillImage:
    """Render the object as the camera sees it; white without an object."""
    if scene is None:
        return torch.full((SIDE, SIDE, 3), BACKGROUND[0], dtype=torch.uint8)
    return torch.from_numpy(composite_over(scene.render(camera, side=SIDE), BACKGROUND))


def animate_turntable(mesh: trimesh.Trimesh | None, *, shown: Sequence[int] | None = None) -> Animation:
    """Render a turn of the object; white frames without an object. `shown` as in `render_turntable`."""
    if mesh is None or not len(mesh.faces):
        count = FRAMES if shown is None else len(shown)
        return rearrange(render_still(None, Camera()), "h w c -> 1 c h w").repeat(count, 1, 1, 1)
    frames = render_turntable(mesh, side=SIDE, frames=FRAMES, background=BACKGROUND, shown=shown)
    return rearrange(torch.from_numpy(frames), "f h w c -> f c h w")


def animate_still(picture: UInt8[np.ndarray, "height width 4"]) -> Animation:
    """Repeat a picture for as many frames as a turn has, at the same size."""
    shown = ImageOps.pad(Image.fromarray(composite_over(picture, BACKGROUND)), (SIDE, SIDE), color=BACKGROUND)
    return rearrange(torch.from_numpy(np.array(shown)), "h w c -> 1 c h w").repeat(FRAMES, 1, 1, 1)


def join_side_by_side(animations: Sequence[Animation]) -> str:
    """Join animations side by side into one, as a data URI of a WebP."""
    return encode_webp_uri(torch.cat(list(animations), 3), rate=FRAME_RATE)
