"""First estimates of what is not known: along time, and along the motion between whole frames."""

import pytest
import torch
import torch.nn.functional as F

from vidgan.networks.interpolation import (
    estimate_unknown,
    interpolate_along_motion,
    interpolate_between,
    interpolate_in_space,
    interpolate_unknown,
)
from vidgan.networks.translator import ClipTranslator
from vidgan.translation_config import PairShape, TranslatorConfig


def pan(*, frames: int, speed: int, clips: int = 1) -> torch.Tensor:
    """Clips of a smooth pattern that moves to the left, each of another one."""
    wall = torch.rand(clips, 3, 10, 24, generator=torch.Generator().manual_seed(0))
    wall = F.interpolate(wall, scale_factor=6, mode="bicubic").clamp(0, 1) * 2 - 1
    return torch.stack([wall[..., 6:54, speed * t : speed * t + 64] for t in range(frames)], 1)


def lose(clip: torch.Tensor, *times: int) -> torch.Tensor:
    known = torch.ones_like(clip[:, :, :1], dtype=torch.bool)
    known[:, list(times)] = False
    return known


@pytest.mark.parametrize("lost", [(2,), (2, 3)])
def test_a_lost_frame_moves_with_what_is_around_it(lost):
    clip = pan(frames=6, speed=3, clips=2)
    known = lose(clip, *lost)
    still = interpolate_unknown(clip * known, known)
    made = interpolate_along_motion(still, known)
    inside = (slice(None), list(lost), slice(None), slice(6, -6), slice(12, -12))  # beyond, one of the two saw nothing
    ours, linear = ((each - clip)[inside].square().mean() for each in (made, still))
    assert ours < 0.1 * linear
    rest = [t for t in range(6) if t not in lost]
    assert torch.equal(made[:, rest], clip[:, rest])


def test_what_stands_still_is_the_mean_of_both_frames_for_all_their_noise():
    clip = pan(frames=3, speed=0) + 0.01 * torch.randn(1, 3, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    known = lose(clip, 1)
    still = interpolate_unknown(clip, known)
    assert torch.equal(interpolate_along_motion(still, known), still)
    assert torch.allclose(still[:, 1], (clip[:, 0] + clip[:, 2]) / 2)


def test_lost_frames_at_the_ends_and_holes_are_left_as_they_are():
    clip = pan(frames=4, speed=3)
    known = lose(clip, 0, 3)
    known[:, 1, :, 4:20] = False
    assert torch.equal(interpolate_along_motion(clip, known), clip)
    assert torch.equal(interpolate_along_motion(clip, torch.ones_like(known)), clip)


def test_nearer_frames_count_for_more():
    first, second = torch.zeros(1, 3, 32, 32), torch.full((1, 3, 32, 32), 0.02)
    quarter = interpolate_between(first, second, torch.full((1, 1, 1, 1), 0.25))
    assert torch.allclose(quarter, torch.tensor(0.005))


def test_a_clip_does_not_depend_on_the_others_of_its_batch():
    clip = pan(frames=5, speed=2, clips=2)
    known = lose(clip, 2)
    known[1, 2], known[1, 3] = True, False
    both = interpolate_along_motion(clip, known)
    assert torch.allclose(both[1:], interpolate_along_motion(clip[1:], known[1:]), atol=1e-6)


@pytest.mark.parametrize("trained", [False, True])
def test_a_translator_leaves_missing_frames_to_the_motion_between_whole_ones(trained):
    torch.manual_seed(0)
    network = ClipTranslator(TranslatorConfig(base_channels=4), PairShape(masked=True)).eval()
    if trained:
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    clip = pan(frames=5, speed=3)
    known = lose(clip, 2, 4)
    expected = interpolate_along_motion(estimate_unknown(clip * known, known), known)
    made = network(clip, known)
    assert torch.equal(made, expected)
    spoilt = clip.clone()
    spoilt[:, [2, 4]] = 0.7  # what a lost frame holds is not looked at
    assert torch.equal(network(spoilt, known), made)
    known[:, 3, :, :20, :20] = False
    holed = estimate_unknown(clip * known, known)
    assert torch.equal(network(clip, known)[:, 3], holed[:, 3]) != trained  # a hole is what the network is for


# ---------------------------------------------------------------------------------------------------------- in space


@pytest.mark.parametrize(("height", "width"), [(32, 48), (21, 37), (1, 9), (1, 1)])
def test_a_hole_continues_what_is_around_it(height, width):
    ramp = torch.linspace(-0.8, 0.8, width).expand(2, 3, height, width) if width > 1 else torch.zeros(2, 3, 1, 1)
    known = torch.ones(2, 1, height, width)
    known[0, :, height // 3 : height // 2, width // 3 : width // 2] = 0
    spoilt = torch.where(known > 0, ramp, 9.0)
    filled = interpolate_in_space(spoilt, known)
    assert torch.equal(torch.where(known > 0, filled, 0), torch.where(known > 0, ramp, 0))
    assert (filled - ramp).abs().max() < 0.25  # the hole spans up to a sixth of 1.6
    assert torch.equal(filled[1], ramp[1])


def test_where_nothing_is_known_there_is_nothing():
    assert (interpolate_in_space(torch.full((1, 3, 6, 5), 0.7), torch.zeros(1, 1, 6, 5)) == 0).all()


def test_unknown_pixels_come_from_their_own_time_of_another_or_from_around():
    clip = pan(frames=4, speed=0) * torch.tensor([1, 0.5, 0.25, 0.125]).view(1, 4, 1, 1, 1)
    known = torch.ones(1, 4, 1, 48, 64, dtype=torch.bool)
    known[..., 10:20, 10:20] = False  # never known
    known[:, 1, :, 30:40, 30:40] = False  # known before and after
    made = estimate_unknown(clip * known, known)
    assert torch.allclose(made[:, 1, :, 30:40, 30:40], (clip[:, 0] + clip[:, 2])[..., 30:40, 30:40] / 2, atol=1e-6)
    assert (made - clip)[..., 10:20, 10:20].square().mean() < 0.5 * clip[..., 10:20, 10:20].square().mean()
    causal = estimate_unknown(clip * known, known, causal=True)
    for t in range(4):
        assert torch.equal(causal[:, t], estimate_unknown(clip[:, [t]] * known[:, [t]], known[:, [t]])[:, 0])
