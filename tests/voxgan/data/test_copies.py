"""Copies in other proportions: mesh and voxels agree, only training objects have them, and held-out ones never leak."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.shapes import box, kept, manifest, picture
from support.shapes import prepare_config as config

from gancore.data import Sample
from voxgan.config import VoxelDataConfig
from voxgan.data.copies import AxisStretch, sample_stretches, stretch_mesh, stretch_voxels
from voxgan.data.dataset import PictureSpec, VoxelDataset
from voxgan.data.packed import open_packed_dataset
from voxgan.data.prepare import prepare_dataset
from voxgan.mesh.materials import TexturedMesh
from voxgan.mesh.voxelise import normalise_mesh, voxelise_fractions


def chair() -> trimesh.Trimesh:
    """A seat, a back and four legs, each of boxes with vertices every tenth of its length."""
    moved = trimesh.transformations.translation_matrix
    parts = [
        trimesh.creation.box((1, 0.2, 1)),
        trimesh.creation.box((1, 0.8, 0.2), moved((0, 0.5, -0.4))),
        *(trimesh.creation.box((0.2, 0.8, 0.2), moved((x, -0.5, z))) for x in (-0.4, 0.4) for z in (-0.4, 0.4)),
    ]
    return normalise_mesh(trimesh.util.concatenate([part.subdivide_to_size(0.1) for part in parts]))


def stretches_of(mesh: trimesh.Trimesh, seed: int, strength: float = 0.25) -> tuple[AxisStretch, ...]:
    return sample_stretches(*mesh.bounds, np.random.default_rng(seed), strength=strength)


@pytest.mark.parametrize("seed", range(3))
def test_voxels_are_stretched_as_the_mesh_is(seed):
    mesh, side = chair(), 32
    stretches = stretches_of(mesh, seed)
    moved = stretch_mesh(TexturedMesh(mesh), stretches).mesh
    assert moved.is_watertight
    assert moved.extents.max() == pytest.approx(1)
    assert moved.bounds.sum(0) == pytest.approx(0, abs=1e-9)
    assert abs(moved.vertices - mesh.vertices).max() > 0.01
    own = voxelise_fractions(mesh, side, closed=True).astype(np.float32)
    stretched, expected = stretch_voxels(own, stretches), voxelise_fractions(moved, side, closed=True)
    assert stretched.sum() == pytest.approx(expected.sum(), rel=0.05)
    assert abs(stretched - expected).mean() < 0.012  # edges between slices of 1/16 of an axis are blurred
    assert abs(stretched - expected).mean() < abs(own - expected).mean() / 2


def test_a_factor_for_a_whole_axis_is_exact_where_voxels_are_evenly_full():
    side = 16
    bounds = np.linspace(-0.5, 0.5, 17)
    still, half = AxisStretch(before=bounds, after=bounds), AxisStretch(before=bounds, after=bounds / 2)
    voxels = np.random.default_rng(0).random((side,) * 3).astype(np.float32)
    np.testing.assert_allclose(stretch_voxels(voxels, (still, still, still)), voxels, atol=1e-6)
    halved = stretch_voxels(voxels, (still, half, still))
    assert not halved[:, :4].any()
    assert not halved[:, 12:].any()
    np.testing.assert_allclose(halved[:, 4:12], (voxels[:, ::2] + voxels[:, 1::2]) / 2, atol=1e-6)


def test_left_and_right_are_stretched_alike_and_points_outside_stay_outside():
    x, y, _ = stretches_of(chair(), 5)
    positions = np.linspace(-0.4, 0.4, 33)
    np.testing.assert_allclose(x.forward(-positions), -x.forward(positions), atol=1e-12)
    assert abs(y.forward(-positions) + y.forward(positions)).max() > 0.001
    np.testing.assert_allclose(y.backward(y.forward(positions)), positions, atol=1e-12)
    assert x.backward(np.array([x.after[-1] + 0.1]))[0] == pytest.approx(x.before[-1] + 0.1)


def test_training_objects_are_copied_and_held_out_ones_are_not(tmp_path):
    for number in range(40):
        box(tmp_path / "meshes" / f"box{number:02}.stl", (1 + number % 5, 2, 1 + number // 5))
    result = prepare_dataset(config(tmp_path / "meshes", copies=2, proportions=0.5, duplicate_iou=1.0, side=16))
    own = {item.id: item for item in result.objects if not item.copy_of}
    copies = [item for item in result.objects if item.copy_of]
    assert len(own) == 40
    assert {item.split for item in own.values()} == {"train", "test"}, "else this shows nothing"
    assert sorted(item.id for item in copies) == sorted(
        f"{item.id}~{number}" for item in own.values() if item.split == "train" for number in (1, 2)
    )
    assert all(item.split == "train" and len(item.cameras) == 2 for item in copies)
    packed = open_packed_dataset(str(tmp_path / "set"))
    assert packed.fractional
    shapes = {item.id: packed.fractions(index) for index, item in enumerate(packed.objects)}
    changed = [not np.array_equal(shapes[item.id], shapes[item.copy_of]) for item in copies]
    assert np.mean(changed) > 0.8
    assert set(np.unique(shapes[next(iter(own))])) == {0, 1}, "the object itself is binary"
    assert len(np.unique(shapes[copies[0].id])) > 2
    assert all(row["status"] == "ok" for row in manifest(tmp_path / "set").values())
    assert len(manifest(tmp_path / "set")) == 40 + len(copies)


@pytest.mark.parametrize("occupancy", ["binary", "fractional"])
def test_copies_are_cached_and_the_same_for_the_same_seed(tmp_path, occupancy):
    box(tmp_path / "meshes" / "train" / "box" / "a.obj", (1, 2, 3))
    settings = config(tmp_path / "meshes", copies=2, occupancy=occupancy)
    prepare_dataset(settings)
    cached = kept(tmp_path / "set.cache")
    first = {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    assert len(cached) == 3
    prepare_dataset(settings)
    assert kept(tmp_path / "set.cache") == cached
    for path in (tmp_path / "set.cache").glob("*.zip"):
        path.unlink()
    prepare_dataset(settings)
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()} == first
    prepare_dataset(replace(settings, proportions=0.5))
    assert len(kept(tmp_path / "set.cache")) == 3 + 2  # the object itself is as it was


def test_objects_with_pictures_of_their_own_are_not_copied_and_voxels_without_a_mesh_are(tmp_path):
    box(tmp_path / "own" / "shown.stl")
    picture(tmp_path / "own" / "shown.png")
    np.save(tmp_path / "own" / "rock.npy", np.random.default_rng(0).random((8, 8, 8)) > 0.5)
    result = prepare_dataset(config(tmp_path / "own", copies=1, duplicate_iou=1.0))
    assert {item.copy_of for item in result.objects} <= {"", "rock"}
    assert [item.split for item in result.objects if item.id == "rock"] == ["train"], "else this shows nothing"
    assert [item.id for item in result.objects if item.copy_of] == ["rock~1"]


def test_a_name_that_a_copy_would_have_is_refused(tmp_path):
    for name in ("c", "c~1"):
        box(tmp_path / "meshes" / f"{name}.stl")
    with pytest.raises(ValueError, match=r"^c~1 is the id of an object, and of a copy of another object; rename it$"):
        prepare_dataset(config(tmp_path / "meshes", copies=1, duplicate_iou=1.0))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"copies": -1}, "copies must lie between 0 and 1000, got -1"),
        ({"proportions": 0.0}, "proportions must lie in"),
        ({"copies": 1, "compress": True}, "compress is for binary occupancy"),
        ({"proportions": 1.5}, "proportions must lie in"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(tmp_path, settings, said):
    with pytest.raises(ValueError, match=said):
        config(tmp_path / "meshes", **settings)


def test_a_copy_of_a_held_out_object_is_not_mixed_in(tmp_path):
    for number in range(30):
        box(tmp_path / "meshes" / f"box{number:02}.stl", (1 + number % 5, 2, 1 + number // 5))
    whole = prepare_dataset(config(tmp_path / "meshes", duplicate_iou=1.0))
    held_out = {item.id for item in whole.objects if item.split != "train"}
    (tmp_path / "meshes").rename(tmp_path / "again")  # the same objects in a data set that trains on all of them
    (tmp_path / "again" / "splits.json").write_text(json.dumps({"train": [item.id for item in whole.objects]}))
    out = tmp_path / "copied"
    copied = prepare_dataset(replace(config(tmp_path / "again", copies=1, duplicate_iou=1.0), out=out))
    assert held_out <= {item.copy_of for item in copied.objects}
    mixed = mixed_in(tmp_path / "set", out)
    assert not held_out & {item.copy_of or item.id for item in mixed}
    assert {item.copy_of for item in mixed} == {"", *(item.id for item in whole.objects)} - held_out


def mixed_in(path: Path, other: Path) -> list:
    data = VoxelDataConfig(path=str(path), mixed_with=(str(other),))
    dataset = VoxelDataset(data, PictureSpec(size=16, mask=True), split="train")
    assert dataset[Sample(0, 0)].occupancy.any()
    return [packed.objects[index] for packed, index in dataset.mixed_in]
