"""Every kind of degradation: identity at 0, the seed decides, damage grows with severity, and any clip is taken."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from vidgan.commands import DegradeConfig
from vidgan.data.dataset import BUNDLED_CLIP
from vidgan.degradations.degraded import DegradedClip
from vidgan.degradations.kinds import DEGRADATIONS, degrade, scale_of_chain
from vidgan.degradations.simple import SIMPLE_METHODS
from vidgan.files.video import read_clip
from vidgan.frames import convert_channels, resize_and_crop

SHRINKING = ("shrink-2", "shrink-4")
WITHOUT_LEVELS = (*SHRINKING, "grey")
RARE = ("packet-loss", "bit-errors")
"""Kinds that may spare a short clip, whatever the seed."""
EVERY_CHANNEL_COUNT = (
    *("noise", "shot", "impulse", "blur", "motion-blur", "pixelate", *SHRINKING, "rain", "snow", "dust", "fog"),
    *("smoke", "low-light", "flicker", "contrast", "scratches", "dropped", "frozen", "holes"),
)


@pytest.fixture(scope="module")
def clip() -> Tensor:
    """12 frames of a street, 48 x 64 pixels."""
    return resize_and_crop(read_clip(BUNDLED_CLIP, start=40, frames=12).frames, 48, 64).contiguous()


def error(first: Tensor, second: Tensor) -> float:
    return float((first.float() - second.float()).square().mean())


def same(first: DegradedClip, second: DegradedClip) -> bool:
    if (first.known is None) != (second.known is None):
        return False
    known = first.known is None or second.known is None or torch.equal(first.known, second.known)
    return known and torch.equal(first.frames, second.frames)


@pytest.mark.parametrize("kind", [kind for kind in DEGRADATIONS if kind not in SHRINKING])
def test_severity_0_gives_the_clip_back_bit_for_bit_in_memory_of_its_own(kind, clip):
    spoilt = degrade(clip, kind, severity=0, seed=1)
    assert torch.equal(spoilt.frames, clip)
    assert spoilt.frames.data_ptr() != clip.data_ptr()
    assert spoilt.known is None


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_the_seed_decides_and_the_clip_that_went_in_stays_as_it_is(kind, clip):
    before = clip.clone()
    first, again = (degrade(clip, kind, severity=3, seed=5) for _ in range(2))
    assert torch.equal(clip, before)
    assert same(first, again)
    others = [degrade(clip, kind, severity=4, seed=seed) for seed in (6, 7, 8)]
    if kind not in WITHOUT_LEVELS:
        assert not all(same(one, other) for one, other in pairwise(others))


@pytest.mark.parametrize("kind", [kind for kind in DEGRADATIONS if kind not in (*WITHOUT_LEVELS, *RARE)])
def test_damage_grows_with_severity(kind, clip):
    clip, seeds = (clip[:4], range(12)) if kind == "second-order" else (clip, range(3))
    if kind in ("dropped", "frozen"):
        seeds = range(20)
    errors = [
        np.mean([error(degrade(clip, kind, severity=severity, seed=seed).frames, clip) for seed in seeds])
        for severity in (0.5, 2, 3.5, 5)
    ]
    assert all(less < more for less, more in pairwise(errors)), errors


@pytest.mark.parametrize("kind", DEGRADATIONS)
@pytest.mark.parametrize("shape", [(1, 3, 24, 40), (2, 1, 33, 17), (3, 3, 5, 4), (7, 1, 16, 16)])
def test_any_size_and_length_of_a_grey_or_colour_clip_is_taken(kind, shape, clip):
    time, channels, height, width = shape
    part = convert_channels(clip[:time], channels)[:, :, :height, :width]
    for severity in (0.1, 5):
        spoilt = degrade(part, kind, severity=severity, seed=2)
        scale = scale_of_chain(kind)
        assert spoilt.frames.shape == (time, channels, height // scale, width // scale)
        assert spoilt.frames.dtype == torch.uint8
        assert spoilt.known is None or spoilt.known.shape == (time, 1, height // scale, width // scale)


@pytest.mark.parametrize("kind", [kind for kind in DEGRADATIONS if kind not in SHRINKING])
def test_a_clip_of_one_pixel_is_taken(kind):
    pixel = torch.full((2, 3, 1, 1), 99, dtype=torch.uint8)
    assert degrade(pixel, kind, seed=0).frames.shape == pixel.shape


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_five_channels_are_taken_or_refused_in_one_line(kind, clip):
    many = clip[:2].repeat(1, 2, 1, 1)[:, :5]
    if kind in EVERY_CHANNEL_COUNT:
        assert degrade(many, kind, seed=0).frames.shape[1] == 5
    else:
        with pytest.raises(ValueError, match=rf"{kind} is for clips of 1 \(grey\) or 3 \(RGB\) channels, not 5"):
            degrade(many, kind, seed=0)


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_the_order_of_values_in_memory_does_not_matter(kind, clip):
    channels_last = clip[:3].movedim(1, 3).contiguous().movedim(3, 1)
    assert same(degrade(channels_last, kind, seed=3), degrade(clip[:3], kind, seed=3))


def test_a_chain_is_its_kinds_from_left_to_right_and_what_any_of_them_lost_is_lost(clip):
    chain = degrade(clip, "grey+shrink-2", seed=0)
    assert torch.equal(chain.frames, degrade(degrade(clip, "grey", seed=0).frames, "shrink-2", seed=0).frames)
    both = degrade(clip, "holes+dropped+shrink-4", severity=5, seed=0)
    holes, dropped = degrade(clip, "holes", severity=5, seed=0).known, both.known.flatten(1).any(1)
    assert both.frames.shape[2:] == both.known.shape[2:] == (12, 16)
    assert not dropped.all()
    blocks = holes.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4).all(4)
    assert torch.equal(both.known[dropped], blocks[dropped])
    assert scale_of_chain("noise+shrink-2+shrink-4") == 8


def test_each_kind_of_a_chain_has_draws_of_its_own(clip):
    flat = torch.full_like(clip, 128)
    twice, once = (degrade(flat, name, severity=1, seed=0).frames.float().std() for name in ("noise+noise", "noise"))
    assert float(twice / once) == pytest.approx(2**0.5, rel=0.1)


@pytest.mark.parametrize(
    ("name", "severity", "complaint"),
    [
        ("rian", 3, "unknown degradation rian; did you mean rain?"),
        ("noise+motion_blur", 3, "unknown degradation motion_blur; did you mean motion-blur?"),
        ("", 3, "unknown degradation "),
        ("noise+", 3, "unknown degradation "),
        ("noise", 5.5, "the severity must be in [0, 5], got 5.5"),
        ("noise", -1, "the severity must be in [0, 5], got -1"),
        ("noise", float("nan"), "the severity must be in [0, 5], got nan"),
    ],
)
def test_a_mistake_is_one_line(name, severity, complaint, clip):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        degrade(clip, name, severity=severity, seed=0)
    assert str(raised.value) == complaint


def test_what_cannot_be_degraded_is_refused():
    with pytest.raises(ValueError, match="there are no frames to degrade"):
        degrade(torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "noise", seed=0)
    with pytest.raises(ValueError, match="frames of 3x9 pixels cannot be shrunk by 4"):
        degrade(torch.zeros(1, 3, 3, 9, dtype=torch.uint8), "shrink-4", seed=0)


def test_the_command_and_the_simple_methods_know_every_kind():
    assert set(SIMPLE_METHODS) == set(DEGRADATIONS)
    import inspect

    text = " ".join(inspect.getsource(DegradeConfig).split())
    assert not [kind for kind in DEGRADATIONS if not any(f" {kind}{end}" in text for end in (",", ";", " or"))]
