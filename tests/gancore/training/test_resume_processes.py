"""Two processes train what one does, and what was killed of them goes on to the same weights."""

import signal
import sys
from pathlib import Path

import psutil
import pytest
import torch
from support.resuming import (
    assert_equal_runs,
    await_step,
    finish_without_launcher,
    interrupt,
    log,
    newest,
    start,
    trainer,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """A run in one process that nothing disturbed."""
    folder = tmp_path_factory.mktemp("alone")
    assert trainer(folder).train()
    return folder


@pytest.fixture(scope="module")
def in_parts(tmp_path_factory) -> Path:
    """The same run with its batches in two parts, which is to the bit what two processes train."""
    folder = tmp_path_factory.mktemp("parts")
    assert trainer(folder, "--train.gradient_accumulation_steps", "2").train()
    return folder


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """The same run in two processes, whose launcher is killed; two others are interrupted, and two more finish it."""
    folder = tmp_path_factory.mktemp("together") / "run"
    if sys.platform == "linux":  # no other system tells a process that its parent has ended
        kill_launcher(folder, at=3)
    interrupt(folder, processes=2, at=6, number=signal.SIGTERM)
    finish_without_launcher(folder)
    return folder


def kill_launcher(run: Path, *, at: int) -> None:
    """Starts the run, and sends SIGKILL at a step to its launcher alone, whose processes stop with a checkpoint."""
    launcher = start(run, processes=2)
    await_step(run, launcher, at)
    workers = launcher.children(recursive=True)
    launcher.kill()
    _, alive = psutil.wait_procs([launcher, *workers], timeout=60)
    assert workers
    assert not alive, "a killed launcher leaves processes"
    assert newest(run)[0] >= at


def test_two_processes_that_were_killed_and_interrupted_are_to_the_bit_one_that_trains_in_two_parts(together, in_parts):
    assert_equal_runs(together, in_parts)


def test_two_processes_train_what_one_does(alone, together):
    for ours, theirs in zip(log(alone), log(together), strict=True):
        assert ours.keys() == theirs.keys()
        terms = [name for name in ours if name.startswith(("generator/", "discriminator/"))]
        assert [ours[name] for name in terms] == pytest.approx([theirs[name] for name in terms], abs=1e-5)
    states = [newest(run)[1] for run in (alone, together)]
    for network in ("generator", "discriminator", "ema"):
        for name, weight in states[0][network].items():
            torch.testing.assert_close(states[1][network][name], weight, atol=1e-5, rtol=0, msg=f"{network}: {name}")
