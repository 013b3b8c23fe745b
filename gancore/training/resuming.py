"""Choosing and loading the checkpoint from which a run resumes, the same in all processes."""

from pathlib import Path
from typing import Any

from accelerate import Accelerator

from gancore import checkpoint
from gancore.model_files import MODEL_FILES
from gancore.training.processes import ask_main_process, in_every_process


def load_newest(run: Path, accelerator: Accelerator) -> tuple[Path, int, dict[str, Any]] | None:
    """The path, step and state of the newest intact checkpoint; None in a folder where nothing was trained yet.

    Raises ValueError in all processes if any of them cannot read it, or if all checkpoints are damaged or lost.
    """
    found = ask_main_process(accelerator, lambda: _choose(run))
    if found is None:
        return None
    path, identity = found

    def load() -> tuple[int, dict[str, Any]]:
        if checkpoint.identify(path) != identity:
            raise ValueError(f"{path} is not the checkpoint that the main process found there")
        return checkpoint.load(path)

    return path, *in_every_process(accelerator, load)


def has_model(run: Path) -> bool:
    """Whether the run folder holds a complete trained generator."""
    return all((run / "generator" / name).exists() for name in MODEL_FILES)


def _choose(run: Path) -> tuple[Path, str] | None:
    path = checkpoint.find_latest(run)
    if path is not None:
        return path, checkpoint.identify(path)
    if has_model(run):
        raise ValueError(f"{run} holds a trained model but no checkpoint to go on from")
    return None
