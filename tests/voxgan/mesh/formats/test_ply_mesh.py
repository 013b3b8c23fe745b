"""PLY files in text and in either byte order are read right, with lists of any lengths, strips and colours."""

import struct

import numpy as np
import pytest
from PIL import Image

from gancore.errors import UnreadableError
from voxgan.mesh.read import load_mesh

POINTS = [(0, 0, 0), (1, 0, 0), (1, 2, 0), (0, 2, 0), (0, 0, 3)]
FACES = [(0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)]
KINDS = {"char": "b", "uchar": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I", "float": "f", "double": "d"}


def ply(
    layout="ascii", coordinate="float", count="uchar", index="int", faces=FACES, colours=(), strips=False, comment=""
):
    header = ["ply", f"format {layout} 1.0", f"comment {comment}", f"element vertex {len(POINTS)}"]
    header += [f"property {coordinate} {axis}" for axis in "xyz"]
    name = "tristrips" if strips else "face"
    header += [f"element {name} {len(faces)}", f"property list {count} {index} vertex_indices"]
    header += [f"property uchar {colour}" for colour in ("red", "green", "blue")] if colours else []
    head = "\n".join([*header, "end_header\n"]).encode()
    rows = [(coordinate * 1, point) for point in POINTS]
    if layout == "ascii":
        lines = [" ".join(map(str, point)) for point in POINTS]
        lines += [" ".join(map(str, (len(face), *face, *colours))) for face in faces]
        return head + "\n".join(lines).encode() + b"\n"
    order = "<" if "little" in layout else ">"
    data = b"".join(struct.pack(f"{order}3{KINDS[coordinate]}", *point) for _, point in rows)
    for face in faces:
        data += struct.pack(order + KINDS[count], len(face))
        data += struct.pack(f"{order}{len(face)}{KINDS[index]}", *face) + bytes(colours)
    return head + data


def load(folder, content):
    (folder / "m.ply").write_bytes(content)
    return load_mesh(folder / "m.ply").mesh


@pytest.mark.parametrize("layout", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize(
    ("coordinate", "count", "index"),
    [("float", "uchar", "int"), ("double", "int", "ushort"), ("short", "uint", "uchar")],
)
def test_lists_of_different_lengths_are_read_in_every_layout(tmp_path, layout, coordinate, count, index):
    mesh = load(tmp_path, ply(layout, coordinate, count, index))
    np.testing.assert_allclose(mesh.extents, (1, 2, 3))
    assert len(mesh.faces) == 6
    assert mesh.volume == pytest.approx(2)


@pytest.mark.parametrize("layout", ["ascii", "binary_little_endian"])
def test_polygons_with_colours_keep_both(tmp_path, layout):
    mesh = load(tmp_path, ply(layout, colours=(255, 0, 9)))
    assert (mesh.visual.face_colors[:, :3] == (255, 0, 9)).all()
    assert mesh.volume == pytest.approx(2)


@pytest.mark.parametrize("layout", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_strips_of_triangles_are_read_and_face_one_way(tmp_path, layout):
    strip = (0, 3, 1, 2, -1, 0, 1, 4, -1, 1, 2, 4, 3, -1, 3, 0, 4)
    mesh = load(tmp_path, ply(layout, faces=[strip], count="int", strips=True))
    assert len(mesh.faces) == 6
    assert mesh.volume == pytest.approx(2)


def test_a_texture_that_a_comment_names_is_found(tmp_path):
    Image.new("RGB", (2, 2), (0, 255, 0)).save(tmp_path / "a b.png")
    content = ply(comment="TextureFile a b.png").replace(
        b"property float z\n", b"property float z\nproperty float s\nproperty float t\n"
    )
    for point in POINTS:
        line = " ".join(map(str, point)).encode()
        content = content.replace(b"\n" + line + b"\n", b"\n" + line + b" 0.5 0.5\n", 1)
    assert (load(tmp_path, content).visual.face_colors[:, :3] == (0, 255, 0)).all()


def test_a_texture_without_coordinates_is_named(tmp_path):
    Image.new("RGB", (2, 2), (0, 255, 0)).save(tmp_path / "a.png")
    (tmp_path / "m.ply").write_bytes(ply(comment="TextureFile a.png"))
    assert load_mesh(tmp_path / "m.ply").missing[0].startswith("a texture is left out")


def test_colours_of_other_names_and_ranges_are_read(tmp_path):
    content = ply(colours=(255, 0, 0))
    for colour in (b"red", b"green", b"blue"):
        content = content.replace(b"uchar " + colour, b"float diffuse_" + colour)
    assert (load(tmp_path, content.replace(b"255 0 0", b"0.2 0 1")).visual.face_colors[:, :3] == (51, 0, 255)).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (ply("binary_little_endian")[:-1], "cut short"),
        (ply().replace(b"element face 5", b"element face 9"), "cut short"),
        (ply("binary_little_endian").replace(b"element face 5", b"element face 900000"), "cut short"),
        (ply().replace(b"3 0 1 4", b"3 0 1 7"), "refers to vertex 7"),
        (ply().replace(b"3 0 1 4", b"3 0 1 -1"), "refers to vertex -1"),
        (ply().replace(b"3 0 1 4", b"3 0 1 0.5"), "not of the type"),
        (ply().replace(b"property float x", b"property quad x"), "not understood: 'property quad x'"),
        (ply().replace(b"format ascii 1.0\n", b""), "in which format"),
        (ply().replace(b"float z", b"float w"), "no x, y and z"),
        (ply().replace(b"vertex_indices", b"corners"), "no list of vertices"),
        (b"solid\n", "does not begin with ply"),
        (ply()[:60], "does not end"),
    ],
)
def test_a_file_that_is_not_right_is_refused_with_the_reason(tmp_path, content, reason):
    with pytest.raises(UnreadableError, match=reason):
        load(tmp_path, content)
