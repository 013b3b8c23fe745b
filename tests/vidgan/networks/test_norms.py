"""Norms keep their formulas; no sample sees another in them, and no frame another."""

import pytest
import torch
from torch import nn

from gancore.layers import orthogonal_init_, spectral_norm_
from vidgan.networks.norms import ConditionalNorm, TimestepBatchNorm


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_timestep_batch_norm_is_batch_norm_of_each_timestep_in_training_and_after_it():
    ours, theirs = TimestepBatchNorm(4, 3), [nn.BatchNorm2d(4, affine=False) for _ in range(3)]
    for _ in range(5):
        clips = torch.randn(6, 3, 4, 5, 5) * 3 + 1
        expected = torch.stack([norm(clips[:, t]) for t, norm in enumerate(theirs)], 1)
        torch.testing.assert_close(ours(clips.flatten(0, 1), 6), expected.flatten(0, 1))
    for norm in (ours, *theirs):
        norm.eval()
    expected = torch.stack([norm(clips[:, t]) for t, norm in enumerate(theirs)], 1)
    torch.testing.assert_close(ours(clips.flatten(0, 1), 6), expected.flatten(0, 1))


def test_no_frame_depends_on_another_in_timestep_batch_norm():
    norm, other_norm = TimestepBatchNorm(4, 3), TimestepBatchNorm(4, 3)
    clips = torch.randn(6, 3, 4, 5, 5)
    changed = clips.clone()
    changed[:, 1] += 5 * torch.randn_like(changed[:, 1])
    before, after = (n(c.flatten(0, 1), 6).unflatten(0, (6, 3)) for n, c in ((norm, clips), (other_norm, changed)))
    same = [torch.equal(before[:, t], after[:, t]) for t in range(3)]
    assert same == [True, False, True]
    assert [torch.equal(norm.mean[t], other_norm.mean[t]) for t in range(3)] == same
    assert [torch.equal(norm.variance[t], other_norm.variance[t]) for t in range(3)] == same


def trained_timestep_norm():
    norm = TimestepBatchNorm(4, 3)
    for _ in range(3):
        norm(torch.randn(18, 4, 5, 5) * 3 + 1, 6)
    return norm.eval()


def test_timestep_batch_norm_in_eval_depends_on_no_batch_and_learns_nothing():
    norm, clips = trained_timestep_norm(), torch.randn(2, 3, 4, 5, 5)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    together = norm(clips.flatten(0, 1), 2)
    torch.testing.assert_close(torch.cat([norm(clip, 1) for clip in clips]), together)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


def test_timesteps_past_the_last_one_trained_use_its_statistics():
    norm, frame = trained_timestep_norm(), torch.randn(1, 4, 5, 5)
    long = norm(frame.repeat(5, 1, 1, 1), 1)
    assert torch.equal(long[3], long[2])
    assert torch.equal(norm(frame, 1, start=40)[0], long[2])
    assert not torch.equal(long[1], long[2])


def test_a_clip_may_be_normalised_in_segments():
    norm, clips = trained_timestep_norm(), torch.randn(2, 3, 4, 5, 5)
    head, tail = norm(clips[:, :1].flatten(0, 1), 2), norm(clips[:, 1:].flatten(0, 1), 2, start=1)
    in_segments = torch.cat([head.unflatten(0, (2, 1)), tail.unflatten(0, (2, 2))], 1)
    torch.testing.assert_close(in_segments.flatten(0, 1), norm(clips.flatten(0, 1), 2))


@pytest.mark.parametrize("spectral", [False, True])
def test_a_conditional_norm_starts_with_gains_near_one_and_offsets_near_zero_that_are_not_correlated(spectral):
    norm = orthogonal_init_(ConditionalNorm(64, 120))
    norm = spectral_norm_(norm) if spectral else norm
    x, condition = torch.randn(32, 64, 4, 4), torch.randn(32, 120)
    normalised, plus, minus = norm.norm(x), norm(x, condition), norm(-x, condition)
    gain, offset = ((plus - minus) / (2 * normalised))[:, :, 0, 0].flatten(), ((plus + minus) / 2)[:, :, 0, 0].flatten()
    assert abs(gain.mean() - 1) < 0.05
    assert abs(offset.mean()) < 0.05
    assert 0.01 < gain.std() < 0.3
    assert 0.01 < offset.std() < 0.3
    assert abs(torch.corrcoef(torch.stack([gain, offset]))[0, 1]) < 0.1


@pytest.mark.parametrize("timesteps", [None, 3])
def test_a_conditional_norm_with_gain_one_and_offset_zero_is_the_plain_norm(timesteps):
    norm = ConditionalNorm(8, 5, timesteps=timesteps, groups=2)
    nn.init.zeros_(norm.affine.weight)
    clips = torch.randn(4, 3, 8, 5, 5)
    expected = [nn.BatchNorm2d(8)(clips[:, t]) if timesteps else nn.GroupNorm(2, 8)(clips[:, t]) for t in range(3)]
    torch.testing.assert_close(norm(clips.flatten(0, 1), torch.randn(4, 5)), torch.stack(expected, 1).flatten(0, 1))


def test_every_frame_is_modulated_by_its_own_clip():
    norm, clips, conditions = ConditionalNorm(8, 5), torch.randn(4, 3, 8, 5, 5), torch.randn(4, 5)
    together = norm(clips.flatten(0, 1), conditions).unflatten(0, (4, 3))
    alone = torch.stack([norm(clip, condition[None]) for clip, condition in zip(clips, conditions, strict=True)])
    torch.testing.assert_close(together, alone)


def test_the_batch_free_norm_keeps_samples_apart_to_the_bit():
    norm, clips, conditions = ConditionalNorm(8, 5), torch.randn(4, 3, 8, 5, 5), torch.randn(4, 5)
    before = norm(clips.flatten(0, 1), conditions).unflatten(0, (4, 3))
    clips[2], conditions[2] = torch.randn(3, 8, 5, 5), torch.randn(5)
    after = norm(clips.flatten(0, 1), conditions).unflatten(0, (4, 3))
    assert [torch.equal(x, y) for x, y in zip(before, after, strict=True)] == [True, True, False, True]
