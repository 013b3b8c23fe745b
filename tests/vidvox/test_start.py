"""Help, a typo and a missing model are answered before anything large is imported."""

import os
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest

from gancore.model_files import find_bundled_models

ROOT = Path(__file__).resolve().parents[2]
RUNS = 5
"""Starts of which the cheapest counts, so that a busy machine does not matter."""
LARGE = ("torch", "numpy", "yaml", "huggingface_hub", "av", "trimesh")

ANSWERS = {
    "help": (["--help"], 0),
    "the help of a command": (["train", "video", "--help"], 0),
    "every key of a command": (["train", "voxels", "--help-all"], 0),
    "a command with a typo": (["trian", "video"], 2),
    "a key with a typo": (["train", "video", "VIDEOS", "--train.step=3"], 2),
    "no model": (["predict", "clip.mp4"], 2),
    "a model that is not there": (["predict", "clip.mp4", "-m", "runs/none"], 2),
    "the help of a command that translates": (["upscale", "--help"], 0),
    "a film that is not there": (["restore", "film.mp4"], 2),
    "a model to translate that does not come with the package": (["restore", "runs", "-m", "vidvox/none"], 2),
    "nothing to fill": (["fill", "film.mp4"], 2),
    "a model that is not there to measure": (["evaluate", "none"], 2),
    "a folder that is not there to recognise": (["recognise", "none"], 2),
    "recipes": (["recipes"], 0),
}


def run(*words: str, cwd: Path) -> tuple[int, float, str]:
    """Exit code, CPU seconds (user and system) and standard error of a Python with these words."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(cwd / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # sources are compiled once, as they are on any machine
    before = getrusage(RUSAGE_CHILDREN)  # os.times counts in hundredths of a second, as much as a bare start takes
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)
    after = getrusage(RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.returncode, spent, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with an empty run folder in it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "runs" / "mine").mkdir(parents=True)
    return folder


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_comes_before_anything_large_is_imported(folder, answer):
    words, code = ANSWERS[answer]
    script = f"""
import atexit, sys
from vidvox.cli import main
atexit.register(lambda: print("imported:", *sorted(set({LARGE!r}) & set(sys.modules)), file=sys.stderr))
main({words!r})
"""
    found, _, said = run("-c", script, cwd=folder)
    assert found == code, said
    assert said.splitlines()[-1] == "imported:"
    assert said.count("\n") == (1 if code == 0 else 2), said


@pytest.mark.parametrize("answer", ["help", "the help of a command", "a key with a typo", "a model that is not there"])
def test_an_answer_costs_at_most_ten_bare_starts_of_python(folder, answer):
    words, code = ANSWERS[answer]
    starts, answers = [], []
    for _ in range(RUNS):
        starts.append(run("-c", "pass", cwd=folder)[1])
        found, spent, said = run("-m", "vidvox", *words, cwd=folder)
        assert found == code, said
        answers.append(spent)
    assert min(answers) <= 10 * min(starts)
    print(f"{answer}: {min(answers) / min(starts):.1f} bare starts")


@pytest.mark.parametrize("name", sorted(find_bundled_models()))
def test_a_model_of_the_package_is_loaded_without_the_compiler_of_pytorch(folder, name):
    script = f"""
import sys, vidvox
vidvox.load({name!r}, device="cpu")
compiler = {{"torch._dynamo", "torch.fx.experimental.symbolic_shapes"}}
print(*(compiler & set(sys.modules)) or ["none"], file=sys.stderr)
"""
    code, _, said = run("-c", script, cwd=folder)
    assert (code, said) == (0, "none\n")
