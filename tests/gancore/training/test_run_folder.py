"""A run folder belongs to one training at a time, is never started over unasked, and keeps to its settings."""

import json
from dataclasses import dataclass, field

import pytest
import torch
from support.game import Multiply, Numbers, settings, trainer

from gancore import checkpoint
from gancore.config import TrainConfig
from gancore.files.locks import lock_folder
from gancore.training.run import train_run


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Settings with a section, as those of both halves have."""

    train: TrainConfig = field(default_factory=TrainConfig)


def go_on(run, *, announce=None, dataset=None, **options):
    return train_run(trainer(run, dataset=dataset, **options), Whole(train=settings(**options)), announce)


def contents(run):
    return {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def damage(run):
    for path in run.glob("checkpoint-*/state.pt"):
        path.write_bytes(path.read_bytes()[:-10])


def test_a_run_whose_checkpoints_are_all_damaged_is_not_started_over_unasked(tmp_path):
    go_on(tmp_path)
    damage(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"no checkpoint of .* can be read: .*state\.pt .*--train\.start_over$"):
        go_on(tmp_path)
    assert contents(tmp_path) == before


def test_a_run_that_lost_its_checkpoints_is_not_started_over_unasked(tmp_path):
    go_on(tmp_path, keep_checkpoints=1)
    (tmp_path / "checkpoint-00000006").rename(tmp_path.parent / "elsewhere")
    with pytest.raises(ValueError, match="holds a trained model but no checkpoint to go on from; choose another --run"):
        go_on(tmp_path)


def test_starting_over_moves_what_was_there_aside_and_loses_nothing(tmp_path):
    go_on(tmp_path)
    damage(tmp_path)
    before, said = contents(tmp_path), []
    assert "trained at step 2 of 2" in go_on(tmp_path, steps=2, start_over=True, announce=said.append)
    assert said[0] == f"what was in {tmp_path} is now in {tmp_path / 'before-1'}"
    assert contents(tmp_path / "before-1") == before
    assert checkpoint.find_latest(tmp_path).name == "checkpoint-00000002"
    assert "trained at step 3 of 3" in go_on(tmp_path, steps=3)
    go_on(tmp_path, steps=1, start_over=True)
    assert {path.name for path in tmp_path.glob("before-*")} == {"before-1", "before-2"}


@pytest.mark.parametrize(
    "files", [["notes.txt"], ["a.mp4", "stats.jsonl"], ["config.json"], ["config.json", "model.safetensors"]]
)
def test_a_folder_of_something_else_is_refused_by_what_it_holds(tmp_path, files):
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=rf"holds {files[0]}.* and no run: choose another folder with --run"):
        go_on(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_a_file_or_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot use .*file as a run folder: Not a directory"):
        go_on(tmp_path / "file")
    with lock_folder(tmp_path / "run"), pytest.raises(ValueError, match="run is in use by process"):
        go_on(tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_what_killed_trainings_left_half_written_is_removed(tmp_path):
    go_on(tmp_path)
    for folder in (".", "generator", "samples", "best"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f".partial-{'0' * 16}-x.png").write_text("half")
    go_on(tmp_path)
    assert not list(tmp_path.rglob(".partial-*"))


def test_settings_on_which_the_weights_depend_are_refused_unless_allowed(tmp_path):
    go_on(tmp_path, steps=2)
    before, said = (tmp_path / "config.json").read_text(), []
    changed = {"steps": 4, "batch": 8, "generator_lr": 0.5}
    with pytest.raises(
        ValueError, match=r"other settings \(train\.batch: 4 -> 8, train\.generator_lr: 0\.0002 -> 0\.5\)"
    ):
        go_on(tmp_path, announce=said.append, **changed)
    assert [line.partition(": ")[2] for line in said] == [
        "train.steps: 2 -> 4",
        "train.batch: 4 -> 8",
        "train.generator_lr: 0.0002 -> 0.5",
    ]
    assert (tmp_path / "config.json").read_text() == before
    assert "trained at step 4 of 4" in go_on(tmp_path, allow_changes=True, **changed)
    assert json.loads((tmp_path / "config.json").read_text())["train"]["batch"] == 8


def test_settings_on_which_they_do_not_depend_are_only_said(tmp_path):
    go_on(tmp_path, steps=2)
    said = []
    go_on(tmp_path, steps=4, log_every=2, keep_checkpoints=None, announce=said.append)
    changes = [line for line in said if line.startswith("changed since")]
    assert [line.rpartition("train.")[2] for line in changes] == [
        "steps: 2 -> 4",
        "log_every: 1 -> 2",
        "keep_checkpoints: 2 -> null",
    ]


def test_a_data_set_of_another_size_is_another_training(tmp_path):
    class Fewer(Numbers):
        def __len__(self):
            return 40

    go_on(tmp_path, steps=2)
    with pytest.raises(ValueError, match=r"items of the data set: 50 -> 40"):
        go_on(tmp_path, steps=4, dataset=Fewer())


def test_a_data_set_of_other_items_is_another_training_and_of_the_same_in_another_order_is_not(tmp_path):
    class Named(Numbers):
        item_names = ("chair", "table")

    go_on(tmp_path, steps=2, dataset=Named())
    other = Named()
    other.item_names = ("table", "chair")
    assert "trained at step 3 of 3" in go_on(tmp_path, steps=3, dataset=other)
    other.item_names = ("chair", "sofa")
    with pytest.raises(ValueError, match=r"what the items of the data set are, by a digest: \w{8} -> \w{8}"):
        go_on(tmp_path, steps=4, dataset=other)
    assert "trained at step 4 of 4" in go_on(tmp_path, steps=4, dataset=other, allow_changes=True)


def test_a_run_that_was_saved_with_the_number_of_items_alone_is_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr("gancore.training.trainer.describe_items", len)
    go_on(tmp_path, steps=2)
    monkeypatch.undo()
    assert "trained at step 3 of 3" in go_on(tmp_path, steps=3)


def test_a_model_that_a_kill_left_unwritten_is_written_when_the_run_is_gone_on_with(tmp_path):
    go_on(tmp_path)
    model = tmp_path / "generator" / "model.safetensors"
    before = model.read_bytes()
    model.unlink()
    go_on(tmp_path)
    assert model.read_bytes() == before


def test_a_training_starts_from_another_model_which_it_then_needs_no_more(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    go_on(first)
    trained = Multiply.from_pretrained(first).weight
    begun = trainer(second, weights=7, start_from=str(first))
    begun.start_from(str(first))
    assert torch.equal(begun.generator.weight, trained)
    assert torch.equal(begun.ema_generator.weight, trained)
    assert not torch.equal(trained, torch.ones(3))
    go_on(second, steps=1, start_from=str(first), generator_lr=0.01)
    assert (Multiply.from_pretrained(second).weight - trained).abs().max() < 0.02
    first.rename(tmp_path / "elsewhere")
    assert "trained at step 4 of 4" in go_on(second, steps=4, start_from=str(first), generator_lr=0.01)
    with pytest.raises(ValueError, match=r"train\.start_from"):
        go_on(second, steps=6)


def test_a_training_starts_from_no_other_networks(tmp_path):
    go_on(tmp_path / "first")
    wider = trainer(tmp_path / "second", width=4, start_from=str(tmp_path / "first"))
    advice = r"--train\.start_from none begins from scratch$"
    with pytest.raises(ValueError, match=rf"first is for other data: width is 3 and not 4; {advice}"):
        train_run(wider, Whole())
    with pytest.raises(ValueError, match="did you mean"):
        go_on(tmp_path / "third", start_from=str(tmp_path / "frist"))
