"""Starts a small training of video, in one process or two, breaks it, and compares what it leaves."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

import psutil
import torch
from support.calling import called
from support.game import same

from gancore import checkpoint
from gancore.parsing import parse_config
from gancore.training.launch import create_accelerator
from gancore.training.trainer import Trainer
from vidgan.build import build_discriminator, build_generator
from vidgan.config import VideoConfig
from vidgan.data.batch import collate
from vidgan.data.dataset import open_dataset
from vidgan.data.degraded_pasts import degrade_pasts
from vidgan.objective import VideoObjective
from vidgan.validation import VideoEvaluation

ROOT = Path(__file__).parents[2]
NO_RECIPE = ROOT / "tests" / "support" / "no_recipe.yaml"
MODEL, BEST = Path("generator", "model.safetensors"), Path("best", "model.safetensors")
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
    *(
        "--train.cpu",
        "--train.batch",
        "4",
        "--objective.penalties.lazy_every",
        "4",
        "--train.steps",
        "10",
        "--train.checkpoint_every",
        "4",
    ),
    *("--train.log_every", "1", "--train.preview_every", "0", "--train.keep_checkpoints", "none"),
    *("--train.health_every", "5", "--train.evaluate_every", "4", "--train.curves", "false"),
]
STEPS = 10


def start(run: Path, *, processes: int) -> psutil.Process:
    """Starts the run or goes on with it; what it says is in the file of `said`."""
    if processes == 1:
        return _fork(run)
    command = ["-m", "vidvox", "train", "video", "--processes", "2", "--config", str(NO_RECIPE), *_words(run)]
    with said(run).open("w") as file:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return psutil.Popen([sys.executable, *command], env=environment, stdout=file, stderr=subprocess.STDOUT)


def finish_without_launcher(run: Path, *flags: str) -> None:
    """Goes on with the run in two processes to its end; they find each other as those of any launcher do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    everyone = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", **meeting}
    ranks = [_fork(run, *flags, environment={"RANK": number, "LOCAL_RANK": number, **everyone}) for number in "01"]
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0], said(run).read_text()
    assert f"trained at step {STEPS} of {STEPS}" in said(run).read_text()


def _fork(run: Path, *flags: str, environment: Mapping[str, str] | None = None) -> psutil.Process:
    """The tool in a fork of this process, which has imported everything that takes seconds."""
    if child := os.fork():
        return psutil.Process(child)
    try:
        os.environ |= environment or {}
        with said(run).open("a") as file, redirect_stdout(file), redirect_stderr(file):
            code = called("train_video", *_words(run), *flags)
        os._exit(code)
    finally:
        os._exit(1)


def _words(run: Path) -> list[str]:
    return ["--run", str(run), *SMALL]


def said(run: Path) -> Path:
    """The file of what the processes of the run wrote on both streams."""
    return run.with_suffix(".txt")


def await_step(run: Path, process: psutil.Process, step: int) -> None:
    """Returns when this step is in the log."""
    while not ((run / "stats.jsonl").exists() and len(log(run)) >= step):
        assert process.status() != psutil.STATUS_ZOMBIE, said(run).read_text()
        time.sleep(0.005)


def kill(run: Path, *, at: int) -> None:
    """Starts the run or goes on with it in one process, and sends it SIGKILL at a step, near enough."""
    process = start(run, processes=1)
    await_step(run, process, at)
    process.kill()
    process.wait()
    assert 0 < newest(run)[0] < STEPS


def interrupt(run: Path, *, processes: int, at: int, number: int) -> None:
    """Starts the run or goes on with it, and asks it at a step to stop, which it does with a checkpoint."""
    process = start(run, processes=processes)
    await_step(run, process, at)
    process.send_signal(number)
    code = process.wait(timeout=300)
    step = newest(run)[0]
    assert at <= step == log(run)[-1]["step"] < STEPS
    assert f"stopped at step {step} of {STEPS}" in said(run).read_text()
    assert processes > 1 or code == 0


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
    learned, held_out = (
        degrade_pasts(open_dataset(config.data, split=split), config.data, train=split == "train")
        for split in ("train", "val")
    )
    return Trainer(
        run,
        config.train,
        generator=build_generator(config),
        discriminator=build_discriminator(config),
        objective=VideoObjective(config.objective),
        dataset=learned,
        collate=partial(collate, context_frames=config.data.context_frames),
        workers=config.data.workers,
        held_out=held_out,
        evaluator=VideoEvaluation(dataset=held_out, context_frames=config.data.context_frames),
        accelerator=create_accelerator(config.train),
    )
