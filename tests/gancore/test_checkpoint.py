"""A run's state is whole whatever kills it, and damage is found and named."""

import json
import logging
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from gancore import checkpoint


def state(number: int) -> dict[str, object]:
    return {"number": number, "weights": torch.full((100,), number), "nested": [{"a": (1.5, None, "b", True)}]}


def flip_a_byte(file: Path) -> None:
    written = bytearray(file.read_bytes())
    written[len(written) // 2] ^= 1
    file.write_bytes(written)


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path / "runs" / "a", 1234, state(5), keep_checkpoints=1)
    assert path == tmp_path / "runs" / "a" / "checkpoint-00001234"
    step, loaded = checkpoint.load(path)
    assert step == 1234
    assert torch.equal(loaded.pop("weights"), torch.full((100,), 5))
    assert loaded == {"number": 5, "nested": [{"a": (1.5, None, "b", True)}]}


def test_an_optimizer_and_a_random_state_survive(tmp_path: Path) -> None:
    layer = nn.Linear(2, 3)
    adam = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    adam.step()
    saved = {"adam": adam.state_dict(), "random": torch.get_rng_state()}
    _, loaded = checkpoint.load(checkpoint.save(tmp_path, 1, saved, keep_checkpoints=None))
    assert torch.equal(loaded["adam"]["state"][0]["exp_avg"], adam.state_dict()["state"][0]["exp_avg"])
    assert torch.equal(loaded["random"], saved["random"])


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 30, 100_000_000):
        checkpoint.save(tmp_path, step, state(step), keep_checkpoints=2)
    assert names(tmp_path) == ["checkpoint-00000030", "checkpoint-100000000"]
    assert checkpoint.find_latest(tmp_path) == tmp_path / "checkpoint-100000000"


def test_all_are_kept_if_so_asked(tmp_path: Path) -> None:
    for step in range(5):
        checkpoint.save(tmp_path, step, state(step), keep_checkpoints=None)
    assert len(names(tmp_path)) == 5


def test_the_same_step_may_be_saved_again(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 3, state(1), keep_checkpoints=1)
    path = checkpoint.save(tmp_path, 3, state(2), keep_checkpoints=1)
    assert checkpoint.load(path)[1]["number"] == 2
    assert names(tmp_path) == ["checkpoint-00000003"]


def test_a_folder_without_checkpoints_has_no_latest(tmp_path: Path) -> None:
    assert checkpoint.find_latest(tmp_path) is None
    assert checkpoint.find_latest(tmp_path / "absent") is None


@pytest.mark.parametrize("name", ["state.pt", "manifest.json"])
@pytest.mark.parametrize("damage", [flip_a_byte, cut_short, Path.unlink])
def test_a_damaged_checkpoint_is_named_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: object
) -> None:
    whole = checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=None)
    damaged = checkpoint.save(tmp_path, 2, state(2), keep_checkpoints=None)
    damage(damaged / name)
    with pytest.raises(ValueError, match=re.escape(str(damaged))):
        checkpoint.load(damaged)
    with caplog.at_level(logging.WARNING):
        assert checkpoint.find_latest(tmp_path) == whole
    assert str(damaged) in caplog.text


def test_a_manifest_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=None)
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        checkpoint.load(path)


def test_rotation_never_counts_a_later_damaged_one_against_the_one_just_saved(tmp_path: Path) -> None:
    cut_short(checkpoint.save(tmp_path, 9, state(9), keep_checkpoints=None) / "state.pt")
    saved = checkpoint.save(tmp_path, 5, state(5), keep_checkpoints=1)
    assert checkpoint.find_latest(tmp_path) == saved


def test_what_a_killed_save_left_is_swept(tmp_path: Path) -> None:
    leftover = tmp_path / ".partial-checkpoint-00000001"
    leftover.mkdir()
    (leftover / "state.pt").write_bytes(b"half")
    checkpoint.save(tmp_path, 2, state(2), keep_checkpoints=1)
    assert names(tmp_path) == ["checkpoint-00000002"]


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=1)
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.save(tmp_path, 2, {"a class": tmp_path}, keep_checkpoints=1)
    assert names(tmp_path) == ["checkpoint-00000001"]


KILLED = """
import os, signal, sys, torch
from pathlib import Path
from gancore import checkpoint

folder, old, new = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
OPERATIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}

def save_killed_at(moment, place):
    count = 0
    def watch(event, arguments):
        nonlocal count
        if event in OPERATIONS and str(place) in str(arguments[0]):
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
    sys.addaudithook(watch)
    checkpoint.save(place, new, {"number": 2, "weights": torch.ones(1000)}, keep_checkpoints=1)

for moment in range(1000):
    place = folder / str(moment)
    checkpoint.save(place, old, {"number": 1, "weights": torch.zeros(1000)}, keep_checkpoints=1)
    child = os.fork()
    if not child:
        save_killed_at(moment, place)
        os._exit(0)
    finished = os.waitpid(child, 0)[1] == 0
    step, state = checkpoint.load(checkpoint.find_latest(place))
    assert (step, state["number"]) in ((old, 1), (new, 2)), (moment, step, state)
    assert bool(state["weights"].all()) == (state["number"] == 2), moment
    print(state["number"])
    checkpoint.save(place, new + 1, {"number": 3}, keep_checkpoints=1)
    assert [path.name for path in place.iterdir()] == [f"checkpoint-{new + 1:08d}"], moment
    if finished:
        break
"""


@pytest.mark.parametrize(("old", "new"), [(7, 8), (7, 7)])
def test_killed_at_any_file_operation_it_leaves_the_old_state_or_the_new_one(
    tmp_path: Path, old: int, new: int
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path), str(old), str(new)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    found = ended.stdout.split()
    assert found == sorted(found)
    assert found.count("1") >= 5
    assert found.count("2") >= 3


def test_weights_that_fit_fill_the_module() -> None:
    source, target = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    nn.init.uniform_(source.weight)
    checkpoint.load_into(target, source.state_dict(), "generator")
    assert torch.equal(source.weight, target.weight)


def test_weights_of_another_architecture_are_refused_by_name_and_change_nothing() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = [parameter.clone() for parameter in module.parameters()]
    other = nn.Sequential(nn.Linear(2, 4), nn.Identity(), nn.Linear(4, 1)).state_dict()
    line = (
        "runs/a is of another architecture (missing: 1.bias, 1.weight; unexpected: 2.bias, 2.weight; "
        "of another shape: 0.bias is 4 and should be 3, 0.weight is 4x2 and should be 3x2)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        checkpoint.load_into(module, other, "runs/a")
    assert all(torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))


def test_only_the_first_few_of_many_keys_are_named() -> None:
    with pytest.raises(ValueError, match=r"0\.bias, 0\.weight, 1\.bias and 7 more"):
        checkpoint.load_into(nn.Sequential(*(nn.Linear(1, 1) for _ in range(5))), {}, "runs/a")
