"""Forecasts that need no model: the baselines that every model has to beat."""

from collections.abc import Callable

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float
from skimage.registration import optical_flow_ilk
from torch import Tensor

from vidgan.networks.warp import warp

FLOW_RADIUS = 3
"""Radius in pixels of the window over which the optical flow is taken to be constant."""

Past = Float[Tensor, "batch past channels height width"]
Future = Float[Tensor, "batch steps channels height width"]


def repeat_last_frame(past: Past, steps: int) -> Future:
    """Repeat the last frame."""
    return repeat(past[:, -1], "b c h w -> b t c h w", t=steps)


def predict_black(past: Past, steps: int) -> Future:
    """Predict black frames."""
    return torch.full_like(repeat_last_frame(past, steps), -1)


def extrapolate_linearly(past: Past, steps: int) -> Future:
    """Continue the change of every pixel between the last two frames, clamped to [-1, 1]."""
    lead = rearrange(torch.arange(1, steps + 1, device=past.device), "t -> t 1 1 1")
    return (past[:, -1:] + lead * (past[:, -1:] - past[:, -2:-1])).clamp(-1, 1)


def extrapolate_flow(past: Past, steps: int) -> Future:
    """Warp the last frame along the dense optical flow between the last two frames (iterative Lucas-Kanade).

    The flow field stays constant. It is composed over time and followed backwards, so that each predicted frame is
    sampled once from the last frame and does not blur.
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
    """Estimate for each pixel of the last frame the offset (x, y), in pixels, to its place in the frame before."""
    down, right = optical_flow_ilk(last.double().numpy(), before.double().numpy(), radius=FLOW_RADIUS)
    return torch.from_numpy(np.stack([right, down]))


BASELINES: dict[str, Callable[[Past, int], Future]] = {
    "last frame repeated": repeat_last_frame,
    "linear extrapolation": extrapolate_linearly,
    "optical flow": extrapolate_flow,
    "all black": predict_black,
}
REQUIRED_PAST_FRAMES = {"linear extrapolation": 2, "optical flow": 2}
"""Past frames that a baseline needs, where more than one."""


def predict_baselines(past: Past, *, steps: int) -> dict[str, Future]:
    """Predict the future by every baseline for which there are enough past frames; by none without a past."""
    given = past.shape[1]
    return {
        name: predict(past, steps) for name, predict in BASELINES.items() if given >= REQUIRED_PAST_FRAMES.get(name, 1)
    }
