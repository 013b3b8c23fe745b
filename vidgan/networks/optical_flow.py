"""Optical flow between two frames, measured rather than learned: iterative Lucas-Kanade."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vidgan.networks.warp import warp

WINDOW_RADIUS = 3
"""Radius, in pixels, of the square window over which the flow is taken to be constant."""
ITERATIONS = 4
"""Number of updates of the flow at each resolution."""
MIN_SIDE = 16
"""Frames are halved as long as their shorter side is at least this many pixels."""
MAX_LEVELS = 4
"""Largest number of resolutions; motion of up to about 2^MAX_LEVELS pixels is found."""
DAMPING = 1e-2
"""Added to the squared gradients, for values in [-1, 1]; pulls the flow of textureless pixels to the window's mean."""

Frame = Float[Tensor, "batch channels height width"]
Flow = Float[Tensor, "batch 2 height width"]


@torch.no_grad()
def estimate_flow(first: Frame, second: Frame) -> Flow:
    """The flow f with first(p) = second(p + f(p)), (x, y) in pixels (Lucas and Kanade 1981).

    Coarse to fine. At each resolution the second frame is repeatedly warped by the current flow, and the flow updated
    by least squares over a window (Le Besnerais and Champagnat 2005).
    """
    pyramid = [(first.float(), second.float())]
    while len(pyramid) < MAX_LEVELS and min(pyramid[-1][0].shape[-2:]) >= MIN_SIDE:
        finer, other = pyramid[-1]
        pyramid.append((F.avg_pool2d(finer, 2, ceil_mode=True), F.avg_pool2d(other, 2, ceil_mode=True)))
    flow = first.new_zeros(len(first), 2, *pyramid[-1][0].shape[-2:], dtype=torch.float32)
    for a, b in reversed(pyramid):
        if flow.shape[-2:] != a.shape[-2:]:
            flow = 2 * F.interpolate(flow, size=a.shape[-2:], mode="bilinear", align_corners=False)
        ax, ay = image_gradient(a)
        for _ in range(ITERATIONS):
            warped = warp(b, flow)
            bx, by = image_gradient(warped)
            x, y = (ax + bx) / 2, (ay + by) / 2
            target = x * flow[:, :1] + y * flow[:, 1:] - (warped - a)
            products = torch.stack([x * x, x * y, y * y, x * target, y * target], 1).sum(2)
            means = window_mean(torch.cat([products, flow], 1), WINDOW_RADIUS)
            xx, xy, yy, xt, yt, mean_x, mean_y = means.unbind(1)
            xx, yy, xt, yt = xx + DAMPING, yy + DAMPING, xt + DAMPING * mean_x, yt + DAMPING * mean_y
            flow = torch.stack([yy * xt - xy * yt, xx * yt - xy * xt], 1) / (xx * yy - xy * xy)[:, None]
    return flow


def image_gradient(frame: Frame) -> tuple[Frame, Frame]:
    """Returns the x and y derivatives by central differences, per pixel, with repeated edges."""
    padded = F.pad(frame, [1, 1, 1, 1], mode="replicate")
    return (
        (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2,
        (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2,
    )


def window_mean(x: Frame, radius: int) -> Frame:
    """The mean over the square window around each pixel, with repeated edges."""
    return F.avg_pool2d(F.pad(x, [radius] * 4, mode="replicate"), 2 * radius + 1, stride=1)
