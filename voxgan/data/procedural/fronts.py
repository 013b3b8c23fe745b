"""The bodies of cabinets, and the drawers and doors in front of them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxgan.data.procedural.choices import Choices, Number
from voxgan.data.procedural.furniture import Part
from voxgan.data.procedural.materials import (
    GLASS,
    MIRROR,
    Material,
)
from voxgan.data.procedural.solids import Range, Solid, bend, box, lathe, tube

BOARD = 0.018
"""Thickness of fronts in metres."""


@dataclass(frozen=True)
class Front:
    """A drawer or door in the front of a cabinet, by the ranges of x and y that it covers."""

    kind: str
    """drawer, door, glass door or mirror door."""
    x: Range
    y: Range
    hinge: int = 0
    """The side on which a door turns: -1 left, 1 right; 0 for a drawer, which is drawn."""
    opened: Number = 0.0
    """How far a drawer is drawn, in metres, or a door is open, in degrees."""


def carcass(x: Range, y: Range, z: Range, board: Number) -> list[Solid]:
    """Sides, bottom, top and back of a cabinet, open at the front."""
    return [
        box((x[0], x[0] + board), y, z),
        box((x[1] - board, x[1]), y, z),
        box((x[0] + board / 2, x[1] - board / 2), (y[0] + 0.001, y[0] + board), (z[0] + 0.001, z[1] - 0.001)),
        box((x[0] + board / 2, x[1] - board / 2), (y[1] - board, y[1] - 0.001), (z[0] + 0.001, z[1] - 0.001)),
        box((x[0] + board / 2, x[1] - board / 2), (y[0] + board / 2, y[1] - board / 2), (z[0] + 0.001, z[0] + 0.012)),
    ]


def build_fronts(
    choices: Choices, fronts: Sequence[Front], z: Number, material: Material, metal: Material
) -> list[Part]:
    """The fronts, before the plane z, with handles of the same shape for all; an opened one shows its box."""
    if not fronts:
        return []
    handle = choices.pick("handles", {"knob": 3, "bar": 3, "cup": 1, "none": 1})
    panelled = choices.chance("panelled fronts", 0.35)
    pieces: dict[str, list[Solid]] = {"board": [], "glass": [], "mirror": [], "handle": []}
    for front in fronts:
        x, y = (front.x[0] + 0.002, front.x[1] - 0.002), (front.y[0] + 0.002, front.y[1] - 0.002)
        for name, solid in front_pieces(front.kind, x, y, z, panelled, handle, front.hinge):
            if front.hinge:
                about = (x[0] if front.hinge < 0 else x[1], 0.0, z)
                placed = solid.rotate("y", front.hinge * front.opened, about=about)
            else:
                placed = solid.move(z=front.opened)
            pieces[name].append(placed)
        if not front.hinge and front.opened:
            inside = (x[0] + 0.02, x[1] - 0.02)
            low, high = y[0] + 0.015, y[0] + 0.75 * (y[1] - y[0])
            pieces["board"] += [box(inside, (low, low + 0.012), (z - 0.02, z + front.opened + 0.002))]
            pieces["board"] += [
                box((side, side + 0.014), (low, high), (z - 0.02, z + front.opened + 0.002))
                for side in (inside[0], inside[1] - 0.014)
            ]
    made = {"fronts": (material, "board"), "panes": (GLASS, "glass"), "mirrors": (MIRROR, "mirror")}
    named = [*made.items(), ("handles", (metal, "handle"))]
    return [Part(name, each, pieces[piece]) for name, (each, piece) in named if pieces[piece]]


def front_pieces(
    kind: str, x: Range, y: Range, z: Number, panelled: bool, handle: str, hinge: int
) -> list[tuple[str, Solid]]:
    """The boards, the pane and the handle of one closed front, each with the name of what it is."""
    wide, high = x[1] - x[0], y[1] - y[0]
    depth = (z - 0.001, z + BOARD)
    rim = min(0.06, 0.25 * min(wide, high))
    pieces: list[tuple[str, Solid]] = []
    if kind in ("glass door", "mirror door") or (panelled and min(wide, high) > 0.12):
        rails = [box(x, (y[0], y[0] + rim), depth), box(x, (y[1] - rim, y[1]), depth)]
        rails += [box((x[0], x[0] + rim), (y[0] + 0.001, y[1] - 0.001), (z - 0.0005, z + BOARD - 0.0005))]
        rails += [box((x[1] - rim, x[1]), (y[0] + 0.001, y[1] - 0.001), (z - 0.0005, z + BOARD - 0.0005))]
        pieces += [("board", rail) for rail in rails]
        inner = box((x[0] + rim / 2, x[1] - rim / 2), (y[0] + rim / 2, y[1] - rim / 2), (z, z + BOARD * 0.5))
        pieces.append(({"glass door": "glass", "mirror door": "mirror"}.get(kind, "board"), inner))
    else:
        pieces.append(("board", box(x, y, depth)))
    if handle == "none":
        return pieces
    face = z + BOARD - 0.002
    if hinge:
        at, level = (x[1] - 0.035 if hinge < 0 else x[0] + 0.035), min(max(1.05, y[0] + 0.1), y[0] + 0.75 * high)
        level = y[0] + high / 2 if high > 1.2 else level
        ends = ((at, level - min(0.07, high * 0.2), face), (at, level + min(0.07, high * 0.2), face))
    else:
        at, level = (x[0] + x[1]) / 2, y[0] + high * (0.5 if high < 0.3 else 0.75)
        reach = min(0.08, wide * 0.25)
        ends = ((at - reach, level, face), (at + reach, level, face))
    if handle == "knob":
        knob = lathe([(0.006, 0), (0.006, 0.012), (0.016, 0.018), (0.016, 0.024), (0.01, 0.028)], sides=12)
        pieces.append(("handle", knob.rotate("x", 90).move(at, level, face)))
    elif handle == "bar":
        (ax, ay, az), (bx, by, bz) = ends
        pieces.append(
            ("handle", tube(bend([ends[0], (ax, ay, az + 0.03), (bx, by, bz + 0.03), ends[1]], 0.015), 0.011))
        )
    else:
        half = 0.04
        pieces.append(("handle", box((at - half, at + half), (level - 0.012, level + 0.012), (face, face + 0.022))))
    return pieces


def divide(choices: Choices, name: str, span: Range, count: int, *, uneven: Number = 0.0) -> list[Range]:
    """A range in so many parts, which differ in size by up to the fraction `uneven`."""
    sizes = np.array([1 + choices.noise(f"{name} {index}", uneven) for index in range(count)])
    edges = span[0] + (span[1] - span[0]) * np.concatenate([[0], np.cumsum(sizes / sizes.sum())])
    return [(float(low), float(high)) for low, high in itertools.pairwise(edges)]
