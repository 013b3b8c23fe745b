"""A run's state is whole whatever kills it, and damage is found and named."""

import errno
import hashlib
import json
import logging
import os
import pickle
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gancore import checkpoint
from gancore.errors import UnreadableError, UnwritableError


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


@pytest.mark.parametrize("version", [1, 2, 99])
def test_a_manifest_of_another_version_is_refused_and_hides_no_older_one(tmp_path: Path, version: int) -> None:
    checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=None)
    path = checkpoint.save(tmp_path, 2, state(2), keep_checkpoints=None)
    manifest = json.loads((path / "manifest.json").read_text())
    if version < 3:  # the first formats had no digest
        text = json.dumps({"format": version, "step": 2, "files": manifest["files"]}, indent=2) + "\n"
    else:
        text = checkpoint._format_manifest(version, 2, manifest["files"])
    (path / "manifest.json").write_text(text)
    for read in (lambda: checkpoint.load(path), lambda: checkpoint.find_latest(tmp_path)):
        with pytest.raises(checkpoint.FormatError, match=f"format {version}, but this version of vidvox reads") as told:
            read()
        assert "\n" not in str(told.value)


def test_any_flipped_bit_of_a_manifest_is_damage(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 10, state(1), keep_checkpoints=None)
    manifest = path / "manifest.json"
    written = manifest.read_bytes()
    step = written.index(b'"step": 10') * 8
    for position in (*range(step, step + 80), *range(3, 8 * len(written), 13)):
        flipped = bytearray(written)
        flipped[position // 8] ^= 1 << position % 8
        manifest.write_bytes(flipped)
        with pytest.raises(checkpoint.DamagedError, match="checkpoint-00000010"):
            checkpoint.load(path)
    manifest.write_bytes(written)
    assert checkpoint.load(path)[0] == 10


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A checkpoint of step 10, and its manifest."""
    path = checkpoint.save(tmp_path_factory.mktemp("run"), 10, {"a": 1}, keep_checkpoints=None)
    return path, json.loads((path / "manifest.json").read_text())


@given(
    key=st.sampled_from(["format", "step", "files", "sha256", "other"]),
    value=json_values,
    drop=st.booleans(),
    own_digest=st.booleans(),
)
def test_a_manifest_of_any_other_structure_is_damage(
    written: tuple[Path, dict], key: str, value: object, drop: bool, own_digest: bool
) -> None:
    path, whole = written
    manifest = {name: entry for name, entry in (whole | {key: value}).items() if not (drop and name == key)}
    if own_digest and {"format", "step", "files"} <= manifest.keys():
        text = checkpoint._format_manifest(manifest["format"], manifest["step"], manifest["files"])
    else:
        text = json.dumps(manifest, indent=2) + "\n"
    (path / "manifest.json").write_text(text)
    if text == checkpoint._format_manifest(3, 10, whole["files"]):
        assert checkpoint.load(path)[0] == 10
    else:
        with pytest.raises((checkpoint.DamagedError, checkpoint.FormatError)):
            checkpoint.load(path)


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, "null", "[]", '{"format": 3}', "9" * 5000, '{"format": ' + "9" * 5000]
)
def test_a_manifest_of_garbage_is_damage(tmp_path: Path, text: str) -> None:
    path = checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=None)
    (path / "manifest.json").write_text(text)
    with pytest.raises(checkpoint.DamagedError, match=r"manifest\.json"):
        checkpoint.load(path)


def test_a_checkpoint_under_the_name_of_another_is_damage(tmp_path: Path) -> None:
    whole = checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=None)
    checkpoint.save(tmp_path, 2, state(2), keep_checkpoints=None).rename(tmp_path / "checkpoint-00000030")
    assert checkpoint.find_latest(tmp_path) == whole


def test_a_checkpoint_holds_what_was_written_and_nothing_else(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=None)
    (path / ".DS_Store").touch()
    assert checkpoint.load(path)[0] == 1
    (path / "more.pt").touch()
    with pytest.raises(checkpoint.DamagedError, match=r"more\.pt, which was not written there"):
        checkpoint.load(path)


@pytest.mark.parametrize("kind", ["folder", "file", "pipe"])
def test_what_is_no_checkpoint_but_has_its_name_is_damage(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "checkpoint-00000009"
    if kind == "file":
        path.write_text("mine")
    else:
        path.mkdir()
        if kind == "pipe":
            os.mkfifo(path / "manifest.json")
    with pytest.raises(checkpoint.DamagedError):
        checkpoint.load(path)


def test_checkpoints_of_which_none_is_whole_are_no_new_run(tmp_path: Path) -> None:
    for step in (1, 2):
        cut_short(checkpoint.save(tmp_path, step, state(step), keep_checkpoints=None) / "state.pt")
    with pytest.raises(ValueError, match=r"can be read: .*checkpoint-00000002/state\.pt .*, nor the 1 before$"):
        checkpoint.find_latest(tmp_path)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
@pytest.mark.parametrize("place", ["the folder", "manifest.json", "state.pt"])
def test_a_disk_that_fails_for_a_moment_is_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, place: str
) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, step, state(step), keep_checkpoints=None)

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number), place)

    if place == "the folder":
        monkeypatch.setattr(os, "listdir", fail)
    else:
        read = {"manifest.json": (Path, "read_bytes"), "state.pt": (hashlib, "file_digest")}[place]
        monkeypatch.setattr(*read, fail)
    with pytest.raises(UnreadableError, match=f"cannot read .*{os.strerror(number)}"):
        checkpoint.find_latest(tmp_path)
    monkeypatch.undo()
    assert checkpoint.find_latest(tmp_path) == tmp_path / "checkpoint-00000002"


@pytest.mark.parametrize(("function", "at"), [("stat", "manifest.json"), ("stat", "state.pt"), ("listdir", "")])
def test_a_checkpoint_that_cannot_be_looked_at_is_not_passed_over_and_is_the_one_to_move_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, at: str
) -> None:
    checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=None)
    path = checkpoint.save(tmp_path, 2, state(2), keep_checkpoints=None)
    look = getattr(os, function)

    def fail(place: object, *words: object, **options: object) -> object:
        if place == path / at:
            raise OSError(errno.EIO, os.strerror(errno.EIO), place)
        return look(place, *words, **options)

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(UnreadableError, match=rf"{re.escape(str(path / at))}: .*; .* move checkpoint-00000002 away"):
        checkpoint.find_latest(tmp_path)


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), EOFError(), pickle.UnpicklingError(), KeyError("a"), ValueError()]
)
def test_whatever_torch_raises_over_a_state_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    whole = checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=None)
    checkpoint.save(tmp_path, 2, state(2), keep_checkpoints=None)
    read = torch.load

    def fail(path: Path, **options: object) -> object:
        if "00000002" in str(path):
            raise error
        return read(path, **options)

    monkeypatch.setattr(torch, "load", fail)
    assert checkpoint.find_latest(tmp_path) == whole


def test_a_state_that_would_run_code_is_damage(tmp_path: Path) -> None:
    class Call:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "ran"),)

    path = checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=None)
    torch.save({"a": Call()}, path / "state.pt")
    files = {"state.pt": checkpoint._fingerprint(path / "state.pt")}
    (path / "manifest.json").write_text(checkpoint._format_manifest(3, 1, files))
    with pytest.raises(checkpoint.DamagedError, match=r"state\.pt is damaged"):
        checkpoint.load(path)
    assert not (tmp_path / "ran").exists()


def test_rotation_never_counts_a_later_damaged_one_against_the_one_just_saved(tmp_path: Path) -> None:
    cut_short(checkpoint.save(tmp_path, 9, state(9), keep_checkpoints=None) / "state.pt")
    saved = checkpoint.save(tmp_path, 5, state(5), keep_checkpoints=1)
    assert checkpoint.find_latest(tmp_path) == saved


def test_what_a_killed_save_left_is_swept(tmp_path: Path) -> None:
    leftover = tmp_path / f".partial-{'0' * 16}-checkpoint-00000001"
    leftover.mkdir()
    (leftover / "state.pt").write_bytes(b"half")
    checkpoint.save(tmp_path, 2, state(2), keep_checkpoints=1)
    assert names(tmp_path) == ["checkpoint-00000002"]


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, state(1), keep_checkpoints=1)
    with pytest.raises(UnwritableError, match=r"cannot write .*checkpoint-00000002: Weights only load failed"):
        checkpoint.save(tmp_path, 2, {"a class": tmp_path}, keep_checkpoints=1)
    assert names(tmp_path) == ["checkpoint-00000001"]


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
