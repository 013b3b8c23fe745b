"""Flicker of a clip, measured as the warping error along the motion of the true clip."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vidgan.networks.optical_flow import Flow, estimate_flow, image_gradient
from vidgan.networks.warp import warp

Frames = Float[Tensor, "batch time channels height width"]


@torch.no_grad()
def warping_error(clips: Frames, true: Frames) -> Float[Tensor, "batch steps"]:
    """The mean squared change of what moves along, for frames in [0, 1] (Lai et al. 2018, equation 11).

    Each frame is compared with the next one, warped back by the flow of the true clip, where nothing is covered. A
    still clip scores 0: it means something only beside the error of the true clip.
    """
    first, second = (part.flatten(0, 1) for part in (true[:, :-1], true[:, 1:]))
    flow = estimate_flow(first, second)
    seen = find_visible(flow, estimate_flow(second, first))
    now, after = (part.flatten(0, 1) for part in (clips[:, :-1], clips[:, 1:]))
    error = ((warp(after, flow) - now) / 2).square().mean(1, keepdim=True)
    means = (error * seen).sum((1, 2, 3)) / seen.sum((1, 2, 3)).clamp(min=1)
    return means.unflatten(0, (len(clips), -1))


def find_visible(forward: Flow, backward: Flow) -> Bool[Tensor, "batch 1 height width"]:
    """Where a pixel of the first frame is seen in the second one (Ruder et al. 2016, equations 5 and 6).

    The flow there and back must cancel, |f + b|^2 <= 0.01 (|f|^2 + |b|^2) + 0.5, and not jump, as it does at the rims
    of what moves: |grad f|^2 <= 0.01 |f|^2 + 0.002.
    """
    back = warp(backward, forward)
    apart = _square(forward + back) <= 0.01 * (_square(forward) + _square(back)) + 0.5
    smooth = sum(_square(part) for part in image_gradient(forward)) <= 0.01 * _square(forward) + 0.002
    return apart & smooth


def _square(flow: Flow) -> Float[Tensor, "batch 1 height width"]:
    return flow.square().sum(1, keepdim=True)
