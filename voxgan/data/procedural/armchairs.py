"""Armchairs, office chairs, loungers and stools."""

import numpy as np

from voxgan.data.procedural.backs import Back, both_sides
from voxgan.data.procedural.chairs import bent_seat
from voxgan.data.procedural.choices import Choices
from voxgan.data.procedural.furniture import Design, Part
from voxgan.data.procedural.legs import castors, choose_leg, corner_lines, pedestal, sled, star, stretchers
from voxgan.data.procedural.materials import (
    RUBBER,
    choose_metal,
    choose_plastic,
    choose_upholstery,
    choose_wood,
)
from voxgan.data.procedural.sofas import framed_couch, upholstered_couch
from voxgan.data.procedural.solids import (
    Solid,
    bar,
    bend,
    box,
    cushion,
    ellipse,
    loft,
    rectangle,
    slab,
    sweep,
    tube,
)
from voxgan.data.procedural.wording import counted, sentence


def armchair(choices: Choices) -> Design:
    """A sofa for one, a tub, a wing chair, a wooden frame with cushions, or a lounge chair of one shell."""
    style = choices.pick("style", {"club": 4, "tub": 2, "wing": 1.5, "framed": 2.5, "lounge": 2})
    programs = {"tub": tub_chair, "wing": wing_chair, "lounge": lounge_chair}
    if style == "club":
        return upholstered_couch(choices, 1)
    return framed_couch(choices, 1) if style == "framed" else programs[style](choices)


def tub_chair(choices: Choices) -> Design:
    """A round wall that is high behind and lower at the sides, with a cushion in it."""
    fabric, wood = choose_upholstery(choices), choose_wood(choices)
    width, depth = choices.number("width", 0.62, 0.86), choices.number("depth", 0.6, 0.82)
    foot, seat = choices.number("leg height", 0.04, 0.26), choices.number("seat height", 0.38, 0.46)
    low, high = choices.number("arm height", 0.54, 0.7), choices.number("back height", 0.7, 0.88)
    thick, opening = choices.number("wall", 0.05, 0.12), choices.number("opening", 35, 62)
    angles = np.radians(np.linspace(270 - 180 + opening, 270 + 180 - opening, 25))
    rear = (1 + np.cos(angles - np.radians(270))) / 2
    tops = low + (high - low) * np.clip((rear - 0.3) / 0.7, 0, 1) ** 1.2
    outline = rectangle(1.0, 1.0, corner=0.4)
    rings = []
    for angle, top in zip(angles, tops, strict=True):
        outward = np.array([np.cos(angle), 0, np.sin(angle)])
        centre = outward * [width / 2 - thick / 2, 0, depth / 2 - thick / 2]
        section = outline * [thick, top - foot]
        rings.append(centre + section[:, :1] * outward + (section[:, 1:] + (top + foot) / 2) * [0.0, 1, 0])
    wall = loft(np.array(rings))
    base = slab(ellipse(width - thick, depth - thick, power=2.6), (foot, seat - 0.1), edge=0.01).move(z=0.01)
    soft = slab(ellipse(width - 1.6 * thick, depth - 1.3 * thick, power=2.6), (seat - 0.13, seat), edge=0.04).move(
        z=0.03
    )
    lines = corner_lines(width * 0.68, depth * 0.68, foot + 0.02, splay=min(0.03, foot / 4))
    legs = [bar(line.top, line.foot, 0.045, taper=0.6) for line in lines]
    parts = [
        Part("wall", fabric, [wall]),
        Part("base", fabric, [base]),
        Part("cushion", fabric, [soft]),
        Part("legs", wood, legs),
    ]
    return Design(sentence(f"tub chair in {fabric.name}", f"legs of {wood.name}"), parts)


def wing_chair(choices: Choices) -> Design:
    """A high back with wings beside the head, arms that may be rolled, and legs."""
    fabric, wood = choose_upholstery(choices), choose_wood(choices)
    inside, arm = choices.number("seat width", 0.5, 0.6), choices.number("arm width", 0.08, 0.14)
    depth, foot = choices.number("depth", 0.74, 0.88), choices.number("leg height", 0.1, 0.2)
    seat, arm_top, tall = (
        choices.number("seat height", 0.42, 0.48),
        choices.number("arm height", 0.58, 0.68),
        choices.number("back height", 1.0, 1.18),
    )
    lean, x, rear, front = choices.number("lean", 6, 14), inside / 2, -depth / 2, depth / 2
    base = slab(rectangle(inside + 2 * arm, depth - 0.03, corner=0.03), (foot, seat - 0.1), edge=0.015)
    soft = cushion((-x, x), (seat - 0.13, seat), (rear + 0.12, front + 0.02), softness=0.25)
    about = (0.0, seat - 0.1, rear + 0.07)
    rest = (
        slab(rectangle(inside + 2 * arm * 0.7, 0.13, corner=0.05), (foot + 0.02, tall), edge=0.05)
        .move(z=rear + 0.07)
        .rotate("x", -lean, about=about)
    )
    arms = both_sides(
        [slab(rectangle(arm, depth - 0.04, corner=0.03), (foot + 0.01, arm_top), edge=0.03).move(x + arm / 2)]
    )
    reach = choices.number("wing depth", 0.16, 0.28)
    wing = slab(
        rectangle(arm * 0.6, reach, corner=0.02),
        (arm_top - 0.05, tall - choices.number("wing drop", 0.03, 0.16)),
        edge=0.03,
    )
    wings = both_sides([wing.move(x + arm * 0.2, 0, rear + 0.07 + reach / 2).rotate("x", -lean, about=about)])
    legs = choose_leg(choices, 0.04, 0.06, styles={"tapered": 2, "conical": 1, "turned": 1.5})
    lines = corner_lines(inside + 2 * arm, depth, foot + 0.02, rear_splay=0.03, inset=0.05)
    parts = [
        Part("seat", fabric, [base, soft]),
        Part("back", fabric, [rest]),
        Part("wings", fabric, wings),
        Part("arms", fabric, arms),
        Part("legs", wood, [legs.solid(line) for line in lines]),
    ]
    return Design(sentence(f"wing chair in {fabric.name}", f"{legs.style} legs of {wood.name}"), parts)


def lounge_chair(choices: Choices) -> Design:
    """A low, wide shell that leans far back, padded, on a star, a disc or a sled."""
    outside = choose_wood(choices) if choices.chance("wooden shell", 0.35) else choose_plastic(choices)
    fabric, metal = choose_upholstery(choices), choose_metal(choices)
    width, depth = choices.number("width", 0.58, 0.78), choices.number("depth", 0.5, 0.6)
    height, rise = choices.number("seat height", 0.36, 0.42), choices.number("back height", 0.38, 0.66)
    lean, wings = choices.number("lean", 16, 30), choices.number("wings", 0.0, 0.3)
    top = choices.number("top width", 0.6, 0.95)
    sheet = bent_seat(width, depth, rise, height, lean=lean, wings=wings, top=top, thickness=0.02)
    pad = bent_seat(
        width * 0.84, depth * 0.96, rise * 0.95, height + 0.055, lean=lean, wings=wings * 0.5, top=top, thickness=0.058
    )
    parts = [Part("shell", outside, [sheet]), Part("padding", fabric, [pad.move(z=0.015)])]
    under = height - 0.02
    match choices.pick("base", {"star": 2, "disc": 1.5, "trumpet": 1, "sled": 1, "legs": 1.5}):
        case "star":
            arms = choices.count("arms of the star", 4, 5)
            parts.append(
                Part("foot", metal, [*star(arms, 0.32, 0.09, 0.035, droop=1.0), bar((0, 0.05, 0), (0, under, 0), 0.06)])
            )
        case "sled":
            rails = [
                bar((-width * 0.36, under - 0.005, z), (width * 0.36, under - 0.005, z), 0.02) for z in (-0.12, 0.14)
            ]
            parts.append(
                Part("foot", metal, [*sled(width * 0.36, (-0.24, 0.24), under - 0.005, 0.02, lean=0.05), *rails])
            )
        case "legs":
            lines = corner_lines(width * 0.5, depth * 0.5, under, splay=0.11)
            parts.append(
                Part(
                    "legs",
                    choose_wood(choices, "leg wood"),
                    [bar(line.top, line.foot, 0.04, taper=0.6) for line in lines],
                )
            )
        case base:
            parts.append(
                Part("foot", metal, pedestal(under, 0.06, choices.number("foot diameter", 0.45, 0.6), style=base))
            )
    return Design(sentence("lounge chair", f"a shell of {outside.name}", f"padding of {fabric.name}"), parts)


def office_chair(choices: Choices) -> Design:
    """A seat on a gas spring and a star with castors, a back, mostly arms, perhaps a head rest."""
    metal = choose_metal(choices) if choices.chance("metal star", 0.5) else choose_plastic(choices, "star plastic")
    fabric, plastic = choose_upholstery(choices), choose_plastic(choices)
    height, width = choices.number("seat height", 0.44, 0.56), choices.number("seat width", 0.44, 0.52)
    depth, tall = choices.number("seat depth", 0.42, 0.5), choices.number("back height", 0.3, 0.62)
    soft, lean = choices.number("cushion", 0.05, 0.11), choices.number("lean", 4, 14)
    wheel, reach = choices.number("castor", 0.045, 0.06), choices.number("star radius", 0.27, 0.34)
    turn = choices.number("turn of the star", 54, 126)
    foot = star(5, reach, wheel + 0.09, 0.035, droop=0.75, turn=turn)
    lowest = min(float(arm.vertices[:, 1].min()) for arm in foot)
    foot = [arm.move(y=wheel * 1.05 - lowest) for arm in foot]
    foot.append(bar((0, wheel * 1.2, 0), (0, height - soft - 0.02, 0), 0.05))
    seat = slab(
        ellipse(width, depth, power=choices.number("roundness", 2.6, 6)), (height - soft, height), edge=soft * 0.42
    )
    tray = slab(rectangle(width * 0.5, depth * 0.6, corner=0.03), (height - soft - 0.04, height - soft + 0.01))
    gap = choices.number("back gap", 0.02, 0.13)
    back = Back(
        width * choices.number("back width", 0.8, 1.0),
        tall,
        (0, height + gap, -depth / 2 + 0.01),
        lean=lean,
        hollow=choices.number("hollow", 0.01, 0.06),
        flare=choices.number("flare", 0.8, 1.1),
    )
    padded = choices.chance("padded back", 0.7)
    rest = (
        back.pad((0, 1), choices.number("padding", 0.035, 0.09), softness=0.35)
        if padded
        else back.panel((0, 1), 0.018, round_top=0.08)
    )
    hold = back.at(0, 0.4)
    spine = sweep(
        bend(
            [
                (0, height - soft - 0.02, -0.05),
                (0, height - soft - 0.02, -depth / 2 - 0.07),
                (0, hold[1], hold[2] - 0.02),
            ],
            0.08,
        ),
        rectangle(0.07, 0.024),
    )
    parts = [
        Part("star", metal, foot),
        Part("castors", RUBBER, castors(5, reach, wheel, turn=turn)),
        Part("seat", fabric, [seat]),
        Part("back", fabric, [rest]),
        Part("mechanism", plastic, [tray, spine]),
    ]
    arms = choices.pick("arms", {"none": 1, "T": 2, "loop": 1})
    x, arm = width / 2 + 0.03, height + choices.number("arm height", 0.17, 0.25)
    under = height - soft - 0.02
    if arms == "T":
        rests = both_sides(
            [
                slab(rectangle(0.07, 0.24, corner=0.03), (arm - 0.015, arm + 0.015), edge=0.01).move(x),
                tube(bend([(0.1, under, 0), (x, under, 0), (x, arm, 0)], 0.06), 0.035),
            ]
        )
        parts.append(Part("arms", plastic, rests))
    elif arms == "loop":
        loop = [
            (0.1, under, 0.1),
            (x, under, 0.1),
            (x, arm, 0.12),
            (x, arm, -0.14),
            (x, under + 0.05, -0.1),
            (0.1, under, -0.06),
        ]
        parts.append(Part("arms", plastic, both_sides([tube(bend(loop, 0.07), 0.032)])))
    if choices.chance("head rest", 0.2) and tall > 0.45:
        x_, y, z = back.at(0, 1.14)
        head = cushion((-0.14, 0.14), (y - 0.07, y + 0.07), (z - 0.02, z + 0.05), softness=0.5)
        stem = bar((x_, y, z), back.at(0, 0.9), 0.04, 0.02)
        parts.append(Part("head rest", fabric, [head, stem]))
    return Design(
        sentence(
            f"office chair in {fabric.name}", f"a star of {metal.name}", f"{arms} arms" if arms != "none" else "no arms"
        ),
        parts,
    )


def lounger(choices: Choices) -> Design:
    """A long chair to lie on, the back raised: slats, a cushion or a tight cover in a frame, with or without arms."""
    frame = choose_metal(choices) if choices.chance("metal frame", 0.4) else choose_wood(choices)
    length, width = choices.number("length", 1.15, 1.5), choices.number("width", 0.56, 0.7)
    height, tall, lean = (
        choices.number("height", 0.26, 0.4),
        choices.number("back length", 0.6, 0.8),
        choices.number("lean", 25, 62),
    )
    size, x, rear, front = choices.number("bar", 0.03, 0.05), width / 2, -length / 2, length / 2
    angle = np.radians(90 - lean)
    head = (rear - tall * np.cos(angle), height + tall * np.sin(angle))
    rails = both_sides(
        [
            box((x - size, x), (height - size, height), (rear - 0.04, front)),
            bar((x - size / 2, height - size / 2, rear), (x - size / 2, head[1], head[0]), size, size),
        ]
    )
    legs = [
        bar((side * (x - size / 2), height, z), (side * (x - size / 2), 0, z + out), size, size)
        for side in (-1, 1)
        for z, out in ((rear + 0.08, -0.1), (front - 0.12, 0.03))
    ]
    cover = choices.pick("cover", {"slats": 2, "cushion": 3, "cloth": 1.5})
    fabric = frame if cover == "slats" else choose_upholstery(choices)
    thick = {"slats": 0.016, "cushion": choices.number("cushion", 0.06, 0.12), "cloth": 0.012}[cover]
    lying: list[Solid] = []
    if cover == "slats":
        lying += [
            box((-x + 0.005, x - 0.005), (height - 0.004, height + thick), (z, z + 0.05))
            for z in np.arange(rear, front - 0.04, 0.075)
        ]
        upper = [box((-x + 0.005, x - 0.005), (0, thick), (-z - 0.05, -z)) for z in np.arange(0.03, tall - 0.05, 0.075)]
    else:
        lying.append(
            slab(rectangle(width - 0.03, length, corner=0.03), (height - 0.006, height + thick), edge=thick * 0.4)
        )
        upper = [slab(rectangle(width - 0.03, tall, corner=0.03), (-0.006, thick), edge=thick * 0.4).move(z=-tall / 2)]
    lying += [each.rotate("x", float(np.degrees(angle))).move(0, height, rear) for each in upper]
    parts = [
        Part(
            "frame",
            frame,
            [
                *rails,
                *legs,
                box((-x, x), (height - size, height - 0.005), (front - size, front)),
                box((-x, x), (height - size, height - 0.005), (rear, rear + size)),
            ],
        ),
        Part("cover", fabric, lying),
    ]
    if choices.chance("arms", 0.35):
        arm = [
            box((x - 0.04, x + 0.03), (height + 0.2, height + 0.225), (rear - 0.1, rear + 0.42)),
            bar((x - size / 2, height - size, rear + 0.38), (x - size / 2, height + 0.21, rear + 0.38), size, size),
        ]
        parts.append(Part("arms", frame, both_sides(arm)))
    return Design(
        sentence(f"lounger of {frame.name}", f"a cover of {fabric.name}" if cover != "slats" else "slats"), parts
    )


def stool(choices: Choices) -> Design:
    """A stool: wooden on three or four legs, high at a bar, on a column, or a pouf."""
    style = choices.pick("style", {"legs": 5, "column": 2.5, "pouf": 1})
    high = choices.chance("bar stool", 0.5)
    height = choices.number("bar height", 0.6, 0.8) if high else choices.number("seat height", 0.4, 0.5)
    size, round_ = choices.number("seat size", 0.3, 0.42), choices.chance("round seat", 0.6)
    fabric = choose_upholstery(choices)
    outline = (
        ellipse(size, size) if round_ else rectangle(size, size * choices.number("seat depth", 0.75, 1.0), corner=0.03)
    )
    if style == "pouf":
        height, scale = choices.number("pouf height", 0.36, 0.45), choices.number("pouf size", 1.1, 1.6)
        body = slab(outline * scale, (0.04, height), edge=choices.number("edge", 0.02, 0.09))
        feet = [bar(line.top, line.foot, 0.05) for line in corner_lines(size * 0.7, size * 0.6, 0.05)]
        return Design(
            sentence(f"pouf in {fabric.name}"), [Part("body", fabric, [body]), Part("feet", choose_wood(choices), feet)]
        )
    soft = choices.number("cushion", 0.03, 0.09) if choices.chance("cushioned", 0.45) else 0.0
    frame = choose_metal(choices) if style == "column" or choices.chance("metal frame", 0.35) else choose_wood(choices)
    thick = choices.number("seat thickness", 0.02, 0.045)
    under = height - soft - thick
    plate = frame if frame.pattern == "grain" else choose_plastic(choices) if not soft else frame
    parts = [Part("seat", plate, [slab(outline, (under, height - soft), edge=0.008)])]
    if soft:
        parts.append(Part("cushion", fabric, [slab(outline * 0.98, (height - soft - 0.004, height), edge=soft * 0.45)]))
    if style == "column":
        foot = choices.pick("foot", {"disc": 2, "trumpet": 2, "star": 1})
        wide = choices.number("foot diameter", 0.38, 0.46)
        stand = (
            star(5, wide / 2, 0.1, 0.032, droop=1.0)
            if foot == "star"
            else pedestal(under + 0.004, 0.05, wide, style=foot)
        )
        stand += [bar((0, 0.06, 0), (0, under + 0.004, 0), 0.05)] if foot == "star" else []
        if high:
            ring = [
                (0.16 * np.cos(angle), height * 0.38, 0.16 * np.sin(angle))
                for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False)
            ]
            stand += [tube(ring, 0.018, closed=True), bar((-0.16, height * 0.38, 0), (0.16, height * 0.38, 0), 0.016)]
        parts.append(Part("stand", frame, stand))
    else:
        legs = choose_leg(choices, 0.028, 0.045)
        splay = choices.number("splay", 0.0, 0.09)
        lines = corner_lines(
            size * 0.86,
            size * (0.86 if round_ else 0.72),
            under + 0.004,
            splay=splay,
            inset=legs.size * 0.6 + (size * 0.1 if round_ else 0),
        )
        tie = choices.pick("stretchers", {"box": 4, "H": 1, "cross": 0.5} if high else {"none": 2, "box": 2, "H": 1})
        shown = [legs.solid(line) for line in lines]
        parts.append(
            Part("legs", frame, [*shown, *stretchers(tie, lines, choices.number("stretcher height", 0.12, 0.3), 0.022)])
        )
    if choices.chance("low back", 0.22):
        back = Back(
            size * 0.9, choices.number("back height", 0.16, 0.34), (0, height, -size * 0.4), lean=8, hollow=0.05
        )
        posts = [
            bar((side * size * 0.3, under + 0.01, -size * 0.38), back.at(side * 0.6, 0.8), 0.022) for side in (-1, 1)
        ]
        parts.append(Part("back", plate, [back.rail(0.8, choices.number("rail", 0.05, 0.14), 0.018), *posts]))
    name = f"{'bar ' if high else ''}stool of {frame.name}"
    standing = "a column" if style == "column" else counted(4, "leg")
    return Design(sentence(name, standing, f"a cushion of {fabric.name}" if soft else ""), parts)
