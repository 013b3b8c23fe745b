"""Lamps that stand on tables and floors, and the choice among all lamps."""

import numpy as np

from voxgan.data.procedural.choices import Choices
from voxgan.data.procedural.furniture import Design, Part
from voxgan.data.procedural.hanging_lamps import chandelier, lantern, pendant_lamp, street_lamp, wall_lamp
from voxgan.data.procedural.legs import TURNINGS
from voxgan.data.procedural.materials import (
    choose_metal,
    choose_paint,
    choose_wood,
)
from voxgan.data.procedural.shades import BULB, choose_body, choose_shade, spider
from voxgan.data.procedural.solids import Point, Solid, bar, bend, box, lathe, rectangle, shade, slab, spindle, tube
from voxgan.data.procedural.wording import sentence

STYLES = {
    "table": 5.0,
    "floor": 3.0,
    "tripod": 1.0,
    "arc": 0.8,
    "desk": 2.0,
    "pendant": 3.0,
    "chandelier": 2.0,
    "wall": 1.0,
    "lantern": 1.0,
    "street": 0.8,
}


def lamp(choices: Choices) -> Design:
    """A lamp of one of ten styles."""
    programs = {
        "table": table_lamp,
        "floor": floor_lamp,
        "tripod": tripod_lamp,
        "arc": arc_lamp,
        "desk": desk_lamp,
        "pendant": pendant_lamp,
        "chandelier": chandelier,
        "wall": wall_lamp,
        "lantern": lantern,
        "street": street_lamp,
    }
    return programs[choices.pick("style", STYLES)](choices)


def table_lamp(choices: Choices) -> Design:
    """A turned or thrown foot with a shade on top."""
    body, metal = choose_body(choices), choose_metal(choices)
    tall, wide = choices.number("foot height", 0.16, 0.42), choices.number("foot width", 0.06, 0.17)
    radius, high = choices.number("shade radius", 0.12, 0.24), choices.number("shade height", 0.14, 0.28)
    form = choices.pick("foot", {"turned": 3, "vase": 3, "ball": 1, "column": 2, "block": 1})
    plate = choices.number("plate", 0.5, 0.8) * radius
    foot: list[Solid] = []
    match form:
        case "turned":
            profile = [
                (1 - at, wide * scale) for at, scale in reversed(TURNINGS[choices.pick("turning", list(TURNINGS))])
            ]
            foot = [
                spindle((0, 0.015, 0), (0, tall, 0), profile, sides=20),
                lathe([(plate, 0), (plate, 0.014), (plate * 0.8, 0.026)]),
            ]
        case "vase":
            belly, neck, at = wide * choices.number("belly", 0.6, 1.0), wide * 0.2, choices.number("belly at", 0.3, 0.7)
            shares = np.linspace(0, 1, 15)
            above = np.maximum(shares - at, 0) / (1 - at)
            rise = np.where(shares < at, np.sin(shares / at * np.pi / 2), np.cos(above * 1.57) ** 0.8)
            radii = (
                np.where(shares < at, 0.55 * belly, neck) + (belly - np.where(shares < at, 0.55 * belly, neck)) * rise
            )
            foot = [lathe(list(zip(radii.tolist(), (shares * tall).tolist(), strict=True)))]
        case "ball":
            angles = np.linspace(-0.46 * np.pi, 0.46 * np.pi, 13)
            half = min(wide, tall / 2)
            foot = [lathe([(half * float(np.cos(a)), half + half * float(np.sin(a))) for a in angles])]
            tall = 2 * half
        case "block":
            foot = [
                slab(
                    rectangle(wide * 1.3, wide * 1.3),
                    (0, tall),
                    edge=0.008,
                    taper=choices.number("block taper", 0.7, 1.3),
                )
            ]
        case _:
            foot = [
                lathe([(plate, 0), (plate, 0.018)]),
                bar((0, 0.01, 0), (0, tall, 0), choices.number("column", 0.015, 0.05)),
            ]
    top, cover, word = choose_shade(choices, radius, high)
    base = tall + choices.number("neck", 0.0, 0.06)
    hold = [bar((0, tall - 0.01, 0), (0, base + high * 0.8, 0), 0.014), *spider(radius * 0.5, base + high * 0.45)]
    parts = [Part("foot", body, foot), Part("rod", metal, hold), Part("shade", cover, [top.move(y=base)])]
    return Design(sentence("table lamp", f"a {form} foot of {body.name}", word), parts)


def floor_lamp(choices: Choices) -> Design:
    """A disc, a pole, and a shade or a bowl that shines upward."""
    metal = choose_metal(choices) if choices.chance("metal pole", 0.7) else choose_wood(choices)
    tall, plate = choices.number("height", 1.25, 1.75), choices.number("foot radius", 0.11, 0.17)
    pole, radius = choices.number("pole", 0.016, 0.035), choices.number("shade radius", 0.15, 0.26)
    foot = [
        lathe([(plate, 0), (plate, 0.016), (plate * 0.8, 0.028), (pole, 0.036)]),
        bar((0, 0.02, 0), (0, tall, 0), pole),
    ]
    if choices.chance("uplight", 0.3):
        bowl = shade([(0.03, 0), (radius * 0.7, 0.05), (radius, 0.12)], 0.008).move(y=tall - 0.04)
        parts = [
            Part("pole", metal, [*foot, lathe([(0.04, tall - 0.045), (0.04, tall - 0.02)])]),
            Part("bowl", metal if choices.chance("metal bowl", 0.5) else BULB, [bowl]),
        ]
        return Design(sentence(f"floor lamp of {metal.name}", "a bowl that shines upward"), parts)
    high = choices.number("shade height", 0.18, 0.34)
    top, cover, word = choose_shade(choices, radius, high)
    base = tall - high * 0.6
    parts = [
        Part("pole", metal, [*foot, *spider(radius * 0.5, base + high * 0.45)]),
        Part("shade", cover, [top.move(y=base)]),
    ]
    if choices.chance("tray", 0.12):
        parts.append(Part("tray", metal, [lathe([(0.17, 0), (0.17, 0.018)]).move(y=tall * 0.4)]))
    return Design(sentence(f"floor lamp of {metal.name}", word), parts)


def tripod_lamp(choices: Choices) -> Design:
    """A shade on three legs that lean together."""
    wood = choose_wood(choices) if choices.chance("wooden", 0.75) else choose_metal(choices)
    tall, spread, radius = (
        choices.number("height", 0.9, 1.4),
        choices.number("spread", 0.22, 0.36),
        choices.number("shade radius", 0.18, 0.28),
    )
    angles = np.radians(90 + np.array([0, 120, 240]))
    thick = choices.number("leg", 0.022, 0.04)
    legs = [
        bar((spread * np.cos(a), 0, spread * np.sin(a)), (-0.02 * np.cos(a), tall, -0.02 * np.sin(a)), thick)
        for a in angles
    ]
    high = choices.number("shade height", 0.2, 0.32)
    top, cover, word = choose_shade(choices, radius, high)
    hub = lathe([(0.05, tall - 0.06), (0.05, tall - 0.02)], sides=16)
    hold = [hub, bar((0, tall - 0.05, 0), (0, tall + high * 0.6, 0), 0.014), *spider(radius * 0.5, tall + high * 0.4)]
    return Design(
        sentence(f"tripod lamp of {wood.name}", word),
        [
            Part("legs", wood, legs),
            Part("rod", choose_metal(choices), hold),
            Part("shade", cover, [top.move(y=tall - 0.02)]),
        ],
    )


def arc_lamp(choices: Choices) -> Design:
    """A heavy foot at one side, and a pole that curves over to a dome."""
    metal, foot = choose_metal(choices), choose_body(choices)
    tall, reach, radius = (
        choices.number("height", 1.6, 2.0),
        choices.number("reach", 0.6, 1.1),
        choices.number("shade radius", 0.14, 0.24),
    )
    angles = np.linspace(np.pi, 0.12 * np.pi, 17)
    rise = choices.number("upright", 0.5, 1.0)
    path = [(-reach / 2, 0.05, 0), *((reach * 0.5 * np.cos(a), rise + (tall - rise) * np.sin(a), 0.0) for a in angles)]
    pole = tube(np.array(path), choices.number("pole", 0.018, 0.03))
    end = path[-1]
    dome = shade([(radius, -radius * 0.8), (radius * 0.9, -radius * 0.35), (radius * 0.6, -0.03), (0.03, 0.01)], 0.008)
    block = (
        box((-reach / 2 - 0.14, -reach / 2 + 0.14), (0, 0.09), (-0.14, 0.14))
        if choices.chance("square foot", 0.5)
        else lathe([(0.17, 0), (0.17, 0.05)]).move(-reach / 2)
    )
    mirrored = choices.chance("to the left", 0.5)
    parts = [
        Part("foot", foot, [block]),
        Part("pole", metal, [pole]),
        Part(
            "shade",
            metal,
            [dome.move(end[0], end[1], 0), lathe([(0.03, -0.03), (0.04, 0.02)], sides=12).move(end[0], end[1])],
        ),
    ]
    if mirrored:
        parts = [Part(part.name, part.material, [solid.mirror() for solid in part.solids]) for part in parts]
    return Design(sentence(f"arc lamp of {metal.name}", f"a foot of {foot.name}"), parts)


def desk_lamp(choices: Choices) -> Design:
    """A foot, one or two arms with joints or one that is bent, and a head that looks down to the front."""
    metal = choose_metal(choices) if choices.chance("metal", 0.5) else choose_paint(choices)
    plate, pipe = choices.number("foot radius", 0.07, 0.12), choices.number("arm", 0.01, 0.022)
    lower, upper = choices.number("lower arm", 0.2, 0.4), choices.number("upper arm", 0.15, 0.36)
    back, fore = np.radians(choices.number("lower angle", 75, 125)), np.radians(choices.number("upper angle", -5, 60))
    elbow: Point = (0.0, 0.03 + lower * float(np.sin(back)), lower * float(np.cos(back)))
    wrist: Point = (0.0, elbow[1] + upper * float(np.sin(fore)), elbow[2] + upper * float(np.cos(fore)))
    arms = [lathe([(plate, 0), (plate, 0.014), (plate * 0.75, 0.026), (0.02, 0.04)])]
    if choices.chance("bent arm", 0.35):
        arms.append(tube(bend([(0, 0.02, 0), elbow, wrist], 0.12), pipe))
    else:
        arms += [bar((0, 0.02, 0), elbow, pipe), bar(elbow, wrist, pipe)]
        arms += [
            lathe([(pipe, -pipe), (pipe, pipe)], sides=12).rotate("z", 90).move(*joint) for joint in (elbow, wrist)
        ]
    radius, long = choices.number("head radius", 0.055, 0.1), choices.number("head length", 0.1, 0.18)
    tilt = choices.number("head tilt", 15, 65)
    hood = shade(
        [(radius, -long), (radius * 0.95, -long * 0.6), (radius * 0.45, -long * 0.1), (0.02, 0.015)], 0.005, sides=20
    )
    cap = lathe([(0.022, -0.02), (0.024, 0.025)], sides=14)
    bulb = lathe([(0.012, -0.02), (0.028, -long * 0.5), (0.02, -long * 0.72), (0.004, -long * 0.78)], sides=12)
    turn = choices.number("turned by", -50, 50)
    head, cap, bulb = (each.rotate("x", -tilt).move(*wrist) for each in (hood, cap, bulb))
    parts = [
        Part("arms", metal, [each.rotate("y", turn) for each in arms]),
        Part("head", metal, [each.rotate("y", turn) for each in (head, cap)]),
        Part("bulb", BULB, [bulb.rotate("y", turn)]),
    ]
    return Design(sentence(f"desk lamp of {metal.name}", "a hood that turns"), parts)
