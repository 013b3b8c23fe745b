"""benchmarks/gpu.sh runs here on the CPU at tiny sizes, and goes on where it stopped."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from gancore.parsing import parse_config
from gancore.settings_file import read_settings_file
from vidgan.config import VideoConfig
from vidvox.recipes import find_recipes
from voxgan.config import VoxelConfig

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "gpu.sh"
OVERLAYS = sorted((ROOT / "benchmarks" / "gpu").glob("*.yaml"))
HALVES = dict(re.findall(r"\[(\w+)\]=(\w+)", SCRIPT.read_text(encoding="utf-8")))

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")


def run(*step: str, work: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"DRY": "1", "WORK": str(work), "PYTHON": sys.executable, **environment}
    return subprocess.run([SCRIPT, *step], env=os.environ | given, capture_output=True, text=True, timeout=900)


def test_bash_can_read_it():
    assert subprocess.run(["bash", "-n", SCRIPT], capture_output=True).returncode == 0
    assert os.access(SCRIPT, os.X_OK)


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.stem)
def test_an_overlay_is_the_recipe_of_its_name_at_another_size(overlay):
    half = HALVES[overlay.stem]
    config_class = {"video": VideoConfig, "voxels": VoxelConfig}[half]
    flags = ["--config", f"{half}/{overlay.stem}"]
    recipe = parse_config(config_class, flags, recipes=find_recipes(half))
    larger = parse_config(config_class, [*flags, "--config", str(overlay)], recipes=find_recipes(half))
    assert larger.train.batch > recipe.train.batch
    assert larger.train.max_minutes
    assert larger.train.precision == "bf16"
    assert larger.data.workers > 0
    assert not larger.train.compile
    changed = {section for section, keys in read_settings_file(overlay).items() if keys}
    assert changed <= {"data", "encoder", "generator", "discriminator", "train"}  # it learns the same thing


def test_every_overlay_is_a_step_of_the_script():
    assert {path.stem for path in OVERLAYS} == set(HALVES)


def test_a_step_that_is_not_there_is_refused(tmp_path):
    done = run("dance", work=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "there is no step dance\n"


@pytest.mark.slow
def test_a_training_leaves_its_weights_and_curves_in_files_that_are_not_too_large(tmp_path):
    done = run("chairs_32", work=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(tmp_path / "out" / "chairs_32.tar.gz") as archive:
        names = {name.removeprefix("./") for name in archive.getnames()}
    assert {"generator/model.safetensors", "stats.jsonl", "config.json", "index.html"} <= names
    assert not any("checkpoint" in name for name in names)
    assert "trained at step 2 of 2" in (tmp_path / "out" / "chairs_32.txt").read_text()


@pytest.mark.slow
def test_what_is_done_is_not_done_again_and_what_has_no_time_waits_for_the_next_call(tmp_path):
    (tmp_path / "done").mkdir()
    for step in ("tests", "benchmark-video", "benchmark-voxels", "furniture_32", "chairs_32"):
        (tmp_path / "done" / step).touch()
    late = run(work=tmp_path, MINUTES="1")
    assert late.returncode == 0
    assert late.stdout == "the time is up before moving_mnist_64; call this again to go on\n"
    again = run(work=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.startswith("== moving_mnist_64\n")
    assert (tmp_path / "done" / "moving_mnist_64").read_text() == "0\n"
    assert (tmp_path / "out" / "moving_mnist_64.tar.gz").exists()
    assert run(work=tmp_path).stdout == ""


@pytest.mark.slow
def test_a_step_that_fails_is_named_and_does_not_keep_the_others_from_running(tmp_path):
    (tmp_path / "done").mkdir()
    for step in ("tests", "benchmark-video", "benchmark-voxels", "moving_mnist_64", "furniture_32"):
        (tmp_path / "done" / step).touch()
    done = run(work=tmp_path, FILMS=str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert done.stdout.endswith("failed: predict_small\n")
    assert (tmp_path / "done" / "chairs_32").read_text() == "0\n"
    assert (tmp_path / "out" / "predict_small.txt").read_text().strip()
