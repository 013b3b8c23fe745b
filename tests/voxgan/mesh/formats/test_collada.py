"""COLLADA files are read right: axes, units, nodes, skins and every kind of faces."""

import numpy as np
import pytest
from PIL import Image

from gancore.errors import UnreadableError
from gancore.files.limits import ShapeLimits
from voxgan.mesh.read import load_mesh

TRIANGLES = (
    '<triangles count="4"{material}><input semantic="VERTEX" source="#v" offset="0"/>'
    "<p>0 2 1 0 1 3 0 3 2 1 2 3</p></triangles>"
)
SHOWN = '<node><instance_geometry url="#g"/></node>'
DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
{asset}
<library_geometries><geometry id="g"><mesh>
<source id="p"><float_array id="pa" count="12">0 0 0 1 0 0 0 2 0 0 0 3</float_array>
<technique_common><accessor source="#pa" count="4" stride="3">
<param name="X"/><param name="Y"/><param name="Z"/></accessor>
</technique_common></source>
<source id="t"><float_array id="ta" count="2">0.5 0.5</float_array>
<technique_common><accessor source="#ta" count="1" stride="2"/></technique_common></source>
<vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
{faces}
</mesh></geometry></library_geometries>
{libraries}
<library_visual_scenes><visual_scene id="s">{nodes}</visual_scene></library_visual_scenes>
<scene><instance_visual_scene url="#s"/></scene>
</COLLADA>"""


def document(*, asset="", faces=TRIANGLES, nodes=SHOWN, libraries="", material=""):
    return DOCUMENT.format(asset=asset, faces=faces.replace("{material}", material), nodes=nodes, libraries=libraries)


def load(folder, text, **options):
    (folder / "m.dae").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_mesh(folder / "m.dae", **options)


def is_tetrahedron(mesh, extents=(1, 2, 3)):
    np.testing.assert_allclose(mesh.extents, extents)
    assert len(mesh.faces) == 4
    assert mesh.volume == pytest.approx(np.prod(extents) / 6)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_the_axis_and_the_unit_that_a_file_states_are_kept(tmp_path, axis):
    asset = f'<asset><unit name="inch" meter="0.0254"/><up_axis>{axis.upper()}_UP</up_axis></asset>'
    loaded = load(tmp_path, document(asset=asset))
    is_tetrahedron(loaded.mesh)
    assert (loaded.up, loaded.metres) == (axis, 0.0254)
    assert loaded.axes(up="-z")[0] == axis


def test_a_file_that_states_no_axis_has_none(tmp_path):
    loaded = load(tmp_path, document())
    assert loaded.up is None
    assert loaded.axes(up="z") == ("z", None)
    assert loaded.axes() == ("y", None)


VERTEX = '<input semantic="VERTEX" source="#v" offset="0"/>'


@pytest.mark.parametrize(
    "faces",
    [
        f"<polylist count='4'>{VERTEX}<vcount>3 3 3 3</vcount><p>0 2 1 0 1 3 0 3 2 1 2 3</p></polylist>",
        f"<polygons count='4'>{VERTEX}<p>0 2 1</p><p>0 1 3</p><p>0 3 2</p><p>1 2 3</p></polygons>",
        f"<tristrips count='1'>{VERTEX}<p>2 1 0 3 2 1</p></tristrips>",
        f"<trifans count='2'>{VERTEX}<p>0 2 1 3 2</p><p>1 2 3</p></trifans>",
        "<triangles count='4'><input semantic='VERTEX' source='#v' offset='1'/>"
        "<input semantic='TEXCOORD' source='#t' offset='0'/>"
        "<p>0 0 0 2 0 1 0 0 0 1 0 3 0 0 0 3 0 2 0 1 0 2 0 3</p></triangles>",
    ],
)
def test_every_kind_of_faces_is_read(tmp_path, faces):
    is_tetrahedron(load(tmp_path, document(faces=faces)).mesh)


def test_transforms_stand_in_their_order_and_nodes_may_be_shown_again(tmp_path):
    library = '<library_nodes><node id="n"><scale>1 1 2</scale><instance_geometry url="#g"/></node></library_nodes>'
    nodes = (
        "<node><rotate>0 0 1 90</rotate><translate>10 0 0</translate><instance_node url='#n'/></node>"
        "<node><matrix>1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1</matrix><node><instance_node url='#n'/></node></node>"
    )
    mesh = load(tmp_path, document(nodes=nodes, libraries=library)).mesh
    np.testing.assert_allclose(mesh.bounds, [[-2, 0, 0], [1, 11, 6]], atol=1e-6)


def test_a_skin_is_read_in_the_pose_in_which_it_was_bound(tmp_path):
    library = (
        '<library_controllers><controller id="c"><skin source="#g">'
        "<bind_shape_matrix>2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1</bind_shape_matrix>"
        "</skin></controller></library_controllers>"
    )
    nodes = '<node><instance_controller url="#c"/></node>'
    is_tetrahedron(load(tmp_path, document(nodes=nodes, libraries=library)).mesh, (2, 4, 6))


MATERIALS = """<library_images><image id="i"><init_from>{file}</init_from></image></library_images>
<library_effects><effect id="e"><profile_COMMON>
<newparam sid="f"><surface type="2D"><init_from>i</init_from></surface></newparam>
<newparam sid="m"><sampler2D><source>f</source></sampler2D></newparam>
<technique sid="c"><phong><diffuse>{diffuse}</diffuse></phong></technique></profile_COMMON></effect></library_effects>
<library_materials><material id="mat"><instance_effect url="#e"/></material></library_materials>"""
BOUND = (
    '<node><instance_geometry url="#g"><bind_material><technique_common><instance_material symbol="S" target="#mat"/>'
    "</technique_common></bind_material></instance_geometry></node>"
)
WITH_UV = TRIANGLES.replace(
    "<p>0 2 1 0 1 3 0 3 2 1 2 3</p>",
    '<input semantic="TEXCOORD" source="#t" offset="1" set="0"/><p>0 0 2 0 1 0 0 0 1 0 3 0 0 0 3 0 2 0 1 0 2 0 3 0</p>',
)


def test_materials_have_their_colours_and_textures(tmp_path):
    Image.new("RGB", (4, 4), (10, 200, 30)).save(tmp_path / "a b.png")
    for file, diffuse, colour in (
        ("a%20b.png", "<texture texture='m' texcoord='UV'/>", (10, 200, 30)),
        ("", "<color>1 0 0 1</color>", (255, 0, 0)),
    ):
        libraries = MATERIALS.format(file=file, diffuse=diffuse)
        loaded = load(tmp_path, document(faces=WITH_UV, libraries=libraries, nodes=BOUND, material=' material="S"'))
        assert (loaded.mesh.visual.face_colors[:, :3] == colour).all()
        assert not loaded.missing


def test_a_texture_that_is_lost_and_a_material_that_is_not_there_cost_colours_alone(tmp_path):
    libraries = MATERIALS.format(file="lost.png", diffuse="<texture texture='m' texcoord='UV'/>")
    loaded = load(tmp_path, document(faces=WITH_UV, libraries=libraries, nodes=BOUND, material=' material="S"'))
    is_tetrahedron(loaded.mesh)
    assert loaded.missing == ("'lost.png' was not found",)
    loaded = load(tmp_path, document(material=' material="S"'))
    is_tetrahedron(loaded.mesh)
    assert loaded.missing == ("the material 'S' was not found",)


@pytest.mark.parametrize("colour", ["1 0", "nan 0 0 1", "red"])
def test_a_colour_that_is_not_of_numbers_is_named_and_leaves_the_warm_grey(tmp_path, colour):
    libraries = MATERIALS.format(file="", diffuse=f"<color>{colour}</color>")
    loaded = load(tmp_path, document(libraries=libraries, nodes=BOUND, material=' material="S"'))
    is_tetrahedron(loaded.mesh)
    assert (loaded.mesh.visual.face_colors[:, :3] == (176, 168, 158)).all()
    assert colour.split()[0] in loaded.missing[0]


def test_coordinates_of_a_texture_that_are_not_there_are_named(tmp_path):
    Image.new("RGB", (4, 4), (10, 200, 30)).save(tmp_path / "a.png")
    libraries = MATERIALS.format(file="a.png", diffuse="<texture texture='m' texcoord='UV'/>")
    faces = WITH_UV.replace("3 0</p>", "3 1</p>")
    loaded = load(tmp_path, document(faces=faces, libraries=libraries, nodes=BOUND, material=' material="S"'))
    is_tetrahedron(loaded.mesh)
    assert "refers to row 1" in loaded.missing[0]


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (document().replace("<COLLADA", LAUGHS + "<COLLADA"), "declares a document type or entities"),
        (document().replace("<COLLADA", LAUGHS + "<COLLADA").replace("utf-8", "utf-16").encode("utf-16"), "entities"),
        (document(nodes="<node>" * 300 + "</node>" * 300), "nested more than 256 levels deep"),
        (document(nodes='<node id="n"><instance_node url="#n"/></node>'), "inside itself"),
        (document(nodes='<node><instance_geometry url="#x"/></node>'), "'#x', which it does not hold"),
        (document(nodes=""), "shows no geometry"),
        (document().replace("0 3 2 1 2 3", "0 3 2 1 2 9"), "refers to vertex 9"),
        (document().replace("0 3 2 1 2 3", "0 3 2 1 2 -3"), "refers to vertex -3"),
        (document().replace('count="4"><input', 'count="9"><input'), "states 9 faces, and has 4"),
        (document().replace('count="4" stride', 'count="5" stride'), "states 5 rows of 3, and holds 12"),
        (document().replace("0 0 3<", "0 0 three<"), "'three' is not a number of float_array"),
        (document()[:-40], "its XML is damaged"),
        (document(asset="<asset><up_axis>W_UP</up_axis></asset>"), "'W_UP'"),
        (document(faces="").replace("<mesh>", "<convex_mesh>").replace("</mesh>", "</convex_mesh>"), "convex hull"),
        ("<html></html>", "not a COLLADA document, but html"),
    ],
)
def test_a_file_that_is_not_right_is_refused_with_the_reason(tmp_path, text, reason):
    with pytest.raises(UnreadableError, match=reason):
        load(tmp_path, text)


def test_nodes_that_show_each_other_in_great_numbers_are_refused(tmp_path):
    nodes = "".join(
        f'<node id="n{level}">' + f'<instance_node url="#n{level + 1}"/>' * 10 + "</node>" for level in range(9)
    )
    library = f'<library_nodes>{nodes}<node id="n9"/></library_nodes>'
    with pytest.raises(UnreadableError, match="above the limit"):
        load(
            tmp_path,
            document(nodes='<node><instance_node url="#n0"/></node>', libraries=library),
            limits=ShapeLimits(max_members=1000),
        )
