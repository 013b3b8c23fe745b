"""What lamps share: shades, feet and what holds them."""

import numpy as np

from voxgan.data.procedural.choices import Choices, Number
from voxgan.data.procedural.materials import (
    Material,
    choose_metal,
    choose_paint,
    choose_stone,
    choose_upholstery,
    choose_wood,
)
from voxgan.data.procedural.solids import Solid, bar, shade

BULB = Material("white glass", (244, 240, 226))
"""A bulb or an opal globe."""


def choose_shade(choices: Choices, radius: Number, height: Number) -> tuple[Solid, Material, str]:
    """A shade whose lower edge has this radius and lies at y = 0, what it is made of, and the words for it."""
    form = choices.pick("shade", {"cone": 4, "drum": 2.5, "bell": 1.5, "dome": 1})
    top = radius * choices.number("shade taper", 0.35, 0.8)
    shares = np.linspace(0, 1, 9)
    profiles = {
        "cone": [(radius, 0.0), (top, height)],
        "drum": [(radius * 0.86, 0.0), (radius * 0.82, height)],
        "bell": [(top + (radius - top) * (1 - share) ** 2.2, height * share) for share in shares.tolist()],
        "dome": [(radius * float(np.sqrt(1 - (0.97 * share) ** 2)), height * 0.8 * share) for share in shares.tolist()],
    }
    if form == "dome":
        return shade(profiles[form], 0.006), choose_metal(choices, "shade metal"), "a dome"
    fabric = choose_upholstery(choices, "shade fabric")
    pale = Material("cream fabric", (236, 222, 190)) if choices.chance("cream shade", 0.5) else fabric
    return shade(profiles[form], 0.006), pale, f"a {form} of {pale.name}"


def choose_body(choices: Choices) -> Material:
    """What the foot of a lamp is made of."""
    kind = choices.pick("body", {"metal": 3, "wood": 2, "ceramic": 3, "stone": 0.7})
    if kind == "ceramic":
        paint = choose_paint(choices, "glaze", neutral=0.35)
        return Material(f"{paint.name} ceramic", paint.colour)
    return {"metal": choose_metal, "wood": choose_wood, "stone": choose_stone}[kind](choices)


def spider(reach: Number, height: Number) -> list[Solid]:
    """Two thin bars that hold a shade on its rod."""
    return [bar((-reach, height, 0), (reach, height, 0), 0.006), bar((0, height, -reach), (0, height, reach), 0.006)]
