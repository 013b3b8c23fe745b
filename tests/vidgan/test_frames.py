"""Frames of any layout in memory are resized alike, down to a single pixel."""

import pytest
import torch

from vidgan.frames import resize_to_cover


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 4)])
def test_the_layout_in_memory_changes_nothing(size):
    frames = torch.arange(12 * 31 * 33 * 3, dtype=torch.int64).remainder(251).byte().view(12, 31, 33, 3)
    frames = frames.permute(0, 3, 1, 2)  # as they are read from an array of pixels
    assert torch.equal(resize_to_cover(frames, *size), resize_to_cover(frames.contiguous(), *size))
