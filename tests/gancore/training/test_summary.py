"""What a training says at its start, and the time to expect."""

from pathlib import Path

import pytest
from support.game import trainer
from torch import nn

from gancore.config import TrainConfig
from gancore.training.summary import (
    SKIPPED_STEPS,
    TIMED_STEPS,
    DataSummary,
    SplitSummary,
    TimeEstimate,
    describe_training,
    format_duration,
)

FEW = SplitSummary(split="val", item="video", names=["d.mp4"], clips=12)
MANY = SplitSummary(split="train", item="video", names=["a.mp4", "b.mp4", "c.mp4", "e.mp4", "f.mp4"], clips=1200)


def describe(**options) -> str:
    return describe_training(
        DataSummary(source="VIDEOS", splits=[MANY, FEW], **options),
        players={"generator": nn.Linear(9, 1000), "discriminator": nn.Linear(1, 5)},
        config=TrainConfig(steps=2000, batch=8, max_minutes=90.0),
        device="cpu (2 processes)",
        run=Path("runs/mine"),
    )


def test_the_description_names_data_splits_players_length_and_where_to_look():
    rows = dict(line.split("  ", 1) for line in describe().splitlines())
    assert rows.keys() == {"data", "train", "val", "parameters", "training", "look at"}
    assert rows["train"].strip() == "5 videos, 1,200 clips: a.mp4, b.mp4, c.mp4 and 2 more"
    assert rows["val"].strip() == "1 video, 12 clips: d.mp4 (to choose best/)"
    assert rows["parameters"].strip() == "generator 0.01 M, discriminator 0.00 M"
    assert rows["training"].strip().startswith("2,000 steps of 8 samples on cpu (2 processes), at most 1 h 30 min")
    assert "runs/mine/index.html" in rows["look at"]


def test_a_warning_is_a_row_of_its_own():
    assert "\nWARNING     there is no validation split" in describe(warning="there is no validation split")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (89.0, "89 s"), (90.0, "2 min"), (3540.0, "59 min"), (7800.0, "2 h 10 min"), (100_000.0, "1 d 3 h")],
)
def test_a_duration_is_said_in_two_units(seconds, said):
    assert format_duration(seconds) == said


def test_the_time_to_expect_is_said_once_and_without_the_time_of_an_evaluation(monkeypatch):
    clock = iter([10.0, 15.0, 16.0, 17.0, 40.0, 41.0, 42.0, 43.0])
    monkeypatch.setattr("gancore.training.summary.time.monotonic", lambda: next(clock))
    estimate = TimeEstimate(TrainConfig(steps=708), first_step=100)
    said = [estimate.observe(step) for step in range(101, 120)]
    known = SKIPPED_STEPS + TIMED_STEPS - 1
    assert said[known].startswith("about 10 min to go: 600 steps at 1 s a step")
    assert [line for line in said if line] == [said[known]]


def test_a_time_limit_that_ends_the_training_first_is_said_with_the_steps_it_allows(monkeypatch):
    clock = iter(float(second) for second in range(20))
    monkeypatch.setattr("gancore.training.summary.time.monotonic", lambda: next(clock))
    estimate = TimeEstimate(TrainConfig(steps=1000, max_minutes=2.0), elapsed_seconds=20.0)
    (line,) = filter(None, (estimate.observe(step) for step in range(1, 20)))
    assert line.startswith("time limit: about 108 of 1,000 steps")


def test_a_training_tells_the_time_to_expect_and_where_it_resumes(tmp_path):
    said: list[str] = []
    trainer(tmp_path, steps=4).train(said.append)
    assert said == []
    trainer(tmp_path, steps=20).train(said.append)
    assert said[0] == "resuming at step 4 of 20"
    assert said[1].startswith("about 1 s to go: 8 steps")
    assert len(said) == 2
