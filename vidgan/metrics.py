"""Forecast scores per lead time, each mean over clips; clips are floats in [-1, 1] and scored on a range of one."""

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float
from skimage.metrics import structural_similarity
from torch import Tensor

Clip = Float[Tensor, "batch time channels height width"]
PerLead = Float[Tensor, " time"]


def mse_per_frame(predicted: Clip, true: Clip) -> PerLead:
    """Squared error summed over the pixels and channels of a frame of range [0, 1] (the convention of OpenSTL)."""
    return reduce(((predicted - true) / 2) ** 2, "b t c h w -> b t", "sum").mean(0)


def psnr(predicted: Clip, true: Clip) -> PerLead:
    """Peak signal-to-noise ratio in dB of each frame, at most 100; an error of 0.1 of the range is 20 dB."""
    error = reduce(((predicted - true) / 2) ** 2, "b t c h w -> b t", "mean")
    return (-10 * error.clamp(min=1e-10).log10()).mean(0)


def ssim(predicted: Clip, true: Clip) -> PerLead:
    """Structural similarity (Wang et al. 2004), scikit-image's with 7x7 windows, of frames of range [0, 1]."""
    a, b = (rearrange((clip.cpu().double().numpy() + 1) / 2, "b t c h w -> b t h w c") for clip in (predicted, true))
    scores = [
        [structural_similarity(x, y, data_range=1.0, channel_axis=-1) for x, y in zip(*pair, strict=True)]
        for pair in zip(a, b, strict=True)
    ]
    return torch.from_numpy(np.mean(scores, 0))


def sharpness(clip: Clip) -> PerLead:
    """Mean magnitude of the image gradient of each frame, on a range of one a pixel."""
    clip = clip / 2
    down = (clip[..., 1:, :-1] - clip[..., :-1, :-1]) ** 2
    right = (clip[..., :-1, 1:] - clip[..., :-1, :-1]) ** 2
    return reduce((down + right).sqrt(), "b t c h w -> b t", "mean").mean(0)


def diversity(samples: Float[Tensor, "batch samples time channels height width"]) -> PerLead:
    """Root mean squared difference between two samples of one past, on a range of one; 0 if all are equal."""
    variance = (samples / 2).var(1, unbiased=True)
    return (2 * reduce(variance, "b t c h w -> t", "mean")).sqrt()
