"""What is to be filled: where a mask is white, in a box, and in frames that are missing."""

import numpy as np
import pytest
import torch
from PIL import Image

from vidgan.files.readers import HeldClip
from vidgan.files.video import write_clip
from vidgan.translation.masks import open_mask, parse_frame_ranges

FILM = HeldClip(torch.zeros(20, 3, 12, 16, dtype=torch.uint8))


def test_white_in_a_picture_is_filled_in_every_frame(tmp_path):
    drawn = np.zeros((12, 16), np.uint8)
    drawn[2:5, 6:9] = 255
    Image.fromarray(drawn).save(tmp_path / "mask.png")
    known = open_mask(FILM, name="film", mask=tmp_path / "mask.png").read(3, 4)
    assert known.shape == (4, 1, 12, 16)
    assert torch.equal(known, torch.from_numpy(drawn == 0).expand(4, 1, -1, -1))


def test_a_film_of_masks_is_read_with_the_frames(tmp_path):
    drawn = torch.zeros(20, 1, 12, 16, dtype=torch.uint8)
    for number in range(20):
        drawn[number, :, :, number % 16] = 255
    write_clip(tmp_path / "mask.npy", drawn, rate=10)
    known = open_mask(FILM, name="film", mask=tmp_path / "mask.npy").read(7, 5)
    assert torch.equal(known, drawn[7:12] == 0)


def test_box_and_missing_frames_add_to_each_other():
    mask = open_mask(FILM, name="film", box=(1, 2, 3, 4), missing="10-14, 3")
    known = mask.read(0, 20)
    assert not known[[3, 10, 11, 12, 13, 14]].any()
    for number in (0, 2, 4, 9, 15, 19):
        assert known[number].sum() == 12 * 16 - 12
        assert not known[number, :, 1:4, 2:6].any()
    assert torch.equal(mask.read(9, 4), known[9:13])


@pytest.mark.parametrize(
    ("text", "numbers"), [("", []), ("0", [0]), ("10-12,30", [10, 11, 12, 30]), (" 5 , 5-6,", [5, 5, 6])]
)
def test_a_list_of_frames_is_numbers_and_ranges(text, numbers):
    assert [number for each in parse_frame_ranges(text) for number in each] == numbers


@pytest.mark.parametrize("text", ["a", "5-", "-5", "7-5", "1.5", "1:3", "1--3", "9999999999"])
def test_any_other_list_is_refused(text):
    with pytest.raises(ValueError, match="numbers and ranges of frames like 10-14,30"):
        parse_frame_ranges(text)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"box": (0, 0, 13, 4)}, r"the box 0,0,13,4 \(y,x,height,width\) does not lie in film, which has 12x16"),
        ({"box": (-1, 0, 2, 2)}, "does not lie in film"),
        ({"box": (0, 0, 0, 2)}, "does not lie in film"),
        ({"missing": "18-20"}, "film has frames 0 to 19, and no frame 20"),
        ({"missing": "0-999999999"}, "no frame 999999999"),
    ],
)
def test_what_lies_outside_the_film_is_refused(given, complaint):
    with pytest.raises(ValueError, match=complaint):
        open_mask(FILM, name="film", **given)


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((20, 1, 16, 12), "mask.npy has 16x12 pixels, but film 12x16"),
        ((3, 1, 12, 16), "mask.npy has 3 frames, but film 20: give as many, or a picture"),
        ((20, 4, 12, 16), "4 channels: a mask is grey or RGB"),
    ],
)
def test_a_mask_of_another_film_is_refused(tmp_path, shape, complaint):
    write_clip(tmp_path / "mask.npy", torch.zeros(shape, dtype=torch.uint8), rate=10)
    with pytest.raises(ValueError, match=complaint):
        open_mask(FILM, name="film", mask=tmp_path / "mask.npy")
