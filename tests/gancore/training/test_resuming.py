"""All processes of a training resume from the checkpoint that the main one chose, or say in one line who lacks it."""

import os
import shutil
import socket
from pathlib import Path

import psutil
import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from gancore import checkpoint
from gancore.training.resuming import load_newest

RUN = Path("run")


def resume_in_two_processes(folder: Path) -> list[str]:
    """The step and state that each of two processes resumes from, or its error; each has a disk of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    ranks = [_fork(folder / f"disk{rank}", {"RANK": str(rank), "LOCAL_RANK": str(rank), **meeting}) for rank in (0, 1)]
    for rank in ranks:
        rank.wait(timeout=300)
    return [(folder / f"disk{rank}" / "said").read_text() for rank in (0, 1)]


def _fork(disk: Path, environment: dict[str, str]) -> psutil.Process:
    disk.mkdir(exist_ok=True)
    if child := os.fork():
        return psutil.Process(child)
    try:
        os.environ |= environment
        os.chdir(disk)
        AcceleratorState._reset_state(reset_partial_state=True)
        try:
            found = load_newest(RUN, Accelerator(cpu=True))
            said = f"step {found[1]}: {found[2]}" if found else "nothing"
        except ValueError as error:
            said = f"error: {error}"
        Path("said").write_text(said)
    finally:
        os._exit(0)


def save(disk: Path, step: int, number: int) -> None:
    checkpoint.save(disk / RUN, step, {"number": number}, keep_checkpoints=None)


def test_every_process_resumes_from_the_checkpoint_that_the_main_one_chose(tmp_path):
    save(tmp_path / "disk0", 4, 1)
    shutil.copytree(tmp_path / "disk0", tmp_path / "disk1")
    save(tmp_path / "disk1", 8, 2)
    assert resume_in_two_processes(tmp_path) == ["step 4: {'number': 1}"] * 2


@pytest.mark.parametrize("number", [None, 2], ids=["nothing", "another"])
def test_a_process_whose_disk_does_not_hold_it_is_named_by_all(tmp_path, number):
    save(tmp_path / "disk0", 4, 1)
    if number:
        save(tmp_path / "disk1", 4, number)
    said = resume_in_two_processes(tmp_path)
    assert said[0] == said[1]
    assert said[0].startswith(f"error: process 1 on {socket.gethostname()}: run/checkpoint-00000004")
    assert ("is not the checkpoint that the main process found there" in said[0]) == bool(number)


def test_what_a_single_process_has_besides_is_no_reason_to_resume(tmp_path):
    save(tmp_path / "disk1", 8, 2)
    assert resume_in_two_processes(tmp_path) == ["nothing"] * 2
