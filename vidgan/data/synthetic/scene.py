"""Scenes: a plate, layers that move over it, a camera, and what light and sensor do to the frames.

All positions are pixels of the frame at its own scale, from the centre of a picture, x to the right and y down.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from vidgan.data.synthetic.affine import Maps, Numbers, identity, rotation, scaling, translation
from vidgan.data.synthetic.figures import draw_cut_outs
from vidgan.data.synthetic.layers import Layer
from vidgan.data.synthetic.motion import draw_pace, draw_path, swing
from vidgan.data.synthetic.patches import PatchSource, Picture

CUT_OUT_SHARES = (0.25, 0.25, 0.2, 0.15, 0.1, 0.05)
"""How often there are one, two, ... six cut-outs."""


@dataclass(frozen=True)
class Scene:
    """All that the frames of a clip are computed from."""

    height: int
    width: int
    plate: Picture
    layers: tuple[Layer, ...]
    """From far to near."""

    camera: Maps
    """From the pixels of the plate to those of the frame."""

    light: Numbers
    """Factor by which the light of each frame is stronger."""

    noise: float = 0.0
    """Standard deviation of the sensor's noise, of a full range of 1."""

    noise_seed: int = 0
    jpeg_quality: int | None = None
    """Quality from 1 to 100 of the compression of each frame; None for none."""

    @property
    def frames(self) -> int:
        """Length of the clip."""
        return len(self.camera)


def draw_scene(random: np.random.Generator, patches: PatchSource, *, frames: int, height: int, width: int) -> Scene:
    """Draws a scene: one to six cut-outs (a thing, a person or an arm each) over a plate.

    At 64 pixels a cut-out moves by up to four pixels a frame, and in proportion at other sizes. Three of ten throw
    shadows, the camera moves in three of ten, the light changes in one of four, one of three is noisy and one of eight
    compressed.
    """
    unit = min(height, width) / 64
    camera = draw_camera(random, frames, unit=unit, reach=0.4 * min(height, width))
    rows, columns = measure_plate(camera, height, width)
    layers: list[Layer] = []
    sun = random.uniform(-1, 1), random.uniform(0.2, 1)
    for _ in range(1 + random.choice(6, p=CUT_OUT_SHARES)):
        cut_outs = draw_cut_outs(random, patches, frames=frames, height=height, width=width)
        if random.random() < 0.3:
            layers += [throw_shadow(each, sun=sun, unit=unit) for each in cut_outs]
        layers += cut_outs
    return Scene(
        height=height,
        width=width,
        plate=patches.plate(random, rows, columns),
        layers=tuple(layers),
        camera=camera,
        light=draw_light(random, frames),
        noise=random.uniform(0.003, 0.03) if random.random() < 0.33 else 0.0,
        noise_seed=int(random.integers(2**62)),
        jpeg_quality=int(random.integers(25, 80)) if random.random() < 0.12 else None,
    )


def draw_camera(random: np.random.Generator, frames: int, *, unit: float, reach: float) -> Maps:
    """A camera that is still in seven of ten clips, and else pans by up to two units a frame, zooms and turns a little.

    It pans by no more than `reach` pixels from its first place.
    """
    if random.random() < 0.7:
        return identity(frames)
    path = draw_path(random, frames, top_speed=2 * unit * random.random())
    path *= min(1.0, reach / max(np.abs(path).max(), 1e-6))
    zoom, turn = np.zeros(frames), np.zeros(frames)
    if random.random() < 0.4:
        zoom = np.cumsum(random.normal() * 0.006 * draw_pace(random, frames)).clip(-0.4, 0.4)
    if random.random() < 0.3:
        turn = np.cumsum(random.normal() * 0.004 * draw_pace(random, frames)).clip(-0.3, 0.3)
    return translation(path) @ rotation(turn) @ scaling(np.exp(zoom)[:, None].repeat(2, 1))


def measure_plate(camera: Maps, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of a plate that fills the frame wherever the camera looks."""
    corners = np.array([(x, y, 1) for x in (-width / 2, width / 2) for y in (-height / 2, height / 2)]).T
    x, y, _ = np.abs(np.linalg.inv(camera) @ corners).max((0, 2))
    return 2 * int(np.ceil(y)), 2 * int(np.ceil(x))


def throw_shadow(cut_out: Layer, *, sun: tuple[float, float], unit: float) -> Layer:
    """The blurred shadow of a cut-out, to one side of it; larger things throw it farther."""
    opacity = cut_out.picture[3:]
    blur = max(1, round(1.5 * unit))
    soft = F.avg_pool2d(F.pad(opacity, (2 * blur,) * 4), 2 * blur + 1, stride=1, padding=blur)
    offset = np.array(sun) * 0.12 * (min(opacity.shape[1:]) + 8 * unit)
    placement = translation(np.tile(offset, (len(cut_out.placement), 1))) @ cut_out.placement
    return Layer(torch.cat([torch.zeros_like(soft).expand(3, -1, -1), 0.4 * soft]), placement)


def draw_light(random: np.random.Generator, frames: int) -> Numbers:
    """Factors about 1: constant in three of four clips, else flickering, swelling or switched over to another level."""
    kind = random.random()
    if kind < 0.75:
        return np.ones(frames)
    if kind < 0.8:
        return 1 + random.uniform(0.01, 0.04) * random.standard_normal(frames)
    if kind < 0.9:
        return 1 + random.uniform(0.03, 0.2) * swing(random, frames, period=random.uniform(15, 60))
    return 1 + random.uniform(-0.3, 0.3) * np.abs(draw_pace(random, frames))
