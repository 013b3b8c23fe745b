"""Objects turning side by side, to be looked at in a report or judged by people."""

from collections.abc import Sequence

import numpy as np
import torch
import trimesh
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from gancore.reporting.page import animation
from voxgan.mesh.surface import SurfaceConfig, from_occupancy
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene, over, turntable

SIDE = 128
"""Pixels of a picture or of an object that turns."""
FRAMES, RATE = 24, 8
"""Of a turn, and how many of them are shown a second."""
PAPER = (255, 255, 255)

Still = UInt8[Tensor, "_high _wide 3"]
Film = UInt8[Tensor, "time 3 _high _wide"]


def surface_of(probabilities: Float[Tensor, "x y z"], *, threshold: float = 0.5) -> trimesh.Trimesh | None:
    """The whole surface; None where nothing is above the threshold."""
    if not (probabilities > threshold).any():
        return None
    return from_occupancy(probabilities.numpy(), SurfaceConfig(threshold=threshold, components=0.0, bridge=0.0))


def seen(scene: Scene | None, camera: Camera) -> Still:
    """The object as the camera sees it; blank paper where there is none."""
    if scene is None:
        return torch.full((SIDE, SIDE, 3), PAPER[0], dtype=torch.uint8)
    return torch.from_numpy(over(scene.view(camera, side=SIDE), PAPER))


def turning(mesh: trimesh.Trimesh | None) -> Film:
    """The object turning once; blank paper where there is none."""
    if mesh is None or not len(mesh.faces):
        return rearrange(seen(None, Camera()), "h w c -> 1 c h w").repeat(FRAMES, 1, 1, 1)
    frames = turntable(mesh, side=SIDE, frames=FRAMES, background=PAPER)
    return rearrange(torch.from_numpy(frames), "f h w c -> f c h w")


def still(picture: UInt8[np.ndarray, "height width 4"]) -> Film:
    """A picture that does not move, as large as what turns beside it."""
    shown = ImageOps.pad(Image.fromarray(over(picture, PAPER)), (SIDE, SIDE), color=PAPER)
    return rearrange(torch.from_numpy(np.array(shown)), "h w c -> 1 c h w").repeat(FRAMES, 1, 1, 1)


def beside(films: Sequence[Film]) -> str:
    """All of them side by side, as the data URI of one animation."""
    return animation(torch.cat(list(films), 3), rate=RATE)
