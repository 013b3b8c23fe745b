"""The packed data set gives back what was put in, and says so where it cannot."""

import hashlib
import json
import os
import pickle
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from gancore.errors import UnreadableError, UnwritableError
from voxgan.data.packed import PackedDataset, PackedObject, encode_webp, open_packed_dataset, write_packed_dataset
from voxgan.data.stored_voxels import filled_voxels, pack_voxels, to_fractions, to_levels, unpack_voxels

RANDOM = np.random.default_rng(0)
OBJECTS = (
    PackedObject(id="chairs/a", label="chair", split="train", cameras=((30.0, 10.0), None), creator="Ada"),
    PackedObject(id="chairs/b", label="chair", split="test"),
    PackedObject(id="lamp", label="lamp", split="train", cameras=((0.0, -5.0),)),
)


def content(item: PackedObject, *, side: int = 5, fractional: bool = False) -> tuple[np.ndarray, list[np.ndarray]]:
    random = np.random.default_rng(len(item.id))
    views = [random.integers(0, 256, (8, 8, 4), np.uint8) for _ in item.cameras]
    for view in views:
        view[..., 3] = 255
    fractions = random.random((side, side, side))
    return to_levels(fractions) if fractional else fractions > 0.5, views


def write(folder: Path, *, compressed: bool = False, fractional: bool = False) -> Path:
    objects = (content(item, fractional=fractional) for item in OBJECTS)
    contents = ((voxels, [encode_webp(view) for view in views]) for voxels, views in objects)
    write_packed_dataset(folder, OBJECTS, contents=contents, side=5, compressed=compressed, fractional=fractional)
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


def test_how_full_voxels_are_comes_back_and_of_binary_ones_it_is_none_or_all(folder):
    binary = open_packed_dataset(str(folder))
    packed = open_packed_dataset(str(write(folder.with_name("full"), fractional=True)))
    assert (binary.fractional, packed.fractional) == (False, True)
    assert packed.objects == binary.objects
    for index, item in enumerate(OBJECTS):
        levels, _ = content(item, fractional=True)
        np.testing.assert_array_equal(packed.stored_voxels(index), levels)
        np.testing.assert_array_equal(packed.fractions(index), levels.astype(np.float32) / 255)
        np.testing.assert_array_equal(packed.occupancy(index), binary.occupancy(index))
        np.testing.assert_array_equal(binary.fractions(index), binary.occupancy(index).astype(np.float32))
    assert pickle.loads(pickle.dumps(packed)).fractions(1).dtype == np.float32


def test_levels_are_above_one_half_where_fractions_are():
    fractions = np.array([0, 0.2, 0.4999, 0.5, np.nextafter(0.5, 1), 0.501, 0.9, 1]).reshape(2, 2, 2)
    levels = to_levels(fractions)
    np.testing.assert_array_equal(filled_voxels(levels), fractions > 0.5)
    assert levels.ravel()[[0, -1]].tolist() == [0, 255]
    assert abs(to_fractions(levels) - fractions).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("side", [4, 6])
def test_levels_of_another_grid_are_refused(side):
    with pytest.raises(ValueError, match=f"its voxels do not form a grid of {side} a side"):
        unpack_voxels(pack_voxels(np.zeros((5, 5, 5), np.uint8)), side, fractional=True)


def test_compressed_voxels_take_the_place_of_others_and_back(folder):
    for settings, name in (
        ({"compressed": True}, "occupancy.npz"),
        ({"fractional": True}, "occupancy.zlib"),
        ({}, "occupancy.npy"),
    ):
        write(folder, **settings)
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "its voxels do not match its format"),
        ({"sizes": [1, 2]}, "it does not have a voxel size for each object"),
        ({"sizes": [1, 2, 3]}, "its voxel sizes do not add up to the size of their file"),
        ({"sizes": [0, 0.5, "3"]}, "a voxel size is not a positive number"),
        ({"sizes": []}, "its voxels do not match its format"),
        ({"sizes": None}, "its sizes is missing or of the wrong type"),
    ],
)
def test_sizes_of_fractional_voxels_that_make_no_sense_are_one_line(folder, changes, message):
    write(folder, fractional=True)
    described = json.loads((folder / "dataset.json").read_text())
    occupancy = described["occupancy"] | {name: value for name, value in changes.items() if name == "sizes"}
    sign(folder, **{name: value for name, value in changes.items() if name == "format"}, occupancy=occupancy)
    with pytest.raises(UnreadableError, match=message):
        PackedDataset(folder)


def test_files_of_two_data_sets_do_not_pass_for_one(folder):
    np.save(folder / "occupancy.npy", np.zeros((2, 16), np.uint8))
    with pytest.raises(ValueError, match=r"dataset.json and occupancy do not belong together"):
        PackedDataset(folder)


def other_content(item: PackedObject) -> tuple[np.ndarray, list[bytes]]:
    """An object and views like those of `content`, and of the same sizes in bytes, but of another meaning."""
    voxels, views = content(item)
    return ~voxels, [encode_webp(view[::-1]) for view in views]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("replaced", ["occupancy", "views"])
def test_a_set_that_was_replaced_only_in_part_is_refused(tmp_path, folder, compressed, replaced):
    write(folder, compressed=compressed)
    contents = map(other_content, OBJECTS)
    write_packed_dataset(tmp_path / "other", OBJECTS, contents=contents, side=5, compressed=compressed)
    (part,) = folder.glob(f"{replaced}*")
    part.write_bytes((tmp_path / "other" / part.name).read_bytes())
    with pytest.raises(UnreadableError, match=rf"dataset.json and {replaced}.* do not belong together"):
        PackedDataset(folder)


def test_views_are_held_against_the_description_also_where_their_file_has_the_same_size(folder):
    content = bytearray((folder / "views.zip").read_bytes())
    content[content.rindex(b"PK\x01\x02") + 16] ^= 1  # the checksum of a view
    (folder / "views.zip").write_bytes(content)
    with pytest.raises(UnreadableError, match=r"dataset.json and views.zip do not belong together"):
        PackedDataset(folder)


def test_voxels_that_change_after_opening_are_never_given(folder):
    packed = PackedDataset(folder)
    voxels = packed.occupancy(0)
    with (folder / "occupancy.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    np.testing.assert_array_equal(packed.occupancy(0), voxels)
    with pytest.raises(UnreadableError, match="other voxels of lamp"):
        packed.occupancy(2)


@pytest.mark.parametrize("name", ["occupancy.npy", "views.zip"])
def test_a_file_that_is_cut_short_while_it_is_in_use_is_one_line(folder, name):
    packed = PackedDataset(folder)
    packed.read_view(0, 0)
    (folder / name).write_bytes(b"")
    with pytest.raises(UnreadableError, match=rf"{name} .*cut short"):
        packed.occupancy(2) if name == "occupancy.npy" else packed.read_view(2, 0)


def test_a_set_in_use_stays_as_it_was_when_it_is_prepared_anew_and_other_processes_notice(folder):
    packed = PackedDataset(folder)
    voxels, view = packed.occupancy(0), packed.read_view(0, 1)
    write_packed_dataset(folder, OBJECTS, contents=map(other_content, OBJECTS), side=5)
    np.testing.assert_array_equal(packed.occupancy(0), voxels)
    np.testing.assert_array_equal(packed.read_view(0, 1), view)
    with pytest.raises(UnreadableError, match="prepared again while it was in use"):
        pickle.loads(pickle.dumps(packed))


def sign(folder: Path, **changes: object) -> None:
    """Changes the description, with the digest that belongs to it."""
    described = json.loads((folder / "dataset.json").read_text()) | changes
    head = {"format": described.pop("format"), "digest": described.pop("digest")}
    body = json.dumps(described)[1:] + "\n"
    head["digest"] = hashlib.blake2b(body.encode(), digest_size=32).hexdigest()
    (folder / "dataset.json").write_text(json.dumps(head)[:-1] + ",\n" + body)


def test_a_description_that_was_signed_anew_is_read(folder):
    sign(folder)
    assert PackedDataset(folder).objects == OBJECTS


OBJECT = {"id": "a", "label": "", "split": "train", "cameras": [], "creator": "", "licence": "", "voxels": "0" * 16}


@pytest.mark.parametrize(
    "changes",
    [
        {"side": "5"},
        {"side": True},
        {"side": 10**9},
        {"side": 6},
        {"classes": ["lamp", "chair"]},
        {"objects": {}},
        {"objects": []},
        {"objects": [3]},
        {"occupancy": {"name": "../other.npy", "bytes": 176}},
        {"occupancy": {"name": "/etc/passwd", "bytes": 176}},
        {"occupancy": "occupancy.npy"},
        {"views": {"bytes": -1, "directory": -5, "digest": ""}},
        *({"classes": [], "objects": [OBJECT | change]} for change in (
            {"id": 3}, {"id": ""}, {"id": "../x"}, {"id": "/x"}, {"id": "x" * 5000}, {"split": "half"}, {"label": None},
            {"cameras": [[float("nan"), 0.0]]}, {"cameras": [[1.0]]}, {"cameras": [["1", 2]]}, {"cameras": {}},
            {"voxels": 3}, {"extra": 1}, {},
        )),
        {"classes": [], "objects": [OBJECT, OBJECT, OBJECT]},
    ],
)  # fmt: skip
def test_a_description_that_makes_no_sense_is_one_line(folder, changes):
    sign(folder, **changes)
    with pytest.raises(UnreadableError) as caught:
        PackedDataset(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def flips(path: Path, positions: Iterable[int]) -> Iterator[None]:
    """Puts the file in place once for each position, with one bit there flipped."""
    sound = path.read_bytes()
    for position in positions:
        flipped = sound[position] ^ 1 << int(RANDOM.integers(8))
        path.write_bytes(sound[:position] + bytes([flipped]) + sound[position + 1 :])
        yield


def test_no_flipped_bit_of_a_description_goes_unnoticed(folder):
    path = folder / "dataset.json"
    after_digest = path.read_bytes().index(b"\n")
    for _ in flips(path, range(after_digest + 1, path.stat().st_size, 5)):
        with pytest.raises(UnreadableError, match=re.escape(str(folder))):
            PackedDataset(folder)
    for _ in flips(path, range(after_digest)):
        with suppress(UnreadableError):
            assert PackedDataset(folder).objects == OBJECTS


@pytest.mark.parametrize("name", ["occupancy.npy", "occupancy.npz", "occupancy.zlib", "views.zip"])
def test_no_flipped_bit_of_the_other_files_gives_another_object(folder, name):
    fractional = name.endswith("zlib")
    write(folder, compressed=name.endswith("npz"), fractional=fractional)
    truth = [content(item, fractional=fractional) for item in OBJECTS]
    for _ in flips(folder / name, RANDOM.integers(0, (folder / name).stat().st_size, 20)):
        with suppress(UnreadableError):
            packed = PackedDataset(folder)
            for index, (voxels, views) in enumerate(truth):
                np.testing.assert_array_equal(packed.stored_voxels(index), voxels)
                for number, view in enumerate(views):
                    np.testing.assert_array_equal(packed.read_view(index, number), view)


def test_a_set_of_an_older_version_is_to_be_prepared_again(folder):
    old = {"side": 5, "occupancy": "occupancy.npy", "classes": [], "objects": []}
    (folder / "dataset.json").write_text(json.dumps(old))
    with pytest.raises(UnreadableError, match="by an older version; prepare the data set again"):
        open_packed_dataset(str(folder))
    sign(write(folder), format=4)
    with pytest.raises(UnreadableError, match="it is of format 4, and this version reads 2 and 3"):
        open_packed_dataset(str(folder))


def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(folder):
    for name in ("views.zip", "occupancy.npy", "dataset.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(UnreadableError, match="is a pipe or device"):
            PackedDataset(folder)


def test_voxels_that_unpack_to_more_than_they_should_are_refused_before(folder):
    write(folder, compressed=True)
    np.savez_compressed(folder / "occupancy.npz", np.zeros((10**5, 16), np.uint8))
    with pytest.raises(UnreadableError, match=r"of shape \(100000, 16\)"):
        PackedDataset(folder)


@pytest.mark.parametrize("missing", ["occupancy.npy", "views.zip"])
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(ValueError, match=f"has no {missing}"):
        open_packed_dataset(str(folder))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "\x00", "[" * 200, '{"side": 5, "classes": [], "objects": [{"name": 1}]}', '{"format": "2"}'],
)
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
    with pytest.raises(UnwritableError, match="the disk is on fire"):
        write_packed_dataset(folder, OBJECTS, contents=broken(), side=5)
    assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == before
