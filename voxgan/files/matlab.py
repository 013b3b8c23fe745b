"""Reads numeric arrays from MATLAB files of version 5.

SciPy's reader trusts the sizes and types that a file declares, and a broken file can crash the process.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from gancore.files.limits import ReadingLimits

BYTE_ORDERS = {b"IM": "<", b"MI": ">"}
"""NumPy's byte order for each endian indicator."""
VALUE_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""NumPy types of the values by data type; they may be stored in another type than the class of the array."""
MATRIX_TYPE, COMPRESSED_TYPE = 14, 15
"""Data types of an element that holds an array, and of one that is compressed."""
NUMERIC_CLASSES = range(6, 16)
"""Array classes that are read: double, single and integers; not cells, text or sparse matrices."""
STRUCTURE_CLASS = 2
"""Array class of structures, whose fields are read if there is one of them."""
MAX_DEPTH = 20
"""Structures nested more deeply are refused."""
UNPACKED_AT_ONCE = 2**24
"""Bytes that are unpacked before the limits are looked at again."""
COMPLEX_FLAG = 0x0800
"""Bit of the array flags that marks complex numbers."""


def read_mat(path: Path, *, limits: ReadingLimits) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The numeric arrays by name, without copying them out of the file's bytes; fields of structures as name/field.

    Raises ValueError if the file is not of version 5, contradicts the sizes that it declares, or holds or unpacks to
    more bytes than the limits allow.
    """
    limits.check_bytes(path.stat().st_size, path)
    data = memoryview(path.read_bytes())
    order = BYTE_ORDERS.get(bytes(data[126:128]))
    if order is None:
        raise ValueError("it is not a MATLAB file of version 5 or 7.3")
    arrays: dict[str, np.ndarray] = {}
    for content in iterate_matrices(data[128:], order, path, limits):
        arrays.update(parse_matrix(content, order))
        limits.check_members(len(arrays), path)
    return arrays


def iterate_matrices(data: memoryview, order: str, path: Path, limits: ReadingLimits) -> Iterator[memoryview]:
    """The bytes of each variable, unpacked. Raises ValueError if together they exceed the limits."""
    total = 0
    for kind, content in iterate_elements(data, order):
        if kind == COMPRESSED_TYPE:
            unpacked = unpack(content, path, limits, total=total)
            total += len(unpacked)
            kind, content = next(iterate_elements(memoryview(unpacked), order), (0, content))
        if kind == MATRIX_TYPE:
            yield content


def unpack(content: memoryview, path: Path, limits: ReadingLimits, *, total: int) -> bytes:
    """The unpacked bytes of an element; `total` bytes were unpacked before. Raises ValueError above the limits."""
    unpacker, pieces = zlib.decompressobj(), []
    while not unpacker.eof and (piece := unpacker.decompress(content, UNPACKED_AT_ONCE)):
        total += len(piece)
        limits.check_bytes(total, path)
        pieces.append(piece)
        content = memoryview(unpacker.unconsumed_tail)
    return b"".join(pieces)


def iterate_elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Data type and bytes of each element in the data; an element may hold others."""
    offset = 0
    while offset + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, offset)
        if kind >> 16:  # a small element: its up to four bytes lie within the tag of eight
            yield kind & 0xFFFF, data[offset + 4 : offset + 4 + min(kind >> 16, 4)]
            offset += 8
            continue
        if offset + 8 + size > len(data):
            raise ValueError(f"it declares {size:,} bytes where it holds {len(data) - offset - 8:,}")
        yield kind, data[offset + 8 : offset + 8 + size]
        offset += 8 + size + (0 if kind == COMPRESSED_TYPE else -size % 8)


def parse_matrix(
    content: memoryview, order: str, *, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Shaped[np.ndarray, "..."]]]:
    """Names and values of the real numbers in a variable: itself, or the fields of a single structure.

    Raises ValueError if it declares another number of values than it holds, or structures are nested too deeply.
    """
    parts = list(islice(iterate_elements(content, order), 5))
    if len(parts) < 4:
        return
    (_, flag_bytes), (_, lengths), (_, letters), (kind, values) = parts[:4]
    if len(flag_bytes) < 4 or len(lengths) % 4:
        raise ValueError("it has a variable without flags or size")
    flags = int(np.frombuffer(flag_bytes, f"{order}u4")[0])
    name = prefix or bytes(letters).decode("latin-1")
    shape = tuple(np.frombuffer(lengths, f"{order}i4").tolist())
    if flags & 0xFF == STRUCTURE_CLASS and math.prod(shape) == 1 and len(parts) == 5:
        if depth >= MAX_DEPTH:
            raise ValueError(f"{name} is nested more than {MAX_DEPTH} levels deep")
        width = max(int(np.frombuffer(values, f"{order}i4")[0]), 1)
        names = bytes(parts[4][1])
        fields = (
            names[place : place + width].split(b"\0")[0].decode("latin-1") for place in range(0, len(names), width)
        )
        inner = (part for kind, part in islice(iterate_elements(content, order), 5, None) if kind == MATRIX_TYPE)
        for field, part in zip(fields, inner, strict=False):
            yield from parse_matrix(part, order, prefix=f"{name}/{field}", depth=depth + 1)
        return
    if flags & 0xFF not in NUMERIC_CLASSES or flags & COMPLEX_FLAG or kind not in VALUE_TYPES or not values:
        return
    numbers = np.frombuffer(values, f"{order}{VALUE_TYPES[kind]}")
    if min(shape) < 0 or math.prod(shape) != numbers.size:
        raise ValueError(f"{name} declares {math.prod(shape):,} numbers and holds {numbers.size:,}")
    yield name, numbers.reshape(shape, order="F")
