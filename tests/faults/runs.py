"""The smallest trainings of both halves as command lines, their data, and the comparison of what they leave behind."""

import json
from pathlib import Path
from typing import Literal

import trimesh
from faults.forking import Commands, Ended
from support.game import same

from gancore import checkpoint

Half = Literal["video", "voxels"]
HALVES: tuple[Half, ...] = ("video", "voxels")
EVERY = 3
"""Steps between two checkpoints."""

_TRAIN = (
    f"--train.cpu true --train.batch 2 --train.checkpoint_every {EVERY} --train.log_every 1 --train.preview_every 0 "
    "--train.health_every 0 --train.evaluate_every 0 --train.curves false"
)
_VIDEO = (
    "--data.channels 1 --data.height 16 --data.width 16 --data.clip_frames 4 --data.context_frames 2 "
    "--generator.base_channels 4 --generator.channel_multipliers 1,1 --generator.latent_dim 2 "
    "--discriminator.base_channels 4 --discriminator.channel_multipliers 1,1,1 --discriminator.spatial_frames 1"
)
_VOXELS = (
    "--encoder.size 16 --encoder.base_channels 4 --encoder.max_channels 4 --generator.latent_dim 4 "
    "--generator.base_channels 2 --generator.max_channels 4 --discriminator.base_channels 2 "
    "--discriminator.max_channels 4"
)
NO_RECIPE = Path(__file__).parents[1] / "support" / "no_recipe.yaml"


def train_words(half: Half, run: Path, *more: object, data: object = None, steps: int = 8) -> list[object]:
    """The command line of a training of a second or so, alone in its process."""
    flags = f"{_TRAIN} {_VIDEO if half == 'video' else _VOXELS} --train.steps {steps}".split()
    source = data or ("moving-mnist" if half == "video" else "furniture")
    return ["train", half, "--config", NO_RECIPE, "--data.path", source, "--run", run, *flags, *more]


def write_meshes(folder: Path, count: int = 6) -> Path:
    """Boxes of different sizes in a folder of their own."""
    folder.mkdir(parents=True)
    for number in range(count):
        sides = (1.0, 1.0 + number / 4, 2.0 - number / 5)
        trimesh.creation.box(sides).export(folder / f"box{number}.obj")
    return folder


def prepare_words(meshes: Path, out: Path, *more: object) -> list[object]:
    """The command line that prepares a data set small enough for a training in no time."""
    flags = ["--side", "8", "--views", "2", "--view_size", "16", "--workers", "1"]
    return ["prepare", meshes, "--out", out, *flags, *more]


def prepare_small(commands: Commands, folder: Path) -> Path:
    """A packed data set of boxes."""
    ended = commands.run(*prepare_words(write_meshes(folder / "meshes"), folder / "boxes"), below=folder)
    assert ended.code == 0, ended.err
    return folder / "boxes"


def logged(run: Path) -> list[dict[str, object]]:
    """The whole lines of a run's statistics, without how fast it went."""
    path = run / "stats.jsonl"
    *lines, _half = path.read_text().split("\n") if path.exists() else [""]
    return [{name: value for name, value in json.loads(line).items() if name != "speed"} for line in lines]


def newest_step(run: Path) -> int:
    """The step that a run would resume from; 0 if it has no whole checkpoint."""
    path = checkpoint.find_latest(run)
    return checkpoint.load(path)[0] if path else 0


def describe_difference(run: Path, undisturbed: Path) -> str:
    """What a run left behind that is not, to the bit, what the undisturbed one left; empty if there is nothing."""
    ours, theirs = checkpoint.find_latest(run), checkpoint.find_latest(undisturbed)
    assert theirs
    if ours is None:
        return "there is no checkpoint"
    (step, state), (wanted_step, wanted) = checkpoint.load(ours), checkpoint.load(theirs)
    if step != wanted_step:
        return f"it ended at step {step}, not {wanted_step}"
    if not same(state, wanted):
        return "the states differ"
    model = Path("generator", "model.safetensors")
    if (run / model).read_bytes() != (undisturbed / model).read_bytes():
        return "the models differ"
    return "" if logged(run) == logged(undisturbed) else "the logs differ"


def measure_leftovers(run: Path, undisturbed: Path) -> int:
    """Bytes in files of the run folder that the undisturbed one has no counterpart of, the log of steps aside."""
    own = {path.relative_to(run) for path in run.rglob("*") if path.is_file()}
    usual = {path.relative_to(undisturbed) for path in undisturbed.rglob("*") if path.is_file()}
    return sum((run / path).stat().st_size + 1 for path in own - usual if "tfevents" not in path.name)


def describe_end(ended: Ended) -> str:
    """How a command ended, in short, for the message of a failing test."""
    return f"exit code {ended.code}, {ended.calls[-3:]}\n{ended.err[-2000:]}"


def spread(count: int, most: int) -> list[int]:
    """At most so many numbers from 1 to `count`, evenly spaced."""
    return sorted({1 + number * count // min(most, count) for number in range(min(most, count))})
