"""Scores of forecasts against plain float64 references, and against numbers known beforehand."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from tiny import clips

from vidgan import metrics


def pair(channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    true = clips(3, frames=4, channels=channels, height=18, width=22)
    noise = torch.randn(true.shape, generator=torch.Generator().manual_seed(1))
    return (true + torch.linspace(0.02, 0.4, 4).view(-1, 1, 1, 1) * noise).clamp(-1, 1), true


def unit_range(clip: torch.Tensor) -> np.ndarray:
    return (clip.double().numpy() + 1) / 2


def test_an_error_of_a_tenth_of_the_range_is_20_db():
    true = torch.zeros(2, 3, 1, 8, 8)
    assert metrics.psnr(true + 0.2, true).tolist() == pytest.approx([20.0] * 3, abs=1e-4)


def test_equal_clips_have_the_best_scores_there_are():
    _, true = pair()
    assert metrics.mse_per_frame(true, true).tolist() == [0.0] * 4
    assert metrics.psnr(true, true).tolist() == [100.0] * 4
    assert metrics.ssim(true, true).tolist() == pytest.approx([1.0] * 4)


def test_squared_error_is_summed_over_a_frame_and_psnr_is_a_mean_of_clips():
    predicted, true = pair()
    error = (unit_range(predicted) - unit_range(true)) ** 2
    assert metrics.mse_per_frame(predicted, true).tolist() == pytest.approx(error.sum((2, 3, 4)).mean(0), rel=1e-5)
    expected = (10 * np.log10(1 / error.mean((2, 3, 4)))).mean(0)
    assert metrics.psnr(predicted, true).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_structural_similarity_follows_its_formula(channels):
    """Wang et al. 2004 with 7x7 windows that lie wholly inside, and sample covariances."""
    predicted, true = pair(channels)
    expected = np.zeros(4)
    for x, y in zip(unit_range(predicted), unit_range(true), strict=True):
        for lead in range(4):
            for a, b in zip(x[lead], y[lead], strict=True):
                mean_a, mean_b = uniform_filter(a, 7), uniform_filter(b, 7)
                scale = 49 / 48
                var_a = scale * (uniform_filter(a * a, 7) - mean_a**2)
                var_b = scale * (uniform_filter(b * b, 7) - mean_b**2)
                both = scale * (uniform_filter(a * b, 7) - mean_a * mean_b)
                c1, c2 = 0.01**2, 0.03**2
                top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
                score = top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
                expected[lead] += score[3:-3, 3:-3].mean() / (3 * channels)
    assert metrics.ssim(predicted, true).tolist() == pytest.approx(expected, rel=1e-9)


def test_scores_worsen_with_the_error():
    predicted, true = pair()
    assert metrics.mse_per_frame(predicted, true).diff().min() > 0
    assert metrics.psnr(predicted, true).diff().max() < 0
    assert metrics.ssim(predicted, true).diff().max() < 0


def test_scores_do_not_depend_on_the_order_of_clips_or_on_how_they_are_batched():
    predicted, true = pair()
    for metric in (metrics.mse_per_frame, metrics.psnr, metrics.ssim):
        whole = metric(predicted, true)
        torch.testing.assert_close(metric(predicted.flip(0), true.flip(0)), whole)
        apart = torch.stack([metric(a[None], b[None]) for a, b in zip(predicted, true, strict=True)]).mean(0)
        torch.testing.assert_close(apart, whole)


def test_sharpness_is_the_slope_of_a_ramp():
    """A step of 0.02 of the range a pixel to the right and 0.01 down, in every channel."""
    ramp = 2 * (0.02 * torch.arange(10.0)[None] + 0.01 * torch.arange(8.0)[:, None]) - 1
    clip = ramp.expand(2, 3, 3, 8, 10)
    assert metrics.sharpness(clip).tolist() == pytest.approx([(0.02**2 + 0.01**2) ** 0.5] * 3, rel=1e-4)
    assert metrics.sharpness(torch.full_like(clip, 0.3)).tolist() == [0.0] * 3


def test_blurred_frames_are_less_sharp():
    _, true = pair()
    noisy = (true + 0.3 * torch.randn(true.shape)).clamp(-1, 1)
    blurred = torch.nn.functional.avg_pool3d(noisy, (1, 3, 3), stride=1, padding=(0, 1, 1))
    assert (metrics.sharpness(blurred) < 0.7 * metrics.sharpness(noisy)).all()


def test_diversity_is_the_root_mean_square_difference_of_two_samples():
    samples = torch.randn(2, 4, 3, 1, 5, 6)
    pairs = [(a, b) for a in range(4) for b in range(a)]
    expected = sum(((samples[:, a] - samples[:, b]) / 2).square().mean((0, 2, 3, 4)) for a, b in pairs) / len(pairs)
    torch.testing.assert_close(metrics.diversity(samples), expected.sqrt())
    assert metrics.diversity(samples[:, :1].expand(-1, 3, -1, -1, -1, -1)).tolist() == [0.0] * 3
