"""Chairs to sit at a table on: wooden, Windsor, of one shell, on tubes, upholstered and folding."""

import itertools

import numpy as np

from voxgan.data.procedural.backs import Back, bent_frame, both_sides, bow, fill_back, open_arm
from voxgan.data.procedural.choices import Choices, Number
from voxgan.data.procedural.furniture import Design, Part
from voxgan.data.procedural.legs import (
    TURNINGS,
    Line,
    apron,
    choose_leg,
    corner_lines,
    hairpin,
    pedestal,
    sled,
    star,
    stretchers,
)
from voxgan.data.procedural.materials import (
    CANE,
    Material,
    choose_metal,
    choose_plastic,
    choose_upholstery,
    choose_wood,
)
from voxgan.data.procedural.solids import Outline, Solid, bar, box, ellipse, rectangle, shell, slab, spindle
from voxgan.data.procedural.wording import counted, sentence

STYLES = {"wooden": 42.0, "windsor": 9.0, "shell": 17.0, "tubular": 13.0, "upholstered": 12.0, "folding": 7.0}


def chair(choices: Choices) -> Design:
    """A chair of one of six styles."""
    programs = {
        "wooden": wooden_chair,
        "windsor": windsor_chair,
        "shell": shell_chair,
        "tubular": tubular_chair,
        "upholstered": upholstered_chair,
        "folding": folding_chair,
    }
    return programs[choices.pick("style", STYLES)](choices)


def trapezoid(front: Number, rear: Number, depth: Number, *, corner: Number) -> Outline:
    """The outline of a seat whose front is wider than its rear."""
    outline = rectangle(front, depth, corner=corner)
    share = 0.5 + outline[:, 1:] / depth
    return outline * np.concatenate([(rear + (front - rear) * share) / front, np.ones_like(share)], 1)


def wooden_chair(choices: Choices) -> Design:
    """Four legs of which the rear ones go on into the back; perhaps arms, stretchers, a cushion."""
    wood = choose_wood(choices)
    height, width = choices.number("seat height", 0.42, 0.48), choices.number("seat width", 0.4, 0.5)
    depth, rear = choices.number("seat depth", 0.39, 0.47), width * choices.number("seat taper", 0.82, 1.0)
    legs = choose_leg(choices, 0.032, 0.05)
    size = legs.size
    splay = choices.number("splay", 0, 0.05) if legs.style in ("conical", "round") else 0.0
    back = Back(
        rear - size,
        choices.number("back height", 0.38, 0.62),
        (0, height, -depth / 2 + size / 2),
        lean=choices.number("lean", 3, 13),
        flare=choices.number("flare", 0.92, 1.12),
        hollow=choices.number("hollow", 0, 0.045),
        bend=choices.number("back bend", 0, 0.04),
    )
    front = corner_lines(width - size, depth - size, height, splay=splay)[:2]
    rear_out = choices.number("rear splay", 0, 0.09)
    x = back.width / 2
    rears = [Line((side * x, height, back.base[2]), (side * x, 0, back.base[2] - rear_out)) for side in (-1, 1)]
    lines = [*front, *rears]
    round_ = legs.style in ("round", "conical", "turned")
    posts = [
        back.post(side, size * 0.85, foot=line.foot, round_=round_) for side, line in zip((-1, 1), rears, strict=True)
    ]
    style = choices.pick("back", {"ladder": 3, "slats": 3, "spindles": 1.5, "splat": 1.2, "cross": 0.8, "panel": 2})
    filling, worded = fill_back(choices, back, style, choices.number("board", 0.014, 0.024))
    frame = [*(legs.solid(line) for line in front), *posts, *filling]
    if apron_height := choices.number("apron", 0.04, 0.07) if choices.chance("has apron", 0.7) else 0.0:
        frame += apron(rear - 0.01, depth - size * 0.6, (height - 0.02 - apron_height, height - 0.01))
    tie = choices.pick("stretchers", {"none": 2, "H": 1, "box": 2, "sides": 1})
    frame += stretchers(tie, lines, choices.number("stretcher height", 0.1, 0.26), 0.022, flat=not round_)
    parts = [Part("frame", wood, frame)]
    if choices.chance("arms", 0.15):
        arm = choices.number("arm height", 0.18, 0.25)
        x_front = width / 2 - size / 2
        rest = open_arm(x_front, back.at(1, arm / back.height), (x_front + 0.01, height + arm, depth * 0.38), 0.035)
        parts.append(Part("arms", wood, both_sides(rest)))
    outline = trapezoid(width, rear, depth, corner=choices.number("seat corner", 0.005, 0.08))
    parts += seat_of_wooden_chair(choices, wood, outline, height)
    if choices.chance("padded back", 0.12):
        parts.append(Part("back cushion", parts[-1].material, [back.pad((0.3, 0.95), 0.045, reach=0.85)]))
    legged = f"{legs.style} legs" if legs.style != "turned" else f"{legs.turning} turned legs"
    armed = "arms" if any(part.name == "arms" for part in parts) else ""
    return Design(
        sentence(
            f"chair of {wood.name}",
            worded,
            legged,
            armed,
            f"a {parts[-1].name.split()[-1]} of {parts[-1].material.name}",
        ),
        parts,
    )


def seat_of_wooden_chair(choices: Choices, wood: Material, outline: Outline, height: Number) -> list[Part]:
    """A board, a board with a cushion, or woven cane in a frame."""
    thickness = choices.number("seat thickness", 0.018, 0.035)
    kind = choices.pick("seat", {"board": 3, "cushion": 4, "cane": 1})
    board = slab(outline, (height - thickness, height), edge=0.006)
    if kind == "board":
        return [Part("seat", wood, [board])]
    if kind == "cane":
        woven = slab(outline * 0.86, (height - thickness, height + 0.006), edge=0.004)
        return [Part("seat frame", wood, [board]), Part("seat", CANE, [woven])]
    soft = choices.number("cushion height", 0.025, 0.07)
    inset = choices.number("cushion size", 0.9, 1.0)
    padding = slab(outline * inset, (height - 0.005, height + soft), edge=soft * 0.6)
    return [Part("seat board", wood, [board]), Part("seat", choose_upholstery(choices), [padding])]


def windsor_chair(choices: Choices) -> Design:
    """A thick seat into which splayed legs are tapped from below, and a bow or a crest with spindles from above."""
    wood = choose_wood(choices)
    height, width = choices.number("seat height", 0.42, 0.46), choices.number("seat width", 0.42, 0.54)
    depth = choices.number("seat depth", 0.4, 0.46)
    seat = slab(
        ellipse(width, depth, corners=28, power=choices.number("seat roundness", 2.2, 4)),
        (height - 0.04, height),
        edge=0.018,
    )
    turning = choices.pick("turning", list(TURNINGS))
    lines = corner_lines(width * 0.6, depth * 0.6, height - 0.02, splay=choices.number("splay", 0.05, 0.11))
    profile = [(at, wide * choices.number("leg size", 0.035, 0.05)) for at, wide in TURNINGS[turning]]
    legs = [spindle(line.top, line.foot, profile) for line in lines]
    legs += stretchers(choices.pick("stretchers", {"H": 3, "box": 1, "none": 0.5}), lines, 0.17, 0.024)
    back = Back(
        width * 0.82,
        choices.number("back height", 0.42, 0.62),
        (0, height - 0.01, -depth * 0.3),
        lean=choices.number("lean", 8, 15),
        hollow=choices.number("hollow", 0.05, 0.09),
    )
    count = choices.count("spindles", 5, 10)
    rods: list[Solid] = []
    if choices.chance("bow", 0.6):
        rods.append(bow(back, 1.0, 0.022))
        places = np.linspace(-0.72, 0.72, count)
        rods += [back.rod(0.75 * u, (0, 0.985 * (1 - u**2) ** 0.4), 0.013, top=u) for u in places]
    else:
        crest = choices.number("crest height", 0.05, 0.1)
        rods.append(back.rail(1, crest, 0.022, arch=0.02, reach=1.08))
        rods += [back.rod(0.8 * u, (0, 1), 0.015, top=u * 0.95) for u in np.linspace(-0.85, 0.85, count)]
        rods += [back.rod(side * 0.85, (0, 1), 0.028, top=side) for side in (-1, 1)]
    parts = [Part("seat", wood, [seat]), Part("legs", wood, legs), Part("back", wood, rods)]
    armed = choices.chance("arms", 0.4)
    if armed:
        arm = choices.number("arm height", 0.2, 0.25)
        rear = back.at(0.98, arm / back.height * 0.9)
        front = (width / 2 + 0.02, height + arm, depth * 0.22)
        rest = open_arm(width / 2, rear, front, 0.032, foot=(width * 0.42, height - 0.01, depth * 0.18))
        parts.append(Part("arms", wood, both_sides(rest)))
    return Design(
        sentence(
            f"Windsor chair of {wood.name}",
            f"{turning} turned legs",
            f"a back of {counted(count, 'spindle')}",
            "arms" if armed else "",
        ),
        parts,
    )


def shell_chair(choices: Choices) -> Design:
    """Seat and back are one bent sheet of plastic or wood, on legs, a sled, a star or a trumpet foot."""
    shells = choices.pick("shell", {"plastic": 3, "wood": 1.5, "upholstery": 1})
    material = {"plastic": choose_plastic, "wood": choose_wood, "upholstery": choose_upholstery}[shells](choices)
    height, width = choices.number("seat height", 0.43, 0.47), choices.number("seat width", 0.42, 0.52)
    depth, rise = choices.number("seat depth", 0.4, 0.46), choices.number("back height", 0.3, 0.46)
    sheet = bent_seat(
        width,
        depth,
        rise,
        height,
        lean=choices.number("lean", 10, 22),
        wings=choices.number("wings", 0.1, 0.24) if shells != "wood" and choices.chance("tub", 0.45) else 0.0,
        hollow=choices.number("hollow", 0.01, 0.05),
        top=choices.number("top width", 0.6, 1.0),
        thickness=0.035 if shells == "upholstery" else choices.number("thickness", 0.012, 0.018),
    )
    parts = [Part("shell", material, [sheet])]
    under = height - 0.016
    base = choices.pick("base", {"tubes": 3, "wooden legs": 3, "sled": 2, "star": 1.5, "trumpet": 1.2, "wire": 1})
    lines = corner_lines(width * 0.55, depth * 0.55, under, splay=choices.number("splay", 0.06, 0.12))
    match base:
        case "wooden legs":
            wood = choose_wood(choices, "leg wood")
            legs = [bar(line.foot, line.top, 0.026, taper=1.5) for line in lines]
            parts.append(Part("legs", wood, [*legs, *stretchers("box", lines, under * 0.72, 0.014)]))
        case "tubes":
            legs = [bar(line.top, line.foot, 0.022) for line in lines]
            parts.append(Part("legs", choose_metal(choices), [*legs, *stretchers("box", lines, under * 0.8, 0.018)]))
        case "wire":
            wires = [*map(hairpin, lines), *stretchers("cross", lines, under * 0.75, 0.01)]
            parts.append(Part("legs", choose_metal(choices), wires))
        case "sled":
            runners = sled(width * 0.42, (-depth * 0.36, depth * 0.36), under, 0.016, lean=0.05)
            bars = [
                bar((-width * 0.42, under - 0.01, z), (width * 0.42, under - 0.01, z), 0.016) for z in (-0.14, 0.14)
            ]
            parts.append(Part("runners", choose_metal(choices), [*runners, *bars]))
        case "star":
            arms = choices.count("arms of the star", 4, 5)
            foot = star(arms, choices.number("foot radius", 0.24, 0.31), 0.1, 0.032, droop=1.0)
            parts.append(Part("foot", choose_metal(choices), [*foot, bar((0, 0.06, 0), (0, under, 0), 0.045)]))
        case _:
            foot = pedestal(under, 0.05, choices.number("foot diameter", 0.42, 0.54), style="trumpet")
            parts.append(Part("foot", choose_metal(choices), foot))
    if choices.chance("seat pad", 0.2) and shells != "upholstery":
        pad = slab(ellipse(width * 0.78, depth * 0.75, power=3), (height + 0.0, height + 0.035), edge=0.014)
        parts.append(Part("seat pad", choose_upholstery(choices, "pad"), [pad.move(z=0.01)]))
    return Design(sentence("chair", f"a shell of {material.name}", f"{base} of {parts[1].material.name}"), parts)


def bent_seat(
    width: Number,
    depth: Number,
    rise: Number,
    height: Number,
    *,
    lean: Number,
    wings: Number = 0.0,
    hollow: Number = 0.02,
    top: Number = 0.8,
    thickness: Number = 0.01,
) -> Solid:
    """A sheet that runs from the front of the seat back and then up.

    Its sides are turned up by `wings`, most of all between seat and back, and its upper edge is `top` times as wide.
    """
    headings = np.radians([145, 181, 181, 181, *np.linspace(170, 100 + lean, 5), *[90 + lean] * 5])
    lengths = np.array([0.035, *[(depth - 0.1) / 3] * 3, *[0.04] * 5, *[rise / 5] * 5])
    directions = np.stack([np.cos(headings), np.sin(headings)], 1)
    line = np.cumsum(np.concatenate([[[depth / 2, height - 0.02]], directions * lengths[:, None]]), axis=0)
    tangents = np.gradient(line, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1)[:, None]
    share = np.concatenate([[0], np.cumsum(lengths) / lengths.sum()])
    half = width / 2 * (1 + (top - 1) * np.maximum(share - 0.5, 0) / 0.5)
    half[[0, -1]] *= 0.9
    u = np.linspace(-1, 1, 13)
    rise_of_sides = (wings * np.sin(np.pi * share))[:, None] * abs(u) ** 2.5 + hollow * u**2
    x = half[:, None] * u * (1 - 0.6 * wings * np.sin(np.pi * share)[:, None] * abs(u) ** 3)
    z, y = (line[:, axis, None] + rise_of_sides * side for axis, side in ((0, tangents[:, 1:]), (1, -tangents[:, :1])))
    return shell(np.stack([x, y, z], -1), thickness)


def tubular_chair(choices: Choices) -> Design:
    """A frame of bent steel tube that carries a seat and a back: a cantilever, a sled or four legs."""
    metal = choose_metal(choices)
    cover = choices.pick("cover", {"upholstery": 3, "wood": 1, "plastic": 1, "cane": 0.6})
    covers = {"upholstery": choose_upholstery, "wood": choose_wood, "plastic": choose_plastic, "cane": lambda _: CANE}
    material = covers[cover](choices)
    height, width = choices.number("seat height", 0.43, 0.48), choices.number("seat width", 0.4, 0.5)
    depth, tall = choices.number("seat depth", 0.38, 0.46), choices.number("back height", 0.36, 0.5)
    pipe, lean = choices.number("tube", 0.018, 0.028), choices.number("lean", 6, 16)
    x, front, rear, low = width / 2, depth / 2, -depth / 2, pipe / 2
    seat_y = height - 0.03
    top = (x, height + tall, rear - tall * np.tan(np.radians(lean)))
    frame_style = choices.pick("frame", {"cantilever": 3, "sled": 1.5, "four legs": 3})
    if frame_style == "cantilever":
        points = [top, (x, seat_y, rear), (x, seat_y, front), (x, low, front + 0.01), (x, low, rear - 0.02)]
        frame = bent_frame(points, pipe)
        frame.append(bar((-x, low, rear - 0.02), (x, low, rear - 0.02), pipe))
    elif frame_style == "sled":
        frame = bent_frame([top, (x, seat_y, rear), (x, seat_y, front)], pipe)
        frame += sled(x, (rear + 0.03, front - 0.02), seat_y, pipe, lean=0.03)
    else:
        frame = bent_frame([top, (x, seat_y, rear), (x, seat_y, front), (x + 0.02, low, front + 0.03)], pipe)
        frame += both_sides([bar((x, seat_y, rear + 0.03), (x + 0.02, 0, rear - 0.07), pipe)])
    frame += [bar((-x, seat_y, z), (x, seat_y, z), pipe * 0.9) for z in (rear + 0.05, front - 0.06)]
    if frame_style != "cantilever" and choices.chance("foot bars", 0.4):
        frame += [bar((-x - 0.01, 0.14, front + 0.02), (x + 0.01, 0.14, front + 0.02), pipe * 0.8)]
    armed = choices.chance("arms", 0.3)
    if armed:
        arm, at = height + choices.number("arm height", 0.19, 0.24), x + pipe
        frame += bent_frame([(at, arm, rear - 0.05), (at, arm, front - 0.04), (at, seat_y, front - 0.02)], pipe)
    soft = 0.05 if cover == "upholstery" else 0.014
    seat = slab(
        rectangle(width - 0.01, depth, corner=0.04), (height - soft * 0.6, height + soft * 0.4), edge=soft * 0.4
    )
    back = Back(width - 0.015, tall, (0, height, rear), lean=lean, hollow=choices.number("hollow", 0.0, 0.03))
    low_edge = choices.number("back gap", 0.1, 0.5)
    if cover == "upholstery":
        rest = back.pad((low_edge, 1.02), 0.045, softness=0.2)
    else:
        rest = back.panel((low_edge, 1.02), 0.012)
    parts = [Part("frame", metal, frame), Part("seat", material, [seat]), Part("back", material, [rest])]
    named = {"cantilever": "cantilever chair", "sled": "chair on a sled", "four legs": "chair"}[frame_style]
    return Design(
        sentence(f"{named} of bent {metal.name}", f"a seat and a back of {material.name}", "arms" if armed else ""),
        parts,
    )


def upholstered_chair(choices: Choices) -> Design:
    """Seat and back are covered all over, on four wooden legs."""
    fabric, wood = choose_upholstery(choices), choose_wood(choices)
    height, width = choices.number("seat height", 0.45, 0.5), choices.number("seat width", 0.43, 0.52)
    depth, thick = choices.number("seat depth", 0.42, 0.5), choices.number("seat thickness", 0.07, 0.14)
    legs = choose_leg(choices, 0.032, 0.046, styles={"square": 2, "tapered": 3, "conical": 1.5, "turned": 1})
    lines = corner_lines(
        width, depth, height - thick + 0.02, splay=0.0, rear_splay=choices.number("rear splay", 0, 0.07), inset=0.035
    )
    seat = slab(
        rectangle(width, depth, corner=0.03), (height - thick, height), edge=choices.number("edge", 0.01, 0.035)
    )
    tall, rest = choices.number("back height", 0.4, 0.6), choices.number("back thickness", 0.05, 0.09)
    back = Back(
        width * choices.number("back width", 0.86, 1.0),
        tall,
        (0, height - thick, -depth / 2 + 0.02),
        lean=choices.number("lean", 4, 13),
        hollow=choices.number("hollow", 0, 0.06),
        flare=choices.number("flare", 0.85, 1.08),
    )
    panel = back.panel((0.0, 1.0), rest, round_top=choices.number("round top", 0, 0.2))
    parts = [
        Part("legs", wood, [legs.solid(line) for line in lines]),
        Part("seat", fabric, [seat]),
        Part("back", fabric, [panel.move(z=rest)]),
    ]
    if choices.chance("skirt", 0.08):
        parts.append(Part("skirt", fabric, apron(width * 0.99, depth * 0.99, (0.02, height - thick + 0.02))))
    return Design(sentence(f"dining chair upholstered in {fabric.name}", f"{legs.style} legs of {wood.name}"), parts)


def folding_chair(choices: Choices) -> Design:
    """Two pairs of legs that cross, a seat of slats or one panel, and a back between the longer pair."""
    frame = choose_wood(choices) if choices.chance("wooden", 0.5) else choose_metal(choices)
    height, width, depth = (
        choices.number("seat height", 0.43, 0.47),
        choices.number("seat width", 0.38, 0.46),
        choices.number("seat depth", 0.34, 0.42),
    )
    tall, size, x = choices.number("back height", 0.32, 0.42), choices.number("bar", 0.018, 0.028), width / 2
    spread = choices.number("spread", 0.18, 0.24)
    rear_top = (x, height + tall, -spread - 0.03)
    long = [
        bar((x, 0, spread + 0.02), (x, height, -spread + 0.05), size, size * 1.3),
        bar((x, height - 0.02, -spread + 0.055), rear_top, size, size * 1.3),
    ]
    inner = x - size * 1.1
    short = [bar((inner, 0, -spread - 0.04), (inner, height - 0.01, spread - 0.02), size, size * 1.3)]
    cross = [bar((-x, 0.12, spread - 0.07), (x, 0.12, spread - 0.07), size * 0.8)]
    cross.append(bar((-inner, 0.1, -spread + 0.05), (inner, 0.1, -spread + 0.05), size * 0.8))
    cover = frame if choices.chance("all of one material", 0.5) else choose_plastic(choices)
    slats = choices.count("seat slats", 1, 7)
    edges = np.linspace(-depth / 2, depth / 2, slats + 1)
    gap = 0.012 if slats > 1 else 0.0
    seat = [
        box((-x + size, x - size), (height - 0.005, height + 0.012), (near + gap / 2, far - gap / 2))
        for near, far in itertools.pairwise(edges)
    ]
    rails = [
        box((-inner, inner), (height - 0.02, height), (z, z + 0.02)) for z in (-depth / 2 + 0.01, depth / 2 - 0.03)
    ]
    back = Back(width, tall, (0, height, -spread + 0.05), lean=float(np.degrees(np.arctan2(0.08, tall))))
    boards = choices.count("back boards", 1, 3)
    board = choices.number("board height", 0.05, 0.1) if boards > 1 else choices.number("one board height", 0.12, 0.24)
    rest = [
        back.rail(v, min(board, 0.7 * tall / boards), 0.014)
        for v in np.linspace(0.95 - (boards - 1) * 0.28, 0.82, boards)
    ]
    parts = [
        Part("frame", frame, [*both_sides([*long, *short]), *cross, *rails]),
        Part("seat", cover, seat),
        Part("back", cover, rest),
    ]
    return Design(sentence(f"folding chair of {frame.name}", f"a seat of {cover.name}"), parts)
