"""Forecasts that need no model, which every model has to beat."""

from collections.abc import Callable

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float
from skimage.registration import optical_flow_ilk
from torch import Tensor

from vidgan.networks.warp import warp

FLOW_RADIUS = 3
"""Of the window, in pixels, over which movement is taken to be constant."""

Past = Float[Tensor, "batch past channels height width"]
Future = Float[Tensor, "batch steps channels height width"]


def repeat_last_frame(past: Past, steps: int) -> Future:
    """The last frame repeated."""
    return repeat(past[:, -1], "b c h w -> b t c h w", t=steps)


def predict_black(past: Past, steps: int) -> Future:
    """All black."""
    return torch.full_like(repeat_last_frame(past, steps), -1)


def extrapolate_linearly(past: Past, steps: int) -> Future:
    """Every pixel goes on changing as it did between the last two frames, as far as black or white."""
    lead = rearrange(torch.arange(1, steps + 1, device=past.device), "t -> t 1 1 1")
    return (past[:, -1:] + lead * (past[:, -1:] - past[:, -2:-1])).clamp(-1, 1)


def extrapolate_flow(past: Past, steps: int) -> Future:
    """The last frame carried on along the dense optical flow that brought it about (iterative Lucas-Kanade).

    The flow stays as it is at every place; it is composed over time and followed backwards, so that each frame is
    looked up once in the last one and does not blur.
    """
    last = past[:, -1]
    flow = composed = torch.stack([_backward_flow(*pair) for pair in past[:, -2:].mean(2).cpu()]).to(past)
    frames = []
    for _ in range(steps):
        frames.append(warp(last, composed))
        composed = flow + warp(composed, flow)
    return torch.stack(frames, 1)


def _backward_flow(
    before: Float[Tensor, "height width"], last: Float[Tensor, "height width"]
) -> Float[Tensor, "2 h w"]:
    """From each pixel of the last frame, (x, y) in pixels to where it was in the frame before."""
    down, right = optical_flow_ilk(last.double().numpy(), before.double().numpy(), radius=FLOW_RADIUS)
    return torch.from_numpy(np.stack([right, down]))


BASELINES: dict[str, Callable[[Past, int], Future]] = {
    "last frame repeated": repeat_last_frame,
    "linear extrapolation": extrapolate_linearly,
    "optical flow": extrapolate_flow,
    "all black": predict_black,
}
REQUIRED_PAST_FRAMES = {"linear extrapolation": 2, "optical flow": 2}
"""Past frames without which a baseline cannot be had, where more than one."""


def predict_baselines(past: Past, *, steps: int) -> dict[str, Future]:
    """Every baseline for which there are enough past frames; none without a past."""
    known = past.shape[1]
    return {name: make(past, steps) for name, make in BASELINES.items() if known >= REQUIRED_PAST_FRAMES.get(name, 1)}
