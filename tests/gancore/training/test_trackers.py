"""The numbers of a run are kept as they were logged, wherever they go."""

import json
import math
from pathlib import Path

import pytest
from accelerate import tracking
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gancore.errors import UnwritableError
from gancore.training.trackers import AccelerateTracker, JsonLinesTracker, TrackerGroup

names = st.text(st.characters(codec="utf-8")).filter(lambda name: name != "step")
records = st.lists(st.tuples(st.integers(0, 50), st.dictionaries(names, st.floats() | st.integers(), max_size=3)))


def refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is not strict JSON")


def read(path: Path) -> list[dict[str, float | None]]:
    lines = path.read_bytes().decode().split("\n")
    assert lines.pop() == ""
    return [json.loads(line, parse_constant=refuse) for line in lines]


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@given(records=records, last=st.integers(-1, 50), half=st.text(st.characters(codec="utf-8"), max_size=5))
def test_lines_are_strict_json_and_those_after_a_step_can_be_dropped(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[int, dict[str, float]]], last: int, half: str
) -> None:
    path = tmp_path_factory.mktemp("run") / "stats.jsonl"
    tracker = JsonLinesTracker(path)
    tracker.log(0, {})
    for step, values in records:
        tracker.log(step, values)
    expected = [{"step": 0}] + [{"step": s} | {n: finite(v) for n, v in values.items()} for s, values in records]
    assert read(path) == expected
    with path.open("a") as file:
        file.write('{"step": 0, "half": "' + half.replace("\n", ""))
    tracker.truncate_after(last)
    tracker.log(99, {"after": 1})
    assert read(path) == [record for record in expected if record["step"] <= last] + [{"step": 99, "after": 1}]


def test_a_line_is_on_file_as_soon_as_it_is_logged(tmp_path: Path) -> None:
    JsonLinesTracker(tmp_path / "stats.jsonl").log(3, {"loss": math.nan, "rate": 1e-4})
    assert (tmp_path / "stats.jsonl").read_text() == '{"step": 3, "loss": null, "rate": 0.0001}\n'


def test_truncating_a_log_that_was_never_begun_makes_no_file(tmp_path: Path) -> None:
    JsonLinesTracker(tmp_path / "stats.jsonl").truncate_after(3)
    assert list(tmp_path.iterdir()) == []


def scalars(folder: Path) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars("loss")]


def test_several_trackers_get_the_same_numbers_and_forget_the_same_steps(tmp_path: Path) -> None:
    trackers = TrackerGroup(
        [JsonLinesTracker(tmp_path / "stats.jsonl"), AccelerateTracker("tensorboard", tmp_path / "events")]
    )
    for step in range(4):
        trackers.log(step, {"loss": step / 4})
    trackers.truncate_after(1)
    trackers.log(2, {"loss": 9})
    trackers.close()
    assert scalars(tmp_path / "events") == [(0, 0.0), (1, 0.25), (2, 9.0)]
    assert [(line["step"], line["loss"]) for line in read(tmp_path / "stats.jsonl")] == [(0, 0.0), (1, 0.25), (2, 9)]


def test_an_unknown_tracker_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown tracker 'tensorbord'; choose from aim, .*, tensorboard, .*wandb$"):
        AccelerateTracker("tensorbord", tmp_path)


@pytest.mark.parametrize(
    ("name", "package"), [("tensorboard", r"'vidvox\[tensorboard\]'"), ("comet_ml", "comet-ml"), ("aim", "aim")]
)
def test_a_tracker_that_is_not_installed_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setattr(tracking, "_available_trackers", [])
    with pytest.raises(ValueError, match=f"^the tracker {name} is not installed: pip install {package}$"):
        AccelerateTracker(name, tmp_path)


class Unreachable:
    """A tracker whose service answers with an error of its own."""

    def __init__(self, *_words, **_settings):
        raise RuntimeError("502\nBad Gateway")


def test_a_service_that_does_not_answer_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "tensorboard", Unreachable)
    with pytest.raises(UnwritableError, match=r"^cannot write the log of tensorboard: 502 Bad Gateway$"):
        AccelerateTracker("tensorboard", tmp_path)
