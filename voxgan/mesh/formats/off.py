"""Reads OFF files and their variants."""

import re
from itertools import chain
from pathlib import Path

import numpy as np
import trimesh

from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.parts import MeshScene, check_indices, make_part, triangulate
from voxgan.mesh.formats.text import check_text_size, decode, parse_floats, parse_integers, stated_axes

HEADER = re.compile(r"(ST)?(C)?(N)?(4)?(n)?OFF(?![A-Za-z])")


def read_off(path: Path, companions: Companions) -> MeshScene:
    """Return the mesh of an OFF file: also COFF, NOFF, STOFF and 4OFF, with colours of vertices or of faces.

    Raises ValueError if it is binary, of another number of dimensions, or not as long as it states.
    """
    content = path.read_bytes()
    check_text_size(len(content), path, limits=companions.limits)
    text = decode(content)
    scene = MeshScene()
    scene.up, scene.metres = stated_axes(text[:1000])
    lines = [line for line in (line.partition("#")[0].strip() for line in text.splitlines()) if line]
    if not lines:
        raise ValueError("it is empty")
    header = HEADER.match(lines[0])
    texture, coloured, normals, homogeneous, dimension = (
        (header[part] for part in range(1, 6)) if header else [None] * 5
    )
    if dimension:
        raise ValueError("it is an nOFF file, of another number of dimensions, which is not read")
    lines[0] = lines[0][header.end() :].strip() if header else lines[0]
    if lines[0].upper().startswith("BINARY"):
        raise ValueError("it is a binary OFF file, which is not read")
    lines = lines[not lines[0] :]
    counts = parse_integers(lines[0].split()[:3], "its counts") if lines else np.empty(0, int)
    if len(counts) < 2 or counts.min() < 0:
        raise ValueError("its first line does not state how many vertices and faces follow")
    vertex_count, face_count = counts[:2].tolist()
    companions.limits.check_faces(face_count, path)
    rest = lines[1:]
    extra = lines[0].split()[3:]
    if 3 * vertex_count + face_count > len(content):
        raise ValueError(f"it may be cut short: it states {vertex_count:,} vertices and {face_count:,} faces")
    width = 3 + 4 * bool(coloured) + 3 * bool(normals) + bool(homogeneous) + 2 * bool(texture)
    if extra or len(rest) < vertex_count + face_count:  # several to a line
        rows, faces = _split_stream(extra + " ".join(rest).split(), vertex_count, face_count, width)
    else:
        rows = [line.split() for line in rest[:vertex_count]]
        faces = [line.split() for line in rest[vertex_count : vertex_count + face_count]]
    if not face_count or not vertex_count:
        scene.without_faces = "only points" if vertex_count else ""
        return scene
    columns = min(map(len, rows))
    if columns < 3 + bool(homogeneous):
        raise ValueError("it has a vertex of fewer than three numbers")
    table = parse_floats(chain.from_iterable(row[:columns] for row in rows), "a vertex").reshape(-1, columns)
    place = 3 + bool(homogeneous)
    vertices = table[:, :3] / table[:, 3:4] if homogeneous else table[:, :3]
    place += 3 * bool(normals)
    colours = table[:, place : place + 4]
    if texture and colours.shape[1] in (2, 5, 6):
        colours = table[:, place:-2]
    known = coloured or (not header or not (normals or texture))
    scene.parts.append(_build(vertices, colours if known and colours.shape[1] >= 3 else None, faces, companions))
    return scene


def _split_stream(
    words: list[str], vertex_count: int, face_count: int, width: int
) -> tuple[list[list[str]], list[list[str]]]:
    """The rows of vertices and faces of a file whose lines do not tell them apart."""
    rows = [words[place : place + width] for place in range(0, vertex_count * width, width)]
    place = vertex_count * width
    faces = []
    for _ in range(face_count):
        if place >= len(words):
            raise ValueError(f"it may be cut short: it states {vertex_count:,} vertices and {face_count:,} faces")
        end = place + 1 + max(int(parse_integers(words[place : place + 1], "a face")[0]), 0)
        faces.append(words[place:end])
        place = end
    if place < len(words):
        raise ValueError("it holds more numbers than it states, and its lines do not say which are vertices and faces")
    return rows, faces


def _build(
    vertices: np.ndarray, colours: np.ndarray | None, faces: list[list[str]], companions: Companions
) -> trimesh.Trimesh:
    counts = parse_integers((face[0] for face in faces), "a face")
    if counts.min() < 1 or (counts > [len(face) - 1 for face in faces]).any():
        raise ValueError("it may be cut short: a face has fewer corners than it states")
    corners = parse_integers(
        chain.from_iterable(face[1 : count + 1] for face, count in zip(faces, counts.tolist(), strict=True)), "a face"
    )
    check_indices(corners, len(vertices), "vertex")
    triangles, owner = triangulate(vertices[corners], counts)
    own = [face[count + 1 :] for face, count in zip(faces, counts.tolist(), strict=True)]
    return make_part(
        vertices,
        corners[triangles],
        vertex_colours=colours,
        face_colours=None if (shades := _face_colours(own, companions)) is None else shades[owner],
    )


def _face_colours(rows: list[list[str]], companions: Companions) -> np.ndarray | None:
    """RGB of faces, from 0 to 1 or to 255, and NaN where a face has none; None if no face has any."""
    if max(map(len, rows), default=0) < 3:
        return None
    words = chain.from_iterable(row[:3] if len(row) >= 3 else ["nan"] * 3 for row in rows)
    try:
        return parse_floats(words, "a colour").reshape(-1, 3)
    except ValueError as error:
        companions.report(f"colours of faces cannot be read: {error}")
        return None
