"""Tone curves, which map the levels of each channel, as found by histogram matching."""

import torch
from jaxtyping import Float
from torch import Tensor

LEVELS = 256
"""Number of levels of a byte."""


def apply_curves(
    clips: Float[Tensor, "batch time channels height width"], curves: Float[Tensor, "batch channels levels"]
) -> Float[Tensor, "batch time channels height width"]:
    """Clips in [-1, 1] with the curves applied, which map each of 256 levels to a number in [0, 255].

    Curves are interpolated linearly between the levels, and so differentiable; outside of [-1, 1] they are constant.
    """
    levels = (127.5 * (clips.float() + 1)).clamp(0, LEVELS - 1).transpose(1, 2)
    flat = levels.flatten(2)
    below = flat.detach().long().clamp(max=LEVELS - 2)
    low, high = (curves.gather(2, below + step) for step in (0, 1))
    mapped = torch.lerp(low, high, (flat - below).to(low)).view(levels.shape).transpose(1, 2)
    return (mapped / 127.5 - 1).to(clips)
