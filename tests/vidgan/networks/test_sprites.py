"""Sprites measured in clips whose ground truth is known."""

import pytest
import torch

from vidgan.networks.sprites import cost_volume, find_sprites, measure_offsets, measure_trajectories

SIZE = 24


def picture(side: int) -> torch.Tensor:
    """A picture without symmetry, a different one for each side."""
    return torch.rand(side, side, generator=torch.Generator().manual_seed(side)) + 0.2


def clip(tracks: list[list[tuple[int, int]]], *, channels: int = 1) -> torch.Tensor:
    """Pictures of different sizes on black; the corner of each follows its track of (x, y)."""
    frames = torch.zeros(1, len(tracks[0]), channels, SIZE, SIZE)
    for number, track in enumerate(tracks):
        side = 6 + number
        for time, (x, y) in enumerate(track):
            frames[0, time, :, y : y + side, x : x + side] = picture(side)
    return frames.clamp(max=1) * 2 - 1


RIGHT = [(1 + 2 * t, 1) for t in range(6)]
UP = [(16, 14 - 2 * t) for t in range(6)]
BELOW = [(12 - 2 * t, 15) for t in range(6)]


@pytest.mark.parametrize("channels", [1, 3])
def test_two_sprites_are_separated_and_tracked_to_the_pixel(channels):
    found = find_sprites(clip([RIGHT, BELOW], channels=channels), 2)
    first = int(found.assignment[0, 1:, 3, 13].argmax())  # the sprite of a pixel of the upper picture
    for layer, track in ((first, RIGHT), (1 - first, BELOW)):
        expected = torch.tensor(track) - torch.tensor(track[-1])
        assert (found.offsets[0, layer] - expected).abs().max() < 0.1


def test_shares_of_a_pixel_sum_to_one_and_the_background_is_in_no_mask():
    found = find_sprites(clip([RIGHT, BELOW]), 3)
    assert found.assignment.shape == (1, 4, SIZE, SIZE)
    torch.testing.assert_close(found.assignment.sum(1), torch.ones(1, SIZE, SIZE))
    assert found.sprite_masks.shape == (1, 3, SIZE, SIZE)
    assert found.sprite_masks[0, :, 12].max() < 1e-4


def test_what_stands_still_belongs_to_the_background():
    frames = clip([RIGHT, [(2, 15)] * 6])
    assignment = find_sprites(frames, 1).assignment[0]
    assert assignment[0, 17:20, 4:7].min() > 0.45
    assert assignment[1, 2:6, 12:16].mean() > 0.9


def test_one_frame_shows_no_motion():
    found = find_sprites(clip([RIGHT])[:, -1:], 2)
    assert found.offsets.shape == (1, 2, 1, 2)
    assert found.sprite_masks.abs().max() == 0


def test_trajectories_are_measured_through_a_turn():
    track = [*RIGHT, *RIGHT[-2::-1]]
    frames = clip([track])
    masks = find_sprites(frames[:, :6], 1).sprite_masks
    expected = torch.tensor(track[6:]) - torch.tensor(track[5])
    assert (measure_trajectories(frames[:, 5:6], frames[:, 6:], masks)[0, 0] - expected).abs().max() < 0.1


def test_offsets_are_those_of_the_masks_given():
    frames, masks = clip([RIGHT, UP]), torch.zeros(1, 2, SIZE, SIZE)
    masks[0, 0, 1:7, 11:17], masks[0, 1, 4:11, 16:23] = 1, 1
    masks[0, 0, 4:7, 16] = 0
    moved = measure_offsets(frames, masks)[0]
    assert (moved[0, 0] - torch.tensor([-10, 0])).abs().max() < 0.5
    assert (moved[1, 0] - torch.tensor([0, 10])).abs().max() < 0.5


def test_the_matching_cost_is_the_squared_difference_under_the_mask():
    frames, mask = torch.rand(1, 2, 3, 6, 8, dtype=torch.float64) * 2 - 1, torch.rand(1, 1, 6, 8, dtype=torch.float64)
    cost = cost_volume(frames, mask)[0, 0, 0]
    assert cost.shape == (12, 16)
    before = torch.full((3, 18, 24), -1.0, dtype=torch.float64)
    before[:, 6:12, 8:16] = frames[0, 0]
    for down, right in ((0, 0), (2, -3), (-5, 7)):
        window = before[:, 6 + down : 12 + down, 8 + right : 16 + right]
        expected = (mask[0, 0] * (frames[0, 1] - window) ** 2).sum()
        torch.testing.assert_close(cost[6 + down, 8 + right], expected)


def test_no_clip_of_a_batch_depends_on_another():
    frames = torch.cat([clip([RIGHT, BELOW]), clip([UP]), clip([BELOW, UP])])
    together = find_sprites(frames, 2)
    frames[1] = -frames[1]
    for before, after in zip(together, find_sprites(frames, 2), strict=True):
        assert torch.equal(before[[0, 2]], after[[0, 2]])
