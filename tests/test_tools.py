"""Every tool from end to end on tiny settings, and what it says where it cannot go on."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.calling import Said, called

from vidgan.files.video import read_clip, write_clip

ROOT = Path(__file__).resolve().parents[1]
TINY = f"--config={ROOT / 'configs' / 'video' / 'tiny.yaml'}"
PEDESTRIANS = str(files("vidgan") / "assets" / "pedestrians.mp4")
SHORT = ["--train.steps=4", "--train.log_every=2", "--train.preview_every=2", "--train.checkpoint_every=2"]
SMALL = ["--data.height=16", "--data.width=16", "--generator.channel_multipliers=4,2", "--train.cpu", "--train.batch=2"]


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The folder of a tiny prediction run."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert called("train_video", TINY, *SHORT, "--train.cpu", f"--run={folder}") == 0
    return folder


@pytest.fixture(scope="session")
def synthesis(tmp_path_factory):
    """The folder of a tiny run of class-conditional synthesis, and of its videos."""
    folder = tmp_path_factory.mktemp("synthesis")
    for label in ("left", "right"):
        for name in ("seen", "unseen"):
            frames = torch.randint(256, (8, 1, 16, 16), dtype=torch.uint8)
            write_clip(folder / "videos" / label / f"{name}.gif", frames, rate=10)
    flags = [
        "--data.path",
        folder / "videos",
        "--data.class_conditional",
        "--data.context_frames=0",
        "--data.clip_frames=4",
    ]
    flags += [
        "--data.holdout_prefixes=unseen",
        "--generator.output=frames",
        "--train.steps=2",
        "--train.preview_every=0",
    ]
    assert called("train_video", TINY, *SMALL, *flags, f"--run={folder / 'run'}") == 0
    return folder / "run"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------------------------ from end to end


def test_training_leaves_all_that_a_run_folder_promises(run):
    left = {path.name for path in run.iterdir()}
    assert {"config.json", "stats.jsonl", "samples", "generator", "checkpoint-00000004"} <= left
    assert {path.name for path in (run / "generator").iterdir()} == {"config.json", "model.safetensors"}
    assert {path.suffix for path in (run / "samples").iterdir()} == {".png", ".mp4"}
    lines = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "speed" in line] == [2, 4]


def test_a_finished_run_given_back_its_own_settings_changes_nothing(run, use):
    before = contents(run)
    said = use("train_video", f"--config={run / 'config.json'}", f"--run={run}")
    assert said.code == 0
    assert "trained at step 4 of 4" in said.out
    assert contents(run) == before


@pytest.mark.parametrize("name", ["new/future.mp4", "future.gif", "frames"])
def test_the_future_of_a_film_is_written_by_the_ending(run, use, name):
    flags = ["--size=24x32", "--samples=2", "--labels=false"]
    said = use("predict_video", PEDESTRIANS, "--model", run / "generator", "--out", name, *flags)
    assert said == Said(0, f"4 frames, 2 futures: {name}\n", "")
    clip = read_clip(name)
    assert clip.rate == 10
    assert clip.frames.shape == (4, 3, 24, 32 + 2 + 32)


def test_a_folder_of_frames_and_a_run_folder_are_enough(run, use):
    write_clip("frames", torch.zeros(6, 3, 16, 16, dtype=torch.uint8), rate=10)
    assert use("predict_video", "frames", "--model", run, "--out=future.GIF", "--labels=false").code == 0
    assert read_clip("future.GIF").frames.shape == (4, 3, 16, 16)


def test_one_video_is_enough_to_train_on(tmp_path, use):
    frames = torch.randint(256, (30, 3, 16, 16), dtype=torch.uint8)
    write_clip(tmp_path / "long.mp4", frames, rate=10)
    flags = ["--data.path", tmp_path / "long.mp4", "--train.steps=2", "--train.preview_every=0"]
    said = use("train_video", TINY, *SMALL, *flags, f"--run={tmp_path / 'run'}")
    assert said.code == 0, said.err


def test_a_strip_has_a_row_for_each_future(run, use):
    flags = [
        "--out=future.png",
        "--size=24,32",
        "--samples=3",
        "--steps=5",
        "--context_frames=2",
        "--start=40",
        "--stride=2",
        "--labels=false",
    ]
    assert use("predict_video", PEDESTRIANS, "--model", run / "generator", *flags).code == 0
    with Image.open("future.png") as strip:
        assert strip.size == (5 * 32, 3 * 24)


def test_an_array_keeps_the_models_channels(run, use):
    said = use("predict_video", PEDESTRIANS, f"--model={run / 'generator'}", "--out=future.npy", "--size=16x16")
    assert said.code == 0
    assert np.load("future.npy").shape == (4, 1, 16, 16)


def test_a_comparison_prints_scores_beside_the_last_frame_repeated(run, use):
    flags = ["--compare", "--size=24x32", "--samples=2", "--out=check.png"]
    said = use("predict_video", PEDESTRIANS, "--model", run / "generator", *flags)
    assert said.err == ""
    rows = [line.split("  ")[0] for line in said.out.splitlines()]
    assert rows == [
        "4 frames",
        "mean of 2 samples",
        "one sample",
        "last frame repeated",
        "4 frames, 2 futures: check.png",
    ]
    assert len(re.findall(r"\d+\.\d\d +-?0\.\d{3}", said.out)) == 3
    with Image.open("check.png") as sheet:
        assert sheet.width > 8 * 32


def test_an_older_file_gives_way_to_its_whole_successor(run, use):
    Path("future.gif").write_bytes(b"older")
    flags = ["--out=future.gif", "--size=16x16", "--labels=false"]
    said = use("predict_video", PEDESTRIANS, "--model", run / "generator", *flags)
    assert (said.code, Path("future.gif").read_bytes()) == (2, b"older")
    assert use("predict_video", PEDESTRIANS, "--model", run / "generator", *flags, "--overwrite").code == 0
    assert read_clip("future.gif").frames.shape == (4, 3, 16, 16)
    assert [path.name for path in Path().iterdir()] == ["future.gif"]


def test_an_evaluation_takes_the_data_of_the_run_and_writes_a_report(run, use):
    flags = ["--max_items=3", "--samples=2", "--data.clip_frames=6", "--out=new/report"]
    said = use("evaluate_video", "--model", run / "generator", *flags)
    assert said.code == 0
    assert said.out.startswith("moving-mnist, test: 3 clips of 32x32, 4 -> 2 frames, 2 samples, seed 0")
    report = json.loads(Path("new/report/report.json").read_text())
    assert report["protocol"]["data"]["clip_frames"] == 6
    assert len(report["prediction"]["by_lead_time"]["ssim"]["all black"]) == 2
    assert "optical flow" in Path("new/report/report.html").read_text()


def test_saved_clips_of_a_model_are_scored_as_the_model_and_people_may_choose(run, use):
    flags = ["--max_items=3", "--samples=2", "--networks=none"]
    model = use("evaluate_video", "--model", run / "generator", *flags, "--save_clips=saved")
    folders = ["--ground_truth=saved/truth", "--predictions=saved/predictions", "--context_frames=4"]
    files = use("evaluate_video", *folders, *flags, "--rating_page=pages/rate.html", "--rating_pairs=2")
    assert files.code == 0, files.err
    assert files.out.splitlines()[1:-2] == model.out.splitlines()[1:]
    assert files.out.splitlines()[-1].startswith("pages/rate.html is the rating page;")
    assert len(json.loads(Path("pages/rate.key.json").read_text())["pairs"]) == 2


def test_a_peer_is_trained_and_what_it_predicts_is_evaluated(use):
    flags = ["--data.channels=1", "--data.clip_frames=5", "--data.context_frames=3", *SMALL[:2]]
    limits = ["--steps=2", "--max_items=2", "--parameters=20000", "--cpu"]
    said = use("train_peer", "convlstm", *flags, *limits, "--out=peer")
    assert said.code == 0, said.err
    command = said.out.splitlines()[-1].split()
    assert command[:3] == ["vidvox", "evaluate", "video"]
    said = use("evaluate_video", *command[3:], "--networks=none", "--cpu")
    assert said.code == 0, said.err
    assert "constant-velocity sprites" in said.out
    other = use("train_peer", "simvp", *flags, *limits, "--ground_truth=peer/truth", "--out=other")
    assert other.code == 0, other.err
    assert {path.name for path in Path("other/predictions").iterdir()} == {"00000.npy", "00001.npy"}
    assert use("train_peer", "simvp", *flags, *limits, "--out=other").code == 2
    assert "convlstm or simvp" in use("train_peer", "unet", *flags, "--out=third").err


def test_whole_clips_made_from_noise_are_measured_as_a_set(synthesis, use):
    said = use("evaluate_video", "--model", synthesis / "generator", "--out=report", "--networks=colours")
    assert said.code == 0, said.err
    report = json.loads(Path("report/report.json").read_text())
    assert report["protocol"]["task"] == "synthesis"
    assert set(report["synthesis"]["diversity"]) == {"true", "samples"}


def test_clips_are_made_of_a_class_by_its_name_or_of_all(synthesis, use):
    made = []
    for number, flags in enumerate([["--label=right"], ["--label=1"], ["--label=left"], []]):
        out = f"{number}.npy"
        said = use("generate_video", f"--model={synthesis / 'generator'}", "--count=2", f"--out={out}", *flags)
        assert said == Said(0, f"2 clips of 4 frames: {out}\n", "")
        made.append(np.load(out))
    right, one, left, both = made
    assert np.array_equal(right, one)
    assert not np.array_equal(right, left)
    assert np.array_equal(both, np.stack([left[0], right[1]]))


def test_a_grid_of_clips_is_a_film(synthesis, use):
    flags = ["--count=3", "--steps=6", "--truncation=0.5", "--rate=5", "--out=samples.mp4"]
    assert use("generate_video", f"--model={synthesis / 'generator'}", *flags).code == 0
    clip = read_clip("samples.mp4")
    assert clip.rate == 5
    assert clip.frames.shape[:2] == (6, 3)
    assert min(clip.frames.shape[2:]) > 16 + 2 + 16


@pytest.mark.parametrize(
    "tool",
    ["train_video", "train_peer", "cut_films", "predict_video", "generate_video", "evaluate_video", "benchmark"],
)
def test_help_lists_every_setting_with_what_it_means(use, tool):
    said = use(tool, "--help")
    assert said.code == 0
    assert said.err == ""
    assert said.out.startswith(f"usage: {tool}.py")
    bare = [line for line in said.out.splitlines() if re.fullmatch(r"  --[\w.]+ \S+ +\(type.*", line)]
    assert not bare


# ----------------------------------------------------------------------------------------------------- bad input


@pytest.fixture
def bad(tmp_path, run, synthesis):
    """A folder of everything that can be wrong; its names stand in braces in the flags below."""
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.mp4").write_text("no film either")
    (tmp_path / "short").mkdir()
    write_clip(tmp_path / "short" / "short.mp4", torch.zeros(3, 3, 16, 16, dtype=torch.uint8), rate=10)
    np.save(tmp_path / "four.npy", np.zeros((16, 16, 16, 4), np.uint8))
    (tmp_path / "typo.yaml").write_text("train:\n  stepz: 3\n")
    (tmp_path / "type.yaml").write_text("train:\n  steps: many\n")
    (tmp_path / "twice.yaml").write_text("run: a\nrun: b\n")
    for name, damage in {"cut": lambda data: data[: len(data) // 2], "text": lambda _: b"no weights"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_bytes((run / "generator" / "config.json").read_bytes())
        weights = (run / "generator" / "model.safetensors").read_bytes()
        (tmp_path / name / "model.safetensors").write_bytes(damage(weights))
    other = json.loads((run / "generator" / "config.json").read_text())
    other["config"]["base_channels"] = 8
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(json.dumps(other))
    (tmp_path / "other" / "model.safetensors").write_bytes(weights)
    return {"bad": tmp_path, "run": run, "model": run / "generator", "synthesis": synthesis / "generator"}


PREDICT = [
    "predict_video",
    "{bad}/short/short.mp4",
    "--model={model}",
    "--size=16x16",
    "--context_frames=1",
    "--out=o.gif",
    "--overwrite",
]
TRAIN = ["train_video", TINY, "--train.cpu", "--run={bad}/run"]
MISTAKES = {
    "no such clip": (["predict_video", "none.mp4", "--model={model}"], "no such file or folder: none.mp4"),
    "a text as a clip": (["predict_video", "{bad}/text.mp4", "--model={model}"], "cannot read .*text.mp4 as a video"),
    "a clip too short": (["predict_video", "{bad}/short/short.mp4", "--model={model}"], "short.mp4 has 3 frames"),
    "a folder of clips": (
        ["predict_video", "{bad}/short", "--model={model}"],
        "short is a folder of videos",
    ),
    "an empty folder": (["predict_video", "{bad}/empty", "--model={model}"], "empty holds no images"),
    "four channels": (["predict_video", "{bad}/four.npy", "--model={model}"], "4 channels, which cannot become 1"),
    "no clip": (["predict_video", "--model={model}"], "CLIP is required"),
    "no model": ([*PREDICT, "--model={bad}/none"], "none is neither a folder with a model nor a Hub repository"),
    "no weights": ([*PREDICT, "--model={bad}/empty"], "empty holds no model"),
    "cut weights": ([*PREDICT, "--model={bad}/cut"], "cut/model.safetensors as the weights of a model"),
    "a text as weights": ([*PREDICT, "--model={bad}/text"], "text/model.safetensors as the weights of a model"),
    "other weights": ([*PREDICT, "--model={bad}/other"], "is of another architecture"),
    "another kind": ([*PREDICT, "--model={synthesis}"], "holds a VideoGenerator, not the FramePredictor"),
    "an unknown ending": ([*PREDICT, "--out=o.wmv"], "cannot write o.wmv: its suffix must be"),
    "below a file": ([*PREDICT, "--out={bad}/text.mp4/o.gif"], "cannot write .*text.mp4/o.gif"),
    "strip below a file": ([*PREDICT, "--compare", "--steps=1", "--out={bad}/text.mp4/o.png"], "text.mp4"),
    "over other files": ([*PREDICT, "--out={bad}/texts"], "the folder holds other files"),
    "an unknown flag": ([*PREDICT, "--sample=3"], "unknown key --sample; did you mean --samples"),
    "a wrong type": ([*PREDICT, "--samples=three"], "samples should be int, not three"),
    "a wrong size": ([*PREDICT, "--size=big"], "size should be HEIGHTxWIDTH or trained, not big"),
    "nothing to train on": ([*TRAIN, "--data.path={bad}/empty"], "no video.* in .*empty"),
    "no such source": ([*TRAIN, "--data.path={bad}/none"], "no such file or folder: .*none"),
    "texts to train on": (
        [*TRAIN, "--data.path={bad}/texts", "--data.holdout_fraction=0"],
        "no training clip.*videos found: 1",
    ),
    "sixteen of three": (
        [*TRAIN, "--data.path={bad}/short", "--data.clip_frames=16", "--data.holdout_fraction=0"],
        r"no training clip of 16 frames.*short\.mp4 has 3 frames",
    ),
    "no such config": ([*TRAIN, "--config={bad}/none.yaml"], "no such file: .*none.yaml"),
    "a typo": ([*TRAIN, "--config={bad}/typo.yaml"], "typo.yaml: unknown key train.stepz; did you mean train.steps"),
    "a wrong type in a file": ([*TRAIN, "--config={bad}/type.yaml"], "type.yaml: train.steps should be int, not many"),
    "a key twice": ([*TRAIN, "--config={bad}/twice.yaml"], "twice.yaml as settings: line 2: duplicate key run"),
    "an impossible pair": ([*TRAIN, "--data.context_frames=8"], "data.context_frames must lie in"),
    "a run below a file": ([*TRAIN, "--run={bad}/text.mp4/run"], "text.mp4/run as a run folder: Not a directory"),
    "another generator": (
        [*TRAIN, "--run={run}", "--generator.base_channels=8", "--train.steps=30"],
        r"the generator of .*checkpoint-00000004 is of another architecture",
    ),
    "no model to measure": (["evaluate_video", "--model={bad}/none"], "none is neither a folder with a model"),
    "a report below a file": (
        ["evaluate_video", "--model={model}", "--out={bad}/text.mp4/report"],
        "cannot write .*text.mp4 is not a folder",
    ),
    "channels to measure": (["evaluate_video", "--model={model}", "--data.channels=3"], "data.channels is 3, and"),
    "a setting to measure": (["evaluate_video", "--model={model}", "--data.hight=3"], "did you mean --data.height"),
    "a predictor to make": (["generate_video", "--model={model}"], "holds a FramePredictor, not the VideoGenerator"),
    "an unknown class": (
        ["generate_video", "--model={synthesis}", "--label=up"],
        "unknown class 'up'; choose from left, right",
    ),
    "no such class": (
        ["generate_video", "--model={synthesis}", "--label=2"],
        "choose from left, right, or a number from 0 to 1",
    ),
    "an unknown subject": (["benchmark", "music"], "subject should be .*video"),
    "an unknown preset": (
        ["benchmark", "video", "--presets=tiny,huge"],
        "presets: unknown preset huge; choose from tiny",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line_and_overwrites_nothing(use, bad, mistake):
    flags, complaint = MISTAKES[mistake]
    Path("o.gif").write_bytes(b"older")
    before = contents(bad["run"]) | contents(bad["bad"])
    tool, *rest = (flag.format(**bad) for flag in flags)
    said = use(tool, *rest)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith(f"{tool}.py: error: ")
    assert said.err.count("\n") == 1
    assert re.search(complaint, said.err), said.err
    assert contents(bad["run"]) | contents(bad["bad"]) == before


@pytest.mark.parametrize("mistake", ["no such clip", "sixteen of three"])
def test_a_mistake_is_as_clear_in_a_process_of_its_own(bad, mistake):
    flags, complaint = MISTAKES[mistake]
    tool, *rest = (flag.format(**bad) for flag in flags)
    command = [sys.executable, str(ROOT / "tools" / f"{tool}.py"), *rest]
    done = subprocess.run(command, capture_output=True, text=True, cwd=bad["bad"])
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"{tool}\.py: error: .*{complaint}.*\n", done.stderr), done.stderr
