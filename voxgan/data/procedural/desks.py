"""Desks, on drawers, cupboards, panels or legs."""

import itertools

import numpy as np

from voxgan.data.procedural.backs import both_sides
from voxgan.data.procedural.choices import Choices, Number
from voxgan.data.procedural.fronts import Front, build_fronts, carcass
from voxgan.data.procedural.furniture import Design, Part
from voxgan.data.procedural.materials import (
    MIRROR,
    Material,
    choose_metal,
    choose_paint,
    choose_wood,
)
from voxgan.data.procedural.solids import (
    Solid,
    bar,
    box,
    ellipse,
    rectangle,
    slab,
)
from voxgan.data.procedural.wording import sentence


def desk(choices: Choices) -> Design:
    """A desk: each side on drawers, a cupboard, a panel or legs; with a return, a hutch or a mirror now and then."""
    wood = choose_wood(choices)
    fronts = wood if choices.chance("fronts of the same wood", 0.6) else choose_paint(choices, "front paint")
    metal = choose_metal(choices)
    width, depth, height = (
        choices.number("width", 0.9, 1.8),
        choices.number("depth", 0.5, 0.8),
        choices.number("height", 0.71, 0.77),
    )
    thick = choices.number("top thickness", 0.02, 0.04)
    under, x, z = height - thick + 0.003, width / 2, depth / 2
    parts = [Part("top", wood, [box((-x, x), (height - thick, height), (-z, z))])]
    left = choices.pick("left", {"drawers": 2, "panel": 2, "legs": 3, "cupboard": 1})
    right = choices.pick("right", {"drawers": 2.5, left if left in ("panel", "legs") else "panel": 3, "cupboard": 1})
    unit = min(choices.number("pedestal width", 0.32, 0.48), width * 0.38)
    bodies: list[Solid] = []
    pulled: list[Front] = []
    metal_legs = choices.chance("metal legs", 0.5)
    stand: list[Solid] = []
    size = choices.number("leg size", 0.03, 0.06)
    for side, support in ((-1, left), (1, right)):
        outer, inner = side * (x - 0.012), side * (x - unit)
        span = (min(outer, inner), max(outer, inner))
        if support in ("drawers", "cupboard"):
            bodies += carcass(span, (0.04, under), (-z + 0.03, z - 0.04), 0.018)
            bodies.append(box((span[0] + 0.02, span[1] - 0.02), (0, 0.05), (-z + 0.05, z - 0.08)))
            count = choices.count(f"drawers {'left' if side < 0 else 'right'}", 2, 4)
            if support == "cupboard":
                pulled.append(Front("door", span, (0.05, under - 0.015), hinge=side))
            else:
                edges = np.linspace(0.05, under - 0.015, count + 1)
                pulled += [Front("drawer", span, (low, high)) for low, high in itertools.pairwise(edges)]
        elif support == "panel":
            bodies.append(
                box(
                    (min(outer, outer - side * 0.03), max(outer, outer - side * 0.03)),
                    (0, under),
                    (-z + 0.02, z - 0.02),
                )
            )
        else:
            stand += [
                bar((side * (x - size), 0, at), (side * (x - size), under, at), size, size)
                for at in (-z + size, z - size)
            ]
            stand.append(
                box(
                    (side * (x - size) - size * 0.4, side * (x - size) + size * 0.4),
                    (under - 0.06, under),
                    (-z + size, z - size),
                )
            )
    if choices.chance("modesty panel", 0.6):
        bodies.append(
            box(
                (-x + 0.02, x - 0.02),
                (under - choices.number("panel height", 0.2, 0.5), under),
                (-z + 0.06, -z + 0.078),
            )
        )
    elif stand:
        stand.append(box((-x + size, x - size), (under - 0.06, under), (-z + size * 0.6, -z + size * 1.2)))
    parts += [Part("body", wood, bodies)] if bodies else []
    parts += [Part("legs", metal if metal_legs else wood, stand)] if stand else []
    parts += build_fronts(choices, pulled, z - 0.04, fronts, metal)
    free = [side for side, support in ((-1, left), (1, right)) if support in ("panel", "legs")]
    extras = {"none": 5, "return": 1.2 if free else 0, "hutch": 1, "mirror": 0.5, "riser": 0.8}
    extra = choices.pick("extra", extras)
    if extra == "return":
        parts.append(Part("return", wood, side_return(choices, free[-1], width, depth, height, thick)))
    else:
        parts += extra_of(choices, extra, wood, width, depth, height)
    said = {
        "none": "",
        "return": "a return at one side",
        "hutch": "a hutch above",
        "mirror": "a mirror",
        "riser": "a riser",
    }[extra]
    return Design(sentence(f"desk of {wood.name}", f"{left} on the left", f"{right} on the right", said), parts)


def side_return(
    choices: Choices, side: int, width: Number, depth: Number, height: Number, thick: Number
) -> list[Solid]:
    """A second top that goes on to the front at the left, -1, or right, 1, on a panel at its end."""
    x, z, long = width / 2, depth / 2, choices.number("return length", 0.5, 0.9)
    near, far = sorted((side * x, side * (x - 0.45)))
    top = box((near, far), (height - thick, height - 0.0005), (z - 0.01, z + long))
    panel = box((near + 0.03, far - 0.03), (0, height - thick + 0.003), (z + long - 0.06, z + long - 0.03))
    return [top, panel]


def extra_of(choices: Choices, extra: str, wood: Material, width: Number, depth: Number, height: Number) -> list[Part]:
    """What stands on a desk."""
    x, z = width / 2, depth / 2
    match extra:
        case "hutch":
            tall = choices.number("hutch height", 0.35, 0.6)
            shelves = carcass((-x, x), (height - 0.004, height + tall), (-z, -z + 0.27), 0.018)
            columns = choices.count("columns", 1, 3)
            shelves += [
                box((at - 0.009, at + 0.009), (height, height + tall - 0.01), (-z + 0.005, -z + 0.26))
                for at in np.linspace(-x, x, columns + 1)[1:-1]
            ]
            shelves.append(
                box(
                    (-x + 0.01, x - 0.01), (height + tall * 0.55, height + tall * 0.55 + 0.018), (-z + 0.005, -z + 0.25)
                )
            )
            return [Part("hutch", wood, shelves)]
        case "mirror":
            wide, tall = width * choices.number("mirror width", 0.4, 0.75), choices.number("mirror height", 0.5, 0.75)
            outline = ellipse(wide, tall) if choices.chance("oval mirror", 0.5) else rectangle(wide, tall, corner=0.02)
            frame = slab(outline, (-0.015, 0.015)).rotate("x", 90).move(0, height + tall / 2 + 0.04, -z + 0.06)
            glass = slab(outline * 0.9, (-0.004, 0.02)).rotate("x", 90).move(0, height + tall / 2 + 0.04, -z + 0.06)
            holders = both_sides(
                [bar((wide * 0.3, height - 0.004, -z + 0.05), (wide * 0.3, height + tall * 0.5, -z + 0.05), 0.03, 0.02)]
            )
            return [Part("mirror frame", wood, [frame, *holders]), Part("mirror", MIRROR, [glass])]
        case "riser":
            wide, tall = width * choices.number("riser width", 0.4, 1.0), choices.number("riser height", 0.1, 0.18)
            shelf = [box((-wide / 2, wide / 2), (height + tall - 0.02, height + tall), (-z, -z + 0.24))]
            shelf += both_sides(
                [box((wide / 2 - 0.02, wide / 2), (height - 0.003, height + tall - 0.01), (-z + 0.001, -z + 0.239))]
            )
            return [Part("riser", wood, shelf)]
    return []
