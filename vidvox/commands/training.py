"""What the trainings of both halves share: the default recipe, the keys that help shows, several processes."""

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

Config = TypeVar("Config")

SHARED_KEYS = ("run", "train.steps", "train.batch", "train.max_minutes", "train.seed", "train.cpu", "processes")
"""Keys that help shows in both halves."""


def add_default_recipe(argv: Sequence[str], recipe: str) -> list[str]:
    """Return the words of a command line, with the recipe before them if they name no --config."""
    named = any(word.partition("=")[0] == "--config" for word in argv)
    return [*argv] if named else ["--config", recipe, *argv]


def check_source(path: str, argv: Sequence[str], *, named: Collection[str], of: str, prog: str) -> None:
    """Raise an error for a data.path that is not there, or that means two things: a name and a path.

    Args:
        path: The value of data.path.
        argv: The words of the command line, as only a name that was typed can have been meant as a folder.
        named: The names of data that needs no path.
        of: What the folder holds.
        prog: The name of the command.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: The name was given, and there is a file or folder of that name as well.
    """
    if path not in named and not Path(path).exists():
        raise FileNotFoundError(f"no such file or folder: {path}; give the folder of your {of}: {prog} FOLDER")
    if path in named and any(word.rpartition("=")[2] == path for word in argv) and Path(path).exists():
        raise ValueError(
            f"{path} is a name that vidvox knows, and a file or folder here too: write ./{path} for that, or move it"
        )


@dataclass(frozen=True, kw_only=True)
class ProcessesConfig:
    """The setting that a training from the command line has besides those of its half."""

    processes: int | None = None
    """Local processes, one a GPU, that train together; only this one if not given."""

    def __post_init__(self) -> None:
        if self.processes is not None and self.processes < 1:
            raise ValueError(f"processes must be at least 1, got {self.processes}")
        if check_others := getattr(super(), "__post_init__", None):
            check_others()


def upcast(config: Any, parent: type[Config]) -> Config:
    """Return the settings that a run folder keeps, without those of the command."""
    return parent(**{field.name: getattr(config, field.name) for field in fields(parent)})  # type: ignore[arg-type]


def train_together(count: int, prog: str, argv: Sequence[str]) -> NoReturn:
    """Train in `count` processes, each with the same command line, and end with their exit code.

    torch's launcher starts them; a signal to this process reaches all of them, which then stop with a checkpoint.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # or processes on a CPU would fight for its cores
    local = LaunchConfig(
        run_id="vidvox",
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(local, sys.executable)("-m", "vidvox", *prog.split()[1:], *argv, "--processes=1")
    except ChildFailedError as error:
        rank, first = error.get_first_failure()
        if first.exitcode >= 0:  # it has said why
            raise SystemExit(first.exitcode) from error
        raise ValueError(
            f"process {rank} of {count} was ended by signal {-first.exitcode}, and the others with it; the last "
            "checkpoint is whole, and the same command goes on from it"
        ) from error
    except SignalException as stop:
        raise SystemExit(128 + stop.sigval) from stop
    raise SystemExit(0)
