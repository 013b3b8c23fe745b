"""What was prepared before is used again only if all that it was made of is as it was."""

import ast
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from packaging.utils import canonicalize_name
from PIL import Image
from support.shapes import box, kept, manifest, picture
from support.shapes import prepare_config as config

from voxgan.data import shape_cache
from voxgan.data.layouts import find_objects
from voxgan.data.packed import open_packed_dataset
from voxgan.data.prepare import prepare_dataset
from voxgan.data.sources import Layout
from voxgan.files.binvox import write_binvox


def textured(folder: Path, reference: str = "wood.png") -> Path:
    """A mesh with a material file and a red texture."""
    folder.mkdir(parents=True, exist_ok=True)
    corners = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    faces = trimesh.creation.box().faces + 1
    lines = [
        *("mtllib a.mtl", "usemtl wood", "vt 0.5 0.5"),
        *(f"v {x} {y} {z}" for x, y, z in corners),
        *("f " + " ".join(f"{corner}/1" for corner in face) for face in faces),
    ]
    (folder / "a.obj").write_text("\n".join(lines))
    (folder / "a.mtl").write_text(f"newmtl wood\nmap_Kd {reference}\n")
    Image.new("RGB", (8, 8), (250, 0, 0)).save(folder / "wood.png")
    return folder


def mean_colour(folder: Path) -> np.ndarray:
    view = open_packed_dataset(str(folder)).read_view(0, 0)
    return view[view[..., 3] > 200][:, :3].mean(0)


def is_red(colour: np.ndarray) -> bool:
    return bool(colour[0] > 3 * colour[1] + 20)


def test_a_texture_that_changes_disappears_and_comes_back_is_seen(tmp_path):
    texture = textured(tmp_path / "meshes") / "wood.png"
    red = texture.read_bytes()
    prepare_dataset(config(tmp_path / "meshes"))
    assert is_red(mean_colour(tmp_path / "set"))
    Image.new("RGB", (8, 8), (0, 250, 0)).save(texture)
    prepare_dataset(config(tmp_path / "meshes"))
    assert is_red(mean_colour(tmp_path / "set")[[1, 0, 2]])
    texture.unlink()
    prepare_dataset(config(tmp_path / "meshes"))
    assert not is_red(mean_colour(tmp_path / "set"))
    row = manifest(tmp_path / "set")["a"]
    assert (row["status"], "wood.png" in row["reason"]) == ("ok", True)
    texture.write_bytes(red)
    prepare_dataset(config(tmp_path / "meshes"))
    assert is_red(mean_colour(tmp_path / "set"))
    assert manifest(tmp_path / "set")["a"]["reason"] == ""


def test_a_material_file_that_names_another_texture_is_seen(tmp_path):
    textured(tmp_path / "meshes")
    prepare_dataset(config(tmp_path / "meshes"))
    Image.new("RGB", (8, 8), (0, 250, 0)).save(tmp_path / "meshes" / "grass.png")
    (tmp_path / "meshes" / "a.mtl").write_text("newmtl wood\nmap_Kd grass.png\n")
    prepare_dataset(config(tmp_path / "meshes"))
    assert is_red(mean_colour(tmp_path / "set")[[1, 0, 2]])


def test_textures_beside_the_meshs_folder_are_read_and_those_outside_of_the_data_set_are_named(tmp_path):
    folder = textured(tmp_path / "meshes" / "a" / "models", "../images/wood.png")
    (folder.parent / "images").mkdir()
    os.replace(folder / "wood.png", folder.parent / "images" / "wood.png")
    prepare_dataset(config(tmp_path / "meshes"))
    assert is_red(mean_colour(tmp_path / "set"))
    Image.new("RGB", (8, 8), (250, 0, 0)).save(tmp_path / "outside.png")
    (folder / "a.mtl").write_text("newmtl wood\nmap_Kd ../../../outside.png\n")
    prepare_dataset(config(tmp_path / "meshes"))
    assert not is_red(mean_colour(tmp_path / "set"))
    (row,) = manifest(tmp_path / "set").values()
    assert "outside.png" in row["reason"]


@pytest.mark.parametrize("content", [None, b"not a picture"], ids=["missing", "damaged"])
def test_what_lacks_a_texture_is_not_made_anew_as_long_as_it_lacks_it(tmp_path, content):
    texture = textured(tmp_path / "meshes") / "wood.png"
    texture.unlink() if content is None else texture.write_bytes(content)
    prepare_dataset(config(tmp_path / "meshes"))
    before = kept(tmp_path / "set.cache")
    prepare_dataset(config(tmp_path / "meshes"))
    assert kept(tmp_path / "set.cache") == before


def test_two_objects_that_differ_in_their_textures_alone_stay_two(tmp_path):
    textured(tmp_path / "meshes" / "x")
    textured(tmp_path / "meshes" / "y")
    Image.new("RGB", (8, 8), (0, 250, 0)).save(tmp_path / "meshes" / "y" / "wood.png")
    prepare_dataset(config(tmp_path / "meshes"))
    packed = open_packed_dataset(str(tmp_path / "set"))
    views = [packed.read_view(index, 0) for index in range(2)]
    red, green = (view[view[..., 3] > 200][:, :3].mean(0) for view in views)
    assert is_red(red)
    assert is_red(green[[1, 0, 2]])


def test_pictures_whose_cameras_change_are_prepared_anew(tmp_path):
    chair = "03001627"
    (tmp_path / "meshes" / "ShapeNetVox32" / chair / "a").mkdir(parents=True)
    write_binvox(tmp_path / "meshes" / "ShapeNetVox32" / chair / "a" / "model.binvox", np.ones((4, 4, 4), bool))
    rendering = tmp_path / "meshes" / "ShapeNetRendering" / chair / "a" / "rendering"
    picture(rendering / "00.png")
    for azimuth in ("90", "0", "nan"):
        (rendering / "rendering_metadata.txt").write_text(f"{azimuth} 25 0 0.8 25\n")
        prepare_dataset(config(tmp_path / "meshes"))
        (camera,) = open_packed_dataset(str(tmp_path / "set")).objects[0].cameras
        assert camera is None if azimuth == "nan" else camera[0] == {"90": 270, "0": 0}[azimuth]


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign", "text"])
def test_a_damaged_or_foreign_cached_object_is_made_anew(tmp_path, damage):
    box(tmp_path / "meshes" / "a.stl")
    box(tmp_path / "meshes" / "b.stl", (2, 1, 1))
    prepare_dataset(config(tmp_path / "meshes"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    first, second = sorted((tmp_path / "set.cache").glob("*.zip"))
    content = first.read_bytes()
    middle = content.index(b"occupancy") + 20
    damaged = {
        "empty": b"",
        "cut": content[:-30],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "foreign": second.read_bytes(),
        "text": b"PK\x03\x04 hello",
    }
    first.write_bytes(damaged[damage])
    prepare_dataset(config(tmp_path / "meshes"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()} == before
    assert first.read_bytes() == content


def test_another_reader_prepares_anew(tmp_path, monkeypatch):
    box(tmp_path / "meshes" / "a.stl")
    prepare_dataset(config(tmp_path / "meshes"))
    monkeypatch.setattr("voxgan.data.shape_cache._digest_method", lambda: "another")
    prepare_dataset(config(tmp_path / "meshes"))
    assert len(kept(tmp_path / "set.cache")) == 2


def test_every_library_that_makes_a_shape_is_looked_at():
    root = Path(shape_cache.__file__).parents[2]
    paths = [root / name for name in shape_cache.METHOD]
    modules = [module for path in paths for module in ([path] if path.is_file() else path.rglob("*.py"))]
    imported = set()
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported |= {name.partition(".")[0] for name in names}
    of_no_effect = {*sys.stdlib_module_names, "gancore", "voxgan", "einops", "jaxtyping", "torch"}
    names = {"PIL": "pillow", "igl": "libigl", "skimage": "scikit-image"}
    used = {canonicalize_name(names.get(module, module)) for module in imported - of_no_effect}
    assert used == {canonicalize_name(name) for name in shape_cache.LIBRARIES}


def test_a_file_that_is_deleted_meanwhile_is_a_failed_object(tmp_path, monkeypatch):
    box(tmp_path / "meshes" / "a.stl")
    gone = box(tmp_path / "meshes" / "b.stl")
    find = find_objects

    def find_and_delete(folder: Path) -> Layout:
        layout = find(folder)
        gone.unlink()
        return layout

    monkeypatch.setattr("voxgan.data.prepare.find_objects", find_and_delete)
    prepared = prepare_dataset(config(tmp_path / "meshes"))
    assert [item.id for item in prepared.objects] == ["a"]
    assert "no such file" in prepared.failed[0].reason
