"""Reads MTL files: the colours and textures of the materials of OBJ files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gancore.errors import UnreadableError
from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.text import decode

OPTIONS = {
    "-s": 3, "-o": 3, "-t": 3, "-mm": 2, "-blendu": 1, "-blendv": 1, "-cc": 1, "-clamp": 1, "-bm": 1, "-boost": 1,
    "-texres": 1, "-imfchan": 1, "-type": 1, "-colorspace": 1,
}  # fmt: skip
"""Options that may come before the name of a texture, and how many values follow each at most."""


@dataclass
class ObjMaterial:
    """The diffuse colour of a material and its texture."""

    colour: tuple[float, float, float] | None = None
    """RGB in [0, 1]."""
    image: Image.Image | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    """Texture coordinates are multiplied by this, then moved by `offset`."""
    offset: tuple[float, float] = (0.0, 0.0)


def read_materials(libraries: Sequence[str], companions: Companions) -> dict[str, ObjMaterial]:
    """Return the materials in the files that the `mtllib` lines name, whole or as several names."""
    materials: dict[str, ObjMaterial] = {}
    for line in dict.fromkeys(libraries):
        for path, content in _read_libraries(line, companions):
            for name, material in parse_materials(decode(content), companions, path.parent).items():
                materials.setdefault(name, material)
    return materials


def _read_libraries(line: str, companions: Companions) -> list[tuple[Path, bytes]]:
    """The libraries that a line names, each with its path."""
    try:
        return [(companions.find(line), companions.read(line))]
    except UnreadableError as error:
        names = line.split('"')[1::2] or line.split()
        if len(names) < 2:
            companions.report(str(error))
            return []
    contents = [(name, companions.read_optional(name)) for name in names]
    return [(companions.find(name), content) for name, content in contents if content is not None]


def parse_materials(text: str, companions: Companions, folder: Path) -> dict[str, ObjMaterial]:
    """Return the materials of a library in this folder; what cannot be read of one costs its colours alone."""
    materials: dict[str, ObjMaterial] = {}
    images: dict[str, Image.Image | None] = {}
    material = ObjMaterial()
    for line in text.splitlines():
        keyword, _, rest = line.strip().replace("\t", " ").partition(" ")
        match keyword.lower():
            case "newmtl":
                material = materials.setdefault(rest.strip(), ObjMaterial())
            case "kd":
                if (colour := _parse_colour(rest)) is None:
                    companions.report(f"the colour {rest.strip()[:40]!r} of a material is not of numbers")
                material.colour = colour or material.colour
            case "map_kd":
                name, material.scale, material.offset = parse_texture(rest.strip())
                if name not in images:
                    images[name] = companions.open_image(name, folder)
                material.image = images[name]
    return materials


def _parse_colour(text: str) -> tuple[float, float, float] | None:
    try:
        values = [float(word) for word in text.partition("#")[0].split()[:3]]
    except ValueError:
        return None
    values = values * 3 if len(values) == 1 else values
    if len(values) != 3 or not np.isfinite(values).all():
        return None
    red, green, blue = np.clip(values, 0, 1).tolist()
    return red, green, blue


def parse_texture(text: str) -> tuple[str, tuple[float, float], tuple[float, float]]:
    """Return the name of a texture, and the scale and offset of its coordinates, from what follows `map_Kd`."""
    scale, offset = (1.0, 1.0), (0.0, 0.0)
    while text.split(maxsplit=1)[:1] and (option := text.split(maxsplit=1)[0]).lower() in OPTIONS:
        text = text[len(option) :].lstrip()
        values: list[float] = []
        for number in range(OPTIONS[option.lower()]):
            word = text.split(maxsplit=1)[0] if text else ""
            value = _parse_number(word)
            if value is None and (number or option.lower() in ("-s", "-o", "-t", "-mm")):
                break
            values.append(value or 0.0)
            text = text[len(word) :].lstrip()
        pair = (values[0], values[1] if len(values) > 1 else values[0]) if values else (1.0, 1.0)
        if option.lower() == "-s":
            scale = pair
        elif option.lower() == "-o" and values:
            offset = (values[0], values[1] if len(values) > 1 else 0.0)
    return text, scale, offset


def _parse_number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
