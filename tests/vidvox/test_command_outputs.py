"""No command writes over what it reads, or over what this package did not make; it says so before it loads anything."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.tiny import predictor

from vidgan.files.video import read_clip

PREDICT = "predict clip.npy -m run -o"
MESH = "mesh a.png -m run"
EACH = "mesh turn-1.png b.png -m run --grouping each"
COMPARE = "evaluate video --predictions THEIRS --ground_truth TRUTH"
OBJECTS = "evaluate voxels --predictions THEIRS --data TRUTH"
RATINGS = "ratings answers.json --key rate.key.json --out"
FORCE = " --overwrite"


@pytest.fixture
def place(tmp_path):
    """What a user may have: a clip, frames, pictures, a run whose weights are broken, clips of another tool."""
    for folder in ("frames", "run/best", "run/generator", "run/checkpoints", "THEIRS", "TRUTH", "old", "a.mp4"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("best", "generator"):
        (tmp_path / "run" / name / "config.json").write_text('{"model": "FramePredictor", "format": 1}')
        (tmp_path / "run" / name / "model.safetensors").write_text("rubbish")
    np.save(tmp_path / "clip.npy", np.zeros((4, 16, 16, 1), np.uint8))
    for name in ("frames/00000.png", "frames/00001.png", "a.png", "b.png", "mask.png", "turn-1.png", "alone/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    for name in ("old.mp4", "object-2.glb", "object-2.mp4", "answers.json", "old.json", "README.md", "old/report.json"):
        (tmp_path / name).write_text('"mine"')
    for name in ("rate.key.json", "old/report.html", "old/clip.npy", "THEIRS/0.npy", "TRUTH/0.npy", "text.txt"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "link.npy").symlink_to("clip.npy")
    (tmp_path / "gone.mp4").symlink_to("nowhere.mp4")
    os.link(tmp_path / "clip.npy", tmp_path / "hard.npy")
    os.mkfifo(tmp_path / "pipe.mp4")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if path.name != "__pycache__"
    }


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (f"{PREDICT} clip.npy", "clip.npy is an input too"),
        (f"{PREDICT} clip.npy{FORCE}", "clip.npy is an input too"),
        (f"{PREDICT} old/../clip.npy{FORCE}", "clip.npy is an input too"),
        (f"{PREDICT} link.npy{FORCE}", "link.npy is an input too"),
        (f"{PREDICT} hard.npy{FORCE}", "hard.npy is an input too"),
        (f"predict frames -m run -o frames{FORCE}", "frames is an input too"),
        (f"predict frames -m run -o frames/strip.png{FORCE}", "frames/strip.png lies in frames"),
        (f"{PREDICT} .{FORCE}", ". is the folder of clip.npy"),
        (f"{PREDICT} run{FORCE}", "run is the folder of run/best"),
        (f"{PREDICT} run/best{FORCE}", "run/best is an input too"),
        (f"{PREDICT} run/best/future.mp4", "lies in run/best"),
        (f"{PREDICT} run/generator/future.mp4", "lies in run/generator"),
        (f"{PREDICT} run/checkpoints/../best/model.npy", "lies in run/best"),
        (f"{PREDICT} old.mp4", "old.mp4 exists already; choose another output, or replace it with --overwrite"),
        (f"{PREDICT} gone.mp4", "gone.mp4 exists already"),
        (f"{PREDICT} pipe.mp4{FORCE}", "pipe.mp4 is a pipe or device"),
        (f"{PREDICT} /dev/stdout{FORCE}", "/dev/stdout is a pipe or device|cannot write /dev/stdout|exists already"),
        (f"{PREDICT} a.mp4{FORCE}", "a.mp4 is a folder"),
        (f"{PREDICT} text.txt/future.mp4", "cannot write text.txt/future.mp4: .*text.txt is not a folder"),
        (f"{PREDICT} alone{FORCE}", "cannot write alone: the folder holds other files than frames"),
        (f"{PREDICT} future.avi", "cannot write future.avi: its suffix must be one of"),
        (f"{PREDICT} .mp4", "cannot write .mp4: its suffix must be one of"),
        (f"{PREDICT} {'x' * 252}.mp4", "File name too long"),
        (f"generate video -m run -o run/best/a.mp4{FORCE}", "lies in run/best"),
        ("generate video -m run -o old.mp4", "old.mp4 exists already"),
        (f"{MESH} --preview a.png{FORCE}", "a.png is an input too"),
        (f"{MESH} --masks mask.png --preview mask.png{FORCE}", "mask.png is an input too"),
        (f"{MESH} --preview run/generator/turn.png", "lies in run/generator"),
        (f"{MESH} -o a.mp4{FORCE}", "a.mp4 is a folder"),
        (f"{MESH} -o new.glb --preview old/../new.glb", "new.glb is named for two outputs"),
        (f"{EACH} --preview turn.png{FORCE}", "turn-1.png is an input too"),
        (f"{EACH} -o object.glb", "object-2.glb exists already"),
        (f"{EACH} -o new.glb --preview object.mp4", "object-2.mp4 exists already"),
        ("generate voxels -m run -n 3 -o object.glb", "object-2.glb exists already"),
        (f"{COMPARE} -o THEIRS{FORCE}", "lies in THEIRS"),
        (f"{COMPARE} --rating_page TRUTH/rate.html{FORCE}", "lies in TRUTH"),
        (f"{COMPARE} --save_clips TRUTH/clips", "lies in TRUTH"),
        (f"{COMPARE} --save_clips THEIRS", "THEIRS is an input too"),
        (f"{COMPARE} --feature_cache THEIRS", "THEIRS is an input too"),
        (f"{COMPARE} --model run -o run/best/report", "lies in run/best"),
        (f"{COMPARE} -o old", "old/report.json exists already"),
        (f"{COMPARE} -o old{FORCE}", "old/report.json was not written by this program"),
        (f"{COMPARE} -o text.txt", "text.txt is not a folder"),
        (f"{COMPARE} --rating_page rate.html{FORCE}", "rate.key.json was not written by this program"),
        (f"{COMPARE} --save_clips old", "save_clips: old is not empty"),
        (f"{OBJECTS} -o TRUTH{FORCE}", "lies in TRUTH"),
        (f"{OBJECTS} -o old{FORCE}", "old/report.json was not written by this program"),
        (f"{OBJECTS} --probe_run run -o run/checkpoints", "lies in run/checkpoints"),
        (f"{RATINGS} answers.json{FORCE}", "answers.json is an input too"),
        (f"{RATINGS} rate.key.json{FORCE}", "rate.key.json is an input too"),
        (f"{RATINGS} old.json", "old.json exists already"),
        (f"push run user/name -o run/best{FORCE}", "run/best/README.md lies in run/best"),
        ("push run user/name -o .", "README.md exists already"),
        (f"push run user/name -o .{FORCE}", "README.md was not written by this program"),
    ],
)
def test_what_must_not_be_written_is_refused_before_a_model_is_loaded(place, run_vidvox, command, complaint):
    before = contents(place)
    said = run_vidvox(*command.split(" "))
    assert said.code == 2
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert ": error: " in line
    assert re.search(complaint, line)
    assert contents(place) == before


def test_what_exists_is_replaced_when_told_to_and_only_then(tmp_path, run_vidvox):
    predictor("modern").save_pretrained(tmp_path / "run" / "generator")
    np.save(tmp_path / "clip.npy", np.zeros((4, 16, 16, 1), np.uint8))
    for name in ("future:1.mp4", "%d.npy", "./-frames", "new/frame\udce9s.gif"):
        words = ["predict", "clip.npy", "-m", "run", f"--out={name}", "--steps"]
        assert run_vidvox(*words, 2).code == 0
        before = contents(tmp_path)
        assert "exists already" in run_vidvox(*words, 3).err
        assert contents(tmp_path) == before
        said = run_vidvox(*words, 3, "--overwrite")
        assert said.code == 0, said.err
        assert contents(tmp_path).keys() >= before.keys()
        assert contents(tmp_path) != before


def test_a_film_is_bare_where_that_is_asked_for(tmp_path, run_vidvox):
    predictor("modern").save_pretrained(tmp_path / "run" / "generator")
    np.save(tmp_path / "clip.npy", np.zeros((4, 16, 16, 1), np.uint8))
    words = ["predict", "clip.npy", "-m", "run", "--steps", 2, "-o"]
    assert run_vidvox(*words, "labelled.mp4").code == 0
    assert run_vidvox(*words, "bare.mp4", "--labels", "false").code == 0
    assert read_clip("labelled.mp4").frames.shape[0] == 4
    assert read_clip("bare.mp4").frames.shape == (2, 3, 16, 16)


def test_every_command_with_an_output_shows_how_to_replace_it(run_vidvox):
    for command in (
        "predict",
        "degrade",
        "mesh",
        "generate video",
        "generate voxels",
        "evaluate video",
        "ratings",
        "push",
    ):
        assert "--overwrite" in run_vidvox(*command.split(), "--help").out


def test_numbers_of_ratings_are_replaced_when_told_to(run_vidvox, tmp_path):
    (tmp_path / "rate.key.json").write_text(
        json.dumps({"page": "p", "question": "?", "pairs": [{"name": "a", "left": "x", "right": "y"}]})
    )
    (tmp_path / "answers.json").write_text(json.dumps({"page": "p", "rater": "Ann", "answers": {"0": "tie"}}))
    for _ in range(2):
        assert run_vidvox(*RATINGS.split(), "old.json", "--overwrite").code == 0
    assert "preferences" in json.loads((tmp_path / "old.json").read_text())
