"""Colours are read as each format means them, and a fault in them never costs the geometry."""

import base64
import io
import json
import struct

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import SimpleMaterial

from voxgan.mesh.formats.parts import make_part, to_bytes
from voxgan.mesh.materials import WARM_GREY, face_colours, read_paint
from voxgan.mesh.read import LoadedMesh, load_mesh
from voxgan.mesh.srgb import linear_to_srgb, srgb_to_linear

POINTS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.uint16)
UV = np.full((4, 2), 0.5, np.float32)
GREY = list(WARM_GREY[:3])


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def plain_png(*colour: int) -> bytes:
    return png(np.full((4, 4, len(colour)), colour))


def write_gltf(path, material: dict | None, picture: bytes | None = None, **attributes: np.ndarray) -> None:
    """A tetrahedron with one material and one picture."""
    arrays = {"POSITION": POINTS, "indices": FACES.ravel(), **attributes}
    kinds = {"f": 5126, "H": 5123, "B": 5121}
    tree: dict = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}]}
    tree["buffers"], tree["bufferViews"], tree["accessors"] = [], [], []
    for number, array in enumerate(arrays.values()):
        content = array.tobytes()
        uri = "data:application/octet-stream;base64," + base64.b64encode(content).decode()
        tree["buffers"].append({"uri": uri, "byteLength": len(content)})
        tree["bufferViews"].append({"buffer": number, "byteLength": len(content)})
        width = 1 if array.ndim == 1 else array.shape[1]
        accessor = {"bufferView": number, "componentType": kinds[array.dtype.char], "count": len(array)}
        accessor["type"] = "SCALAR" if width == 1 else f"VEC{width}"
        if array.ndim == 2 and array.dtype.kind == "u":
            accessor["normalized"] = True
        tree["accessors"].append(accessor)
    places = {name: number for number, name in enumerate(arrays)}
    primitive = {"indices": places.pop("indices"), "attributes": places}
    if material is not None:
        primitive["material"], tree["materials"] = 0, [material]
    tree["meshes"] = [{"primitives": [primitive]}]
    if picture is not None:
        tree["textures"] = [{"source": 0}]
        tree["images"] = [{"uri": "data:image/png;base64," + base64.b64encode(picture).decode()}]
    path.write_text(json.dumps(tree))


def shown(loaded: LoadedMesh) -> list[int]:
    """The RGB of the middle of the first face, as views show it."""
    middle = np.full((1, 3), 1 / 3)
    colours = loaded.mesh.visual.face_colors[:1, :3].astype(float)
    if loaded.textures is not None:
        colours = loaded.textures.sample(colours, np.zeros(1, int), middle)
        assert np.abs(colours - loaded.mesh.visual.face_colors[0, :3]).max() <= 2  # without textures it looks alike
    return colours[0].round().astype(int).tolist()


def surface(**entries) -> dict:
    return {"pbrMetallicRoughness": entries}


TEXTURE = {"index": 0}


def test_factor_texture_and_vertex_colours_multiply_in_linear_light(tmp_path):
    colours = np.tile(np.float32([0.5, 0.25, 1, 1]), (4, 1))
    material = surface(baseColorFactor=[0.5, 1, 0.2, 1], baseColorTexture=TEXTURE)
    write_gltf(tmp_path / "a.gltf", material, plain_png(200, 100, 50), TEXCOORD_0=UV, COLOR_0=colours)
    expected = linear_to_srgb(srgb_to_linear(np.array([200.0, 100, 50])) * [0.25, 0.25, 0.2])
    assert shown(load_mesh(tmp_path / "a.gltf")) == pytest.approx(expected, abs=1)
    assert expected == pytest.approx([106, 50, 19], abs=1)


LINEAR = np.array([0.5, 0.1, 0.002])


@pytest.mark.parametrize(
    ("material", "colours"),
    [
        (surface(baseColorFactor=[*LINEAR, 1]), None),
        ({}, np.tile(np.float32(LINEAR), (4, 1))),
        (None, np.tile(np.float32([*LINEAR, 0.5]), (4, 1))),
        (None, np.tile((LINEAR * 65535).round().astype(np.uint16), (4, 1))),
        (surface(baseColorFactor=[0.5, 1, 0.5, 1]), np.tile(np.float32(LINEAR / [0.5, 1, 0.5]), (4, 1))),
        ({"extensions": {"KHR_materials_pbrSpecularGlossiness": {"diffuseFactor": [*LINEAR, 1]}}}, None),
    ],
)
def test_colours_of_gltf_are_linear_however_they_are_given(tmp_path, material, colours):
    write_gltf(tmp_path / "a.gltf", material, **({} if colours is None else {"COLOR_0": colours}))
    assert shown(load_mesh(tmp_path / "a.gltf")) == pytest.approx(linear_to_srgb(LINEAR), abs=1)


def test_a_material_of_gltf_is_white_unless_it_says_otherwise_and_a_part_without_one_grey(tmp_path):
    write_gltf(tmp_path / "white.gltf", {})
    write_gltf(tmp_path / "grey.gltf", None)
    assert shown(load_mesh(tmp_path / "white.gltf")) == [255, 255, 255]
    assert shown(load_mesh(tmp_path / "grey.gltf")) == GREY


QUARTERS = np.kron([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.ones((4, 4, 1)))


@pytest.mark.parametrize(
    ("texture", "colour"),
    [
        ({"texCoord": 0}, [255, 0, 0]),
        ({"texCoord": 1}, [255, 255, 0]),
        ({"extensions": {"KHR_texture_transform": {"offset": [0.5, 0]}}}, [0, 255, 0]),
        ({"extensions": {"KHR_texture_transform": {"scale": [1, 3]}}}, [0, 0, 255]),
        ({"extensions": {"KHR_texture_transform": {"texCoord": 1, "offset": [0.5, 0]}}}, [0, 0, 255]),
        ({"extensions": {"KHR_texture_transform": {"rotation": np.pi / 2, "offset": [0, 1]}}}, [0, 0, 255]),
    ],
)
def test_textures_are_placed_by_their_set_of_coordinates_and_their_transform(tmp_path, texture, colour):
    uv = {"TEXCOORD_0": np.full((4, 2), 0.25, np.float32), "TEXCOORD_1": np.full((4, 2), 0.75, np.float32)}
    write_gltf(tmp_path / "a.gltf", surface(baseColorTexture=TEXTURE | texture), png(QUARTERS), **uv)
    assert shown(load_mesh(tmp_path / "a.gltf")) == colour


@pytest.mark.parametrize(("mode", "colour"), [("OPAQUE", [0, 0, 0]), ("MASK", [200, 30, 60]), ("BLEND", [200, 30, 60])])
def test_texels_that_alpha_hides_do_not_show_unless_alpha_means_nothing(tmp_path, mode, colour):
    pixels = np.zeros((8, 8, 4))
    pixels[:, :3] = (200, 30, 60, 255)
    material = surface(baseColorTexture=TEXTURE) | {"alphaMode": mode}
    write_gltf(tmp_path / "a.gltf", material, png(pixels), TEXCOORD_0=UV + np.float32(0.2))
    assert shown(load_mesh(tmp_path / "a.gltf")) == colour


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"


def faulty(picture: bytes | None = None, **changes) -> dict:
    return {"picture": plain_png(200, 100, 50) if picture is None else picture, "TEXCOORD_0": UV} | changes


FAULTS = {
    "a truncated picture": (faulty(png(np.random.default_rng(0).integers(0, 255, (64, 64, 3)))[:-3000]), "picture"),
    "no picture": (faulty(b"not a picture"), "is of no format that is read"),
    "a picture that is a program": (faulty(EPS), "is of no format that is read"),
    "too few texture coordinates": (faulty(TEXCOORD_0=UV[:2]), "TEXCOORD_0"),
    "too few vertex colours": (faulty(COLOR_0=np.ones((2, 3), np.float32)), "2 vertex colours for 4"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_colours_is_named_and_costs_no_geometry(tmp_path, fault):
    content, reason = FAULTS[fault]
    material = surface(baseColorFactor=[0.5, 0.5, 0.5, 1], baseColorTexture=TEXTURE)
    picture = content.pop("picture")
    write_gltf(tmp_path / "a.gltf", material, picture, **content)
    loaded = load_mesh(tmp_path / "a.gltf")
    assert len(loaded.mesh.faces) == 4
    assert any(reason in line for line in loaded.missing)
    textured = fault == "too few vertex colours"
    linear = 0.5 * (srgb_to_linear(np.array([200.0, 100, 50])) if textured else np.ones(3))
    assert shown(loaded) == pytest.approx(linear_to_srgb(linear), abs=1)


def test_colours_and_coordinates_that_are_no_numbers_cost_no_geometry(tmp_path):
    broken = np.full((4, 3), np.nan, np.float32)
    uv = np.float32([[np.nan, 0], [np.inf, 0], [-1e30, 5], [7.3, -9.1]])
    write_gltf(
        tmp_path / "a.gltf", surface(baseColorTexture=TEXTURE), plain_png(9, 200, 9), TEXCOORD_0=uv, COLOR_0=broken
    )
    assert shown(load_mesh(tmp_path / "a.gltf")) == [9, 200, 9]


# ------------------------------------------------------------------------------------------------------- other formats


def write_obj(path, colours: str = "", extra: str = "") -> None:
    rows = "".join(f"v {x} {y} {z} {colours}\n" for x, y, z in POINTS.tolist())
    faces = "".join(f"f {a + 1}/1 {b + 1}/1 {c + 1}/1\n" for a, b, c in FACES.tolist())
    path.write_text(f"{extra}{rows}vt 0.5 0.5\n{'usemtl m' if extra else ''}\n{faces}")


@pytest.mark.parametrize("colours", ["0.8 0.4 0.2", "204 102 51", "204.0 102.0 51.0", "0.8 0.4 0.2 1.0"])
def test_vertex_colours_of_obj_may_be_written_either_way(tmp_path, colours):
    write_obj(tmp_path / "a.obj", colours)
    assert shown(load_mesh(tmp_path / "a.obj")) == [204, 102, 51]


@pytest.mark.parametrize(
    ("material", "vertex", "expected"),
    [
        ("Kd 0.4 0.4 0.4", "", [102, 102, 102]),
        ("Ka 1 0 0", "", GREY),
        ("Kd 1 1 1", "0.2 0.4 0.6", [51, 102, 153]),
        ("Kd 1 0 0\nmap_Kd a.png", "0.2 0.4 0.6", [10, 200, 30]),
        ("Kd 1 0 0\nmap_Kd lost.png", "", [255, 0, 0]),
        ("map_Kd lost.png", "", GREY),
    ],
)
def test_a_face_of_obj_shows_its_texture_or_its_vertices_or_its_material_or_warm_grey(
    tmp_path, material, vertex, expected
):
    (tmp_path / "a.png").write_bytes(plain_png(10, 200, 30))
    (tmp_path / "a.mtl").write_text(f"newmtl m\n{material}\n")
    write_obj(tmp_path / "a.obj", vertex, "mtllib a.mtl\n")
    loaded = load_mesh(tmp_path / "a.obj")
    assert shown(loaded) == expected
    assert bool(loaded.missing) == ("lost" in material)


def test_texture_coordinates_without_a_picture_leave_the_warm_grey(tmp_path):
    write_obj(tmp_path / "a.obj")
    assert shown(load_mesh(tmp_path / "a.obj")) == GREY
    plain = SimpleMaterial(image=Image.new("RGB", (2, 2), (1, 2, 3)))
    too_few = trimesh.Trimesh(POINTS, FACES, process=False, visual=TextureVisuals(uv=UV[:1], material=plain))
    assert (face_colours(too_few)[:, :3] == GREY).all()
    assert "UV coordinates of shape (1, 2) for 4 vertices" in read_paint(too_few)[1]


@pytest.mark.parametrize(
    ("header", "vertex", "face"),
    [
        ("OFF", "", "255 128 0"),
        ("OFF", "", "1.0 0.502 0.0"),
        ("COFF", "255 128 0 255", ""),
        ("COFF", "1 0.502 0 1", ""),
    ],
)
def test_colours_of_off_are_read_of_faces_and_of_vertices(tmp_path, header, vertex, face):
    rows = "".join(f"{x} {y} {z} {vertex}\n" for x, y, z in POINTS.tolist())
    faces = "".join(f"3 {a} {b} {c} {face}\n" for a, b, c in FACES.tolist())
    (tmp_path / "a.off").write_text(f"{header}\n4 4 0\n{rows}{faces}")
    assert shown(load_mesh(tmp_path / "a.off")) == [255, 128, 0]


PLACES = "property float x\nproperty float y\nproperty float z\n"


@pytest.mark.parametrize("prefix", ["", "diffuse_"])
@pytest.mark.parametrize(
    ("kind", "code", "values"),
    [
        ("uchar", "B", (204, 102, 51)),
        ("ushort", "H", (204 * 257, 102 * 257, 51 * 257)),
        ("float", "f", (0.8, 0.4, 0.2)),
        ("double", "d", (204.0, 102.0, 51.0)),
        ("int", "i", (204, 102, 51)),
    ],
)
def test_colours_of_ply_are_scaled_by_their_type(tmp_path, prefix, kind, code, values):
    names = "".join(f"property {kind} {prefix}{name}\n" for name in ("red", "green", "blue"))
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 4\n" + PLACES + names
    header += "element face 4\nproperty list uchar int vertex_indices\nend_header\n"
    rows = b"".join(struct.pack(f"<3f3{code}", *point, *values) for point in POINTS.tolist())
    faces = b"".join(struct.pack("<B3i", 3, *face) for face in FACES.tolist())
    (tmp_path / "a.ply").write_bytes(header.encode() + rows + faces)
    assert shown(load_mesh(tmp_path / "a.ply")) == [204, 102, 51]


def test_quads_of_ply_keep_the_colours_of_their_faces(tmp_path):
    cube = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    header = "ply\nformat ascii 1.0\nelement vertex 8\n" + PLACES
    header += "element face 6\nproperty list uchar int vertex_indices\n"
    header += "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    rows = "".join(f"{x} {y} {z}\n" for x, y, z in cube)
    rows += "".join(f"4 {a} {b} {c} {d} {40 * number} 7 9\n" for number, (a, b, c, d) in enumerate(quads))
    (tmp_path / "a.ply").write_text(header + rows)
    mesh = load_mesh(tmp_path / "a.ply").mesh
    assert len(mesh.faces) == 12
    assert mesh.volume == pytest.approx(1)
    for centre, colour in zip(mesh.triangles_center, mesh.visual.face_colors, strict=True):
        side = [
            np.allclose(np.cross(*np.diff([cube[i] for i in quad[:3]], axis=0)) @ (centre - cube[quad[0]]), 0)
            for quad in quads
        ]
        assert colour.tolist() in [[40 * number, 7, 9, 255] for number in np.flatnonzero(side)]


def test_colours_that_are_no_numbers_are_a_warm_grey():
    colours = np.array([[np.nan, 0, 0], [1, 0.5, 0], [np.inf, 1, 1]])
    assert to_bytes(colours).tolist() == [GREY, [255, 128, 0], GREY]
    assert to_bytes(np.int8([[-1, 0, 127]])).tolist() == [[255, 0, 127]]


def test_colours_of_a_wrong_number_leave_the_mesh_whole():
    mesh = trimesh.Trimesh(POINTS, FACES, process=False)
    mesh.visual = ColorVisuals(mesh, face_colors=np.full((2, 4), 9, np.uint8))
    paint, fault = read_paint(mesh)
    assert paint.corners.shape == (4, 3, 3)
    assert (paint.corners == GREY).all()
    assert fault == "colours cannot be read: there are 2 colours for 4 faces"


def test_parts_with_vertex_colours_keep_them_and_others_have_colours_of_faces(tmp_path):
    rgb = np.uint8([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]])
    part = make_part(POINTS, FACES.astype(np.int64), vertex_colours=rgb)
    part.export(tmp_path / "a.ply")
    assert np.array_equal(load_mesh(tmp_path / "a.ply").mesh.visual.vertex_colors[:, :3], rgb)
    assert read_paint(part)[0].face_colours()[0, :3].tolist() == [85, 85, 85]
