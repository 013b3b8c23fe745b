"""glTF files are read right: every array, node, strip, skin and morph; extensions are read or named."""

import base64
import json
import struct

import DracoPy
import numpy as np
import pytest
from PIL import Image
from trimesh.creation import box

from gancore.errors import UnreadableError
from voxgan.mesh.read import load_mesh

POINTS = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], "<f4")
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], "<u2")
KINDS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
SHAPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


class Builder:
    """A glTF file in the making."""

    def __init__(self):
        self.data = b""
        self.tree = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}]}
        self.tree |= {"bufferViews": [], "accessors": [], "meshes": []}

    def view(self, content, **options):
        self.tree["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content), **options}
        )
        self.data += content + bytes(-len(content) % 4)
        return len(self.tree["bufferViews"]) - 1

    def array(self, values, **options):
        rows = values.reshape(len(values), -1)
        entry = {"componentType": KINDS[values.dtype.str[1:]], "count": len(rows), "type": SHAPES[rows.shape[1]]}
        self.tree["accessors"].append({"bufferView": self.view(values.tobytes()), **entry, **options})
        return len(self.tree["accessors"]) - 1

    def mesh(self, points=POINTS, faces=FACES, **options):
        primitive = {"attributes": {"POSITION": self.array(points)}, **options}
        if faces is not None:
            primitive["indices"] = self.array(faces.reshape(-1))
        self.tree["meshes"].append({"primitives": [primitive]})
        return primitive

    def save(self, path, uri=True):
        self.tree["buffers"] = [{"byteLength": len(self.data)}]
        if uri:
            self.tree["buffers"][0]["uri"] = (
                "data:application/octet-stream;base64," + base64.b64encode(self.data).decode()
            )
            path.write_text(json.dumps(self.tree))
            return path
        text = json.dumps(self.tree).encode()
        text += b" " * (-len(text) % 4)
        chunks = (
            struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(self.data), b"BIN\0") + self.data
        )
        path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
        return path


@pytest.fixture
def builder():
    return Builder()


def load(builder, folder):
    return load_mesh(builder.save(folder / "m.gltf")).mesh


def is_tetrahedron(mesh, extents=(1, 2, 3)):
    np.testing.assert_allclose(mesh.extents, extents, rtol=1e-3)
    assert len(mesh.faces) == 4
    assert mesh.volume == pytest.approx(np.prod(extents) / 6, rel=1e-3)


@pytest.mark.parametrize("ending", ["gltf", "glb"])
def test_both_containers_are_read_with_y_up_in_metres(builder, tmp_path, ending):
    builder.mesh()
    loaded = load_mesh(builder.save(tmp_path / f"m.{ending}", uri=ending == "gltf"))
    is_tetrahedron(loaded.mesh)
    assert (loaded.up, loaded.metres) == ("y", 1.0)


def test_names_of_buffers_may_hold_percent_signs(builder, tmp_path):
    builder.mesh()
    builder.save(tmp_path / "m.gltf")
    (tmp_path / "a b.bin").write_bytes(builder.data)
    builder.tree["buffers"][0]["uri"] = "a%20b.bin"
    (tmp_path / "m.gltf").write_text(json.dumps(builder.tree))
    loaded = load_mesh(tmp_path / "m.gltf")
    is_tetrahedron(loaded.mesh)
    assert loaded.files == (tmp_path / "m.gltf", tmp_path / "a b.bin")


def test_a_buffer_that_is_missing_is_named_with_its_mesh(builder, tmp_path):
    builder.mesh()
    builder.save(tmp_path / "m.gltf")
    builder.tree["buffers"][0]["uri"] = "lost.bin"
    (tmp_path / "m.gltf").write_text(json.dumps(builder.tree))
    with pytest.raises(UnreadableError, match=r"m\.gltf as a mesh: its buffer 'lost\.bin' was not found"):
        load_mesh(tmp_path / "m.gltf")


@pytest.mark.parametrize("name", ["EXT_meshopt_compression", "KHR_something_new"])
def test_a_required_extension_that_is_not_read_is_named(builder, tmp_path, name):
    builder.mesh()
    builder.tree["extensionsRequired"] = [name]
    with pytest.raises(UnreadableError, match=name):
        load(builder, tmp_path)


def test_packed_data_is_named_even_if_it_is_not_required(builder, tmp_path):
    builder.mesh()
    path = builder.save(tmp_path / "m.gltf")
    builder.tree["bufferViews"][0]["extensions"] = {"EXT_meshopt_compression": {"buffer": 0}}
    del builder.tree["buffers"][0]["uri"]
    path.write_text(json.dumps(builder.tree))
    with pytest.raises(UnreadableError, match="EXT_meshopt_compression"):
        load_mesh(path)


def test_draco_is_unpacked(builder, tmp_path):
    packed = DracoPy.encode(POINTS, FACES.astype(np.uint32), quantization_bits=14)
    number = DracoPy.decode(packed).attributes[0]["unique_id"]
    builder.tree["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    builder.tree["accessors"] = [
        {"componentType": 5126, "count": 4, "type": "VEC3"},
        {"componentType": 5125, "count": 12, "type": "SCALAR"},
    ]
    extension = {"bufferView": builder.view(packed), "attributes": {"POSITION": number}}
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, "extensions": {"KHR_draco_mesh_compression": extension}}
    builder.tree["meshes"] = [{"primitives": [primitive]}]
    is_tetrahedron(load(builder, tmp_path))
    extension["attributes"]["POSITION"] = number + 7
    with pytest.raises(UnreadableError, match="does not hold the POSITION"):
        load(builder, tmp_path)


@pytest.mark.parametrize(("kind", "largest"), [("i2", 32767), ("u2", 65535), ("i1", 127), ("u1", 255)])
def test_quantised_positions_are_scaled_by_their_kind(builder, tmp_path, kind, largest):
    primitive = builder.mesh((POINTS / 3 * largest).round().astype(f"<{kind}"))
    builder.tree["accessors"][primitive["attributes"]["POSITION"]]["normalized"] = True
    builder.tree["extensionsRequired"] = ["KHR_mesh_quantization"]
    builder.tree["nodes"][0]["scale"] = [3, 3, 3]
    np.testing.assert_allclose(load(builder, tmp_path).extents, (1, 2, 3), rtol=0.01)


def test_sparse_arrays_are_filled_in(builder, tmp_path):
    primitive = builder.mesh(POINTS * 0)
    entry = builder.tree["accessors"][primitive["attributes"]["POSITION"]]
    entry["sparse"] = {
        "count": 3,
        "indices": {"bufferView": builder.view(np.arange(1, 4, dtype="<u2").tobytes()), "componentType": 5123},
        "values": {"bufferView": builder.view(POINTS[1:].tobytes())},
    }
    is_tetrahedron(load(builder, tmp_path))
    del entry["bufferView"]
    is_tetrahedron(load(builder, tmp_path))


def test_an_array_without_data_is_zeros_and_so_no_object(builder, tmp_path):
    primitive = builder.mesh()
    del builder.tree["accessors"][primitive["attributes"]["POSITION"]]["bufferView"]
    with pytest.raises(UnreadableError, match="none of its 4 has an area"):
        load(builder, tmp_path)


def test_rows_may_lie_apart(builder, tmp_path):
    primitive = builder.mesh()
    rows = np.zeros((4, 5), "<f4")
    rows[:, 1:4] = POINTS
    view = builder.view(rows.tobytes(), byteStride=20)
    builder.tree["accessors"][primitive["attributes"]["POSITION"]] |= {"bufferView": view, "byteOffset": 4}
    is_tetrahedron(load(builder, tmp_path))


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("accessors", {"count": 4_000_000}, "reaches beyond buffer view"),
        ("accessors", {"count": 10**15}, "above the limit"),
        ("accessors", {"count": -4}, "count is -4"),
        ("accessors", {"byteOffset": 8}, "reaches beyond buffer view"),
        ("accessors", {"componentType": 5124}, "of kind 5124"),
        ("accessors", {"type": "VEC2"}, "positions of 2 numbers"),
        ("accessors", {"bufferView": 9}, "number 9 of its bufferViews"),
        ("bufferViews", {"byteLength": 10**6}, "reaches beyond buffer 0"),
        ("bufferViews", {"byteStride": -12}, "byteStride is -12"),
        ("bufferViews", {"byteStride": 4}, "rows overlap"),
        ("bufferViews", {"buffer": 1}, "number 1 of its buffers"),
        ("nodes", {"mesh": 5}, "number 5 of its meshes"),
        ("nodes", {"children": [0]}, "inside itself"),
        ("nodes", {"children": [7]}, "number 7 of its nodes"),
        ("nodes", {"rotation": [0, 0, 0]}, "cannot read"),
        ("nodes", {"translation": [0, 0, float("nan")]}, "not of numbers"),
    ],
)
def test_what_reaches_beyond_the_file_is_refused(builder, tmp_path, kind, change, reason):
    builder.mesh()
    builder.tree[kind][0] |= change
    with pytest.raises(UnreadableError, match=reason):
        load(builder, tmp_path)


def test_faces_of_vertices_that_do_not_exist_are_refused(builder, tmp_path):
    builder.mesh(faces=np.array([[0, 2, 1], [0, 1, 65535]], "<u2"))
    with pytest.raises(UnreadableError, match="vertex 65535"):
        load(builder, tmp_path)


@pytest.mark.parametrize("version", ["1.0", "3.0", ""])
def test_other_versions_are_refused_by_name(builder, tmp_path, version):
    builder.mesh()
    builder.tree["asset"]["version"] = version
    with pytest.raises(UnreadableError, match=f"glTF {version}"):
        load(builder, tmp_path)


def test_a_file_that_is_cut_short_is_refused(builder, tmp_path):
    builder.mesh()
    path = builder.save(tmp_path / "m.glb", uri=False)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UnreadableError, match="cut short"):
        load_mesh(path)


@pytest.mark.parametrize(
    ("mode", "order"),
    [(5, [2, 1, 0, 3, 2, 1]), (6, [0, 2, 1, 3, 2]), (4, [0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3])],
)
def test_strips_and_fans_become_triangles_that_face_outward(builder, tmp_path, mode, order):
    builder.mesh(faces=np.array(order, "<u2"), mode=mode)
    if mode == 6:
        builder.tree["meshes"][0]["primitives"].append(dict(builder.tree["meshes"][0]["primitives"][0]))
        builder.tree["meshes"][0]["primitives"][1] |= {"indices": builder.array(np.array([1, 2, 3], "<u2")), "mode": 4}
    is_tetrahedron(load(builder, tmp_path))


def test_points_and_lines_are_left_out(builder, tmp_path):
    builder.mesh()
    builder.mesh(POINTS * 100, mode=1)
    builder.tree["meshes"][0]["primitives"] += builder.tree["meshes"].pop()["primitives"]
    is_tetrahedron(load(builder, tmp_path))
    builder.tree["meshes"][0]["primitives"].pop(0)
    with pytest.raises(UnreadableError, match="shows no triangles"):
        load(builder, tmp_path)


def test_nodes_are_placed_by_all_above_them_cameras_among_these(builder, tmp_path):
    builder.mesh()
    turn = [0, 0, 0.5**0.5, 0.5**0.5]
    builder.tree["nodes"] = [
        {"children": [1, 2], "camera": 0, "scale": [2, 2, 2]},
        {"mesh": 0, "rotation": turn},
        {"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 10, 0, 0, 1]},
    ]
    mesh = load(builder, tmp_path)
    np.testing.assert_allclose(mesh.bounds, [[-4, 0, 0], [22, 4, 6]], atol=1e-6)


def test_a_node_that_mirrors_keeps_faces_outward(builder, tmp_path):
    builder.mesh()
    builder.tree["nodes"][0]["scale"] = [-1, 1, 1]
    is_tetrahedron(load(builder, tmp_path))


def test_only_the_default_scene_is_read(builder, tmp_path):
    builder.mesh()
    builder.tree["nodes"].append({"mesh": 0, "translation": [50, 0, 0]})
    builder.tree["scenes"] = [{"nodes": [1]}, {"nodes": [0]}]
    builder.tree["scene"] = 1
    assert load(builder, tmp_path).bounds[0, 0] == 0


def test_instances_are_each_in_their_place(builder, tmp_path):
    builder.mesh()
    places = builder.array(np.array([[0, 0, 0], [5, 0, 0]], "<f4"))
    builder.tree["nodes"][0]["extensions"] = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": places}}}
    mesh = load(builder, tmp_path)
    np.testing.assert_allclose(mesh.extents, (6, 2, 3))
    assert len(mesh.faces) == 8


def test_a_skin_puts_vertices_where_its_joints_are(builder, tmp_path):
    primitive = builder.mesh(POINTS / 2)
    primitive["attributes"]["JOINTS_0"] = builder.array(np.tile(np.array([1, 0, 0, 0], "u1"), (4, 1)))
    primitive["attributes"]["WEIGHTS_0"] = builder.array(np.tile(np.array([1, 0, 0, 0], "<f4"), (4, 1)))
    inverse = np.tile(np.eye(4, dtype="<f4"), (2, 1, 1))
    builder.tree["skins"] = [{"joints": [1, 2], "inverseBindMatrices": builder.array(inverse)}]
    builder.tree["scenes"] = [{"nodes": [0, 1]}]
    builder.tree["nodes"] = [
        {"mesh": 0, "skin": 0, "scale": [100, 1, 1]},  # of no effect on a skin
        {"children": [2], "scale": [2, 2, 2]},
        {"translation": [0, 0, 1]},
    ]
    mesh = load(builder, tmp_path)
    is_tetrahedron(mesh)
    assert mesh.bounds[0, 2] == pytest.approx(2)


def test_morphs_have_their_default_weights(builder, tmp_path):
    primitive = builder.mesh(POINTS / 2)
    primitive["targets"] = [{"POSITION": builder.array(POINTS)}, {"POSITION": builder.array(POINTS * 9)}]
    builder.tree["meshes"][0]["weights"] = [0.5, 0]
    is_tetrahedron(load(builder, tmp_path))
    builder.tree["nodes"][0]["weights"] = [0, 0]
    is_tetrahedron(load(builder, tmp_path), (0.5, 1, 1.5))


def test_textures_are_found_by_their_own_coordinates(builder, tmp_path):
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[0, 1] = (0, 255, 0)  # at the top right
    Image.fromarray(picture).save(tmp_path / "a b.png")
    primitive = builder.mesh(material=0)
    corner = np.tile(np.array([[65535 * 3 // 4, 65535 // 4]], "<u2"), (4, 1))
    primitive["attributes"] |= {
        "TEXCOORD_0": builder.array(corner * 0),
        "TEXCOORD_1": builder.array(corner, normalized=True),
    }
    texture = {"index": 0, "texCoord": 1}
    builder.tree |= {"images": [{"uri": "a%20b.png"}], "textures": [{"source": 0}]}
    builder.tree["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": texture}}]
    assert (load(builder, tmp_path).visual.face_colors[:, :3] == (0, 255, 0)).all()
    texture["extensions"] = {"KHR_texture_transform": {"texCoord": 0, "offset": [0.75, 0.25]}}
    assert (load(builder, tmp_path).visual.face_colors[:, :3] == (0, 255, 0)).all()
    builder.tree["images"][0]["uri"] = "lost.png"
    loaded = load_mesh(builder.save(tmp_path / "m.gltf"))
    assert loaded.missing == ("'lost.png' was not found",)
    is_tetrahedron(loaded.mesh)


def test_whatever_is_wrong_with_a_material_the_mesh_is_read(builder, tmp_path):
    primitive = builder.mesh(material=3)
    is_tetrahedron(load(builder, tmp_path))
    primitive["material"] = 0
    builder.tree["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 4}}}]
    loaded = load_mesh(builder.save(tmp_path / "m.gltf"))
    is_tetrahedron(loaded.mesh)
    assert "number 4 of its textures" in loaded.missing[0]


def test_the_exports_of_another_library_are_read(tmp_path):
    box((1, 2, 3)).export(tmp_path / "box.glb")
    assert load_mesh(tmp_path / "box.glb").mesh.volume == pytest.approx(6)
