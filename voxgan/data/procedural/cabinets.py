"""Cabinets with drawers and doors, and wardrobes."""

from voxgan.data.procedural.backs import both_sides
from voxgan.data.procedural.choices import Choices, Number
from voxgan.data.procedural.fronts import BOARD, Front, build_fronts, carcass, divide
from voxgan.data.procedural.furniture import Design, Part
from voxgan.data.procedural.legs import choose_leg, corner_lines
from voxgan.data.procedural.materials import (
    Material,
    choose_metal,
    choose_paint,
    choose_stone,
    choose_wood,
)
from voxgan.data.procedural.solids import Range, Solid, box
from voxgan.data.procedural.wording import counted, sentence

SIZES: dict[str, tuple[tuple[Number, Number], ...]] = {
    "sideboard": ((1.1, 1.9), (0.36, 0.5), (0.65, 0.95)),
    "chest": ((0.6, 1.2), (0.38, 0.52), (0.7, 1.2)),
    "bedside": ((0.36, 0.56), (0.34, 0.46), (0.4, 0.65)),
    "television stand": ((1.0, 2.0), (0.35, 0.5), (0.35, 0.6)),
    "kitchen cabinet": ((0.3, 1.0), (0.5, 0.62), (0.8, 0.92)),
    "wall cabinet": ((0.3, 1.0), (0.28, 0.38), (0.4, 0.9)),
    "filing cabinet": ((0.38, 0.48), (0.5, 0.65), (0.65, 1.35)),
    "tall cabinet": ((0.4, 0.9), (0.36, 0.5), (1.4, 2.1)),
}
"""Ranges of width, depth and height in metres."""


CONTENTS: dict[str, dict[str, Number]] = {
    "chest": {"drawers": 1},
    "filing cabinet": {"drawers": 1},
    "bedside": {"drawers": 2, "mixed": 2, "door": 1, "open": 0.5},
    "wall cabinet": {"door": 3, "glass": 1.5, "open": 0.7},
    "kitchen cabinet": {"drawers": 1.5, "mixed": 2, "door": 2},
    "television stand": {"drawers": 1, "door": 1, "open": 2, "mixed": 1},
    "sideboard": {"drawers": 1.5, "door": 3, "open": 1.2, "glass": 1.2, "mixed": 2},
    "tall cabinet": {"drawers": 1, "door": 3, "open": 1.2, "glass": 1.5, "mixed": 2},
}
"""How often a column of each use holds what; mixed is a drawer above a door or an open compartment."""


def cabinet(choices: Choices) -> Design:
    """A cabinet of columns, each divided into drawers, doors and open compartments."""
    use = choices.pick(
        "use",
        {
            "sideboard": 2,
            "chest": 2.5,
            "bedside": 1.5,
            "television stand": 1.5,
            "kitchen cabinet": 2,
            "wall cabinet": 1.5,
            "filing cabinet": 0.7,
            "tall cabinet": 1.5,
        },
    )
    width, depth, height = (
        choices.number(name, *span) for name, span in zip(("width", "depth", "height"), SIZES[use], strict=True)
    )
    body = choose_wood(choices)
    front = body if choices.chance("fronts of the same wood", 0.65) else choose_paint(choices, "front paint")
    if use == "filing cabinet" and choices.chance("steel", 0.7):
        body = front = choose_metal(choices, "sheet metal")
    metal, board = choose_metal(choices), choices.number("board", 0.016, 0.03)
    base, stand = base_of(choices, use, width, depth)
    x, z = width / 2, depth / 2
    solids = carcass((-x, x), (base, height), (-z, z), board)
    columns = {"sideboard": choices.count("columns", 2, 4), "television stand": choices.count("columns", 1, 3)}.get(
        use, 1 + (width > 0.6) * choices.chance("two columns", 0.6)
    )
    fronts: list[Front] = []
    words: list[str] = []
    for index, span in enumerate(
        divide(choices, "column", (-x, x), columns, uneven=0.2 if choices.chance("uneven", 0.3) else 0.0)
    ):
        if index:
            solids.append(
                box((span[0] - board / 2, span[0] + board / 2), (base + 0.002, height - 0.002), (-z + 0.002, z - 0.003))
            )
        made, boards = fill_column(choices, f"column {index + 1}", use, span, (base, height), (-z, z), board)
        fronts += made
        solids += boards
        words.append(made[0].kind if made else "open shelf")
    parts = [Part("body", body, solids), *stand_part(stand, choices, body)]
    if choices.chance("top board", 0.5) or use == "kitchen cabinet":
        over = choices.number("overhang", 0.0, 0.025)
        stone = use == "kitchen cabinet" and choices.chance("stone top", 0.5)
        thick = choices.number("top thickness", 0.015, 0.04)
        slab_ = box((-x - over, x + over), (height - 0.003, height + thick), (-z, z + over + BOARD))
        parts.append(Part("top", choose_stone(choices) if stone else body, [slab_]))
    parts += build_fronts(choices, fronts, z - 0.001, front, metal)
    counts = {kind: sum(each.kind == kind for each in fronts) for kind in ("drawer", "door", "glass door")}
    told = [counted(number, kind) for kind, number in counts.items() if number]
    return Design(
        sentence(f"{use if use != 'chest' else 'chest of drawers'} of {body.name}", *(told or ["open shelves"])), parts
    )


def fill_column(
    choices: Choices, name: str, use: str, x: Range, y: Range, z: Range, board: Number
) -> tuple[list[Front], list[Solid]]:
    """The fronts of one column, and the shelves behind those that are open or of glass."""
    tall, wide = y[1] - y[0], x[1] - x[0]
    content = choices.pick(f"{name} content", CONTENTS[use])
    opened = choices.chance(f"{name} opened", 0.07)
    count = max(1, min(round(tall / choices.number(f"{name} drawer height", 0.14, 0.3)), 6))
    if content == "drawers":
        rows = divide(
            choices, f"{name} drawer", y, count, uneven=0.25 if choices.chance(f"{name} uneven", 0.3) else 0.0
        )
        pulled = choices.count(f"{name} drawn", 0, count - 1) if opened else -1
        out = choices.number(f"{name} drawn by", 0.06, 0.24)
        return [Front("drawer", x, row, opened=out if index == pulled else 0.0) for index, row in enumerate(rows)], []
    inside = (x[0] + board * 0.4, x[1] - board * 0.4)
    levels = [low for low, _ in divide(choices, f"{name} shelf", y, max(2, round(tall / 0.34)), uneven=0.15)][1:]
    shelves = [box(inside, (level - board / 2, level + board / 2), (z[0] + 0.003, z[1] - 0.02)) for level in levels]
    if content == "open":
        return [], shelves
    ajar = choices.number(f"{name} ajar by", 20, 100) if opened else 0.0
    low = y[0]
    fronts: list[Front] = []
    if content == "mixed":
        low = y[0] + tall * choices.number(f"{name} split", 0.6, 0.78)
        lower_open = choices.chance(f"{name} open below", 0.35)
        fronts.append(Front("drawer", x, (low, y[1])))
        shelves.append(box(inside, (low - board, low), (z[0] + 0.003, z[1] - 0.004)))
        if lower_open:
            return fronts, shelves
        y, low = (y[0], low), y[0]
    kind = "glass door" if content == "glass" else "door"
    if wide > 0.55:
        middle = (x[0] + x[1]) / 2
        return [*fronts, Front(kind, (x[0], middle), y, -1, ajar), Front(kind, (middle, x[1]), y, 1, 0.0)], shelves
    hinge = -1 if choices.chance(f"{name} hinged left", 0.5) else 1
    return [*fronts, Front(kind, x, y, hinge, ajar)], shelves


def base_of(choices: Choices, use: str, width: Number, depth: Number) -> tuple[Number, list[Solid]]:
    """The height at which the body begins, and what stands below it."""
    styles = {"plinth": 3, "legs": 3, "floor": 1.5, "sides": 0.5}
    if use == "wall cabinet":
        return 0.0, []
    if use in ("kitchen cabinet", "filing cabinet", "tall cabinet"):
        styles = {"plinth": 3, "floor": 2, "legs": 0.4}
    match choices.pick("base", styles):
        case "legs":
            height = choices.number("leg height", 0.08, 0.25)
            legs = choose_leg(choices, 0.03, 0.055)
            splay = choices.number("splay", 0, 0.04)
            lines = corner_lines(
                width, depth, height + 0.004, splay=min(splay, 0.3 * height), inset=legs.size / 2 + 0.02 + splay
            )
            return height, [legs.solid(line) for line in lines]
        case "plinth":
            height = choices.number("plinth", 0.04, 0.12)
            back = choices.number("plinth inset", 0.0, 0.06)
            return height, [
                box(
                    (-width / 2 + 0.004, width / 2 - 0.004),
                    (0, height + 0.004),
                    (-depth / 2 + 0.004, depth / 2 - 0.004 - back),
                )
            ]
        case "sides":
            height = choices.number("plinth", 0.05, 0.1)
            return height, both_sides(
                [
                    box(
                        (width / 2 - 0.03, width / 2 - 0.002),
                        (0, height + 0.004),
                        (-depth / 2 + 0.003, depth / 2 - 0.003),
                    )
                ]
            )
    return 0.0, []


def stand_part(stand: list[Solid], choices: Choices, body: Material) -> list[Part]:
    if not stand:
        return []
    return [Part("stand", choose_metal(choices, "stand metal") if choices.chance("metal stand", 0.25) else body, stand)]


def wardrobe(choices: Choices) -> Design:
    """A tall cupboard of one to four doors, hinged or sliding, perhaps with drawers below and a mirror."""
    body, metal = choose_wood(choices), choose_metal(choices)
    front = body if choices.chance("fronts of the same wood", 0.7) else choose_paint(choices, "front paint")
    doors = choices.count("doors", 1, 4)
    width, depth = doors * choices.number("door width", 0.42, 0.62), choices.number("depth", 0.5, 0.64)
    height, base = choices.number("height", 1.75, 2.3), choices.number("plinth", 0.0, 0.1)
    x, z = width / 2, depth / 2
    solids = carcass((-x, x), (base, height), (-z, z), 0.022)
    if base > 0.02:
        solids.append(box((-x + 0.01, x - 0.01), (0, base + 0.004), (-z + 0.01, z - 0.03)))
    else:
        solids.append(box((-x + 0.001, x - 0.001), (0, base + 0.02), (-z + 0.001, z - 0.001)))
    split = choices.number("drawers up to", 0.3, 0.6) if choices.chance("drawers", 0.35) else base
    fronts: list[Front] = []
    mirror = choices.count("mirror door", 1, doors) if choices.chance("mirror", 0.25) else 0
    ajar = choices.count("open door", 1, doors) if choices.chance("ajar", 0.06) else 0
    for number, span in enumerate(divide(choices, "door", (-x, x), doors), 1):
        kind = "mirror door" if number == mirror else "door"
        hinge = -1 if number % 2 else 1
        fronts.append(Front(kind, span, (split, height - 0.004), hinge, 70.0 if number == ajar else 0.0))
    if split > base:
        rows = divide(choices, "row", (base, split), choices.count("rows of drawers", 1, 2))
        across = divide(choices, "drawer", (-x, x), max(1, doors // 2))
        fronts += [Front("drawer", span, row) for row in rows for span in across]
        solids.append(box((-x + 0.01, x - 0.01), (split - 0.01, split + 0.01), (-z + 0.002, z - 0.004)))
    parts = [Part("body", body, solids)]
    if choices.chance("cornice", 0.35):
        out = choices.number("cornice width", 0.02, 0.06)
        steps = [
            box(
                (-x - out * share, x + out * share),
                (height - 0.004 + 0.03 * index, height + 0.03 * (index + 1)),
                (-z, z + BOARD + out * share),
            )
            for index, share in enumerate((0.5, 1.0))
        ]
        parts.append(Part("cornice", body, steps))
    parts += build_fronts(choices, fronts, z - 0.001, front, metal)
    return Design(
        sentence(
            f"wardrobe of {body.name}",
            counted(doors, "door"),
            "drawers below" if split > base else "",
            "a mirror" if mirror else "",
        ),
        parts,
    )
