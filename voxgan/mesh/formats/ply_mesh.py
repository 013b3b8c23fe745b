"""Makes meshes of the elements of PLY files."""

import re
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.parts import MeshScene, check_indices, make_part, triangulate
from voxgan.mesh.formats.ply import Element, PlyFile, read_elements
from voxgan.mesh.formats.text import stated_axes

INDEX_NAMES = ("vertex_indices", "vertex_index")
UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))


def read_ply(path: Path, companions: Companions) -> MeshScene:
    """Return the faces and the strips of triangles of a PLY file, with colours and textures.

    Raises ValueError if it is cut short, or its faces refer to vertices that do not exist.
    """
    file = read_elements(path, limits=companions.limits)
    scene = MeshScene()
    scene.up, scene.metres = stated_axes("\n".join(file.comments))
    vertex = file.elements.get("vertex")
    if vertex is None or not vertex.count:
        return scene
    if not {"x", "y", "z"} <= vertex.values.keys():
        raise ValueError("its vertices have no x, y and z")
    vertices = np.stack([vertex.values[axis].astype(np.float64) for axis in "xyz"], 1)
    scene.without_faces = "only edges" if "edge" in file.elements else "only points"
    if "face" in file.elements and file.elements["face"].count:
        scene.parts += _faces(vertices, file, companions)
    if "tristrips" in file.elements:
        faces = _strips(file.elements["tristrips"])
        companions.limits.check_faces(len(faces), path)
        scene.parts.append(make_part(vertices, faces, vertex_colours=_colours(vertex)))
    return scene


def _faces(vertices: np.ndarray, file: PlyFile, companions: Companions) -> list[trimesh.Trimesh]:
    vertex, face = file.elements["vertex"], file.elements["face"]
    name = next((name for name in INDEX_NAMES if name in face.lists), None)
    if name is None:
        raise ValueError("its faces have no list of vertices")
    corners, counts = face.lists[name].values.astype(np.int64), face.lists[name].counts
    check_indices(corners, len(vertices), "vertex")
    triangles, owner = triangulate(vertices[corners], counts)
    companions.limits.check_faces(len(triangles), companions.files[0])
    images = [companions.open_image(name) for name in _texture_names(file.comments)]
    face_colours = None if (colours := _colours(face)) is None else colours[owner]
    uv = _corner_uv(vertex, face, corners, counts)
    if uv is None and any(images):
        companions.report("a texture is left out: the faces have no texture coordinates that fit them")
    if uv is None or not any(images):
        return [make_part(vertices, corners[triangles], vertex_colours=_colours(vertex), face_colours=face_colours)]
    number = face.values.get("texnumber", np.zeros(face.count, np.int64))[owner]
    parts = []
    for index in np.unique(number).tolist():
        chosen = triangles[number == index]
        image: Image.Image | None = images[int(index)] if 0 <= index < len(images) else None
        split = np.arange(chosen.size).reshape(-1, 3)
        parts.append(
            make_part(vertices[corners[chosen]].reshape(-1, 3), split, uv=uv[chosen].reshape(-1, 2), image=image)
        )
        if image is None:
            own = None if face_colours is None else face_colours[number == index]
            parts[-1] = make_part(vertices, corners[chosen], vertex_colours=_colours(vertex), face_colours=own)
    return parts


def _texture_names(comments: list[str]) -> list[str]:
    found = (re.match(r"texturefile\s+(.+)", comment, re.IGNORECASE) for comment in comments)
    return [match[1].strip() for match in found if match]


def _corner_uv(vertex: Element, face: Element, corners: np.ndarray, counts: np.ndarray) -> np.ndarray | None:
    """Texture coordinates of each corner, from a list in each face or from the vertices."""
    own = face.lists.get("texcoord")
    if own is not None and np.array_equal(own.counts, 2 * counts):
        return own.values.astype(np.float64).reshape(-1, 2)
    for names in UV_NAMES:
        if set(names) <= vertex.values.keys():
            return np.stack([vertex.values[name][corners] for name in names], 1).astype(np.float64)
    return None


def _colours(element: Element) -> np.ndarray | None:
    for prefix in ("", "diffuse_"):
        names = [prefix + name for name in ("red", "green", "blue")]
        if set(names) <= element.values.keys():
            return np.stack([element.values[name] for name in names], 1)
    return None


def _strips(element: Element) -> np.ndarray:
    """The triangles of strips; -1 begins a new strip, and every second triangle is turned."""
    name = next((name for name in INDEX_NAMES if name in element.lists), None)
    if name is None:
        raise ValueError("its strips have no list of vertices")
    values, counts = element.lists[name].values.astype(np.int64), element.lists[name].counts
    # a strip of -1 is put between lists, so that no triangle spans two of them
    values = np.insert(values, np.cumsum(counts), -1)
    a, b, c = values[:-2], values[1:-1], values[2:]
    place = np.arange(len(values))
    breaks = np.maximum.accumulate(np.where(values == -1, place, -1))
    odd = (place[:-2] - breaks[:-2] - 1) % 2 == 1
    faces = np.where(odd[:, None], np.stack([b, a, c], 1), np.stack([a, b, c], 1))
    return faces[(faces != -1).all(1)]
