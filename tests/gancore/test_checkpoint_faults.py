"""A save that is killed, or that the disk lets down, at any of its calls leaves the old state or the new one whole."""

import builtins
import errno
import io
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gancore import checkpoint
from gancore.errors import UnwritableError

KILLED = """
import os, signal, sys, torch
from pathlib import Path
from gancore import checkpoint

folder, old, new = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
OPERATIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}

os.fsync = lambda _: None  # what a process has written outlives it

def save_killed_at(moment, place):
    count = 0
    def watch(event, arguments):
        nonlocal count
        if event in OPERATIONS and str(place) in str(arguments[0]):
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
    sys.addaudithook(watch)
    checkpoint.save(place, new, {"number": 2, "weights": torch.ones(1000)}, keep_checkpoints=1)

for moment in range(1000):
    place = folder / str(moment)
    checkpoint.save(place, old, {"number": 1, "weights": torch.zeros(1000)}, keep_checkpoints=1)
    child = os.fork()
    if not child:
        save_killed_at(moment, place)
        os._exit(0)
    finished = os.waitpid(child, 0)[1] == 0
    step, state = checkpoint.load(checkpoint.find_latest(place))
    assert (step, state["number"]) in ((old, 1), (new, 2)), (moment, step, state)
    assert bool(state["weights"].all()) == (state["number"] == 2), moment
    print(state["number"])
    checkpoint.save(place, new + 1, {"number": 3}, keep_checkpoints=1)
    assert [path.name for path in place.iterdir()] == [f"checkpoint-{new + 1:08d}"], moment
    if finished:
        break
"""


@pytest.mark.parametrize(("old", "new"), [(7, 8), (7, 7)])
def test_killed_at_any_file_operation_it_leaves_the_old_state_or_the_new_one(
    tmp_path: Path, old: int, new: int
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path), str(old), str(new)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    found = ended.stdout.split()
    assert found == sorted(found)
    assert found.count("1") >= 5
    assert found.count("2") >= 3


def state(number: int) -> dict[str, object]:
    return {"number": number, "weights": torch.full((10_000,), number)}


class FailingDisk:
    """Lets one of the calls that reach the disk fail, by its number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, error: int):
        self.left, self.error, self.failed = number, error, False
        for module, name in (
            *((os, name) for name in ("open", "mkdir", "replace", "fsync", "rmdir", "unlink")),
            (io, "open"),
            (builtins, "open"),
        ):
            monkeypatch.setattr(module, name, self._count(getattr(module, name)))

    def _count(self, call):
        def counted(*arguments, **options):
            self.left -= 1
            if self.left == 0:
                self.failed = True
                raise OSError(self.error, os.strerror(self.error), str(arguments[0]))
            return call(*arguments, **options)

        return counted


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("new", [7, 8])
def test_a_disk_that_fails_at_any_call_of_a_save_leaves_a_whole_state_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, new: int
) -> None:
    refused = 0
    for number in range(1, 100):
        folder = tmp_path / str(number)
        monkeypatch.setattr(os, "fsync", lambda _: None)  # it takes its time, and is tried by another test
        checkpoint.save(folder, 7, state(1), keep_checkpoints=1)
        with monkeypatch.context() as during:
            disk = FailingDisk(during, number, error)
            said = ""
            try:
                checkpoint.save(folder, new, state(2), keep_checkpoints=1)
            except UnwritableError as told:
                said = str(told)
        if said:
            refused += 1
            assert str(folder) in said
            assert "\n" not in said
        step, loaded = checkpoint.load(checkpoint.find_latest(folder))
        assert (step, loaded["number"]) in ((7, 1), (new, 2)), number
        checkpoint.save(folder, 9, state(3), keep_checkpoints=1)
        assert [path.name for path in folder.iterdir()] == ["checkpoint-00000009"], number
        if not disk.failed:
            break
    assert refused >= 8


@pytest.mark.parametrize("room", [0, 100, 5_000])
def test_a_disk_that_is_full_after_some_bytes_is_one_line_and_the_older_state_is_whole(
    tmp_path: Path, room: int
) -> None:
    checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(UnwritableError, match=r"cannot write .*checkpoint-00000002: File too large$"):
            checkpoint.save(tmp_path, 2, state(2), keep_checkpoints=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000001"]
    assert checkpoint.load(tmp_path / "checkpoint-00000001")[1]["number"] == 1


def test_an_interruption_during_a_save_leaves_the_older_state_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, 2, state(2), keep_checkpoints=1)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000001"]
