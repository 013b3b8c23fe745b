"""Several clips in one file."""

import numpy as np
import pytest
import torch
from PIL import Image

from vidgan.files.grid import GRID_GAP, tile_clips, write_grid
from vidgan.files.video import read_clip


def shades(count: int, *, channels: int = 1) -> torch.Tensor:
    """Clips of 3 frames of 4x6 pixels, each of one shade."""
    return torch.stack([torch.full((3, channels, 4, 6), 40 * number, dtype=torch.uint8) for number in range(count)])


def test_a_grid_goes_row_by_row_with_white_gaps_and_black_places():
    shown = tile_clips(shades(3), columns=2)
    assert shown.shape == (3, 1, 2 * 4 + GRID_GAP, 2 * 6 + GRID_GAP)
    corners = [shown[1, 0, y, x].item() for y in (0, -1) for x in (0, -1)]
    assert corners == [0, 40, 80, 0]
    assert (shown[:, :, 4 : 4 + GRID_GAP] == 255).all()
    assert (shown[..., 6 : 6 + GRID_GAP] == 255).all()


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "folder"])
def test_a_video_shows_clips_side_by_side(tmp_path, name):
    write_grid(tmp_path / name, shades(2), rate=5)
    frames = read_clip(tmp_path / name).frames.float()
    assert frames.shape == (3, 3, 4, 6 + GRID_GAP + 6)
    assert frames[..., :5].mean() < 10
    assert abs(frames[..., -5:].mean() - 40) < 10


def test_a_strip_has_a_row_for_each_clip(tmp_path):
    write_grid(tmp_path / "plain.png", shades(2), rate=5)
    pixels = np.asarray(Image.open(tmp_path / "plain.png").convert("L"))
    assert pixels.shape == (2 * 4, 3 * 6)
    assert pixels[0, 0] == 0
    assert pixels[-1, -1] == 40


def test_an_array_has_an_axis_for_clips_only_if_there_are_several(tmp_path):
    write_grid(tmp_path / "one.npy", shades(1, channels=5), rate=5)
    write_grid(tmp_path / "two.npy", shades(2, channels=5), rate=5)
    assert np.load(tmp_path / "one.npy").shape == (3, 5, 4, 6)
    assert np.load(tmp_path / "two.npy").shape == (2, 3, 5, 4, 6)
