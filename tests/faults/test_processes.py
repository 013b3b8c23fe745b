"""Processes that die, are told to stop, or share a folder: said in one line, nothing lost, nothing left running."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from faults.campaign import record
from faults.forking import ROOT, Commands, Ended
from faults.materials import Materials
from faults.runs import (
    HALVES,
    Half,
    describe_difference,
    describe_end,
    logged,
    newest_step,
    prepare_words,
    train_words,
)
from faults.test_damage import content_of

SIGNALS = (signal.SIGTERM, signal.SIGINT)
WAIT = 60
"""Seconds within which the other process of a training must end."""


class Tally:
    """Faults, those that ended as they should, and what was wrong with the others."""

    def __init__(self) -> None:
        self.faults = self.told = self.silent = 0
        self.problems: list[str] = []

    def judge(self, what: object, problem: str, *, silent: bool = False) -> None:
        self.faults += 1
        self.told += not problem
        self.silent += silent and bool(problem)
        if problem:
            self.problems.append(f"{what}: {problem}")

    def report(self, name: str) -> None:
        record("processes", name, faults=self.faults, faults_told=self.told, silent=self.silent)
        self.check()

    def check(self) -> None:
        assert not self.problems, "\n".join(self.problems[:10])


class Signalled:
    """Trainings of one half that get a signal, compared with one that did not."""

    def __init__(self, commands: Commands, materials: Materials, half: Half, folder: Path):
        self.commands, self.half, self.folder, self.tally = commands, half, folder, Tally()
        self.data = materials.source(half)
        ended = self.train("undisturbed")
        assert ended.code == 0, describe_end(ended)
        self.seconds, self.undisturbed = ended.seconds, folder / "undisturbed" / "run"

    def train(self, name: str, **options) -> Ended:
        (self.folder / name).mkdir(exist_ok=True)
        words = train_words(self.half, self.folder / name / "run", data=self.data)
        return self.commands.run(*words, below=self.folder / name, **options)

    def signal(self, number: int, seconds: float) -> None:
        """Send a signal, and see that the training has kept all its steps and goes on from there."""
        what, run = f"{signal.Signals(number).name} after {seconds:.2f} s", self.folder / "told" / "run"
        ended = self.train("told", signal_after=(seconds, number))
        steps = logged(run)
        problem = ""
        if ended.code not in (0, 130, -number) or "Traceback" in ended.err:
            problem = describe_end(ended)
        elif ended.code == 0 and steps and newest_step(run) < int(steps[-1]["step"]):
            problem = f"it was told to stop at step {steps[-1]['step']} and saved step {newest_step(run)}"
        self.tally.judge(what, problem)
        ended = self.train("told")
        difference = describe_difference(run, self.undisturbed) if ended.code == 0 else describe_end(ended)
        self.tally.judge(f"resumed after {what}", difference, silent=ended.code == 0)
        shutil.rmtree(self.folder / "told")


def test_a_training_that_is_told_to_stop_saves_and_goes_on_from_there(
    commands: Commands, materials: Materials, tmp_path: Path
) -> None:
    signalled = Signalled(commands, materials, "voxels", tmp_path)
    signalled.signal(signal.SIGTERM, signalled.seconds / 2)
    signalled.tally.check()


@pytest.mark.faults
@pytest.mark.parametrize("half", HALVES)
def test_a_training_that_is_told_to_stop_at_any_moment_loses_nothing(
    commands: Commands, materials: Materials, tmp_path: Path, half: Half
) -> None:
    signalled, moments = Signalled(commands, materials, half, tmp_path), random.Random(0)
    for number in SIGNALS * 20:
        signalled.signal(number, moments.uniform(0, signalled.seconds))
    signalled.tally.report(f"signals, {half}")


@pytest.mark.faults
@pytest.mark.parametrize("half", HALVES)
def test_a_training_whose_loader_is_killed_saves_and_says_so(
    commands: Commands, materials: Materials, tmp_path: Path, half: Half
) -> None:
    def words(name: str) -> list[object]:
        workers = ["--data.workers", "1"]
        return train_words(half, tmp_path / name / "run", *workers, data=materials.source(half), steps=30)

    tally = Tally()
    for name in ("undisturbed", "struck"):
        (tmp_path / name).mkdir()
    ended = commands.run(*words("undisturbed"), below=tmp_path)
    assert ended.code == 0, describe_end(ended)
    running = commands.start(*words("struck"), below=tmp_path / "struck")
    run = tmp_path / "struck" / "run"
    while len(logged(run)) < 5 and not running.is_over():
        time.sleep(0.005)
    (loader,) = psutil.Process(running.pid).children()
    loader.kill()
    ended = running.finish()
    lost = int(logged(run)[-1]["step"]) - newest_step(run)
    tally.judge("loader killed", "" if ended.is_one_line else describe_end(ended))
    tally.judge("loader killed", f"{lost} steps are lost" if lost else "")
    ended = commands.run(*words("struck"), below=tmp_path / "struck")
    difference = describe_difference(run, tmp_path / "undisturbed" / "run") if ended.code == 0 else describe_end(ended)
    tally.judge("resumed", difference, silent=ended.code == 0)
    tally.report(f"loader killed, {half}")


def start_two(words: list[object], err: Path) -> subprocess.Popen:
    """A training of two processes, in a session of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "vidvox", *map(str, words), "--processes", "2"]
    with err.open("w") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)


@pytest.mark.faults
@pytest.mark.parametrize("victim", [0, 1])
def test_a_training_one_of_whose_processes_is_killed_ends_soon_and_resumes(tmp_path: Path, victim: int) -> None:
    def words(name: str) -> list[object]:
        return train_words("video", tmp_path / name, steps=60)

    undisturbed = start_two(words("undisturbed"), tmp_path / "undisturbed.txt")
    assert undisturbed.wait(600) == 0, (tmp_path / "undisturbed.txt").read_text()[-3000:]
    tally, told = Tally(), tmp_path / "told.txt"
    launcher = start_two(words("struck"), told)
    while len(logged(tmp_path / "struck")) < 10:
        assert launcher.poll() is None, told.read_text()[-3000:]
        time.sleep(0.01)
    everyone = psutil.Process(launcher.pid).children(recursive=True)
    rank = next(each for each in everyone if each.environ().get("RANK") == str(victim))
    rank.kill()
    struck = time.monotonic()
    with contextlib.suppress(subprocess.TimeoutExpired):
        launcher.wait(2 * WAIT)
    took = time.monotonic() - struck
    tally.judge("the others end", "" if took < WAIT else f"after {took:.0f} s")
    left = [each for each in everyone if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    tally.judge("no orphan", f"{left}" if left else "")
    said = told.read_text()
    tally.judge("exit code", "" if launcher.poll() else f"{launcher.poll()}")
    tally.judge("says why", "" if ": error: " in said and "Traceback" not in said else said[-3000:])
    for each in (*left, launcher):
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            each.kill()
    launcher.wait()
    again = start_two(words("struck"), told)
    problem = told.read_text()[-3000:] if again.wait(600) else ""
    tally.judge(
        "resumed", problem or describe_difference(tmp_path / "struck", tmp_path / "undisturbed"), silent=not problem
    )
    tally.report(f"process {victim} of two killed")


def test_of_two_trainings_in_one_folder_the_second_is_refused(
    commands: Commands, materials: Materials, tmp_path: Path
) -> None:
    def words(run: Path) -> list[object]:
        return train_words("voxels", run, data=materials.boxes, steps=20)

    ended = commands.run(*words(tmp_path / "alone"), below=tmp_path)
    assert ended.code == 0, describe_end(ended)
    both = [commands.start(*words(tmp_path / "run"), below=tmp_path) for _ in range(2)]
    codes = {ended.code: ended for ended in (running.finish() for running in both)}
    assert set(codes) == {0, 2}, [describe_end(ended) for ended in codes.values()]
    assert codes[2].is_one_line
    assert str(tmp_path / "run") in codes[2].last_line
    assert not describe_difference(tmp_path / "run", tmp_path / "alone")


@pytest.mark.faults
@pytest.mark.parametrize("half", HALVES)
def test_two_trainings_in_one_folder_never_mix(
    commands: Commands, materials: Materials, tmp_path: Path, half: Half
) -> None:
    def words(run: Path) -> list[object]:
        return train_words(half, run, data=materials.source(half), steps=12)

    ended = commands.run(*words(tmp_path / "alone"), below=tmp_path)
    assert ended.code == 0, describe_end(ended)
    tally, pauses = Tally(), random.Random(0)
    for number in range(10):
        run, both = tmp_path / str(number), []
        for _ in range(2):
            both.append(commands.start(*words(run), below=tmp_path))
            time.sleep(pauses.uniform(0, ended.seconds / 2))
        for other in [running.finish() for running in both]:
            tally.judge(f"pair {number}", "" if other.code == 0 or other.is_one_line else describe_end(other))
        difference = describe_difference(run, tmp_path / "alone")
        tally.judge(f"pair {number}", difference, silent=True)
    tally.report(f"two trainings in one folder, {half}")


@pytest.mark.faults
def test_two_preparations_in_one_folder_never_mix(commands: Commands, materials: Materials, tmp_path: Path) -> None:
    ended = commands.run(*prepare_words(materials.meshes, tmp_path / "alone"), below=tmp_path)
    assert ended.code == 0, describe_end(ended)
    whole, tally, pauses = content_of(tmp_path / "alone"), Tally(), random.Random(0)
    for number in range(10):
        out, both = tmp_path / f"set{number}", []
        for _ in range(2):
            both.append(commands.start(*prepare_words(materials.meshes, out), below=tmp_path))
            time.sleep(pauses.uniform(0, ended.seconds / 2))
        for other in [running.finish() for running in both]:
            tally.judge(f"pair {number}", "" if other.code == 0 or other.is_one_line else describe_end(other))
        try:
            problem = "" if content_of(out) == whole else "other objects"
        except ValueError as error:
            problem = str(error)
        tally.judge(f"pair {number}", problem, silent=problem == "other objects")
    tally.report("two preparations in one folder")
