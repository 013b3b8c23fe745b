"""A world of two sprites: one follows actions, the other moves by itself and bounces off the borders."""

from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float

from gancore.data import Sample
from vidgan.data.synthetic.affine import Points, identity, translation
from vidgan.data.synthetic.cut_outs import Item
from vidgan.data.synthetic.layers import Layer
from vidgan.data.synthetic.outlines import ellipse, rounded_box
from vidgan.data.synthetic.patches import PatchSource
from vidgan.data.synthetic.render import render_frames
from vidgan.data.synthetic.sampling import RenderedClips, choose_seed
from vidgan.data.synthetic.scene import Scene

TOP_SPEED = 3.0
"""How far an action of one moves the sprite along an axis, in pixels where the shorter side of the frame has 64."""
TURNS = 0.25
"""Probability that a random walk sets out anew at a frame."""
RED, BLUE = 0, 2
"""Channels of the colours of the disc and of the box."""
RESTS = 0.2
"""Share of the ways of a random walk that lead nowhere."""

Commands: TypeAlias = Float[np.ndarray, "time 2"]
"""How far right and down the sprite is sent after each frame, in [-1, 1] of TOP_SPEED."""


class SpriteWorld(RenderedClips):
    """Clips of a still place, a red disc that is sent, and a blue box that bounces; see RenderedClips.

    An action (right, down) in [-1, 1] moves the disc by TOP_SPEED times as many pixels, at 64 pixels a side, from its
    frame to the next. At the border it stops. The box passes behind it, and nothing tells it what to do.
    """

    def __init__(self, patches: PatchSource, *, actions: bool = True, **shape: Any):
        """`patches` paints the place. Without `actions`, clips do not say where the disc was sent."""
        super().__init__(patches, **shape)
        self.actions = actions

    def __getitem__(self, sample: Sample) -> Item:
        random = np.random.default_rng(choose_seed(sample, self.split))
        commands = draw_commands(random, self.clip_frames)
        frames = render_frames(self.draw(random, commands), channels=self.channels)
        return (frames, 0, None, None, torch.from_numpy(commands).float()) if self.actions else (frames, 0)

    def draw(self, random: np.random.Generator, commands: Commands) -> Scene:
        """The scene in which the disc is sent by these commands."""
        frames, sides = len(commands), np.array([self.width, self.height], float)
        unit = min(self.height, self.width) / 64
        disc, box = random.uniform(10, 16) * unit, random.uniform(9, 14) * unit
        sent = follow(commands * TOP_SPEED * unit, draw_place(random, sides, disc), sides / 2 - disc / 2)
        speed = random.uniform(-2.5, 2.5, 2) * unit
        free = bounce(speed, draw_place(random, sides, box), sides / 2 - box / 2, frames=frames)
        outlines = rounded_box(box, box, corner=0.2 * box), ellipse(disc, disc)
        layers = []
        for outline, path, hue in zip(outlines, (free, sent), (BLUE, RED), strict=True):
            mask = torch.from_numpy(outline)[None]
            layers.append(Layer(torch.cat([draw_hue(random, hue) * mask, mask]), translation(path)))
        return Scene(
            height=self.height,
            width=self.width,
            plate=self.patches.plate(random, self.height, self.width),
            layers=tuple(layers),
            camera=identity(frames),
            light=np.ones(frames),
        )


def draw_commands(random: np.random.Generator, frames: int) -> Commands:
    """A random walk that keeps its way for four frames in the mean; one way in five leads nowhere."""
    way, commands = draw_way(random), np.empty((frames, 2))
    for time in range(frames):
        if random.random() < TURNS:
            way = draw_way(random)
        commands[time] = way
    return commands


def draw_way(random: np.random.Generator) -> Float[np.ndarray, "2"]:
    """A command, even over [-1, 1] along both axes, or none."""
    return random.uniform(-1, 1, 2) * (random.random() >= RESTS)


def draw_place(random: np.random.Generator, sides: np.ndarray, size: float) -> Float[np.ndarray, "2"]:
    """A place, from the middle of the frame, at which a thing of this size is inside."""
    return random.uniform(-1, 1, 2) * (sides - size) / 2


def draw_hue(random: np.random.Generator, channel: int) -> Float[torch.Tensor, "3 1 1"]:
    """A colour in which one channel is near full and the others are weak, unlike most of the textures of places."""
    colour = random.uniform(0.0, 0.35, 3)
    colour[channel] = random.uniform(0.85, 1)
    return torch.from_numpy(colour.astype(np.float32))[:, None, None]


def follow(steps: Points, start: np.ndarray, bound: np.ndarray) -> Points:
    """Where a thing is in each frame that takes each step after its frame, and stops at the bound along each axis."""
    path = np.empty_like(steps)
    path[0] = start
    for time in range(1, len(steps)):
        path[time] = np.clip(path[time - 1] + steps[time - 1], -bound, bound)
    return path


def bounce(speed: np.ndarray, start: np.ndarray, bound: np.ndarray, *, frames: int) -> Points:
    """Where a thing is in each frame that moves at this speed and is thrown back at the bound along each axis."""
    straight = start + np.arange(frames)[:, None] * speed + bound
    return np.abs((straight + 2 * bound) % (4 * bound) - 2 * bound) - bound
