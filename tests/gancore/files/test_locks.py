"""One writer a folder: who holds it is named, and what a killed holder left behind blocks nobody."""

import errno
import fcntl
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gancore.errors import UnwritableError
from gancore.files import locks
from gancore.files.locks import NAME, lock_folder

HOLD = """
import sys, time
from pathlib import Path
from gancore.files.locks import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds tmp_path / "run"."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def impatience(monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.3)


@pytest.fixture
def no_flock(monkeypatch):
    def refuse(_descriptor, _operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


def write_lock(folder: Path, **changes) -> Path:
    """A lock that a process left behind, which differs from one of this process by `changes`."""
    folder.mkdir(exist_ok=True)
    path = folder / NAME
    path.write_text(json.dumps(locks._describe_me() | changes))
    return path


def test_a_second_process_is_refused_in_one_line_that_names_the_first(tmp_path, holder):
    with (
        pytest.raises(ValueError, match=rf"run is in use by process {holder.pid} on \S+ since \d{{4}}-") as caught,
        lock_folder(tmp_path / "run"),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / NAME).exists()
    with lock_folder(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / NAME).read_text())["process"] == os.getpid()


def test_a_second_block_of_one_process_is_refused_and_both_leave_nothing(tmp_path):
    refused = pytest.raises(ValueError, match=f"in use by process {os.getpid()}")
    with lock_folder(tmp_path), refused, lock_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
    with lock_folder(tmp_path):
        pass


def test_an_error_in_the_block_passes_and_releases_the_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt), lock_folder(tmp_path):
        raise KeyboardInterrupt
    with lock_folder(tmp_path):
        pass


def test_children_do_not_hold_the_lock_of_a_parent_that_ended(tmp_path):
    with lock_folder(tmp_path):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
    try:
        with lock_folder(tmp_path):
            pass
    finally:
        child.kill()
        child.join()


def test_a_lock_that_says_nothing_is_taken_over(tmp_path):
    (tmp_path / NAME).touch()
    with lock_folder(tmp_path):
        pass


@pytest.mark.parametrize("content", ['{"process"', "[1]", "\x00\xff", "[" * 5000, "{}", '{"process": "x"}'])
@pytest.mark.usefixtures("impatience")
def test_a_lock_of_garbage_is_taken_over(tmp_path, content):
    (tmp_path / NAME).write_bytes(content.encode("latin-1"))
    with lock_folder(tmp_path):
        pass


@pytest.mark.parametrize("flock", [True, False])
def test_another_machine_that_touches_its_lock_is_not_disturbed(tmp_path, flock, request, monkeypatch):
    if not flock:
        request.getfixturevalue("no_flock")
    path = write_lock(tmp_path, place="elsewhere", host="node7", process=1)
    before = path.read_text()
    touched = iter(range(100))
    monkeypatch.setattr(locks, "_touched", lambda _: next(touched))
    with pytest.raises(ValueError, match="in use by process 1 on node7"), lock_folder(tmp_path):
        pass
    assert path.read_text() == before


@pytest.mark.parametrize("flock", [True, False])
@pytest.mark.usefixtures("impatience")
def test_another_machine_that_gives_no_sign_of_life_is_taken_for_gone(tmp_path, flock, request):
    if not flock:
        request.getfixturevalue("no_flock")
    write_lock(tmp_path, place="elsewhere", host="node7")
    with lock_folder(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["host"] != "node7"


def test_a_holder_touches_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "HEARTBEAT", 0.01)
    with lock_folder(tmp_path):
        before = locks._touched(tmp_path / NAME)
        deadline = time.monotonic() + 10
        while locks._touched(tmp_path / NAME) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert locks._touched(tmp_path / NAME) != before


@pytest.mark.usefixtures("no_flock")
def test_without_file_locks_a_running_process_is_told_from_an_ended_one(tmp_path, holder):
    with pytest.raises(ValueError, match=f"in use by process {holder.pid}"), lock_folder(tmp_path / "run"):
        pass
    holder.kill()
    holder.wait()
    with lock_folder(tmp_path / "run"):
        pass
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.usefixtures("no_flock")
def test_without_file_locks_a_process_number_that_was_given_again_is_recognised(tmp_path):
    write_lock(tmp_path, started="1")
    with lock_folder(tmp_path):
        pass


@pytest.mark.usefixtures("no_flock")
def test_without_file_locks_the_last_of_two_that_start_together_has_the_folder(tmp_path, monkeypatch):
    """The first sees that its lock was overwritten while it waited."""
    other = write_lock(tmp_path / "other").read_bytes()
    monkeypatch.setattr(time, "sleep", lambda _: (tmp_path / NAME).write_bytes(other))
    with pytest.raises(ValueError, match="is in use by process"), lock_folder(tmp_path):
        pass
    assert (tmp_path / NAME).read_bytes() == other


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableError, match=r"cannot write .*file/run"), lock_folder(tmp_path / "file" / "run"):
        pass


def test_a_lock_that_finds_no_space_is_one_line_and_blocks_nobody_later(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(UnwritableError, match="No space left"), lock_folder(tmp_path):
        pass
    monkeypatch.undo()
    with lock_folder(tmp_path):
        pass
