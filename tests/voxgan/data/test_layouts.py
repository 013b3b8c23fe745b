"""Folders of objects as users have them on disk, each made here in small."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from support.layouts import SHAPE, by_id, mesh, picture, problems, stands_right, text, voxels

from gancore.errors import UnreadableError
from voxgan.data.layouts import find_objects
from voxgan.data.sources import Source, assign_split
from voxgan.files.voxels import read_occupancy


def test_a_flat_folder_has_no_classes_and_files_of_one_name_are_one_object(tmp_path: Path):
    mesh(tmp_path / "a.stl")
    mesh(tmp_path / "a.obj")
    voxels(tmp_path / "a.npz")
    voxels(tmp_path / "b.binvox")
    picture(tmp_path / "b.png")
    mesh(tmp_path / ".hidden" / "c.obj")
    layout = find_objects(tmp_path)
    assert layout.name == "folder"
    found = by_id(layout)
    assert list(found) == ["a", "b"]
    assert (found["a"].mesh, found["a"].occupancy) == (tmp_path / "a.obj", tmp_path / "a.npz")
    assert [view.path.name for view in found["b"].images] == ["b.png"]
    assert {source.label for source in layout.sources} == {""}
    stands_right(found["a"])


def test_pictures_of_all_formats_are_found_in_upper_case_too(tmp_path: Path):
    names = ["0.avif", "1.BMP", "2.Tif", "3.jfif", "4.png"]
    for name in names:
        picture(tmp_path / "images" / "a" / name)
    mesh(tmp_path / "a.obj")
    mesh(tmp_path / "b.stl")
    picture(tmp_path / "b.JPG")
    shown = {name: [view.path.name for view in source.images] for name, source in by_id(find_objects(tmp_path)).items()}
    assert shown == {"a": names, "b": ["b.JPG"]}


def test_folders_are_classes_and_train_val_and_test_are_parts_in_any_order(tmp_path: Path):
    mesh(tmp_path / "train" / "chair" / "a.ply")
    mesh(tmp_path / "chair" / "test" / "b.ply")
    mesh(tmp_path / "meshes" / "sofa" / "c.PLY".lower())
    found = by_id(find_objects(tmp_path))
    assert {name: (source.label, source.split) for name, source in found.items()} == {
        "train/chair/a": ("chair", "train"),
        "chair/test/b": ("chair", "test"),
        "meshes/sofa/c": ("sofa", None),
    }


def test_a_folder_for_each_object_gives_it_its_name(tmp_path: Path):
    for name in ("chair/one", "chair/two", "sofa/three"):
        mesh(tmp_path / name / "mesh.glb")
    assert {name: source.label for name, source in by_id(find_objects(tmp_path)).items()} == {
        "chair/one": "chair",
        "chair/two": "chair",
        "sofa/three": "sofa",
    }


def test_pictures_are_found_in_their_folder_and_textures_are_none(tmp_path: Path):
    for name in ("a", "b", "c"):
        mesh(tmp_path / "chair" / f"{name}.obj")
        picture(tmp_path / "chair" / f"{name}.png")
    text(tmp_path / "chair" / "b.mtl", "newmtl wood\nmap_Kd b.png\n")
    picture(tmp_path / "images" / "a" / "0.png")
    picture(tmp_path / "images" / "a" / "1.jpg")
    shown = [[view.path.name for view in source.images] for source in find_objects(tmp_path).sources]
    assert shown == [["0.png", "1.jpg"], [], ["c.png"]]


def test_every_object_of_a_file_of_many_is_found_and_a_broken_file_is_left_to_be_reported(tmp_path: Path):
    voxels(tmp_path / "made.mat", voxels=np.stack([SHAPE, ~SHAPE])[:, None].astype(float))
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04")
    found = by_id(find_objects(tmp_path))
    assert list(found) == ["broken", "made#0", "made#1"]
    stands_right(found["made#0"])
    with pytest.raises(ValueError, match=r"cannot read .*broken\.npz"):
        read_occupancy(tmp_path / "broken.npz", key=found["broken"].key)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"train": ["a", "b"], "val": ["c"], "test": ["d"]}, ["train", "train", "val", "test"]),
        ({"chair/a": "train", "b.obj": "train", "c": "val", "d": "test"}, ["train", "train", "val", "test"]),
        ({"test": ["chair/d.obj"]}, ["train", "train", "train", "test"]),
        ({"train": ["a"], "test": ["d"]}, ["train", "test"]),
    ],
)
def test_splits_json_says_what_belongs_where(tmp_path: Path, caplog, content, expected):
    for name in "abcd":
        text(tmp_path / "chair" / f"{name}.obj", "never opened")
    text(tmp_path / "splits.json", json.dumps(content))
    with caplog.at_level(logging.WARNING):
        layout = find_objects(tmp_path)
    assert [source.split for source in layout.sources] == expected
    assert set(problems(layout).values()) <= {"splits.json does not list it"}
    assert len(layout.left_out) == 4 - len(expected)
    assert ("does not list 2 of 4 objects" in caplog.text) == (len(expected) == 2)


@pytest.mark.parametrize(
    "content", ["{", "3", '{"train": 3}', '{"half": ["a"]}', '["a"]', '{"train": ["z"]}', '{"train": [1]}']
)
def test_a_splits_json_that_fits_nothing_is_named(tmp_path: Path, content: str):
    text(tmp_path / "a.obj", "never opened")
    text(tmp_path / "splits.json", content)
    with pytest.raises(ValueError, match=r"splits\.json"):
        find_objects(tmp_path)


def test_a_path_without_objects_is_named_with_what_is_wanted(tmp_path: Path):
    picture(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"no meshes \(\.obj .*\) and no voxels \(\.binvox"):
        find_objects(tmp_path)
    with pytest.raises(ValueError, match=r"a\.png is not a mesh \(\.obj .*\), not voxels .* give a folder"):
        find_objects(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match=r"no such file or folder: .*gone"):
        find_objects(tmp_path / "gone")


def test_a_single_file_is_a_data_set_too_and_one_object_alone_is_trained_on(tmp_path: Path):
    mesh(tmp_path / "chair.STL")
    mesh(tmp_path / "other.obj")
    np.savez(tmp_path / "many.npz", np.stack([SHAPE, SHAPE]))
    (chair,) = find_objects(tmp_path / "chair.STL").sources
    assert (chair.id, chair.split, chair.mesh) == ("chair", "train", tmp_path / "chair.STL")
    assert [(source.id, source.split) for source in find_objects(tmp_path / "many.npz").sources] == [
        ("many#0", None),
        ("many#1", None),
    ]


def test_names_of_parts_are_compared_without_case(tmp_path: Path):
    mesh(tmp_path / "Train" / "chair" / "a.ply")
    mesh(tmp_path / "TEST" / "chair" / "b.ply")
    found = by_id(find_objects(tmp_path))
    assert [(source.label, source.split) for source in found.values()] == [("chair", "test"), ("chair", "train")]


def test_lists_that_are_pipes_keep_nobody_waiting(tmp_path: Path):
    mesh(tmp_path / "03001627" / "a" / "model.obj")
    os.mkfifo(tmp_path / "03001627" / "train.lst")
    with pytest.raises(UnreadableError, match=r"train\.lst is a pipe or device"):
        find_objects(tmp_path)


# splits


def test_a_declared_split_is_kept_and_the_other_objects_are_split_by_class_for_good():
    assert assign_split(Source(id="a", split="val")) == "val"
    for label in ("chair", "sofa"):
        parts = [assign_split(Source(id=str(number), label=label)) for number in range(2000)]
        shares = [parts.count(part) / 2000 for part in ("train", "val", "test")]
        np.testing.assert_allclose(shares, [0.75, 0.05, 0.2], atol=0.03)
    assert [assign_split(Source(id=str(number), label="chair")) for number in range(5)] == [
        *("train", "train", "val", "train", "test")
    ]
