"""The motion of the camera, an affine map fitted to optical flow, and the background that it looks over.

Letters in einops patterns: b batch, t timestep, c channel, h and w rows and columns, n pixels.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from gancore.device import constant
from vidgan.networks.median import lower_median
from vidgan.networks.optical_flow import image_gradient, window_mean
from vidgan.networks.warp import identity_grid, warp

ROUNDS = 8
"""Rounds of iteratively reweighted least squares."""
OUTLIER_SCALE = 0.25
"""Distance in pixels from the fit at which a pixel counts for a quarter."""
TEXTURE_MIDPOINT = 1e-3
"""Mean squared gradient, for values in [-1, 1], at which a pixel counts for half: flow needs texture."""
MIN_MOTION = 0.1
"""Pixels a frame, at the corner that moves most, below which the camera is taken to stand still."""
MIN_EXPLAINED = 0.25
"""The camera moves only if that explains more than this share of the frame; a passer-by fills less."""
MIN_ADVANTAGE = 2.0
"""The camera moves only if that explains this many times as many pixels as standing still does."""
CLEARLY_LESS = 0.8
"""Of two squared differences, the smaller one is clearly so below this fraction of the other."""
NOISE_VARIANCE = 1e-3
"""Squared difference, for values in [-1, 1], that noise alone makes."""

MOTION_GAPS = (2, 3, 4)
"""Distances of frames that are compared to find what moves, even slowly."""
REACH = 1
"""Pixels around a moving one that are taken to belong to the same thing."""
REST_VARIANCE = 2.5e-3
"""Squared difference, for values in [-1, 1], at which a pixel is as likely moving as at rest."""
KNOWN = 0.5
"""Sum of weights from which on a pixel of the background is known without looking at what surrounds it."""
GUESS = 1e-3
"""Weight of the median of the past frames, which is the background unless something stays there half the time."""
EPSILON = 1e-6
"""Keeps divisions by weights finite."""

Frame = Float[Tensor, "batch channels height width"]
Affine = Float[Tensor, "batch 2 3"]
"""(x, y) -> A (x, y, 1): a map of positions in pixels."""


@torch.no_grad()
def fit_camera(flow: Float[Tensor, "batch 2 height width"], last: Frame, before: Frame) -> Affine:
    """The affine map of positions p -> p + flow(p), from the last frame to the one before, that most pixels follow.

    Least squares under Cauchy weights, from the median translation on: what moves by itself may cover up to half of
    the texture. The identity, exactly, if no corner moves by MIN_MOTION, or if the map explains less of the frame than
    standing still does.
    """
    height, width = flow.shape[-2:]
    across, down = image_gradient(last.float())
    energy = window_mean((across.square() + down.square()).mean(1, keepdim=True), 2)
    texture = rearrange(energy / (energy + TEXTURE_MIDPOINT), "b 1 h w -> b (h w) 1")
    positions = _homogeneous(flow)  # 1 n 3, centred and scaled
    moves = rearrange(flow, "b two h w -> b (h w) two")
    fit = moves.new_zeros(len(flow), 3, 2)
    fit[:, 2] = _weighted_median(moves, texture)
    for _ in range(ROUNDS):
        apart = (moves - positions @ fit).square().sum(2, keepdim=True)
        weighted = positions * texture / (1 + apart / OUTLIER_SCALE**2) ** 2
        gram = weighted.mT @ positions + 1e-3 * torch.eye(3, device=flow.device, dtype=moves.dtype)
        fit = solve_positive(gram, weighted.mT @ moves)
    ends = [(x, y, 1) for x in (-0.5, 0.5) for y in (-0.5, 0.5)]
    corners = torch.stack([constant(*end, like=positions) for end in ends])
    moving = (corners @ fit).norm(dim=2).amax(1) >= MIN_MOTION
    drift = rearrange(positions @ fit, "b (h w) two -> b two h w", h=height)
    explained = explained_share(last, before, drift)
    moving &= (explained > MIN_EXPLAINED) & (
        explained > MIN_ADVANTAGE * explained_share(last, before, torch.zeros_like(drift), drift)
    )
    fit = fit * moving[:, None, None]
    # back to pixels: x' = x + fit . ((x - centre) / size, 1)
    scale = constant(1 / width, 1 / height, like=fit)[:, None]
    linear = fit[:, :2] * scale
    centre = constant((width - 1) / 2, (height - 1) / 2, like=fit)
    offset = fit[:, 2] - torch.einsum("i,bij->bj", centre, linear)
    identity = torch.eye(2, device=flow.device, dtype=fit.dtype)
    return torch.cat([linear.mT + identity, offset[:, :, None]], 2)


def explained_share(
    last: Frame, before: Frame, flow: Float[Tensor, "batch 2 height width"], rival: Tensor | None = None
) -> Float[Tensor, " batch"]:
    """The share of pixels that a flow explains clearly better than a rival does, which by default is standing still."""
    ours, theirs = (
        window_mean((last - warp(before, each)).float().square().mean(1, keepdim=True), 2) + NOISE_VARIANCE
        for each in (flow, torch.zeros_like(flow) if rival is None else rival)
    )
    return (ours < CLEARLY_LESS * theirs).float().mean((1, 2, 3))


def camera_flow(camera: Affine, height: int, width: int) -> Float[Tensor, "batch 2 {height} {width}"]:
    """The displacement (x, y), in pixels, of every pixel of a frame under the map."""
    grid = identity_grid(camera.new_zeros(1, 1, height, width)).expand(len(camera), -1, -1, -1)
    moved = torch.einsum("bij,bjhw->bihw", camera[:, :, :2], grid)
    return moved + camera[:, :, 2, None, None] - grid


def compose(first: Affine, then: Affine) -> Affine:
    """The map that applies `first`, then `then`."""
    linear = then[:, :, :2] @ first[:, :, :2]
    return torch.cat([linear, then[:, :, :2] @ first[:, :, 2:] + then[:, :, 2:]], 2)


def invert(camera: Affine) -> Affine:
    """The map that undoes another."""
    (a, b), (c, d) = (row.unbind(1) for row in camera[:, :, :2].unbind(1))
    adjugate = torch.stack([d, -b, -c, a], 1).unflatten(1, (2, 2))
    linear = adjugate / (a * d - b * c)[:, None, None]
    return torch.cat([linear, -linear @ camera[:, :, 2:]], 2)


def solve_positive(
    matrix: Float[Tensor, "batch n n"], right: Float[Tensor, "batch n columns"]
) -> Float[Tensor, "batch n columns"]:
    """The solution x of matrix @ x = right for small positive definite matrices, by elimination without pivots.

    A library's solver looks for a singular matrix after each call, for which a GPU has to wait, and has no counterpart
    in ONNX.
    """
    size = matrix.shape[-1]
    rows, unit = torch.cat([matrix, right], 2), torch.eye(size, device=matrix.device, dtype=matrix.dtype)
    for step in range(size):
        pivot = rows[:, step : step + 1] / rows[:, step : step + 1, step : step + 1]
        rows = rows - (rows[:, :, step : step + 1] - unit[:, step : step + 1]) * pivot
    return rows[:, :, size:]


@torch.no_grad()
def estimate_background(
    past: Float[Tensor, "batch time channels height width"], backward: Affine
) -> Float[Tensor, "batch channels height width"]:
    """What lies behind all that moves, seen from where the camera is in the last past frame.

    `backward` takes positions in a frame to those in the frame before. The frames are aligned and averaged where they
    show something at rest. Where none of them does, the background is that around; far from all that is known, it is
    the median of the frames.
    """
    last = past[:, -1]
    if past.shape[1] == 1:
        return last
    at_rest = find_rest(past, backward)
    height, width = last.shape[-2:]
    aligned, weights, lookup = [last], [at_rest[:, -1]], None
    for frame, weight in zip(past[:, :-1].flip(1).unbind(1), at_rest[:, :-1].flip(1).unbind(1), strict=True):
        lookup = backward if lookup is None else compose(lookup, backward)
        flow = camera_flow(lookup, height, width)
        inside = is_inside(flow)
        aligned.append(torch.where(inside, warp(frame, flow), last))
        weights.append(warp(weight, flow) * inside)
    frames, weight = torch.stack(aligned, 1), torch.stack(weights, 1)
    total = torch.cat([(frames * weight).sum(1), weight.sum(1)], 1)
    median = lower_median(frames, 1)
    return fill(total + GUESS * torch.cat([median, torch.ones_like(median[:, :1])], 1), known=KNOWN)


def is_inside(flow: Float[Tensor, "batch 2 height width"]) -> Bool[Tensor, "batch 1 height width"]:
    """Where a flow leads to a position within the frame."""
    height, width = flow.shape[-2:]
    position = identity_grid(flow) + flow
    size = constant(width - 1, height - 1, like=flow)[:, None, None]
    return ((position >= -0.5) & (position <= size + 0.5)).all(1, keepdim=True)


def find_rest(
    past: Float[Tensor, "batch time channels height width"], backward: Affine
) -> Float[Tensor, "batch time 1 height width"]:
    """Where frames show what does not move: near 1 there, near 0 around what differs from most other frames.

    Each frame is compared, along the camera's motion, with those MOTION_GAPS before and after; what counts is the
    median of the differences, so that what something has uncovered or will cover is at rest.
    """
    times, (height, width) = past.shape[1], past.shape[-2:]
    changes: list[list[Tensor]] = [[] for _ in range(times)]
    lookup = backward
    for gap in range(1, times):
        if gap > 1:
            lookup = compose(lookup, backward)
        if gap not in MOTION_GAPS and times > max(MOTION_GAPS):  # a shorter past is compared throughout
            continue
        for one in range(times - gap):
            for time, other, map_ in ((one + gap, one, lookup), (one, one + gap, invert(lookup))):
                flow = camera_flow(map_, height, width)
                change = (past[:, time] - warp(past[:, other], flow)) * is_inside(flow)
                changes[time].append(window_mean(change.square().mean(1, keepdim=True), 1))
    moving = torch.stack([lower_median(torch.stack(each), 0) for each in changes], 1)
    around = F.max_pool2d(moving.flatten(0, 1), 2 * REACH + 1, stride=1, padding=REACH).unflatten(0, moving.shape[:2])
    return 1 / (1 + (around / REST_VARIANCE).square())


def fill(
    total: Float[Tensor, "batch kinds height width"], *, known: float
) -> Float[Tensor, "batch channels height width"]:
    """Sums of values divided by the sum of their weights, the last channel; from half the resolution where it is low.

    Weights from `known` on are enough; at every coarser resolution a quarter of that.
    """
    weight = total[:, -1:]
    mean = total[:, :-1] / weight.clamp(min=EPSILON)
    if min(total.shape[-2:]) < 2:
        return mean
    # pixels that are known well count for no more than others in what surrounds them
    bounded = torch.cat([mean, torch.ones_like(weight)], 1) * weight.clamp(max=1)
    coarse = fill(F.avg_pool2d(bounded, 2, ceil_mode=True, count_include_pad=False), known=known / 4)
    around = F.interpolate(coarse, total.shape[-2:], mode="bilinear", align_corners=False)
    return torch.lerp(around, mean, (weight / known).clamp(max=1))


def _homogeneous(flow: Float[Tensor, "batch 2 height width"]) -> Float[Tensor, "1 pixels 3"]:
    """(x, y, 1) of every pixel, x and y in [-1/2, 1/2]."""
    height, width = flow.shape[-2:]
    grid = rearrange(identity_grid(flow), "1 two h w -> 1 (h w) two")
    size = constant(width, height, like=grid)
    centred = (grid - (size - 1) / 2) / size
    return torch.cat([centred, torch.ones_like(centred[..., :1])], 2)


def _weighted_median(
    values: Float[Tensor, "batch pixels two"], weights: Float[Tensor, "batch pixels 1"]
) -> Float[Tensor, "batch two"]:
    order = values.argsort(1)
    share = weights.expand_as(values).gather(1, order).cumsum(1)
    place = (share < share[:, -1:] / 2).sum(1, keepdim=True)
    return values.gather(1, order.gather(1, place))[:, 0]
