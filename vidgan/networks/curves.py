"""Curves that replace the levels of each channel, as histogram matching finds them."""

import torch
from jaxtyping import Float
from torch import Tensor

LEVELS = 256
"""Levels of a byte."""


def apply_curves(
    clips: Float[Tensor, "batch time channels height width"], curves: Float[Tensor, "batch channels levels"]
) -> Float[Tensor, "batch time channels height width"]:
    """Clips in [-1, 1] whose levels were replaced by those of the curves, which are numbers in [0, 255].

    Between the levels of a byte the curves are linear, and so differentiable; beyond their ends they are constant.
    """
    levels = (127.5 * (clips.float() + 1)).clamp(0, LEVELS - 1).transpose(1, 2)
    flat = levels.flatten(2)
    below = flat.detach().long().clamp(max=LEVELS - 2)
    low, high = (curves.gather(2, below + step) for step in (0, 1))
    mapped = torch.lerp(low, high, (flat - below).to(low)).view(levels.shape).transpose(1, 2)
    return (mapped / 127.5 - 1).to(clips)
