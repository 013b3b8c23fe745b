"""Folders of meshes, voxels and pictures become data sets, whatever else lies among them."""

import csv
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from voxgan.commands import PrepareConfig
from voxgan.data.layouts import find_objects
from voxgan.data.packed import open_packed_dataset
from voxgan.data.prepare import Job, prepare_dataset, run_jobs
from voxgan.data.prepared import Recipe
from voxgan.data.sources import Source

TOOL = Path(__file__).resolve().parents[3] / "tools" / "prepare_shapes.py"
SMALL = {"side": 8, "views": 2, "view_size": 16, "workers": 1}
FLAGS = [f"--{name}={value}" for name, value in SMALL.items()]


@pytest.fixture
def use(use):
    """Runs the tool in a fresh folder but in this process."""
    return partial(use, "prepare_shapes")


def box(path: Path, extents: tuple[float, float, float] = (1, 2, 1)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    trimesh.creation.box(extents).export(path)
    return path


def config(folder: Path, **settings: object) -> PrepareConfig:
    return PrepareConfig(folder=folder, out=folder.with_name("set"), **{**SMALL, **settings})


def manifest(out: Path) -> dict[str, dict[str, str]]:
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


# ------------------------------------------------------------------------------------------------------ what it makes


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


def test_a_mesh_of_a_million_faces_is_refused_unless_it_is_allowed(tmp_path, use):
    (tmp_path / "meshes").mkdir()
    trimesh.creation.icosphere(subdivisions=8).export(tmp_path / "meshes" / "million.ply")
    said = use(tmp_path / "meshes", "--out", tmp_path / "set", *FLAGS, "--max-faces", "1000000")
    assert said.code == 2
    assert "1.311e+06 faces" in manifest(tmp_path / "set")["million"]["reason"]
    assert use(tmp_path / "meshes", "--out", tmp_path / "set", *FLAGS, "--max-faces", "2000000").code == 0
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


class Deadly(Source):
    """Kills the process that reads it."""

    def content_digest(self) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b""


def test_an_object_that_kills_its_process_costs_no_other(tmp_path):
    folder = tmp_path / "meshes"
    recipe = Recipe(side=8, views=0, view_size=16, up=None, front=None, quality=None, seed=0, max_faces=1000)
    for number in range(3):
        box(folder / f"{number}.stl", (1, 1, number + 1))
    sources = [*find_objects(folder).sources, Deadly(id="a/b")]
    outcomes = list(run_jobs([Job(source, recipe, tmp_path) for source in sources], workers=2))
    assert {outcome.source.id for outcome in outcomes if outcome.shape_path} == {"0", "1", "2"}
    (failed,) = (outcome for outcome in outcomes if not outcome.shape_path)
    assert "process died" in failed.reason


# ------------------------------------------------------------------------------------------------ stopped and resumed


def kept(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("[!.]*.zip")}


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path):
    for number in range(60):
        box(tmp_path / "meshes" / f"{number}.stl", (1, 1, 1 + number / 60))
    cache = tmp_path / "set.cache"
    command = [sys.executable, TOOL, tmp_path / "meshes", "--out", tmp_path / "set", *FLAGS, "--views=8"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:
        while len(kept(cache)) < 3 and run.poll() is None:
            time.sleep(0.01)
        run.kill()
    before = kept(cache)
    assert 3 <= len(before) < 60, "it was killed halfway"
    assert not (tmp_path / "set" / "dataset.json").exists()
    prepare_dataset(config(tmp_path / "meshes", views=8))
    after = kept(cache)
    assert len(after) == 60
    assert {name: after[name] for name in before} == before
    assert len(open_packed_dataset(str(tmp_path / "set"))) == 60


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
