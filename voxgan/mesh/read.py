"""Reads mesh files: all parts of a file as one mesh with its colours and textures, within limits of size."""

import io
import zipfile
from pathlib import Path

import fast_simplification
import numpy as np
import trimesh
from scipy.spatial import cKDTree
from trimesh.resolvers import FilePathResolver
from trimesh.visual import TextureVisuals

from gancore.errors import UnreadableError
from gancore.reading import as_unreadable
from voxgan.mesh.config import MAX_FACES
from voxgan.mesh.materials import TexturedMesh, face_colours, merge_materials, shrink_image_in_place
from voxgan.mesh.winding import remove_duplicate_faces

MESH_SUFFIXES = (".obj", ".off", ".ply", ".stl", ".glb", ".gltf", ".dae", ".3mf")
"""Endings of the files that are read."""
MAX_BYTES = 2**27
"""Larger files are refused before they are read."""
TARGET_FACES = 200_000
"""Meshes with more faces are decimated to this many: far finer than any voxels and views here."""
NO_FACES = "it holds no faces: it may be cut short, or something else under that name"
"""Reason for refusing a file without a mesh."""


def load_mesh(path: Path, *, max_faces: int = MAX_FACES) -> TexturedMesh:
    """All parts of the file as one mesh, in the file's axes and units, with one colour per face and its textures.

    A mesh of more than TARGET_FACES faces is decimated and keeps its face colours only. Raises FileNotFoundError, or
    UnreadableError if the file has another ending, cannot be read, or holds no mesh with an extent in space, or one of
    `max_faces` faces or more.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.suffix.lower() not in MESH_SUFFIXES:
        raise UnreadableError(f"{path} is not a mesh file: its name should end in one of {' '.join(MESH_SUFFIXES)}")
    with as_unreadable(path, "a mesh"):
        check_file_size(path)
        loaded = join_scene(read_scene(path), max_faces=max_faces)
    return TexturedMesh(decimate_mesh(loaded.mesh)) if len(loaded.mesh.faces) > TARGET_FACES else loaded


def check_file_size(path: Path) -> None:
    """Raises ValueError if the file, or what a zip declares that it unpacks to, is larger than MAX_BYTES."""
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_BYTES:
        raise ValueError(f"it holds {size / 2**20:.0f} MiB, more than the {MAX_BYTES / 2**20:.0f} that are read")


def read_scene(path: Path) -> trimesh.Scene:
    """The file's scene as trimesh reads it; text in other encodings than UTF-8 loses only its accents."""
    try:
        if path.suffix.lower() not in (".obj", ".off"):
            return trimesh.load_scene(path, process=False)
        text = io.StringIO(path.read_text(encoding="utf-8", errors="replace"))
        return trimesh.load_scene(
            text, file_type=path.suffix[1:].lower(), resolver=LenientResolver(str(path)), process=False
        )
    except ModuleNotFoundError as error:
        if error.name == "charset_normalizer":  # with it trimesh would guess an encoding, and find no mesh either
            raise ValueError(NO_FACES) from error
        raise


class LenientResolver(FilePathResolver):
    """Finds the materials and textures next to a mesh file, whatever their text encoding."""

    def get(self, name: str) -> bytes:
        content = super().get(name)
        return content.decode(errors="replace").encode() if name.lower().endswith(".mtl") else content


def join_scene(scene: trimesh.Scene, *, max_faces: int) -> TexturedMesh:
    """The scene's meshes as one, each where its transform puts it; the scene's large textures are scaled down.

    Raises ValueError if it has no faces, `max_faces` or more, vertices that are not numbers, or no extent in space.
    """
    parts, transforms = [], []
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        if isinstance(part := scene.geometry[name], trimesh.Trimesh) and len(part.faces):
            parts.append(part)
            transforms.append(transform)
    count = sum(len(part.faces) for part in parts)
    if not count:
        raise ValueError(NO_FACES)
    if count >= max_faces:
        raise ValueError(f"it holds {count:,} faces; decimate it below {max_faces:,}, or raise max_faces")
    vertices = [trimesh.transform_points(part.vertices, matrix) for part, matrix in zip(parts, transforms, strict=True)]
    starts = np.cumsum([0] + [len(part) for part in vertices[:-1]])
    faces = [part.faces + start for part, start in zip(parts, starts, strict=True)]
    whole = trimesh.Trimesh(np.concatenate(vertices), np.concatenate(faces), process=False)
    corners = whole.vertices[whole.faces]
    if not (abs(corners) < 1e30).all():
        raise ValueError("it has vertices that are not numbers")
    extents = np.ptp(corners.reshape(-1, 3), axis=0)
    if extents.min() <= 1e-6 * extents.max():
        raise ValueError(f"it is flat: its extents are {' x '.join(f'{extent:g}' for extent in extents)}")
    for part in parts:
        if isinstance(part.visual, TextureVisuals):
            shrink_image_in_place(part.visual)
    return merge_materials(whole, parts)


def decimate_mesh(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with at most TARGET_FACES faces, each in the colour of the face that was nearest."""
    vertices, faces = remove_duplicate_faces(mesh.vertices, mesh.faces)  # in an STL no two triangles share a vertex
    if len(faces) > TARGET_FACES:
        vertices, faces = fast_simplification.simplify(
            vertices.astype(np.float32), faces.astype(np.int32), target_count=TARGET_FACES
        )
    _, nearest = cKDTree(mesh.triangles_center).query(vertices[faces].mean(1))
    return trimesh.Trimesh(vertices, faces, face_colors=face_colours(mesh)[nearest], process=False)
