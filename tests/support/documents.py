"""The fenced blocks of README.md and docs/, and what it takes to run them at tiny sizes.

A block follows a comment that names it, `<!-- test: NAME -->`. In a block whose name starts with `setup` or `check`,
commands are checked instead of run: the program is known, its files are there, and it has the flags. So are commands
that would take long, need a network or start processes of their own on a GPU. An unknown program fails the test.
"""

import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from io import StringIO
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
from voxgan.data.sources import Source, assign_split

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))

TRAIN_VIDEO = (
    "--data.height 32 --data.width 32 --data.workers 0 --generator.base_channels 4 --discriminator.base_channels 4 "
    "--discriminator.spatial_frames 2 --train.steps 2 --train.batch 2 --train.gradient_accumulation_steps 1 "
    "--train.preview_every 2 --train.cpu"
)
TRAIN_VOXELS = (
    "--encoder.size 32 --encoder.base_channels 4 --generator.base_channels 2 --discriminator.base_channels 2 "
    "--train.steps 40 --train.batch 2 --train.generator_lr 0.02 --train.ema_decay 0.5 --train.preview_every 20 "
    "--train.cpu"
)
TRAIN_TRANSLATION = (
    "--data.height 32 --data.width 32 --data.workers 0 --generator.base_channels 4 "
    "--discriminator.base_channels 4 --train.steps 2 --train.batch 2 --train.preview_every 2 --train.cpu"
)
TRAIN_ANIMATION = (
    "--data.height 32 --data.width 32 --generator.base_channels 4 --generator.keypoint_channels 4,4 "
    "--generator.motion_channels 4,4 --train.steps 2 --train.batch 2 --train.evaluate_every 0 --train.preview_every 2 "
    "--train.cpu"
)
SMALL = {
    "tools/train_video.py": TRAIN_VIDEO,
    "tools/train_voxels.py": TRAIN_VOXELS,
    "tools/train_peer.py": "--steps 1 --cpu --parameters 20000 --max_items 2 --data.height 16 --data.width 16",
    "train video": TRAIN_VIDEO,
    "train voxels": TRAIN_VOXELS,
    "train translation": TRAIN_TRANSLATION,
    "train animation": TRAIN_ANIMATION,
    "animate": "--cpu",
    "skeletons": "--cpu",
    "restore": "--cpu",
    "upscale": "--cpu",
    "colourise": "--cpu",
    "fill": "--cpu",
    "translate": "--cpu",
    "predict": "--size 32x32 --cpu",
    "rollout": "--steps 3 --cpu",
    "classify": "",
    "mesh": "--threshold 0.05 --cpu",
    "generate video": "--cpu",
    "generate voxels": "--threshold 0.05 --cpu",
    "prepare": "--side 8 --views 2 --view_size 32 --workers 1",
    "evaluate video": "--max_items 2 --networks colours --cpu",
    "evaluate animation": "--max_items 2 --fit_clips 4 --cpu",
    "evaluate voxels": "--generated_objects 4 --renders_per_object 0 --cpu",
    "recognise": "--network colours --severities 3 --data.height 32 --data.width 32 --data.clip_frames 8 --cpu",
    "degrade": "",
    "recipes": "",
    "show": "",
    "doctor": "",
}
"""Flags that follow those of the documents, by script or by command of vidvox; commands that are not here are checked
instead of run."""


class Block(NamedTuple):
    """A fenced block: its name, its language and what stands in it."""

    name: str
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        lines = self.text.replace("\\\n", " ").splitlines()
        return [command for line in lines if (command := line.partition(" #")[0].strip()) and command[0] != "#"]

    @property
    def is_checked_only(self) -> bool:
        return self.name.startswith(("setup", "check"))


def read_blocks(document: Path) -> list[Block]:
    """The bash and Python blocks of a document in their order."""
    fence = re.compile(
        r"(?:<!-- test: (?P<name>\w+) -->\n)?^```(?P<language>bash|sh|python)\n(?P<text>.*?)^```$", re.M | re.S
    )
    found = fence.finditer(document.read_text(encoding="utf-8"))
    return [Block(match["name"] or "", match["language"], match["text"]) for match in found]


def run_block(block: Block, document: Path) -> None:
    """Run the Python or the commands of a block in the current folder, at tiny sizes."""
    if block.language == "python":
        exec(compile(block.text, f"{document.name}, {block.name}", "exec"), {"__name__": "document"})
        return
    for command in block.commands:
        for part in command.split(" && "):
            (check_command if block.is_checked_only else run_command)(part)


def run_command(command: str) -> None:
    """Run a command with its small flags, in this process unless it launches others."""
    words = shlex.split(command)
    match words:
        case ["torchrun", *rest]:
            _run_torchrun(rest, command)
        case ["vidvox", *rest] if (name := _command_name(rest)) in SMALL and "--processes" not in rest:
            _run_vidvox([*rest, *_small_flags(name, rest)])
        case ["vidvox", "push", *rest] if {"-o", "--out"} & set(rest):
            _run_vidvox(words[1:])
        case ["vidvox", "export", *_]:
            _run_apart(words)
        case ["python", tool, *flags] if tool in SMALL:
            _run_script([tool, *flags, *_small_flags(tool, flags)])
        case _:
            check_command(command)


def _small_flags(name: str, words: Sequence[str]) -> list[str]:
    """The flags that make a command small; small networks start from no large ones."""
    flags = SMALL[name].split()
    if SMALL[name] == TRAIN_VIDEO and "--train.start_from" not in words:
        flags += ["--train.start_from", "none"]
    return flags


def check_command(command: str) -> None:
    """Fail unless the program is known and all that the command refers to is there."""
    words = shlex.split(command)
    match words:
        case ["make", *targets]:
            rules = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
            assert set(targets) <= set(rules), f"{command}: the Makefile has {rules}"
        case ["vidvox", "fetch", *names]:
            assert set(names) <= set(PUBLISHED_WEIGHTS), f"{command}: nothing of that name can be fetched"
        case ["vidvox", "benchmark", subject, *_]:
            tested = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
            assert f'use("benchmark", "{subject}", ' in tested, f"{command}: no other test runs it"
        case ["vidvox", *rest]:
            _check_flags(_command_name(rest), rest)
        case ["accelerate", "launch", *rest] | ["torchrun", *rest]:
            _check_flags(*_find_training(rest, command))
        case ["srun", *rest] if any(word in ("torchrun", "accelerate") for word in rest):
            _check_flags(*_find_training(rest, command))
        case ["git", "clone", address]:
            assert address.startswith("https://")
        case ["python", "tools/cut_films.py" as tool, table, _, "--out", _]:
            assert (ROOT / tool).is_file()
            assert (ROOT / table).is_file()
        case ["python", "tools/record_crafter.py" as tool, "--out", _, "--episodes", _]:
            assert (ROOT / tool).is_file()
        case ["accelerate", "config"] | ["export", _] | ["cd", _] | ["python", "-m", "venv", ".venv"]:
            pass
        case [".", ".venv/bin/activate"]:
            pass
        case ["pip", "install", *options]:
            _check_install(options, command)
        case _:
            pytest.fail(f"no test knows what to make of: {command}")


def _command_name(words: Sequence[str]) -> str:
    """The subcommand of vidvox, with the task it is about, by its name or by the model."""
    from vidvox.cli import split_command
    from vidvox.commands.tasks import choose_task

    name, rest = split_command(words)
    if name in ("evaluate", "generate"):
        task, _ = choose_task(rest, prog=f"vidvox {name}", summary="", default="voxels" if name == "generate" else None)
        return f"{name} {task}"
    return name


def _find_training(words: Sequence[str], command: str) -> tuple[str, list[str]]:
    """The training that a launcher starts: its script or subcommand, and the words after that."""
    for number, word in enumerate(words):
        if word in ("tools/train_video.py", "tools/train_voxels.py"):
            return word, list(words[number + 1 :])
        if word == "vidvox" and words[number - 1] in ("-m", "--") and words[number + 1] == "train":
            return " ".join(words[number + 1 : number + 3]), list(words[number + 3 :])
    return pytest.fail(f"no test knows what to make of: {command}")


def _check_flags(name: str, words: Sequence[str]) -> None:
    """Fail unless a command, or the script that does the same, has every flag among the words."""
    name = {"tools/train_video.py": "train video", "tools/train_voxels.py": "train voxels"}.get(name, name)
    help_text = StringIO()
    with redirect_stdout(help_text), pytest.raises(SystemExit):
        _call_vidvox([*name.split(), "--help-all"])
    given = {word[2:].partition("=")[0].replace("-", "_") for word in words if word.startswith("--")}
    known = {flag.replace("-", "_") for flag in re.findall(r"--([\w.-]+)", help_text.getvalue())}
    known |= {"data.path"} if name.startswith("train") else set()  # its help shows it without the dashes
    assert given <= known, f"{name} does not have {given - known}"


def _check_install(options: Sequence[str], command: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = re.fullmatch(r"(?:\.|vidvox)(?:\[([\w,]+)\])?", options[-1])
    assert asked, f"{command}: installs something else"
    assert options[:-1] in ([], ["-e"]), f"{command}: no test knows these options"
    assert set((asked[1] or "").split(",")) - {""} <= set(project["optional-dependencies"])


def _run_torchrun(words: Sequence[str], command: str) -> None:
    """Start several processes on the CPU."""
    name, _ = _find_training(words, command)
    environment = os.environ | {"ACCELERATE_LOG_LEVEL": "error", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    launcher = [sys.executable, "-m", "torch.distributed.run"]
    small = [*_small_flags(name, words), "--train.evaluate_every", "0"]  # digits are held out by the thousand
    done = subprocess.run([*launcher, *words, *small], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stderr}"


def _run_vidvox(words: Sequence[str]) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    code: object = 0
    try:
        _call_vidvox(words)
    except SystemExit as leaving:
        code = leaving.code
    assert not code, f"vidvox {shlex.join(words)} ends with {code}"


def _run_apart(words: Sequence[str]) -> None:
    """Run a command of vidvox in a process whose shapes are not checked: the compiler of PyTorch does not read that."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr}"


def _call_vidvox(words: Sequence[str]) -> None:
    from vidvox.cli import main  # not before signatures are checked

    main(list(words))


def _run_script(words: list[str]) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    code: object = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        try:
            runpy.run_path(words[0], run_name="__main__")
        except SystemExit as leaving:
            code = leaving.code
    assert not code, f"{shlex.join(words)} ends with {code}"


# ------------------------------------------------------------------------------------ what a reader is supposed to have


def create_workplace(folder: Path) -> None:
    """Fill a folder with the videos, meshes and pictures that the documents suppose their reader to have."""
    (folder / "tools").symlink_to(ROOT / "tools")
    write_clip(folder / "clip.mp4", _noise(), rate=10)
    for name in _names_of_both_splits("clip{}.mp4", held_out=4):
        write_clip(folder / "VIDEOS" / name, _noise(), rate=10)
    for label in ("Archery", "Bowling"):
        for group in _names_of_both_splits(f"{label}_g{{:02}}"):
            write_clip(folder / "UCF-101" / label / f"v_{group}_c01.mp4", _noise(), rate=25)
    for name in _names_of_all_splits("table{}.obj"):
        (folder / "MESHES").mkdir(exist_ok=True)
        _table(int(name[5:-4])).export(folder / "MESHES" / name)
    for name in ("chair", "front", "side"):
        Image.fromarray(_disc()).save(folder / f"{name}.png")


def _table(number: int) -> trimesh.Trimesh:
    """A plate on a post, of other sizes for every number."""
    width, height, post = np.random.default_rng(number).uniform(0.3, 0.9, 3)
    plate = trimesh.creation.box((1, 0.2, width), trimesh.transformations.translation_matrix((0, height / 2, 0)))
    return trimesh.util.concatenate([plate, trimesh.creation.box((post, height, post / 2))])


def _disc() -> np.ndarray:
    """A brown disc over nothing."""
    rows, columns = np.mgrid[:48, :48]
    inside = (rows - 24) ** 2 + (columns - 20) ** 2 < 200
    return np.where(inside[..., None], np.array([150, 90, 40, 255]), 0).astype(np.uint8)


def _noise() -> torch.Tensor:
    return torch.randint(256, (24, 3, 36, 36), dtype=torch.uint8)


def _names_of_both_splits(pattern: str, *, held_out: int = 1) -> list[str]:
    """A name that is trained on where a tenth is held out, and names that are held out."""
    names = [pattern.format(number) for number in range(1, 100)]
    train, rest = ([name for name in names if is_held_out(name, 0.1) is part] for part in (False, True))
    return [train[0], *rest[:held_out]]


def _names_of_all_splits(pattern: str) -> Iterator[str]:
    """Names of meshes, one in each split."""
    splits: dict[str, str] = {}
    for number in range(1, 400):
        name = pattern.format(number)
        splits.setdefault(assign_split(Source(id=name.partition(".")[0], mesh=Path(name))), name)
    return iter(splits.values())
