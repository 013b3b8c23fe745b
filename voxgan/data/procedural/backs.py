"""Backs and arms of chairs: a leaning, hollowed surface, and the rails, slats, spindles and cushions that lie in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxgan.data.procedural.choices import Choices, Number
from voxgan.data.procedural.solids import (
    Path,
    Point,
    Solid,
    bar,
    bend,
    curve,
    loft,
    rectangle,
    shell,
    spindle,
    sweep,
    tube,
)


@dataclass(frozen=True)
class Back:
    """The surface of a back; `at(u, v)` is a point of it, u from -1, left, to 1, v from 0, the seat, to 1, the top."""

    width: Number
    """At the seat."""
    height: Number
    base: Point
    """The middle of its lower edge."""
    lean: Number = 8.0
    """Degrees by which it leans backward."""
    flare: Number = 1.0
    """Its width at the top, relative to that at the seat."""
    hollow: Number = 0.0
    """How far its middle lies behind its sides, in metres."""
    bend: Number = 0.0
    """How far its top lies behind a straight back, in metres."""

    def at(self, u: Number, v: Number) -> Point:
        """A point of the surface."""
        x = u * self.width / 2 * (1 + (self.flare - 1) * v)
        y = self.height * v
        z = -y * np.tan(np.radians(self.lean)) - self.bend * v**2 - self.hollow * (1 - u**2)
        return self.base[0] + x, self.base[1] + y, self.base[2] + float(z)

    def post(
        self, u: Number, size: Number, *, foot: Point | None = None, round_: bool = False, top: Number = 1.0
    ) -> Solid:
        """An upright at u, which goes on down to a foot."""
        points = [self.at(u, v) for v in np.linspace(0, top, 5)]
        path = np.array([*([foot] if foot else []), *points])
        if round_:
            return tube(path, size)
        return sweep_upright(path, size, size)

    def rail(self, v: Number, height: Number, thickness: Number, *, arch: Number = 0.0, reach: Number = 1.0) -> Solid:
        """A board across at v, its middle higher by `arch`."""
        path = np.array([self.at(u, v) for u in np.linspace(-reach, reach, 9)])
        path[:, 1] += arch * (1 - np.linspace(-1, 1, 9) ** 2)
        return sweep(path, rectangle(thickness, height))

    def slat(self, u: Number, v: tuple[Number, Number], width: Number, thickness: Number) -> Solid:
        """A board upright at u."""
        path = np.array([self.at(u, each) for each in np.linspace(*v, 5)])
        return sweep_upright(path, width, thickness)

    def rod(self, u: Number, v: tuple[Number, Number], diameter: Number, *, top: Number | None = None) -> Solid:
        """A round spindle, thickest at a third of its length; its upper end may be at another u."""
        profile = [(0, 0.75 * diameter), (0.35, diameter), (1, 0.6 * diameter)]
        return spindle(self.at(u, v[0]), self.at(u if top is None else top, v[1]), profile, sides=8)

    def panel(
        self, v: tuple[Number, Number], thickness: Number, *, reach: Number = 1.0, round_top: Number = 0.0
    ) -> Solid:
        """A sheet behind the surface; `round_top` is how much lower its upper corners are, as a share of its height."""
        rows = [
            [
                self.at(u, v[0] + (v[1] - v[0]) * share * (1 - round_top * (u / reach) ** 4))
                for u in np.linspace(-reach, reach, 11)
            ]
            for share in np.linspace(0, 1, 7)
        ]
        return shell(np.array(rows), thickness)

    def pad(self, v: tuple[Number, Number], thickness: Number, *, reach: Number = 1.0, softness: Number = 0.5) -> Solid:
        """A stuffed cushion before the surface."""
        power = 10 - 7 * softness
        angles = (np.arange(24) + 0.5) * np.pi / 12
        unit = np.stack([np.cos(angles), np.sin(angles)], 1)
        ring = np.sign(unit) * abs(unit) ** (2 / power)
        levels = [(-0.45, 0.9), (-0.25, 0.985), (0.0, 1.0), (0.25, 0.96), (0.42, 0.85), (0.5, 0.6)]
        middle, half = sum(v) / 2, (v[1] - v[0]) / 2
        rings = [
            [
                (x, y, z + thickness * (level + 0.5))
                for x, y, z in (self.at(u * size * reach, middle + w * size * half) for u, w in ring)
            ]
            for level, size in levels
        ]
        return loft(np.array(rings))


def sweep_upright(path: Path, width: Number, depth: Number) -> Solid:
    """A board along a path that leads upward, all its sections horizontal."""
    outline = rectangle(width, depth)
    flat = np.stack([outline[:, 0], np.zeros(4), outline[:, 1]], 1)
    return loft(np.asarray(path)[:, None] + flat)


def fill_back(choices: Choices, back: Back, style: str, size: Number) -> tuple[list[Solid], str]:
    """What fills a back between two posts, and the words for it; `size` is the thickness of its boards."""
    width = back.width
    top_height = choices.number("crest height", 0.04, 0.1)
    top = 1 - top_height / 2 / back.height
    arch = choices.number("crest arch", 0.0, 0.04) if choices.chance("crest is arched", 0.4) else 0.0
    crest = back.rail(top, top_height, size, arch=arch)
    below = 1 - top_height / back.height * 0.9
    low = choices.number("lower rail", 0.08, 0.35)
    if style == "ladder":
        count = choices.count("rails", 2, 5)
        height = min(top_height * 0.8, 0.7 * back.height * (below - low) / count)
        rails = [back.rail(v, height, size * 0.8, arch=arch) for v in np.linspace(low, top, count)[:-1]]
        return [*rails, crest], f"a ladder back of {count} rails"
    if style == "slats":
        count = choices.count("slats", 2, 7)
        slat = min(choices.number("slat width", 0.02, 0.07), 0.75 * width / (count + 0.5))
        places = np.linspace(-1, 1, count + 2)[1:-1]
        slats = [back.slat(u, (low, top), slat, size * 0.6) for u in places]
        return [*slats, back.rail(low, 0.045, size), crest], f"a back of {count} slats"
    if style == "spindles":
        count = choices.count("spindles", 4, 9)
        places = np.linspace(-1, 1, count + 2)[1:-1]
        rods = [back.rod(u, (low, top), size * 0.7) for u in places]
        return [*rods, back.rail(low, 0.04, size), crest], f"a back of {count} spindles"
    if style == "splat":
        shares = np.linspace(low, top, 9)
        waist = choices.number("splat waist", 0.3, 0.9)
        wide = width * choices.number("splat width", 0.25, 0.5)
        path = np.array([back.at(0, v) for v in shares])
        widths = wide * (1 - (1 - waist) * np.sin(np.linspace(0, np.pi * 1.5, 9)) ** 2)
        flat = np.array([[-0.5, 0, -0.5], [0.5, 0, -0.5], [0.5, 0, 0.5], [-0.5, 0, 0.5]])
        splat = loft(path[:, None] + flat * np.stack([widths, widths * 0, widths * 0 + size * 0.6], 1)[:, None])
        return [splat, back.rail(low, 0.045, size), crest], "a splat in its back"
    if style == "cross":
        bars = [bar(back.at(side * 0.9, low), back.at(-side * 0.9, below), size * 0.9, size * 0.6) for side in (-1, 1)]
        return [*bars, back.rail(low, 0.04, size), crest], "a cross in its back"
    return [back.panel((low, 0.99), size * 0.6, reach=0.97), crest], "a closed back"


def open_arm(x: Number, rear: Point, front: Point, size: Number, *, foot: Point | None = None) -> list[Solid]:
    """An arm at the right side of a chair, from its back forward, with a support at its front that ends at a foot."""
    path = curve([rear, ((rear[0] + front[0]) / 2 + 0.012, front[1] + 0.004, (rear[2] + front[2]) / 2), front], 9)
    rest = sweep(path, rectangle(size * 1.5, size * 0.7))
    reach = (front[0], front[1], front[2] - size)
    support = bar(reach, foot or (x, front[1] - 0.2, front[2] - 0.05), size * 0.8, size * 0.8)
    return [rest, support]


def both_sides(solids: Sequence[Solid]) -> list[Solid]:
    """The solids and their mirror images."""
    return [*solids, *(solid.mirror() for solid in solids)]


def bow(back: Back, height: Number, diameter: Number) -> Solid:
    """A hoop that rises from both ends of the seat and meets above it."""
    points = [back.at(np.cos(angle), height * np.sin(angle) ** 0.8) for angle in np.linspace(np.pi, 0, 21)]
    return tube(np.array(points), diameter)


def bent_frame(points: Sequence[Point], diameter: Number, radius: Number = 0.07) -> list[Solid]:
    """A bent tube at the right side, and one at the left."""
    return both_sides([tube(bend(points, radius), diameter)])
