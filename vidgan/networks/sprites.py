"""Which pixels of the last frame move as one, and where they were before: measured rather than learned."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor

from vidgan.networks.recurrent import identity_grid, warp

ROUNDS = 4
"""Turns of finding where layers were, then which pixels fit them."""
TURNS = (0.0, math.pi / 2)
"""Directions of the first guess, from that in which movement is spread most; the one that ends best is taken."""
MATCH = 2.0
"""Squared difference, summed over a layer, that makes a place e times less likely, for values in [-1, 1]."""
INERTIA = 2.0
"""Standard deviation, in pixels, of where a layer was from where steady movement would have had it."""
REACH = 2.0
"""Standard deviation, in pixels, of a place found roughly."""
FIT = 0.02
"""Mean squared difference that makes a pixel e times less likely to be of a layer."""
SALIENT = 0.1
"""Mean squared difference from a clip's median frame at which a pixel of a layer counts by half."""

Frames = Float[Tensor, "batch time channels height width"]
Owners = Float[Tensor, "batch layers height width"]
Places = Float[Tensor, "batch layers time 2"]
Mismatch = Float[Tensor, "batch layers before rows columns"]


class Layers(NamedTuple):
    """Layers of a clip; the first is still."""

    owners: Owners
    """Share of each layer in each pixel of the last frame; they sum to one."""
    places: Places
    """(x, y), in pixels, of each layer in each frame from where it is in the last."""
    shapes: Owners
    """How much each pixel of the last frame tells of where each moving layer is."""


@torch.no_grad()
def rigid_layers(frames: Frames, moving: int, *, scale: int = 2) -> Layers:
    """A still layer and `moving` others that each move as a whole: flexible sprites (Jojic, Frey 2001), unrolled.

    They are found at 1/scale of the resolution, into which the sides must divide.
    """
    coarse = pooled(frames.float(), scale)
    found, misfits = zip(*(_refined(coarse, sides(coarse, moving, turn)) for turn in TURNS), strict=True)
    best = torch.stack(misfits).argmin(0)
    owners = torch.stack(found)[best, torch.arange(len(best), device=best.device)]
    owners = F.interpolate(owners, scale_factor=scale, mode="bilinear", align_corners=False)
    shapes = salience(frames) * owners[:, 1:]
    return Layers(owners, places(frames, shapes, scale=scale), shapes)


@torch.no_grad()
def places(frames: Frames, shapes: Owners, *, scale: int = 2) -> Places:
    """(x, y), in pixels, from where each shape is in the last frame to where it was in each: roughly, then exactly."""
    rough = follow(mismatch(pooled(frames.float(), scale), F.avg_pool2d(shapes, scale)))
    return nearby(mismatch(frames.float(), shapes), scale * rough)


def paths(
    last: Float[Tensor, "batch 1 channels height width"],
    future: Float[Tensor, "batch steps channels height width"],
    shapes: Owners,
    *,
    scale: int = 2,
) -> Float[Tensor, "batch layers steps 2"]:
    """(x, y), in pixels, from where each shape is in the last frame to where it is in those after."""
    return places(torch.cat([last, future], 1).flip(1), shapes, scale=scale).flip(2)[:, :, 1:]


def pooled(frames: Frames, scale: int) -> Float[Tensor, "batch time channels rows columns"]:
    """The frames at 1/scale of their size."""
    return F.avg_pool2d(frames.flatten(0, 1), scale).unflatten(0, frames.shape[:2])


def _refined(frames: Tensor, owners: Tensor) -> tuple[Tensor, Tensor]:
    """(Owners from a first guess, how badly the layers then explain each clip)."""
    for _ in range(ROUNDS):
        moved = follow(mismatch(frames, salience(frames) * owners[:, 1:]))
        apart = misfit(frames, torch.cat([torch.zeros_like(moved[:, :1]), moved], 1))
        owners = (-apart / FIT).softmax(1)
    return owners, (owners * apart).sum((1, 2, 3))


def sides(frames: Frames, moving: int, turn: float) -> Owners:
    """A first guess: what changed lately cut into parallel bands, across its widest spread turned by an angle."""
    energy = (frames[:, -1] - frames[:, max(frames.shape[1] - 2, 0)]).square().mean(1) + 1e-6
    weight = (energy / energy.sum((1, 2), keepdim=True))[:, None]
    grid = identity_grid(frames[:, -1])
    # Not einsum, which mixed precision would compute in bf16.
    centred = grid - (weight * grid).sum((2, 3), keepdim=True)
    spread = (weight[:, None] * centred[:, :, None] * centred[:, None]).sum((3, 4))
    x, y = torch.linalg.eigh(spread).eigenvectors[:, :, -1, None, None].unbind(1)
    cos, sin = math.cos(turn), math.sin(turn)
    along = (cos * x - sin * y) * centred[:, 0] + (sin * x + cos * y) * centred[:, 1]
    along = along / (weight[:, 0] * along**2).sum((1, 2), keepdim=True).sqrt()
    bands = torch.linspace(-1, 1, moving, device=frames.device) if moving > 1 else along.new_zeros(1)
    owners = (-4 * (along[:, None] - bands[:, None, None]) ** 2).softmax(1)
    return F.pad(owners, (0, 0, 0, 0, 1, 0))


def salience(frames: Frames) -> Float[Tensor, "batch 1 height width"]:
    """How far, in [0, 1), each pixel of the last frame is from what it shows mostly."""
    apart = (frames[:, -1] - frames.median(1).values).square().mean(1, keepdim=True)
    return apart / (apart + SALIENT)


def mismatch(frames: Frames, masks: Owners) -> Mismatch:
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


def follow(apart: Mismatch) -> Places:
    """Where layers were, back in time from the last frame: the mean place by likeness and by inertia."""
    place = apart.new_zeros(*apart.shape[:2], 2)
    velocity, found = place, [place]
    for step in reversed(range(apart.shape[2])):
        moved = mean_place(apart[:, :, step], place + velocity, INERTIA) - place
        velocity = (velocity + moved) / 2 if len(found) > 1 else moved
        place = place + moved
        found.append(place)
    return torch.stack(found[::-1], 2)


def nearby(apart: Mismatch, rough: Places) -> Places:
    """The mean place by likeness, near a rough one."""
    return torch.cat([mean_place(apart, rough[:, :, :-1], REACH), rough[:, :, -1:]], 2)


def mean_place(
    apart: Float[Tensor, "*layer rows columns"], expected: Float[Tensor, "*layer 2"], deviation: float
) -> Float[Tensor, "*layer 2"]:
    """The mean (x, y) by likeness and by nearness to an expected place."""
    rows, columns = (torch.arange(-(n // 2), n - n // 2, device=apart.device) for n in apart.shape[-2:])
    x, y = expected.split(1, -1)
    distance = (columns - x).square()[..., None, :] + (rows - y).square()[..., None]
    likely = (-apart / MATCH - distance / (2 * deviation**2)).flatten(-2).softmax(-1).view_as(apart)
    return torch.stack([(likely.sum(-2) * columns).sum(-1), (likely.sum(-1) * rows).sum(-1)], -1)


def misfit(frames: Frames, places: Places) -> Owners:
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
