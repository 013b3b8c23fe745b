"""Mesh files of every format are read with their colours; unreadable ones are refused in one line that names them."""

import gzip
import struct
import zipfile

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.creation import box, icosphere

from gancore.errors import UnreadableError
from gancore.files.limits import ShapeLimits
from voxgan.mesh import read
from voxgan.mesh.materials import MAX_TEXELS
from voxgan.mesh.read import load_mesh
from voxgan.mesh.voxelise import normalise_mesh, voxelise


@pytest.mark.parametrize("ending", ["obj", "off", "ply", "stl", "glb", "3mf", "dae"])
def test_every_format_is_read(tmp_path, ending):
    box((1, 2, 3)).export(tmp_path / f"box.{ending}")
    np.testing.assert_allclose(load_mesh(tmp_path / f"box.{ending}").mesh.extents, (1, 2, 3))


def test_an_off_file_without_a_line_break_after_its_header_is_read(tmp_path):
    text = box().export(file_type="off").replace("OFF\n", "OFF", 1)
    (tmp_path / "glued.off").write_text(text)
    assert text.startswith("OFF8 12")
    assert load_mesh(tmp_path / "glued.off").mesh.volume == pytest.approx(1)


def test_the_parts_of_a_scene_are_placed_by_their_transforms(tmp_path):
    scene = trimesh.Scene()
    for x in (0, 3):
        scene.add_geometry(box(), transform=trimesh.transformations.translation_matrix((x, 0, 0)))
    scene.export(tmp_path / "two.glb")
    mesh = load_mesh(tmp_path / "two.glb").mesh
    np.testing.assert_allclose(mesh.extents, (4, 1, 1))
    assert len(mesh.faces) == 24


SQUARES = """# modèle
mtllib paint.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 1
v 5 0 0
vt 0 0
vt 1 0
vt 1 1
usemtl tissé
f 1/1 2/2 3/3
usemtl rosé
f 1 3 4
f 1 3 5
"""


def test_faces_have_the_colours_of_their_materials_and_textures_in_any_text_encoding(tmp_path):
    Image.new("RGB", (4, 4), (10, 200, 30)).save(tmp_path / "cloth.png")
    materials = "newmtl tissé\nKd 1 1 1\nmap_Kd cloth.png\nnewmtl rosé\nKd 1 0 0\n"
    (tmp_path / "squares.obj").write_text(SQUARES, encoding="latin-1")
    (tmp_path / "paint.mtl").write_text(materials, encoding="latin-1")
    colours = load_mesh(tmp_path / "squares.obj").mesh.visual.face_colors
    assert sorted(colours[:, :3].tolist()) == [[10, 200, 30], [255, 0, 0], [255, 0, 0]]


def test_a_texture_is_read_no_larger_than_views_can_show(tmp_path):
    Image.new("RGB", (3000, 2000), (10, 200, 30)).save(tmp_path / "cloth.png")
    (tmp_path / "paint.mtl").write_text("newmtl tissé\nKd 1 1 1\nmap_Kd cloth.png\n", encoding="latin-1")
    (tmp_path / "squares.obj").write_text(SQUARES, encoding="latin-1")
    textures = load_mesh(tmp_path / "squares.obj").textures
    assert sorted(textures.image_index.tolist()) == [-1, -1, 0]
    assert max(textures.images[0].shape) <= MAX_TEXELS
    assert textures.uv.shape == (3, 3, 2)


def test_a_mesh_of_too_many_faces_is_decimated_and_keeps_its_colours(tmp_path, monkeypatch):
    monkeypatch.setattr(read, "TARGET_FACES", 2000)
    mesh = icosphere(5)
    mesh.visual.face_colors = np.where(mesh.triangles_center[:, :1] > 0, [[255, 0, 0, 255]], [[0, 0, 255, 255]])
    mesh.export(tmp_path / "fine.ply")
    mesh.export(tmp_path / "fine.stl")  # in which no two triangles share a vertex
    for name in ("fine.ply", "fine.stl"):
        coarse = load_mesh(tmp_path / name).mesh
        assert len(coarse.faces) <= 2000
        assert coarse.volume == pytest.approx(mesh.volume, rel=0.01)
    coarse = load_mesh(tmp_path / "fine.ply").mesh
    right = coarse.triangles_center[:, 0] > 0.1
    assert (coarse.visual.face_colors[right, 0] == 255).all()


def test_more_faces_or_bytes_than_the_limits_are_refused(tmp_path):
    box().export(tmp_path / "box.stl")
    with pytest.raises(UnreadableError, match=r"box\.stl has 12 faces, above the limit of 11; max_faces lets it in"):
        load_mesh(tmp_path / "box.stl", limits=ShapeLimits(max_faces=11))
    assert len(load_mesh(tmp_path / "box.stl", limits=ShapeLimits(max_faces=12)).mesh.faces) == 12
    with (tmp_path / "huge.obj").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=r"huge\.obj has .* GB, above the limit of 4; max_gigabytes lets it in"):
        load_mesh(tmp_path / "huge.obj")


def test_a_zip_that_unpacks_to_more_bytes_than_the_limit_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.3mf", "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("3D/3dmodel.model", b" " * 1_000_000)
    assert (tmp_path / "bomb.3mf").stat().st_size < 10_000
    with pytest.raises(ValueError, match=r"bomb\.3mf has .* GB, above the limit"):
        load_mesh(tmp_path / "bomb.3mf", limits=ShapeLimits(max_gigabytes=1e-4))


HUGE_HEADER = b"element vertex 1000000000000\nproperty float x\nproperty float y\nproperty float z\n"
HUGE_HEADER += b"element face 1000000000000\nproperty list uchar int vertex_indices\nend_header\n"
CORNERS = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("letter.obj", b"Dear all,\nthis is a letter.\n", "holds no faces"),
        ("empty.obj", b"", "holds no faces"),
        ("empty.stl", b"", "holds no faces"),
        ("empty.off", b"", "cannot read"),
        ("empty.ply", b"", "cannot read"),
        ("empty.glb", b"", "cannot read"),
        ("empty.3mf", b"", "cannot read"),
        ("bytes.obj", bytes(range(256)) * 8, "holds no faces"),
        ("bytes.stl", bytes(range(256)) * 8, "holds no faces: it may be cut short"),
        ("cut.3mf", b"PK\x03\x04" + bytes(50) + b"PK\x05\x06" + b"\xff" * 18, "cannot read"),
        ("packed.glb", gzip.compress(b"glTF", mtime=0), "cannot read"),
        ("points.obj", CORNERS, "holds no faces"),
        ("nan.obj", CORNERS + b"v nan 0 0\nf 1 2 3\nf 1 4 5\n", "not numbers"),
        ("infinite.obj", CORNERS + b"v inf 0 0\nf 1 2 3\nf 1 4 5\n", "not numbers"),
        ("immense.obj", b"v 1e200 0 0\n" + CORNERS + b"f 1 2 3\nf 1 4 5\n", "not numbers"),
        ("flat.obj", CORNERS + b"f 1 2 3\n", "is flat: its extents are 1 x 1 x 0"),
        ("missing.obj", CORNERS + b"f 1 2 9\n", "cannot read"),
        ("huge.ply", b"ply\nformat binary_little_endian 1.0\n" + HUGE_HEADER, "above the limit of 1,000,000;"),
        ("huge.off", b"OFF\n1000000000000 1000000000000 0\n0 0 0\n", "above the limit of 1,000,000;"),
        ("huge.stl", bytes(80) + struct.pack("<I", 2**32 - 1) + b"\xff" * 50, "holds no faces: it may be cut short"),
        ("notes.txt", CORNERS, "should end in"),
    ],
)
def test_a_file_without_a_mesh_is_refused_in_one_line_that_names_it(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_mesh(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


TETRAHEDRON = CORNERS + b"f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


@pytest.mark.parametrize(
    "stray",
    [
        b"v 900 0 0\nv 901 0 0\nf -1 -2 -2\n",  # two corners in one place
        b"v 900.1 0.1 0.7\nv 901.1 0.2 0.9\nv 902.1 0.3 1.1\nf -1 -2 -3\n",  # in a row
        b"v 900 7 7\nf -1 -1 -1\n",
        b"v nan nan nan\nv inf 0 0\nv 1e300 0 0\n",  # no face uses them
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_faces_without_area_and_vertices_without_faces_do_not_shrink_an_object(tmp_path, stray, first):
    lines = CORNERS + stray + TETRAHEDRON[len(CORNERS) :] if first else TETRAHEDRON + stray
    (tmp_path / "m.obj").write_bytes(lines)
    mesh = load_mesh(tmp_path / "m.obj").mesh
    np.testing.assert_allclose(mesh.extents, (1, 1, 1))
    assert len(mesh.faces) == 4
    assert voxelise(normalise_mesh(mesh), 8).sum() > 40


def test_a_row_of_single_precision_far_away_has_no_area(tmp_path):
    row = np.array([[900.1, 0.1, 0.7], [901.1, 0.2, 0.9], [902.1, 0.3, 1.1]], np.float32)
    mesh = trimesh.Trimesh([*box().vertices, *row], [*box().faces, [8, 9, 10]], process=False)
    mesh.export(tmp_path / "m.stl")
    np.testing.assert_allclose(load_mesh(tmp_path / "m.stl").mesh.extents, (1, 1, 1))


def test_a_file_of_faces_without_area_is_refused(tmp_path):
    (tmp_path / "m.obj").write_bytes(CORNERS + b"f 1 2 2\nf 1 1 1\nf 3 4 3\n")
    with pytest.raises(UnreadableError, match="holds no faces: none of its 3 has an area"):
        load_mesh(tmp_path / "m.obj")


def test_a_polygon_of_very_many_corners_is_read(tmp_path):
    angle = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
    rim = [f"v {x:.6f} {y:.6f} 0" for x, y in zip(np.cos(angle), np.sin(angle), strict=True)]
    lines = [*rim, "v 0 0 1", "f " + " ".join(map(str, range(1, 1001))), "f 1 2 1001", "f 300 600 1001"]
    (tmp_path / "m.obj").write_text("\n".join(lines))
    assert len(load_mesh(tmp_path / "m.obj").mesh.faces) == 1000


def test_whatever_a_reader_raises_becomes_one_error(tmp_path):
    (tmp_path / "empty.glb").write_bytes(b"")
    with pytest.raises(UnreadableError, match=r"cannot read .*empty\.glb as a mesh: "):
        load_mesh(tmp_path / "empty.glb")


def test_a_missing_mesh_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"chair\.obj"):
        load_mesh(tmp_path / "chair.obj")
