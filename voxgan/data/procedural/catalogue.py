"""Every kind of furniture that there is a program for."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from gancore.rng import derive_seed
from voxgan.data.procedural.armchairs import armchair, lounger, office_chair, stool
from voxgan.data.procedural.beds import bed
from voxgan.data.procedural.cabinets import cabinet, wardrobe
from voxgan.data.procedural.chairs import chair
from voxgan.data.procedural.choices import NOTHING, Choices, Number, Value, choose_weighted
from voxgan.data.procedural.desks import desk
from voxgan.data.procedural.furniture import Design, Furniture
from voxgan.data.procedural.lamps import lamp
from voxgan.data.procedural.shelves import shelf
from voxgan.data.procedural.sofas import bench, sofa
from voxgan.data.procedural.tables import coffee_table, table


class Kind(NamedTuple):
    """A program, the class of what it makes, and how often it is chosen."""

    label: str
    program: Callable[[Choices], Design]
    weight: Number


KINDS: dict[str, Kind] = {
    "chair": Kind("chair", chair, 16),
    "armchair": Kind("chair", armchair, 7),
    "office-chair": Kind("chair", office_chair, 4),
    "stool": Kind("chair", stool, 5),
    "lounger": Kind("chair", lounger, 2),
    "sofa": Kind("sofa", sofa, 8),
    "bench": Kind("sofa", bench, 4),
    "table": Kind("table", table, 11),
    "coffee-table": Kind("table", coffee_table, 4),
    "desk": Kind("table", desk, 6),
    "cabinet": Kind("cabinet", cabinet, 9),
    "wardrobe": Kind("cabinet", wardrobe, 3),
    "shelf": Kind("cabinet", shelf, 6),
    "bed": Kind("bed", bed, 7),
    "lamp": Kind("lamp", lamp, 8),
}
"""The programs by name; classes are those of the furniture data set of this package."""


def build_furniture(kind: str, seed: int, *, parameters: Mapping[str, Value] = NOTHING) -> Furniture:
    """The piece of furniture of this kind and seed, the same in any process and whatever was built before.

    Args:
        kind: One of KINDS.
        seed: Any integer from 0.
        parameters: Choices to make in place of those that the seed makes, by the names in `Furniture.parameters`.

    Raises:
        ValueError: There is no such kind, the seed is negative, or a parameter is unknown or out of its range.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no program for {kind}; choose one of {', '.join(KINDS)}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    choices = Choices(kind, seed, parameters)
    design = KINDS[kind].program(choices)
    choices.require_use()
    lowest = min(float(solid.vertices[:, 1].min()) for part in design.parts for solid in part.solids)
    parts = (replace(part, solids=tuple(solid.move(y=-lowest) for solid in part.solids)) for part in design.parts)
    return Furniture(kind, KINDS[kind].label, seed, choices.made, design.description, tuple(parts))


def choose_kind(seed: int) -> str:
    """The kind of the object with this number, chosen by the weights of KINDS."""
    share = (derive_seed(seed, 21) >> 10) / 2**53
    return choose_weighted(share, {name: kind.weight for name, kind in KINDS.items()})
