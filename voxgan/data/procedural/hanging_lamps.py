"""Lamps that hang from a ceiling, on walls and in the street."""

import numpy as np

from voxgan.data.procedural.choices import Choices
from voxgan.data.procedural.furniture import Design, Part
from voxgan.data.procedural.legs import TURNINGS
from voxgan.data.procedural.materials import (
    GLASS,
    choose_metal,
    choose_paint,
    choose_upholstery,
    choose_wood,
)
from voxgan.data.procedural.shades import BULB, choose_shade, spider
from voxgan.data.procedural.solids import Solid, bar, bend, lathe, rectangle, shade, slab, spindle, tube
from voxgan.data.procedural.wording import counted, sentence


def pendant_lamp(choices: Choices) -> Design:
    """A rose, a cord, and a shade or a globe that hangs from it."""
    metal = choose_metal(choices)
    cord, radius, high = (
        choices.number("cord", 0.3, 1.0),
        choices.number("radius", 0.12, 0.32),
        choices.number("shade height", 0.12, 0.3),
    )
    form = choices.pick("hanging", {"dome": 3, "cone": 2, "globe": 1.5, "drum": 2, "bell": 1})
    material = choose_paint(choices) if choices.chance("lacquered", 0.5) else metal
    shares = np.linspace(0, 1, 9).tolist()
    profiles = {
        "dome": [(radius * max((1 - share**2) ** 0.5, 0.12), high * share) for share in shares],
        "cone": [(radius, 0), (0.03, high)],
        "drum": [(radius, 0), (radius, high)],
        "bell": [(0.03 + (radius - 0.03) * (1 - share) ** 2, high * share) for share in shares],
    }
    cable = 0.012
    if form == "globe":
        angles = np.linspace(-0.48 * np.pi, 0.48 * np.pi, 15)
        body, material, high = (
            lathe([(radius * 0.8 * float(np.cos(a)), radius * 0.8 * (1 + float(np.sin(a)))) for a in angles]),
            BULB,
            radius * 1.6,
        )
    else:
        body = shade(profiles[form], 0.007)
        material = choose_upholstery(choices, "shade fabric") if form == "drum" else material
    top = high + cord
    hold = [
        bar((0, high * (0.5 if form == "drum" else 0.96), 0), (0, top, 0), cable),
        lathe([(0.05, top - 0.03), (0.055, top)], sides=20),
    ]
    hold += (
        spider(radius, high * 0.8) if form == "drum" else [lathe([(0.04, high - 0.03), (0.024, high + 0.03)], sides=14)]
    )
    bulb = lathe([(0.012, high * 0.75), (0.03, high * 0.5), (0.03, high * 0.4), (0.005, high * 0.25)], sides=14)
    parts = [Part("shade", material, [body]), Part("cord", metal, hold)]
    parts += [] if form == "globe" else [Part("bulb", BULB, [bulb])]
    return Design(sentence("pendant lamp", f"a {form} of {material.name}"), parts)


def chandelier(choices: Choices) -> Design:
    """Arms around a turned stem, each with a candle, a shade or a globe, hanging from a chain."""
    metal = choose_metal(choices) if choices.chance("metal", 0.8) else choose_wood(choices)
    arms, radius = choices.count("arms", 3, 10), choices.number("radius", 0.24, 0.45)
    stem, chain, sag = (
        choices.number("stem", 0.25, 0.5),
        choices.number("chain", 0.1, 0.6),
        choices.number("sag", 0.04, 0.16),
    )
    light = choices.pick("lights", {"candles": 3, "shades": 2, "globes": 1.5})
    base = 0.03
    profile = [(at, 0.08 * wide) for at, wide in TURNINGS[choices.pick("turning", list(TURNINGS))]]
    frame = [
        spindle((0, base + stem, 0), (0, base, 0), profile, sides=14),
        bar((0, base + stem - 0.01, 0), (0, base + stem + chain, 0), 0.014),
        lathe([(0.05, base + stem + chain - 0.03), (0.055, base + stem + chain)], sides=16),
    ]
    lights: list[Solid] = []
    for index in range(arms):
        angle = 360 * index / arms
        top = base + sag + 0.05
        path = bend(
            [(0.01, base + stem * 0.25, 0), (radius * 0.45, base - 0.02, 0), (radius, base, 0), (radius, top, 0)], 0.12
        )
        pieces = [
            tube(path, 0.016),
            lathe([(0.012, 0), (0.036, 0.012), (0.036, 0.018)], sides=12).move(radius, top - 0.01),
        ]
        if light == "candles":
            glow = lathe([(0.013, 0), (0.013, 0.09), (0.018, 0.1), (0.018, 0.12), (0.003, 0.15)], sides=10).move(
                radius, top
            )
        elif light == "globes":
            glow = lathe([(0.02, 0), (0.05, 0.02), (0.065, 0.06), (0.05, 0.1), (0.01, 0.12)], sides=14).move(
                radius, top
            )
        else:
            glow = shade([(0.075, 0.02), (0.045, 0.12)], 0.006, sides=16).move(radius, top)
            pieces.append(bar((radius, top, 0), (radius, top + 0.1, 0), 0.02))
            pieces.append(bar((radius - 0.056, top + 0.075, 0), (radius + 0.056, top + 0.075, 0), 0.008))
        frame += [piece.rotate("y", angle) for piece in pieces]
        lights.append(glow.rotate("y", angle))
    cover = choose_upholstery(choices, "shade fabric") if light == "shades" else BULB
    parts = [Part("frame", metal, frame), Part("lights", cover, lights)]
    return Design(sentence(f"chandelier of {metal.name}", counted(arms, "arm"), light), parts)


def wall_lamp(choices: Choices) -> Design:
    """A plate at the wall, an arm, and a shade, a globe or a spot."""
    metal = choose_metal(choices)
    reach, high = choices.number("reach", 0.1, 0.3), choices.number("shade height", 0.1, 0.2)
    outline = rectangle(0.1, choices.number("plate", 0.1, 0.24), corner=choices.number("plate corner", 0.005, 0.049))
    plate = slab(outline, (-0.01, 0.01)).rotate("x", 90).move(0, 0.12, 0.01)
    rise = choices.number("rise", 0.0, 0.1)
    arm = tube(bend([(0, 0.12, 0.01), (0, 0.1, reach), (0, 0.13 + rise, reach)], 0.05), 0.016)
    form = choices.pick("lights", {"shade": 3, "globe": 1.5, "spot": 1.5})
    at = 0.12 + rise
    if form == "globe":
        lit, material = (
            lathe([(0.02, 0), (0.06, 0.02), (0.08, 0.075), (0.06, 0.13), (0.01, 0.15)], sides=18).move(0, at, reach),
            BULB,
        )
    elif form == "spot":
        lit, material = (
            spindle(
                (0, at + 0.02, reach - 0.05),
                (0, at - 0.03, reach + high),
                [(0, 0.06), (0.3, 0.075), (1, 0.12)],
                sides=18,
            ),
            metal,
        )
    else:
        lit, material, _ = choose_shade(choices, choices.number("shade radius", 0.07, 0.13), high)
        lit = lit.move(0, at - 0.02, reach)
    hold = [bar((0, at, reach), (0, at + 0.06, reach), 0.02)]
    if form == "shade":
        hold.append(bar((-0.05, at + 0.045, reach), (0.05, at + 0.045, reach), 0.006))
    parts = [Part("holder", metal, [plate, arm, *hold]), Part(form, material, [lit])]
    return Design(sentence(f"wall lamp of {metal.name}", f"a {form}"), parts)


def lantern(choices: Choices) -> Design:
    """Panes between four or six posts, under a roof with a ring."""
    metal = choose_metal(choices) if choices.chance("metal", 0.7) else choose_wood(choices)
    wide, tall, roof = (
        choices.number("width", 0.12, 0.22),
        choices.number("height", 0.18, 0.36),
        choices.number("roof", 0.04, 0.12),
    )
    sides, taper = (6 if choices.chance("six sides", 0.35) else 4), choices.number("taper", 0.75, 1.15)
    angles = np.pi / sides + np.arange(sides) * 2 * np.pi / sides
    unit = np.stack([np.cos(angles), np.sin(angles)], 1) / np.sqrt(2)
    rim = unit * wide
    posts = [bar((x * taper, 0.02, z * taper), (x, tall, z), 0.014) for x, z in rim]
    frame = [
        slab(rim * taper * 1.12, (0, 0.03)),
        slab(rim * 1.12, (tall - 0.015, tall + 0.012)),
        slab(rim * 1.2, (tall + 0.01, tall + 0.012 + roof), taper=1.0),
    ]
    top = frame[-1].vertices.copy()
    top[:, [0, 2]] *= np.where(top[:, 1:2] > tall + 0.02, 0.3, 1.0)
    frame[-1] = Solid(top, frame[-1].faces)
    peak = tall + roof
    ring = [
        (0.03 * np.cos(a), peak + 0.035 + 0.03 * np.sin(a), 0) for a in np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ]
    frame += [tube(ring, 0.008, closed=True), bar((0, peak - 0.01, 0), (0, peak + 0.012, 0), 0.02)]
    panes = slab(rim * 0.93, (0.02, tall - 0.005), taper=taper)
    if choices.chance("chain", 0.4):
        frame.append(bar((0, peak + 0.055, 0), (0, peak + choices.number("chain length", 0.15, 0.5), 0), 0.01))
    glow = GLASS if choices.chance("clear panes", 0.4) else BULB
    return Design(
        sentence(f"lantern of {metal.name}", f"{counted(sides, 'pane')} of {glow.name}"),
        [Part("frame", metal, [*frame, *posts]), Part("panes", glow, [panes])],
    )


def street_lamp(choices: Choices) -> Design:
    """A tall post with a globe or a lantern on top, or one or two arms that reach out."""
    metal = choose_metal(choices)
    tall, foot = choices.number("height", 2.2, 4.2), choices.number("foot", 0.12, 0.24)
    post = spindle(
        (0, 0, 0),
        (0, tall, 0),
        [(0, foot), (0.05, foot), (0.08, foot * 0.6), (0.15, foot * 0.45), (1, foot * 0.3)],
        sides=14,
    )
    head = choices.pick("head", {"globe": 2, "lantern": 2, "arms": 2})
    size = choices.number("head size", 0.14, 0.24)
    frame, lights = [post], []
    if head == "globe":
        angles = np.linspace(-0.46 * np.pi, 0.46 * np.pi, 13)
        lights.append(lathe([(size * float(np.cos(a)), tall + size * 0.9 + size * float(np.sin(a))) for a in angles]))
        frame.append(lathe([(foot * 0.3, tall - 0.05), (size * 0.6, tall + 0.02)], sides=16))
    elif head == "lantern":
        outline = rectangle(2 * size, 2 * size)
        lights.append(slab(outline * 0.8, (tall, tall + size * 2.2), taper=0.65))
        frame += [
            slab(outline * 0.62, (tall - 0.03, tall + 0.03)),
            slab(outline, (tall + size * 2.15, tall + size * 2.3)),
            lathe([(size * 1.1, tall + size * 2.28), (0.03, tall + size * 2.9)], sides=4),
        ]
    else:
        for side in (-1, 1)[: choices.count("arms", 1, 2)]:
            reach = choices.number("reach", 0.4, 0.9)
            frame.append(
                tube(
                    bend([(0, tall - 0.3, 0), (side * reach * 0.4, tall, 0), (side * reach, tall - 0.05, 0)], 0.3), 0.05
                )
            )
            frame.append(
                shade([(size, 0), (size * 0.5, size * 0.6), (0.03, size * 0.8)], 0.01, sides=20).move(
                    side * reach, tall - 0.08 - size * 0.6
                )
            )
            lights.append(
                lathe([(size * 0.5, 0), (size * 0.45, size * 0.3), (0.05, size * 0.5)], sides=16).move(
                    side * reach, tall - 0.1 - size * 0.5
                )
            )
    return Design(
        sentence(f"street lamp of {metal.name}", {"arms": "arms"}.get(head, f"a {head}")),
        [Part("post", metal, frame), Part("lights", BULB, lights)],
    )
