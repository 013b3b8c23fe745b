"""Sheets and films that say what they show, around frames that stay as they are."""

import pytest
import torch

from vidgan.files.captions import (
    BORDER,
    GENERATED_COLOUR,
    LINE_HEIGHT,
    REAL_COLOUR,
    SHEET_GAP,
    LabelledClip,
    add_border,
    make_film,
    make_sheet,
    text_width,
)


def clips(*labels: str, frames: int = 5, channels: int = 3, size: int = 16) -> list[LabelledClip]:
    """Clips of random pixels, the first of them real."""
    pixels = torch.randint(
        256, (len(labels), frames, channels, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return [
        LabelledClip(label, each, generated_from=2 if number else frames)
        for number, (label, each) in enumerate(zip(labels, pixels, strict=True))
    ]


def colours(frames: torch.Tensor) -> list[tuple[int, ...]]:
    return [tuple(frame[:, 0, 0].tolist()) for frame in frames]


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_a_border_says_which_frames_were_generated_and_leaves_their_pixels(channels):
    [_, clip] = clips("ground truth", "sample 1", channels=channels)
    shown = add_border(clip.frames, generated_from=2)
    assert colours(shown) == [REAL_COLOUR] * 2 + [GENERATED_COLOUR] * 3
    inside = shown[..., BORDER:-BORDER, BORDER:-BORDER]
    assert torch.equal(
        inside[:, : min(channels, 3)], clip.frames[:, :3] if channels != 2 else clip.frames[:, :1].expand(-1, 2, -1, -1)
    )


def test_a_sheet_has_labels_numbers_and_a_line_between_past_and_future():
    rows = clips("ground truth", "sample 1")
    sheet = make_sheet(rows, context_frames=2)
    pitch = 16 + 2 * BORDER + SHEET_GAP
    assert sheet.shape[2] >= 5 * pitch + text_width("ground truth")
    plain = make_sheet([LabelledClip("ground truth", rows[0].frames, generated_from=5)] * 2)
    line = (sheet == 0).all(0).sum(0) > 2 * 16
    assert int(line.sum()) == SHEET_GAP
    assert not ((plain == 0).all(0).sum(0) > 2 * 16).any()
    assert (sheet[:, : 2 * LINE_HEIGHT] < 128).any()  # past, future and numbers
    assert (sheet[:, :, :8] < 128).any()  # labels


def test_numbers_that_would_overlap_are_left_out():
    sheet = make_sheet(clips("sample 1", frames=120, size=4))
    assert sheet.shape[2] >= 120 * (4 + 2 * BORDER + SHEET_GAP)


def test_a_film_has_a_caption_above_every_clip_and_the_frames_below_it():
    shown = clips("ground truth", "sample 1", "sample 2", "last frame repeated")
    film = make_film(shown, context_frames=2, columns=2)
    assert film.shape[0] == 5
    assert film.shape[2] == 2 * (2 * LINE_HEIGHT + 16 + 2 * BORDER) + 2
    top = 2 * LINE_HEIGHT + BORDER
    assert torch.equal(film[:, :, top : top + 16, BORDER : BORDER + 16], shown[0].frames)
    captions = film[:, :, : 2 * LINE_HEIGHT]
    assert len({frame.numpy().tobytes() for frame in captions}) == 5  # the number of the frame changes


def test_clips_without_a_past_are_numbered_alone():
    film = make_film(clips("archery", "biking"))
    assert film.shape[0] == 5
