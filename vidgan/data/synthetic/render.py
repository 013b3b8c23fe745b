"""Renders scenes with exact ground truth of motion: displacements, visibility and moving pixels."""

from dataclasses import dataclass
from io import BytesIO
from math import ceil, floor
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from PIL import Image
from torch import Tensor

from vidgan.data.synthetic.affine import Maps, identity
from vidgan.data.synthetic.layers import Layer
from vidgan.data.synthetic.scene import Scene
from vidgan.files.readers import RGBImage
from vidgan.frames import Frames, convert_channels

LayerMaps: TypeAlias = Float[np.ndarray, "layer time 3 3"]

MOVES = 0.25
"""Pixels by which a corner of a layer has to move on the plate within a clip for the layer to count as moving."""


@dataclass(frozen=True)
class RenderedClip:
    """A clip and what is known about it; `context_frames` frames are the past."""

    frames: Frames
    plate: Frames
    """The same frames without layers and shadows, in the same light, before noise and compression."""

    displacement: Float[Tensor, "future 2 height width"]
    """For each pixel of the last past frame, how far right and down, in pixels, what it shows is in each future
    frame, whether it is seen there or not."""

    visible: Bool[Tensor, "future height width"]
    """Whether the pixel of the future frame where it has gone shows it: inside the frame and not covered."""

    moving: Bool[Tensor, "height width"]
    """Pixels of the last past frame that show something which moves on the plate at any time of the clip."""


def render_frames(scene: Scene, *, channels: int = 3) -> Frames:
    """The frames alone, of 3 channels (RGB) or 1 (luminance), in less time."""
    return _expose(_composite(scene, _project(scene), _render_plate(scene)), scene, channels)


def render_clip(scene: Scene, *, context_frames: int, channels: int = 3) -> RenderedClip:
    """The frames, and where everything in frame `context_frames` - 1, the last of the past, goes."""
    maps, plate = _project(scene), _render_plate(scene)
    clean = _to_bytes(plate * _light(scene), channels)
    owner = torch.zeros(scene.frames, scene.height, scene.width, dtype=torch.long)
    frames = _expose(_composite(scene, maps, plate, owner), scene, channels)
    displacement, visible = _follow(scene, maps, owner, context_frames)
    movers = torch.tensor([False, *(_moves(layer) for layer in scene.layers)])
    return RenderedClip(frames, clean, displacement, visible, movers[owner[context_frames - 1]])


def _project(scene: Scene) -> LayerMaps:
    """Maps to the frame from the pixels of the plate, then of each layer."""
    return scene.camera @ np.stack([identity(scene.frames), *(layer.placement for layer in scene.layers)])


def _moves(layer: Layer) -> bool:
    corners = _map_corners(layer.placement, layer.picture.shape[1:])
    return bool(np.abs(corners - corners[:1]).max() > MOVES)


def _map_corners(placement: Maps, size: torch.Size) -> np.ndarray:
    """Where the four corners of a picture are, of shape (time, 2, 4)."""
    x, y = size[1] / 2, size[0] / 2
    return placement[:, :2] @ np.array([(-x, x, -x, x), (-y, -y, y, y), (1, 1, 1, 1)])


# --------------------------------------------------------------------------------------------------------- compositing


def _render_plate(scene: Scene) -> Float[Tensor, "time 3 height width"]:
    """The plate as the camera sees it; sampled once if the camera is still."""
    still = bool((scene.camera == scene.camera[:1]).all())
    inverse = np.linalg.inv(scene.camera[:1] if still else scene.camera)
    window = slice(0, scene.height), slice(0, scene.width)
    return _sample(scene.plate, inverse, window, scene, padding="border").expand(scene.frames, -1, -1, -1)


def _composite(
    scene: Scene,
    maps: LayerMaps,
    plate: Float[Tensor, "time 3 height width"],
    owner: Int64[Tensor, "time height width"] | None = None,
) -> Float[Tensor, "time 3 height width"]:
    """Lays the layers over the plate, from far to near, by alpha; each only within the pixels that it ever touches.

    Pixels where a layer is more than half opaque are marked in `owner` with its number, counted from 1.
    """
    frames, inverses = plate.clone(), np.linalg.inv(maps)
    for number, layer in enumerate(scene.layers, 1):
        window = _find_window(maps[number], layer.picture.shape[1:], scene)
        if window is None:
            continue
        sampled = _sample(layer.picture, inverses[number], window, scene, padding="zeros")
        colour, opacity = sampled[:, :3], sampled[:, 3:]
        part = frames[:, :, window[0], window[1]]
        torch.addcmul(colour.add_(part), part, opacity, value=-1, out=part)
        if owner is not None:
            owner[:, window[0], window[1]].masked_fill_(opacity[:, 0] > 0.5, number)
    return frames


def _find_window(placement: Maps, size: torch.Size, scene: Scene) -> tuple[slice, slice] | None:
    """Rows and columns of the frame that the layer touches at any time; None if there are none."""
    corners = _map_corners(placement, size)
    lows, highs = corners.min((0, 2)).tolist(), corners.max((0, 2)).tolist()
    left, right = _clip_span(lows[0], highs[0], scene.width)
    top, bottom = _clip_span(lows[1], highs[1], scene.height)
    return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None


def _clip_span(low: float, high: float, side: int) -> tuple[int, int]:
    """The first pixel of a side that lies between two places, counted from its middle, and the one after the last."""
    return max(0, floor(low + side / 2)), min(side, ceil(high + side / 2))


def _sample(
    picture: Float[Tensor, "channel h w"], inverse: Maps, window: tuple[slice, slice], scene: Scene, *, padding: str
) -> Float[Tensor, "time channel height width"]:
    """The picture as it appears within a window of each frame, interpolated bilinearly.

    `inverse` maps from pixels of the frame to those of the picture.
    """
    half_sides = np.array([picture.shape[2] / 2, picture.shape[1] / 2])[:, None]  # grid_sample counts in these
    rows, columns = (np.arange(part.start, part.stop) + 0.5 for part in window)
    across, down, offset = np.moveaxis(inverse[:, :2] / half_sides, 2, 0)[:, :, None]
    by_column = (across * (columns - scene.width / 2)[:, None] + offset).astype(np.float32)
    by_row = (down * (rows - scene.height / 2)[:, None]).astype(np.float32)
    grid = torch.from_numpy(by_row)[:, :, None] + torch.from_numpy(by_column)[:, None]
    pictures = picture.expand(len(grid), -1, -1, -1)
    return F.grid_sample(pictures, grid, padding_mode=padding, align_corners=False)


# ------------------------------------------------------------------------------------------------------- light, sensor


def _light(scene: Scene) -> Float[Tensor, "time 1 1 1"]:
    return torch.from_numpy(scene.light).float()[:, None, None, None]


def _expose(frames: Float[Tensor, "time 3 height width"], scene: Scene, channels: int) -> Frames:
    """What the camera records of a scene in [0, 1]: its light, noise and compression, as bytes."""
    if (scene.light != 1).any():
        frames = frames * _light(scene)
    if scene.noise:
        noise = np.random.default_rng(scene.noise_seed).standard_normal(frames.shape, dtype=np.float32)
        frames = frames + torch.from_numpy(noise) * scene.noise
    if scene.jpeg_quality is None:
        return _to_bytes(frames, channels)
    recorded = [compress(frame.numpy(), scene.jpeg_quality) for frame in _to_bytes(frames, 3).permute(0, 2, 3, 1)]
    return convert_channels(torch.from_numpy(np.stack(recorded)).permute(0, 3, 1, 2).contiguous(), channels)


def compress(frame: RGBImage, quality: int) -> RGBImage:
    """What is left of a frame after JPEG compression."""
    file = BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def _to_bytes(frames: Float[Tensor, "time 3 height width"], channels: int) -> Frames:
    scaled = (frames * 255).round_().clamp_(0, 255).to(torch.uint8)
    return convert_channels(scaled, channels)


# --------------------------------------------------------------------------------------------------------- supervision


def _follow(
    scene: Scene, maps: LayerMaps, owner: Int64[Tensor, "time height width"], context_frames: int
) -> tuple[Float[Tensor, "future 2 height width"], Bool[Tensor, "future height width"]]:
    """Displacement and visibility of the pixels of the last past frame, given the layer that each pixel shows."""
    now = context_frames - 1
    onward = maps[:, context_frames:] @ np.linalg.inv(maps[:, now, None])  # layer, future, 3, 3
    each = torch.from_numpy(onward[:, :, :2]).float()[owner[now]]  # height, width, future, 2, 3
    x, y = torch.meshgrid(
        torch.arange(scene.width) + 0.5 - scene.width / 2,
        torch.arange(scene.height) + 0.5 - scene.height / 2,
        indexing="xy",
    )
    here = torch.stack([x, y, torch.ones_like(x)], -1)
    there = torch.einsum("hwtij,hwj->tihw", each, here)
    column, row = (there[:, 0] + scene.width / 2).floor().long(), (there[:, 1] + scene.height / 2).floor().long()
    inside = (column >= 0) & (column < scene.width) & (row >= 0) & (row < scene.height)
    time = torch.arange(len(there))[:, None, None] + context_frames
    seen = owner[time, row.clamp(0, scene.height - 1), column.clamp(0, scene.width - 1)]
    return there - torch.stack([x, y]), inside & (seen == owner[now])
