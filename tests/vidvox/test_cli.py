"""The command line: its subcommands, their help, and what it says to a mistake."""

import re

import pytest

from vidvox import __version__
from vidvox.cli import COMMANDS, main


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, output and complaint of a command."""
    code = 0
    try:
        main(words)
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, *capsys.readouterr()


def test_the_overview_lists_every_command_with_what_it_does(capsys):
    code, out, err = said(capsys, "--help")
    assert (code, err) == (0, "")
    assert said(capsys) == said(capsys, "-h") == (code, out, err)
    for name, (_, summary) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", out, re.M)


def test_the_version_is_that_of_the_package(capsys):
    assert said(capsys, "--version") == (0, f"vidvox {__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_fits_on_a_page_or_two_and_names_it(capsys, name):
    code, out, err = said(capsys, *name.split(), "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: vidvox {name}")
    assert len(re.findall(r"^  -", out, re.M)) <= 18
    assert all(line.startswith(f"  vidvox {name}") for line in out.partition("examples:\n")[2].splitlines())


@pytest.mark.parametrize("name", ["evaluate video", "evaluate voxels", "generate video", "generate voxels"])
def test_a_command_of_several_tasks_has_a_help_for_each(capsys, name):
    short, long = (said(capsys, *name.split(), flag) for flag in ("--help", "--help-all"))
    assert (short[0], long[0]) == (0, 0)
    assert len(short[1]) <= len(long[1])
    assert "examples:" in short[1]


def test_the_rest_of_the_keys_is_shown_on_request_with_what_each_means(capsys):
    for task in ("video", "voxels"):
        _, short, _ = said(capsys, "train", task, "--help")
        _, long, _ = said(capsys, "train", task, "--help-all")
        assert "--generator.base_channels" not in short
        for key in ("--generator.base_channels", "--objective.penalties.r1", "--train.keep_checkpoints", "--processes"):
            assert re.search(rf"{re.escape(key)} [A-Z0-9_]+\s+\S", long), key


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["trian", "video"], r"unknown command trian; did you mean train\? \(vidvox --help lists all\)"),
        (
            ["train"],
            "say what to train: vidvox train video or vidvox train translation or vidvox train animation or vidvox "
            "train voxels",
        ),
        (["train", "--run=x"], "say what to train: .*"),
        (["train", "vidoe"], r"unknown command train vidoe; did you mean train video\?"),
        (["generate", "video"], "MODEL is required"),
        (["predict", "clip.mp4"], "no such file or folder: clip.mp4"),
        (["predict"], "CLIP is required"),
        (["predict", "clip.mp4", "-m", "mine"], "mine is neither a folder with a model nor a Hub repository in reach"),
        (["mesh", "-m", "mine"], "IMAGES is required: pictures of an object; .*"),
        (["mesh", "none.png", "-m", "mine"], "no such file: none.png"),
        (["train", "video", "none"], "no such file or folder: none; give the folder of your videos: .*"),
        (["train", "video"], "no such file or folder: VIDEOS; give the folder of your videos: .* FOLDER"),
        (["train", "voxels", "none"], "no such file or folder: none; give the folder of your meshes or data set: .*"),
        (["train", "video", "--config", "folder"], r"unknown recipe folder; did you mean folder_64\?"),
        (["train", "video", "--processes", "0"], "processes must be at least 1, got 0"),
        (["prepare", "none", "-o", "out"], "no such file or folder: none"),
        (["fetch"], "name the weights to get: .*"),
        (["fetch", "i4d"], ".*i4d.*"),
        (["push", "mine", "name"], "repo should be user/name, not name"),
        (["ratings", "none.json", "--key", "key.json"], "no such file: none.json"),
        (["show", "nothing"], "unknown recipe nothing .*"),
        (["benchmark", "music"], "subject should be .*"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_that_says_what_to_do(capsys, monkeypatch, tmp_path, words, complaint):
    monkeypatch.chdir(tmp_path)
    code, out, err = said(capsys, *words)
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"\S+: error: {complaint}\n", err), err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("voxels", ["furniture"]),
        ("video", ["pedestrians"]),
        ("video", ["--data.path=puppets"]),
        ("translation", ["--data.path", "physics"]),
        ("animation", ["puppets"]),
    ],
)
def test_a_name_that_is_a_folder_too_is_taken_for_neither(capsys, monkeypatch, tmp_path, kind, words):
    name = words[-1].rpartition("=")[2]
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    code, out, err = said(capsys, "train", kind, *words)
    assert (code, out) == (2, "")
    assert f"{name} is both built-in data and a file or folder here: write ./{name} for the latter" in err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_similar_name_is_offered_for_a_model_that_is_not_there(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    assert "did you mean runs/mine?" in said(capsys, "predict", "clip.mp4", "-m", "runs/mien")[2]
    assert "runs/mine holds no model" in said(capsys, "predict", "clip.mp4", "-m", "runs/mine")[2]
