"""What furniture stands on: legs of many shapes with stretchers between them, pedestals, stars with castors, sleds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from voxgan.data.procedural.choices import Choices, Number
from voxgan.data.procedural.solids import Point, Solid, bar, bend, box, lathe, spindle, tube

TURNINGS: dict[str, tuple[tuple[Number, Number], ...]] = {
    "vase": (
        (0, 1),
        (0.14, 1),
        (0.16, 0.6),
        (0.19, 0.9),
        (0.22, 0.6),
        (0.4, 1),
        (0.55, 0.95),
        (0.8, 0.5),
        (0.83, 0.75),
        (0.86, 0.5),
        (1, 0.6),
    ),
    "baluster": (
        (0, 1),
        (0.1, 1),
        (0.13, 0.65),
        (0.3, 0.6),
        (0.55, 0.9),
        (0.68, 1),
        (0.78, 0.7),
        (0.82, 0.9),
        (0.86, 0.6),
        (1, 0.5),
    ),
    "ringed": (
        (0, 1),
        (0.3, 0.8),
        (0.33, 1.05),
        (0.36, 0.8),
        (0.39, 1.05),
        (0.42, 0.8),
        (0.85, 0.6),
        (0.88, 0.8),
        (0.91, 0.55),
        (1, 0.5),
    ),
    "balled": (
        (0, 1),
        (0.12, 0.9),
        (0.15, 0.5),
        (0.22, 0.9),
        (0.29, 1),
        (0.36, 0.9),
        (0.43, 0.5),
        (0.7, 0.7),
        (0.86, 0.5),
        (0.91, 0.8),
        (0.96, 0.8),
        (1, 0.5),
    ),
    "cigar": ((0, 0.65), (0.25, 0.9), (0.5, 1), (0.75, 0.85), (1, 0.55)),
}
"""Pairs of a fraction of the length from the top and of the diameter."""
LEG_STYLES = {"square": 3.0, "tapered": 3.0, "round": 1.5, "conical": 2.0, "turned": 2.5}
"""Wooden legs and how often they are seen."""


class Line(NamedTuple):
    """The axis of a leg."""

    top: Point
    foot: Point

    def at(self, height: Number) -> Point:
        """The point at a height."""
        share = (height - self.foot[1]) / (self.top[1] - self.foot[1])
        x, y, z = (low + share * (high - low) for low, high in zip(self.foot, self.top, strict=True))
        return x, y, z


@dataclass(frozen=True)
class LegShape:
    """The shape that the legs of one object share."""

    style: str
    size: Number
    """Width or largest diameter."""
    turning: str = "vase"

    def solid(self, line: Line, *, size: Number | None = None) -> Solid:
        """The leg with this axis."""
        size = size or self.size
        match self.style:
            case "square":
                return bar(line.top, line.foot, size, size)
            case "tapered":
                return bar(line.top, line.foot, size, size, taper=0.55)
            case "round":
                return bar(line.top, line.foot, size)
            case "conical":
                return bar(line.top, line.foot, size, taper=0.5)
            case _:
                return spindle(line.top, line.foot, [(at, size * wide) for at, wide in TURNINGS[self.turning]])


def choose_leg(choices: Choices, low: Number, high: Number, *, styles: dict[str, Number] | None = None) -> LegShape:
    """A shape of legs whose size is in [low, high] metres."""
    style = choices.pick("legs", styles or LEG_STYLES)
    turning = choices.pick("turning", list(TURNINGS)) if style == "turned" else "vase"
    return LegShape(style, choices.number("leg size", low, high), turning)


def corner_lines(
    width: Number,
    depth: Number,
    top: Number,
    *,
    splay: Number = 0.0,
    rear_splay: Number | None = None,
    inset: Number = 0.0,
) -> list[Line]:
    """The axes of four legs: front left, front right, rear left, rear right, as somebody in front of it sees them.

    At the height `top` they form a rectangle, smaller by `inset` on every side than width by depth, about the origin;
    they lean outward by `splay` metres in both directions, the rear ones backward by `rear_splay`.
    """
    x, z = width / 2 - inset, depth / 2 - inset
    rear = splay if rear_splay is None else rear_splay
    lines = []
    for side_z, out in ((1, splay), (-1, rear)):
        for side_x in (-1, 1):
            top_point = (side_x * x, top, side_z * z)
            lines.append(Line(top_point, (side_x * (x + splay), 0.0, side_z * (z + out))))
    return lines


def stretchers(style: str, lines: Sequence[Line], height: Number, size: Number, *, flat: bool = False) -> list[Solid]:
    """Bars between four legs: "none", "H", "box", "sides" or "cross"; those of a box are at two heights."""
    front_left, front_right, rear_left, rear_right = lines
    depth = size * 0.5 if flat else None

    def connect(one: Line, other: Line, y: Number) -> Solid:
        start, end = one.at(y), other.at(y)
        if depth is None:
            return spindle(start, end, [(0, size * 0.7), (0.5, size), (1, size * 0.7)], sides=8)
        upright_first = abs(start[0] - end[0]) > abs(start[2] - end[2])
        return bar(start, end, size if upright_first else depth, depth if upright_first else size)

    sides = [connect(front_left, rear_left, height), connect(front_right, rear_right, height)]
    match style:
        case "none":
            return []
        case "sides":
            return sides
        case "box":
            higher = height * 1.25
            return [*sides, connect(front_left, front_right, higher), connect(rear_left, rear_right, higher)]
        case "cross":
            return [connect(front_left, rear_right, height), connect(front_right, rear_left, height)]
        case _:
            start, end = (
                between(one.at(height), other.at(height))
                for one, other in ((front_left, rear_left), (front_right, rear_right))
            )
            middle = bar(start, end, size if depth else size * 0.8, depth)
            return [*sides, middle]


def between(one: Point, other: Point) -> Point:
    """The middle of two points."""
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2, (one[2] + other[2]) / 2


def apron(width: Number, depth: Number, y: tuple[Number, Number], *, thickness: Number = 0.02) -> list[Solid]:
    """Four boards under a seat or a table top, whose outer faces form a rectangle about the origin."""
    x, z = width / 2, depth / 2
    return [
        box((-x, x), y, (z - thickness, z)),
        box((-x, x), y, (-z, thickness - z)),
        box((-x, thickness - x), y, (-z, z)),
        box((x - thickness, x), y, (-z, z)),
    ]


def hairpin(line: Line, *, diameter: Number = 0.011) -> Solid:
    """A leg of one rod that goes down, bends and comes up again."""
    (x, y, z), foot = line.top, line.foot
    inward = -np.sign(x) * 0.1
    return tube(bend([(x, y, z), (foot[0], 0.0, foot[2]), (x + inward, y, z)], 0.03), diameter)


def sled(x: Number, z: tuple[Number, Number], top: Number, diameter: Number, *, lean: Number = 0.0) -> list[Solid]:
    """Two bent tubes, each from the rear of the seat down, along the floor and up to its front."""
    low = diameter / 2
    points = [(x, top, z[0]), (x, low, z[0] - lean), (x, low, z[1] + lean), (x, top, z[1])]
    runner = tube(bend(points, 0.06), diameter)
    return [runner, runner.mirror()]


def pedestal(top: Number, column: Number, foot: Number, *, style: str) -> list[Solid]:
    """A column of this diameter on a disc, a trumpet or a cone of the diameter `foot`."""
    radius = foot / 2
    match style:
        case "trumpet":
            shares = np.linspace(0, 1, 9)
            radii = column / 2 + (radius - column / 2) * (1 - shares) ** 4
            return [lathe([(radius, 0), *zip(radii.tolist(), (0.008 + shares * (top - 0.008)).tolist(), strict=True)])]
        case "cone":
            return [lathe([(radius, 0), (radius, 0.012), (column / 2, 0.09), (column / 2, top)])]
        case _:
            return [
                lathe([(radius, 0), (radius, 0.012), (radius * 0.94, 0.02)]),
                bar((0, 0.01, 0), (0, top, 0), column),
            ]


def star(
    arms: int, radius: Number, hub: Number, size: Number, *, droop: Number = 0.5, turn: Number = 90.0
) -> list[Solid]:
    """Arms that spread from a column at the height `hub` down to the floor; the first points `turn` degrees from +x."""
    solids = []
    for index in range(arms):
        angle = np.radians(turn) + 2 * np.pi * index / arms
        end = (radius * np.cos(angle), size / 2 + (1 - droop) * (hub - size), radius * np.sin(angle))
        middle = (end[0] * 0.5, hub - 0.4 * (hub - end[1]), end[2] * 0.5)
        path = bend([(0, hub, 0), middle, end], radius)
        solids.append(tube(path, size, sides=8))
    return solids


def castors(arms: int, radius: Number, diameter: Number, *, turn: Number = 90.0) -> list[Solid]:
    """A wheel under the end of each arm of a star, each turned another way."""
    solids = []
    for index in range(arms):
        angle = turn + 360 * index / arms
        wheel = lathe(
            [(diameter * 0.42, 0), (diameter / 2, 0.006), (diameter / 2, 0.03), (diameter * 0.42, 0.036)], sides=14
        )
        upright = wheel.move(y=-0.018).rotate("z", 90).rotate("y", 77.0 * index)
        x, z = radius * np.cos(np.radians(angle)), radius * np.sin(np.radians(angle))
        solids.append(upright.move(x, diameter / 2, z))
        solids.append(bar((x, diameter * 0.5, z), (x, diameter * 1.15, z), 0.022))
    return solids
