"""Beds with a head towards the wall: frames, iron beds, boxes, four-posters, bunks and cots."""

import numpy as np

from voxgan.data.procedural.backs import both_sides
from voxgan.data.procedural.choices import Choices, Number
from voxgan.data.procedural.furniture import Design, Part
from voxgan.data.procedural.legs import TURNINGS
from voxgan.data.procedural.materials import LINEN, Material, choose_metal, choose_upholstery, choose_wood
from voxgan.data.procedural.solids import Solid, bar, box, cushion, lathe, rectangle, shell, slab, spindle, tube
from voxgan.data.procedural.wording import counted, sentence

SIZES: dict[str, tuple[Number, Number]] = {"single": (0.8, 1.0), "double": (1.3, 1.8)}
"""Ranges of the width of a mattress in metres."""


def bed(choices: Choices) -> Design:
    """A bed for one or two, a bunk bed or a cot."""
    style = choices.pick("style", {"bed": 10, "bunk": 1.2, "cot": 1.2})
    if style == "cot":
        return cot(choices)
    return bunk_bed(choices) if style == "bunk" else plain_bed(choices)


def plain_bed(choices: Choices) -> Design:
    """A bed with a head board, perhaps a foot board or four posts, a mattress, bedding and pillows."""
    size = choices.pick("size", {"single": 2, "double": 3})
    width, length = choices.number("width", *SIZES[size]), choices.number("length", 1.88, 2.1)
    low, deep = choices.number("rail height", 0.14, 0.32), choices.number("rail", 0.1, 0.24)
    mattress = choices.number("mattress", 0.14, 0.26)
    head = choices.pick("head", {"panel": 3, "slats": 2, "upholstered": 2, "bars": 2, "none": 0.8})
    frame = choose_metal(choices) if head == "bars" else choose_wood(choices)
    high = choices.number("head height", 0.8, 1.25)
    x, rear, front = width / 2 + 0.03, -length / 2, length / 2
    rails = both_sides([box((x - 0.03, x), (low, low + deep), (rear, front))])
    rails += [
        box((-x + 0.002, x - 0.002), (low + 0.002, low + deep - 0.002), (front - 0.03, front)),
        box((-x + 0.01, x - 0.01), (low + deep - 0.09, low + deep - 0.05), (rear, front - 0.01)),
    ]
    if head in ("none", "upholstered") and choices.chance("box", 0.5):
        rails = [
            box((-x, x), (0.04, low + deep), (rear, front)),
            box((-x + 0.03, x - 0.03), (0, 0.05), (rear + 0.03, front - 0.03)),
        ]
        feet: list[Solid] = []
    else:
        post = choices.number("post", 0.04, 0.09)
        feet = both_sides(
            [
                bar((x - post / 2, 0, z), (x - post / 2, low + deep - 0.003, z), post * 0.98, post * 0.98)
                for z in (front - post / 2, rear + post / 2)
            ]
        )
    fabric = choose_upholstery(choices, "head cover") if head == "upholstered" else frame
    parts = [Part("frame", frame, [*rails, *feet])]
    if head != "none":
        parts.append(Part("head board", fabric, end_board(choices, "head", head, 2 * x, low, high, rear)))
    foot = (
        choices.pick("foot", {"none": 3, "low": 2, "the same": 1.5}) if head not in ("none", "upholstered") else "none"
    )
    if foot != "none":
        top = low + deep + (0.06 if foot == "low" else choices.number("foot height", 0.12, 0.4))
        parts.append(Part("foot board", frame, end_board(choices, "foot", head, 2 * x, low, top, front)))
    if head != "upholstered" and choices.chance("four posts", 0.09):
        parts.append(Part("canopy", frame, canopy(x, (rear, front), choices.number("canopy height", 1.8, 2.15))))
    on_top = low + deep - 0.05
    parts.append(
        Part(
            "mattress",
            LINEN,
            [slab(rectangle(width - 0.01, length - 0.07, corner=0.05), (on_top, on_top + mattress), edge=0.04)],
        )
    )
    parts += bedding(choices, width, (rear + 0.04, front - 0.03), on_top + mattress, mattress)
    told = {"none": "no head board", "upholstered": f"a head board in {fabric.name}", "bars": "a head of bars"}.get(
        head, f"a {'panelled' if head == 'panel' else 'slatted'} head board"
    )
    made = next((part.material.name for part in parts if part.name == "blanket"), "no blanket")
    return Design(sentence(f"{size} bed of {frame.name}", told, made), parts)


def end_board(
    choices: Choices, end: str, style: str, width: Number, low: Number, high: Number, z: Number
) -> list[Solid]:
    """The board at the head or the foot of a bed."""
    x, post = width / 2, choices.number("end post", 0.04, 0.08)
    match style:
        case "upholstered":
            thick = choices.number("head thickness", 0.07, 0.14)
            wider = choices.number("head overhang", 0.0, 0.08)
            outline = rectangle(width + 2 * wider, high - 0.02, corner=choices.number("head corner", 0.01, 0.18))
            board = slab(outline, (-thick / 2, thick / 2), edge=thick * 0.35).rotate("x", 90)
            return [board.move(0, (high + 0.02) / 2, z - thick / 2 + 0.02)]
        case "panel":
            arch = choices.number("arch", 0.0, 0.2) if choices.chance("arched", 0.4) else 0.0
            across = np.linspace(-x, x, 17)
            tops = high + arch * (1 - (across / x) ** 2) * min(1.0, (high - low) / 0.5)
            rows = np.stack(
                [np.stack([across, np.full(17, low), np.full(17, z)], 1), np.stack([across, tops, np.full(17, z)], 1)]
            )
            board = shell(rows, 0.035)
            posts = both_sides([bar((x - post / 2, 0, z), (x - post / 2, high + 0.02, z), post, post)])
            return [board.move(z=0.0175), *posts]
        case "slats":
            count = choices.count(f"{end} slats", 3, 12)
            upright = choices.chance("upright slats", 0.6)
            posts = both_sides([bar((x - post / 2, 0, z), (x - post / 2, high, z), post, post)])
            rails = [
                box((-x + 0.01, x - 0.01), (high - 0.09, high - 0.01), (z - 0.015, z + 0.015)),
                box((-x + 0.01, x - 0.01), (low + 0.02, low + 0.08), (z - 0.015, z + 0.015)),
            ]
            if upright:
                places = np.linspace(-x, x, count + 2)[1:-1]
                slat = min(0.07, 0.6 * width / (count + 1))
                return [
                    *posts,
                    *rails,
                    *(
                        box((at - slat / 2, at + slat / 2), (low + 0.05, high - 0.05), (z - 0.009, z + 0.009))
                        for at in places
                    ),
                ]
            rows_ = np.linspace(low + 0.1, high - 0.1, max(2, count // 3 + 1))
            return [
                *posts,
                *rails,
                *(box((-x + 0.01, x - 0.01), (at - 0.035, at + 0.035), (z - 0.01, z + 0.01)) for at in rows_),
            ]
        case _:
            pipe = choices.number("pipe", 0.022, 0.036)
            arch = choices.number("arch", 0.0, 0.3) * min(1.0, (high - low) / 0.6)
            angles = np.linspace(np.pi, 0, 17)
            path = np.stack([x * 0.985 * np.cos(angles), high + arch * np.sin(angles), np.full(17, z)], 1)
            bars = both_sides([bar((x * 0.985, 0, z), (x * 0.985, high, z), pipe)])
            count = choices.count(f"{end} bars", 4, 10)
            for at in np.linspace(-x, x, count + 2)[1:-1]:
                top = high + arch * np.sqrt(1 - min((at / (x * 0.985)) ** 2, 1))
                bars.append(bar((at, low + 0.05, z), (at, top, z), pipe * 0.55))
            bars += [bar((-x, level, z), (x, level, z), pipe * 0.7) for level in (low + 0.05, low + (high - low) * 0.7)]
            if choices.chance("balls", 0.4):
                ball = lathe([(0.004, -0.035), (0.025, -0.025), (0.035, 0), (0.025, 0.025), (0.004, 0.035)], sides=12)
                bars += both_sides([ball.move(x * 0.985, high + 0.03, z)])
            return [*bars, tube(path, pipe)] if arch > 0.02 else [*bars, bar((-x, high, z), (x, high, z), pipe)]


def canopy(x: Number, z: tuple[Number, Number], top: Number) -> list[Solid]:
    """Four turned posts, and a frame that joins them above."""
    profile = [(at, 0.075 * wide) for at, wide in TURNINGS["baluster"]]
    posts = [
        spindle((side * (x - 0.02), 0, at), (side * (x - 0.02), top, at), profile)
        for side in (-1, 1)
        for at in (z[0] + 0.03, z[1] - 0.03)
    ]
    bars = [
        bar((-x + 0.02, top - 0.02, at), (x - 0.02, top - 0.02, at), 0.04, 0.04) for at in (z[0] + 0.03, z[1] - 0.03)
    ]
    return [
        *posts,
        *bars,
        *both_sides([bar((x - 0.02, top - 0.021, z[0] + 0.03), (x - 0.02, top - 0.021, z[1] - 0.03), 0.04, 0.04)]),
    ]


def bedding(
    choices: Choices, width: Number, z: tuple[Number, Number], top: Number, mattress: Number, *, name: str = ""
) -> list[Part]:
    """A blanket that hangs over both sides, or none, and one or two pillows at the head."""
    parts: list[Part] = []
    kept = choices.number("bare", 0.3, 0.75)
    if choices.chance("blanket", 0.85):
        fabric = choose_upholstery(choices, "blanket")
        over, drop = 0.035, mattress * choices.number("drop", 0.3, 1.0)
        start = z[0] + (kept if choices.chance("folded down", 0.7) else 0.02)
        soft = slab(
            rectangle(width + 2 * over, z[1] - start + over, corner=0.05),
            (top - drop, top + choices.number("thick", 0.03, 0.09)),
            edge=0.03,
        )
        parts.append(Part(f"{name}blanket", fabric, [soft.move(0, 0, (start + z[1] + over) / 2)]))
    count = choices.count("pillows", 1, 2) if width > 1.2 else 1
    wide = min(0.68, width / count - 0.08)
    pillow = cushion((-wide / 2, wide / 2), (0, choices.number("pillow", 0.1, 0.17)), (-0.2, 0.2), softness=0.8).rotate(
        "x", choices.number("pillow tilt", 0, 25)
    )
    places = [0.0] if count == 1 else [-width / 4, width / 4]
    cover = LINEN if choices.chance("white pillows", 0.6) else choose_upholstery(choices, "pillow")
    lifted = [
        pillow.rotate("y", choices.noise(f"{name}turn {at}", 6)).move(at, top - 0.01, z[0] + 0.24) for at in places
    ]
    parts.append(Part(f"{name}pillows", cover, lifted))
    return parts


def bunk_bed(choices: Choices) -> Design:
    """Two beds above each other, with a ladder on one side and rails around the upper one."""
    frame = choose_metal(choices) if choices.chance("metal frame", 0.35) else choose_wood(choices)
    width, length, post = (
        choices.number("width", 0.8, 1.0),
        choices.number("length", 1.9, 2.06),
        choices.number("post", 0.05, 0.08),
    )
    low, gap, high = (
        choices.number("lower", 0.22, 0.4),
        choices.number("gap", 0.85, 1.05),
        choices.number("guard", 0.28, 0.4),
    )
    x, z, upper = width / 2 + post, length / 2, low + gap
    top = upper + 0.2 + high
    solids = [
        bar((sx * (x - post / 2), 0, sz * (z - post / 2)), (sx * (x - post / 2), top, sz * (z - post / 2)), post, post)
        for sx in (-1, 1)
        for sz in (-1, 1)
    ]
    for level in (low, upper):
        solids += both_sides([box((x - 0.045, x - 0.015), (level, level + 0.13), (-z + 0.01, z - 0.01))])
        solids += [
            box((-x + 0.01, x - 0.01), (level + 0.002, level + 0.128), (at - 0.012, at + 0.012))
            for at in (-z + post / 2, z - post / 2)
        ]
        solids.append(box((-x + 0.03, x - 0.03), (level + 0.03, level + 0.06), (-z + 0.02, z - 0.02)))
    for at in (-z + post / 2, z - post / 2):
        solids += [
            box((-x + 0.01, x - 0.01), (level, level + 0.06), (at - 0.011, at + 0.011))
            for level in (top - 0.08, upper + 0.24, low + 0.35)
        ]
    guard = box((x - 0.04, x - 0.018), (top - 0.1, top - 0.03), (-z + 0.02, z - 0.02))
    solids += both_sides([guard, guard.move(y=-high * 0.5)])
    side = -1 if choices.chance("ladder on the left", 0.5) else 1
    front = z - choices.number("ladder place", 0.1, 0.5)
    rungs = [
        bar((side * (x + 0.03), level, front - 0.38), (side * (x + 0.03), level, front), 0.03)
        for level in np.arange(low * 0.8, upper + 0.1, 0.25)
    ]
    stiles = [
        bar((side * (x + 0.03), 0, at), (side * (x + 0.03), top - 0.02, at), 0.035, 0.045)
        for at in (front - 0.38, front)
    ]
    ties = [
        box(
            (min(side * x - side * 0.03, side * (x + 0.03)), max(side * x - side * 0.03, side * (x + 0.03))),
            (top - 0.07, top - 0.04),
            (at - 0.01, at + 0.01),
        )
        for at in (front - 0.38, front)
    ]
    thick = 0.12
    beds = [
        slab(rectangle(width, length - 2 * post, corner=0.04), (level + 0.055, level + 0.055 + thick), edge=0.03)
        for level in (low, upper)
    ]
    parts = [
        Part("frame", frame, solids),
        Part("ladder", frame, [*rungs, *stiles, *ties]),
        Part("mattresses", LINEN, beds),
    ]
    for name, level in (("lower ", low), ("upper ", upper)):
        parts += bedding(
            choices, width - 0.04, (-z + post + 0.02, z - post - 0.03), level + 0.055 + thick, thick, name=name
        )
    return Design(sentence(f"bunk bed of {frame.name}", f"a ladder on the {'left' if side < 0 else 'right'}"), parts)


def cot(choices: Choices) -> Design:
    """A small bed with bars on all sides."""
    wood = choose_wood(choices)
    width, length, high = (
        choices.number("width", 0.6, 0.75),
        choices.number("length", 1.15, 1.4),
        choices.number("height", 0.8, 1.05),
    )
    floor, post = choices.number("floor", 0.25, 0.45), choices.number("post", 0.04, 0.06)
    x, z = width / 2, length / 2
    solids = [
        bar((sx * (x - post / 2), 0, sz * (z - post / 2)), (sx * (x - post / 2), high, sz * (z - post / 2)), post, post)
        for sx in (-1, 1)
        for sz in (-1, 1)
    ]
    low = floor - 0.05
    for side in (-1, 1):
        at = side * (x - post / 2)
        solids += [
            box((at - 0.014, at + 0.014), level, (-z + 0.01, z - 0.01))
            for level in ((high - 0.07, high - 0.02), (low, low + 0.06))
        ]
        solids += [
            bar((at, low, place), (at, high - 0.03, place), 0.018)
            for place in np.arange(-z + 0.1, z - 0.05, choices.number("bar spacing", 0.075, 0.1))
        ]
    closed = choices.chance("closed ends", 0.5)
    rise = choices.number("end rise", 0.0, 0.15)
    for at in (-z + post / 2, z - post / 2):
        taller = high + rise * (at < 0)
        solids.append(box((-x + 0.01, x - 0.01), (taller - 0.08 - rise, taller - 0.01), (at - 0.013, at + 0.013)))
        solids.append(box((-x + 0.01, x - 0.01), (low + 0.002, low + 0.062), (at - 0.013, at + 0.013)))
        if closed:
            solids.append(box((-x + 0.02, x - 0.02), (low + 0.01, high - 0.03), (at - 0.008, at + 0.008)))
        else:
            solids += [bar((place, low, at), (place, high - 0.04, at), 0.018) for place in np.linspace(-x, x, 8)[1:-1]]
    solids.append(box((-x + 0.02, x - 0.02), (floor - 0.02, floor), (-z + 0.02, z - 0.02)))
    parts = [
        Part("frame", wood, solids),
        Part(
            "mattress",
            LINEN,
            [slab(rectangle(width - 0.08, length - 0.1, corner=0.03), (floor - 0.004, floor + 0.1), edge=0.025)],
        ),
    ]
    if choices.chance("blanket", 0.5):
        cover: Material = choose_upholstery(choices, "blanket")
        parts.append(
            Part(
                "blanket",
                cover,
                [
                    slab(
                        rectangle(width - 0.07, length * 0.6, corner=0.03), (floor + 0.05, floor + 0.13), edge=0.02
                    ).move(z=length * 0.17)
                ],
            )
        )
    return Design(sentence(f"cot of {wood.name}", counted(2, "closed end") if closed else "bars on all sides"), parts)
