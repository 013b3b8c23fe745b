"""Patch contrast has its known values, and compares patches of one frame alone."""

import math

import pytest
import torch
from support.tiny import clips
from support.translating import ONE_WAY, pair_of

from gancore.rng import SampleRandom
from vidgan.translation.contrast import TEMPERATURE, clip_contrast, draw_places, patch_contrast


def random_features(frames: int = 4, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(frames, 64, 256, generator=torch.Generator().manual_seed(seed))


def test_equal_features_that_have_nothing_in_common_are_almost_always_told_apart():
    features = torch.eye(64)[None]
    expected = math.log(1 + 63 * math.exp(-1 / TEMPERATURE))
    assert float(patch_contrast(features, features)) == pytest.approx(expected, rel=0.05)  # 1 less 4e-5, in float32
    assert float(patch_contrast(random_features(), random_features())) == pytest.approx(6e-5, rel=0.3)


def test_features_that_tell_nothing_cost_the_logarithm_of_their_number_and_random_ones_more():
    same = torch.ones(2, 64, 256)
    assert float(patch_contrast(same, same)) == pytest.approx(math.log(64), abs=1e-4)
    assert float(patch_contrast(random_features(16), random_features(16, seed=1))) == pytest.approx(4.48, abs=0.1)


def test_lengths_of_features_do_not_matter():
    made, given = random_features(), random_features(seed=1)
    torch.testing.assert_close(patch_contrast(made, given), patch_contrast(3 * made, given / 7))


def test_only_what_was_made_gets_a_gradient():
    made, given = random_features().requires_grad_(), random_features(seed=1).requires_grad_()
    patch_contrast(made, given).backward()
    assert made.grad.abs().sum() > 0
    assert given.grad is None


def test_the_contrast_of_frames_is_the_mean_of_that_of_each():
    made, given = random_features(), random_features(seed=1)
    alone = torch.stack([patch_contrast(made[n : n + 1], given[n : n + 1]) for n in range(4)])
    torch.testing.assert_close(patch_contrast(made, given), alone.mean())


def test_places_differ_within_a_clip_and_do_not_depend_on_how_a_batch_is_split():
    maps = [torch.zeros(6, 3, 8, 8), torch.zeros(6, 5, 4, 4)]
    whole = draw_places(maps, 20, 3, SampleRandom(1))
    assert [tuple(where.shape) for where in whole] == [(3, 20), (3, 16)]
    assert all(len(set(row)) == len(row) for where in whole for row in where.tolist())
    assert set(whole[1][0].tolist()) == set(range(16))
    last = draw_places(maps, 20, 1, SampleRandom(1, first_sample=2, total_samples=3))
    assert all(torch.equal(part[0], where[2]) for part, where in zip(last, whole, strict=True))


def test_a_clip_contrasts_less_with_itself_than_with_another():
    pair, clip = pair_of(ONE_WAY), clips(2, frames=4, channels=3)
    own, other = (
        clip_contrast(pair.to_target, pair.projection, clip, made, patches=16, draws=SampleRandom(0))
        for made in (clip, clip.flip(-1))
    )
    assert own < other
