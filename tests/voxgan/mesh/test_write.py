"""Mesh files of every format, read again, are closed, upright, of the requested size and of the same colours."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from trimesh.visual import ColorVisuals

from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.read import load_mesh
from voxgan.mesh.surface import extract_surface
from voxgan.mesh.voxelise import normalise_mesh
from voxgan.mesh.write import FORMATS, save_mesh, srgb_to_linear

ENDINGS = sorted(FORMATS)


def chair(*, faces: int | None = None) -> trimesh.Trimesh:
    """A seat at half height, a back behind it (-z), and a post to the right (+x): no two axes alike."""
    field = np.zeros((16, 16, 16))
    field[3:13, 6:9, 2:14] = 1
    field[3:13, 6:15, 2:5] = 1
    field[10:13, 1:9, 6:9] = 1
    return extract_surface(field, SurfaceConfig(target_faces=faces))


def coloured_chair() -> trimesh.Trimesh:
    """The chair with another colour at every vertex."""
    mesh = chair()
    relative = (mesh.vertices - mesh.bounds[0]) / mesh.extents
    rgba = np.concatenate([20 + 200 * relative, np.full((len(relative), 1), 255)], 1).astype(np.uint8)
    mesh.visual = ColorVisuals(mesh, vertex_colors=rgba)
    return mesh


def read_with_trimesh(path: Path) -> trimesh.Trimesh:
    mesh = trimesh.load(path, force="mesh")
    assert isinstance(mesh, trimesh.Trimesh)
    return mesh


def upright(mesh: trimesh.Trimesh, ending: str) -> np.ndarray:
    """Vertices in metres with y up, according to the conventions of the format."""
    vertices = np.asarray(mesh.vertices)
    return vertices if FORMATS[ending].up == "y" else vertices[:, [0, 2, 1]] * (1, 1, -1) / 1000


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_smallest_size_costs_no_detail(tmp_path, ending):
    mesh = chair()
    save_mesh(mesh, tmp_path / f"chair{ending}", size_mm=0.001)
    loaded = load_mesh(tmp_path / f"chair{ending}").mesh
    assert len(loaded.faces) == len(mesh.faces)
    again = trimesh.Trimesh(loaded.vertices / loaded.extents.max(), loaded.faces)
    assert again.volume == pytest.approx(mesh.volume / mesh.extents.max() ** 3, rel=1e-5)


@pytest.mark.parametrize("faces", [None, 300])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_read_again_is_closed_and_upright_and_has_the_same_bounds(tmp_path, ending, faces):
    mesh = chair(faces=faces)
    save_mesh(mesh, tmp_path / f"new/chair{ending}")
    again = read_with_trimesh(tmp_path / f"new/chair{ending}")
    assert again.is_watertight
    assert again.is_winding_consistent
    assert again.volume > 0
    assert len(again.faces) == len(mesh.faces)
    vertices = upright(again, ending)
    assert np.abs(vertices).max() <= 0.5 + 1e-6
    assert vertices.min(0) == pytest.approx(mesh.bounds[0], abs=1e-6)
    assert vertices.max(0) == pytest.approx(mesh.bounds[1], abs=1e-6)
    assert vertices[vertices[:, 1] > 0.2][:, 2].max() < 0  # the back is at the back
    assert vertices[vertices[:, 1] < -0.3][:, 0].min() > 0  # the post is on the right


@pytest.mark.parametrize("ending", ENDINGS)
def test_size_mm_is_the_longest_side_in_millimetres(tmp_path, ending):
    save_mesh(chair(), tmp_path / f"chair{ending}", size_mm=80.0)
    extents = read_with_trimesh(tmp_path / f"chair{ending}").extents
    assert extents.max() == pytest.approx(80 if FORMATS[ending].unit == "millimetres" else 0.08, rel=1e-5)
    assert extents.argmax() == (1 if FORMATS[ending].up == "y" else 2)


@pytest.mark.parametrize("ending", [".glb", ".obj", ".ply"])
def test_vertex_colours_are_kept(tmp_path, ending):
    mesh = coloured_chair()
    save_mesh(mesh, tmp_path / f"chair{ending}")
    (again,) = trimesh.load_scene(tmp_path / f"chair{ending}").geometry.values()
    if ending == ".glb":  # linear light in 16 bits
        linear = np.asarray(again.visual.vertex_attributes["color"]) / 65535
        assert linear == pytest.approx(srgb_to_linear(mesh.visual.vertex_colors), abs=1e-4)
    else:
        assert np.array_equal(again.visual.vertex_colors, mesh.visual.vertex_colors)


def gltf_json(path: Path) -> dict:
    """The JSON chunk of a GLB file."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<I", content, 12)
    return json.loads(content[20 : 20 + length])


@pytest.mark.parametrize("mesh", [chair(), coloured_chair()], ids=["plain", "coloured"])
def test_a_glb_has_normals_and_a_material_that_is_not_metallic(tmp_path, mesh):
    save_mesh(mesh, tmp_path / "chair.glb")
    tree = gltf_json(tmp_path / "chair.glb")
    (primitive,) = tree["meshes"][0]["primitives"]
    surface = tree["materials"][primitive["material"]]["pbrMetallicRoughness"]
    assert surface["metallicFactor"] == 0
    coloured = mesh.visual.kind is not None
    assert surface["baseColorFactor"] == pytest.approx([1] * 4 if coloured else [0.434, 0.392, 0.342, 1], abs=3e-3)
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL"} | ({"COLOR_0"} if coloured else set())
    if coloured:
        colours = tree["accessors"][primitive["attributes"]["COLOR_0"]]
        assert (colours["componentType"], colours["type"], colours["normalized"]) == (5123, "VEC4", True)


def test_black_and_white_are_0_and_1_in_linear_light():
    assert srgb_to_linear(np.array([[0, 255, 188, 128]])) == pytest.approx(
        np.array([[0, 1, 0.503, 128 / 255]]), abs=1e-3
    )


@pytest.mark.parametrize("ending", [".obj", ".ply", ".stl"])
def test_a_file_states_which_way_is_up(tmp_path, ending):
    save_mesh(chair(), tmp_path / f"chair{ending}")
    start = (tmp_path / f"chair{ending}").read_bytes()[:200]
    assert f"{FORMATS[ending].up} is up, unit: {FORMATS[ending].unit}".encode() in start
    assert b"http" not in start
    assert not start.startswith(b"solid")


def test_a_3mf_is_in_millimetres(tmp_path):
    save_mesh(chair(), tmp_path / "chair.3mf")
    assert read_with_trimesh(tmp_path / "chair.3mf").extents.max() == pytest.approx(
        1000 * chair().extents.max(), rel=1e-5
    )


@pytest.mark.parametrize("ending", [".glb", ".obj", ".ply", ".stl"])
def test_a_written_mesh_can_be_loaded_and_normalised_again(tmp_path, ending):
    mesh = coloured_chair()
    save_mesh(mesh, tmp_path / f"chair{ending}")
    again = normalise_mesh(load_mesh(tmp_path / f"chair{ending}").mesh, up=FORMATS[ending].up)
    assert np.ptp(again.vertices, axis=0) == pytest.approx(mesh.extents / mesh.extents.max(), abs=1e-5)


def test_an_ending_may_be_in_capitals(tmp_path):
    save_mesh(chair(), tmp_path / "CHAIR.STL")
    assert read_with_trimesh(tmp_path / "CHAIR.STL").is_watertight


def test_a_failure_leaves_an_older_file_as_it_was(tmp_path):
    path = tmp_path / "chair.stl"
    path.write_bytes(b"older")
    mesh = chair()
    open_mesh = trimesh.Trimesh(mesh.vertices, mesh.faces[1:], process=False)
    with pytest.raises(ValueError, match=r"chair\.stl: the surface is not closed"):
        save_mesh(open_mesh, path)
    assert path.read_bytes() == b"older"
    save_mesh(mesh, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["chair.stl"]


MISTAKES = {
    "an unknown ending": ({"path": "chair.fbx"}, "cannot write .*chair.fbx: the ending must be one of .glb"),
    "no ending": ({"path": "chair"}, "the ending must be"),
    "no size": ({"size_mm": 0.0}, r"size_mm must lie in \[0.001, 1,000,000\], got 0"),
    "an infinite size": ({"size_mm": float("inf")}, r"size_mm must lie in \[0.001, 1,000,000\], got inf"),
    "below a file": ({"path": "file/chair.glb"}, "cannot write .*chair.glb"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_file_that_cannot_be_written_is_named(tmp_path, mistake):
    changes, message = MISTAKES[mistake]
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=message):
        save_mesh(chair(), tmp_path / changes.get("path", "chair.glb"), size_mm=changes.get("size_mm"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
