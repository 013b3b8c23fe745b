"""Clips of objects that fall, roll, tumble and are pushed in a room, simulated and rendered as they are read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from gancore.data import Sample
from gancore.rng import derive_seed
from gancore.splits import Split
from vidgan.data.synthetic.cut_outs import Item
from vidgan.data.synthetic.motion import draw_pace, draw_path
from vidgan.data.synthetic.patches import PatchSource
from vidgan.data.synthetic.physics_view import SolidTexture, draw_room, draw_solid_texture, paint
from vidgan.data.synthetic.physics_world import (
    STEPS_PER_SECOND,
    Camera,
    Vector,
    World,
    draw_azimuth,
    draw_object,
    find_object,
    import_pybullet,
)
from vidgan.data.synthetic.sampling import RenderedClips, choose_seed
from vidgan.data.synthetic.sprite_world import Commands, draw_commands
from vidgan.frames import Frames, convert_channels

MOST_STEPS = 12
"""Steps of the simulation from a frame to the next, at most; that is 20 frames a second."""


PUSH = 0.6
"""Metres a second by which an action of one makes a body faster."""


@dataclass(frozen=True)
class PhysicsClip:
    """A clip and what is seen in each of its pixels."""

    frames: Frames
    bodies: Int64[Tensor, "time height width"]
    """Number of the body, counted from 0; -1 where there is floor or wall."""
    pushes: Commands | None = None
    """How far body 0 is pushed to the right and away from the first camera after each frame, in [-1, 1] of PUSH."""


class PhysicsClips(RenderedClips):
    """Clips of rigid bodies in a room; held-out splits have other objects and other cameras. See RenderedClips.

    `patches` paints the floor and the walls. Raises ValueError, besides, if pybullet is not installed.
    """

    def __init__(self, patches: PatchSource, *, actions: bool = False, **shape: Any):
        """`patches` paints floor and walls. With `actions`, a body is pushed after each frame, and clips say how."""
        super().__init__(patches, **shape)
        self.actions = actions
        import_pybullet()

    def __getitem__(self, sample: Sample) -> Item:
        clip = self.render(sample)
        if clip.pushes is None:
            return clip.frames, 0
        return clip.frames, 0, None, None, torch.from_numpy(clip.pushes).float()

    def render(self, sample: Sample) -> PhysicsClip:
        """The clip with its segmentation."""
        random = np.random.default_rng(choose_seed(sample, self.split))
        room = draw_room(random, self.patches)
        world, textures = fill_world(random, self.split, seconds=1 + self.clip_frames * MOST_STEPS / STEPS_PER_SECOND)
        cameras = draw_cameras(random, self.split, self.clip_frames)
        steps = int(random.integers(5, MOST_STEPS + 1))
        world.step(int(random.integers(STEPS_PER_SECOND)))
        frames, bodies = [], []
        seed = derive_seed(choose_seed(sample, self.split), 1)
        pushes = draw_commands(np.random.default_rng(seed), self.clip_frames) if self.actions else None
        right, _, forward = cameras[0].basis()
        for number, camera in enumerate(cameras):
            frame, seen = paint(world, camera, room, textures, height=self.height, width=self.width)
            frames.append(frame)
            bodies.append(seen)
            if pushes is not None:
                ahead = forward * (1, 1, 0) / np.linalg.norm(forward[:2])
                world.push(0, PUSH * (pushes[number, 0] * right + pushes[number, 1] * ahead))
            world.step(steps)
        clip = (torch.stack(frames) * 255).round_().clamp_(0, 255).to(torch.uint8)
        return PhysicsClip(convert_channels(clip, self.channels), torch.stack(bodies), pushes)


def fill_world(random: np.random.Generator, split: Split, *, seconds: float) -> tuple[World, list[SolidTexture]]:
    """A world of two to six bodies and, in two of five clips, a hand that moves for `seconds`; the colours of each."""
    world = World()
    for _ in range(random.integers(2, 7)):
        add_body(random, world, split)
    textures = [draw_solid_texture(random) for _ in range(world.bodies)]
    if random.random() < 0.4:
        add_hand(random, world, seconds=seconds)
        textures += [draw_solid_texture(random)] * (world.bodies - len(textures))
    return world, textures


def add_body(random: np.random.Generator, world: World, split: Split) -> None:
    """A random object, box, ball or cylinder of 0.3 to 0.8 m that falls, is thrown, slides or rolls, or lies there."""
    bullet, size = world.bullet, random.uniform(0.15, 0.4)
    shape: dict = {"shapeType": bullet.GEOM_MESH, "fileName": find_object(draw_object(random, split))}
    match random.integers(6):
        case 0:
            shape = {"shapeType": bullet.GEOM_BOX, "halfExtents": (size * random.uniform(0.4, 1, 3)).tolist()}
        case 1:
            shape = {"shapeType": bullet.GEOM_SPHERE, "radius": 0.8 * size}
        case 2:
            radius = size * random.uniform(0.3, 0.8)
            shape = {"shapeType": bullet.GEOM_CYLINDER, "radius": radius, "height": 2 * size * random.uniform(0.4, 1)}
        case _:
            shape["meshScale"] = [0.4 * size] * 3
    place = np.array([*random.uniform(-1.2, 1.2, 2), 1.2 * size])
    velocity, spin = np.zeros(3), np.zeros(3)
    match random.integers(4):
        case 0:
            place[2] += random.uniform(0.5, 3)
            spin = random.normal(size=3) * 2
        case 1:
            place[2] += random.uniform(0.2, 1.5)
            velocity = np.array([*(-place[:2] + random.normal(size=2) * 0.5), random.uniform(0, 3)])
            spin = random.normal(size=3) * 4
        case 2:
            velocity[:2] = -place[:2] * random.uniform(0.5, 2) + random.normal(size=2)
        case _:
            pass
    world.add(shape, position=place, angles=random.uniform(-np.pi, np.pi, 3), velocity=velocity, spin=spin)


def add_hand(random: np.random.Generator, world: World, *, seconds: float) -> None:
    """A forearm, a palm and three fingers that come in low over the floor, stop, turn back, and push what is there."""
    bullet, heading = world.bullet, random.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(heading), -np.sin(heading), 0], [np.sin(heading), np.cos(heading), 0], [0, 0, 1]])
    times = np.arange(0, seconds + 0.1, 1 / 30)
    forward = np.cumsum(random.uniform(1, 3) / 30 * draw_pace(random, len(times)))
    aside = draw_path(random, len(times), top_speed=0.02)[:, 0]
    offset = random.uniform(-2.5, -1)

    def follow(part: Vector) -> Callable[[float], Vector]:
        def place(time: float) -> Vector:
            ahead, beside = np.interp(time, times, forward), np.interp(time, times, aside)
            return turn @ (part + np.array([offset + ahead, beside, 0.0]))

        return place

    finger = {"shapeType": bullet.GEOM_CAPSULE, "radius": 0.06, "height": 0.3}
    parts = [
        ({"shapeType": bullet.GEOM_CAPSULE, "radius": 0.12, "height": 1.6}, (-1.0, 0.0, 0.25)),
        ({"shapeType": bullet.GEOM_BOX, "halfExtents": [0.09, 0.2, 0.2]}, (0.0, 0.0, 0.25)),
        *((finger, (0.28, side, 0.22)) for side in (-0.15, 0.0, 0.15)),
    ]
    for shape, place in parts:
        path = follow(np.array(place))
        body = world.add(shape, position=path(0.0), angles=np.array([0, np.pi / 2, heading]), mass=0.0)
        world.guided[body] = path


def draw_cameras(random: np.random.Generator, split: Split, frames: int) -> list[Camera]:
    """A camera that looks at the middle of the room from 2.2 to 3.2 m; in one of three clips it drifts."""
    azimuth, distance = draw_azimuth(random, split), random.uniform(2.2, 3.2)
    eye = np.array([np.cos(azimuth) * distance, np.sin(azimuth) * distance, random.uniform(0.7, 2.8)])
    target = np.array([*random.uniform(-0.3, 0.3, 2), random.uniform(0.2, 0.7)])
    field_of_view = random.uniform(40, 60)
    drift = np.zeros((frames, 3))
    if random.random() < 0.33:
        drift[:, :2] = draw_path(random, frames, top_speed=random.uniform(0, 0.05))
        drift *= min(1.0, 0.8 / max(np.abs(drift).max(), 1e-6))
    return [Camera(eye + moved, target + 0.3 * moved, field_of_view) for moved in drift]
