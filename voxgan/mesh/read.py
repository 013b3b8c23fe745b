"""Reads mesh files: all parts of a file as one mesh with its colours and textures, within limits of size."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fast_simplification
import numpy as np
import trimesh
from jaxtyping import Bool
from scipy.spatial import cKDTree

from gancore.errors import UnreadableError
from gancore.files.limits import ShapeLimits
from gancore.files.reading import as_unreadable, require_regular_file
from voxgan.mesh.axes import choose_axes
from voxgan.mesh.config import Axis
from voxgan.mesh.formats.collada import read_dae
from voxgan.mesh.formats.companions import Companions
from voxgan.mesh.formats.gltf import read_gltf
from voxgan.mesh.formats.obj import read_obj
from voxgan.mesh.formats.off import read_off
from voxgan.mesh.formats.parts import MeshScene
from voxgan.mesh.formats.ply_mesh import read_ply
from voxgan.mesh.formats.stl import read_stl
from voxgan.mesh.formats.threemf import read_3mf
from voxgan.mesh.materials import TexturedMesh, face_colours, merge_materials
from voxgan.mesh.winding import remove_duplicate_faces

TARGET_FACES = 200_000
"""Meshes with more faces are decimated to this many: far finer than any voxels and views here."""
MAX_COORDINATE = 1e30
"""Larger coordinates are refused: their squares would not be numbers."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedMesh(TexturedMesh):
    """A mesh from a file, with the axes and unit that the file states, and the files that were read."""

    files: tuple[Path, ...] = ()
    """Every file that was read, the mesh file first, then materials, buffers and textures."""
    missing: tuple[str, ...] = ()
    """What the file refers to and could not be read, each with the reason; the faces there have plain colours."""
    up: Axis | None = None
    """The axis that the file, or the specification of its format, says is up; None if nothing does."""
    metres: float | None = None
    """Length of the file's unit in metres, None if nothing says so."""

    def axes(self, *, up: Axis | None = None, front: Axis | None = None) -> tuple[Axis, Axis | None]:
        """Return the up axis and the front: what the file states, else as given, else what its format usually has."""
        return choose_axes(self.files[0], self.up, up=up, front=front)


def load_mesh(path: Path, *, root: Path | None = None, limits: ShapeLimits = ShapeLimits()) -> LoadedMesh:
    """All parts of the file as one mesh, in the file's axes and units, with one colour per face and its textures.

    What the file refers to is read from below `root` only, by default the mesh's own folder; textures that cannot be
    read cost their colours and are named in `missing`. Faces without area are left out. A mesh of more than
    TARGET_FACES faces is decimated and keeps its face colours only. Raises FileNotFoundError, or UnreadableError if
    the file has another ending, is above a limit, cannot be read right, or holds no mesh with an extent in space.
    """
    require_regular_file(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UnreadableError(f"{path} is not a mesh file: its name should end in one of {' '.join(MESH_SUFFIXES)}")
    companions = Companions(path, root=root, limits=limits)
    with as_unreadable(path, "a mesh"):
        limits.check_bytes(path.stat().st_size, path)
        scene = reader(path, companions)
        loaded = join_parts(scene, path, limits=limits)
        if len(loaded.mesh.faces) > TARGET_FACES:
            loaded = TexturedMesh(decimate_mesh(loaded.mesh), faults=loaded.faults)
    return LoadedMesh(
        loaded.mesh,
        loaded.textures,
        files=tuple(companions.files),
        missing=(*companions.missing, *loaded.faults),
        up=scene.up,
        metres=scene.metres,
    )


def join_parts(scene: MeshScene, path: Path, *, limits: ShapeLimits) -> TexturedMesh:
    """The parts as one mesh without faces that have no area; large textures are scaled down.

    Raises ValueError if there are no faces, too many, vertices that are not numbers, or no extent in space.
    """
    count = sum(len(part.faces) for part in scene.parts)
    if not count:
        what = scene.without_faces or "it may be cut short, or something else under that name"
        raise ValueError(f"it holds no faces: {what}")
    limits.check_faces(count, path)
    parts = [cleaned for part in scene.parts if len(part.faces) and len((cleaned := clean_part(part)).faces)]
    if not parts:
        raise ValueError(f"it holds no faces: none of its {count:,} has an area")
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)])
    whole = trimesh.Trimesh(np.concatenate([part.vertices for part in parts]), faces, process=False)
    extents = np.ptp(whole.vertices, axis=0)
    if extents.min() <= 1e-6 * extents.max():
        raise ValueError(f"it is flat: its extents are {' x '.join(f'{extent:g}' for extent in extents)}")
    return merge_materials(whole, parts)


def clean_part(part: trimesh.Trimesh) -> trimesh.Trimesh:
    """The part without faces that have no area and without vertices that no face uses.

    Raises ValueError if a face has a corner that is not a number, or is immensely large.
    """
    with np.errstate(invalid="ignore"):
        if not (abs(part.vertices[part.faces]) < MAX_COORDINATE).all():
            raise ValueError("it has vertices that are not numbers, or too large to reckon with")
    kept = faces_with_area(part)
    used = np.zeros(len(part.vertices), bool)
    used[part.faces[kept]] = True
    if kept.all() and used.all():
        return part
    part.update_faces(kept)
    part.update_vertices(used)
    return part


def faces_with_area(mesh: trimesh.Trimesh) -> Bool[np.ndarray, " faces"]:
    """Which faces have an area, as far as the rounding of their corners can tell."""
    corners = np.asarray(mesh.vertices)[mesh.faces]
    edges = np.roll(corners, -1, axis=1) - corners
    longest = np.linalg.norm(edges, axis=2).max(1)
    single = np.array_equal(corners, corners.astype(np.float32))
    rounding = np.finfo(np.float32 if single else np.float64).eps * abs(corners).max((1, 2))
    scale = np.maximum(longest, 1e-300)[:, None]
    height = np.linalg.norm(np.cross(edges[:, 0] / scale, edges[:, 1] / scale), axis=1) * longest
    return height > np.maximum(1e-6 * longest, rounding)


def decimate_mesh(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with at most TARGET_FACES faces, each in the colour of the face that was nearest."""
    vertices, faces = remove_duplicate_faces(mesh.vertices, mesh.faces)  # in an STL no two triangles share a vertex
    if len(faces) > TARGET_FACES:
        vertices, faces = fast_simplification.simplify(
            vertices.astype(np.float32), faces.astype(np.int32), target_count=TARGET_FACES
        )
    _, nearest = cKDTree(mesh.triangles_center).query(vertices[faces].mean(1))
    return trimesh.Trimesh(vertices, faces, face_colors=face_colours(mesh)[nearest], process=False)


READERS: dict[str, Callable[[Path, Companions], MeshScene]] = {
    ".obj": read_obj,
    ".off": read_off,
    ".ply": read_ply,
    ".stl": read_stl,
    ".glb": read_gltf,
    ".gltf": read_gltf,
    ".dae": read_dae,
    ".3mf": read_3mf,
}
"""The readers of file formats, by file ending."""
MESH_SUFFIXES = tuple(READERS)
"""Endings of the files that are read."""
