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

BYTE_ORDERS = {b"IM": "<", b"MI": ">"}
"""NumPy's byte order for each endian indicator."""
VALUE_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""NumPy types of the values by data type; they may be stored in another type than the class of the array."""
MATRIX_TYPE, COMPRESSED_TYPE = 14, 15
"""Data types of an element that holds an array, and of one that is compressed."""
NUMERIC_CLASSES = range(6, 16)
"""Array classes that are read: double, single and integers; not cells, structures, text or sparse matrices."""
COMPLEX_FLAG = 0x0800
"""Bit of the array flags that marks complex numbers."""


def read_mat(path: Path, *, max_bytes: int) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The numeric arrays by name, without copying them out of the file's bytes.

    Raises ValueError if the file is not of version 5, contradicts the sizes that it declares, or holds or unpacks to
    more than `max_bytes`.
    """
    if path.stat().st_size > max_bytes:
        raise ValueError(f"it holds more than the {max_bytes:,} bytes that are read")
    data = memoryview(path.read_bytes())
    order = BYTE_ORDERS.get(bytes(data[126:128]))
    if order is None:
        raise ValueError("it is not a MATLAB file of version 5 or 7.3")
    arrays = (parse_array(content, order) for content in iterate_matrices(data[128:], order, max_bytes=max_bytes))
    return dict(array for array in arrays if array)


def iterate_matrices(data: memoryview, order: str, *, max_bytes: int) -> Iterator[memoryview]:
    """The bytes of each variable, unpacked. Raises ValueError if they come to more than `max_bytes`."""
    for kind, content in iterate_elements(data, order):
        if kind == COMPRESSED_TYPE:
            unpacked = zlib.decompressobj().decompress(content, max_bytes + 1)
            max_bytes -= len(unpacked)
            if max_bytes < 0:
                raise ValueError("it unpacks to more bytes than are read")
            kind, content = next(iterate_elements(memoryview(unpacked), order), (0, content))
        if kind == MATRIX_TYPE:
            yield content


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


def parse_array(content: memoryview, order: str) -> tuple[str, Shaped[np.ndarray, "..."]] | None:
    """Name and values of a variable, or None if it does not hold real numbers.

    Raises ValueError if it declares another number of values than it holds.
    """
    parts = list(islice(iterate_elements(content, order), 4))
    if len(parts) < 4:
        return None
    (_, flag_bytes), (_, lengths), (_, letters), (kind, values) = parts
    flags, name = int(np.frombuffer(flag_bytes, f"{order}u4")[0]), bytes(letters).decode("latin-1")
    if flags & 0xFF not in NUMERIC_CLASSES or flags & COMPLEX_FLAG or kind not in VALUE_TYPES or not values:
        return None
    shape = tuple(np.frombuffer(lengths, f"{order}i4").tolist())
    numbers = np.frombuffer(values, f"{order}{VALUE_TYPES[kind]}")
    if min(shape) < 0 or math.prod(shape) != numbers.size:
        raise ValueError(f"{name} declares {math.prod(shape):,} numbers and holds {numbers.size:,}")
    return name, numbers.reshape(shape, order="F")
