"""Starts a small training of video, in one process or two, breaks it, and compares what it leaves."""

import contextlib
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import torch
from support.game import same

from gancore import checkpoint
from gancore.parsing import parse_config
from gancore.training.launch import create_accelerator
from gancore.training.trainer import Trainer
from vidgan.build import build_discriminator, build_generator
from vidgan.config import VideoConfig
from vidgan.data.batch import collate
from vidgan.data.dataset import open_dataset
from vidgan.objective import VideoObjective
from vidgan.validation import VideoEvaluation

ROOT = Path(__file__).parents[2]
TRAIN = str(ROOT / "tools" / "train_video.py")
NO_RECIPE = ROOT / "tests" / "support" / "no_recipe.yaml"
MODEL, BEST = Path("generator", "model.safetensors"), Path("best", "model.safetensors")
LAUNCHER = "--multi_gpu --num_machines 1 --mixed_precision no --dynamo_backend no --num_processes 2"
COMMANDS = {
    "one": [TRAIN],
    "two of accelerate": [*f"-m accelerate.commands.launch {LAUNCHER} --main_process_port 0".split(), TRAIN],
    "two": ["-m", "vidvox", "train", "video", "--processes", "2", "--config", str(NO_RECIPE)],
}
SMALL = [
    *(
        "--data.channels",
        "1",
        "--data.height",
        "16",
        "--data.width",
        "16",
        "--data.clip_frames",
        "6",
        "--data.context_frames",
        "3",
    ),
    *("--generator.base_channels", "8", "--generator.channel_multipliers", "2,1", "--generator.latent_dim", "4"),
    *(
        "--discriminator.base_channels",
        "8",
        "--discriminator.channel_multipliers",
        "1,1,1",
        "--discriminator.spatial_frames",
        "2",
    ),
    *("--train.cpu", "--train.batch", "4", "--train.steps", "20", "--train.checkpoint_every", "3"),
    *("--train.log_every", "1", "--train.preview_every", "0", "--train.keep_checkpoints", "none"),
    *("--train.health_every", "4", "--train.evaluate_every", "9", "--train.curves", "false"),
]
STEPS = 20


def start(run: Path, processes: str) -> subprocess.Popen:
    command = [sys.executable, *COMMANDS[processes], "--run", str(run), *SMALL]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen) -> None:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert f"trained at step {STEPS} of {STEPS}" in output


def await_step(run: Path, process: subprocess.Popen, step: int) -> None:
    """Returns when this step is in the log."""
    while not ((run / "stats.jsonl").exists() and len(log(run)) >= step):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)


def kill(run: Path, processes: str, *, at: int) -> None:
    """Starts the run or goes on with it, and sends SIGKILL to all of its processes at a step, near enough."""
    process = start(run, processes)
    await_step(run, process, at)
    for victim in (*psutil.Process(process.pid).children(recursive=True), process):
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    process.communicate()
    assert 0 < newest(run)[0] < STEPS


def interrupt(run: Path, processes: str, *, at: int, number: int) -> None:
    """Starts the run or goes on with it, and asks it at a step to stop, which it does with a checkpoint."""
    process = start(run, processes)
    await_step(run, process, at)
    process.send_signal(number)
    output, _ = process.communicate(timeout=300)
    step = newest(run)[0]
    assert at <= step == log(run)[-1]["step"] < STEPS
    assert f"stopped at step {step} of {STEPS}" in output
    assert processes != "one" or process.returncode == 0


def newest(run: Path) -> tuple[int, dict]:
    return checkpoint.load(checkpoint.find_latest(run))


def log(run: Path) -> list[dict[str, float]]:
    """The whole lines that were logged, without how fast it went."""
    *lines, _half = (run / "stats.jsonl").read_text().split("\n")
    return [{name: value for name, value in json.loads(line).items() if name != "speed"} for line in lines]


def assert_equal_runs(one: Path, other: Path) -> None:
    """To the bit: all that a run resumes from, the model that it leaves, and what it logged."""
    assert newest(one)[0] == newest(other)[0] == STEPS
    assert same(newest(one)[1], newest(other)[1])
    assert (one / MODEL).read_bytes() == (other / MODEL).read_bytes()
    assert (one / BEST).read_bytes() == (other / BEST).read_bytes()
    assert log(one) == log(other)
    assert any("health/noise" in line for line in log(one))


def trainer(run: Path, *flags: str) -> Trainer:
    """What the tool makes, in this process."""
    config = parse_config(VideoConfig, [*SMALL, *flags, "--run", str(run)])
    torch.manual_seed(config.train.seed)
    held_out = open_dataset(config.data, split="val")
    return Trainer(
        run,
        config.train,
        generator=build_generator(config),
        discriminator=build_discriminator(config),
        objective=VideoObjective(config.objective),
        dataset=open_dataset(config.data, split="train"),
        collate=partial(collate, context_frames=config.data.context_frames),
        workers=config.data.workers,
        held_out=held_out,
        evaluator=VideoEvaluation(dataset=held_out, context_frames=config.data.context_frames),
        accelerator=create_accelerator(config.train),
    )
