"""What numbers depend on, and the file they are kept in."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gancore.reporting.provenance import DataFingerprint, collect_provenance, write_json


def fingerprint(*batches) -> str:
    taken = DataFingerprint()
    for batch in batches:
        taken.add(batch)
    return taken.hexdigest()


@pytest.fixture
def clips():
    return torch.randint(256, (6, 4, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_same_software_and_data_give_the_same_provenance_again():
    first, second = (collect_provenance(seed=3, data="abc", device=torch.device("cpu")) for _ in range(2))
    assert first == second
    assert first["software"]["torch"] == torch.__version__.partition("+")[0]
    assert (first["seed"], first["data"], first["device"]) == (3, "abc", "cpu")


def test_provenance_names_no_place_on_this_machine():
    text = json.dumps(collect_provenance(seed=0, data="abc"))
    assert str(Path.home()) not in text
    assert "/" not in text


def test_a_fingerprint_does_not_depend_on_how_rows_are_batched(clips):
    assert fingerprint(clips) == fingerprint(clips[:1], clips[1:4], clips[4:]) == fingerprint(*clips.split(2))


def test_a_fingerprint_counts_its_rows(clips):
    taken = DataFingerprint()
    taken.add(clips)
    taken.add(clips[:2])
    assert taken.count == 8


def test_a_fingerprint_is_of_the_values_not_of_how_they_lie_in_memory(clips):
    array = clips.numpy()
    assert fingerprint(clips) == fingerprint(array) == fingerprint(np.asfortranarray(array))
    assert fingerprint(clips) == fingerprint(clips.transpose(3, 4).contiguous().transpose(3, 4))
    wide = array.astype("<i4")
    assert fingerprint(wide) == fingerprint(wide.astype(">i4"))


def test_a_fingerprint_tells_apart_values_order_shape_and_type(clips):
    changed = clips.clone()
    changed[-1, -1, -1, -1, -1] ^= 1
    shaped, typed = clips.flatten(3), clips.view(torch.int8)
    assert len({fingerprint(batch) for batch in (clips, changed, clips.flip(0), shaped, typed, clips[:-1])}) == 6


def test_a_fingerprint_takes_probabilities_of_any_precision():
    rows = torch.rand(3, 4)
    halves = rows.bfloat16()
    assert fingerprint(halves) == fingerprint(halves.float()) != fingerprint(rows)
    assert fingerprint(rows.requires_grad_()) == fingerprint(rows.detach())


def test_numbers_that_are_not_finite_are_null_in_json(tmp_path):
    report = {"a": [1.5, float("nan"), (float("inf"), 2)], "b": {"c": -float("inf"), "d": "NaN", "e": None, "f": True}}
    write_json(report, tmp_path / "new" / "report.json")
    written = json.loads((tmp_path / "new" / "report.json").read_text())
    assert written == {"a": [1.5, None, [None, 2]], "b": {"c": None, "d": "NaN", "e": None, "f": True}}


def test_a_report_that_cannot_be_written_leaves_the_older_one(tmp_path):
    write_json({"score": 1}, tmp_path / "report.json")
    with pytest.raises(TypeError):
        write_json({"score": object()}, tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == {"score": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
