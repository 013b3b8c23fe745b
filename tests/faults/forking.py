"""Runs command lines of vidvox in forks of one process that has imported everything, so that each starts at once.

`Commands` is the handle that tests use; `python -m faults.forking` is the process that it starts.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from faults.injecting import Fault, Outcome, UnavailableError, watch

ROOT = Path(__file__).parents[2]


@dataclass
class Ended(Outcome):
    """How a command ended, what it called and what it said."""

    out: str = ""
    err: str = ""
    unavailable: str = ""

    @property
    def last_line(self) -> str:
        """The last line on standard error."""
        return (self.err.strip().splitlines() or [""])[-1]

    @property
    def is_one_line(self) -> bool:
        """Whether it ended as a mistake should: exit code 2, one line that says why, and no traceback."""
        return self.code == 2 and ": error: " in self.last_line and "Traceback (most recent call last)" not in self.err


class Running:
    """A command under way."""

    def __init__(self, folder: Path, timeout: float):
        self.folder, self.timeout = folder, timeout

    @property
    def pid(self) -> int:
        """Number of its process, once it has started."""
        return int(_await(self.folder / "pid", 60))

    def is_over(self) -> bool:
        return (self.folder / "outcome.json").exists()

    def finish(self) -> Ended:
        """Wait until it ends. Raises UnavailableError if calls cannot be watched on this machine."""
        ended = Ended(**json.loads(_await(self.folder / "outcome.json", self.timeout + 60)))
        ended.out, ended.err = ((self.folder / name).read_text(errors="replace") for name in ("out", "err"))
        if ended.unavailable:
            raise UnavailableError(ended.unavailable)
        return ended


@dataclass
class Commands:
    """The process that forks; it is started by the first command and ended by `close`."""

    _process: subprocess.Popen | None = None
    _folder: tempfile.TemporaryDirectory = field(default_factory=tempfile.TemporaryDirectory)
    _count: int = 0

    def start(
        self,
        *words: object,
        below: Path,
        fault: Fault | None = None,
        reads: bool = False,
        signal_after: tuple[float, int] | None = None,
        timeout: float = 120.0,
        environment: dict[str, str] | None = None,
    ) -> Running:
        """Start a command line of vidvox with `below` as its working folder; see `watch` for the rest."""
        if self._process is None:
            paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
            settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore", "MPLBACKEND": "agg"}
            command = [sys.executable, "-m", "faults.forking"]
            self._process = subprocess.Popen(command, env=os.environ | settings, stdin=subprocess.PIPE, text=True)
        self._count += 1
        folder = Path(self._folder.name, str(self._count))
        folder.mkdir()
        job = {
            "words": [str(word) for word in words],
            "below": str(below),
            "fault": asdict(fault) if fault else None,
            "reads": reads,
            "signal_after": signal_after,
            "timeout": timeout,
            "environment": environment or {},
            "folder": str(folder),
        }
        assert self._process.stdin
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Running(folder, timeout)

    def run(self, *words: object, below: Path, **options: Any) -> Ended:
        """Run a command line to its end; see `start`."""
        return self.start(*words, below=below, **options).finish()

    def close(self) -> None:
        if self._process:
            self._process.kill()  # what it forked is over by now
            self._process.communicate()
        self._folder.cleanup()


def _await(path: Path, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not appear in {seconds:g} seconds")
        time.sleep(0.002)
    return path.read_text()


def _write_whole(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    os.replace(path.with_suffix(".new"), path)


def serve() -> None:
    """Fork a process for each line of standard input until it ends."""
    _import_everything()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        if not os.fork():
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _supervise(json.loads(line))
            finally:
                os._exit(0)


IMPORTED = (
    *("voxgan.build", "voxgan.data.prepare", "voxgan.evaluation.evaluate", "voxgan.evaluation.page", "voxgan.export"),
    *("torch._dynamo", "torch.utils.tensorboard", "matplotlib.figure", "scipy.stats", "skimage.metrics"),
)
"""What the commands import, by and by; the first optimiser of a process imports dynamo."""


def _import_everything() -> None:
    """Imports what the commands need, without running anything that starts threads."""
    for name in IMPORTED:
        import_module(name)
    import torch

    torch.set_num_threads(1)


def _supervise(job: dict[str, Any]) -> None:
    folder = Path(job["folder"])
    try:
        outcome = watch(
            lambda: _command(job["words"], job["below"], folder, job["environment"]),
            Path(job["below"]),
            fault=Fault(**job["fault"]) if job["fault"] else None,
            reads=job["reads"],
            signal_after=job["signal_after"],
            timeout=job["timeout"],
            started=lambda pid: _write_whole(folder / "pid", str(pid)),
        )
        ended = Ended(**asdict(outcome))
    except UnavailableError as error:
        ended = Ended(unavailable=str(error))
    for name in ("out", "err"):
        (folder / name).touch()
    _write_whole(folder / "outcome.json", json.dumps(asdict(ended)))


def _command(words: Sequence[str], below: str, folder: Path, environment: dict[str, str]) -> int:
    """The exit code of a command line in this process, which is a fork of its own."""
    for name, descriptor in (("out", 1), ("err", 2)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.environ.update(environment)
    os.chdir(below)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["vidvox", *words]
    from vidvox.cli import main

    code = 0
    try:
        main(list(words))
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


if __name__ == "__main__":
    serve()
