"""Every command and every piece of Python in README.md runs as it stands there, only smaller.

A fenced block follows a comment that names it, `<!-- test: NAME -->`; what is needed to make its commands small or
harmless stands here. In a block named `setup` commands are checked instead of run, and so is `make` anywhere. A program
that this file does not know fails the test.
"""

import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import trimesh
from accelerate.state import AcceleratorState
from PIL import Image

from gancore.features.weights import PUBLISHED_WEIGHTS
from gancore.splits import is_held_out
from vidgan.files.video import write_clip
from voxgan.data.layouts import assign_split
from voxgan.data.sources import Source

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"

SMALL = {
    "tools/train_video.py": "--data.height 32 --data.width 32 --data.workers 0 --generator.base_channels 4 "
    "--discriminator.base_channels 4 --discriminator.spatial_frames 2 --train.steps 2 --train.batch 2 --train.gradient_accumulation_steps 1 "
    "--train.preview_every 2 --train.cpu",
    "tools/predict_video.py": "--size 32x32 --cpu",
    "tools/generate_video.py": "--cpu",
    "tools/evaluate_video.py": "--max_items 2 --networks colours --cpu",
    "tools/prepare_shapes.py": "--side 8 --views 2 --view_size 32 --workers 1",
    "tools/train_voxels.py": "--encoder.size 32 --encoder.base_channels 4 --generator.base_channels 2 --discriminator.base_channels 2 "
    "--train.steps 40 --train.batch 2 --train.generator_lr 0.02 --train.ema_decay 0.5 --train.preview_every 20 "
    "--train.cpu",
    "tools/export_mesh.py": "--threshold 0.05 --cpu",
    "tools/evaluate_voxels.py": "--generated_objects 4 --renders_per_object 0 --cpu",
}
"""Flags that follow those of the README."""


class Block(NamedTuple):
    """A fenced block: its name, its language and what stands in it."""

    name: str
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        lines = self.text.replace("\\\n", " ").splitlines()
        return [command for line in lines if (command := line.partition(" #")[0].strip()) and command[0] != "#"]


def blocks() -> list[Block]:
    """The bash and Python blocks in their order."""
    fence = re.compile(
        r"(?:<!-- test: (?P<name>\w+) -->\n)?^```(?P<language>bash|sh|python)\n(?P<text>.*?)^```$", re.M | re.S
    )
    found = fence.finditer(README.read_text(encoding="utf-8"))
    return [Block(match["name"] or "", match["language"], match["text"]) for match in found]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder that looks like the repository to a command, with what the README supposes its reader to have."""
    for name in ("tools", "configs", "vidgan", "voxgan"):
        (tmp_path / name).symlink_to(ROOT / name)
    write_clip(tmp_path / "clip.mp4", noise(), rate=10)
    for name in names_of_both_parts("clip{}.mp4"):
        write_clip(tmp_path / "VIDEOS" / name, noise(), rate=10)
    for label in ("Archery", "Bowling"):
        for group in names_of_both_parts(f"{label}_g{{:02}}"):
            write_clip(tmp_path / "UCF-101" / label / f"v_{group}_c01.mp4", noise(), rate=25)
    for name in names_of_all_parts("table{}.obj"):
        (tmp_path / "MESHES").mkdir(exist_ok=True)
        table(int(name[5:-4])).export(tmp_path / "MESHES" / name)
    for name in ("chair", "front", "side"):
        Image.fromarray(disc()).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(number: int) -> trimesh.Trimesh:
    """A plate on a post, of other sizes for every number."""
    width, height, post = np.random.default_rng(number).uniform(0.3, 0.9, 3)
    plate = trimesh.creation.box((1, 0.2, width), trimesh.transformations.translation_matrix((0, height / 2, 0)))
    return trimesh.util.concatenate([plate, trimesh.creation.box((post, height, post / 2))])


def disc() -> np.ndarray:
    """A brown disc on nothing."""
    rows, columns = np.mgrid[:48, :48]
    inside = (rows - 24) ** 2 + (columns - 20) ** 2 < 200
    return np.where(inside[..., None], np.array([150, 90, 40, 255]), 0).astype(np.uint8)


def noise() -> torch.Tensor:
    return torch.randint(256, (24, 3, 36, 36), dtype=torch.uint8)


def names_of_both_parts(pattern: str) -> list[str]:
    """A name that a tenth for testing leaves for training, and one that it holds out."""
    names = [pattern.format(number) for number in range(1, 100)]
    return [next(name for name in names if is_held_out(name, 0.1) is part) for part in (False, True)]


def names_of_all_parts(pattern: str) -> list[str]:
    """Names of meshes of which one at least is trained on, one validates and one tests."""
    parts: dict[str, str] = {}
    for number in range(1, 400):
        name = pattern.format(number)
        source = Source(id=name.partition(".")[0], mesh=Path(name))
        parts.setdefault(assign_split(source), name)
    return list(parts.values())


def check(command: str) -> None:
    """Fails unless all that a command refers to is there."""
    match shlex.split(command):
        case ["make", *targets]:
            rules = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
            assert set(targets) <= set(rules), f"{command}: the Makefile knows {rules}"
        case ["python", "tools/fetch_weights.py", *names]:
            assert set(names) <= set(PUBLISHED_WEIGHTS), "nothing of that name can be fetched"
        case ["git", "clone", address]:
            assert address.startswith("https://")
        case ["cd", _] | ["python", "-m", "venv", ".venv"] | [".", ".venv/bin/activate"]:
            pass
        case ["pip", "install", "-e", what]:
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            asked = re.fullmatch(r"\.(?:\[([\w,]+)\])?", what)
            assert asked, f"{command}: installs something else"
            assert set((asked[1] or "").split(",")) - {""} <= set(extras)
        case _:
            pytest.fail(f"no test knows what to make of: {command}")


def run(command: str) -> None:
    """Runs a command of the README with its small flags, in this process unless it launches others."""
    match shlex.split(command):
        case ["make", *_] | ["python", "tools/fetch_weights.py", *_]:
            check(command)
        case ["python", "tools/benchmark.py", subject]:
            tested = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*tools.py"))
            assert f'use("benchmark", "{subject}", ' in tested, f"{command}: takes its time, and no other test runs it"
        case ["python", tool, *flags] if tool in SMALL:
            run_here([tool, *flags, *SMALL[tool].split()])
        case ["accelerate", "launch", *words]:
            tool = next((word for word in words if word.endswith(".py")), "")
            assert tool in SMALL, f"no test knows what to make of: {command}"
            launcher = [sys.executable, "-m", "accelerate.commands.launch"]
            plain = ["--cpu", "--num_processes", "1", "--num_machines", "1"]
            plain += ["--mixed_precision", "no", "--dynamo_backend", "no"]
            environment = os.environ | {"ACCELERATE_LOG_LEVEL": "error", "OMP_NUM_THREADS": "1"}
            done = subprocess.run(
                [*launcher, *plain, *words, *SMALL[tool].split()], capture_output=True, text=True, env=environment
            )
            assert done.returncode == 0, f"{command}\n{done.stderr}"
        case _:
            pytest.fail(f"no test knows what to make of: {command}")


def run_here(words: list[str]) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    code: object = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        try:
            runpy.run_path(words[0], run_name="__main__")
        except SystemExit as leaving:
            code = leaving.code
    assert not code, f"{shlex.join(words)} ends with {code}"


def test_every_block_that_runs_something_has_a_name():
    found = blocks()
    assert {"bash", "python"} <= {block.language for block in found}
    bare = [block.text for block in found if not block.name and not all(c.startswith("make ") for c in block.commands)]
    assert not bare, "put <!-- test: NAME --> on the line above the block"


def test_every_command_of_the_readme_runs(workplace):
    ran = 0
    for block in blocks():
        if block.language == "python":
            exec(compile(block.text, f"README.md, {block.name}", "exec"), {"__name__": "readme"})
        for command in block.commands if block.language != "python" else []:
            for part in command.split(" && "):
                (check if block.name == "setup" else run)(part)
                ran += 1
    assert ran > 5
    assert any((workplace / "runs").iterdir())


def test_every_file_that_the_readme_names_is_there():
    named = re.findall(
        r"(?:\]\(|`)((?:configs|docs|tools|vidgan|voxgan|gancore|tests)/[\w./-]+)", README.read_text(encoding="utf-8")
    )
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize("command", ["rm -rf /", "python setup.py", "accelerate launch other.py", "pip install numpy"])
def test_a_command_that_no_test_knows_fails(command):
    with pytest.raises((pytest.fail.Exception, AssertionError)):
        run(command)
    with pytest.raises((pytest.fail.Exception, AssertionError)):
        check(command)
