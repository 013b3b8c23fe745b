"""Folders of meshes, voxels and pictures become data sets, whatever else lies among them."""

import errno
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from support.shapes import SMALL, box, kept, manifest, picture
from support.shapes import prepare_config as config

from gancore.files.locks import lock_folder
from voxgan.data.layouts import find_objects
from voxgan.data.packed import open_packed_dataset
from voxgan.data.prepare import prepare_dataset

TOOL = Path(__file__).resolve().parents[3] / "tools" / "prepare_shapes.py"
FLAGS = [f"--{name}={value}" for name, value in SMALL.items()]


@pytest.fixture
def use(use):
    """Runs the tool in a fresh folder but in this process."""
    return partial(use, "prepare_shapes")


# ------------------------------------------------------------------------------------------------------ what it makes


def test_fractions_of_its_own_are_kept_if_they_fit_and_scaled_voxels_are_full_or_empty(tmp_path):
    fractions = np.random.default_rng(0).random((8, 8, 8)).astype(np.float32)
    (tmp_path / "own").mkdir()
    np.save(tmp_path / "own" / "fits.npy", fractions)
    np.save(tmp_path / "own" / "large.npy", fractions.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    result = prepare_dataset(config(tmp_path / "own", occupancy="fractional", views=1, duplicate_iou=1.0))
    packed = open_packed_dataset(str(tmp_path / "set"))
    assert [item.id for item in result.objects] == ["fits", "large"]
    assert abs(packed.fractions(0) - fractions).max() < 1 / 255
    np.testing.assert_array_equal(packed.occupancy(0), fractions > 0.5)
    assert set(np.unique(packed.fractions(1))) == {0, 1}


def test_a_folder_of_classes_becomes_a_data_set(tmp_path):
    box(tmp_path / "meshes" / "tower" / "a.obj", (1, 2, 1))
    box(tmp_path / "meshes" / "slab" / "b.stl", (4, 1, 2))
    prepare_dataset(config(tmp_path / "meshes"))
    packed = open_packed_dataset(str(tmp_path / "set"))
    assert packed.classes == ("slab", "tower")
    slab, tower = packed.occupancy(0), packed.occupancy(1)
    assert (slab.sum(), tower.sum()) == (8 * 2 * 4, 4 * 8 * 4)
    assert tower[2:6, :, 2:6].all()
    for index in range(2):
        for number, (azimuth, elevation) in enumerate(packed.objects[index].cameras):
            assert 0 <= azimuth < 360
            assert -10 <= elevation <= 40
            alpha = packed.read_view(index, number)[..., 3]
            assert alpha.shape == (16, 16)
            assert alpha[8, 8] == 255
            assert alpha[0, 0] == 0


def test_the_axes_that_are_asked_for_are_turned_upright(tmp_path):
    mesh = trimesh.creation.box((1, 1, 3))
    mesh += trimesh.creation.box((1, 2, 1), trimesh.transformations.translation_matrix((0, 0.5, -1)))
    (tmp_path / "meshes").mkdir()
    mesh.export(tmp_path / "meshes" / "boot.stl")  # its toe points to y
    prepare_dataset(config(tmp_path / "meshes", up="z", front="y", side=12, views=0))
    boot = open_packed_dataset(str(tmp_path / "set")).occupancy(0)
    assert boot.any((0, 2)).all(), "it is highest along y"
    assert boot[:, :3, :].any((0, 1))[-4:].any(), "the toe is at the front"
    assert not boot[:, 6:, :].any((0, 1))[-4:].any(), "the shaft is not"


def test_voxels_and_pictures_of_its_own_are_kept(tmp_path):
    voxels = np.random.default_rng(0).random((8, 8, 8)) > 0.5
    (tmp_path / "own").mkdir()
    np.save(tmp_path / "own" / "rock.npy", voxels)
    picture = np.zeros((20, 20, 4), np.uint8)
    picture[5:15, 5:15] = (200, 30, 10, 255)
    Image.fromarray(picture).save(tmp_path / "own" / "rock.png")
    prepare_dataset(config(tmp_path / "own"))
    packed = open_packed_dataset(str(tmp_path / "set"))
    np.testing.assert_array_equal(packed.occupancy(0), voxels)
    assert packed.objects[0].cameras == (None,)
    assert packed.read_view(0, 0)[8, 8].tolist() == [200, 30, 10, 255]


def test_an_object_of_voxels_alone_is_looked_at_all_the_same(tmp_path):
    (tmp_path / "own").mkdir()
    voxels = np.zeros((8, 8, 8), bool)
    voxels[:, 0], voxels[:2] = True, True
    np.save(tmp_path / "own" / "corner.npy", voxels)
    prepare_dataset(config(tmp_path / "own"))
    packed = open_packed_dataset(str(tmp_path / "set"))
    assert len(packed.objects[0].cameras) == 2
    assert 0.1 < (packed.read_view(0, 0)[..., 3] > 127).mean() < 0.9


def test_every_view_shows_something_even_of_a_sheet(tmp_path):
    box(tmp_path / "meshes" / "sheet.stl", (1, 0.001, 1))
    prepare_dataset(config(tmp_path / "meshes", views=40))
    packed = open_packed_dataset(str(tmp_path / "set"))
    assert all((packed.read_view(0, number)[..., 3] > 127).any() for number in range(40))
    assert min(abs(elevation) for _, elevation in packed.objects[0].cameras) < 3


def test_a_single_mesh_becomes_a_data_set_to_train_on(tmp_path, use):
    said = use(box(tmp_path / "meshes" / "a.OBJ"), "--out", tmp_path / "set", *FLAGS)
    assert (said.code, said.out) == (0, f"1 objects (1 train, 0 val, 0 test), 0 failed: {tmp_path / 'set'}\n")


def test_declared_splits_are_kept(tmp_path):
    for part in ("train", "test"):
        for number in range(4):
            box(tmp_path / "meshes" / "box" / part / f"box_{part}{number}.off")
    prepared = prepare_dataset(config(tmp_path / "meshes", views=0))
    assert all(item.split in item.id for item in prepared.objects)


def test_near_duplicates_go_to_the_same_split(tmp_path):
    for number in range(12):
        for name in ("a", "b"):
            box(tmp_path / "meshes" / f"{name}{number}.stl", (1 + number % 4, 1 + number // 4, 4))

    def splits(**settings: object) -> list[tuple[str, str]]:
        prepared = prepare_dataset(config(tmp_path / "meshes", views=0, **settings))
        split = {item.id: item.split for item in prepared.objects}
        return [(split[f"a{number}"], split[f"b{number}"]) for number in range(12)]

    assert any(one != other for one, other in splits(duplicate_iou=1.0)), "hashes alone separate some"
    together = splits()
    assert all(one == other for one, other in together)
    assert len(set(together)) > 1


# ------------------------------------------------------------------------------------------- what is wrong with some


def spoil(folder: Path) -> None:
    """An empty mesh, one of NaN, a text, a truncated one that promises the world, and a flat one."""
    (folder / "empty.obj").write_text("")
    (folder / "nan.obj").write_text("v 0 0 0\nv nan 0 0\nv 0 1 nan\nv 0 0 1\nf 1 2 3\nf 1 2 4\n")
    (folder / "text.obj").write_text("Dear reader,\nthis is not a mesh.\n")
    promise = "ply\nformat binary_little_endian 1.0\nelement vertex 1000000000000\nproperty float x\nproperty float y\n"
    (folder / "promise.ply").write_text(promise + "property float z\nend_header\n\x01\x02")
    (folder / "flat.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 0 1\nf 1 2 3\n")


REASONS = {"empty": "no faces", "nan": "not numbers", "text": "text.obj", "promise": "promise.ply", "flat": "flat"}


def test_what_fails_is_named_with_its_reason_and_the_rest_goes_on(tmp_path, use):
    box(tmp_path / "meshes" / "good.obj")
    spoil(tmp_path / "meshes")
    said = use(tmp_path / "meshes", "--out", tmp_path / "set", *FLAGS)
    assert said.code == 0
    assert "1 object" in said.out
    assert "5 failed" in said.out
    rows = manifest(tmp_path / "set")
    assert {name for name, row in rows.items() if row["status"] == "ok"} == {"good"}
    for name, reason in REASONS.items():
        assert rows[name]["status"] == "failed"
        assert reason in rows[name]["reason"]
        assert "\n" not in rows[name]["reason"]


def test_a_mesh_of_more_faces_than_are_allowed_is_refused(tmp_path, use):
    (tmp_path / "meshes").mkdir()
    trimesh.creation.icosphere(subdivisions=4).export(tmp_path / "meshes" / "ball.ply")
    said = use(tmp_path / "meshes", "--out", tmp_path / "set", *FLAGS, "--max-faces", "5000")
    assert said.code == 2
    assert "5,120 faces" in manifest(tmp_path / "set")["ball"]["reason"]
    assert use(tmp_path / "meshes", "--out", tmp_path / "set", *FLAGS, "--max-faces", "6000").code == 0
    packed = open_packed_dataset(str(tmp_path / "set"))
    assert packed.occupancy(0).sum() == pytest.approx(np.pi / 6 * 8**3, rel=0.2)


def test_nothing_but_failures_is_one_line(tmp_path, use):
    (tmp_path / "meshes").mkdir()
    spoil(tmp_path / "meshes")
    said = use(tmp_path / "meshes", "--out", tmp_path / "set", *FLAGS)
    assert said.code == 2
    last = said.err.splitlines()[-1]
    assert "none of the 5 objects" in last
    assert "manifest.csv says why" in last
    assert "Traceback" not in said.err
    assert manifest(tmp_path / "set").keys() == REASONS.keys()
    assert not (tmp_path / "set" / "dataset.json").exists()


def test_a_folder_without_objects_is_one_line(tmp_path, use):
    (tmp_path / "meshes").mkdir()
    said = use(tmp_path / "meshes", "--out", tmp_path / "set")
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert "meshes" in said.err
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("--side=1", "side must lie between 4 and 256"),
        ("--duplicate-iou=2", "duplicate_iou must"),
        ("--quality=101", "quality must"),
        ("--workers=0", "workers must lie between 1"),
        ("--out=meshes/set", "out must not lie inside"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(tmp_path, use, monkeypatch, flag, complaint):
    monkeypatch.chdir(tmp_path)
    said = use("meshes", "--out=set", flag)
    assert said.code == 2
    assert complaint in said.err


@pytest.mark.parametrize("name", ["pipe.obj", "pipe.npy", "picture.png", "a.mtl"])
def test_a_pipe_among_the_files_keeps_nobody_waiting(tmp_path, name):
    box(tmp_path / "meshes" / "a.obj")
    box(tmp_path / "meshes" / "picture.obj", (1, 1, 1))
    (tmp_path / "meshes" / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / "meshes" / name)
    prepared = prepare_dataset(config(tmp_path / "meshes"))
    assert {item.id for item in prepared.objects} == {"a", "picture"}
    assert [(each.id, each.reason) for each in prepared.failed] == (
        [("pipe", f"{name} is not a regular file")] if name.startswith("pipe") else []
    )


def test_of_many_pictures_the_one_that_cannot_be_read_is_named_and_the_others_are_kept(tmp_path):
    box(tmp_path / "meshes" / "a.obj")
    for number in range(4):
        picture(tmp_path / "meshes" / "images" / "a" / f"{number}.png")
    (tmp_path / "meshes" / "images" / "a" / "1.png").write_bytes(b"no picture")
    prepared = prepare_dataset(config(tmp_path / "meshes", views=3))
    row = manifest(tmp_path / "set")["a"]
    assert (row["status"], row["views"]) == ("ok", "3"), "the fourth stands in for the second"
    assert "1.png" in row["reason"]
    assert str(prepared).endswith("0 failed, 1 incomplete")
    picture(tmp_path / "meshes" / "images" / "a" / "1.png")
    prepare_dataset(config(tmp_path / "meshes", views=4))
    assert manifest(tmp_path / "set")["a"]["reason"] == ""


def test_an_object_none_of_whose_pictures_can_be_read_fails(tmp_path):
    box(tmp_path / "meshes" / "b.obj")
    box(tmp_path / "meshes" / "a.obj")
    (tmp_path / "meshes" / "a.png").write_bytes(b"no picture")
    (failed,) = prepare_dataset(config(tmp_path / "meshes")).failed
    assert failed.id == "a"
    assert "none of its 1 pictures can be read" in failed.reason


def test_a_picture_above_the_limit_is_read_when_the_limit_is_raised(tmp_path):
    box(tmp_path / "meshes" / "a.obj")
    for number in range(2):
        picture(tmp_path / "meshes" / "images" / "a" / f"{number}.png")
    Image.new("RGB", (1500, 1500)).save(tmp_path / "meshes" / "images" / "a" / "2.png")
    assert find_objects(tmp_path / "meshes").sources[0].images[2].path.name == "2.png"
    cached = {"cache": tmp_path / "cache", "views": 3}
    prepare_dataset(config(tmp_path / "meshes", **cached))
    prepare_dataset(config(tmp_path / "meshes", **cached, max_megapixels=3.0))
    assert len(kept(tmp_path / "cache")) == 1


# ---------------------------------------------------------------------------------- what must not be written or removed


@pytest.mark.parametrize("out", ["meshes", ".", "meshes/a", "meshes/../meshes"])
def test_the_output_is_neither_the_input_nor_around_it(tmp_path, use, out):
    before = box(tmp_path / "meshes" / "a.obj").read_bytes()
    said = use("meshes", "--out", out, *FLAGS)
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert [path.name for path in (tmp_path / "meshes").iterdir()] == ["a.obj"]
    assert (tmp_path / "meshes" / "a.obj").read_bytes() == before


@pytest.mark.parametrize("name", ["notes.txt", "dataset.json", "occupancy.npy", "manifest.csv", "folder"])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path, use, name):
    box(tmp_path / "meshes" / "a.obj")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_text('{"name": "mine"}')
    said = use("meshes", "--out", "set", *FLAGS)
    assert said.code == 2
    assert f"vidvox prepare did not make ({name})" in said.err
    assert {path.name for path in (tmp_path / "set").iterdir()} == {name}
    assert (tmp_path / "set" / name).read_text() == '{"name": "mine"}'


def test_the_cache_of_another_folder_may_not_be_the_input(tmp_path, use):
    box(tmp_path / "set.cache" / "a.obj")
    said = use("set.cache", "--out", "set", *FLAGS)
    assert said.code == 2
    assert "set.cache is an input too" in said.err


def test_two_preparations_into_one_folder_are_one_line(tmp_path, use):
    box(tmp_path / "meshes" / "a.obj")
    with lock_folder(tmp_path / "set"):
        said = use("meshes", "--out", "set", *FLAGS)
    assert said.code == 2
    assert f"in use by process {os.getpid()}" in said.err
    assert use("meshes", "--out", "set", *FLAGS).code == 0


def test_a_full_disk_is_one_line_and_what_was_there_stays_whole(tmp_path, use, monkeypatch):
    box(tmp_path / "meshes" / "a.obj")
    prepare_dataset(config(tmp_path / "meshes"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    box(tmp_path / "meshes" / "b.obj", (1, 1, 1))

    def full(path: Path, *_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    said = use("meshes", "--out", "set", *FLAGS)
    monkeypatch.undo()
    assert said.code == 2
    assert "No space left on device" in said.err.splitlines()[-1]
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()} == before


def test_what_killed_preparations_left_is_swept(tmp_path):
    box(tmp_path / "meshes" / "a.obj")
    prepare_dataset(config(tmp_path / "meshes"))
    for folder in ("set", "set.cache"):
        (tmp_path / folder / ".partial-0123456789abcdef-views.zip").write_bytes(b"left")
        (tmp_path / folder / ".partial-0123456789abcdef-scratch").mkdir()
    prepare_dataset(config(tmp_path / "meshes"))
    assert not list(tmp_path.rglob(".partial-*"))


# ------------------------------------------------------------------------------------------------ stopped and resumed


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path):
    for number in range(30):
        box(tmp_path / "meshes" / f"{number}.stl", (1, 1, 1 + number / 30))
    cache = tmp_path / "set.cache"
    command = [sys.executable, TOOL, tmp_path / "meshes", "--out", tmp_path / "set", *FLAGS, "--views=8"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:
        while len(kept(cache)) < 3 and run.poll() is None:
            time.sleep(0.01)
        run.kill()
    before = kept(cache)
    assert 3 <= len(before) < 30, "it was killed halfway"
    assert not (tmp_path / "set" / "dataset.json").exists()
    prepare_dataset(config(tmp_path / "meshes", views=8))
    after = kept(cache)
    assert len(after) == 30
    assert {name: after[name] for name in before} == before
    assert len(open_packed_dataset(str(tmp_path / "set"))) == 30


def test_only_what_has_changed_is_made_anew(tmp_path):
    box(tmp_path / "meshes" / "a.stl")
    box(tmp_path / "meshes" / "b.stl", (2, 1, 1))
    prepare_dataset(config(tmp_path / "meshes"))
    before = kept(tmp_path / "set.cache")
    box(tmp_path / "meshes" / "b.stl", (1, 1, 1))
    prepare_dataset(config(tmp_path / "meshes"))
    after = kept(tmp_path / "set.cache")
    assert before.items() < after.items()
    assert len(after) == 3
    assert open_packed_dataset(str(tmp_path / "set")).occupancy(1).all()


def test_several_processes_make_the_same_as_one(tmp_path):
    for number in range(4):
        box(tmp_path / "meshes" / f"{number}.stl", (1, 2, 1 + number))
    (tmp_path / "meshes" / "empty.obj").write_text("")
    made = []
    for workers in (1, 2):
        prepare_dataset(config(tmp_path / "meshes", workers=workers, cache=tmp_path / f"cache{workers}"))
        made.append({path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()})
    assert made[0] == made[1]
