"""Reads OBJ files with their materials."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import trimesh

from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.mtl import ObjMaterial, read_materials
from voxgan.mesh.formats.parts import MeshScene, check_indices, make_part, triangulate
from voxgan.mesh.formats.text import check_text_size, decode, parse_integers, parse_rows, stated_axes
from voxgan.mesh.materials import DiffuseMaterial

FREE_FORM = {"surf", "curv", "curv2", "cstype"}
"""Keywords of curved surfaces, which have no faces."""
NO_DIGITS = str.maketrans("", "", "+-0123456789")
"""What is left of a face without these are the forms of its corners."""


@dataclass
class ObjText:
    """The lines of an OBJ file, sorted by what they are."""

    v: list[str] = field(default_factory=list)
    vt: list[str] = field(default_factory=list)
    faces: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Lines of faces by material."""
    known: dict[str, list[tuple[int, int, int]]] = field(default_factory=lambda: defaultdict(list))
    """By material: from which of its lines on how many vertices and texture vertices were known."""
    libraries: list[str] = field(default_factory=list)
    others: set[str] = field(default_factory=set)


def read_obj(path: Path, companions: Companions) -> MeshScene:
    """Return the parts of an OBJ file, one for each material, those with texture coordinates apart.

    Raises ValueError if its lines are not what they should be, or refer to vertices that do not exist.
    """
    content = path.read_bytes()
    check_text_size(len(content), path, limits=companions.limits)
    text = decode(content)
    lines = sort_lines(text)
    scene = MeshScene(without_faces=describe(lines))
    scene.up, scene.metres = stated_axes(text[:1000])
    companions.limits.check_faces(sum(map(len, lines.faces.values())), path)
    if not lines.faces:
        return scene
    if not lines.v:
        raise ValueError("it has faces and no vertices")
    rows = parse_rows(lines.v, "a vertex")
    if rows.shape[1] < 3:
        raise ValueError("it has a vertex of fewer than three numbers")
    vertices, colours = rows[:, :3], vertex_colours(rows)
    uv = parse_rows(lines.vt, "a texture vertex") if lines.vt else np.empty((0, 2))
    uv = np.pad(uv[:, :2], ((0, 0), (0, 2 - min(uv.shape[1], 2))))
    materials = read_materials(lines.libraries, companions)
    for name, faces in lines.faces.items():
        material = materials.get(name)
        if material is None and name and lines.libraries:
            companions.report(f"the material {name!r} was not found")
        for corners, uvs in read_faces(faces, lines.known[name], vertices, len(uv), companions):
            scene.parts.append(build_part(vertices, corners, uv, uvs, colours, material))
    return scene


def sort_lines(text: str) -> ObjText:
    """Sort the lines by their keywords; a backslash at the end of a line goes on in the next."""
    lines, material, new_run = ObjText(), "", True
    if "\\\n" in text or "\\\r" in text:
        text = text.replace("\\\r\n", " ").replace("\\\n", " ")
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        keyword, _, rest = line.partition(" ")
        if keyword == "vn":
            continue
        if keyword not in ("v", "f", "vt"):
            keyword, _, rest = line.lstrip().replace("\t", " ").partition(" ")
            keyword = keyword.lower()
        if keyword == "v":
            lines.v.append(rest)
            new_run = True
        elif keyword == "f":
            found = lines.faces[material]
            if new_run:
                lines.known[material].append((len(found), len(lines.v), len(lines.vt)))
                new_run = False
            found.append(rest.partition("#")[0] if "#" in rest else rest)
        elif keyword == "vt":
            lines.vt.append(rest)
            new_run = True
        elif keyword == "usemtl":
            material = rest.strip()
            new_run = True
        elif keyword == "mtllib":
            lines.libraries.append(rest.strip())
        elif keyword in FREE_FORM or keyword in ("l", "p"):
            lines.others.add(keyword)
    for rows in (lines.v, lines.vt):
        if any("#" in row for row in rows):
            rows[:] = [row.partition("#")[0] for row in rows]
    return lines


def describe(lines: ObjText) -> str:
    """What the file holds if it has no faces; empty if nothing known."""
    if lines.others & FREE_FORM:
        return "its surfaces are curves and patches, which are not read"
    if lines.others:
        return "only lines or points"
    return "only vertices" if lines.v else ""


def vertex_colours(rows: np.ndarray) -> np.ndarray | None:
    """The colours that follow the coordinates, from 0 to 1, or to 255."""
    return rows[:, 3:] if rows.shape[1] in (6, 7) else None


def read_faces(
    lines: list[str],
    known: list[tuple[int, int, int]],
    vertices: np.ndarray,
    count_uv: int,
    companions: Companions,
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Triangles of vertices and of texture vertices, first those that have such, then those that have none."""
    indices, counts = split_corners(lines)
    starts, of_v, of_vt = np.array(known, np.int64).T
    for column, so_far in ((0, of_v), (1, of_vt)):
        relative = indices[:, column] < 0
        if relative.any():
            run = np.searchsorted(starts, np.arange(len(lines)), side="right") - 1
            indices[relative, column] += so_far[run].repeat(counts)[relative] + 1
            indices[relative & (indices[:, column] < 1), column] = -1 if column == 0 else 0
    indices -= 1
    check_indices(indices[:, 0], len(vertices), "vertex")
    triangles, _ = triangulate(vertices[indices[:, 0]], counts)
    v, vt = indices[triangles, 0], indices[triangles, 1]
    if vt.max(initial=-1) >= count_uv:
        companions.report(f"faces refer to texture vertex {vt.max() + 1}, and there are {count_uv:,}")
    textured = ((vt >= 0) & (vt < count_uv)).all(1)
    found: list[tuple[np.ndarray, np.ndarray | None]] = []
    if textured.any():
        found.append((v[textured], vt[textured]))
    if not textured.all():
        found.append((v[~textured], None))
    return found


def split_corners(lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the vertex and the texture vertex of each corner, 0 for none, and the corners of each line."""
    joined = "\n".join(lines).replace("//", "/0/")
    forms = joined.translate(NO_DIGITS).split()
    if set(forms) <= {"/"} or set(forms) == {"//"}:  # every corner of every line has the same form
        try:
            table = np.loadtxt(joined.replace("/", " ").split("\n"), np.int64, comments=None, ndmin=2)
        except (ValueError, OverflowError):
            table = np.empty((0, 0), np.int64)
        width = len(forms[0]) + 1 if forms else 1
        if len(table) == len(lines) and table.size == max(len(forms), table.size // width) * width:
            numbers = table.reshape(-1, width)
            counts = np.full(len(lines), table.shape[1] // width)
            return (numbers[:, :2].copy() if width > 1 else np.pad(numbers, ((0, 0), (0, 1)))), counts
    polygons = [line.split() for line in lines]
    split = [(corner + "//").split("/")[:2] for polygon in polygons for corner in polygon]
    indices = parse_integers((number or "0" for pair in split for number in pair), "a face").reshape(-1, 2)
    return indices, np.fromiter(map(len, polygons), np.int64, len(polygons))


def build_part(
    vertices: np.ndarray,
    faces: np.ndarray,
    uv: np.ndarray,
    uvs: np.ndarray | None,
    colours: np.ndarray | None,
    material: ObjMaterial | None,
) -> trimesh.Trimesh:
    """The part of these faces with the vertices that it uses; a vertex has a copy for each place in the texture."""
    if uvs is None or material is None or material.image is None:
        used, faces = np.unique(faces, return_inverse=True)
        places = None
    else:
        pairs, faces = np.unique(faces * len(uv) + uvs, return_inverse=True)
        used, places = pairs // len(uv), uv[pairs % len(uv)] * material.scale + material.offset
    own_colours = None if colours is None else colours[used]
    if material is None or (places is None and own_colours is not None):  # what vertices state is the finer
        return make_part(vertices[used], faces.reshape(-1, 3), vertex_colours=own_colours)
    visual = DiffuseMaterial(material.colour, material.image if places is not None else None)
    return make_part(vertices[used], faces.reshape(-1, 3), uv=places, material=visual)
