"""The packed data set gives back what was put in, and says so where it cannot."""

import json
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from voxgan.data.packed import PackedDataset, PackedObject, encode_webp, open_packed_dataset, write_packed_dataset

RANDOM = np.random.default_rng(0)
OBJECTS = (
    PackedObject(id="chairs/a", label="chair", split="train", cameras=((30.0, 10.0), None), creator="Ada"),
    PackedObject(id="chairs/b", label="chair", split="test"),
    PackedObject(id="lamp", label="lamp", split="train", cameras=((0.0, -5.0),)),
)


def content(item: PackedObject, *, side: int = 5) -> tuple[np.ndarray, list[np.ndarray]]:
    random = np.random.default_rng(len(item.id))
    views = [random.integers(0, 256, (8, 8, 4), np.uint8) for _ in item.cameras]
    for view in views:
        view[..., 3] = 255
    return random.random((side, side, side)) > 0.5, views


def write(folder: Path, *, compressed: bool = False) -> Path:
    contents = ((voxels, [encode_webp(view) for view in views]) for voxels, views in map(content, OBJECTS))
    write_packed_dataset(folder, OBJECTS, contents=contents, side=5, compressed=compressed)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "set")


@pytest.mark.parametrize("compressed", [False, True])
def test_everything_comes_back_as_it_was(folder, compressed):
    write(folder, compressed=compressed)
    packed = open_packed_dataset(str(folder))
    assert (packed.side, packed.classes, packed.objects, len(packed)) == (5, ("chair", "lamp"), OBJECTS, 3)
    for index, item in enumerate(OBJECTS):
        voxels, views = content(item)
        np.testing.assert_array_equal(packed.occupancy(index), voxels)
        for number, view in enumerate(views):
            np.testing.assert_array_equal(packed.read_view(index, number), view)


def test_compressed_voxels_take_the_place_of_others_and_back(folder):
    for compressed, name in ((True, "occupancy.npz"), (False, "occupancy.npy")):
        write(folder, compressed=compressed)
        assert [path.name for path in folder.glob("occupancy*")] == [name]


def test_objects_are_listed_by_split(folder):
    packed = PackedDataset(folder)
    assert (packed.indices("train"), packed.indices("val"), packed.indices("test")) == ([0, 2], [], [1])


def test_only_some_classes_can_be_listed_and_stay_so_in_other_processes(folder):
    lamps = PackedDataset(folder).of_classes(["lamp"])
    assert lamps.indices("train") == [2]
    assert lamps.objects == OBJECTS
    assert pickle.loads(pickle.dumps(lamps)).indices("train") == [2]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(lamps.indices, "train").result() == [2]
    with pytest.raises(ValueError, match=r"has no sofa; there are chair, lamp"):
        lamps.of_classes(["sofa", "lamp"])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_loader_workers_read_the_same(folder, start):
    packed = PackedDataset(folder)
    here = packed.read_view(2, 0)
    with ProcessPoolExecutor(1, get_context(start)) as pool:
        np.testing.assert_array_equal(pool.submit(packed.read_view, 2, 0).result(), here)
    assert pickle.loads(pickle.dumps(packed)).objects == packed.objects


def test_a_view_of_lower_quality_is_smaller_and_keeps_its_alpha():
    view = np.zeros((32, 32, 4), np.uint8)
    view[8:24, 8:24] = RANDOM.integers(0, 256, (16, 16, 4))
    view[8:24, 8:24, 3] = 255
    assert len(encode_webp(view, quality=50)) < len(encode_webp(view)) / 2


def test_a_view_that_is_not_there_is_an_index_error(folder):
    with pytest.raises(IndexError, match=r"object 0 .* has no view 2"):
        PackedDataset(folder).read_view(0, 2)


def test_a_damaged_view_is_named(folder):
    content = bytearray((folder / "views.zip").read_bytes())
    content[80] ^= 255
    (folder / "views.zip").write_bytes(content)
    with pytest.raises(ValueError, match="view 0 of object 0 cannot be read: its checksum is wrong"):
        PackedDataset(folder).read_view(0, 0)


def test_files_of_two_data_sets_do_not_pass_for_one(folder):
    np.save(folder / "occupancy.npy", np.zeros((2, 16), np.uint8))
    with pytest.raises(ValueError, match=r"dataset.json and occupancy do not belong together"):
        PackedDataset(folder)


def test_views_of_another_data_set_are_refused(folder):
    described = json.loads((folder / "dataset.json").read_text())
    described["objects"][1]["cameras"] = [None]
    (folder / "dataset.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=r"dataset.json and views.zip do not belong together"):
        PackedDataset(folder).read_view(0, 0)


@pytest.mark.parametrize("missing", ["occupancy.npy", "views.zip"])
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(ValueError, match=f"has no {missing}"):
        open_packed_dataset(str(folder))


@pytest.mark.parametrize("text", ["", "[]", '{"side": 5, "classes": [], "objects": [{"name": 1}]}'])
def test_a_broken_description_is_one_clear_line(folder, text):
    (folder / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match="is not a readable packed data set"):
        open_packed_dataset(str(folder))


def test_a_folder_of_meshes_is_told_how_to_become_a_data_set(tmp_path):
    (tmp_path / "chair.obj").write_text("v 0 0 0")
    with pytest.raises(ValueError, match=r"make one .* vidvox prepare"):
        open_packed_dataset(str(tmp_path))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        open_packed_dataset(str(tmp_path / "nowhere"))


def test_a_failed_write_leaves_the_old_set_as_it_was(folder):
    def broken():
        yield content(OBJECTS[0])[0], [b"a", b"b"]
        raise RuntimeError("the disk is on fire")

    before = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    with pytest.raises(RuntimeError):
        write_packed_dataset(folder, OBJECTS, contents=broken(), side=5)
    assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == before
