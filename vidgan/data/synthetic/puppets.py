"""Clips of puppets: figures with a head, a torso and jointed arms and legs, whose joints are known in every frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gancore.data import Sample
from gancore.rng import derive_seed
from vidgan.data.synthetic.affine import Maps, Numbers, attach, translation
from vidgan.data.synthetic.layers import Layer
from vidgan.data.synthetic.motion import swing
from vidgan.data.synthetic.outlines import Opacity, ellipse, rounded_box
from vidgan.data.synthetic.patches import PatchSource
from vidgan.data.synthetic.render import render_frames
from vidgan.data.synthetic.sampling import RenderedClips, choose_seed
from vidgan.data.synthetic.scene import Scene
from vidgan.frames import Frames

Joints: TypeAlias = Float[np.ndarray, "time joint 2"]
"""(x, y) of every joint in pixels of the frame, whole numbers at the centres of pixels."""
Colour: TypeAlias = Float[np.ndarray, "3"]

JOINTS = (
    *("head", "neck", "pelvis"),
    *("left shoulder", "left elbow", "left hand", "left knee", "left foot"),
    *("right shoulder", "right elbow", "right hand", "right knee", "right foot"),
)
"""Names of the joints, left and right as seen."""
BONES = (
    *(("head", "neck"), ("neck", "pelvis")),
    *(
        (first.format(side), last.format(side))
        for side in ("left", "right")
        for first, last in (
            ("neck", "{} shoulder"),
            ("{} shoulder", "{} elbow"),
            ("{} elbow", "{} hand"),
            ("pelvis", "{} knee"),
            ("{} knee", "{} foot"),
        )
    ),
)
"""The joints at the ends of every bone, for drawing skeletons."""


@dataclass(frozen=True)
class Figure:
    """What a puppet looks like, and where. Lengths are in pixels."""

    torso: float
    """Length of the torso, from neck to pelvis."""
    shoulders: float
    """Distance of a shoulder from the middle; hips lie half as far out."""
    head: float
    """Height of the head."""
    arm: float
    """Length of an upper arm, and of a forearm."""
    leg: float
    """Length of a thigh, and of a shin."""
    parts: dict[str, Float[Tensor, "4 _height _width"]]
    """Pictures of torso, head, upper arm, forearm, thigh and shin."""
    plate: Float[Tensor, "3 _height _width"]
    """What it stands before."""


@dataclass(frozen=True)
class Puppet:
    """A figure that moves."""

    scene: Scene
    joints: Joints

    def at(self, times: Sequence[int]) -> "Puppet":
        """These frames of the clip alone."""
        scene, chosen = self.scene, list(times)
        layers = tuple(Layer(layer.picture, layer.placement[chosen]) for layer in scene.layers)
        moved = replace(scene, layers=layers, camera=scene.camera[chosen], light=scene.light[chosen])
        return Puppet(moved, self.joints[chosen])


class PuppetClips(RenderedClips):
    """Clips of one puppet each, which differ in figure, motion and background; see RenderedClips.

    Every clip of a held-out split, and every reading of a training clip, has another figure. With `figure`, a number,
    all have that one, of this split.
    """

    def __init__(self, patches: PatchSource, *, figure: int | None = None, **shape: Any):
        super().__init__(patches, **shape)
        self.figure = figure

    def __getitem__(self, sample: Sample) -> tuple[Frames, int]:
        return self.render(self.draw(sample)), 0

    def draw(self, sample: Sample) -> Puppet:
        """The puppet of a clip in all its frames."""
        return self.move(self.draw_figure(sample), sample)

    def draw_figure(self, sample: Sample) -> Figure:
        """The figure of a clip."""
        shown = sample if self.figure is None else Sample(self.figure, self.figure)
        random = np.random.default_rng(derive_seed(choose_seed(shown, self.split), 0))
        return draw_figure(random, self.patches, height=self.height, width=self.width)

    def move(self, figure: Figure, sample: Sample) -> Puppet:
        """Any figure in the motion of a clip."""
        random = np.random.default_rng(derive_seed(choose_seed(sample, self.split), 1))
        return move_figure(figure, random, frames=self.clip_frames, height=self.height, width=self.width)

    def render(self, puppet: Puppet) -> Frames:
        """The frames of a puppet, with as many channels as the clips have."""
        return render_frames(puppet.scene, channels=self.channels)


# ---------------------------------------------------------------------------------------------------------- appearance


def draw_figure(random: np.random.Generator, patches: PatchSource, *, height: int, width: int) -> Figure:
    """Draws a figure from 34 to 50 units tall, of which the shorter side of a frame has 64, before a pale plate."""
    tall = random.uniform(34, 50) * min(height, width) / 64
    torso, broad = random.uniform(0.32, 0.38) * tall, random.uniform(0.2, 0.28) * tall
    head, limb = random.uniform(0.18, 0.23) * tall, random.uniform(0.1, 0.14) * tall
    arm, leg = random.uniform(0.17, 0.21) * tall, random.uniform(0.21, 0.25) * tall
    shirt, trousers, skin, hair = (draw_bright_colour(random) for _ in range(4))
    sleeves, legs = random.random() < 0.5, random.random() < 0.7
    parts = {
        "torso": _paint(rounded_box(torso + 0.5 * limb, broad, corner=0.35 * broad), shirt),
        "head": _paint(ellipse(head, 0.8 * head), skin, above=hair),
        "upper arm": _paint(rounded_box(arm + limb, limb, corner=limb), 0.75 * shirt),
        "forearm": _paint(rounded_box(arm + limb, 0.9 * limb, corner=limb), 0.6 * shirt if sleeves else skin),
        "thigh": _paint(rounded_box(leg + limb, 1.1 * limb, corner=limb), trousers),
        "shin": _paint(rounded_box(leg + limb, limb, corner=limb), 0.75 * trousers if legs else 0.85 * skin),
    }
    plate = patches.plate(random, height, width)
    pale = plate.mean((1, 2), keepdim=True)
    return Figure(torso, 0.45 * broad, head, arm, leg, parts, torch.lerp(pale, plate, random.uniform(0.2, 0.7)))


def draw_bright_colour(random: np.random.Generator) -> Colour:
    """A colour in [0, 1] of any hue that is neither grey nor black."""
    hue, saturation, value = random.random(), random.uniform(0.35, 0.9), random.uniform(0.45, 1)
    wheel = np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1
    return value * (1 - saturation * (1 - wheel.clip(0, 1)))


def _paint(opacity: Opacity, colour: Colour, *, above: Colour | None = None) -> Float[Tensor, "4 height width"]:
    """A part in one colour, which gets darker to one side; the upper third may have another."""
    rows, columns = opacity.shape
    surface = np.tile(colour[:, None, None], (1, rows, columns))
    if above is not None:
        surface[:, : round(0.4 * rows)] = above[:, None, None]
    surface *= np.linspace(1.1, 0.8, columns)
    premultiplied = np.concatenate([surface.clip(0, 1) * opacity, opacity[None]])
    return torch.from_numpy(premultiplied.astype(np.float32))


# -------------------------------------------------------------------------------------------------------------- motion


def move_figure(figure: Figure, random: np.random.Generator, *, frames: int, height: int, width: int) -> Puppet:
    """Lets a figure lean, nod, wave and step before a camera that stands still."""
    unit = min(height, width) / 64
    place = np.array([random.uniform(-7, 7), random.uniform(-1, 4)]) * unit
    sway = np.stack([random.uniform(0, 6) * swing(random, frames), random.uniform(0, 2) * swing(random, frames)], 1)
    lean = random.uniform(0, 0.15) * swing(random, frames)
    # the torso hangs on the neck's end of a rod that stands on the pelvis
    torso = attach(translation(place + unit * sway), joint=(0.0, 0.0), angle=lean, pivot=(0.0, figure.torso / 2))
    neck, pelvis = (0.0, -figure.torso / 2), (0.0, figure.torso / 2)
    nod = random.uniform(0, 0.25) * swing(random, frames)
    head = attach(torso, joint=neck, angle=nod, pivot=(0.0, 0.5 * figure.head))
    layers = {"torso": torso, "head": head}
    joints = {"head": locate(head, (0.0, 0.0)), "neck": locate(torso, neck), "pelvis": locate(torso, pelvis)}
    for side, name in ((-1, "left"), (1, "right")):
        out = -side  # limbs hang down, and positive angles are clockwise: away from the body on the left
        for part, root, length, (outward, inward) in (
            ("arm", (side * figure.shoulders, -0.42 * figure.torso), figure.arm, (0.9, 1.0)),
            ("leg", (side * 0.5 * figure.shoulders, 0.45 * figure.torso), figure.leg, (0.25, 0.35)),
        ):
            upper = out * (random.uniform(0.1, outward) + random.uniform(0.2, inward) * swing(random, frames))
            lower = out * random.choice([-1, 1]) * _bend(random, frames, most=inward + 0.3)
            names = ("upper arm", "forearm") if part == "arm" else ("thigh", "shin")
            pieces = list(_hang(torso, root, length, upper, lower))
            layers |= {f"{name} {piece}": each for piece, each in zip(names, pieces, strict=True)}
            middle, end = (locate(each, (0.0, length / 2)) for each in pieces)
            joints |= {f"{name} {each}": at for each, at in zip(_ends(part), (middle, end), strict=True)}
            if part == "arm":
                joints[f"{name} shoulder"] = locate(torso, root)
    order = [*(f"{side} {piece}" for piece in ("thigh", "shin") for side in ("left", "right")), "torso", "head"]
    order += [f"{side} {piece}" for side in ("left", "right") for piece in ("upper arm", "forearm")]
    pictures = {name: figure.parts[name.removeprefix("left ").removeprefix("right ")] for name in order}
    scene = Scene(
        height=height,
        width=width,
        plate=figure.plate,
        layers=tuple(Layer(pictures[name], layers[name]) for name in order),
        camera=np.tile(np.eye(3), (frames, 1, 1)),
        light=np.ones(frames),
    )
    middle_pixel = (np.array([width, height]) - 1) / 2
    return Puppet(scene, np.stack([joints[name] for name in JOINTS], 1) + middle_pixel)


def _ends(part: str) -> tuple[str, str]:
    return ("elbow", "hand") if part == "arm" else ("knee", "foot")


def _bend(random: np.random.Generator, frames: int, *, most: float) -> Numbers:
    """How far an elbow or a knee is bent over time, in radians, never beyond straight."""
    return random.uniform(0.1, most) * (0.5 + 0.5 * swing(random, frames))


def _hang(torso: Maps, root: tuple[float, float], length: float, upper: Numbers, lower: Numbers) -> Iterator[Maps]:
    """An upper part that turns at its root, and a lower one that turns at its end, both `length` long."""
    first = attach(torso, joint=root, angle=upper, pivot=(0.0, -length / 2))
    yield first
    yield attach(first, joint=(0.0, length / 2), angle=lower, pivot=(0.0, -length / 2))


def locate(part: Maps, point: tuple[float, float]) -> Float[np.ndarray, "time 2"]:
    """Where a point of a part is in each frame, in pixels from the middle of the frame."""
    return part[:, :2] @ np.array([*point, 1.0])
