"""A run that was killed and resumed is the run that was not, to the bit; two processes train what one does."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch
from support.game import same

from gancore import checkpoint
from gancore.parsing import parse_config
from gancore.training.launch import create_accelerator
from gancore.training.trainer import Trainer
from vidgan.build import build_discriminator, build_generator
from vidgan.config import VideoConfig
from vidgan.data.dataset import collate, open_dataset
from vidgan.objective import VideoObjective
from vidgan.validation import VideoEvaluation

ROOT = Path(__file__).parents[3]
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
    *("--train.health_every", "4", "--train.evaluate_every", "9"),
]
STEPS = 20


def start(run: Path, processes: str) -> subprocess.Popen:
    command = [sys.executable, *COMMANDS[processes], "--run", str(run), *SMALL]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
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


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """A run in one process that nothing disturbed."""
    folder = tmp_path_factory.mktemp("alone")
    assert trainer(folder).train()
    return folder


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """The same run in two processes, as `vidvox train video --processes 2` starts them."""
    folder = tmp_path_factory.mktemp("together")
    finish(start(folder, "two"))
    return folder


def test_a_run_that_was_killed_and_interrupted_equals_the_one_that_was_not_to_the_bit(tmp_path, alone):
    kill(tmp_path, "one", at=5)
    interrupt(tmp_path, "one", at=10, number=signal.SIGINT)
    assert trainer(tmp_path).train()
    assert_equal_runs(tmp_path, alone)


@pytest.mark.slow
def test_two_processes_that_were_killed_and_interrupted_equal_those_that_were_not_to_the_bit(tmp_path, together):
    kill(tmp_path, "two", at=5)
    interrupt(tmp_path, "two", at=10, number=signal.SIGTERM)
    finish(start(tmp_path, "two of accelerate"))
    assert_equal_runs(tmp_path, together)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_a_killed_launcher_leaves_no_process_and_the_state_saved(tmp_path):
    process = start(tmp_path, "two")
    await_step(tmp_path, process, 5)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    process.communicate()
    assert not alive
    assert newest(tmp_path)[0] >= 5


@pytest.mark.slow
def test_two_processes_train_what_one_does(alone, together):
    for ours, theirs in zip(log(alone), log(together), strict=True):
        assert ours.keys() == theirs.keys()
        terms = [name for name in ours if name.startswith(("generator/", "discriminator/"))]
        assert [ours[name] for name in terms] == pytest.approx([theirs[name] for name in terms], abs=1e-5)
    states = [newest(run)[1] for run in (alone, together)]
    for network in ("generator", "discriminator", "ema"):
        for name, weight in states[0][network].items():
            torch.testing.assert_close(states[1][network][name], weight, atol=1e-5, rtol=0, msg=f"{network}: {name}")


@pytest.mark.slow
def test_two_processes_train_to_the_bit_what_one_does_in_two_parts(tmp_path, together):
    assert trainer(tmp_path, "--train.gradient_accumulation_steps", "2").train()
    assert_equal_runs(tmp_path, together)


PAPER = [
    *("--generator.norm", "batch", "--generator.spectral_norm", "--generator.zero_init_residual", "false"),
    *("--generator.context_encoder", "stack", "--generator.latent_init", "map", "--generator.output", "frames"),
    *("--generator.attention_after", "1", "--generator.segment_steps", "2"),
    *("--discriminator.spectral_norm", "--discriminator.zero_init_residual", "false", "--discriminator.variant", "dvd"),
    *("--discriminator.attention_after", "1", "--discriminator.dropout", "0.2"),
    *("--objective.loss", "hinge", "--objective.instance_noise", "0.1", "--objective.reconstruction_weight", "1"),
    *("--train.discriminator_steps", "2", "--train.gradient_accumulation_steps", "2", "--train.max_grad_norm", "1"),
    *(
        "--train.warmup_steps",
        "4",
        "--train.final_lr_fraction",
        "0.1",
        "--train.ema_decay",
        "0.9",
        "--train.steps",
        "7",
    ),
]


def test_buffers_dropout_noise_and_schedule_survive_a_broken_run_whoever_reads_the_data(tmp_path, monkeypatch):
    whole, broken = trainer(tmp_path / "whole", *PAPER), trainer(tmp_path / "broken", *PAPER)
    assert whole.train()
    train_step = broken.train_step
    monkeypatch.setattr(broken, "train_step", lambda batches: train_step(batches) if broken.step < 5 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.train()
    assert newest(broken.run)[0] == 3
    assert trainer(broken.run, *PAPER, "--data.workers", "1").train()
    assert same(newest(broken.run)[1], newest(whole.run)[1])
    assert log(broken.run) == log(whole.run)
