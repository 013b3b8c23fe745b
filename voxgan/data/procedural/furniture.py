"""A piece of furniture: its parts, of which each is closed, and what it looks like from outside."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float, Int
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

from gancore.files.atomic import atomic_write, create_parents
from voxgan.data.procedural.choices import Value
from voxgan.data.procedural.materials import Material
from voxgan.data.procedural.solids import Solid
from voxgan.mesh.materials import TexturedMesh
from voxgan.mesh.textures import Textures


@dataclass(frozen=True)
class Part:
    """What has one name and one material, such as the legs of a chair."""

    name: str
    material: Material
    solids: Sequence[Solid]


@dataclass(frozen=True)
class Design:
    """What a program makes: a sentence and the parts, in metres, y up, the front to +z."""

    description: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Furniture:
    """A piece of furniture in metres; it stands on y = 0, or hangs above it, with its front to +z."""

    kind: str
    label: str
    """The class that it belongs to in the furniture data set of this package."""
    seed: int
    parameters: Mapping[str, Value]
    """Everything that was chosen, by name: lengths in metres, angles in degrees, counts and options."""
    description: str
    """One sentence."""
    parts: tuple[Part, ...]

    @cached_property
    def textured_mesh(self) -> TexturedMesh:
        """All parts as one closed mesh with colours of its faces and textures, in metres."""
        solids = [(number, solid) for number, part in enumerate(self.parts) for solid in part.solids]
        mesh = join_solids(solid for _, solid in solids)
        part = np.repeat([number for number, _ in solids], [len(solid.faces) for _, solid in solids])
        materials = list(dict.fromkeys(each.material for each in self.parts))
        index = np.array([materials.index(each.material) for each in self.parts])[part]
        images = [material.texture() for material in materials]
        colours = np.array([image.reshape(-1, 4).mean(0).round() for image in images], np.uint8)
        mesh.visual = ColorVisuals(mesh, face_colors=colours[index])
        tiles = np.array([material.tile for material in materials])[index]
        uv = np.concatenate([project_texture(solid, offset) for offset, (_, solid) in enumerate(solids)])
        return TexturedMesh(mesh, Textures(tuple(images), index, uv / tiles[:, None, None]))

    def save(self, path: str | Path) -> None:
        """Writes a GLB with a named mesh and a textured material for each part, in metres; atomically.

        Raises ValueError if the path has another ending, OSError if it cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".glb":
            raise ValueError(f"cannot write {path}: the ending must be .glb")
        scene = trimesh.Scene()
        for part in self.parts:
            scene.add_geometry(self._textured_part(part), node_name=part.name, geom_name=part.name)
        create_parents(path)
        with atomic_write(path) as partial:
            partial.write_bytes(scene.export(file_type="glb"))

    def _textured_part(self, part: Part) -> trimesh.Trimesh:
        """The part with UV coordinates, for which each face needs vertices of its own."""
        solids = [solid for each in self.parts for solid in each.solids]
        offset = next(number for number, solid in enumerate(solids) if solid is part.solids[0])
        corners = np.concatenate([solid.vertices[solid.faces].reshape(-1, 3) for solid in part.solids])
        uv = [project_texture(solid, offset + number).reshape(-1, 2) for number, solid in enumerate(part.solids)]
        image = Image.fromarray(part.material.texture())
        material = PBRMaterial(
            part.material.name, baseColorTexture=image, metallicFactor=0.0, roughnessFactor=0.8, doubleSided=False
        )
        mesh = trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)
        mesh.visual = TextureVisuals(np.concatenate(uv) / part.material.tile, material=material)
        return mesh


def join_solids(solids: Iterable[Solid]) -> trimesh.Trimesh:
    """The solids as one mesh, whose surfaces may pass through each other."""
    vertices, faces, count = [], [], 0
    for solid in solids:
        vertices.append(solid.vertices)
        faces.append(solid.faces + count)
        count += len(solid.vertices)
    return trimesh.Trimesh(np.concatenate(vertices), np.concatenate(faces), process=False)


def project_texture(solid: Solid, number: int) -> Float[np.ndarray, "faces 3 2"]:
    """UV coordinates in metres: each face is projected along the axis that it faces most, u along the longest axis.

    `number` shifts the texture, so that no two solids show the same part of it.
    """
    corners = solid.vertices[solid.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    planes = plane_axes(int(np.ptp(solid.vertices, axis=0).argmax()))[abs(normals).argmax(1)]
    uv = np.take_along_axis(corners, planes[:, None, :].repeat(3, 1), axis=2)
    return uv + np.array([0.371, 0.617]) * number


def plane_axes(grain: int) -> Int[np.ndarray, "normals 2"]:
    """For faces across x, y and z, the axes along which u and v run: u along the grain where the face shows it."""
    axes = [[axis for axis in range(3) if axis != normal] for normal in range(3)]
    return np.array([pair[::-1] if pair[1] == grain else pair for pair in axes])
