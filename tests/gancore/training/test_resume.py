"""A run that was killed and resumed is the run that was not, to the bit."""

import signal
from pathlib import Path

import pytest
from support.game import same
from support.resuming import assert_equal_runs, interrupt, kill, log, newest, trainer

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """A run in one process that nothing disturbed."""
    folder = tmp_path_factory.mktemp("alone")
    assert trainer(folder).train()
    return folder


@pytest.mark.slow
def test_a_run_that_was_killed_and_interrupted_equals_the_one_that_was_not_to_the_bit(tmp_path, alone):
    kill(tmp_path / "run", at=5)
    interrupt(tmp_path / "run", processes=1, at=7, number=signal.SIGINT)
    assert trainer(tmp_path / "run").train()
    assert_equal_runs(tmp_path / "run", alone)


PAPER = [
    *("--generator.norm", "batch", "--generator.spectral_norm", "--generator.zero_init_residual", "false"),
    *("--generator.context_encoder", "stack", "--generator.latent_init", "map", "--generator.output", "frames"),
    *("--generator.attention_after", "1", "--generator.segment_steps", "2"),
    *("--discriminator.spectral_norm", "--discriminator.zero_init_residual", "false", "--discriminator.variant", "dvd"),
    *("--discriminator.attention_after", "1", "--discriminator.dropout", "0.2"),
    *("--objective.loss", "hinge", "--objective.instance_noise", "0.1", "--objective.reconstruction_weight", "1"),
    *("--train.discriminator_steps", "2", "--train.gradient_accumulation_steps", "2", "--train.max_grad_norm", "1"),
    *(
        "--train.warmup_steps",
        "4",
        "--train.final_lr_fraction",
        "0.1",
        "--train.ema_decay",
        "0.9",
        "--train.steps",
        "6",
        "--train.evaluate_every",
        "0",
    ),
]


@pytest.mark.slow
def test_buffers_dropout_noise_and_schedule_survive_a_broken_run_whoever_reads_the_data(tmp_path, monkeypatch):
    whole, broken = trainer(tmp_path / "whole", *PAPER), trainer(tmp_path / "broken", *PAPER)
    assert whole.train()
    train_step = broken.train_step
    monkeypatch.setattr(broken, "train_step", lambda batches: train_step(batches) if broken.step < 5 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.train()
    assert newest(broken.run)[0] == 4
    assert trainer(broken.run, *PAPER, "--data.workers", "1").train()
    assert same(newest(broken.run)[1], newest(whole.run)[1])
    assert log(broken.run) == log(whole.run)


WORLD = ["--data.path", "sprite-world", "--data.actions", "2"]
SPOILT_PASTS = ["--data.past_degradations", "rain,noise", "--data.past_most_severity", "4"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param(WORLD, id="world"), pytest.param(SPOILT_PASTS, id="spoilt")])
def test_a_predictor_of_a_kind_whose_training_broke_goes_on_to_the_bit(kind, tmp_path, monkeypatch):
    flags = [*kind, "--train.steps", "6"]
    whole, broken = trainer(tmp_path / "whole", *flags), trainer(tmp_path / "broken", *flags)
    assert whole.train()
    train_step = broken.train_step
    monkeypatch.setattr(broken, "train_step", lambda batches: train_step(batches) if broken.step < 5 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.train()
    assert trainer(broken.run, *flags).train()
    assert same(newest(broken.run)[1], newest(whole.run)[1])
    assert log(broken.run) == log(whole.run)
