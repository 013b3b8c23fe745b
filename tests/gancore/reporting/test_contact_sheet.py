"""Contact sheets show every frame in its place."""

import pytest
import torch

from gancore.reporting.contact_sheet import make_contact_sheet


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
