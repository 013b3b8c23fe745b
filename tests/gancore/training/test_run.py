"""A run can be stopped, killed, looked at and gone on with, and is what it would have been."""

import os
import shutil
import signal
import time
from collections import Counter

import pytest
import torch
from support.game import Game, Multiply, lines, play, same, tensors, trainer
from torch import Tensor

from gancore import checkpoint
from gancore.config import TrainConfig
from gancore.training.run import train_run

# --------------------------------------------------------------------------------------------- stopping, resuming


def test_a_run_that_goes_on_equals_one_that_was_never_stopped(tmp_path):
    whole = trainer(tmp_path / "whole")
    assert whole.train()
    for steps in (3, 6):
        assert trainer(tmp_path / "parts", steps=steps, final_lr_fraction=1.0).train()
    states = [checkpoint.load(checkpoint.find_latest(tmp_path / run)) for run in ("whole", "parts")]
    assert states[0][0] == states[1][0] == 6
    assert same(states[0][1], states[1][1])
    models = [(tmp_path / run / "generator" / "model.safetensors").read_bytes() for run in ("whole", "parts")]
    assert models[0] == models[1]


def test_the_generator_that_is_left_is_the_average(tmp_path):
    trained = trainer(tmp_path, ema_decay=0.9, generator_lr=0.1)
    trained.train()
    left = Multiply.from_pretrained(tmp_path / "generator")
    assert torch.equal(left.weight, trained.ema_generator.weight)
    assert not torch.equal(left.weight, trained.generator.weight)


def test_a_finished_run_is_left_alone(tmp_path):
    trainer(tmp_path).train()
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.glob("*/*")}
    assert trainer(tmp_path).train()
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.glob("*/*")} == before


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_model_of_which_a_file_was_never_written_is_written_when_the_run_is_called_again(tmp_path, name):
    trainer(tmp_path).train()
    whole = {path.name: path.read_bytes() for path in (tmp_path / "generator").iterdir()}
    (tmp_path / "generator" / name).unlink()
    assert trainer(tmp_path).train()
    assert {path.name: path.read_bytes() for path in (tmp_path / "generator").iterdir()} == whole


def test_checkpoints_come_as_often_as_asked_and_the_newest_are_kept(tmp_path):
    trainer(tmp_path, steps=9, keep_checkpoints=3).train()
    assert sorted(path.name[-2:] for path in tmp_path.glob("checkpoint-*")) == ["06", "08", "09"]


def test_a_checkpoint_too_many_is_gone_when_a_finished_run_is_called_again(tmp_path):
    trainer(tmp_path, steps=9, keep_checkpoints=2).train()
    shutil.copytree(tmp_path / "checkpoint-00000008", tmp_path / "checkpoint-00000006")  # as before it was deleted
    assert trainer(tmp_path, steps=9, keep_checkpoints=2).train()
    assert sorted(path.name[-2:] for path in tmp_path.glob("checkpoint-*")) == ["08", "09"]


def test_steps_that_a_kill_took_back_are_taken_out_of_the_log(tmp_path):
    trainer(tmp_path, steps=4).train()
    with (tmp_path / "stats.jsonl").open("a") as file:
        file.write('{"step": 5, "discriminator/game": 123}\n{"step": 6, "discri')
    trainer(tmp_path, steps=8).train()
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert lines(tmp_path)[4]["discriminator/game"] != 123


def test_a_line_of_the_log_holds_the_mean_of_every_term_since_the_last(tmp_path):
    expected = play(trainer(tmp_path / "a"), steps=6)
    trainer(tmp_path / "b", log_every=3).train()
    logged = lines(tmp_path / "b")
    assert [line["step"] for line in logged] == [3, 6]
    for name in ("discriminator/game", "generator/game"):
        assert logged[1][name] == pytest.approx(sum(terms[name] for terms in expected[3:]) / 3, rel=1e-6)
    assert logged[0]["lr_factor"] == 1.0
    assert logged[0]["speed"] > 0


def test_a_term_that_is_seldom_due_is_logged_all_the_same(tmp_path):
    game = Game(poison=("discriminator", 1, 2.0))
    trainer(tmp_path, game, log_every=3).train()
    assert ["discriminator/poisoned" in line for line in lines(tmp_path)] == [True, False]


def test_tensorboard_events_are_written_when_asked_for(tmp_path):
    trainer(tmp_path / "with", trackers=("tensorboard",), steps=1).train()
    trainer(tmp_path / "without", steps=1).train()
    assert len(list((tmp_path / "with").glob("events.*"))) >= 1
    assert not list((tmp_path / "without").glob("events.*"))


def test_a_time_limit_ends_the_training_and_the_schedules_with_it(tmp_path):
    trained = trainer(tmp_path, steps=1000, max_minutes=1e-9, final_lr_fraction=0.1, evaluate_every=0)
    assert "1 of 1000 steps: the time limit" in train_run(trained, TrainConfig())
    assert checkpoint.find_latest(tmp_path).name == "checkpoint-00000001"
    assert trained.progress == 1
    assert trained.config.lr_factor(trained.step, trained.progress) == pytest.approx(0.1)


def test_a_time_limit_counts_the_time_before_a_resume_and_may_be_raised(tmp_path):
    assert trainer(tmp_path, steps=1000, max_minutes=1e-9).train()
    again = trainer(tmp_path, steps=1000, max_minutes=1e-9)
    assert again.train()
    assert again.step == 1
    assert trainer(tmp_path, steps=3, max_minutes=10.0).train()
    assert checkpoint.find_latest(tmp_path).name == "checkpoint-00000003"


def test_the_schedules_follow_the_clock_where_it_is_ahead_of_the_steps(tmp_path, monkeypatch):
    trained = trainer(tmp_path, steps=100, max_minutes=1.0)
    monkeypatch.setattr(trained, "elapsed_seconds", lambda: 30.0)
    assert trained._measure_progress() == pytest.approx(0.5)
    trained.step = 80
    assert trained._measure_progress() == pytest.approx(0.8)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_step_be_finished_and_saved(tmp_path, number):
    before = signal.getsignal(number)
    game = Game(at={2: lambda: os.kill(os.getpid(), number)})
    assert not trainer(tmp_path, game, checkpoint_every=100).train()
    assert checkpoint.find_latest(tmp_path).name == "checkpoint-00000003"
    assert signal.getsignal(number) is before
    assert trainer(tmp_path).train()


def test_a_signal_in_the_middle_of_a_save_lets_it_be_finished_and_the_next_step_too(tmp_path, monkeypatch):
    sync, synced, told_at = os.fsync, [], None

    def sync_when_told(descriptor):
        synced.append(descriptor)
        if len(synced) == told_at:
            signal.raise_signal(signal.SIGTERM)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync_when_told)
    trainer(tmp_path / "undisturbed", steps=3, checkpoint_every=1, keep_checkpoints=None).train()
    _, wanted = checkpoint.load(tmp_path / "undisturbed" / "checkpoint-00000002")
    # the first two are those of the page; then the state is half-written, then in place, then the model half-written
    for told_at in (3, 6, 8):
        run = tmp_path / str(told_at)
        synced.clear()
        assert not trainer(run, steps=3, checkpoint_every=1).train()
        assert told_at < len(synced)
        step, state = checkpoint.load(checkpoint.find_latest(run))
        assert step == lines(run)[-1]["step"] == 2
        assert same(state, wanted)
        checkpoint.load(run / "checkpoint-00000001")
        assert Multiply.from_pretrained(run / "generator").weight.tolist() == state["ema"]["module.weight"].tolist()
        assert not list(run.rglob(".partial-*"))


def test_the_same_request_may_come_twice_but_one_that_comes_later_is_obeyed_at_once(tmp_path, monkeypatch):
    def twice():
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)  # in this very thread: two that wait together would count as one
            time.sleep(0.001)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    try:
        assert not trainer(tmp_path / "twice", Game(at={2: twice})).train()
        monkeypatch.setattr("gancore.training.signals.DUPLICATE_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            trainer(tmp_path / "later", Game(at={2: twice})).train()
    finally:
        signal.signal(signal.SIGINT, before)


# ------------------------------------------------------------------------------------------------------- preview


def test_the_preview_sees_the_average_in_eval_mode_at_its_steps(tmp_path):
    calls = []

    def preview(generator, step, folder):
        calls.append((generator.training, torch.is_grad_enabled(), step, folder))

    trainer(tmp_path, looking={"preview": preview}, preview_every=3, log_every=100).train()
    assert calls == [(False, False, step, tmp_path / "samples") for step in (3, 6)]


def test_looking_at_the_generator_changes_no_weight_no_buffer_and_no_later_number(tmp_path):
    def preview(generator, step, folder):
        folder.mkdir(exist_ok=True)
        generator(torch.randn(step, 3))

    for name, every in (("seen", 1), ("unseen", 0)):
        trainer(tmp_path / name, looking={"preview": preview}, preview_every=every).train()
    seen, unseen = (checkpoint.load(checkpoint.find_latest(tmp_path / name))[1] for name in ("seen", "unseen"))
    assert same(seen, unseen)
    assert Counter(type(value) for value in tensors(seen).values()) == {Tensor: len(tensors(seen))}
