"""Reads the container of glTF files, their buffers and the arrays in them."""

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
from jaxtyping import Num

from gancore.errors import UnreadableError
from gancore.files.reading import MAX_JSON_BYTES, check_nesting
from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.text import decode

COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")


def read_container(path: Path) -> tuple[dict[str, Any], bytes | None]:
    """Return the JSON of a .gltf or .glb file and the binary chunk that follows it in a .glb.

    Raises ValueError for glTF 1.0, and for a file that is cut short.
    """
    content = path.read_bytes()
    binary: bytes | None = None
    if content[:4] == b"glTF":
        version, length = (int.from_bytes(content[place : place + 4], "little") for place in (4, 8))
        if version != 2:
            raise ValueError(f"it is glTF {version}, and only glTF 2 is read")
        if length > len(content):
            raise ValueError(f"it may be cut short: it states {length:,} bytes and has {len(content):,}")
        chunks = _read_chunks(content[:length])
        text, binary = chunks.get(b"JSON"), chunks.get(b"BIN\0")
        if text is None:
            raise ValueError("it does not begin with JSON")
    elif path.suffix.lower() == ".glb":
        raise ValueError("it does not begin with glTF")
    else:
        text = content
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(f"its JSON is longer than the {MAX_JSON_BYTES:,} bytes that are read")
    try:
        tree = json.loads(decode(text).lstrip("\ufeff"))
    except ValueError as error:
        raise ValueError(f"its JSON is damaged: {error}") from error
    check_nesting(tree)
    if not isinstance(tree, dict) or not isinstance(tree.get("asset"), dict):
        raise ValueError("its JSON is not that of a glTF file")
    stated = str(tree["asset"].get("minVersion", tree["asset"].get("version", "")))
    if not re.fullmatch(r"2\.\d+", stated):
        raise ValueError(f"it is glTF {stated or 'of no version'}, and only glTF 2 is read")
    return tree, binary


def _read_chunks(content: bytes) -> dict[bytes, bytes]:
    """The first chunk of each kind."""
    chunks: dict[bytes, bytes] = {}
    place = 12
    while place + 8 <= len(content):
        length, kind = int.from_bytes(content[place : place + 4], "little"), content[place + 4 : place + 8]
        place += 8
        if place + length > len(content):
            raise ValueError("it may be cut short: its last chunk does not end")
        chunks.setdefault(kind, content[place : place + length])
        place += length
    return chunks


class Buffers:
    """The arrays of a glTF file; every place in them is held against what the file has."""

    def __init__(self, tree: dict[str, Any], binary: bytes | None, companions: Companions) -> None:
        self._tree, self._binary, self._companions = tree, binary, companions
        self._buffers: dict[int, bytes] = {}
        self._arrays: dict[int, np.ndarray] = {}

    def item(self, kind: str, index: Any) -> dict[str, Any]:
        """Return an entry of a list at the top of the file. Raises ValueError if there is none."""
        entries = self._tree.get(kind, [])
        if not isinstance(entries, list) or type(index) is not int or not 0 <= index < len(entries):
            raise ValueError(f"it refers to number {index} of its {kind}, which does not exist")
        if not isinstance(entries[index], dict):
            raise ValueError(f"number {index} of its {kind} is not an object")
        return entries[index]

    def load_uri(self, uri: str) -> bytes:
        """Return the content of a data: URI or of a file. Raises ValueError if it cannot be read."""
        if not uri.startswith("data:"):
            return self._companions.read(uri)
        head, comma, payload = uri.partition(",")
        if not comma:
            raise ValueError("it has a data: URI without data")
        self._companions.limits.check_bytes(len(payload), "a data: URI")
        return base64.b64decode(unquote_to_bytes(payload)) if head.endswith(";base64") else unquote_to_bytes(payload)

    def _load_buffer(self, uri: str) -> bytes:
        try:
            return self.load_uri(uri)
        except UnreadableError as error:
            raise ValueError(f"its buffer {error}") from error  # so that the mesh is named as well

    def view(self, index: Any) -> tuple[bytes, int]:
        """Return the bytes of a buffer view and the distance of its rows, 0 if they follow one another."""
        view = self.item("bufferViews", index)
        number = view.get("buffer")
        buffer = self._buffer(number)
        start, length = _size(view, "byteOffset", 0), _size(view, "byteLength")
        if start + length > len(buffer):
            raise ValueError(f"it may be cut short: buffer view {index} reaches beyond buffer {number}")
        return buffer[start : start + length], _size(view, "byteStride", 0)

    def _buffer(self, number: Any) -> bytes:
        if number not in self._buffers:
            entry = self.item("buffers", number)
            if isinstance(entry.get("uri"), str):
                content = self._load_buffer(entry["uri"])
            elif number == 0 and self._binary is not None:
                content = self._binary
            else:
                packed = [name for name in MESHOPT if name in json.dumps(self._tree.get("bufferViews", []))]
                why = f": it is packed by {packed[0]}, which is not read" if packed else ""
                raise ValueError(f"buffer {number} holds no data{why}")
            if len(content) < _size(entry, "byteLength"):
                raise ValueError(f"it may be cut short: buffer {number} is shorter than it states")
            self._buffers[number] = content
        return self._buffers[number]

    def array(self, index: Any) -> Num[np.ndarray, "rows columns"]:
        """Return an accessor's array: sparse ones filled in, normalised integers as floats from 0 or -1 to 1."""
        if index not in self._arrays:
            entry = self.item("accessors", index)
            self._arrays[index] = normalise(self._fill(entry), entry)
        return self._arrays[index]

    def _fill(self, entry: dict[str, Any]) -> np.ndarray:
        kind, columns = COMPONENTS.get(entry.get("componentType", 0)), COLUMNS.get(entry.get("type", ""))
        if kind is None or columns is None:
            raise ValueError(f"it has an array of {entry.get('type')} of kind {entry.get('componentType')}")
        count = _size(entry, "count")
        self._companions.limits.check_bytes(count * columns * 8, "an array")
        if "bufferView" in entry:
            filled = self._rows(entry["bufferView"], _size(entry, "byteOffset", 0), np.dtype(kind), count, columns)
        else:
            filled = np.zeros((count, columns), kind)
        if isinstance(sparse := entry.get("sparse"), dict):
            changed, places, values = _size(sparse, "count"), sparse["indices"], sparse["values"]
            if changed > count or places.get("componentType") not in (5121, 5123, 5125):
                raise ValueError("it has a sparse array that does not fit")
            kind_of_places = np.dtype(COMPONENTS[places["componentType"]])
            where = self._rows(places["bufferView"], _size(places, "byteOffset", 0), kind_of_places, changed, 1)[:, 0]
            if changed and int(where.max()) >= count:
                raise ValueError("it has a sparse array that reaches beyond its end")
            filled = filled.copy()
            filled[where] = self._rows(
                values["bufferView"], _size(values, "byteOffset", 0), np.dtype(kind), changed, columns
            )
        return filled

    def _rows(self, view: Any, start: int, kind: np.dtype, count: int, columns: int) -> np.ndarray:
        content, stride = self.view(view)
        width = kind.itemsize * columns
        stride = stride or width
        if stride < width or (count and start + stride * (count - 1) + width > len(content)):
            raise ValueError(f"an array of {count:,} rows reaches beyond buffer view {view}, or its rows overlap")
        if not count:
            return np.empty((0, columns), kind)
        if stride == width:
            return np.frombuffer(content, kind, count * columns, start).reshape(count, columns)
        raw = np.frombuffer(content, np.uint8, stride * (count - 1) + width, start)
        rows = np.lib.stride_tricks.as_strided(raw, (count, width), (stride, 1), writeable=False)
        return np.ascontiguousarray(rows).view(kind)


def normalise(values: Num[np.ndarray, "rows columns"], accessor: dict[str, Any]) -> Num[np.ndarray, "rows columns"]:
    """Return the values as the accessor means them: normalised integers become floats."""
    if not accessor.get("normalized") or values.dtype.kind == "f":
        return values
    return np.maximum(values / float(np.iinfo(values.dtype).max), -1.0)


def _size(entry: dict[str, Any], name: str, default: int | None = None) -> int:
    value = entry.get(name, default)
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {value!r}, and should be a whole number from 0 on")
    return value
