"""Bookcases, racks, grids of cubes, ladders and steps, with books in some."""

import itertools
from collections.abc import Sequence

import numpy as np

from voxgan.data.procedural.backs import both_sides
from voxgan.data.procedural.cabinets import base_of, stand_part
from voxgan.data.procedural.choices import Choices, Number
from voxgan.data.procedural.fronts import Front, build_fronts, carcass, divide
from voxgan.data.procedural.furniture import Design, Part
from voxgan.data.procedural.materials import (
    FABRICS,
    Material,
    choose_metal,
    choose_paint,
    choose_wood,
)
from voxgan.data.procedural.solids import Range, Solid, bar, box
from voxgan.data.procedural.wording import counted, sentence


def shelf(choices: Choices) -> Design:
    """A bookcase, a rack on posts, a grid of cubes, a ladder or a stepped shelf, with books in some."""
    style = choices.pick("style", {"bookcase": 4, "rack": 2.5, "cubes": 2, "stepped": 1, "ladder": 1})
    wood = choose_wood(choices)
    board = choices.number("board", 0.016, 0.032)
    if style == "cubes":
        return cube_shelf(choices, wood, board)
    width, depth, height = (
        choices.number("width", 0.4, 1.2),
        choices.number("depth", 0.24, 0.42),
        choices.number("height", 0.8, 2.1),
    )
    x, z = width / 2, depth / 2
    rows = max(2, round(height / choices.number("spacing", 0.26, 0.4)))
    base = choices.number("plinth", 0.0, 0.1) if style == "bookcase" else choices.number("lowest", 0.05, 0.25)
    spaces = divide(choices, "space", (base, height), rows, uneven=0.2 if choices.chance("uneven", 0.3) else 0.0)
    levels = [low for low, _ in spaces] + [height - board]
    if style == "bookcase":
        solids = carcass((-x, x), (base, height), (-z, z), board)
        if not choices.chance("back panel", 0.75):
            solids = solids[:4]
        if base > 0.015:
            solids.append(box((-x + 0.003, x - 0.003), (0, base + 0.004), (-z + 0.003, z - 0.015)))
        solids += [
            box((-x + board / 2, x - board / 2), (level, level + board), (-z + 0.003, z - 0.004))
            for level in levels[1:-1]
        ]
        if width > 0.8 and choices.chance("middle wall", 0.5):
            at = choices.number("middle wall at", -0.15, 0.15)
            top = solids[1].vertices[:, 1].max()
            solids.append(
                box((at - board / 2, at + board / 2), (levels[0] + 0.004, top - 0.004), (-z + 0.004, z - 0.005))
            )
        parts = [Part("case", wood, solids)]
        closed = choices.chance("doors below", 0.2)
        if closed:
            doors = [
                Front("door", (-x, 0), (levels[0], levels[1] + board), -1),
                Front("door", (0, x), (levels[0], levels[1] + board), 1),
            ]
            parts += build_fronts(choices, doors, z - 0.001, wood, choose_metal(choices))
        word = f"bookcase of {wood.name}"
    elif style == "ladder":
        lean = choices.number("lean", 0.1, 0.3)
        rails = both_sides(
            [
                bar((x, 0, z + lean), (x, height, -z), 0.03, 0.05),
                bar((x, 0, -z + 0.012), (x, height, -z + 0.012), 0.03, 0.024),
            ]
        )
        shelves_ = [
            box((-x, x), (level, level + board), (-z, z + lean - (lean + depth) * level / height + 0.02))
            for level in levels[:-1]
        ]
        parts = [Part("rails", wood, rails), Part("shelves", wood, shelves_)]
        word = f"ladder shelf of {wood.name}"
    elif style == "stepped":
        solids, x = [], choices.number("half width", 0.4, 0.75)
        for index, (low, high) in enumerate(spaces):
            reach = x - (2 * x * 0.75) * index / rows
            solids += carcass(
                (-x, reach), (max(low - board * 0.4, 0), high + board * 0.4), (-z, z - 0.001 * index), board
            )
        if choices.chance("rising to the right", 0.5):
            solids = [each.mirror() for each in solids]
        parts = [Part("case", wood, solids)]
        return Design(sentence(f"stepped shelf of {wood.name}", counted(rows, "step")), parts)
    else:
        metal = choose_metal(choices)
        frame = metal if choices.chance("metal posts", 0.6) else wood
        size = choices.number("post", 0.02, 0.045)
        posts = [
            bar(
                (sx * (x - size / 2), 0, sz * (z - size / 2)),
                (sx * (x - size / 2), height, sz * (z - size / 2)),
                size,
                size,
            )
            for sx in (-1, 1)
            for sz in (-1, 1)
        ]
        shelves_ = [box((-x + 0.004, x - 0.004), (level, level + board), (-z + 0.004, z - 0.004)) for level in levels]
        if choices.chance("crossed back", 0.3):
            posts += [
                bar(
                    (side * (x - size), levels[0], -z + size * 0.3),
                    (-side * (x - size), height, -z + size * 0.3),
                    0.012,
                )
                for side in (-1, 1)
            ]
        parts = [Part("posts", frame, posts), Part("shelves", wood, shelves_)]
        word = f"rack of {wood.name}"
    if choices.chance("books", 0.3):
        limits = [(low + board, high) for low, high in itertools.pairwise(levels)]
        front = -z + 0.02 if style != "ladder" else -z + 0.03
        parts += books(choices, (-x + board + 0.005, x - board - 0.005), limits, front, min(0.2, depth * 0.75))
    return Design(
        sentence(word, counted(rows, "shelf"), "books" if any(part.name.startswith("book") for part in parts) else ""),
        parts,
    )


def cube_shelf(choices: Choices, wood: Material, board: Number) -> Design:
    """A grid of cubes of which some have a door, a drawer or no back."""
    columns, rows, cell = choices.count("columns", 1, 5), choices.count("rows", 1, 5), choices.number("cell", 0.3, 0.42)
    width, height, depth = columns * cell, rows * cell, choices.number("depth", 0.3, 0.42)
    x, z = width / 2, depth / 2
    base, stand = base_of(choices, "shelf", width, depth)
    solids = carcass((-x, x), (base, base + height), (-z, z), board)
    if not choices.chance("back panel", 0.6):
        solids = solids[:4]
    solids += [
        box((at - board / 2, at + board / 2), (base + 0.003, base + height - 0.003), (-z + 0.002, z - 0.003))
        for at in np.linspace(-x, x, columns + 1)[1:-1]
    ]
    solids += [
        box(
            (-x + 0.004, x - 0.004),
            (base + row * cell - board / 2, base + row * cell + board / 2),
            (-z + 0.003, z - 0.004),
        )
        for row in range(1, rows)
    ]
    fronts = []
    share = choices.number("filled", 0.0, 0.6)
    for column in range(columns):
        for row in range(rows):
            if abs(choices.noise(f"cell {column} {row}", 1.0)) < share:
                span = (-x + column * cell + 0.004, -x + (column + 1) * cell - 0.004)
                fronts.append(
                    Front(
                        "door" if choices.noise(f"kind {column} {row}", 1.0) < 0 else "drawer",
                        span,
                        (base + row * cell + 0.004, base + (row + 1) * cell - 0.004),
                        hinge=1,
                    )
                )
    other = choose_paint(choices, "front paint") if choices.chance("coloured fronts", 0.5) else wood
    parts = [Part("case", wood, solids), *stand_part(stand, choices, wood)]
    parts += build_fronts(choices, fronts, z - 0.002, other, choose_metal(choices))
    return Design(
        sentence(f"shelf of {columns} by {rows} cubes of {wood.name}", counted(len(fronts), "front") if fronts else ""),
        parts,
    )


def books(choices: Choices, x: Range, spaces: Sequence[Range], z: Number, depth: Number) -> list[Part]:
    """Rows of books from the left end of some shelves, in four colours."""
    random = np.random.default_rng(choices.seed_of("books"))
    colours = [list(FABRICS)[int(index)] for index in random.integers(len(FABRICS), size=4)]
    rows: list[list[Solid]] = [[], [], [], []]
    for low, high in spaces:
        if high - low < 0.18 or random.random() < 0.3:
            continue
        at, end = x[0], x[0] + (x[1] - x[0]) * random.uniform(0.3, 1.0)
        while at < end - 0.05:
            thick, tall = random.uniform(0.015, 0.05), min(random.uniform(0.17, 0.29), high - low - 0.02)
            out = random.uniform(0.7, 1.0) * depth
            rows[int(random.integers(4))].append(box((at, at + thick), (low - 0.003, low + tall), (z, z + out)))
            at += thick + 0.0015
    return [
        Part(f"books {number}", Material(f"{colour} paper", FABRICS[colour]), row)
        for number, (colour, row) in enumerate(zip(colours, rows, strict=True), 1)
        if row
    ]
