"""What of an object's own files is shown and how its voxels stand, beside a mesh or alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from jaxtyping import Bool
from PIL import Image
from support.shapes import picture
from support.shapes import prepare_config as config

from voxgan.data.packed import open_packed_dataset
from voxgan.data.prepare import prepare_dataset
from voxgan.files.binvox import write_binvox
from voxgan.files.voxels import resize_occupancy, write_occupancy
from voxgan.mesh.axes import reorient

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


# ------------------------------------------------------------------------------------------------- voxels of its own


def boot(side: int, *, at: int = 0) -> np.ndarray:
    """A shaft along z, whose toe points to y: `side` voxels tall, in a corner of a grid with `at` voxels around it."""
    grid = np.zeros((side + 2 * at,) * 3, bool)
    grid[at : at + side // 4, at : at + side // 4, at : at + side] = True
    grid[at : at + side // 4, at : at + side // 2, at : at + side // 4] = True
    return grid


def prepared(folder: Path, **settings: object) -> Bool[np.ndarray, "x y z"]:
    """The voxels of its only object."""
    prepare_dataset(config(folder, views=0, **settings))
    return open_packed_dataset(str(folder.with_name("set"))).occupancy(0)


@pytest.mark.parametrize(("side", "at"), [(8, 0), (8, 4), (16, 0), (8, 12), (16, 8)])
def test_voxels_of_any_size_anywhere_in_their_grid_are_scaled_to_the_cube_as_meshes_are(tmp_path, side, at):
    (tmp_path / "meshes").mkdir()
    np.save(tmp_path / "meshes" / "boot.npy", boot(side, at=at))
    expected = np.zeros((16, 16, 16), bool)
    expected[6:10, 4:8] = True
    expected[6:10, 4:12, :4] = True
    np.testing.assert_array_equal(prepared(tmp_path / "meshes", side=16), expected)


def test_fractions_are_kept_where_the_object_fills_its_grid_and_nowhere_else(tmp_path):
    (tmp_path / "meshes").mkdir()
    grid = np.zeros((8, 8, 8), np.float32)
    grid[:, 3:6, 2:5] = 0.75  # in the middle, to a voxel
    np.save(tmp_path / "meshes" / "a.npy", grid)
    np.save(tmp_path / "meshes" / "b.npy", np.roll(grid, 2, axis=1))  # not in the middle
    np.save(tmp_path / "meshes" / "c.npy", grid[:, ::-1] * (np.arange(8) < 7)[:, None, None])  # too small
    prepare_dataset(config(tmp_path / "meshes", views=0, occupancy="fractional"))
    packed = open_packed_dataset(str(tmp_path / "set"))
    assert abs(packed.fractions(0) - grid).max() < 1 / 255
    assert set(np.unique(packed.fractions(1))) == set(np.unique(packed.fractions(2))) == {0, 1}
    np.testing.assert_array_equal(np.flatnonzero(packed.occupancy(1).any((0, 2))), [2, 3, 4])
    assert packed.occupancy(2).any((1, 2)).all()


def test_the_grids_of_a_known_data_set_keep_their_frame_and_their_axes(tmp_path):
    models = tmp_path / "meshes" / "ShapeNetVox32" / "03001627"
    (models / "a").mkdir(parents=True)
    write_binvox(models / "a" / "model.binvox", boot(4, at=2))
    stood = reorient(boot(4, at=2), up="y", front="x")
    np.testing.assert_array_equal(prepared(tmp_path / "meshes", up="z", front="y"), stood)


@pytest.mark.parametrize("side", [8, 32])
def test_voxels_stand_as_the_axes_say_that_are_asked_for(tmp_path, side):
    (tmp_path / "meshes").mkdir()
    np.save(tmp_path / "meshes" / "boot.npy", boot(side))
    expected = np.zeros((8, 8, 8), bool)
    expected[3:5, :, 2:4] = True
    expected[3:5, :2, 2:6] = True  # the toe, to the front
    np.testing.assert_array_equal(prepared(tmp_path / "meshes", up="z", front="y"), expected)


def test_the_axis_that_a_file_of_voxels_states_wins(tmp_path, caplog):
    (tmp_path / "meshes").mkdir()
    grid = np.ones((8, 4, 4), bool)
    write_occupancy(tmp_path / "meshes" / "plank.npz", grid)
    np.testing.assert_array_equal(prepared(tmp_path / "meshes", up="x"), resize_occupancy(grid, 8))
    assert "plank.npz states that y is up" in caplog.text
