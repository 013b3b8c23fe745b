"""Camera motion, an affine map fitted to optical flow, and the background seen by the moving camera.

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
"""Number of rounds of iteratively reweighted least squares."""
OUTLIER_SCALE = 0.25
"""Residual, in pixels, at which a pixel has a quarter of its weight in the fit."""
TEXTURE_MIDPOINT = 1e-3
"""Mean squared gradient, for values in [-1, 1], at which a pixel has half its weight: flow needs texture."""
MIN_MOTION = 0.1
"""Motion of the fastest corner, in pixels per frame, below which the camera is taken to stand still."""
MIN_EXPLAINED = 0.25
"""The camera is taken to move only if its motion explains more than this fraction of pixels (a passer-by covers less).
"""
MIN_ADVANTAGE = 2.0
"""The camera is taken to move only if that explains this many times as many pixels as standing still."""
CLEARLY_LESS = 0.8
"""A squared difference is clearly smaller than another if it is below this fraction of it."""
NOISE_VARIANCE = 1e-3
"""Squared difference, for values in [-1, 1], due to noise."""

MOTION_GAPS = (2, 3, 4)
"""Distances in time, in frames, over which frames are compared; long enough to notice slow motion."""
REACH = 1
"""Radius, in pixels, around a moving pixel within which pixels count as moving too."""
REST_VARIANCE = 2.5e-3
"""Squared difference, for values in [-1, 1], at which a pixel is as likely moving as at rest."""
KNOWN = 0.5
"""Sum of weights from which on a pixel of the background is not filled in from its surroundings."""
GUESS = 1e-3
"""Weight of the median of the past frames, a fallback that is right unless something covers a pixel half the time."""
EPSILON = 1e-6
"""Keeps divisions by weights finite."""

Frame = Float[Tensor, "batch channels height width"]
Affine = Float[Tensor, "batch 2 3"]
"""(x, y) -> A (x, y, 1): a map of positions in pixels."""


@torch.no_grad()
def fit_camera(flow: Float[Tensor, "batch 2 height width"], last: Frame, before: Frame) -> Affine:
    """Fits the affine map p -> p + flow(p) that most pixels follow, from the last frame to the previous one.

    Iteratively reweighted least squares with Geman-McClure weights, starting from the median translation, so that
    moving objects may cover up to half of the texture. The result is exactly the identity if no corner moves by
    MIN_MOTION, or if the map does not explain the frames clearly better than standing still.

    Args:
        flow: (x, y) optical flow from the last frame to the previous one, in pixels.
        last: The last frame, in [-1, 1].
        before: The previous frame.
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
    """The fraction of pixels that a flow explains clearly better than a rival flow, by default standing still."""
    ours, theirs = (
        window_mean((last - warp(before, each)).float().square().mean(1, keepdim=True), 2) + NOISE_VARIANCE
        for each in (flow, torch.zeros_like(flow) if rival is None else rival)
    )
    return (ours < CLEARLY_LESS * theirs).float().mean((1, 2, 3))


def camera_flow(camera: Affine, height: int, width: int) -> Float[Tensor, "batch 2 {height} {width}"]:
    """The (x, y) displacement, in pixels, of every pixel of a frame under an affine map."""
    grid = identity_grid(camera.new_zeros(1, 1, height, width)).expand(len(camera), -1, -1, -1)
    moved = torch.einsum("bij,bjhw->bihw", camera[:, :, :2], grid)
    return moved + camera[:, :, 2, None, None] - grid


def compose(first: Affine, then: Affine) -> Affine:
    """The map that applies `first`, then `then`."""
    linear = then[:, :, :2] @ first[:, :, :2]
    return torch.cat([linear, then[:, :, :2] @ first[:, :, 2:] + then[:, :, 2:]], 2)


def invert(camera: Affine) -> Affine:
    """The inverse of an affine map."""
    (a, b), (c, d) = (row.unbind(1) for row in camera[:, :, :2].unbind(1))
    adjugate = torch.stack([d, -b, -c, a], 1).unflatten(1, (2, 2))
    linear = adjugate / (a * d - b * c)[:, None, None]
    return torch.cat([linear, -linear @ camera[:, :, 2:]], 2)


def solve_positive(
    matrix: Float[Tensor, "batch n n"], right: Float[Tensor, "batch n columns"]
) -> Float[Tensor, "batch n columns"]:
    """The solution x of matrix @ x = right for small positive definite matrices, by elimination without pivoting.

    `torch.linalg.solve` checks for singular matrices, which waits for the GPU, and ONNX has no counterpart of it.
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
    """The background behind all moving objects, as seen by the camera in the last past frame.

    `backward` maps positions in a frame to positions in the previous frame. The frames are aligned, and averaged where
    they show something at rest. Pixels without any such frame are filled in from their surroundings; far from all
    known pixels, the background is the median of the frames.
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
    """Whether a flow leads from each pixel to a position within the frame."""
    height, width = flow.shape[-2:]
    position = identity_grid(flow) + flow
    size = constant(width - 1, height - 1, like=flow)[:, None, None]
    return ((position >= -0.5) & (position <= size + 0.5)).all(1, keepdim=True)


def find_rest(
    past: Float[Tensor, "batch time channels height width"], backward: Affine
) -> Float[Tensor, "batch time 1 height width"]:
    """Whether each pixel shows something at rest: near 1 there, near 0 around what differs from most other frames.

    Each frame is compared, along the camera's motion, with those MOTION_GAPS earlier and later. The median of the
    differences counts, so that what a moving object has uncovered, or will cover, is at rest.
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
    """Weighted means, filled in from lower resolutions where weights are low (a pull-push pyramid).

    `total` holds sums of weighted values, and of the weights as its last channel. Sums of weights of at least `known`
    suffice, and of a quarter of that at every coarser resolution.
    """
    weight = total[:, -1:]
    mean = total[:, :-1] / weight.clamp(min=EPSILON)
    if min(total.shape[-2:]) < 2:
        return mean
    # bound the weights: pixels that are known well should not dominate what is filled in around them
    bounded = torch.cat([mean, torch.ones_like(weight)], 1) * weight.clamp(max=1)
    coarse = fill(F.avg_pool2d(bounded, 2, ceil_mode=True, count_include_pad=False), known=known / 4)
    around = F.interpolate(coarse, total.shape[-2:], mode="bilinear", align_corners=False)
    return torch.lerp(around, mean, (weight / known).clamp(max=1))


def _homogeneous(flow: Float[Tensor, "batch 2 height width"]) -> Float[Tensor, "1 pixels 3"]:
    """(x, y, 1) of every pixel, with x and y in [-1/2, 1/2]."""
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
