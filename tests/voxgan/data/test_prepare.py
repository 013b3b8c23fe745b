"""Folders of meshes, voxels and pictures become data sets, whatever else lies among them."""

import csv
import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from gancore.locks import lock_folder
from voxgan.commands import PrepareConfig
from voxgan.data.layouts import find_objects
from voxgan.data.packed import open_packed_dataset
from voxgan.data.prepare import Job, prepare_dataset, run_jobs
from voxgan.data.prepared import Recipe
from voxgan.data.sources import Layout, Source
from voxgan.files.binvox import write_binvox

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


class Slow(Source):
    """Sleeps in Python, or in a library that no signal wakes."""

    def content_digest(self) -> bytes:
        if self.label == "library":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        time.sleep(3600)
        return b""


@pytest.mark.parametrize(("label", "workers"), [("python", 1), ("library", 2)])
def test_an_object_that_takes_too_long_is_named_and_costs_no_other(tmp_path, monkeypatch, label, workers):
    monkeypatch.setattr("voxgan.data.workers.GRACE", 0.2)
    recipe = Recipe(side=8, views=0, view_size=16, up=None, front=None, quality=None, seed=0)
    (good,) = find_objects(box(tmp_path / "meshes" / "good.stl")).sources
    jobs = [Job(each, recipe, tmp_path, max_minutes=0.02) for each in (Slow(id="slow", label=label), good)]
    jobs[1] = replace(jobs[1], max_minutes=10.0)
    outcomes = {outcome.source.id: outcome for outcome in run_jobs(jobs[:1], workers=workers)}
    outcomes |= {outcome.source.id: outcome for outcome in run_jobs(jobs[1:], workers=1)}
    assert "took longer than 0.02 minutes" in outcomes["slow"].reason
    assert outcomes["good"].shape_path


@pytest.mark.parametrize("name", ["pipe.obj", "pipe.npy", "picture.png", "a.mtl"])
def test_a_pipe_among_the_files_keeps_nobody_waiting(tmp_path, name):
    box(tmp_path / "meshes" / "a.obj")
    box(tmp_path / "meshes" / "picture.obj", (1, 1, 1))
    (tmp_path / "meshes" / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / "meshes" / name)
    prepared = prepare_dataset(config(tmp_path / "meshes"))
    assert {item.id for item in prepared.objects} == {"a", "picture"}
    assert [(each.id, each.reason) for each in prepared.failed] == (
        [("pipe", f"{name} is no regular file")] if name.startswith("pipe") else []
    )


def test_objects_in_formats_that_are_not_read_and_linked_folders_are_named(tmp_path):
    box(tmp_path / "meshes" / "a.obj")
    (tmp_path / "meshes" / "a.fbx").write_bytes(b"the same in another format")
    (tmp_path / "meshes" / "b.fbx").write_bytes(b"another")
    box(tmp_path / "elsewhere" / "c.obj")
    (tmp_path / "meshes" / "more").symlink_to(tmp_path / "elsewhere")
    prepare_dataset(config(tmp_path / "meshes"))
    reasons = {name: row["reason"] for name, row in manifest(tmp_path / "set").items()}
    assert reasons == {
        "a": "",
        "b.fbx": "files ending in .fbx are not read",
        "more": "it is a link to a folder, which is not followed",
    }


def picture(path: Path) -> Path:
    pixels = np.full((20, 20, 3), 255, np.uint8)
    pixels[5:15, 5:15] = (200, 30, 10)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


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


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(1)"])
def test_no_cell_of_the_manifest_is_a_formula(tmp_path, name):
    box(tmp_path / "meshes" / f"{name}.obj")
    box(tmp_path / "meshes" / "b.obj", (1, 1, 1))
    prepare_dataset(config(tmp_path / "meshes"))
    assert set(manifest(tmp_path / "set")) == {f"'{name}", "b"}
    assert {item.id for item in open_packed_dataset(str(tmp_path / "set")).objects} == {name, "b"}


def test_names_with_line_breaks_and_bytes_that_are_no_text_are_written_out(tmp_path):
    box(tmp_path / "meshes" / "a.obj")
    for name in (b"two\nlines.obj", b"caf\xe9.obj", b"\x1b[31m.obj"):
        content = (tmp_path / "meshes" / "a.obj").read_bytes()
        Path(os.fsdecode(os.fsencode(tmp_path / "meshes") + b"/" + name)).write_bytes(content)
    prepare_dataset(config(tmp_path / "meshes"))
    names = {item.id for item in open_packed_dataset(str(tmp_path / "set")).objects}
    assert names == {"a", r"two\nlines", r"caf\udce9", r"\x1b[31m"}


def test_of_two_objects_of_one_id_the_second_is_named(tmp_path):
    np.savez(tmp_path / "many.npz", np.ones((2, 4, 4, 4), bool))
    (tmp_path / "meshes").mkdir()
    os.replace(tmp_path / "many.npz", tmp_path / "meshes" / "many.npz")
    np.save(tmp_path / "meshes" / "many#1.npy", np.ones((4, 4, 4), bool))
    prepared = prepare_dataset(config(tmp_path / "meshes"))
    assert {item.id for item in prepared.objects} == {"many#0", "many#1"}
    assert [(each.id, each.reason) for each in prepared.failed] == [("many#1", "it has the id of another object")]


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
    assert "set.cache is read by this command" in said.err


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


def test_what_lacks_a_texture_is_not_made_anew_as_long_as_it_lacks_it(tmp_path):
    (textured(tmp_path / "meshes") / "wood.png").unlink()
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


def test_several_processes_make_the_same_as_one(tmp_path):
    for number in range(4):
        box(tmp_path / "meshes" / f"{number}.stl", (1, 2, 1 + number))
    (tmp_path / "meshes" / "empty.obj").write_text("")
    made = []
    for workers in (1, 2):
        prepare_dataset(config(tmp_path / "meshes", workers=workers, cache=tmp_path / f"cache{workers}"))
        made.append({path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()})
    assert made[0] == made[1]
