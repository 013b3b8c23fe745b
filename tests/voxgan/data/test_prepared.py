"""What of an object's own files is shown and how its voxels stand, beside a mesh or alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from support.shapes import picture
from support.shapes import prepare_config as config

from voxgan.data.packed import open_packed_dataset
from voxgan.data.prepare import prepare_dataset

# ---------------------------------------------------------------------------------------- textures and photographs

CORNERS = "".join(f"v {x} {2 * y} {z}\n" for x in (0, 1) for y in (0, 1) for z in (0, 1))
FACES = trimesh.creation.box().faces


def textured_obj(folder: Path, *, library: str, reference: str) -> None:
    faces = "".join("f " + " ".join(f"{corner + 1}/1" for corner in face) + "\n" for face in FACES)
    (folder / "chair.obj").write_text(f"mtllib {library}\n{CORNERS}vt 0.5 0.5\nusemtl wood\n{faces}")
    (folder / library).write_text(f"newmtl wood\nmap_Kd {reference}\n")


def textured_ply(folder: Path) -> None:
    """As MeshLab writes it."""
    header = (
        "ply\nformat ascii 1.0\ncomment TextureFile chair.png\nelement vertex 8\nproperty float x\nproperty float y\n"
        "property float z\nelement face 12\nproperty list uchar int vertex_indices\n"
        "property list uchar float texcoord\nend_header\n"
    )
    faces = "".join("3 {} {} {} 6 0.5 0.5 0.5 0.5 0.5 0.5\n".format(*face) for face in FACES)
    (folder / "chair.ply").write_text(header + CORNERS.replace("v ", "") + faces)


def textured_gltf(folder: Path) -> None:
    """With a space in the name of its picture, which a URI writes as %20."""
    mesh = trimesh.creation.box((1, 2, 1))
    mesh.visual = trimesh.visual.TextureVisuals(uv=np.full((8, 2), 0.5), image=Image.new("RGB", (2, 2)))
    for name, content in mesh.export(file_type="gltf").items():
        if name.endswith(".gltf"):
            tree = json.loads(content)
            tree["images"] = [{"uri": "my%20chair.png"}]
            content = json.dumps(tree).encode()
            name = "my chair.gltf"
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("kind", ["other library", "other case", "ply", "gltf", "bumps"])
def test_a_texture_of_the_meshs_own_name_is_no_photograph_of_it(tmp_path, kind):
    folder = tmp_path / "meshes"
    folder.mkdir()
    match kind:
        case "other library":
            textured_obj(folder, library="material.mtl", reference="chair.png")
        case "other case":
            textured_obj(folder, library="chair.mtl", reference="CHAIR.PNG")
        case "ply":
            textured_ply(folder)
        case "gltf":
            textured_gltf(folder)
        case "bumps":
            textured_obj(folder, library="chair.mtl", reference="wood.png")
            (folder / "chair.mtl").write_text("newmtl wood\nKd 1 0 0\nmap_Bump chair.png\n")
    Image.new("RGB", (8, 8), (250, 0, 0)).save(folder / ("my chair.png" if kind == "gltf" else "chair.png"))
    result = prepare_dataset(config(folder, copies=1))
    packed = open_packed_dataset(str(tmp_path / "set"))
    cameras = packed.objects[0].cameras
    assert len(cameras) == 2
    assert None not in cameras, "both were rendered"
    view = packed.read_view(0, 0)
    red, green, _ = view[view[..., 3] > 200][:, :3].mean(0)
    assert red > 3 * green + 20, "in the colour of the texture"
    assert str(result).startswith("2 objects"), "it is copied, as are objects without pictures of their own"


def test_a_photograph_beside_a_mesh_with_another_texture_is_one(tmp_path):
    folder = tmp_path / "meshes"
    folder.mkdir()
    textured_obj(folder, library="chair.mtl", reference="wood.png")
    picture(folder / "wood.png")
    picture(folder / "chair.png")
    for _ in range(2):  # prepared and from the cache
        result = prepare_dataset(config(folder, copies=1))
        assert [item.cameras for item in result.objects] == [(None,)]
