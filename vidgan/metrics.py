"""Scores of forecasts for every clip and lead time; clips are floats in [-1, 1], scored as if they lay in [0, 1]."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor

ClipTensor = Float[Tensor, "batch time channels height width"]
SampleTensor = Float[Tensor, "batch samples time channels height width"]
PerFrame = Float[Tensor, "batch time"]

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales of MS-SSIM, the finest first."""
MS_SSIM_WINDOW = 11
"""Side of the Gaussian window of MS-SSIM; its standard deviation is 1.5."""
C1, C2 = 0.01**2, 0.03**2
"""Stabilising constants of structural similarity, for frames in [0, 1]."""


SSIM_WINDOW = 7
"""Side in pixels of the windows of SSIM."""


def mse_per_frame(predicted: ClipTensor, true: ClipTensor) -> PerFrame:
    """Squared error of each frame, summed over pixels and channels, for frames in [0, 1] (as in OpenSTL)."""
    return reduce(((predicted - true) / 2) ** 2, "b t c h w -> b t", "sum")


def psnr(predicted: ClipTensor, true: ClipTensor) -> PerFrame:
    """Peak signal-to-noise ratio of each frame in dB, at most 100; an error of 0.1 in [0, 1] is 20 dB."""
    error = reduce(((predicted - true) / 2) ** 2, "b t c h w -> b t", "mean")
    return -10 * error.clamp(min=1e-10).log10()


def ssim(predicted: ClipTensor, true: ClipTensor) -> PerFrame:
    """Structural similarity of each frame (Wang et al. 2004), by scikit-image in 7x7 windows, for frames in [0, 1].

    Raises ValueError for smaller frames.
    """
    if min(true.shape[-2:]) < SSIM_WINDOW:
        height, width = true.shape[-2:]
        raise ValueError(f"SSIM needs frames of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, not {height}x{width}")
    from skimage.metrics import structural_similarity  # half a second, which every prediction would pay

    a, b = (rearrange((clip.cpu().double().numpy() + 1) / 2, "b t c h w -> b t h w c") for clip in (predicted, true))
    score = partial(structural_similarity, win_size=SSIM_WINDOW, data_range=1.0, channel_axis=-1)
    scores = [[score(x, y) for x, y in zip(*pair, strict=True)] for pair in zip(a, b, strict=True)]
    return torch.from_numpy(np.array(scores))


def ms_ssim(predicted: ClipTensor, true: ClipTensor) -> PerFrame:
    """Multi-scale structural similarity of each frame (Wang, Simoncelli, Bovik 2003), mean over channels.

    Uses as many of the five scales as the frames are large enough for, with their weights normalised to a sum of one.
    Gaussian windows of 11x11 lie wholly inside the frame; negative factors count as 0. Raises ValueError for frames
    smaller than a window.
    """
    steps, channels = predicted.shape[1], predicted.shape[2]
    a, b = (rearrange((clip.double() + 1) / 2, "b t c h w -> (b t c) 1 h w") for clip in (predicted, true))
    weights = a.new_tensor(MS_SSIM_WEIGHTS[: count_ms_ssim_scales(*predicted.shape[-2:])])
    result = a.new_ones(len(a))
    for number, weight in enumerate(weights / weights.sum()):
        luminance, structure = _ssim_maps(a, b)
        last = number == len(weights) - 1
        factor = (luminance * structure if last else structure).mean((1, 2, 3))
        result = result * factor.clamp(min=0) ** weight
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return reduce(result, "(b t c) -> b t", "mean", t=steps, c=channels)


def count_ms_ssim_scales(height: int, width: int) -> int:
    """Number of scales of MS-SSIM that a frame is large enough for, at most five. Raises ValueError for none."""
    fitting = [scale for scale in range(len(MS_SSIM_WEIGHTS)) if min(height, width) >> scale >= MS_SSIM_WINDOW]
    if not fitting:
        raise ValueError(f"ms_ssim needs frames of at least {MS_SSIM_WINDOW}x{MS_SSIM_WINDOW}, not {height}x{width}")
    return len(fitting)


def _ssim_maps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Similarity maps (batch, 1, height, width) of luminance, and of contrast and structure."""
    offsets = torch.arange(MS_SSIM_WINDOW, dtype=a.dtype, device=a.device) - MS_SSIM_WINDOW // 2
    window = torch.softmax(-(offsets**2) / (2 * 1.5**2), 0)
    moments = torch.cat([a, b, a * a, b * b, a * b], 1)
    kernel = window.expand(5, 1, 1, MS_SSIM_WINDOW)
    moments = F.conv2d(F.conv2d(moments, kernel, groups=5), kernel.mT, groups=5)
    mean_a, mean_b, aa, bb, ab = moments.split(1, 1)
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    structure = (2 * (ab - mean_a * mean_b) + C2) / (aa - mean_a**2 + bb - mean_b**2 + C2)
    return luminance, structure


def sharpness(clip: ClipTensor) -> PerFrame:
    """Mean magnitude of the image gradient of each frame, per pixel, for frames in [0, 1]."""
    clip = clip / 2
    down = (clip[..., 1:, :-1] - clip[..., :-1, :-1]) ** 2
    right = (clip[..., :-1, 1:] - clip[..., :-1, :-1]) ** 2
    return reduce((down + right).sqrt(), "b t c h w -> b t", "mean")


def motion(clip: ClipTensor) -> Float[Tensor, "batch steps"]:
    """Mean absolute difference between consecutive frames, for frames in [0, 1]."""
    return reduce((clip.diff(dim=1) / 2).abs(), "b t c h w -> b t", "mean")


# ------------------------------------------------------------------------------------------------- several samples


def variance(samples: SampleTensor) -> PerFrame:
    """Unbiased variance over the samples of each past, mean over pixels, for frames in [0, 1]."""
    return reduce((samples / 2).var(1, unbiased=True), "b t c h w -> b t", "mean")


def diversity(samples: SampleTensor) -> PerFrame:
    """Root mean squared difference between two samples of one past, for frames in [0, 1]; 0 if all are equal."""
    return (2 * variance(samples)).sqrt()


def crps(samples: SampleTensor, true: ClipTensor) -> PerFrame:
    """Continuous ranked probability score, mean over the pixels of each frame, for frames in [0, 1]; lower is better.

    The fair version, whose expectation does not depend on the number of samples (Ferro 2014). With one sample it is
    the mean absolute error.
    """
    error = (samples - true[:, None]).abs().mean(1)
    count = samples.shape[1]
    if count > 1:
        # The sum of |a - b| over all pairs of samples, computed from their order without forming the pairs.
        ranks = 2 * torch.arange(count, device=samples.device) - (count - 1)
        apart = torch.einsum("n,bn...->b...", ranks.to(samples.dtype), samples.sort(1).values)
        error = error - apart / (count * (count - 1))
    return reduce(error / 2, "b t c h w -> b t", "mean")


def spread_skill(variance: Tensor, squared_error: Tensor, *, samples: int) -> Tensor:
    """Spread of the samples divided by the error of their mean: 1 if well calibrated, less if overconfident.

    `variance` and `squared_error` are means over clips, taken before the root; the spread is corrected for the number
    of samples (Fortin et al. 2014).
    """
    return ((1 + 1 / samples) * variance / squared_error).sqrt()


def select_best_sample(scores: Float[Tensor, "batch samples time"], *, higher_is_better: bool) -> PerFrame:
    """The scores of the best sample of each clip, the one with the best mean over its frames."""
    means = scores.mean(2)
    best = means.argmax(1) if higher_is_better else means.argmin(1)
    return scores[torch.arange(len(scores), device=scores.device), best]
