"""Reads STL files, binary and text."""

import re
from pathlib import Path

import numpy as np

from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.parts import MeshScene, make_part
from voxgan.mesh.formats.text import check_text_size, decode, parse_floats, stated_axes

HEADER = 84
"""Bytes before the first triangle of a binary file."""
TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_stl(path: Path, companions: Companions) -> MeshScene:
    """Return the triangles of an STL file, whose length says whether it is binary, whatever its first word is.

    Bytes after the triangles are passed over. Raises ValueError if there are fewer triangles than it states.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
    stated = int.from_bytes(head[80:84], "little") if size >= HEADER else 0
    exact = size == HEADER + stated * TRIANGLE.itemsize
    if not (exact and stated) and _looks_like_text(head):
        check_text_size(size, path, limits=companions.limits)
        return read_text(decode(path.read_bytes()), path, companions)
    rest = size - HEADER - stated * TRIANGLE.itemsize
    if size < HEADER:
        raise ValueError("it holds no faces: it may be cut short, or something else under that name")
    if rest < 0:
        room = (size - HEADER) // TRIANGLE.itemsize
        raise ValueError(f"it holds no faces: it may be cut short, having {room:,} of the {stated:,} that it states")
    if rest and rest % TRIANGLE.itemsize == 0:
        raise ValueError(
            f"its header states {stated:,} faces, and it has {stated + rest // TRIANGLE.itemsize:,}: one is wrong"
        )
    companions.limits.check_faces(stated, path)
    triangles = np.fromfile(path, TRIANGLE, stated, offset=HEADER)
    up, metres = stated_axes(head[:80].decode("latin-1"))
    return build_scene(triangles["corners"].reshape(-1, 3), MeshScene(up=up, metres=metres))


def _looks_like_text(head: bytes) -> bool:
    text = decode(head).lstrip("\ufeff \t\r\n").lower()
    return text.startswith("solid") and ("facet" in text or "endsolid" in text) and "\0" not in text


def read_text(text: str, path: Path, companions: Companions) -> MeshScene:
    """Return the triangles of the text of an STL file. Raises ValueError if it is cut short."""
    up, metres = stated_axes(text[:1000])
    text, named = re.subn(r"(?m)^[ \t]*solid\b.*$", "", text.lower())
    text, ended = re.subn(r"(?m)^[ \t]*endsolid\b.*$", "", text)
    facets = text.count("endfacet")
    companions.limits.check_faces(facets, path)
    corners = [words.split(None, 3)[:3] for words in text.split("vertex")[1:]]
    if len(corners) != 3 * facets or len(re.findall(r"outer\s+loop", text)) != facets:
        raise ValueError(f"it may be cut short: its {facets:,} facets have {len(corners):,} corners")
    if ended < max(named, 1):
        raise ValueError("it may be cut short: it does not end with endsolid")
    if corners and min(map(len, corners)) < 3:
        raise ValueError("it has a vertex of fewer than three numbers")
    vertices = parse_floats((number for corner in corners for number in corner), "a vertex").reshape(-1, 3)
    return build_scene(vertices, MeshScene(up=up, metres=metres))


def build_scene(corners: np.ndarray, scene: MeshScene) -> MeshScene:
    """The scene with triangles of these corners, in a row."""
    if len(corners):
        scene.parts.append(make_part(corners, np.arange(len(corners)).reshape(-1, 3)))
    return scene
