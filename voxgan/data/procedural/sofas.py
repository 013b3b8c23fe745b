"""Sofas, armchairs that are sofas for one, and benches."""

import itertools

import numpy as np

from voxgan.data.procedural.backs import Back, both_sides
from voxgan.data.procedural.choices import Choices, Number
from voxgan.data.procedural.furniture import Design, Part
from voxgan.data.procedural.legs import choose_leg, corner_lines, sled, stretchers
from voxgan.data.procedural.materials import (
    choose_metal,
    choose_stone,
    choose_upholstery,
    choose_wood,
)
from voxgan.data.procedural.solids import Solid, bar, box, cushion, rectangle, slab, spindle
from voxgan.data.procedural.wording import counted, sentence


def sofa(choices: Choices) -> Design:
    """An upholstered sofa of two to four seats, with a chaise or a corner now and then, or one in a wooden frame."""
    seats = int(choices.pick("seats", {"2": 3, "3": 4, "4": 1}))
    if choices.chance("framed", 0.18):
        return framed_couch(choices, seats)
    return upholstered_couch(choices, seats)


def upholstered_couch(choices: Choices, seats: int) -> Design:
    """A couch whose base, arms and back are covered with the same fabric or leather."""
    fabric = choose_upholstery(choices)
    place, arm = choices.number("seat width", 0.52, 0.74), choices.number("arm width", 0.08, 0.26)
    depth, foot = choices.number("depth", 0.78, 1.0), choices.number("leg height", 0.03, 0.17)
    seat, arm_top = choices.number("seat height", 0.38, 0.47), choices.number("arm height", 0.52, 0.68)
    rest, tall = choices.number("back thickness", 0.12, 0.24), choices.number("back height", 0.68, 0.94)
    style = choices.pick("arms", {"box": 4, "rolled": 2.5, "sloped": 1.5, "none": 1})
    arm = 0.0 if style == "none" else max(arm, 0.13) if style == "rolled" else arm
    inside, edge = seats * place, choices.number("edge", 0.01, 0.06)
    x, rear, front = inside / 2, -depth / 2, depth / 2
    soft = choices.number("cushion thickness", 0.12, 0.2)
    base_top = seat - soft + 0.02
    base = [slab(rectangle(inside + 2 * arm, depth - 0.02, corner=edge), (foot, base_top), edge=0.015)]
    arms = (
        []
        if style == "none"
        else both_sides(couch_arm(style, (x, x + arm), (foot + 0.01, arm_top), (rear, front), edge))
    )
    lean = choices.number("lean", 0, 10)
    width = inside + (2 * arm if choices.chance("back over the arms", 0.35) or style == "none" else 0.01)
    back_rest = slab(rectangle(width, rest, corner=edge), (foot + 0.01, tall), edge=max(edge, 0.02)).move(
        z=rear + rest / 2
    )
    backs = [back_rest.rotate("x", -lean, about=(0, base_top, rear + rest / 2))]
    chaise = choices.pick("extension", {"none": 5, "chaise": 1.2, "corner": 0.8}) if seats > 2 else "none"
    side, longer = (-1 if choices.chance("on the left", 0.5) else 1), choices.number("extension length", 0.5, 0.85)
    cushions = seat_cushions(choices, seats, place, (base_top - 0.02, seat), (rear + rest * 0.8, front + 0.015))
    lies = side * (x - place / 2)
    if chaise != "none":
        base.append(box((lies - place / 2, lies + place / 2), (foot, base_top), (front - 0.05, front + longer)))
        cushions.append(
            cushion(
                (lies - place / 2, lies + place / 2),
                (base_top - 0.02, seat),
                (front, front + longer + 0.01),
                softness=0.3,
            )
        )
        if chaise == "corner":
            outer = side * (x + max(arm, 0.14) / 2)
            wall = slab(
                rectangle(max(arm, 0.14), depth + longer - 0.01, corner=edge), (foot + 0.01, tall), edge=max(edge, 0.02)
            )
            backs.append(wall.move(outer, z=longer / 2))
    parts = [Part("base", fabric, base), Part("back", fabric, backs)]
    parts += [Part("arms", fabric, arms)] if arms else []
    second = choose_upholstery(choices, "cushion cover") if choices.chance("other cushions", 0.15) else fabric
    parts.append(Part("seat cushions", second, cushions))
    if choices.chance("back cushions", 0.75):
        number, high = (
            (seats if choices.chance("one a seat", 0.8) else max(1, seats - 1)),
            tall - seat + choices.number("cushion rise", -0.1, 0.06),
        )
        each, thick = inside / number, choices.number("back cushion", 0.1, 0.2)
        soft_ = choices.number("softness", 0.2, 0.7)
        loose = [
            cushion((-each / 2 + 0.005, each / 2 - 0.005), (0, high), (0, thick), softness=soft_)
            .rotate("x", -lean - 6)
            .move(-x + (index + 0.5) * each, seat - 0.02, rear + rest * 0.85)
            for index in range(number)
        ]
        parts.append(Part("back cushions", second, loose))
    if choices.chance("throw pillows", 0.3):
        parts.append(
            Part(
                "throw pillows",
                choose_upholstery(choices, "pillow"),
                throw_pillows(choices, x, seat, rear + rest + 0.12),
            )
        )
    stand = couch_stand(choices, inside + 2 * arm, depth, foot)
    if chaise != "none":
        stand.append(box((lies - 0.05, lies + 0.05), (0, foot + 0.01), (front + longer - 0.14, front + longer - 0.04)))
    material = choose_metal(choices) if choices.chance("metal legs", 0.3) else choose_wood(choices)
    parts.append(Part("feet", material, stand))
    extended = {"chaise": "a chaise", "corner": "a corner"}.get(chaise, "")
    where = f"{extended} on the {'left' if side < 0 else 'right'}" if extended else ""
    name = "armchair" if seats == 1 else f"sofa of {counted(seats, 'seat')}"
    worded = "no arms" if style == "none" else f"{style} arms"
    return Design(sentence(f"{name} in {fabric.name}", worded, where, "feet of " + material.name), parts)


def couch_arm(
    style: str, x: tuple[Number, Number], y: tuple[Number, Number], z: tuple[Number, Number], edge: Number
) -> list[Solid]:
    """The right arm of a couch: a box, one with a roll on top, or one that falls towards the front."""
    middle, wide, long = (x[0] + x[1]) / 2, x[1] - x[0], z[1] - z[0]
    if style == "rolled":
        roll = min(wide * 1.15, 0.24)
        axis = y[1] - roll / 2
        rolled = spindle(
            (middle + roll * 0.12, axis, z[0] + 0.02),
            (middle + roll * 0.12, axis, z[1]),
            [(0, roll), (1, roll)],
            sides=20,
        )
        return [box((x[0], x[1] - roll * 0.1), (y[0], axis), (z[0] + 0.01, z[1] - 0.01)), rolled]
    block = slab(rectangle(wide, long, corner=edge), y, edge=edge).move(middle, 0, sum(z) / 2)
    if style == "sloped":
        share = np.clip((block.vertices[:, 2] - z[0]) / long, 0, 1)
        higher = (block.vertices[:, 1] - y[0]) / (y[1] - y[0])
        fallen = block.vertices.copy()
        fallen[:, 1] += higher * (0.1 - 0.18 * share)
        return [Solid(fallen, block.faces)]
    return [block]


def seat_cushions(
    choices: Choices, seats: int, place: Number, y: tuple[Number, Number], z: tuple[Number, Number]
) -> list[Solid]:
    """One cushion for each seat, or one for all."""
    number = 1 if choices.chance("bench cushion", 0.2) else seats
    each = seats * place / number
    start = -seats * place / 2
    softness = choices.number("seat softness", 0.05, 0.4)
    return [
        cushion((start + index * each + 0.003, start + (index + 1) * each - 0.003), y, z, softness=softness)
        for index in range(number)
    ]


def throw_pillows(choices: Choices, x: Number, seat: Number, z: Number) -> list[Solid]:
    """One to three small pillows that lean against the back, at one or both ends."""
    pillows = []
    for index in range(choices.count("pillows", 1, 3)):
        side = (-1, 1, -0.45)[index]
        size = choices.number(f"pillow {index + 1} size", 0.34, 0.48)
        pillow = cushion((-size / 2, size / 2), (0, size), (-0.07, 0.07), softness=0.9)
        turned = pillow.rotate("z", choices.noise(f"roll {index}", 12)).rotate("x", -18)
        place = side * max(x - size * 0.62, 0.0)
        pillows.append(turned.rotate("y", -side * 20).move(place, seat - 0.01, z))
    return pillows


def couch_stand(choices: Choices, width: Number, depth: Number, height: Number) -> list[Solid]:
    """Feet of this height at the corners, or a plinth."""
    style = choices.pick("feet", {"blocks": 2, "conical": 2, "plinth": 1, "bars": 1})
    if style == "plinth":
        return [box((-width / 2 + 0.04, width / 2 - 0.04), (0, height + 0.01), (-depth / 2 + 0.04, depth / 2 - 0.05))]
    if style == "bars":
        runner = box((width / 2 - 0.14, width / 2 - 0.08), (0, height + 0.01), (-depth / 2 + 0.03, depth / 2 - 0.03))
        return both_sides([runner])
    lines = corner_lines(width, depth, height + 0.01, splay=0.0, inset=0.075)
    if style == "conical":
        return [bar(line.top, line.foot, 0.05, taper=0.6) for line in lines]
    return [bar(line.top, line.foot, 0.06, 0.06) for line in lines]


def framed_couch(choices: Choices, seats: int) -> Design:
    """A wooden or metal frame with legs, arms and a slatted back, and cushions that lie in it."""
    frame = choose_metal(choices) if choices.chance("metal frame", 0.2) else choose_wood(choices)
    fabric = choose_upholstery(choices)
    place, depth = choices.number("seat width", 0.54, 0.68), choices.number("depth", 0.66, 0.84)
    seat, tall = choices.number("seat height", 0.38, 0.45), choices.number("back height", 0.34, 0.52)
    size, arm = choices.number("bar", 0.028, 0.05), choices.number("arm height", 0.17, 0.26)
    soft, lean = choices.number("cushion thickness", 0.08, 0.15), choices.number("lean", 10, 24)
    width = seats * place
    x, front, rear, board = width / 2 + size / 2, depth / 2, -depth / 2, seat - soft
    splay = choices.number("splay", 0.0, 0.08)
    bars: list[Solid] = []
    for side in (-1, 1):
        top = board + arm + soft
        bars.append(bar((side * x, 0, front - size), (side * x, top, front - size - splay), size, size))
        bars.append(bar((side * x, 0, rear - splay * 0.3), (side * x, top, rear + size), size, size))
        rest = slab(
            rectangle(size * choices.number("arm width", 1.1, 2.4), depth + 0.02, corner=0.012),
            (top - 0.01, top + 0.02),
            edge=0.008,
        )
        bars.append(rest.move(side * x, 0, -splay / 2))
        bars.append(box((side * x - size * 0.4, side * x + size * 0.4), (board - 0.05, board), (rear, front - size)))
    bars += [box((-x, x), (board - 0.05, board), (z, z + 0.025)) for z in (rear + 0.02, front - 0.06)]
    bars.append(box((-x, x), (board - 0.02, board - 0.004), (rear + 0.03, front - 0.05)))
    back = Back(width - 0.02, tall + soft, (0, board, rear + 0.06), lean=lean)
    slatted = choices.pick("back", {"slats": 2, "rails": 2, "panel": 0.7})
    bars += [back.slat(side, (0, 1), size * 0.8, size * 0.8) for side in (-1, 1)]
    bars.append(back.rail(0.97, 0.05, 0.024))
    if slatted == "slats":
        bars += [back.slat(u, (0, 1), 0.035, 0.014) for u in np.linspace(-1, 1, 2 + 5 * seats)[1:-1]]
    elif slatted == "rails":
        bars += [back.rail(v, 0.05, 0.016) for v in (0.3, 0.63)]
    else:
        bars.append(back.panel((0.05, 1), 0.012))
    seats_ = [
        cushion(
            (-width / 2 + index * place + 0.004, -width / 2 + (index + 1) * place - 0.004),
            (board - 0.005, seat),
            (rear + 0.07, front + 0.02),
            softness=0.25,
        )
        for index in range(seats)
    ]
    rests = [
        cushion((-place / 2 + 0.006, place / 2 - 0.006), (0, tall + 0.03), (0, soft + 0.02), softness=0.4)
        .rotate("x", -lean)
        .move(-width / 2 + (index + 0.5) * place, seat - 0.02, rear + 0.085)
        for index in range(seats)
    ]
    name = "armchair" if seats == 1 else f"sofa of {counted(seats, 'seat')}"
    parts = [Part("frame", frame, bars), Part("seat cushions", fabric, seats_)]
    if choices.chance("back cushions", 0.85):
        parts.append(Part("back cushions", fabric, rests))
    return Design(sentence(f"{name} of {frame.name}", f"cushions of {fabric.name}"), parts)


# ------------------------------------------------------------------------------------------------------------- benches


def bench(choices: Choices) -> Design:
    """A bench with or without a back: a plank, slats in a park, a piano's, a settle."""
    style = choices.pick("style", {"plank": 3, "park": 3, "upholstered": 2, "blocks": 1})
    length, depth = choices.number("length", 0.9, 1.8), choices.number("depth", 0.3, 0.45)
    height = choices.number("height", 0.42, 0.5)
    wood = choose_wood(choices)
    if style == "park":
        return park_bench(choices, length, depth, height)
    if style == "upholstered":
        length = choices.number("short length", 0.55, 1.4)
        soft, legs = choices.number("cushion", 0.05, 0.12), choose_leg(choices, 0.035, 0.06)
        under = height - soft
        lines = corner_lines(length - 0.02, depth - 0.02, under, inset=legs.size / 2 + 0.01)
        frame = [legs.solid(line) for line in lines]
        frame.append(
            box(
                (-length / 2 + 0.01, length / 2 - 0.01),
                (under - 0.07, under + 0.01),
                (-depth / 2 + 0.01, depth / 2 - 0.01),
            )
        )
        fabric = choose_upholstery(choices)
        seat = slab(rectangle(length, depth, corner=0.03), (under, height), edge=soft * 0.45)
        return Design(
            sentence(f"bench of {wood.name}", f"{legs.style} legs", f"a seat of {fabric.name}"),
            [Part("frame", wood, frame), Part("seat", fabric, [seat])],
        )
    thick = choices.number("plank", 0.025, 0.06)
    planks = choices.count("planks", 1, 4)
    edges = np.linspace(-depth / 2, depth / 2, planks + 1)
    seat_ = [
        box((-length / 2, length / 2), (height - thick, height), (near + 0.004, far - 0.004))
        for near, far in itertools.pairwise(edges)
    ]
    at, under = length / 2 - choices.number("overhang", 0.06, 0.25), height - thick + 0.004
    if style == "blocks":
        stone = choose_stone(choices)
        block = box((at - 0.12, at), (0, under), (-depth / 2 + 0.02, depth / 2 - 0.02))
        return Design(
            sentence(f"bench of {wood.name}", f"two blocks of {stone.name}"),
            [Part("seat", wood, seat_), Part("blocks", stone, both_sides([block]))],
        )
    legs_kind = choices.pick("stand", {"legs": 3, "boards": 2, "sled": 1})
    battens = both_sides([box((at - 0.05, at), (height - thick - 0.03, under), (-depth / 2 + 0.01, depth / 2 - 0.01))])
    if legs_kind == "sled":
        metal = choose_metal(choices)
        stand = [*sled(at - 0.02, (-depth / 2 + 0.04, depth / 2 - 0.04), under - 0.01, 0.028)]
        parts = [Part("seat", wood, [*seat_, *battens]), Part("runners", metal, stand)]
        return Design(sentence(f"bench of {wood.name}", f"runners of {metal.name}"), parts)
    if legs_kind == "boards":
        stand = both_sides([box((at - 0.04, at), (0, under), (-depth / 2 + 0.02, depth / 2 - 0.02))])
        stand.append(box((-at, at), (0.12, 0.2), (-0.015, 0.015)))
        return Design(
            sentence(f"bench of {wood.name}", "boards for legs"),
            [Part("seat", wood, seat_), Part("stand", wood, stand)],
        )
    legs = choose_leg(choices, 0.04, 0.07)
    lines = corner_lines(2 * at, depth, under, splay=choices.number("splay", 0, 0.06), inset=legs.size / 2 + 0.01)
    stand = [*(legs.solid(line) for line in lines), *battens]
    stand += stretchers(choices.pick("stretchers", {"none": 2, "H": 1, "sides": 1}), lines, 0.16, 0.03)
    return Design(
        sentence(f"bench of {wood.name}", f"{legs.style} legs"), [Part("seat", wood, seat_), Part("legs", wood, stand)]
    )


def park_bench(choices: Choices, length: Number, depth: Number, height: Number) -> Design:
    """Slats along two or three frames, with a slatted back and perhaps arms."""
    wood = choose_wood(choices)
    frame = choose_metal(choices) if choices.chance("metal frame", 0.6) else wood
    slats, tall, lean = (
        choices.count("seat slats", 2, 7),
        choices.number("back height", 0.34, 0.48),
        choices.number("lean", 6, 18),
    )
    thick, depth = choices.number("slat", 0.02, 0.04), depth + 0.05
    back = Back(length, tall, (0, height, -depth / 2), lean=lean)
    edges = np.linspace(-depth / 2 + 0.02, depth / 2, slats + 1)
    gap = min(0.25 * depth / slats, 0.02)
    boards = [
        box((-length / 2, length / 2), (height - thick, height), (near, far - gap))
        for near, far in itertools.pairwise(edges)
    ]
    rests = choices.count("back slats", 1, 5)
    vertical = choices.chance("upright slats", 0.25)
    if vertical:
        boards += [back.rail(v, 0.07, thick) for v in (0.2, 0.96)]
        boards += [
            back.slat(u, (0.2, 0.96), 0.045, thick * 0.7) for u in np.linspace(-0.95, 0.95, round(length / 0.11))
        ]
    else:
        boards += [back.rail(v, 0.6 * tall / rests + 0.01, thick) for v in np.linspace(0.95, 0.3, rests)]
    at, size = length / 2 - choices.number("overhang", 0.04, 0.2), choices.number("bar", 0.04, 0.07)
    arms = choices.chance("arms", 0.55)
    stand: list[Solid] = []
    for x in (-at, at) if length < 1.5 else (-at, 0, at):
        stand.append(bar((x, 0, depth / 2 - 0.04), (x, height - thick + 0.005, depth / 2 - 0.06), size * 0.7, size))
        stand.append(bar((x, 0, -depth / 2 - 0.03), (x, height, -depth / 2 - size * 0.2), size * 0.7, size))
        top = back.at(0, 0.98)
        stand.append(
            bar(
                (x, height - 0.05, -depth / 2 - size * 0.6),
                (x, top[1], top[2] - size * 0.5 - 0.012),
                size * 0.7,
                size * 0.8,
            )
        )
        stand.append(
            box(
                (x - size * 0.35, x + size * 0.35),
                (height - thick - 0.045, height - thick + 0.005),
                (-depth / 2, depth / 2 - 0.03),
            )
        )
        if arms and x:
            stand.append(
                bar((x, height - 0.04, depth / 2 - 0.06), (x, height + 0.21, depth / 2 - 0.09), size * 0.7, size * 0.7)
            )
            stand.append(
                box(
                    (x - size * 0.6, x + size * 0.6),
                    (height + 0.2, height + 0.23),
                    (-depth / 2 - 0.08, depth / 2 - 0.03),
                )
            )
    name = frame.name if frame is not wood else "wood"
    return Design(
        sentence(f"park bench of {wood.name}", f"a frame of {name}", "arms" if arms else ""),
        [Part("slats", wood, boards), Part("frame", frame, stand)],
    )
