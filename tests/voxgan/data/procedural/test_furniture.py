"""A saved object looks like the one that was built."""

import json

import numpy as np
import pytest

from voxgan.data.procedural.catalogue import build_furniture
from voxgan.data.procedural.materials import TEXELS, Material
from voxgan.mesh.read import load_mesh
from voxgan.mesh.voxelise import normalise_mesh
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene


def test_a_saved_glb_has_the_named_parts_and_looks_the_same(tmp_path):
    chair = build_furniture("chair", 3)
    chair.save(tmp_path / "new" / "chair.glb")
    content = (tmp_path / "new" / "chair.glb").read_bytes()
    length = int.from_bytes(content[12:16], "little")
    tree = json.loads(content[20 : 20 + length])
    assert {node["name"] for node in tree["nodes"] if "mesh" in node} == {part.name for part in chair.parts}
    assert {each["name"] for each in tree["materials"]} == {part.material.name for part in chair.parts}
    loaded, built = load_mesh(tmp_path / "new" / "chair.glb"), chair.textured_mesh
    assert np.allclose(loaded.mesh.bounds, built.mesh.bounds, atol=1e-6)
    views = [
        Scene(normalise_mesh(each.mesh), each.textures).render(Camera(), side=48).astype(int)
        for each in (loaded, built)
    ]
    assert (views[0][..., 3] == views[1][..., 3]).all()
    assert abs(views[0] - views[1]).mean() < 4


def test_only_glb_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"cannot write .*chair\.obj: the ending must be \.glb"):
        build_furniture("chair", 3).save(tmp_path / "chair.obj")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pattern", ["grain", "weave", "stripes", "checks", "dots", "mottled", "veins", "cane"])
def test_a_texture_repeats_without_a_seam_and_keeps_the_colour(pattern):
    material = Material("cloth", (120, 110, 100), pattern, (125, 112, 105), seed=5, contrast=0.05)
    texture = material.texture().astype(float)
    assert texture.shape == (TEXELS, TEXELS, 4)
    assert np.allclose(texture[..., :3].mean((0, 1)), (121, 111, 101.5), atol=6)
    inside = abs(np.diff(texture[..., 0], axis=0)).mean()
    seam = abs(texture[0, :, 0] - texture[-1, :, 0]).mean()
    assert seam < 3 * inside + 3


def test_a_plain_material_is_one_texel():
    assert Material("paint", (1, 2, 3)).texture().tolist() == [[[1, 2, 3, 255]]]
