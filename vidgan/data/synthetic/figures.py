"""Moving cut-outs: single objects, and figures whose limbs swing about their joints."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vidgan.data.synthetic.affine import Maps, attach, rotation, scaling, translation
from vidgan.data.synthetic.layers import Layer
from vidgan.data.synthetic.motion import draw_path, draw_scales, draw_turning, swing
from vidgan.data.synthetic.outlines import Opacity, blob, ellipse, rounded_box
from vidgan.data.synthetic.patches import PatchSource

TOP_SPEED = 4.0
"""Fastest motion on the plate, in pixels a frame where the shorter side of the frame has 64."""


def draw_cut_outs(
    random: np.random.Generator, patches: PatchSource, *, frames: int, height: int, width: int
) -> list[Layer]:
    """The pieces of one thing, person or arm, from far to near, and their way over the plate."""
    unit = min(height, width) / 64
    placement = draw_placement(random, frames, height=height, width=width)
    kind = random.random()
    if kind < 0.5:
        return [draw_thing(random, patches, placement, unit=unit)]
    if kind < 0.8:
        return list(draw_person(random, patches, placement, tall=random.uniform(14, 48) * unit))
    return list(draw_arm(random, patches, placement, long=random.uniform(16, 40) * unit))


def draw_placement(random: np.random.Generator, frames: int, *, height: int, width: int) -> Maps:
    """Where a cut-out is: on a path that it is on the plate of the first view, or just beside, at some time.

    One in six stays where it is.
    """
    unit = min(height, width) / 64
    moves = random.random() > 1 / 6
    place = random.uniform(-0.55, 0.55, 2) * (width, height)
    if not moves:
        return translation(np.tile(place, (frames, 1)))
    path = draw_path(random, frames, top_speed=TOP_SPEED * unit * random.random() ** 1.5)
    path += place - path[random.integers(frames)]
    return translation(path) @ rotation(draw_turning(random, frames)) @ scaling(draw_scales(random, frames))


def draw_thing(random: np.random.Generator, patches: PatchSource, placement: Maps, *, unit: float) -> Layer:
    """A blob, box, bar or ellipse of 6 to 36 units, turned at random."""
    long = float(np.exp(random.uniform(np.log(6), np.log(36)))) * unit
    short, softness = long * random.uniform(0.4, 1), random.uniform(0.8, 2)
    match random.integers(4):
        case 0:
            opacity = ellipse(long, short, softness=softness)
        case 1:
            opacity = rounded_box(long, short, corner=random.uniform(0, 0.25) * short, softness=softness)
        case 2:
            opacity = rounded_box(long, max(2.0, 0.3 * short), corner=short, softness=softness)
        case _:
            opacity = blob(random, long, short, softness=softness)
    angle = np.full(len(placement), random.uniform(0, 2 * np.pi))
    return Layer(_cut(random, patches, opacity), placement @ rotation(angle))


def draw_person(random: np.random.Generator, patches: PatchSource, placement: Maps, *, tall: float) -> Iterator[Layer]:
    """Two legs, an arm, head and torso, the other arm: walking or standing, arms swinging or gesturing.

    `tall` is the height in pixels.
    """
    frames = len(placement)
    torso_height, torso_width = 0.36 * tall, random.uniform(0.2, 0.3) * tall
    stride, reach = random.uniform(0, 0.6), random.uniform(0, 1.2)
    step = swing(random, frames, period=random.uniform(8, 24))
    lean = attach(placement, joint=(0.0, 0.0), angle=0.06 * reach * swing(random, frames))
    leg = rounded_box(0.46 * tall, 0.11 * tall, corner=0.05 * tall)
    arm = rounded_box(0.38 * tall, 0.09 * tall, corner=0.05 * tall)
    trousers, sleeves = _cut(random, patches, leg), _cut(random, patches, arm)
    for side in (-1, 1):
        hip = (side * 0.25 * torso_width, 0.45 * torso_height)
        yield Layer(trousers, attach(placement, joint=hip, angle=side * stride * step, pivot=(0.0, -0.2 * tall)))
    for side in (-1, 1):
        rest = side * -random.uniform(0, 1.5) * (random.random() < 0.5)
        waving = rest + reach * (swing(random, frames) if random.random() < 0.5 else -side * step)
        shoulder = (side * 0.45 * torso_width, -0.4 * torso_height)
        yield Layer(sleeves, attach(lean, joint=shoulder, angle=waving, pivot=(0.0, -0.16 * tall)))
        if side < 0:
            yield Layer(_cut(random, patches, rounded_box(torso_height, torso_width, corner=0.08 * tall)), lean)
            nod = 0.2 * reach * swing(random, frames)
            neck = (0.0, -0.48 * torso_height)
            head = attach(lean, joint=neck, angle=nod, pivot=(0.0, 0.09 * tall))
            yield Layer(_cut(random, patches, ellipse(0.2 * tall, 0.16 * tall)), head)


def draw_arm(random: np.random.Generator, patches: PatchSource, placement: Maps, *, long: float) -> Iterator[Layer]:
    """An upper arm, a forearm that turns at the elbow and a hand that turns at the wrist, as of somebody close by.

    `long` is the length of the forearm in pixels.
    """
    frames, thick = len(placement), random.uniform(0.2, 0.4) * long
    direction = random.uniform(0, 2 * np.pi)
    angles = [random.uniform(-0.8, 0.8) + random.uniform(0, 0.6) * swing(random, frames) for _ in range(3)]
    sleeve, skin = random.random() < 0.7, patches.patch(random, int(long) + 8, int(long) + 8)
    end = (0.0, 0.45 * long)
    upper = attach(placement, joint=(0.0, 0.0), angle=direction + 0.5 * angles[0], pivot=end)
    fore = attach(upper, joint=end, angle=angles[1], pivot=(0.0, -0.45 * long))
    hand = attach(fore, joint=end, angle=angles[2], pivot=(0.0, -0.15 * long))
    limb = rounded_box(long, thick, corner=thick / 2)
    palm = blob(random, 0.5 * long, 1.2 * thick)
    yield Layer(_cut(random, patches, limb), upper)
    yield Layer(_cut(random, patches, limb) if sleeve else _fill(skin, limb), fore)
    yield Layer(_fill(skin, palm), hand)


def _cut(random: np.random.Generator, patches: PatchSource, opacity: Opacity) -> Float[Tensor, "4 height width"]:
    """A patch in this outline."""
    height, width = opacity.shape
    return _fill(patches.patch(random, height, width), opacity)


def _fill(patch: Float[Tensor, "3 tall wide"], opacity: Opacity) -> Float[Tensor, "4 height width"]:
    """The corner of a patch, in an outline that fits into it."""
    height, width = opacity.shape
    mask = torch.from_numpy(opacity)[None]
    return torch.cat([patch[:, :height, :width] * mask, mask])
