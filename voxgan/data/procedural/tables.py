"""Tables to eat at, to put coffee on and to stand at."""

import itertools

import numpy as np

from voxgan.data.procedural.backs import both_sides
from voxgan.data.procedural.choices import Choices, Number
from voxgan.data.procedural.furniture import Design, Part
from voxgan.data.procedural.legs import (
    apron,
    choose_leg,
    corner_lines,
    hairpin,
    pedestal,
    star,
    stretchers,
)
from voxgan.data.procedural.materials import (
    GLASS,
    Material,
    choose_metal,
    choose_paint,
    choose_stone,
    choose_upholstery,
    choose_wood,
)
from voxgan.data.procedural.solids import (
    Outline,
    Solid,
    bar,
    bend,
    box,
    ellipse,
    loft,
    rectangle,
    slab,
    tube,
)
from voxgan.data.procedural.wording import counted, sentence

SIZES: dict[str, tuple[tuple[Number, Number], ...]] = {
    "dining": ((1.1, 2.2), (0.72, 1.0), (0.71, 0.77)),
    "small": ((0.6, 0.9), (0.6, 0.9), (0.7, 0.76)),
    "side": ((0.38, 0.6), (0.38, 0.55), (0.42, 0.62)),
    "coffee": ((0.8, 1.35), (0.5, 0.8), (0.32, 0.48)),
    "bar": ((0.6, 0.8), (0.6, 0.8), (0.98, 1.12)),
    "console": ((0.9, 1.5), (0.3, 0.45), (0.72, 0.86)),
}
"""Ranges of width, depth and height in metres."""


def table(choices: Choices) -> Design:
    """A dining, small, bar or console table."""
    return build_table(choices, choices.pick("use", {"dining": 6, "small": 2, "bar": 1, "console": 1}))


def coffee_table(choices: Choices) -> Design:
    """A low table before a sofa, or one beside it."""
    return build_table(choices, choices.pick("use", {"coffee": 3, "side": 1.5}))


def build_table(choices: Choices, use: str) -> Design:
    """A top of any outline on legs, a pedestal, trestles, frames, panels or crossed legs."""
    wide, deep, high = SIZES[use]
    width, depth, height = (
        choices.number("width", *wide),
        choices.number("depth", *deep),
        choices.number("height", *high),
    )
    shape = choices.pick("outline", {"rectangle": 6, "rounded": 2, "round": 2 if use != "console" else 0, "oval": 0.8})
    if shape == "round":
        depth = width = min(width, max(depth, 0.38) * 1.2)
    outline = top_outline(choices, shape, width, depth)
    thick = choices.number("top thickness", 0.018, 0.05)
    top, wood = choose_top(choices)
    under = height - thick
    stand = choices.pick("stand", stands_for(use, shape))
    metal_stand = stand in ("hairpin", "star") or choices.chance("metal stand", 0.25)
    material = choose_metal(choices) if metal_stand else wood
    plate = slab(outline, (under, height), edge=choices.number("top edge", 0.002, 0.015))
    reach = (0.72, 0.72) if shape in ("round", "oval") else (1.0, 1.0)
    supports, worded = stand_of(choices, stand, width * reach[0], depth * reach[1], under + 0.003)
    parts = [Part("top", top, [plate]), Part("stand", material, supports)]
    if use in ("coffee", "side", "console") and stand == "legs" and choices.chance("shelf", 0.4):
        level = choices.number("shelf height", 0.1, 0.2)
        inner = slab(outline * (0.9 * reach[0]), (level, level + 0.02), edge=0.003)
        parts.append(Part("shelf", top if top is not GLASS else wood, [inner]))
        worded += " and a shelf below"
    if stand == "legs" and shape == "rectangle" and choices.chance("drawer", 0.2):
        drawer = min(0.4, width * 0.5)
        front = box((-drawer / 2, drawer / 2), (under - 0.1, under - 0.02), (depth / 2 - 0.06, depth / 2 - 0.016))
        knob = tube([(0, under - 0.06, depth / 2 - 0.02), (0, under - 0.06, depth / 2 + 0.008)], 0.024)
        parts.append(Part("drawer", material, [front, knob]))
    if use in ("dining", "small") and choices.chance("cloth", 0.06):
        parts = [
            Part(
                "cloth",
                choose_upholstery(choices, "cloth"),
                [tablecloth(outline, height, choices.number("drop", 0.2, 0.68))],
            ),
            Part("stand", material, supports),
        ]
    name = {
        "dining": "dining table",
        "small": "small table",
        "side": "side table",
        "coffee": "coffee table",
        "bar": "bar table",
        "console": "console table",
    }[use]
    shaped = f"{shape} " if shape in ("round", "oval") else ""
    return Design(
        sentence(f"{shaped}{name}", f"a top of {parts[0].material.name}", f"{worded} of {material.name}"), parts
    )


def top_outline(choices: Choices, shape: str, width: Number, depth: Number) -> Outline:
    """The outline of a table top."""
    if shape == "rectangle":
        return rectangle(width, depth)
    if shape == "rounded":
        return rectangle(width, depth, corner=choices.number("corner", 0.02, 0.2))
    return ellipse(width, depth, corners=40, power=2 if shape == "round" else choices.number("oval power", 2, 3.2))


def choose_top(choices: Choices) -> tuple[Material, Material]:
    """What the top is made of, and the wood of the rest."""
    wood = choose_wood(choices)
    kind = choices.pick("top", {"the same wood": 6, "other wood": 1.5, "glass": 1, "stone": 0.8, "lacquer": 1})
    if kind == "other wood":
        return choose_wood(choices, "top wood"), wood
    return {"glass": GLASS, "stone": choose_stone(choices), "lacquer": choose_paint(choices, "lacquer")}.get(
        kind, wood
    ), wood


def stands_for(use: str, shape: str) -> dict[str, Number]:
    """How often each stand carries a table of this use and outline."""
    if use == "bar":
        return {"pedestal": 3, "star": 1, "legs": 1}
    if shape == "round":
        return {"legs": 3, "pedestal": 2.5, "claws": 1.5, "star": 0.7, "hairpin": 0.5}
    if use in ("dining", "console"):
        return {"legs": 6, "trestle": 1.2, "frames": 1.2, "panels": 0.8, "crossed": 0.8, "T": 0.8, "hairpin": 0.4}
    if use == "small":
        return {"legs": 5, "frames": 0.6, "crossed": 0.6, "pedestal": 2, "hairpin": 0.5}
    return {
        "legs": 5,
        "frames": 1,
        "panels": 1,
        "crossed": 0.6,
        "pedestal": 0.8 if use == "side" else 0,
        "hairpin": 0.8,
        "block": 0.6,
    }


def stand_of(choices: Choices, stand: str, width: Number, depth: Number, under: Number) -> tuple[list[Solid], str]:
    """What carries a table top whose lower side is at `under`, and the words for it."""
    inset = choices.number("inset", 0.02, 0.1) * min(1.0, depth / 0.6)
    x, z = width / 2 - inset, depth / 2 - inset
    match stand:
        case "legs":
            legs = choose_leg(choices, 0.035, 0.09 if under > 0.6 else 0.06)
            splay = choices.number("splay", 0.02, 0.09) if choices.chance("splayed", 0.25) else 0.0
            lines = corner_lines(width, depth, under, splay=splay, inset=inset + legs.size / 2)
            solids = [legs.solid(line) for line in lines]
            if choices.chance("apron", 0.75):
                deep = choices.number("apron height", 0.05, 0.11)
                solids += apron(2 * x - legs.size * 0.5, 2 * z - legs.size * 0.5, (under - deep, under))
            tie = choices.pick("stretchers", {"none": 5, "H": 1, "box": 0.6, "sides": 0.4})
            return [*solids, *stretchers(tie, lines, 0.14, 0.03, flat=True)], f"{legs.style} legs"
        case "hairpin":
            return [hairpin(line) for line in corner_lines(width, depth, under, splay=0.03, inset=0.08)], "hairpin legs"
        case "pedestal":
            style = choices.pick("foot", {"disc": 2, "trumpet": 2, "cone": 1})
            wide = min(width, depth) * choices.number("foot width", 0.55, 0.8)
            column = choices.number("column", 0.05, 0.12)
            plate = box((-0.12, 0.12), (under - 0.02, under), (-0.12, 0.12))
            return [*pedestal(under, column, wide, style=style), plate], f"a {style} foot"
        case "star":
            arms = choices.count("arms", 3, 5)
            reach = min(width, depth) * 0.42
            foot = star(arms, reach, min(0.16, under * 0.3), 0.045, droop=1.0)
            return [*foot, bar((0, 0.08, 0), (0, under, 0), 0.06)], counted(arms, "arm")
        case "claws":
            column = choices.number("column", 0.08, 0.16)
            low = min(0.1, under * 0.25)
            shaft = [(low, 0.9), (0.3, 0.6), (0.45, 1.0), (0.65, 0.7), (1.0, 0.9)]
            solids = [bar((0, low, 0), (0, low + 0.14, 0), column)]
            solids.append(
                loft(
                    np.stack(
                        [
                            np.insert(ellipse(1, 1, corners=16) * column * wide, 1, low + (under - low) * at, axis=1)
                            for at, wide in shaft
                        ]
                    )
                )
            )
            arms = choices.count("claws", 3, 4)
            for index in range(arms):
                angle = 360 / arms * (index + 0.5)
                path = bend([(0, low + 0.12, 0), (width * 0.22, low + 0.1, 0), (width * 0.4, 0.022, 0)], 0.2)
                solids.append(tube(path, 0.044).rotate("y", angle))
            return solids, counted(arms, "claw")
        case "trestle":
            size, spread = choices.number("beam", 0.04, 0.08), choices.number("spread", 0.6, 0.9)
            solids = []
            for side in (-1, 1):
                at = side * (x - width * 0.08)
                ends = [bar((at, under, leg * z * 0.35), (at, 0, leg * z * spread), size, size) for leg in (-1, 1)]
                solids += [*ends, box((at - size / 2, at + size / 2), (under - size, under), (-z * 0.9, z * 0.9))]
                solids.append(bar((at, under * 0.45, -z * 0.6), (at, under * 0.45, z * 0.6), size * 0.7, size * 0.7))
            beam = box(
                (-x + width * 0.08, x - width * 0.08), (under * 0.42, under * 0.42 + size), (-size / 2, size / 2)
            )
            return [*solids, beam], "trestles"
        case "frames":
            size = choices.number("bar", 0.025, 0.07)
            solids = []
            for at in (-x, x):
                solids += [
                    bar((at, 0, side * (z - size / 2)), (at, under, side * (z - size / 2)), size, size)
                    for side in (-1, 1)
                ]
                solids += [
                    box((at - size / 2, at + size / 2), level, (-z, z)) for level in ((0, size), (under - size, under))
                ]
            if choices.chance("beam", 0.5):
                solids.append(box((-x, x), (under - size, under - 0.002), (-size / 2, size / 2)))
            return solids, "two frames"
        case "panels":
            board = choices.number("panel", 0.025, 0.06)
            solids = both_sides([box((x - board, x), (0, under), (-z, z))])
            solids.append(box((-x, x), (under * 0.55, under * 0.85), (-board / 2, board / 2)))
            return solids, "two panels"
        case "crossed":
            size = choices.number("beam", 0.04, 0.08)
            solids = [
                bar((at, under, side * z * 0.85), (at, 0, -side * z * 0.85), size * (0.98 if side > 0 else 1.0), size)
                for at in (-x + width * 0.06, x - width * 0.06)
                for side in (-1, 1)
            ]
            solids.append(
                box(
                    (-x + width * 0.06, x - width * 0.06),
                    (under / 2 - size / 2, under / 2 + size / 2),
                    (-size / 2, size / 2),
                )
            )
            return solids, "crossed legs"
        case "T":
            size = choices.number("column", 0.05, 0.1)
            solids = []
            for at in (-x + width * 0.08, x - width * 0.08):
                solids += [
                    bar((at, 0.02, 0), (at, under, 0), size, size * 0.8),
                    box((at - size * 0.45, at + size * 0.45), (0, 0.045), (-z, z)),
                    box((at - size * 0.45, at + size * 0.45), (under - 0.035, under), (-z * 0.9, z * 0.9)),
                ]
            solids.append(box((-x + width * 0.08, x - width * 0.08), (under - 0.12, under - 0.04), (-0.015, 0.015)))
            return solids, "T feet"
        case _:
            return [box((-x, x), (0.0, under), (-z, z))], "a closed block"


def tablecloth(outline: Outline, height: Number, drop: Number) -> Solid:
    """A cloth over a table top, whose sides hang down in folds."""
    drop = min(drop, height - 0.02)
    radius = np.linalg.norm(outline, axis=1)
    if len(outline) < 24:
        corners = np.concatenate([outline, outline[:1]])
        along = np.concatenate([np.linspace(a, b, 12, endpoint=False) for a, b in itertools.pairwise(corners)])
        outline, radius = along, np.linalg.norm(along, axis=1)
    wave = np.sin(np.arange(len(outline)) * 2 * np.pi / 6)
    rings = []
    for share in (1.0, 0.6, 0.3, 0.0):
        out = 1 + share * (0.05 + 0.03 * wave) * 0.5 / np.maximum(radius, 0.2)
        rings.append(np.insert(outline * out[:, None], 1, height + 0.004 - share * drop, axis=1))
    rings.append(np.insert(outline * 0.985, 1, height + 0.012, axis=1))
    return loft(np.stack(rings))
