"""Histogram matching undoes what is one curve for all, and agrees with scikit-image."""

import numpy as np
import torch
from skimage.exposure import match_histograms
from support.tiny import clips

from vidgan.frames import to_uint8
from vidgan.networks.curves import apply_curves
from vidgan.translation.histograms import HistogramMatching, accumulate, count_levels, find_curves


def darkened(clip: torch.Tensor) -> torch.Tensor:
    """A curve of each channel that never falls."""
    share = (clip + 1) / 2
    gains = torch.tensor([0.5, 0.7, 0.9]).view(3, 1, 1)
    return 2 * gains * share**1.5 - 1


def error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().mean())


def test_a_clip_is_matched_to_another_as_by_scikit_image():
    source, target = (clips(1, channels=3, height=32, width=32, seed=seed) for seed in (1, 2))
    matching = HistogramMatching.from_pairs([(source, target)])
    ours = to_uint8(matching.match_clips(source))[0].transpose(0, 1).flatten(1)
    theirs = match_histograms(
        *(to_uint8(clip)[0].transpose(0, 1).flatten(1).T.numpy() for clip in (source, target)), channel_axis=1
    ).T
    assert abs(ours.numpy().astype(float) - theirs).mean() < 1


def test_one_curve_for_all_undoes_what_was_one_whatever_a_clip_shows():
    targets, others = clips(8, channels=3, height=32, width=32), clips(8, channels=3, height=32, width=32, seed=5)
    bright = (targets[:1] + 1) / 2
    matching = HistogramMatching.from_pairs([(darkened(others), targets), (darkened(targets), others)])
    assert error(matching.match_set(darkened(bright)), bright) < 0.1 * error(darkened(bright), bright)
    assert error(matching.match_clips(darkened(bright)), bright) > 2 * error(
        matching.match_set(darkened(bright)), bright
    )


def test_the_clips_of_a_batch_are_matched_each_by_itself():
    source, target = clips(3, channels=3, seed=1), clips(3, channels=3, seed=2)
    matching = HistogramMatching.from_pairs([(source, target)])
    for match in (matching.match_clips, matching.match_set):
        torch.testing.assert_close(match(source)[1:2], match(source[1:2]))


def test_curves_never_fall_and_stay_among_the_levels():
    matching = HistogramMatching.from_pairs([(clips(2, channels=3, seed=1), clips(2, channels=3, seed=2))])
    curves = find_curves(matching.sources, matching.targets)
    assert curves.diff(dim=1).min() >= 0
    assert curves.min() >= 0
    assert curves.max() <= 255


def test_a_set_matched_to_itself_stays_as_it_is():
    clip = clips(2, channels=3)
    levels = accumulate(count_levels(clip).sum(0))
    same = apply_curves(clip, find_curves(levels, levels).expand(2, -1, -1))
    assert torch.equal(to_uint8(same), to_uint8(clip))


def test_between_the_levels_curves_are_linear_and_so_is_their_gradient():
    curves = torch.rand(2, 256, generator=torch.Generator().manual_seed(1)).sort().values * 255
    clip = clips(1, channels=2, height=4, width=4).clamp(-0.99, 0.99).requires_grad_()
    made = apply_curves(clip, curves[None])
    levels = (127.5 * (clip.detach() + 1)).transpose(1, 2).flatten(2)[0].numpy()
    expected = [np.interp(own, np.arange(256), curve) for own, curve in zip(levels, curves.numpy(), strict=True)]
    found = (127.5 * (made.detach() + 1)).transpose(1, 2).flatten(2)[0].numpy()
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-3)
    made.sum().backward()
    slopes = [curve.diff()[own.astype(int)] for own, curve in zip(levels, curves, strict=True)]
    torch.testing.assert_close(clip.grad.transpose(1, 2).flatten(2)[0], torch.stack(slopes), atol=1e-3, rtol=1e-3)


def test_beyond_their_ends_curves_stay_as_they_are():
    curves = torch.linspace(20, 200, 256)[None, None]
    made = apply_curves(torch.tensor([-1.5, 1.0, 1.5]).view(1, 1, 1, 1, 3), curves)
    torch.testing.assert_close(127.5 * (made.flatten() + 1), torch.tensor([20.0, 200.0, 200.0]))
