"""Calls a tool as its file is run, or the command vidvox, in this process."""

import runpy
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from accelerate.state import AcceleratorState

ROOT = Path(__file__).resolve().parents[2]


class Said(NamedTuple):
    """What came of a run of a tool."""

    code: int
    out: str
    err: str


def called(tool: str, *flags: object) -> int:
    """The exit code of a tool."""
    AcceleratorState._reset_state(reset_partial_state=True)
    path = str(ROOT / "tools" / f"{tool}.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [path, *map(str, flags)])
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as leaving:
            return leaving.code if isinstance(leaving.code, int) else 1
    return 0


def called_vidvox(*words: object) -> int:
    """The exit code of a command line of vidvox."""
    from vidvox.cli import main  # not before signatures are checked

    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        main([*map(str, words)])
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    return 0
