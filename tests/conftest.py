"""Every shape in a signature is checked while the tests run."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook
from support.browser import Browser, find, started
from support.calling import Said, called, called_vidvox

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")  # no test depends on how busy the machine is


def _use_one_thread() -> None:
    """A forked process has none of the threads that computed in its parent, and would wait for them for ever."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread)


def _modules_with_shapes() -> list[str]:
    """The modules that state shapes. To check the calls of the others too would take a tenth of the tests' time."""
    root = Path(__file__).parents[1]
    files = [file for package in ("gancore", "vidgan", "voxgan", "vidvox") for file in (root / package).rglob("*.py")]
    stating = [file.relative_to(root) for file in files if "from jaxtyping import" in file.read_text(encoding="utf-8")]
    return [".".join(file.with_suffix("").parts) for file in stating]


install_import_hook(_modules_with_shapes(), "beartype.beartype")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults", "how long the tests take that are marked `faults`")
    group.addoption("--soak-minutes", type=float, default=60.0, help="length of the longest training")
    group.addoption("--fuzz-inputs", type=int, default=1_000_000, help="unsound files that are read")
    group.addoption("--fuzz-seed", type=int, default=1, help="another seed makes other files")


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator[Browser]:
    """A real browser, in which to look at pages."""
    if (program := find()) is None:
        pytest.skip("there is no browser: install chromium, or name one in $CHROME")
    with started(program, tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture
def use(capsys, monkeypatch, tmp_path):
    """Runs a tool as its file is run, in a fresh folder but in this process."""
    monkeypatch.chdir(tmp_path)

    def run(tool: str, *flags: object) -> Said:
        capsys.readouterr()
        code = called(tool, *flags)
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def run_vidvox(capsys, monkeypatch, tmp_path):
    """Runs a command line of vidvox in a fresh folder but in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Said:
        capsys.readouterr()
        code = called_vidvox(*words)
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """This process and those that it starts compute with one thread, as forked ones do, so that they can be compared to
    the bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def small_turns() -> Iterator[None]:
    """Turning objects are drawn smaller and in fewer frames than a reader would want."""
    from voxgan import export  # not before signatures are checked
    from voxgan.evaluation import media

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "TURN_FRAMES", 8)
        patch.setattr(media, "SIDE", 32)
        patch.setattr(media, "FRAMES", 3)
        yield
