"""Correlation between adjacent frames."""

import pytest
import torch

from vidgan.networks.correlation import HALF_FIT_ERROR, WINDOW_SIZE, correlation_volume


@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (0, -2), (-2, 1)])
def test_a_shifted_frame_correlates_best_at_its_shift(down, right):
    before = torch.rand(1, 3, 16, 20) * 2 - 1
    frames = torch.stack([before, before.roll((down, right), (2, 3))], 1)
    inner = correlation_volume(frames, 2)[0, 1, :, 6:-6, 6:-6]
    assert (inner.argmax(0) == (2 - down) * 5 + 2 - right).all()
    torch.testing.assert_close(inner.amax(0), torch.ones_like(inner[0]))


def test_the_first_frame_is_compared_with_itself():
    volume = correlation_volume(torch.rand(2, 1, 1, 8, 8), 1)
    assert (volume[:, 0, 4] == 1).all()


def test_the_correlation_is_one_half_at_the_stated_difference():
    frames = torch.zeros(1, 2, 1, 9, 9, dtype=torch.float64)
    frames[:, 1] = HALF_FIT_ERROR**0.5
    torch.testing.assert_close(correlation_volume(frames, 1)[0, 1], torch.full((9, 9, 9), 0.5, dtype=torch.float64))


def test_a_correlation_follows_from_the_mean_squared_difference_of_two_windows():
    frames, half = torch.randn(1, 2, 2, 12, 12, dtype=torch.float64), WINDOW_SIZE // 2
    y, x = 6, 5
    now = frames[0, 1, :, y - half : y + half + 1, x - half : x + half + 1]
    before = frames[0, 0, :, y - half - 1 : y + half, x - half + 2 : x + half + 3]
    error = (now - before).square().mean()
    torch.testing.assert_close(
        correlation_volume(frames, 2)[0, 1, (2 - 1) * 5 + 4, y, x], HALF_FIT_ERROR / (HALF_FIT_ERROR + error)
    )


def test_no_clip_of_a_batch_depends_on_another():
    clips = torch.randn(3, 3, 1, 8, 8)
    volume = correlation_volume(clips, 2)
    clips[1] = 0
    assert torch.equal(correlation_volume(clips, 2)[[0, 2]], volume[[0, 2]])
