"""A training that is killed, at a random moment or at any of its file-system calls, resumes bit for bit."""

import random
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from faults.campaign import record
from faults.forking import Commands
from faults.injecting import TEARABLE, Fault
from faults.materials import Materials
from faults.runs import (
    EVERY,
    HALVES,
    Half,
    describe_difference,
    describe_end,
    logged,
    measure_leftovers,
    newest_step,
    train_words,
)

RANDOM_KILLS, SEQUENCE = 60, 100


@dataclass
class Kills:
    """Trainings of one half that are killed and resumed, and what came of it."""

    commands: Commands
    half: Half
    data: Path | None
    folder: Path
    steps: int = 8
    kills: int = 0
    steps_lost: int = 0
    left_over: int = 0
    silent: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        ended = self.train(self.folder / "undisturbed")
        assert ended.code == 0, describe_end(ended)
        self.calls, self.seconds = ended.calls, ended.seconds
        self.undisturbed = self.folder / "undisturbed" / "run"

    def train(self, folder: Path, **options):
        folder.mkdir(exist_ok=True)
        words = train_words(self.half, folder / "run", data=self.data, steps=self.steps)
        return self.commands.run(*words, below=folder, **options)

    def kill(self, folder: Path, **options) -> bool:
        """Train until the kill; whether it came before the end."""
        before = newest_step(folder / "run")
        ended = self.train(folder, **options)
        if ended.code == 0:
            return False
        if ended.code != -signal.SIGKILL:
            self.problems.append(f"{options}: {describe_end(ended)}")
            return False
        self.kills += 1
        reached = max([before, *(int(line["step"]) for line in logged(folder / "run"))])
        kept = newest_step(folder / "run")
        self.steps_lost = max(self.steps_lost, reached - kept)
        if kept < before:
            self.problems.append(f"{options}: the checkpoint of step {before} is gone")
        return True

    def resume(self, folder: Path, what: object) -> None:
        """Train to the end, and compare what is there with what the undisturbed training left."""
        ended = self.train(folder)
        if ended.code != 0:
            self.problems.append(f"{what}: {describe_end(ended)}")
        elif difference := describe_difference(folder / "run", self.undisturbed):
            self.silent += 1
            self.problems.append(f"{what}: {difference}")
        self.left_over += measure_leftovers(folder / "run", self.undisturbed)
        shutil.rmtree(folder)

    def at_call(self, number: int) -> None:
        """Kill at a call, or if it writes and its number is odd after half of it, and resume."""
        tear = self.calls[number - 1] in TEARABLE and number % 2
        fault = Fault(number, "tear" if tear else "kill")
        self._kill_and_resume(fault, fault=fault)

    def at_moment(self, seconds: float) -> None:
        """Kill after this time, and resume."""
        self._kill_and_resume(f"after {seconds:.3f} s", signal_after=(seconds, signal.SIGKILL))

    def _kill_and_resume(self, what: object, **options) -> None:
        folder = self.folder / "killed"
        if self.kill(folder, **options):
            self.resume(folder, what)
        else:
            shutil.rmtree(folder)

    def report(self, name: str) -> None:
        record(
            "kills",
            f"{self.half} {name}",
            kills=self.kills,
            kills_resumed=self.kills - len(self.problems),
            steps_lost=self.steps_lost,
            left_over_bytes=self.left_over,
            silent=self.silent,
        )

    def check(self) -> None:
        assert not self.problems, "\n".join(self.problems[:10])
        assert self.steps_lost <= EVERY
        assert self.left_over == 0


@pytest.mark.parametrize("half", HALVES)
def test_a_run_killed_in_the_middle_of_a_save_resumes_bit_for_bit(
    commands: Commands, materials: Materials, tmp_path: Path, half: Half
) -> None:
    kills = Kills(commands, half, materials.source(half), tmp_path, steps=4)
    first_rename, last_write = kills.calls.index("rename") + 1, len(kills.calls) - kills.calls[::-1].index("write")
    for number in (first_rename, last_write - 3):
        kills.at_call(number)
    assert kills.kills == 2
    kills.check()


@pytest.mark.faults
@pytest.mark.parametrize("half", HALVES)
def test_a_run_killed_at_any_file_system_call_resumes_bit_for_bit(
    commands: Commands, materials: Materials, tmp_path: Path, half: Half
) -> None:
    kills = Kills(commands, half, materials.source(half), tmp_path)
    for number in range(1, len(kills.calls) + 1):
        kills.at_call(number)
    kills.report("at every call")
    assert kills.kills == len(kills.calls)
    kills.check()


@pytest.mark.faults
@pytest.mark.parametrize("half", HALVES)
def test_a_run_killed_at_a_random_moment_resumes_bit_for_bit(
    commands: Commands, materials: Materials, tmp_path: Path, half: Half
) -> None:
    kills, moments = Kills(commands, half, materials.source(half), tmp_path), random.Random(0)
    for _ in range(2 * RANDOM_KILLS):
        if kills.kills < RANDOM_KILLS:
            kills.at_moment(moments.uniform(0, kills.seconds))
    kills.report("at random moments")
    assert kills.kills >= RANDOM_KILLS // 2
    kills.check()


@pytest.mark.faults
@pytest.mark.parametrize("half", HALVES)
def test_a_run_killed_a_hundred_times_resumes_bit_for_bit_and_leaves_nothing_over(
    commands: Commands, materials: Materials, tmp_path: Path, half: Half
) -> None:
    kills, moments = Kills(commands, half, materials.source(half), tmp_path, steps=160), random.Random(1)
    while kills.kills < SEQUENCE and kills.kill(tmp_path / "killed", fault=Fault(moments.randint(1, 110), "tear")):
        pass
    kills.resume(tmp_path / "killed", "a hundred kills")
    kills.report("a hundred in one folder")
    assert kills.kills >= SEQUENCE
    kills.check()
