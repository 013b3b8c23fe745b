"""Numeric arrays in MATLAB files of version 5.

SciPy's reader takes the sizes and types that a file states for granted, and a broken one can end the process with it.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

BYTE_ORDERS = {b"IM": "<", b"MI": ">"}
VALUE_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""How values may be stored, whatever class of numbers they are."""
MATRIX_TYPE, COMPRESSED_TYPE = 14, 15
NUMERIC_CLASSES = range(6, 16)
"""double, single, and integers of every size; not cells, structures, text or sparse matrices."""
COMPLEX_FLAG = 0x0800


def read_mat(path: Path, *, most: int) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays of numbers by name, without copying them out of the file's bytes.

    Raises ValueError if it is no such file, states sizes that it does not have, or unpacks to more than `most` bytes.
    """
    if path.stat().st_size > most:
        raise ValueError(f"it holds more than the {most:,} bytes that are read")
    data = memoryview(path.read_bytes())
    order = BYTE_ORDERS.get(bytes(data[126:128]))
    if order is None:
        raise ValueError("it is no MATLAB file of version 5 or 7.3")
    found = (parse_array(content, order) for content in iterate_matrices(data[128:], order, most=most))
    return dict(item for item in found if item)


def iterate_matrices(data: memoryview, order: str, *, most: int) -> Iterator[memoryview]:
    """The bytes of each variable, unpacked."""
    for kind, content in iterate_elements(data, order):
        if kind == COMPRESSED_TYPE:
            unpacked = zlib.decompressobj().decompress(content, most + 1)
            if (most := most - len(unpacked)) < 0:
                raise ValueError("it unpacks to more bytes than are read")
            kind, content = next(iterate_elements(memoryview(unpacked), order), (0, content))
        if kind == MATRIX_TYPE:
            yield content


def iterate_elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and bytes of each element, which follow one another and may hold others."""
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        if kind >> 16:  # up to four bytes share the eight of the tag
            yield kind & 0xFFFF, data[place + 4 : place + 4 + min(kind >> 16, 4)]
            place += 8
            continue
        if place + 8 + size > len(data):
            raise ValueError(f"it promises {size:,} bytes where it holds {len(data) - place - 8:,}")
        yield kind, data[place + 8 : place + 8 + size]
        place += 8 + size + (0 if kind == COMPRESSED_TYPE else -size % 8)


def parse_array(content: memoryview, order: str) -> tuple[str, Shaped[np.ndarray, "..."]] | None:
    """Name and values of a variable, or None if those are no numbers."""
    parts = list(islice(iterate_elements(content, order), 4))
    if len(parts) < 4:
        return None
    (_, flags), (_, lengths), (_, letters), (kind, values) = parts
    number, name = int(np.frombuffer(flags, f"{order}u4")[0]), bytes(letters).decode("latin-1")
    if number & 0xFF not in NUMERIC_CLASSES or number & COMPLEX_FLAG or kind not in VALUE_TYPES or not values:
        return None
    shape = tuple(np.frombuffer(lengths, f"{order}i4").tolist())
    numbers = np.frombuffer(values, f"{order}{VALUE_TYPES[kind]}")
    if min(shape) < 0 or math.prod(shape) != numbers.size:
        raise ValueError(f"{name} promises {math.prod(shape):,} numbers and holds {numbers.size:,}")
    return name, numbers.reshape(shape, order="F")
