"""How well each place of a frame fits each nearby place of the frame before: movement, measured rather than learned."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

WINDOW_SIZE = 5
"""Side of the squares that are compared."""
HALF_FIT_ERROR = 0.1
"""Mean squared difference at which two squares fit by half, for values in [-1, 1]."""


def correlation_volume(
    frames: Float[Tensor, "batch time channels height width"], radius: int
) -> Float[Tensor, "batch time offsets height width"]:
    """In (0, 1], the fit of the square around each pixel with those up to `reach` pixels away, one frame earlier.

    The (2 reach + 1)^2 offsets go row by row. The first frame is compared with itself.
    """
    height, width = frames.shape[-2:]
    before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
    around = F.pad(rearrange(before, "b t c h w -> (b t) c h w"), [radius] * 4, mode="replicate")
    now = rearrange(frames, "b t c h w -> (b t) c h w")
    span = range(2 * radius + 1)
    squares = [(around[..., y : y + height, x : x + width] - now).square().mean(1) for y in span for x in span]
    apart = F.avg_pool2d(
        torch.stack(squares, 1), WINDOW_SIZE, stride=1, padding=WINDOW_SIZE // 2, count_include_pad=False
    )
    return rearrange(HALF_FIT_ERROR / (HALF_FIT_ERROR + apart), "(b t) o h w -> b t o h w", b=len(frames))
