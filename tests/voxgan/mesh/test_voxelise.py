import gzip
import struct
import zipfile

import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.ndimage import label
from support.toys import iou
from trimesh.creation import box, icosphere

from voxgan.mesh import voxelise as module
from voxgan.mesh.voxelise import load_mesh, normalise_mesh, voxelise

TABLE = [  # corners of four legs, a top and a back, in the unit cube
    ((-0.5, -0.5, -0.5), (-0.42, 0.0, -0.42)),
    ((0.42, -0.5, -0.5), (0.5, 0.0, -0.42)),
    ((-0.5, -0.5, 0.42), (-0.42, 0.0, 0.5)),
    ((0.42, -0.5, 0.42), (0.5, 0.0, 0.5)),
    ((-0.5, -0.05, -0.5), (0.5, 0.03, 0.5)),
    ((-0.5, 0.0, -0.5), (0.5, 0.5, -0.4)),
]


def centres(side):
    middle = (np.arange(side) + 0.5) / side - 0.5
    return np.stack(np.meshgrid(middle, middle, middle, indexing="ij"), -1)


def boxes():
    return trimesh.util.concatenate([box(bounds=bounds) for bounds in TABLE])


def in_boxes(points):
    return np.any([((points > low) & (points < high)).all(-1) for low, high in TABLE], axis=0)


def ball():
    return icosphere(3, radius=0.5)


def in_ball(points):
    return (points**2).sum(-1) < 0.25


def without(mesh, faces):
    mesh.update_faces(np.delete(np.arange(len(mesh.faces)), faces))
    return mesh


def capless(height=0.4):
    mesh = ball()
    return without(mesh, np.flatnonzero(mesh.triangles_center[:, 1] > height))


def square(turn=None):
    mesh = trimesh.Trimesh([[-0.5, 0, -0.5], [0.5, 0, -0.5], [0.5, 0, 0.5], [-0.5, 0, 0.5]], [[0, 1, 2], [0, 2, 3]])
    return mesh if turn is None else mesh.apply_transform(turn)


def stick(thickness, *, at=(0.0, 0.0), tilt=0.0):
    mesh = box((thickness, 0.8, thickness))
    mesh.apply_transform(trimesh.transformations.rotation_matrix(tilt, (1, 0, 0.7)))
    return mesh.apply_translation((at[0], 0, at[1]))


@pytest.mark.parametrize(
    ("mesh", "inside"),
    [
        (boxes(), in_boxes),
        (without(boxes(), [5, 50, 61]), in_boxes),
        (ball(), in_ball),
        (capless(), in_ball),
        (capless(0.2), lambda points: in_ball(points) & (points[..., 1] < 0.2)),
    ],
    ids=["boxes", "boxes with holes", "ball", "ball with its cap cut off", "ball cut flat"],
)
def test_a_shape_fills_the_voxels_that_geometry_says(mesh, inside):
    assert iou(voxelise(mesh, 64), inside(centres(64))) >= 0.95


@pytest.mark.parametrize("supersample", [1, 2, 3])
def test_the_unit_box_fills_every_voxel_and_half_a_box_half_of_them(supersample):
    for side in (1, 2, 7, 32):
        assert voxelise(box(), side, supersample=supersample).sum() == side**3
    for side in (4, 8, 20):
        assert voxelise(box((0.5, 0.5, 0.5)), side, supersample=supersample).sum() == (side // 2) ** 3


@pytest.mark.parametrize("mesh", [boxes(), capless()], ids=["boxes", "open ball"])
def test_the_sides_that_faces_show_do_not_matter(mesh):
    expected = voxelise(mesh, 24)
    inverted, mixed, doubled = mesh.copy(), mesh.copy(), mesh.copy()
    inverted.invert()
    mixed.faces[::2] = mixed.faces[::2, ::-1]
    doubled.faces = np.concatenate([mesh.faces, mesh.faces[:, ::-1]])
    for other in (inverted, mixed, doubled):
        np.testing.assert_array_equal(voxelise(other, 24), expected)


def test_one_part_turned_inside_out_does_not_empty_what_it_overlaps():
    parts = [box(bounds=bounds) for bounds in TABLE]
    parts[4].invert()
    np.testing.assert_array_equal(voxelise(trimesh.util.concatenate(parts), 24), voxelise(boxes(), 24))


def test_a_crate_of_six_boards_is_filled_and_one_of_five_is_not():
    boards = [
        box(np.where(np.arange(3) == axis, 0.1, 1.0)).apply_translation(np.where(np.arange(3) == axis, place, 0))
        for axis in (1, 0, 2)
        for place in (0.45, -0.45)
    ]
    assert voxelise(trimesh.util.concatenate(boards), 16).all()
    assert not voxelise(trimesh.util.concatenate(boards[1:]), 16)[4:12, 4:, 4:12].any()


def test_the_inner_wall_of_a_basin_stays_empty_though_it_is_a_part_of_its_own():
    shell, basin = box(), box((0.6, 0.8, 0.6)).apply_translation((0, 0.1, 0))
    without(shell, np.flatnonzero(shell.face_normals[:, 1] > 0.5))
    without(basin, np.flatnonzero(basin.face_normals[:, 1] > 0.5)).invert()
    rim = trimesh.creation.annulus(0.3 * 2**0.5, 0.5 * 2**0.5, segment=[[0, 0.4999, 0], [0, 0.5, 0]], sections=4)
    rim.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 4, (0, 1, 0)))
    voxels = voxelise(trimesh.util.concatenate([shell, basin, rim]), 20)
    assert not voxels[6:14, 6:, 6:14].any()
    assert voxels[:, :3].all()


@pytest.mark.parametrize("thickness", [0.002, 0.02, 0.04])
@pytest.mark.parametrize("at", [(0.0, 0.0), (0.01, 0.005), (0.016, -0.1)])
@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_a_stick_thinner_than_a_voxel_stays_one_piece_of_its_length(thickness, at, tilt):
    voxels = voxelise(stick(thickness, at=at, tilt=tilt), 24)
    assert label(voxels, np.ones((3, 3, 3)))[1] == 1
    assert voxels.any((0, 2)).sum() >= 24 * 0.8 * np.cos(tilt) - 1
    assert voxels.sum() <= 24 * 6


def test_a_sheet_without_thickness_stays_whole_and_one_voxel_thin():
    assert (voxelise(square(), 16).sum(1) == 1).all()
    tilted = voxelise(square(trimesh.transformations.rotation_matrix(0.4, (1, 0, 0))), 16)
    assert (tilted.any(1).sum(1) >= 14).all()
    assert label(tilted, np.ones((3, 3, 3)))[1] == 1
    assert tilted.sum() <= 1.5 * 16**2


def test_a_solid_is_not_fattened_by_its_surface():
    turn = trimesh.transformations.rotation_matrix(0.7, (1, 2, 3))
    voxels = voxelise(box((0.5, 0.5, 0.5)).apply_transform(turn), 32)
    assert voxels.sum() == pytest.approx(16**3, rel=0.02)


def test_a_mesh_is_centred_and_as_long_as_one():
    mesh = normalise_mesh(box((1, 2, 4)).apply_translation((7, 8, 9)))
    np.testing.assert_allclose(mesh.bounds, [[-0.125, -0.25, -0.5], [0.125, 0.25, 0.5]])


def test_what_was_up_is_up_and_what_was_in_front_is_in_front():
    tip = box().apply_translation((0, 0, 2))  # on top, where z is up
    nose = box().apply_translation((0, -3, 0))  # in front, where that is -y
    mesh = normalise_mesh(trimesh.util.concatenate([box((4, 6, 1)), tip, nose]), up="z")
    assert mesh.vertices[:, 1].argmax() in range(8, 16)
    assert mesh.vertices[:, 2].argmax() in range(16, 24)
    assert mesh.volume > 0
    facing = normalise_mesh(nose, up="z", front="y").vertices
    np.testing.assert_allclose(facing[:, 0], -normalise_mesh(nose, up="z").vertices[:, 0])


def test_a_mesh_of_one_point_cannot_be_normalised():
    with pytest.raises(ValueError, match="without extent"):
        normalise_mesh(trimesh.Trimesh([[1, 1, 1]] * 3, [[0, 1, 2]], process=False))


@pytest.mark.parametrize("ending", ["obj", "off", "ply", "stl", "glb", "3mf", "dae"])
def test_every_format_is_read(tmp_path, ending):
    box((1, 2, 3)).export(tmp_path / f"box.{ending}")
    np.testing.assert_allclose(load_mesh(tmp_path / f"box.{ending}").extents, (1, 2, 3))


def test_an_off_file_with_its_counts_glued_to_the_header_is_read(tmp_path):
    text = box().export(file_type="off").replace("OFF\n", "OFF", 1)
    (tmp_path / "glued.off").write_text(text)
    assert text.startswith("OFF8 12")
    assert load_mesh(tmp_path / "glued.off").volume == pytest.approx(1)


def test_the_parts_of_a_scene_stand_where_they_were_put(tmp_path):
    scene = trimesh.Scene()
    for place in (0, 3):
        scene.add_geometry(box(), transform=trimesh.transformations.translation_matrix((place, 0, 0)))
    scene.export(tmp_path / "two.glb")
    mesh = load_mesh(tmp_path / "two.glb")
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


def test_faces_take_the_colours_of_their_materials_and_pictures_whatever_the_encoding(tmp_path):
    Image.new("RGB", (4, 4), (10, 200, 30)).save(tmp_path / "cloth.png")
    paint = "newmtl tissé\nKd 1 1 1\nmap_Kd cloth.png\nnewmtl rosé\nKd 1 0 0\n"
    (tmp_path / "squares.obj").write_text(SQUARES, encoding="latin-1")
    (tmp_path / "paint.mtl").write_text(paint, encoding="latin-1")
    colours = load_mesh(tmp_path / "squares.obj").visual.face_colors
    assert sorted(colours[:, :3].tolist()) == [[10, 200, 30], [255, 0, 0], [255, 0, 0]]


def test_a_mesh_of_a_million_faces_is_thinned_out_in_its_colours(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TARGET_FACES", 2000)
    mesh = icosphere(5)
    mesh.visual.face_colors = np.where(mesh.triangles_center[:, :1] > 0, [[255, 0, 0, 255]], [[0, 0, 255, 255]])
    mesh.export(tmp_path / "fine.ply")
    mesh.export(tmp_path / "fine.stl")  # where no two triangles share a corner
    for name in ("fine.ply", "fine.stl"):
        thin = load_mesh(tmp_path / name)
        assert len(thin.faces) <= 2000
        assert thin.volume == pytest.approx(mesh.volume, rel=0.01)
    thin = load_mesh(tmp_path / "fine.ply")
    right = thin.triangles_center[:, 0] > 0.1
    assert (thin.visual.face_colors[right, 0] == 255).all()


def test_more_faces_and_bytes_than_memory_allows_are_refused(tmp_path):
    box().export(tmp_path / "box.stl")
    with pytest.raises(ValueError, match=r"box\.stl .* 12 faces; decimate it below 12, or raise max_faces"):
        load_mesh(tmp_path / "box.stl", max_faces=12)
    assert len(load_mesh(tmp_path / "box.stl", max_faces=13).faces) == 12
    with (tmp_path / "huge.obj").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=r"huge\.obj .* holds 1048576 MiB, more than"):
        load_mesh(tmp_path / "huge.obj")


def test_a_zip_that_unpacks_to_more_than_memory_allows_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "bomb.3mf", "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("3D/3dmodel.model", b" " * 1_000_000)
    assert (tmp_path / "bomb.3mf").stat().st_size < 10_000
    with pytest.raises(ValueError, match=r"bomb\.3mf .* more than"):
        load_mesh(tmp_path / "bomb.3mf")


PROMISE = b"element vertex 1000000000000\nproperty float x\nproperty float y\nproperty float z\n"
PROMISE += b"element face 1000000000000\nproperty list uchar int vertex_indices\nend_header\n"
CORNERS = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("letter.obj", b"Dear all,\nthis is a letter.\n", "holds no faces"),
        ("empty.obj", b"", "holds no faces"),
        ("empty.stl", b"", "holds no faces"),
        ("empty.off", b"", "cannot read"),
        ("empty.ply", b"", "cannot read"),
        ("empty.glb", b"", "cannot read"),
        ("empty.3mf", b"", "cannot read"),
        ("bytes.obj", bytes(range(256)) * 8, "holds no faces"),
        ("bytes.stl", bytes(range(256)) * 8, "cut short, or something else"),
        ("cut.3mf", b"PK\x03\x04" + bytes(50) + b"PK\x05\x06" + b"\xff" * 18, "cannot read"),
        ("packed.glb", gzip.compress(b"glTF", mtime=0), "cannot read"),
        ("points.obj", CORNERS, "holds no faces"),
        ("nan.obj", CORNERS + b"v nan 0 0\nf 1 2 3\nf 1 4 5\n", "not numbers"),
        ("infinite.obj", CORNERS + b"v inf 0 0\nf 1 2 3\nf 1 4 5\n", "not numbers"),
        ("immense.obj", b"v 1e200 0 0\n" + CORNERS + b"f 1 2 3\nf 1 4 5\n", "not numbers"),
        ("flat.obj", CORNERS + b"f 1 2 3\n", "is flat: its extents are 1 x 1 x 0"),
        ("missing.obj", CORNERS + b"f 1 2 9\n", "cannot read"),
        ("promise.ply", b"ply\nformat binary_little_endian 1.0\n" + PROMISE, "cannot read"),
        ("promise.off", b"OFF\n1000000000000 1000000000000 0\n0 0 0\n", "cannot read"),
        ("promise.stl", bytes(80) + struct.pack("<I", 2**32 - 1) + b"\xff" * 50, "cut short"),
        ("notes.txt", CORNERS, "should end in"),
    ],
)
def test_what_is_no_mesh_is_refused_in_one_line_that_names_it(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said) as caught:
        load_mesh(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_mesh_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"chair\.obj"):
        load_mesh(tmp_path / "chair.obj")
