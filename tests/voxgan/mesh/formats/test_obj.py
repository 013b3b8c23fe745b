"""OBJ files are read right, with the materials that they mean, however these are written."""

import os

import numpy as np
import pytest
from PIL import Image

from gancore.errors import UnreadableError
from voxgan.mesh.formats.mtl import parse_texture
from voxgan.mesh.read import load_mesh

CORNERS = "v 0 0 0\nv 1 0 0\nv 0 2 0\nv 0 0 3\n"
TETRAHEDRON = CORNERS + "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
TEXTURED = (
    CORNERS + "vt 0 0\nvt 1 0\nvt 1 1\nusemtl cloth\nf 1/1 3/2 2/3\nf 1/1 2/2 4/3\nf 1/1 4/2 3/3\nf 2/1 3/2 4/3\n"
)
GREEN = (10, 200, 30)


def write(folder, name, text, encoding="utf-8"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def save_green(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), GREEN).save(path)


def shape(mesh):
    return sorted(map(tuple, mesh.vertices.round(6).tolist())), len(mesh.faces)


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        ("textures\\a.png", "textures/a.png"),
        ("-s 1 1 1 a.png", "a.png"),
        ("-s 1 1 -o 0 0 0 -clamp on a b.png", "a b.png"),
        ('"a b.png"', "a b.png"),
        ("A.PNG", "a.png"),
        ("Textures/A.png", "textures/a.PNG"),
        ("D" + ":\\x\\a.png", "a.png"),
        ("/somewhere/else/a.png", "a.png"),
        ("a%20b.png", "a b.png"),
        ("./a.png", "a.png"),
        ("-bm 0.5 -mm 0 1 -imfchan r a.png", "a.png"),
    ],
)
def test_a_texture_is_found_however_it_is_written(tmp_path, reference, place):
    save_green(tmp_path / place)
    write(tmp_path, "m.mtl", f"newmtl cloth\nmap_Kd {reference}\n")
    loaded = load_mesh(write(tmp_path, "m.obj", "mtllib m.mtl\n" + TEXTURED))
    assert (loaded.mesh.visual.face_colors[:, :3] == GREEN).all()
    assert not loaded.missing
    assert loaded.files == (tmp_path / "m.obj", tmp_path / "m.mtl", tmp_path / place)


def test_a_texture_outside_of_the_folder_is_read_from_below_the_root_only(tmp_path):
    save_green(tmp_path / "model" / "images" / "a.png")
    write(tmp_path, "model/models/m.mtl", "newmtl cloth\nmap_Kd ../images/a.png\n")
    path = write(tmp_path, "model/models/m.obj", "mtllib m.mtl\n" + TEXTURED)
    inside = load_mesh(path, root=tmp_path / "model")
    assert (inside.mesh.visual.face_colors[:, :3] == GREEN).all()
    assert not inside.missing
    outside = load_mesh(path)
    assert outside.missing == ("'../images/a.png' lies outside of the data set",)
    assert len(outside.files) == 2


def test_a_texture_lies_where_its_library_says_or_beside_the_mesh(tmp_path):
    write(tmp_path, "materials/m.mtl", "newmtl cloth\nmap_Kd images/a.png\n")
    path = write(tmp_path, "models/m.obj", "mtllib ../materials/m.mtl\n" + TEXTURED)
    save_green(tmp_path / "models" / "images" / "a.png")
    assert (load_mesh(path, root=tmp_path).mesh.visual.face_colors[:, :3] == GREEN).all()
    Image.new("RGB", (4, 4), (250, 0, 0)).save(tmp_path / "models" / "images" / "a.png")
    save_green(tmp_path / "materials" / "images" / "a.png")
    loaded = load_mesh(path, root=tmp_path)
    assert (loaded.mesh.visual.face_colors[:, :3] == GREEN).all()
    assert not loaded.missing


def test_keywords_are_known_in_capitals(tmp_path):
    write(tmp_path, "m.mtl", "NEWMTL cloth\nKD 0 1 0\n")
    text = "".join(line.replace("usemtl", "UseMtl") for line in TEXTURED.splitlines(keepends=True))
    text = text.replace("\nv ", "\nV ").replace("\nf ", "\nF ").replace("\nvt ", "\nVT ")
    loaded = load_mesh(write(tmp_path, "m.obj", "MTLLIB m.mtl\n" + text))
    np.testing.assert_allclose(loaded.mesh.extents, (1, 2, 3))
    assert (loaded.mesh.visual.face_colors[:, :3] == (0, 255, 0)).all()


def test_what_could_not_be_read_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    write(tmp_path, "m.mtl", "newmtl cloth\nmap_Kd lost.png\nnewmtl other\nmap_Kd broken.png\n")
    loaded = load_mesh(write(tmp_path, "m.obj", "mtllib m.mtl\nmtllib gone.mtl\nusemtl none\nf 1 2 3\n" + TEXTURED))
    assert any("lost.png" in line and "not found" in line for line in loaded.missing)
    assert any("broken.png" in line and "picture" in line for line in loaded.missing)
    assert any("gone.mtl" in line for line in loaded.missing)
    assert any("'none'" in line for line in loaded.missing)


def test_a_link_that_leads_out_of_the_root_is_not_followed(tmp_path):
    save_green(tmp_path / "secret.png")
    write(tmp_path, "data/m.mtl", "newmtl cloth\nmap_Kd a.png\n")
    os.symlink(tmp_path / "secret.png", tmp_path / "data" / "a.png")
    loaded = load_mesh(write(tmp_path, "data/m.obj", "mtllib m.mtl\n" + TEXTURED))
    assert loaded.missing == ("'a.png' lies outside of the data set",)


@pytest.mark.parametrize("name", ["m.mtl", "a.png"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    write(tmp_path, "m.mtl", "newmtl cloth\nmap_Kd a.png\n")
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    loaded = load_mesh(write(tmp_path, "m.obj", "mtllib m.mtl\n" + TEXTURED))
    assert any(name in line and "not a regular file" in line for line in loaded.missing)


def test_a_pipe_is_no_mesh(tmp_path):
    os.mkfifo(tmp_path / "m.obj")
    with pytest.raises(UnreadableError, match=r"m\.obj is a pipe"):
        load_mesh(tmp_path / "m.obj")


@pytest.mark.parametrize(
    "line", ["mtllib one.mtl two.mtl", 'mtllib "one.mtl" "two.mtl"', "mtllib one.mtl\nmtllib two.mtl"]
)
def test_a_line_may_name_several_libraries(tmp_path, line):
    write(tmp_path, "one.mtl", "newmtl paint\nKd 1 0 0\n")
    write(tmp_path, "two.mtl", "newmtl cloth\nKd 0 1 0\n")
    loaded = load_mesh(write(tmp_path, "m.obj", line + "\n" + TEXTURED))
    assert (loaded.mesh.visual.face_colors[:, :3] == (0, 255, 0)).all()


def test_a_library_may_have_spaces_in_its_name(tmp_path):
    write(tmp_path, "my own.mtl", "newmtl cloth\nKd 0 1 0\n")
    loaded = load_mesh(write(tmp_path, "m.obj", "mtllib my own.mtl\n" + TEXTURED))
    assert (loaded.mesh.visual.face_colors[:, :3] == (0, 255, 0)).all()


def test_a_colour_or_a_texture_vertex_that_makes_no_sense_is_named(tmp_path):
    save_green(tmp_path / "a.png")
    write(tmp_path, "m.mtl", "newmtl cloth\nKd red\nmap_Kd a.png\n")
    loaded = load_mesh(write(tmp_path, "m.obj", "mtllib m.mtl\n" + TEXTURED.replace("4/3", "4/9")))
    assert loaded.missing == (
        "the colour 'red' of a material is not of numbers",
        "faces refer to texture vertex 9, and there are 3",
    )
    assert len(loaded.mesh.faces) == 4


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "utf-32"])
def test_text_of_every_encoding_is_read(tmp_path, encoding):
    write(tmp_path, "m.mtl", "newmtl tissé\nKd 0 1 0\n", encoding)
    text = "# maillage\nmtllib m.mtl\n" + TEXTURED.replace("cloth", "tissé")
    loaded = load_mesh(write(tmp_path, "m.obj", text, encoding))
    np.testing.assert_allclose(loaded.mesh.extents, (1, 2, 3))
    assert (loaded.mesh.visual.face_colors[:, :3] == (0, 255, 0)).all()


def test_indices_count_back_from_where_they_stand(tmp_path):
    text = "v 0 0 0\nv 1 0 0\nv 0 2 0\nf -3 -1 -2\nv 0 0 3\nf -4 -3 -1\nf -4 -1 -2\nf -3 -2 -1\nv 9 9 9\n"
    assert shape(load_mesh(write(tmp_path, "back.obj", text)).mesh) == shape(
        load_mesh(write(tmp_path, "forth.obj", TETRAHEDRON)).mesh
    )


@pytest.mark.parametrize("face", ["f 1 2 5", "f 0 1 2", "f 1 2 -5", "f 1 2 99999999999"])
def test_a_face_of_vertices_that_do_not_exist_is_refused(tmp_path, face):
    with pytest.raises(UnreadableError, match="refers to vertex"):
        load_mesh(write(tmp_path, "m.obj", TETRAHEDRON + face + "\n"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CORNERS + "f 1 2 x\n", "'x' is not a whole number of a face"),
        ("v 0 0 0\nv 1 0 0\nv 0,5 2 0\nf 1 2 3\n", "'0,5' is not a number of a vertex"),
        (CORNERS + "l 1 2 3\n", "only lines or points"),
        (CORNERS, "only vertices"),
        ("cstype bspline\nsurf 0 1 0 1 1 2 3\n", "curves and patches"),
        ("v 0 0\nf 1 1 1\n", "fewer than three numbers"),
        ("f 1 2 3\n", "no vertices"),
    ],
)
def test_the_reason_of_a_refusal_is_the_true_one(tmp_path, text, reason):
    with pytest.raises(UnreadableError, match=reason):
        load_mesh(write(tmp_path, "m.obj", text))


def test_lines_may_be_continued_commented_and_differ_in_form(tmp_path):
    text = (
        CORNERS
        + "vt 0 0\nvn 0 0 1\nf 1/1 \\\n3/1 2/1\nf 1//1 2//1 4//1 # a comment\n\tf\t1/1/1 4/1/1 3/1/1\nf 2 3/1 4\n"
    )
    assert shape(load_mesh(write(tmp_path, "m.obj", text)).mesh)[1] == 4


def test_a_concave_polygon_is_cut_inside_its_outline(tmp_path):
    text = "v 0 0 0\nv 3 0 0\nv 3 1 0\nv 1 1 0\nv 1 3 0\nv 0 3 0\nv 0 0 1\nf 1 2 3 4 5 6\nf 1 2 7\nf 1 7 6\n"
    mesh = load_mesh(write(tmp_path, "m.obj", text)).mesh
    flat = mesh.triangles[abs(mesh.face_normals[:, 2]) > 0.999]
    areas = np.linalg.norm(np.cross(flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]), axis=1) / 2
    assert areas.sum() == pytest.approx(5)


def test_vertex_colours_of_either_range_are_read(tmp_path):
    for scale in (1, 255):
        lines = [f"{line} {scale} {scale * 0.2} 0" for line in CORNERS.splitlines()]
        text = "\n".join(lines) + TETRAHEDRON[len(CORNERS) - 1 :]
        colours = load_mesh(write(tmp_path, "m.obj", text)).mesh.visual.face_colors
        assert (colours[:, :3] == (255, 51, 0)).all()


def test_the_scale_of_a_texture_is_applied():
    assert parse_texture("-s 2 3 1 -o 0.5 a b.png") == ("a b.png", (2.0, 3.0), (0.5, 0.0))
    assert parse_texture("-blendu on 12.png") == ("12.png", (1.0, 1.0), (0.0, 0.0))
