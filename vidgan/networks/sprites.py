"""Finds sprites in a clip, without learning: which pixels of its last frame move together, and their past offsets.

The method is flexible sprites (Jojic and Frey 2001) with a few rounds of refinement; docs/sprites.md derives it. I_t is
frame t of T + 1, so I_T is the last one. Sprites only translate.

Letters in einops patterns: b clip of the batch, k sprite or background, t frame, c channel, h and w rows and columns,
two (x, y).
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor

from vidgan.networks.median import lower_median
from vidgan.networks.warp import identity_grid, warp

REFINEMENT_ROUNDS = 4
"""Number of rounds of tracking the sprites and then assigning pixels to them."""
INITIAL_ANGLES = (0.0, math.pi / 2)
"""Angles of the initial guesses, relative to the direction of widest change; the best result is kept."""
BAND_SHARPNESS = 4.0
"""Factor on squared distances from the centre line of a band, in standard deviations, in an initial guess."""
MIN_CHANGE = 1e-6
"""Squared change added to every pixel, so that clips without change have an initial guess too."""
MATCHING_TEMPERATURE = 2.0
"""Matching cost, a squared difference summed over the pixels of a sprite, that makes an offset e times less likely."""
INERTIA_STD = 2.0
"""Standard deviation, in pixels, of a sprite's offset around that predicted from its velocity."""
REFINEMENT_STD = 2.0
"""Standard deviation, in pixels, of an offset found at low resolution."""
ASSIGNMENT_TEMPERATURE = 0.02
"""Residual, a mean squared difference, that makes a pixel e times less likely to belong to a sprite."""
SALIENCE_MIDPOINT = 0.1
"""Mean squared difference from the median frame at which the salience of a pixel is 1/2."""

Frames = Float[Tensor, "batch time channels height width"]
LayerMasks = Float[Tensor, "batch layers height width"]
Offsets = Float[Tensor, "batch layers time 2"]
CostVolume = Float[Tensor, "batch layers before rows columns"]


class SpriteLayers(NamedTuple):
    """The sprites of a clip and its background."""

    assignment: Float[Tensor, "batch layers_and_background height width"]
    """Probability that a pixel of the last frame belongs to the background, which comes first, or to each sprite."""
    offsets: Offsets
    """(x, y), in pixels, of each sprite in each frame, relative to its position in the last frame."""
    sprite_masks: LayerMasks
    """Weight in [0, 1) of each pixel of the last frame in locating each sprite: assignment times salience."""


@torch.no_grad()
def find_sprites(frames: Frames, count: int, *, scale: int = 2) -> SpriteLayers:
    """Segments the last frame into a still background and `count` sprites, and tracks these through all frames.

    Frames are in [-1, 1]. The segmentation is found at 1/`scale` of the resolution; height and width must be multiples
    of `scale`.
    """
    coarse = downscale_frames(frames.float(), scale)
    candidates, residuals = zip(
        *(_refine_assignment(coarse, initial_assignment(coarse, count, angle)) for angle in INITIAL_ANGLES),
        strict=True,
    )
    best = torch.stack(residuals).argmin(0)
    assignment = torch.stack(candidates)[best, torch.arange(len(best), device=best.device)]
    assignment = F.interpolate(assignment, scale_factor=scale, mode="bilinear", align_corners=False)
    masks = compute_salience(frames) * assignment[:, 1:]
    return SpriteLayers(assignment, measure_offsets(frames, masks, scale=scale), masks)


@torch.no_grad()
def measure_offsets(frames: Frames, masks: LayerMasks, *, scale: int = 2) -> Offsets:
    """Measures (x, y), in pixels, from each sprite's position in the last frame to its position in each frame.

    Sprites are tracked at 1/`scale` of the resolution; the offsets are then refined at full resolution.
    """
    rough = track_offsets(cost_volume(downscale_frames(frames.float(), scale), F.avg_pool2d(masks, scale)))
    return refine_offsets(cost_volume(frames.float(), masks), scale * rough)


def measure_trajectories(
    last: Float[Tensor, "batch 1 channels height width"],
    future: Float[Tensor, "batch steps channels height width"],
    masks: LayerMasks,
    *,
    scale: int = 2,
) -> Float[Tensor, "batch layers steps 2"]:
    """Measures (x, y), in pixels, from each sprite's position in the last past frame to that in each future frame."""
    return measure_offsets(torch.cat([last, future], 1).flip(1), masks, scale=scale).flip(2)[:, :, 1:]


def downscale_frames(frames: Frames, scale: int) -> Float[Tensor, "batch time channels rows columns"]:
    """Frames at 1/`scale` of their size, by average pooling."""
    return F.avg_pool2d(frames.flatten(0, 1), scale).unflatten(0, frames.shape[:2])


def _refine_assignment(frames: Frames, assignment: LayerMasks) -> tuple[LayerMasks, Float[Tensor, " batch"]]:
    """Returns the refined assignment, and its residual summed over the pixels of each clip."""
    for _ in range(REFINEMENT_ROUNDS):
        offsets = track_offsets(cost_volume(frames, compute_salience(frames) * assignment[:, 1:]))
        offsets = torch.cat([torch.zeros_like(offsets[:, :1]), offsets], 1)  # the background stays where it is
        residual = warp_residual(frames, offsets)
        assignment = (-residual / ASSIGNMENT_TEMPERATURE).softmax(1)
    return assignment, (assignment * residual).sum((1, 2, 3))


def initial_assignment(
    frames: Frames, count: int, angle: float
) -> Float[Tensor, "batch layers_and_background height width"]:
    """An initial guess: the frame is divided into `count` parallel bands; the background's share is 0.

    The bands are stacked along the direction of the widest spread of change between the last two frames, rotated by
    `angle` (radians).
    """
    change = (frames[:, -1] - frames[:, max(frames.shape[1] - 2, 0)]).square().mean(1) + MIN_CHANGE
    weight = (change / change.sum((1, 2), keepdim=True))[:, None]  # b 1 h w
    grid = identity_grid(frames[:, -1])  # 1 2 h w
    # Not einsum, which mixed precision would compute in bf16.
    centred = grid - (weight * grid).sum((2, 3), keepdim=True)  # b 2 h w
    covariance = (weight[:, None] * centred[:, :, None] * centred[:, None]).sum((3, 4))  # b 2 2
    x, y = widest_direction(covariance)[..., None, None].unbind(1)
    cos, sin = math.cos(angle), math.sin(angle)
    along = (cos * x - sin * y) * centred[:, 0] + (sin * x + cos * y) * centred[:, 1]  # b h w
    along = along / (weight[:, 0] * along**2).sum((1, 2), keepdim=True).sqrt()
    bands = torch.linspace(-1, 1, count, device=frames.device) if count > 1 else along.new_zeros(1)
    sprites = (-BAND_SHARPNESS * (along[:, None] - bands[:, None, None]) ** 2).softmax(1)
    return F.pad(sprites, (0, 0, 0, 0, 1, 0))


def widest_direction(covariance: Float[Tensor, "batch 2 2"]) -> Float[Tensor, "batch 2"]:
    """The unit eigenvector of a covariance's largest eigenvalue: the direction of the widest spread.

    In closed form, because `torch.linalg.eigh` waits for the GPU. Its sign is LAPACK's, unless the covariance is
    diagonal.
    """
    a, b, c = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    slope = 2 * b / ((a - c).abs() + torch.hypot(a - c, 2 * b)).clamp(min=torch.finfo(b.dtype).tiny)
    length = (1 + slope.square()).sqrt()
    steep = torch.stack([slope, torch.ones_like(slope)], 1)
    return torch.where((a >= c)[:, None], -steep.flip(1), steep) / length[:, None]


def compute_salience(frames: Frames) -> Float[Tensor, "batch 1 height width"]:
    """Salience e / (e + SALIENCE_MIDPOINT), in [0, 1), of each pixel of the last frame.

    e is the squared difference from the median frame, averaged over the channels.
    """
    error = (frames[:, -1] - lower_median(frames, 1)).square().mean(1, keepdim=True)
    return error / (error + SALIENCE_MIDPOINT)


def cost_volume(frames: Frames, masks: LayerMasks) -> CostVolume:
    """Matching cost of every sprite at every offset d in every frame t before the last.

        C_kt(d) = sum_p m_k(p) |I_T(p) - I_t(p + d)|^2
                = sum_p m_k(p) |I_T(p)|^2 + sum_p m_k(p) |I_t(p + d)|^2 - 2 sum_p m_k(p) I_T(p) . I_t(p + d)

    The last two sums are cross-correlations, computed by FFT. Vertical offsets range from -height to height - 1, and
    horizontal ones from -width to width - 1. Frames are padded with the darkest value, -1.
    """
    height, width = frames.shape[-2:]
    size = (2 * height, 2 * width)
    if frames.shape[1] == 1:
        return frames.new_zeros(*masks.shape[:2], 0, *size)
    shifted = frames + 1  # the zeros with which the FFT pads are then the darkest value
    last, before = shifted[:, -1:], shifted[:, :-1]  # b 1 c h w; b t c h w
    masked_last = masks[:, :, None] * last  # b k c h w
    before_ft, squared_ft, mask_ft, masked_last_ft = (
        torch.fft.rfft2(part, s=size) for part in (before, (before**2).sum(2), masks, masked_last)
    )
    cross = torch.einsum("btchw,bkchw->bkthw", before_ft, masked_last_ft.conj())
    correlations = torch.fft.irfft2(squared_ft[:, None] * mask_ft[:, :, None].conj() - 2 * cross, s=size)  # b k t h w
    constant = reduce(masks[:, :, None] * last**2, "b k c h w -> b k 1 1 1", "sum")
    return torch.fft.fftshift(correlations + constant, (-2, -1))


def track_offsets(cost: CostVolume) -> Offsets:
    """Tracks the sprites back in time from the last frame, whose offset of zero comes last in the result.

    The offset in a frame is the posterior mean given the matching cost, with a prior around the offset predicted from
    the velocity. The velocity is the first displacement at first, then the mean of its old value and the newest
    displacement.
    """
    offset = cost.new_zeros(*cost.shape[:2], 2)
    velocity, offsets = offset, [offset]
    for step in reversed(range(cost.shape[2])):
        moved = expected_offset(cost[:, :, step], offset + velocity, INERTIA_STD) - offset
        velocity = (velocity + moved) / 2 if len(offsets) > 1 else moved
        offset = offset + moved
        offsets.append(offset)
    return torch.stack(offsets[::-1], 2)


def refine_offsets(cost: CostVolume, rough: Offsets) -> Offsets:
    """Posterior means of the offsets, given the cost and a prior around rough offsets; the last one is unchanged."""
    return torch.cat([expected_offset(cost, rough[:, :, :-1], REFINEMENT_STD), rough[:, :, -1:]], 2)


def expected_offset(
    cost: Float[Tensor, "*layer rows columns"], prior_mean: Float[Tensor, "*layer 2"], prior_std: float
) -> Float[Tensor, "*layer 2"]:
    """The mean (x, y) of the offset d under p(d) ~ exp(-cost(d) / T) N(d; prior_mean, prior_std^2).

    T is MATCHING_TEMPERATURE. The cost of the zero offset is at [rows // 2, columns // 2].
    """
    rows, columns = (torch.arange(-(n // 2), n - n // 2, device=cost.device) for n in cost.shape[-2:])
    x, y = prior_mean.split(1, -1)
    distance = (columns - x).square()[..., None, :] + (rows - y).square()[..., None]  # *layer rows columns
    log_probability = -cost / MATCHING_TEMPERATURE - distance / (2 * prior_std**2)
    probability = log_probability.flatten(-2).softmax(-1).view_as(cost)
    return torch.stack([(probability.sum(-2) * columns).sum(-1), (probability.sum(-1) * rows).sum(-1)], -1)


def warp_residual(frames: Frames, offsets: Offsets) -> LayerMasks:
    """The residual of each pixel of the last frame if it moves with each layer.

    r_k(p) = mean over frames t and channels of (I_t(p + o_kt) - I_T(p))^2, averaged over 3x3 pixels
    """
    batch, layers, time = offsets.shape[:3]
    height, width = frames.shape[-2:]
    if time == 1:
        return frames.new_zeros(batch, layers, height, width)
    flows = repeat(offsets[:, :, :-1], "b k t two -> (b k t) two h w", h=height, w=width)
    warped = warp(repeat(frames[:, :-1], "b t c h w -> (b k t) c h w", k=layers), flows)
    warped = rearrange(warped, "(b k t) c h w -> b k t c h w", b=batch, k=layers)
    squared = reduce((warped - frames[:, None, -1:]) ** 2, "b k t c h w -> b k h w", "mean")
    return F.avg_pool2d(squared, 3, stride=1, padding=1, count_include_pad=False)
