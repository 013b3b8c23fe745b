"""Every shape in a signature is checked while the tests run, however long that takes."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from calling import Said, called
from hypothesis import settings
from jaxtyping import install_import_hook

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")  # no test depends on how busy the machine is

install_import_hook(["gancore", "vidgan", "voxgan"], "beartype.beartype")


@pytest.fixture
def use(capsys, monkeypatch, tmp_path):
    """Runs a tool as its file is run, in a fresh folder but in this process."""
    monkeypatch.chdir(tmp_path)

    def run(tool: str, *flags: object) -> Said:
        capsys.readouterr()
        code = called(tool, *flags)
        return Said(code, *capsys.readouterr())

    return run
