"""One process that forks commands, and what they read, for all tests of a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.forking import Commands
from faults.injecting import UnavailableError
from faults.materials import Materials, make_materials


@pytest.fixture(scope="session")
def commands(tmp_path_factory) -> Iterator[Commands]:
    """Command lines of vidvox whose calls can be made to fail."""
    running = Commands()
    try:
        running.run("--version", below=tmp_path_factory.mktemp("version"))
    except UnavailableError as error:
        running.close()
        pytest.skip(str(error))
    yield running
    running.close()


@pytest.fixture(scope="session")
def materials(commands, tmp_path_factory) -> Materials:
    """Small models, videos, meshes and data sets that commands read."""
    return make_materials(commands, Path(tmp_path_factory.mktemp("materials")))
