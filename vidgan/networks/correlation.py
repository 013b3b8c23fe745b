"""Correlation volumes of adjacent frames: a measured, not learned, cue of motion."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

WINDOW_SIZE = 5
"""Side, in pixels, of the square windows compared."""
HALF_FIT_ERROR = 0.1
"""Mean squared difference of two windows, for values in [-1, 1], at which their correlation is 1/2."""


def correlation_volume(
    frames: Float[Tensor, "batch time channels height width"], radius: int
) -> Float[Tensor, "batch time offsets height width"]:
    """Similarity, in (0, 1], of the window around each pixel to windows up to `radius` pixels away one frame earlier.

    For the (2 radius + 1)^2 offsets d, row by row, the volume holds h / (h + e_d(p)). Here h is HALF_FIT_ERROR, and
    e_d(p) is the mean of (I_t(p + w) - I_{t-1}(p + w + d))^2 over the window and the channels. It is like the cost
    volume of PWC-Net (Sun et al. 2018), but with squared differences. Edges are repeated; the first frame is compared
    with itself.
    """
    height, width = frames.shape[-2:]
    before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
    before = F.pad(rearrange(before, "b t c h w -> (b t) c h w"), [radius] * 4, mode="replicate")
    now = rearrange(frames, "b t c h w -> (b t) c h w")
    shifts = range(2 * radius + 1)
    squared = torch.stack(
        [(before[..., y : y + height, x : x + width] - now).square().mean(1) for y in shifts for x in shifts], 1
    )  # (b t) offsets h w
    error = F.avg_pool2d(squared, WINDOW_SIZE, stride=1, padding=WINDOW_SIZE // 2, count_include_pad=False)
    return rearrange(HALF_FIT_ERROR / (HALF_FIT_ERROR + error), "(b t) o h w -> b t o h w", b=len(frames))
