"""Bending: its derivative, the identity, and frames bent as points are."""

import pytest
import torch
from support.tiny import clips

from gancore.rng import SampleRandom
from vidgan.animation.bending import SIDE, Bending, draw_bending


def bending(affine: float = 0.1, bend: float = 0.05, *, batch: int = 2) -> Bending:
    return draw_bending(SampleRandom(3), batch, affine_spread=affine, bend_spread=bend)


def points() -> torch.Tensor:
    return torch.rand(2, 7, 2, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9


def test_the_derivative_is_that_of_finite_differences():
    bent = Bending(*(each.double() for each in vars(bending()).values()))
    at, step = points().double(), 1e-6
    found = bent.jacobian(at)
    for column, offset in enumerate(step * torch.eye(2).double()):
        difference = (bent.apply(at + offset) - bent.apply(at - offset)) / (2 * step)
        assert torch.allclose(found[..., column], difference, atol=1e-6)


def test_without_spread_nothing_bends():
    still, frames = bending(0.0, 0.0), clips(2, frames=1, channels=3)[:, 0]
    assert torch.allclose(still.apply(points()), points(), atol=1e-6)
    assert torch.allclose(still.jacobian(points()), torch.eye(2).expand(2, 7, 2, 2))
    assert torch.allclose(still.bend(frames), frames, atol=1e-5)


def test_a_frame_shows_at_a_point_what_was_where_the_point_is_mapped():
    shift = Bending(torch.tensor([[[1.0, 0.0, 0.25], [0.0, 1.0, 0.0]]]), torch.zeros(1, SIDE**2, 2))
    frames = clips(1, frames=1, channels=1)[0]
    assert torch.allclose(shift.bend(frames)[..., :-2], frames[..., 2:], atol=1e-5)  # 0.25 of 8 pixels


def test_bendings_of_a_batch_are_those_of_its_parts():
    whole = draw_bending(SampleRandom(3, total_samples=4), 4, affine_spread=0.1, bend_spread=0.1)
    second = SampleRandom(3, first_sample=2, total_samples=4)
    part = draw_bending(second, 2, affine_spread=0.1, bend_spread=0.1)
    assert torch.equal(part.affine, whole.affine[2:])
    assert torch.equal(part.weights, whole.weights[2:])


@pytest.mark.parametrize("spread", [0.0, 0.2])
def test_bendings_differ_by_what_they_are_told(spread):
    assert bending(spread, 0.0).affine.std(0).mean() == pytest.approx(spread * 0.7, abs=0.12)
