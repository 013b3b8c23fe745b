"""Every command and every piece of Python in README.md runs as it stands there, only smaller."""

import re

import pytest
from support.documents import README, ROOT, check_command, create_workplace, read_blocks, run_block, run_command


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with what the README supposes its reader to have."""
    create_workplace(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_block_that_runs_something_has_a_name():
    blocks = read_blocks(README)
    assert {"bash", "python"} <= {block.language for block in blocks}
    bare = [block.text for block in blocks if not block.name and not all(c.startswith("make ") for c in block.commands)]
    assert not bare, "put <!-- test: NAME --> on the line above the block"


@pytest.mark.slow
@pytest.mark.usefixtures("small_turns")
def test_every_command_of_the_readme_runs(workplace):
    blocks = read_blocks(README)
    for block in blocks:
        run_block(block, README)
    assert sum(len(block.commands) for block in blocks if block.language == "bash") > 5
    assert any((workplace / "runs").iterdir())


def test_every_file_that_the_readme_names_is_there():
    text = README.read_text(encoding="utf-8")
    named = re.findall(r"(?:\]\(|`)((?:configs|docs|tools|vidgan|voxgan|gancore|vidvox|tests)/[\w./-]+)", text)
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 130


@pytest.mark.parametrize(
    "command",
    ["rm -rf /", "python setup.py", "accelerate launch other.py", "pip install numpy", "vidvox fetch nothing"],
)
def test_a_command_that_no_test_knows_fails(command):
    with pytest.raises((pytest.fail.Exception, AssertionError)):
        run_command(command)
    with pytest.raises((pytest.fail.Exception, AssertionError)):
        check_command(command)


def test_a_flag_that_a_command_does_not_have_fails():
    check_command("vidvox train video VIDEOS --processes 4 --train.steps 3")
    with pytest.raises(AssertionError, match=r"train video does not have .*train\.stepz"):
        check_command("vidvox train video VIDEOS --train.stepz 3")
