"""Two processes train what one does, and what was killed of them goes on to the same weights."""

import signal
import sys
from pathlib import Path

import psutil
import pytest
import torch
from support.resuming import assert_equal_runs, await_step, finish, interrupt, log, newest, start, trainer

pytestmark = pytest.mark.slow


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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_two_processes_whose_launcher_was_killed_and_that_were_interrupted_equal_others_to_the_bit(tmp_path, together):
    process = start(tmp_path, "two")
    await_step(tmp_path, process, 5)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    process.communicate()
    assert workers
    assert not alive, "a killed launcher leaves processes"
    assert newest(tmp_path)[0] >= 5
    interrupt(tmp_path, "two", at=10, number=signal.SIGTERM)
    finish(start(tmp_path, "two of accelerate"))
    assert_equal_runs(tmp_path, together)


def test_two_processes_train_what_one_does(alone, together):
    for ours, theirs in zip(log(alone), log(together), strict=True):
        assert ours.keys() == theirs.keys()
        terms = [name for name in ours if name.startswith(("generator/", "discriminator/"))]
        assert [ours[name] for name in terms] == pytest.approx([theirs[name] for name in terms], abs=1e-5)
    states = [newest(run)[1] for run in (alone, together)]
    for network in ("generator", "discriminator", "ema"):
        for name, weight in states[0][network].items():
            torch.testing.assert_close(states[1][network][name], weight, atol=1e-5, rtol=0, msg=f"{network}: {name}")


def test_two_processes_train_to_the_bit_what_one_does_in_two_parts(tmp_path, together):
    assert trainer(tmp_path, "--train.gradient_accumulation_steps", "2").train()
    assert_equal_runs(tmp_path, together)
