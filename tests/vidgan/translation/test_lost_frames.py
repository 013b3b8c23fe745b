"""Lost frames are made of the nearest others, however long the windows are and wherever they begin."""

import numpy as np
import pytest
import torch
from support.translators import translator
from torch import Tensor

from vidgan.files.readers import HeldClip
from vidgan.frames import to_float, to_uint8
from vidgan.networks.interpolation import interpolate_between
from vidgan.translation.apply import HeldMask, translate_film
from vidgan.translation.lost_frames import LostFrames
from vidgan.translation.windows import Windows, list_cuts, place_windows


def ramp(frames: int, height: int = 16, width: int = 20) -> Tensor:
    """Frames each of which is 2 levels brighter than the one before."""
    across = torch.arange(width)
    return (20 + 2 * torch.arange(frames)[:, None, None, None] + across).expand(frames, 3, height, width).byte()


def mask(clip: Tensor, lost: list[int]) -> Tensor:
    known = torch.ones(len(clip), 1, *clip.shape[2:], dtype=torch.bool)
    known[lost] = False
    return known


def filled(clip: Tensor, known: Tensor, *, length: int) -> Tensor:
    plan = Windows(place_windows(len(clip), length, overlap=4), *(list_cuts(side, 32, 4)[0] for side in clip.shape[2:]))
    spoilt = torch.where(known, clip, 255)
    parts = list(translate_film(translator(masked=True), HeldClip(spoilt), known=HeldMask(known), windows=plan))
    assert torch.equal(torch.cat([part.source for part in parts]), spoilt)  # which is shown as it is
    return torch.cat([part.target for part in parts])


@pytest.mark.parametrize("length", [8, 12, 99])
@pytest.mark.parametrize("lost", [range(5, 40), range(1, 6), [3, 9, 10, 30]])
def test_frames_between_whole_ones_lead_from_one_to_the_other_whatever_the_windows(lost, length):
    clip = ramp(48)
    made = filled(clip, mask(clip, list(lost)), length=length)
    assert (made.int() - clip.int()).abs().max() <= 3  # brightness is taken for a little motion


def test_at_the_ends_the_nearest_frame_is_repeated():
    clip = ramp(40)
    made = filled(clip, mask(clip, [*range(15), *range(22, 40)]), length=8)
    assert torch.equal(made[:15], clip[15:16].expand(15, -1, -1, -1))
    assert torch.equal(made[22:], clip[21:22].expand(18, -1, -1, -1))


def test_between_whole_frames_things_move_along_the_flow():
    first = torch.from_numpy(np.random.default_rng(0).integers(256, size=(1, 3, 6, 6))).repeat_interleave(4, 2)
    first = first.repeat_interleave(4, 3).byte()
    clip = torch.cat([first, torch.zeros_like(first), first.roll(2, 3)])
    made, known = LostFrames(HeldClip(clip), HeldMask(mask(clip, [1]))).fill(0, clip, mask(clip, [1]))
    ends = (to_float(clip[[number]]) for number in (0, 2))
    assert torch.equal(made[1], to_uint8(interpolate_between(*ends, torch.full((1, 1, 1, 1), 0.5))[0].clamp(-1, 1)))
    assert known.all()


def test_between_frames_with_holes_what_both_know_is_known_and_nothing_else_is_looked_at():
    clip = ramp(5)
    known = mask(clip, [1, 2, 3])
    known[0, :, :4], known[4, :, 12:] = False, False
    made, now_known = LostFrames(HeldClip(clip), HeldMask(known)).fill(0, clip, known)
    assert torch.equal(now_known[2, 0].any(1), torch.tensor(4 * [False] + 8 * [True] + 4 * [False]))
    assert torch.equal(made[1:4, :, 4:12], clip[1:4, :, 4:12])
    assert torch.equal(now_known[[0, 4]], known[[0, 4]])


def test_a_film_of_which_nothing_is_known_is_refused():
    clip = ramp(20)
    with pytest.raises(ValueError, match="all frames of the film are lost"):
        filled(clip, mask(clip, list(range(20))), length=8)
