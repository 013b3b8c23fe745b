"""Which pixels of the last frame move as one, and where they were before: measured rather than learned."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor

from vidgan.networks.recurrent import identity_grid, warp

REFINEMENT_ROUNDS = 4
"""Turns of finding where layers were, then which pixels fit them."""
INITIAL_ANGLES = (0.0, math.pi / 2)
"""Directions of the first guess, from that in which movement is spread most; the one that ends best is taken."""
MATCHING_TEMPERATURE = 2.0
"""Squared difference, summed over a layer, that makes a place e times less likely, for values in [-1, 1]."""
INERTIA_STD = 2.0
"""Standard deviation, in pixels, of where a layer was from where steady movement would have had it."""
REFINEMENT_STD = 2.0
"""Standard deviation, in pixels, of a place found roughly."""
ASSIGNMENT_TEMPERATURE = 0.02
"""Mean squared difference that makes a pixel e times less likely to be of a layer."""
SALIENCE_MIDPOINT = 0.1
"""Mean squared difference from a clip's median frame at which a pixel of a layer counts by half."""

Frames = Float[Tensor, "batch time channels height width"]
LayerMasks = Float[Tensor, "batch layers height width"]
Offsets = Float[Tensor, "batch layers time 2"]
CostVolume = Float[Tensor, "batch layers before rows columns"]


class SpriteLayers(NamedTuple):
    """Layers of a clip; the first is still."""

    assignment: LayerMasks
    """Share of each layer in each pixel of the last frame; they sum to one."""
    offsets: Offsets
    """(x, y), in pixels, of each layer in each frame from where it is in the last."""
    sprite_masks: LayerMasks
    """How much each pixel of the last frame tells of where each moving layer is."""


@torch.no_grad()
def find_sprites(frames: Frames, moving: int, *, scale: int = 2) -> SpriteLayers:
    """A still layer and `moving` others that each move as a whole: flexible sprites (Jojic, Frey 2001), unrolled.

    They are found at 1/scale of the resolution, into which the sides must divide.
    """
    coarse = downscale_frames(frames.float(), scale)
    found, misfits = zip(
        *(_refine_assignment(coarse, initial_assignment(coarse, moving, turn)) for turn in INITIAL_ANGLES), strict=True
    )
    best = torch.stack(misfits).argmin(0)
    owners = torch.stack(found)[best, torch.arange(len(best), device=best.device)]
    owners = F.interpolate(owners, scale_factor=scale, mode="bilinear", align_corners=False)
    shapes = compute_salience(frames) * owners[:, 1:]
    return SpriteLayers(owners, measure_offsets(frames, shapes, scale=scale), shapes)


@torch.no_grad()
def measure_offsets(frames: Frames, masks: LayerMasks, *, scale: int = 2) -> Offsets:
    """(x, y), in pixels, from where each shape is in the last frame to where it was in each: roughly, then exactly."""
    rough = track_offsets(cost_volume(downscale_frames(frames.float(), scale), F.avg_pool2d(masks, scale)))
    return refine_offsets(cost_volume(frames.float(), masks), scale * rough)


def measure_trajectories(
    last: Float[Tensor, "batch 1 channels height width"],
    future: Float[Tensor, "batch steps channels height width"],
    masks: LayerMasks,
    *,
    scale: int = 2,
) -> Float[Tensor, "batch layers steps 2"]:
    """(x, y), in pixels, from where each shape is in the last frame to where it is in those after."""
    return measure_offsets(torch.cat([last, future], 1).flip(1), masks, scale=scale).flip(2)[:, :, 1:]


def downscale_frames(frames: Frames, scale: int) -> Float[Tensor, "batch time channels rows columns"]:
    """The frames at 1/scale of their size."""
    return F.avg_pool2d(frames.flatten(0, 1), scale).unflatten(0, frames.shape[:2])


def _refine_assignment(frames: Tensor, owners: Tensor) -> tuple[Tensor, Tensor]:
    """(Owners from a first guess, how badly the layers then explain each clip)."""
    for _ in range(REFINEMENT_ROUNDS):
        moved = track_offsets(cost_volume(frames, compute_salience(frames) * owners[:, 1:]))
        apart = warp_residual(frames, torch.cat([torch.zeros_like(moved[:, :1]), moved], 1))
        owners = (-apart / ASSIGNMENT_TEMPERATURE).softmax(1)
    return owners, (owners * apart).sum((1, 2, 3))


def initial_assignment(frames: Frames, moving: int, angle: float) -> LayerMasks:
    """A first guess: what changed lately cut into parallel bands, across its widest spread turned by an angle."""
    energy = (frames[:, -1] - frames[:, max(frames.shape[1] - 2, 0)]).square().mean(1) + 1e-6
    weight = (energy / energy.sum((1, 2), keepdim=True))[:, None]
    grid = identity_grid(frames[:, -1])
    # Not einsum, which mixed precision would compute in bf16.
    centred = grid - (weight * grid).sum((2, 3), keepdim=True)
    spread = (weight[:, None] * centred[:, :, None] * centred[:, None]).sum((3, 4))
    x, y = torch.linalg.eigh(spread).eigenvectors[:, :, -1, None, None].unbind(1)
    cos, sin = math.cos(angle), math.sin(angle)
    along = (cos * x - sin * y) * centred[:, 0] + (sin * x + cos * y) * centred[:, 1]
    along = along / (weight[:, 0] * along**2).sum((1, 2), keepdim=True).sqrt()
    bands = torch.linspace(-1, 1, moving, device=frames.device) if moving > 1 else along.new_zeros(1)
    owners = (-4 * (along[:, None] - bands[:, None, None]) ** 2).softmax(1)
    return F.pad(owners, (0, 0, 0, 0, 1, 0))


def compute_salience(frames: Frames) -> Float[Tensor, "batch 1 height width"]:
    """How far, in [0, 1), each pixel of the last frame is from what it shows mostly."""
    apart = (frames[:, -1] - frames.median(1).values).square().mean(1, keepdim=True)
    return apart / (apart + SALIENCE_MIDPOINT)


def cost_volume(frames: Frames, masks: LayerMasks) -> CostVolume:
    """Squared difference, summed over each mask, of the last frame and each one before it moved by every offset.

    Offsets go from -height to height - 1 and from -width to width - 1; outside a frame lies its darkest value, -1.
    """
    height, width = frames.shape[-2:]
    size = (2 * height, 2 * width)
    if frames.shape[1] == 1:
        return frames.new_zeros(*masks.shape[:2], 0, *size)
    shown = frames + 1
    last, before = shown[:, -1:], shown[:, :-1]
    seen, squared, mask, masked = (
        torch.fft.rfft2(part, s=size) for part in (before, (before**2).sum(2), masks, masks[:, :, None] * last)
    )
    cross = torch.einsum("btchw,bkchw->bkthw", seen, masked.conj())
    apart = torch.fft.irfft2(squared[:, None] * mask[:, :, None].conj() - 2 * cross, s=size)
    own = reduce(masks[:, :, None] * last**2, "b k c h w -> b k 1 1 1", "sum")
    return torch.fft.fftshift(apart + own, (-2, -1))


def track_offsets(apart: CostVolume) -> Offsets:
    """Where layers were, back in time from the last frame: the mean place by likeness and by inertia."""
    place = apart.new_zeros(*apart.shape[:2], 2)
    velocity, found = place, [place]
    for step in reversed(range(apart.shape[2])):
        moved = expected_offset(apart[:, :, step], place + velocity, INERTIA_STD) - place
        velocity = (velocity + moved) / 2 if len(found) > 1 else moved
        place = place + moved
        found.append(place)
    return torch.stack(found[::-1], 2)


def refine_offsets(apart: CostVolume, rough: Offsets) -> Offsets:
    """The mean place by likeness, near a rough one."""
    return torch.cat([expected_offset(apart, rough[:, :, :-1], REFINEMENT_STD), rough[:, :, -1:]], 2)


def expected_offset(
    apart: Float[Tensor, "*layer rows columns"], expected: Float[Tensor, "*layer 2"], deviation: float
) -> Float[Tensor, "*layer 2"]:
    """The mean (x, y) by likeness and by nearness to an expected place."""
    rows, columns = (torch.arange(-(n // 2), n - n // 2, device=apart.device) for n in apart.shape[-2:])
    x, y = expected.split(1, -1)
    distance = (columns - x).square()[..., None, :] + (rows - y).square()[..., None]
    likely = (-apart / MATCHING_TEMPERATURE - distance / (2 * deviation**2)).flatten(-2).softmax(-1).view_as(apart)
    return torch.stack([(likely.sum(-2) * columns).sum(-1), (likely.sum(-1) * rows).sum(-1)], -1)


def warp_residual(frames: Frames, places: Offsets) -> LayerMasks:
    """Mean squared difference, around each pixel of the last frame, from where it was if it moved with each layer."""
    batch, layers, time = places.shape[:3]
    height, width = frames.shape[-2:]
    if time == 1:
        return frames.new_zeros(batch, layers, height, width)
    flows = repeat(places[:, :, :-1], "b k t two -> (b k t) two h w", h=height, w=width)
    moved = warp(repeat(frames[:, :-1], "b t c h w -> (b k t) c h w", k=layers), flows)
    moved = rearrange(moved, "(b k t) c h w -> b k t c h w", b=batch, k=layers)
    apart = reduce((moved - frames[:, None, -1:]) ** 2, "b k t c h w -> b k h w", "mean")
    return F.avg_pool2d(apart, 3, stride=1, padding=1, count_include_pad=False)
