"""3MF files are read right: parts in several files, components, units, and only what is to be built."""

import zipfile

import numpy as np
import pytest

from gancore.errors import UnreadableError
from gancore.files.limits import ShapeLimits
from voxgan.mesh.read import load_mesh

CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
PRODUCTION = "http://schemas.microsoft.com/3dmanufacturing/production/2015/06"
POINTS = [(0, 0, 0), (1, 0, 0), (0, 2, 0), (0, 0, 3)]
FACES = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]


def mesh(scale=1, faces=FACES):
    vertices = "".join(f'<vertex x="{x * scale}" y="{y * scale}" z="{z * scale}"/>' for x, y, z in POINTS)
    triangles = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in faces)
    return f"<mesh><vertices>{vertices}</vertices><triangles>{triangles}</triangles></mesh>"


def thing(index, content, options=""):
    return f'<object id="{index}" type="model" {options}>{content}</object>'


def model(*objects, build="", options=""):
    return (
        f'<model xmlns="{CORE}" xmlns:p="{PRODUCTION}" {options}><resources>{"".join(objects)}</resources>'
        f"<build>{build}</build></model>"
    )


def load(folder, *models, main="3D/3dmodel.model", **options):
    names = [main, *(f"3D/Objects/{number}.model" for number in range(1, len(models)))]
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r" '
        f'Target="/{main}" Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>'
    )
    with zipfile.ZipFile(folder / "m.3mf", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_rels/.rels", relations)
        for name, content in zip(names, models, strict=True):
            archive.writestr(name, content)
    return load_mesh(folder / "m.3mf", **options)


ITEM = '<item objectid="1"/>'


def test_a_file_has_z_up_and_counts_in_its_unit(tmp_path):
    loaded = load(tmp_path, model(thing(1, mesh()), build=ITEM))
    np.testing.assert_allclose(loaded.mesh.extents, (1, 2, 3))
    assert loaded.mesh.volume == pytest.approx(1)
    assert (loaded.up, loaded.metres) == ("z", 0.001)
    assert load(tmp_path, model(thing(1, mesh()), build=ITEM, options='unit="inch"')).metres == 0.0254


def test_the_model_may_have_another_name(tmp_path):
    assert len(load(tmp_path, model(thing(1, mesh()), build=ITEM), main="models/this.model").mesh.faces) == 4


def test_parts_in_other_files_are_found_and_equal_ids_told_apart(tmp_path):
    component = (
        '<components><component objectid="1" p:path="/3D/Objects/{}.model" transform="1 0 0 0 1 0 0 0 1 {} 0 0"/>'
        "</components>"
    )
    main = model(
        thing(1, component.format(1, 0)),
        thing(2, component.format(2, 10)),
        build='<item objectid="1"/><item objectid="2"/>',
        options='requiredextensions="p"',
    )
    loaded = load(tmp_path, main, model(thing(1, mesh())), model(thing(1, mesh(2))))
    assert len(loaded.mesh.faces) == 8
    np.testing.assert_allclose(loaded.mesh.bounds, [[0, 0, 0], [12, 4, 6]])


def test_items_may_name_a_part_in_another_file(tmp_path):
    main = model(build='<item objectid="7" p:path="/3D/Objects/1.model"/>')
    assert len(load(tmp_path, main, model(thing(7, mesh()))).mesh.faces) == 4


def test_transforms_of_components_and_items_follow_each_other(tmp_path):
    inner = '<components><component objectid="1" transform="0 1 0 -1 0 0 0 0 1 5 0 0"/></components>'
    loaded = load(
        tmp_path,
        model(thing(1, mesh()), thing(2, inner), build='<item objectid="2" transform="2 0 0 0 2 0 0 0 2 0 0 1"/>'),
    )
    np.testing.assert_allclose(loaded.mesh.bounds, [[6, 0, 1], [10, 2, 7]])
    assert loaded.mesh.volume == pytest.approx(8)


def test_only_what_is_to_be_built_is_read_and_supports_are_not(tmp_path):
    support = thing(3, mesh(100)).replace('type="model"', 'type="support"')
    build = '<item objectid="1"/><item objectid="3"/>'
    loaded = load(tmp_path, model(thing(1, mesh()), thing(2, mesh(50)), support, build=build))
    np.testing.assert_allclose(loaded.mesh.extents, (1, 2, 3))


def test_colours_of_materials_are_read(tmp_path):
    colours = (
        '<basematerials id="5"><base name="red" displaycolor="#FF0000"/><base name="green" displaycolor="#00FF00FF"/>'
        "</basematerials>"
    )
    content = mesh().replace('v1="1" v2="2" v3="3"', 'v1="1" v2="2" v3="3" pid="5" p1="1"')
    loaded = load(tmp_path, model(colours, thing(1, content, 'pid="5" pindex="0"'), build=ITEM))
    assert loaded.mesh.visual.face_colors[:, :3].tolist() == [[255, 0, 0]] * 3 + [[0, 255, 0]]


def test_textures_are_named_as_they_are_not_read(tmp_path):
    material = 'xmlns:m="http://schemas.microsoft.com/3dmanufacturing/material/2015/02"'
    texture = f'<m:texture2dgroup {material} id="5" texid="6"><m:tex2coord u="0" v="0"/></m:texture2dgroup>'
    loaded = load(tmp_path, model(texture, thing(1, mesh(), 'pid="5" pindex="0"'), build=ITEM))
    assert loaded.missing == ("colours of a texture2dgroup are not read",)
    assert (loaded.mesh.visual.face_colors[:, :3] == (176, 168, 158)).all()


LOOP = '<components><component objectid="2"/></components>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (model(thing(1, mesh()), build=ITEM, options='xmlns:z="urn:new" requiredextensions="z"'), "extension urn:new"),
        (model(thing(1, mesh()), build=ITEM, options='unit="cubit"'), "'cubit'"),
        (model(thing(1, mesh())), "its build has no items"),
        (model(thing(1, mesh()), build='<item objectid="4"/>'), "object 4 of"),
        (model(thing(2, LOOP), build='<item objectid="2"/>'), "component of itself"),
        (model(thing(1, mesh()), thing(1, mesh()), build=ITEM), "two objects of id 1"),
        (model(thing(1, mesh(faces=[(0, 1, 9)])), build=ITEM), "refers to vertex 9"),
        (model(thing(1, mesh(faces=[(0, 1, -1)])), build=ITEM), "refers to vertex -1"),
        (model(thing(1, mesh().replace('x="1"', 'x="one"')), build=ITEM), "'one' is not a number of a vertex"),
        (model(thing(1, mesh().replace("</mesh>", "<beamlattice/></mesh>")), build=ITEM), "beam lattice"),
        (model(thing(1, mesh()), build='<item objectid="1" transform="1 0 0"/>'), "is not a transform"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>" + model(thing(1, mesh()), build=ITEM), "entities"),
        (model(build='<item objectid="1" p:path="/3D/none.model"/>'), "none.model, which it does not hold"),
        ("<html/>", "not a 3-D model"),
    ],
)
def test_a_file_that_is_not_right_is_refused_with_the_reason(tmp_path, content, reason):
    with pytest.raises(UnreadableError, match=reason):
        load(tmp_path, content)


def test_components_of_components_in_great_numbers_are_refused(tmp_path):
    levels = [thing(1, mesh())]
    for level in range(2, 12):
        levels.append(thing(level, "<components>" + f'<component objectid="{level - 1}"/>' * 8 + "</components>"))
    with pytest.raises(UnreadableError, match="above the limit"):
        load(tmp_path, model(*levels, build='<item objectid="11"/>'), limits=ShapeLimits(max_members=100))
