"""Numbers and pictures of a run are what was logged and shown."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gancore.report import JsonLinesTracker, TensorBoardTracker, TrackerGroup, make_contact_sheet, save_png

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
    trackers = TrackerGroup([JsonLinesTracker(tmp_path / "stats.jsonl"), TensorBoardTracker(tmp_path / "events")])
    for step in range(4):
        trackers.log(step, {"loss": step / 4})
    trackers.truncate_after(1)
    trackers.log(2, {"loss": 9})
    trackers.close()
    assert scalars(tmp_path / "events") == [(0, 0.0), (1, 0.25), (2, 9.0)]
    assert [(line["step"], line["loss"]) for line in read(tmp_path / "stats.jsonl")] == [(0, 0.0), (1, 0.25), (2, 9)]


def test_without_tensorboard_one_is_told_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match=r"pip install 'vidvox\[tensorboard\]'"):
        TensorBoardTracker(tmp_path)


def clip(time: int, channels: int = 3, height: int = 20, width: int = 30) -> torch.Tensor:
    source = torch.Generator().manual_seed(time)
    return torch.randint(0, 255, (time, channels, height, width), dtype=torch.uint8, generator=source)


def test_every_frame_stands_in_its_place_on_the_sheet() -> None:
    rows = [clip(3), clip(2)]
    image = make_contact_sheet(rows, gap=2)
    assert image.shape == (3, 2 + 2 * 22, 2 + 3 * 32)
    for y, row in enumerate(rows):
        for x, frame in enumerate(row):
            assert torch.equal(image[:, 2 + 22 * y : 22 + 22 * y, 2 + 32 * x : 32 + 32 * x], frame)
    assert (image[:, 24:, 66:] == 255).all()
    assert (image[:, :2] == 255).all()


def test_a_tensor_of_clips_is_a_sheet_as_well() -> None:
    rows = [clip(3), clip(3).flip(0)]
    assert torch.equal(make_contact_sheet(torch.stack(rows)), make_contact_sheet(rows))


@pytest.mark.parametrize("channels", [1, 2])
def test_few_channels_are_shown_as_grey(channels: int) -> None:
    frames = clip(1, channels)
    assert torch.equal(make_contact_sheet([frames], gap=0), frames[0, :1].expand(3, -1, -1))


def test_of_many_channels_the_first_three_are_shown() -> None:
    frames = clip(1, 5)
    assert torch.equal(make_contact_sheet([frames], gap=0), frames[0, :3])


@pytest.mark.parametrize("height", [4, 20])
def test_labels_stand_left_of_their_rows_and_move_nothing_else(height: int) -> None:
    rows = [clip(2, height=height), clip(2, height=height), clip(2, height=height)]
    plain, labelled = make_contact_sheet(rows), make_contact_sheet(rows, labels=["past | true", "", "sample 1"])
    left = labelled.shape[2] - plain.shape[2]
    tall = (labelled.shape[1] - 2) // 3
    assert tall >= height + 2
    inked = [bool((labelled[:, 2 + tall * row : 2 + tall * (row + 1), : left + 2] < 128).any()) for row in range(3)]
    assert inked == [True, False, True]
    for number, row in enumerate(rows):
        top = 2 + tall * number
        assert torch.equal(labelled[:, top : top + height, left + 2 : left + 32], row[0])


@pytest.mark.parametrize(
    ("rows", "labels", "line"),
    [
        ([], None, "at least one row"),
        ([clip(1), clip(1, height=8)], None, "differ in size: 30x8, 30x20"),
        ([clip(1)], ["a", "b"], "2 labels for 1 rows"),
    ],
)
def test_rows_that_make_no_sheet_are_refused(rows: list[torch.Tensor], labels: list[str] | None, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make_contact_sheet(rows, labels=labels)


def test_a_saved_picture_is_read_back_to_the_pixel(tmp_path: Path) -> None:
    image = make_contact_sheet([clip(2)], labels=["a"])
    save_png(image[:, :, :5], tmp_path / "sheet.png")
    save_png(image, tmp_path / "sheet.png")
    pixels = torch.frombuffer(bytearray(Image.open(tmp_path / "sheet.png").tobytes()), dtype=torch.uint8)
    assert torch.equal(pixels.view(image.shape[1], image.shape[2], 3).permute(2, 0, 1), image)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
