"""A disk that is full, fails or writes half: one line and nothing half-written, or the right result."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from faults.campaign import record
from faults.forking import Commands, Ended
from faults.injecting import Effect, Fault
from faults.materials import Materials
from faults.runs import describe_end, spread
from faults.writers import WRITERS, Writer, describe_wrong, list_left_over

MAX_CALLS = 12
"""Calls of a command at which a fault is tried, spread evenly over all of them."""


@dataclass
class Disks:
    """A command that writes, on disks that fail."""

    commands: Commands
    materials: Materials
    writer: Writer
    folder: Path
    faults: int = 0
    told: int = 0
    silent: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.twins = (self.folder / "first", self.folder / "second")
        for twin in self.twins:
            if twin is self.twins[1]:
                time.sleep(2.1)  # so that whatever depends on the time differs: zips count in steps of two seconds
            ended = self.command(twin)
            assert ended.code == 0, describe_end(ended)
        self.calls = ended.calls

    def command(self, folder: Path, *more: str, **options) -> Ended:
        folder.mkdir(exist_ok=True)
        return self.commands.run(*self.writer.words(self.materials, folder), *more, below=folder, **options)

    def strike(self, fault: Fault) -> None:
        """Let a call fail, and then try again on a disk that is well."""
        folder = self.folder / "struck"
        ended = self.command(folder, fault=fault)
        if ended.struck:
            self.judge(fault, ended, folder)
        shutil.rmtree(folder)

    def judge(self, fault: object, ended: Ended, folder: Path) -> None:
        self.faults += 1
        wrong = describe_wrong(self.writer, folder, self.twins)
        if ended.code == 0 and wrong:
            if not any(words in ended.err for words in ("left out", "skipped", "warning")):
                self.silent += 1
                self.problems.append(f"{self.writer.name}, {fault}: silently wrong: {wrong}")
                return
        elif ended.code != 0 and not ended.is_one_line:
            self.problems.append(f"{self.writer.name}, {fault}: {describe_end(ended)}")
            return
        cannot_remove = isinstance(fault, Fault) and fault.effect == "EIO" and fault.lasting
        if not cannot_remove and (left := list_left_over(self.writer, folder)):
            self.problems.append(f"{self.writer.name}, {fault}: left over: {left}")
            return
        again = self.command(folder) if wrong else None
        if again and again.code == 2 and "--overwrite" in again.err:
            again = self.command(folder, "--overwrite")
        if again and (again.code != 0 or describe_wrong(self.writer, folder, self.twins)):
            wrong = describe_wrong(self.writer, folder, self.twins)
            self.silent += again.code == 0
            self.problems.append(f"{self.writer.name}, {fault}: tried again: {wrong}\n{describe_end(again)}")
            return
        self.told += 1

    def report(self, name: str) -> None:
        record(
            "disks",
            f"{self.writer.name} {name}",
            faults=self.faults,
            faults_told=self.told,
            silent=self.silent,
        )

    def check(self) -> None:
        assert not self.problems, f"{len(self.problems)} of {self.faults}:\n" + "\n".join(self.problems[:10])


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of `size` bytes in this folder. Skips the test where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


QUICK = [writer for writer in WRITERS if writer.name in ("train voxels", "prepare", "predict future.mp4")]


@pytest.mark.parametrize("writer", QUICK, ids=lambda writer: writer.name)
def test_a_command_on_a_full_disk_ends_in_one_line(
    commands: Commands, materials: Materials, tmp_path: Path, writer: Writer
) -> None:
    disks = Disks(commands, materials, writer, tmp_path)
    disks.strike(Fault(disks.calls.index("write") + 1, "ENOSPC", lasting=True))
    assert disks.faults == 1
    disks.check()


@pytest.mark.faults
@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
@pytest.mark.parametrize(("effect", "lasting"), [("ENOSPC", True), ("EIO", False), ("EIO", True), ("short", False)])
def test_a_command_whose_disk_fails_at_any_call_ends_in_one_line_or_right(
    commands: Commands, materials: Materials, tmp_path: Path, writer: Writer, effect: Effect, lasting: bool
) -> None:
    disks = Disks(commands, materials, writer, tmp_path)
    for number in spread(len(disks.calls), MAX_CALLS):
        disks.strike(Fault(number, effect, lasting))
    disks.report(f"{effect} {'lasting' if lasting else 'once'}")
    disks.check()


@pytest.mark.faults
@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
def test_a_command_on_a_disk_of_any_small_size_ends_in_one_line_or_right(
    commands: Commands, materials: Materials, tmp_path: Path, writer: Writer
) -> None:
    disks = Disks(commands, materials, writer, tmp_path)
    needed = sum(path.stat().st_size for path in disks.twins[0].rglob("*") if path.is_file())
    for share in (0.02, 0.1, 0.3, 0.6, 0.9, 1.2):
        size = max(4096, int(share * needed) // 4096 * 4096)
        with small_disk(tmp_path / "small", size):
            ended = disks.command(tmp_path / "small")
            shutil.copytree(tmp_path / "small", tmp_path / "struck")
        disks.judge(f"a disk of {size} bytes", ended, tmp_path / "struck")
        shutil.rmtree(tmp_path / "struck")
    disks.report("small disks")
    disks.check()
