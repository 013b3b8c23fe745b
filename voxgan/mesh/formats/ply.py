"""Reads PLY files, binary and text, as tables of their elements."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gancore.files.limits import ShapeLimits
from voxgan.mesh.formats.text import BYTES_PER_CHARACTER, decode, parse_floats

TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "int64": "i8", "uint64": "u8", "float16": "f2", "float32": "f4", "float64": "f8",
}  # fmt: skip
MAX_HEADER = 2**16
"""Longer headers are refused."""


class Property(NamedTuple):
    """A value, or a list of values, that each row of an element has."""

    name: str
    kind: str
    """Type of the values, as numpy writes it."""
    count_kind: str | None = None
    """Type of the number before a list; None for a single value."""


class Lists(NamedTuple):
    """A list in each row of an element."""

    values: np.ndarray
    """All lists in a row."""
    counts: np.ndarray
    """Length of each."""


@dataclass
class Element:
    """The rows of one name, column by column."""

    name: str
    count: int
    properties: list[Property] = field(default_factory=list)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    lists: dict[str, Lists] = field(default_factory=dict)

    @property
    def least_bytes(self) -> int:
        """Bytes that a row of a binary file takes at least."""
        return sum(np.dtype(item.count_kind or item.kind).itemsize for item in self.properties)


@dataclass
class PlyFile:
    """The elements of a PLY file and its comments."""

    elements: dict[str, Element]
    comments: list[str]


def read_elements(path: Path, *, limits: ShapeLimits) -> PlyFile:
    """Return all elements. Raises ValueError if the header is invalid, or declares more than the file holds."""
    with path.open("rb") as file:
        head = file.read(MAX_HEADER)
    layout, elements, comments, start = parse_header(head)
    text = layout == "ascii"
    size = path.stat().st_size - start
    for name in ("face", "tristrips"):
        if name in elements:
            limits.check_faces(elements[name].count, path)
    least = sum(item.count * (2 * len(item.properties) if text else item.least_bytes) for item in elements.values())
    if least - 1 > size:
        stated = " and ".join(f"{item.count:,} of {name}" for name, item in elements.items())
        raise ValueError(f"it may be cut short: it states {stated}")
    limits.check_bytes(size * (BYTES_PER_CHARACTER if text else 4), path)
    with path.open("rb") as file:
        file.seek(start)
        content = file.read()
    if text:
        read_ascii(decode(content).split(), elements)
    else:
        read_binary(content, elements, order="<" if "little" in layout else ">")
    return PlyFile(elements, comments)


def parse_header(head: bytes) -> tuple[str, dict[str, Element], list[str], int]:
    """The layout of the data, the elements without their rows, the comments, and where the data starts."""
    place, lines = 0, []
    while True:
        ends = [end for end in (head.find(b"\n", place), head.find(b"\r", place)) if end >= 0]
        if not ends:
            raise ValueError("its header does not end" if head.startswith(b"ply") else "it does not begin with ply")
        line = head[place : min(ends)].decode("utf-8", errors="replace").strip()
        place = min(ends) + (2 if head[min(ends) : min(ends) + 2] == b"\r\n" else 1)
        lines.append(line)
        if lines[0] != "ply":
            raise ValueError("it does not begin with ply")
        if line == "end_header":
            break
    layout, elements, comments = "", {}, []
    element = None
    for line in lines[1:-1]:
        match line.split():
            case ["format", ("ascii" | "binary_little_endian" | "binary_big_endian") as layout, *_]:
                pass
            case ["comment" | "obj_info", *_]:
                comments.append(line.partition(" ")[2].strip())
            case ["element", name, count] if count.isdecimal() and name not in elements:
                element = elements[name] = Element(name, int(count))
            case ["property", "list", count_kind, kind, name] if element and {count_kind, kind} <= TYPES.keys():
                element.properties.append(Property(name, TYPES[kind], TYPES[count_kind]))
            case ["property", kind, name] if element and kind in TYPES:
                element.properties.append(Property(name, TYPES[kind]))
            case []:
                pass
            case _:
                raise ValueError(f"its header has a line that is not understood: {line[:80]!r}")
    if not layout:
        raise ValueError("its header does not say in which format its data is")
    return layout, elements, comments, place


def read_binary(content: bytes, elements: dict[str, Element], *, order: str) -> None:
    """Fill the elements from binary rows."""
    place = 0
    for element in elements.values():
        place = _read_binary_rows(content, place, element, order)
        if place > len(content):
            raise ValueError(f"it may be cut short: its rows of {element.name} do not end")


def _read_binary_rows(content: bytes, place: int, element: Element, order: str) -> int:
    if not element.count or not element.properties:
        return place
    counts = _counts_of_first_row(content, place, element, order)
    fields: list[tuple] = []
    for number, item in enumerate(element.properties):
        if item.count_kind is None:
            fields.append((f"value{number}", order + item.kind))
        else:
            fields += [
                (f"count{number}", order + item.count_kind),
                (f"list{number}", order + item.kind, (counts[number],)),
            ]
    row = np.dtype(fields)
    if place + row.itemsize * element.count <= len(content):
        table = np.frombuffer(content, row, element.count, place)
        same = all(
            (table[f"count{number}"] == counts[number]).all()
            for number, item in enumerate(element.properties)
            if item.count_kind
        )
        if same:
            for number, item in enumerate(element.properties):
                if item.count_kind is None:
                    element.values[item.name] = table[f"value{number}"].astype(item.kind)
                else:
                    flat = table[f"list{number}"].astype(item.kind).reshape(-1)
                    element.lists[item.name] = Lists(flat, np.full(element.count, counts[number]))
            return place + row.itemsize * element.count
    return _read_uneven_rows(content, place, element, order)


def _counts_of_first_row(content: bytes, place: int, element: Element, order: str) -> list[int]:
    counts = []
    for item in element.properties:
        count = 1
        if item.count_kind is not None:
            (count,) = _take(content, place, order + item.count_kind, 1).tolist()
            place += np.dtype(item.count_kind).itemsize
            count = _check_count(count)
        counts.append(count)
        place += count * np.dtype(item.kind).itemsize
        if place > len(content):
            raise ValueError(f"it may be cut short: its rows of {element.name} do not end")
    return counts


def _read_uneven_rows(content: bytes, place: int, element: Element, order: str) -> int:
    """Rows whose lists differ in length, one after another."""
    kinds = [
        (np.dtype(order + item.kind), item.count_kind and np.dtype(order + item.count_kind))
        for item in element.properties
    ]
    chunks: list[list[bytes]] = [[] for _ in kinds]
    counts: list[list[int]] = [[] for _ in kinds]
    for _ in range(element.count):
        for number, (kind, count_kind) in enumerate(kinds):
            count = 1
            if count_kind:
                end = place + count_kind.itemsize
                raw = content[place:end]
                count = _check_count(
                    int.from_bytes(raw, "little" if order == "<" else "big", signed=count_kind.kind == "i")
                    if count_kind.kind != "f"
                    else float(_take(content, place, count_kind.str, 1)[0])
                )
                place = end
            end = place + count * kind.itemsize
            if end > len(content):
                raise ValueError(f"it may be cut short: its rows of {element.name} do not end")
            chunks[number].append(content[place:end])
            counts[number].append(count)
            place = end
    for item, (kind, _), chunk, lengths in zip(element.properties, kinds, chunks, counts, strict=True):
        values = np.frombuffer(b"".join(chunk), kind).astype(item.kind)
        if item.count_kind is None:
            element.values[item.name] = values
        else:
            element.lists[item.name] = Lists(values, np.array(lengths, np.int64))
    return place


def _take(content: bytes, place: int, kind: str, count: int) -> np.ndarray:
    if place + np.dtype(kind).itemsize * count > len(content):
        raise ValueError("it may be cut short: its last row does not end")
    return np.frombuffer(content, kind, count, place)


def _check_count(count: float | int) -> int:
    if not (count >= 0 and count == int(count)):
        raise ValueError(f"a list of it has {count:g} entries")
    return int(count)


def read_ascii(words: list[str], elements: dict[str, Element]) -> None:
    """Fill the elements from words."""
    numbers = parse_floats(words, "its data")
    place = 0
    for element in elements.values():
        place = _read_ascii_rows(numbers, place, element)


def _read_ascii_rows(numbers: np.ndarray, place: int, element: Element) -> int:
    cut_short = ValueError(f"it may be cut short: its rows of {element.name} do not end")
    if not element.count or not element.properties:
        return place
    counts: list[list[int]] = [[] for _ in element.properties]
    starts: list[list[int]] = [[] for _ in element.properties]
    if not any(item.count_kind for item in element.properties):
        end = place + element.count * len(element.properties)
        if end > len(numbers):
            raise cut_short
        table = numbers[place:end].reshape(element.count, -1)
        for column, item in zip(table.T, element.properties, strict=True):
            element.values[item.name] = _cast(column, item)
        return end
    for _ in range(element.count):
        for number, item in enumerate(element.properties):
            count = 1
            if item.count_kind is not None:
                if place >= len(numbers):
                    raise cut_short
                count = _check_count(float(numbers[place]) if np.isfinite(numbers[place]) else -1)
                place += 1
            starts[number].append(place)
            counts[number].append(count)
            place += count
            if place > len(numbers):
                raise cut_short
    for item, start, found in zip(element.properties, starts, counts, strict=True):
        lengths = np.array(found, np.int64)
        before = np.cumsum(lengths) - lengths
        flat = (np.array(start) - before).repeat(lengths) + np.arange(lengths.sum())
        values = _cast(numbers[flat], item)
        if item.count_kind is None:
            element.values[item.name] = values
        else:
            element.lists[item.name] = Lists(values, lengths)
    return place


def _cast(values: np.ndarray, item: Property) -> np.ndarray:
    """The values in the type of the property, if they lie in its range."""
    if item.kind[0] == "f":
        return values if item.kind == "f8" else values.astype(np.float32)
    whole = np.isfinite(values).all() and (values == np.rint(values)).all()
    limits = np.iinfo(item.kind)
    if not whole or (values.size and not (values.min() >= limits.min and values.max() <= limits.max)):
        raise ValueError(f"its {item.name} holds numbers that are not of the type that its header states")
    return values.astype(item.kind)
