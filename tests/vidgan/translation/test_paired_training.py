"""Trainings on pairs: they resume to the bit, alone and in two processes, and are scored beside their sources."""

from pathlib import Path

import pytest
from support.resuming import log
from support.translating import assert_equal_runs, assert_resumes, train_in_two_processes, translation_trainer

from gancore.training.alarms import AlarmMonitor

PIXELS = {"data.paired": "true", "data.degradations": "noise,holes", "objective.ping_pong_weight": 0.1}
GAME = {
    "data.paired": "true",
    "data.degradations": "blur+shrink-2",
    "objective.adversarial_weight": 0.1,
    "objective.adversarial_start": 0.3,
    "objective.feature_matching_weight": 1,
    "objective.penalties.lazy_every": 2,
}
FRAMES = {
    "data.paired": "true",
    "data.degradations": "holes+dropped",
    "data.least_severity": 4,
    "data.clip_frames": 5,
    "objective.pixel_distance": "psnr",
}
KINDS = [pytest.param(PIXELS, id="pixels"), pytest.param(GAME, id="game"), pytest.param(FRAMES, id="frames")]
MODEL = Path("generator", "model.safetensors")


def options_of(kind: dict[str, object]) -> dict[str, object]:
    return {"unpaired.penalties.lazy_every": 16} | kind


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_run_goes_on_to_the_bit_as_if_it_had_not_been(kind, tmp_path, monkeypatch):
    assert_resumes(options_of(kind), tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_two_processes_train_to_the_bit_what_one_does_in_two_parts(tmp_path):
    options = options_of(GAME)
    assert translation_trainer(tmp_path / "parts", options | {"train.gradient_accumulation_steps": 2}).train()
    train_in_two_processes(tmp_path / "together", options)
    assert_equal_runs(tmp_path / "together", tmp_path / "parts")


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_short_training_removes_noise_and_raises_no_alarm(tmp_path):
    options = options_of(PIXELS) | {
        "data.degradations": "noise",
        "train.generator_lr": 2e-3,
        "train.steps": 60,
        "train.health_every": 5,
        "train.evaluate_every": 60,
        "train.checkpoint_every": 60,
    }
    assert translation_trainer(tmp_path, options).train()
    monitor = AlarmMonitor()
    assert not [alarm for line in log(tmp_path) for alarm in monitor.observe(line)]
    last = log(tmp_path)[-1]
    assert last["held_out/psnr/made"] > last["held_out/psnr/source"] + 1
