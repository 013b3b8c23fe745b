"""Every file of a mesh, read again: closed, upright, as large as asked for, and of the same colours."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from trimesh.visual import ColorVisuals

from voxgan.mesh.surface import SurfaceConfig, extract_surface
from voxgan.mesh.voxelise import load_mesh, normalise_mesh
from voxgan.mesh.write import FORMATS, save_mesh, srgb_to_linear

ENDINGS = sorted(FORMATS)


def chair(*, faces: int = 0) -> trimesh.Trimesh:
    """A seat at half height, a back behind it (-z), and a post to the right (+x): no two axes alike."""
    field = np.zeros((16, 16, 16))
    field[3:13, 6:9, 2:14] = 1
    field[3:13, 6:15, 2:5] = 1
    field[10:13, 1:9, 6:9] = 1
    return extract_surface(field, SurfaceConfig(target_faces=faces))


def painted() -> trimesh.Trimesh:
    mesh = chair()
    shares = (mesh.vertices - mesh.bounds[0]) / mesh.extents
    rgba = np.concatenate([20 + 200 * shares, np.full((len(shares), 1), 255)], 1).astype(np.uint8)
    mesh.visual = ColorVisuals(mesh, vertex_colors=rgba)
    return mesh


def read(path: Path) -> trimesh.Trimesh:
    mesh = trimesh.load(path, force="mesh")
    assert isinstance(mesh, trimesh.Trimesh)
    return mesh


def upright(mesh: trimesh.Trimesh, ending: str) -> np.ndarray:
    """Vertices in metres with y up, by what the format says of itself."""
    vertices = np.asarray(mesh.vertices)
    return vertices if FORMATS[ending].up == "y" else vertices[:, [0, 2, 1]] * (1, 1, -1) / 1000


@pytest.mark.parametrize("faces", [0, 300])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_read_again_is_closed_upright_and_inside_its_box(tmp_path, ending, faces):
    mesh = chair(faces=faces)
    save_mesh(mesh, tmp_path / f"new/chair{ending}")
    again = read(tmp_path / f"new/chair{ending}")
    assert again.is_watertight
    assert again.is_winding_consistent
    assert again.volume > 0
    assert len(again.faces) == len(mesh.faces)
    vertices = upright(again, ending)
    assert np.abs(vertices).max() <= 0.5 + 1e-6
    assert vertices.min(0) == pytest.approx(mesh.bounds[0], abs=1e-6)
    assert vertices.max(0) == pytest.approx(mesh.bounds[1], abs=1e-6)
    assert vertices[vertices[:, 1] > 0.2][:, 2].max() < 0  # the back is behind
    assert vertices[vertices[:, 1] < -0.3][:, 0].min() > 0  # the post to the right


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_size_is_the_longest_side_in_millimetres(tmp_path, ending):
    save_mesh(chair(), tmp_path / f"chair{ending}", size_mm=80.0)
    extents = read(tmp_path / f"chair{ending}").extents
    assert extents.max() == pytest.approx(80 if FORMATS[ending].unit == "millimetres" else 0.08, rel=1e-5)
    assert extents.argmax() == (1 if FORMATS[ending].up == "y" else 2)


@pytest.mark.parametrize("ending", [".glb", ".obj", ".ply"])
def test_colours_survive(tmp_path, ending):
    mesh = painted()
    save_mesh(mesh, tmp_path / f"chair{ending}")
    (again,) = trimesh.load_scene(tmp_path / f"chair{ending}").geometry.values()
    if ending == ".glb":  # linear light in 16 bits
        shares = np.asarray(again.visual.vertex_attributes["color"]) / 65535
        assert shares == pytest.approx(srgb_to_linear(mesh.visual.vertex_colors), abs=1e-4)
    else:
        assert np.array_equal(again.visual.vertex_colors, mesh.visual.vertex_colors)


def gltf(path: Path) -> dict:
    content = path.read_bytes()
    (length,) = struct.unpack_from("<I", content, 12)
    return json.loads(content[20 : 20 + length])


@pytest.mark.parametrize("mesh", [chair(), painted()], ids=["plain", "coloured"])
def test_a_glb_has_normals_and_a_material_that_is_no_metal(tmp_path, mesh):
    save_mesh(mesh, tmp_path / "chair.glb")
    tree = gltf(tmp_path / "chair.glb")
    (primitive,) = tree["meshes"][0]["primitives"]
    surface = tree["materials"][primitive["material"]]["pbrMetallicRoughness"]
    assert surface["metallicFactor"] == 0
    coloured = mesh.visual.kind is not None
    assert surface["baseColorFactor"] == pytest.approx([1] * 4 if coloured else [0.434, 0.392, 0.342, 1], abs=3e-3)
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL"} | ({"COLOR_0"} if coloured else set())
    if coloured:
        colours = tree["accessors"][primitive["attributes"]["COLOR_0"]]
        assert (colours["componentType"], colours["type"], colours["normalized"]) == (5123, "VEC4", True)


def test_white_and_black_are_the_ends_of_linear_light():
    assert srgb_to_linear(np.array([[0, 255, 188, 128]])) == pytest.approx(
        np.array([[0, 1, 0.503, 128 / 255]]), abs=1e-3
    )


@pytest.mark.parametrize("ending", [".obj", ".ply", ".stl"])
def test_a_file_says_which_way_is_up(tmp_path, ending):
    save_mesh(chair(), tmp_path / f"chair{ending}")
    start = (tmp_path / f"chair{ending}").read_bytes()[:200]
    assert f"{FORMATS[ending].up} is up, unit: {FORMATS[ending].unit}".encode() in start
    assert b"http" not in start
    assert not start.startswith(b"solid")


def test_a_3mf_counts_in_millimetres(tmp_path):
    save_mesh(chair(), tmp_path / "chair.3mf")
    assert read(tmp_path / "chair.3mf").extents.max() == pytest.approx(1000 * chair().extents.max(), rel=1e-5)


@pytest.mark.parametrize("ending", [".glb", ".obj", ".ply", ".stl"])
def test_what_was_written_can_be_prepared_again(tmp_path, ending):
    mesh = painted()
    save_mesh(mesh, tmp_path / f"chair{ending}")
    again = normalise_mesh(load_mesh(tmp_path / f"chair{ending}"), up=FORMATS[ending].up)
    assert np.ptp(again.vertices, axis=0) == pytest.approx(mesh.extents / mesh.extents.max(), abs=1e-5)


def test_an_ending_may_be_in_capitals(tmp_path):
    save_mesh(chair(), tmp_path / "CHAIR.STL")
    assert read(tmp_path / "CHAIR.STL").is_watertight


def test_an_older_file_stays_where_there_is_nothing_to_write(tmp_path):
    path = tmp_path / "chair.stl"
    path.write_bytes(b"older")
    mesh = chair()
    torn = trimesh.Trimesh(mesh.vertices, mesh.faces[1:], process=False)
    with pytest.raises(ValueError, match=r"chair\.stl: the surface is not closed"):
        save_mesh(torn, path)
    assert path.read_bytes() == b"older"
    save_mesh(mesh, path)
    assert [inside.name for inside in tmp_path.iterdir()] == ["chair.stl"]


MISTAKES = {
    "an ending": ({"path": "chair.fbx"}, "cannot write .*chair.fbx: the ending must be one of .glb"),
    "no ending": ({"path": "chair"}, "the ending must be"),
    "no size": ({"size_mm": 0.0}, "size_mm must be above 0, got 0"),
    "a size without end": ({"size_mm": float("inf")}, "size_mm must be above 0, got inf"),
    "below a file": ({"path": "file/chair.glb"}, "cannot write .*chair.glb"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_be_written_is_named(tmp_path, mistake):
    given, complaint = MISTAKES[mistake]
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=complaint):
        save_mesh(chair(), tmp_path / given.get("path", "chair.glb"), size_mm=given.get("size_mm"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
