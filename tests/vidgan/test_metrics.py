"""Scores of forecasts against plain float64 references, and against numbers known beforehand."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter
from support.tiny import clips

from vidgan import metrics


def pair(channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    true = clips(3, frames=4, channels=channels, height=18, width=22)
    noise = torch.randn(true.shape, generator=torch.Generator().manual_seed(1))
    return (true + torch.linspace(0.02, 0.4, 4).view(-1, 1, 1, 1) * noise).clamp(-1, 1), true


def unit_range(clip: torch.Tensor) -> np.ndarray:
    return (clip.double().numpy() + 1) / 2


def test_an_error_of_a_tenth_of_the_range_is_20_db():
    true = torch.zeros(2, 3, 1, 8, 8)
    torch.testing.assert_close(metrics.psnr(true + 0.2, true), torch.full((2, 3), 20.0))


def test_equal_clips_have_the_best_scores_there_are():
    _, true = pair()
    for metric, best in {metrics.mse_per_frame: 0, metrics.psnr: 100, metrics.ssim: 1, metrics.ms_ssim: 1}.items():
        assert metric(true, true).numpy() == pytest.approx(np.full((3, 4), best)), metric.__name__
    torch.testing.assert_close(metrics.crps(true[:, None].expand(-1, 5, -1, -1, -1, -1), true), torch.zeros(3, 4))


def test_squared_error_is_summed_over_a_frame():
    predicted, true = pair()
    error = (unit_range(predicted) - unit_range(true)) ** 2
    assert metrics.mse_per_frame(predicted, true).numpy() == pytest.approx(error.sum((2, 3, 4)), rel=1e-5)
    expected = 10 * np.log10(1 / error.mean((2, 3, 4)))
    assert metrics.psnr(predicted, true).numpy() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_structural_similarity_follows_its_formula(channels):
    """Wang et al. 2004 with 7x7 windows that lie wholly inside, and sample covariances."""
    predicted, true = pair(channels)
    expected = np.zeros((3, 4))
    for clip, (x, y) in enumerate(zip(unit_range(predicted), unit_range(true), strict=True)):
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
                expected[clip, lead] += score[3:-3, 3:-3].mean() / channels
    assert metrics.ssim(predicted, true).numpy() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("size", "scales"), [((22, 30), 2), ((11, 40), 1), ((90, 88), 4), ((176, 180), 5)])
def test_multi_scale_similarity_follows_its_formula(size, scales):
    """Wang, Simoncelli and Bovik 2003, with windows from SciPy."""
    true = clips(1, frames=1, height=size[0], width=size[1])
    predicted = (true + 0.1 * torch.randn(true.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    a, b = unit_range(predicted)[0, 0, 0], unit_range(true)[0, 0, 0]
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    expected, inside = 1.0, (slice(5, -5), slice(5, -5))
    for scale, weight in enumerate(weights / weights.sum()):
        mean_a, mean_b, aa, bb, ab = (
            gaussian_filter(values, 1.5, radius=5)[inside] for values in (a, b, a * a, b * b, a * b)
        )
        luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
        structure = (2 * (ab - mean_a * mean_b) + 9e-4) / (aa - mean_a**2 + bb - mean_b**2 + 9e-4)
        expected *= (structure * luminance if scale == scales - 1 else structure).mean() ** weight
        a, b = (
            x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2].reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean((1, 3))
            for x in (a, b)
        )
    assert metrics.count_ms_ssim_scales(*size) == scales
    assert metrics.ms_ssim(predicted, true).item() == pytest.approx(expected, rel=1e-9)


def test_frames_smaller_than_a_window_have_no_multi_scale_similarity():
    true = clips(1, frames=1, height=10, width=40)
    with pytest.raises(ValueError, match="ms_ssim needs frames of at least 11x11, not 10x40"):
        metrics.ms_ssim(true, true)


METRICS = (metrics.mse_per_frame, metrics.psnr, metrics.ssim, metrics.ms_ssim)


def test_scores_worsen_with_the_error():
    predicted, true = pair()
    assert metrics.mse_per_frame(predicted, true).diff().min() > 0
    for metric in METRICS[1:]:
        assert metric(predicted, true).diff().max() < 0


def test_the_scores_of_a_clip_depend_on_it_alone():
    predicted, true = pair()
    for metric in METRICS:
        whole = metric(predicted, true)
        torch.testing.assert_close(metric(predicted.flip(0), true.flip(0)), whole.flip(0))
        apart = torch.cat([metric(a[None], b[None]) for a, b in zip(predicted, true, strict=True)])
        torch.testing.assert_close(apart, whole)


def test_sharpness_is_the_slope_of_a_ramp():
    """A step of 0.02 of the range a pixel to the right and 0.01 down, in every channel."""
    ramp = 2 * (0.02 * torch.arange(10.0)[None] + 0.01 * torch.arange(8.0)[:, None]) - 1
    clip = ramp.expand(2, 3, 3, 8, 10)
    torch.testing.assert_close(metrics.sharpness(clip), torch.full((2, 3), (0.02**2 + 0.01**2) ** 0.5))
    assert metrics.sharpness(torch.full_like(clip, 0.3)).equal(torch.zeros(2, 3))


def test_blurred_frames_are_less_sharp():
    _, true = pair()
    noisy = (true + 0.3 * torch.randn(true.shape)).clamp(-1, 1)
    blurred = torch.nn.functional.avg_pool3d(noisy, (1, 3, 3), stride=1, padding=(0, 1, 1))
    assert (metrics.sharpness(blurred) < 0.7 * metrics.sharpness(noisy)).all()


def test_motion_is_the_mean_change_from_frame_to_frame():
    clip = torch.stack([torch.full((1, 1, 4, 4), value) for value in (-1.0, 0.0, 0.5)], 1)
    assert metrics.motion(clip).tolist() == [[0.5, 0.25]]


# ------------------------------------------------------------------------------------------------- several samples


def test_diversity_is_the_root_mean_square_difference_of_two_samples():
    samples = torch.randn(2, 4, 3, 1, 5, 6)
    pairs = [(a, b) for a in range(4) for b in range(a)]
    expected = sum(((samples[:, a] - samples[:, b]) / 2).square().mean((2, 3, 4)) for a, b in pairs) / len(pairs)
    torch.testing.assert_close(metrics.diversity(samples), expected.sqrt())
    assert metrics.diversity(samples[:, :1].expand(-1, 3, -1, -1, -1, -1)).equal(torch.zeros(2, 3))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_crps_follows_its_fair_formula(count):
    samples, true = torch.randn(2, count, 3, 1, 4, 5).double(), torch.randn(2, 3, 1, 4, 5).double()
    error = (samples - true[:, None]).abs().mean(1)
    pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
    apart = sum((samples[:, a] - samples[:, b]).abs() for a, b in pairs)
    expected = (error - apart / (2 * max(1, count * (count - 1)))).mean((2, 3, 4)) / 2
    torch.testing.assert_close(metrics.crps(samples, true), expected)


def test_crps_is_best_for_samples_of_the_very_distribution_and_does_not_reward_many():
    """For N(0, 1) its expectation is 1 / sqrt(pi), whatever the number of samples; here on half the scale."""
    random = torch.Generator().manual_seed(0)
    true = torch.randn(1, 1, 1, 300, 300, generator=random)

    def score(count: int, spread: float) -> float:
        samples = spread * torch.randn(1, count, 1, 1, 300, 300, generator=random)
        return metrics.crps(samples, true).item()

    assert score(2, 1.0) == pytest.approx(0.5 / np.pi**0.5, rel=0.02)
    assert score(20, 1.0) == pytest.approx(0.5 / np.pi**0.5, rel=0.02)
    assert min(score(10, 0.3), score(10, 3.0), score(10, 0.0)) > 1.05 * score(10, 1.0)


@pytest.mark.parametrize(("spread", "expected"), [(1.0, 1.0), (0.5, 0.535), (2.0, 1.633)])
def test_spread_and_skill_agree_for_samples_of_the_very_distribution(spread, expected):
    """For variance s^2 and 5 samples, sqrt(1.2 s^2 / (1 + s^2 / 5))."""
    random = torch.Generator().manual_seed(0)
    true = torch.randn(1, 1, 1, 300, 300, generator=random)
    samples = spread * torch.randn(1, 5, 1, 1, 300, 300, generator=random)
    error = ((samples.mean(1) - true) / 2).square().mean((2, 3, 4))
    found = metrics.spread_skill(metrics.variance(samples), error, samples=5)
    assert found.item() == pytest.approx(expected, rel=0.02)


def test_the_best_sample_is_chosen_once_for_a_whole_clip():
    scores = torch.tensor([[[1.0, 9.0], [4.0, 4.0], [0.0, 7.0]]])
    assert metrics.select_best_sample(scores, higher_is_better=True).tolist() == [[1.0, 9.0]]
    assert metrics.select_best_sample(scores, higher_is_better=False).tolist() == [[0.0, 7.0]]
