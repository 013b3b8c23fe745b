"""What the `vidvox train` commands share: the default recipe, the settings in --help, and several processes."""

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

Config = TypeVar("Config")

SHARED_KEYS = ("run", "train.steps", "train.batch", "train.max_minutes", "train.seed", "train.cpu", "processes")
"""Settings that --help shows for every training."""


def add_default_recipe(argv: Sequence[str], recipe: str) -> list[str]:
    """Return the arguments, preceded by --config and the recipe unless they contain a --config."""
    named = any(word.partition("=")[0] == "--config" for word in argv)
    return [*argv] if named else ["--config", recipe, *argv]


def check_source(path: str, argv: Sequence[str], *, named: Collection[str], of: str, prog: str) -> None:
    """Check that data.path exists, and is not both a file or folder and the name of built-in data.

    Args:
        path: The value of data.path.
        argv: The arguments of the command; a name is ambiguous only if it was typed.
        named: The names of built-in data, which need no path.
        of: What the folder holds, for the message.
        prog: The name of the command.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: A built-in name was typed, and there is a file or folder of that name as well.
    """
    if path not in named and not Path(path).exists():
        raise FileNotFoundError(f"no such file or folder: {path}; give the folder of your {of}: {prog} FOLDER")
    if path in named and any(word.rpartition("=")[2] == path for word in argv) and Path(path).exists():
        raise ValueError(
            f"{path} is both built-in data and a file or folder here: write ./{path} for the latter, or move it"
        )


@dataclass(frozen=True, kw_only=True)
class ProcessesConfig:
    """The setting of every `vidvox train` command that is not saved in the run folder."""

    processes: int | None = None
    """Number of local processes that train together, one per GPU; this process only if not given."""

    def __post_init__(self) -> None:
        if self.processes is not None and self.processes < 1:
            raise ValueError(f"processes must be at least 1, got {self.processes}")
        if check_others := getattr(super(), "__post_init__", None):
            check_others()


def upcast(config: Any, parent: type[Config]) -> Config:
    """Return the settings as an instance of a parent class, without the fields that only the subclass has."""
    return parent(**{field.name: getattr(config, field.name) for field in fields(parent)})  # type: ignore[arg-type]


def train_together(count: int, prog: str, argv: Sequence[str]) -> NoReturn:
    """Train in `count` processes with the same command line, started by torch's launcher, and exit with their code.

    A signal to this process is passed on to all of them, and they stop after writing a checkpoint. Raises ValueError if
    one of them is killed.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # otherwise the processes would compete for the cores
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
        if first.exitcode >= 0:  # the process has printed the reason
            raise SystemExit(first.exitcode) from error
        raise ValueError(
            f"process {rank} of {count} was killed by signal {-first.exitcode}, and the others were stopped; the last "
            "checkpoint is intact, and the same command resumes from it"
        ) from error
    except SignalException as stop:
        raise SystemExit(128 + stop.sigval) from stop
    raise SystemExit(0)
