"""Predictions without a model: the baselines that every model has to beat."""

from collections.abc import Callable

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float
from scipy import ndimage
from skimage.registration import optical_flow_ilk
from torch import Tensor

from vidgan.evaluation.moving_parts import MAX_LAG, MAX_UNEXPLAINED, divide, extrapolate_parts, find_difference
from vidgan.networks.splat import splat
from vidgan.networks.warp import warp

FLOW_RADIUS = 3
"""Radius in pixels of the window over which the optical flow is taken to be constant."""
WIDE_FLOW_RADIUS = 5
"""The same before a background, where a flow that tears objects apart costs more than one that bleeds over them."""
MIN_SPEED = 0.25
"""Pixels a frame from which a pixel moves before a background: less is within the error of optical flow."""

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


def extrapolate_flow_over_background(past: Past, steps: int) -> Future:
    """Move the pixels that move on along their optical flow, over the background that they uncover.

    A pixel moves if its flow is at least MIN_SPEED and it differs from the background. Its
    velocity is the median of its flow to several past frames, divided by their distance, and stays constant. Pixels
    are splatted forward, so that the moving ones hide the still ones; what is uncovered shows the background.
    """
    last = past[:, -1]
    velocity, background, moves = (
        torch.stack(each).to(past) for each in zip(*map(_find_moving_pixels, past.cpu()), strict=True)
    )
    ground = torch.where(moves > 0, background, last)
    frames = []
    for lead in range(1, steps + 1):
        landed = splat(torch.cat([moves * last, moves], 1), lead * velocity)
        colour, weight = landed[:, :-1], landed[:, -1:]
        frames.append(torch.where(weight > 0, torch.lerp(ground, colour / weight, weight.clamp(max=1)), ground))
    return torch.stack(frames, 1)


def _find_moving_pixels(
    past: Float[Tensor, "past channels height width"],
) -> tuple[Float[Tensor, "2 h w"], Float[Tensor, "channels h w"], Float[Tensor, "1 h w"]]:
    """Velocity (x, y) of each pixel of the last frame, the background, and 1 for each pixel that moves before it."""
    grey, lags = past.mean(1), range(1, min(MAX_LAG, len(past) - 1) + 1)
    offsets = [_backward_flow(grey[-1 - lag], grey[-1], radius=WIDE_FLOW_RADIUS) for lag in lags]
    velocity = np.median([offset.numpy() / -lag for lag, offset in zip(lags, offsets, strict=True)], 0)
    background, _ = divide(past.numpy())
    difference, threshold = find_difference(past[-1].numpy(), background)
    moves = (np.hypot(*velocity) >= MIN_SPEED) & (difference > threshold)
    moves &= _error_along(-velocity, grey) <= MAX_UNEXPLAINED * _error_along(0 * velocity, grey)
    return torch.from_numpy(velocity).to(past), torch.from_numpy(background), torch.from_numpy(moves[None]).to(past)


def _error_along(
    offset: Float[np.ndarray, "2 height width"], grey: Float[Tensor, "past height width"]
) -> Float[np.ndarray, "height width"]:
    """Squared difference of the last frame from the one before at an offset (x, y), averaged over the flow's window."""
    before = warp(grey[-2, None, None], torch.from_numpy(offset)[None].to(grey))[0, 0]
    return ndimage.uniform_filter((before - grey[-1]).square().numpy(), 2 * WIDE_FLOW_RADIUS + 1)


def extrapolate_moving_parts(past: Past, steps: int) -> Future:
    """Move the connected parts that differ from a still background on at constant velocity, each as a whole."""
    return torch.stack([torch.from_numpy(extrapolate_parts(clip.numpy(), steps)) for clip in past.cpu()]).to(past)


def _backward_flow(
    before: Float[Tensor, "height width"], last: Float[Tensor, "height width"], *, radius: int = FLOW_RADIUS
) -> Float[Tensor, "2 h w"]:
    """Estimate for each pixel of the last frame the offset (x, y), in pixels, to its place in the frame before."""
    down, right = optical_flow_ilk(last.double().numpy(), before.double().numpy(), radius=radius)
    return torch.from_numpy(np.stack([right, down]))


BASELINES: dict[str, Callable[[Past, int], Future]] = {
    "last frame repeated": repeat_last_frame,
    "linear extrapolation": extrapolate_linearly,
    "optical flow": extrapolate_flow,
    "optical flow over background": extrapolate_flow_over_background,
    "constant-velocity sprites": extrapolate_moving_parts,
    "all black": predict_black,
}
REQUIRED_PAST_FRAMES = {
    "linear extrapolation": 2,
    "optical flow": 2,
    "optical flow over background": 3,
    "constant-velocity sprites": 3,
}
"""Past frames that a baseline needs, where more than one; the median of two frames decides nothing."""


def predict_baselines(past: Past, *, steps: int) -> dict[str, Future]:
    """Predict the future by every baseline for which there are enough past frames; by none without a past."""
    given = past.shape[1]
    return {
        name: predict(past, steps) for name, predict in BASELINES.items() if given >= REQUIRED_PAST_FRAMES.get(name, 1)
    }
