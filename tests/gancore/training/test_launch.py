"""A training has all the processes that were asked for, or none."""

import sys
from pathlib import Path

import pytest
from accelerate.commands import launch

from gancore.config import TrainConfig
from gancore.training.launch import RANK_VARIABLES, create_accelerator

ROOT = Path(__file__).parents[3]


@pytest.fixture
def launched(monkeypatch):
    """The environment in which `accelerate launch --cpu --num_processes 2` starts its only process."""
    for name in RANK_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_PORT", "29500")


@pytest.mark.usefixtures("launched")
def test_one_process_of_several_that_were_asked_for_says_what_to_type():
    with pytest.raises(ValueError, match=r"vidvox train video --processes 2 .*--multi_gpu --num_processes 2"):
        create_accelerator(TrainConfig())


@pytest.mark.usefixtures("launched")
def test_a_launcher_that_is_asked_for_one_process_gives_an_accelerator(monkeypatch):
    monkeypatch.delenv("MASTER_PORT")
    assert create_accelerator(TrainConfig()).num_processes == 1


def test_accelerate_launch_on_a_cpu_never_trains_with_fewer_processes_than_it_was_asked_for(
    tmp_path, monkeypatch, capfd
):
    command = ["accelerate launch", "--cpu", "--num_processes", "2", "--num_machines", "1", "--quiet"]
    tool = [str(ROOT / "tools" / "train_video.py"), "--config", "tiny", "--run", str(tmp_path / "run")]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "argv", [*command, *tool])
    with pytest.raises(SystemExit) as done:
        launch.main()
    assert done.value.code != 0
    assert "train_video.py: error: accelerate launch --cpu starts one process" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()
