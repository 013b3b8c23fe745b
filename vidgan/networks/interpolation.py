"""Initial estimates of unknown pixels and frames, interpolated in time, in space and along optical flow."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vidgan.networks.optical_flow import estimate_flow, window_mean
from vidgan.networks.warp import warp

Frames = Float[Tensor, "batch time channels height width"]
Known = Bool[Tensor, "batch time 1 height width"]

AGREEMENT_RADIUS = 2
"""Radius, in pixels, of the square window over which two frames are compared."""
TOLERANCE = 1e-3
"""Squared difference, for values in [-1, 1], that counts as noise, not motion: about four grey levels, squared."""


def estimate_unknown(frames: Frames, known: Known, *, causal: bool = False) -> Frames:
    """Interpolates unknown pixels in time (`interpolate_unknown`), and those that are never known in space.

    If `causal`, no frame depends on others: all unknown pixels are interpolated in space. Frames without any estimate
    become 0.
    """
    estimated = known
    if not causal:
        frames, estimated = interpolate_unknown(frames, known), known.any(1, keepdim=True).expand_as(known)
    return interpolate_in_space(frames.flatten(0, 1), estimated.flatten(0, 1).to(frames)).unflatten(0, known.shape[:2])


def interpolate_in_space(
    frames: Float[Tensor, "frames channels height width"], known: Float[Tensor, "frames 1 height width"]
) -> Float[Tensor, "frames channels height width"]:
    """Fills in unknown pixels (`known` 0, others 1) from lower resolutions: pull-push (Gortler et al. 1996).

    A pixel of a lower resolution is the mean of the known pixels that it covers. Frames without known pixels become 0.
    """
    height, width = frames.shape[-2:]
    frames = frames * known
    if max(height, width) == 1:
        return frames
    share, total = (F.avg_pool2d(each, 2, ceil_mode=True, count_include_pad=False) for each in (known, frames))
    smaller = interpolate_in_space(total / share.clamp(min=1e-6), (share > 0).to(share))
    return torch.where(known > 0, frames, F.interpolate(smaller, size=(height, width), mode="bilinear"))


def interpolate_unknown(frames: Frames, known: Known) -> Frames:
    """Interpolates each unknown pixel linearly between the nearest earlier and later frames in which it is known.

    If it is known on one side only, that value is held; pixels that are never known stay as they are.
    """
    steps = frames.shape[1]
    (before, since), (after, until) = _hold(frames, known), _hold(frames.flip(1), known.flip(1))
    after, until = after.flip(1), until.flip(1)
    share = torch.where(since > steps, 1.0, torch.where(until > steps, 0.0, since / (since + until).clamp(min=1)))
    ever = (since <= steps) | (until <= steps)
    return torch.where(known | ~ever, frames, torch.lerp(before, after, share.to(frames)))


def _hold(frames: Frames, known: Known) -> tuple[Frames, Float[Tensor, "batch time 1 height width"]]:
    """Each pixel's last known value, and how many frames ago it was known; more than the clip has if never."""
    held, ago = frames[:, 0], torch.full_like(known[:, 0], 2.0 * frames.shape[1], dtype=torch.float32)
    values, ages = [], []
    for step in range(frames.shape[1]):
        now = known[:, step]
        held = torch.where(now, frames[:, step], held)
        ago = torch.where(now, 0.0, ago + 1)
        values.append(held)
        ages.append(ago)
    return torch.stack(values, 1), torch.stack(ages, 1)


def interpolate_along_motion(frames: Frames, known: Known) -> Frames:
    """Replaces lost frames, in which nothing is known, by `interpolate_between` of the nearest whole frames.

    All other frames stay as they are, and so do lost ones without a whole frame on both sides.
    """
    clips, steps = known.shape[:2]
    whole, lost = known.flatten(2).all(2), ~known.flatten(2).any(2)
    before, after = _last_marked(whole), steps - 1 - _last_marked(whole.flip(1)).flip(1)
    between = lost & (before >= 0) & (after < steps)
    if torch.compiler.is_exporting():  # an exported graph cannot choose frames, so it computes all of them
        chosen = torch.arange(clips * steps, device=frames.device)
    else:
        chosen = between.flatten().nonzero()[:, 0]
        if not len(chosen):
            return frames
    clip, t = chosen // steps, chosen % steps
    first, second = before.flatten()[chosen].clamp(min=0), after.flatten()[chosen].clamp(max=steps - 1)
    share = ((t - first) / (second - first).clamp(min=1)).to(frames).view(-1, 1, 1, 1)
    made = interpolate_between(frames[clip, first], frames[clip, second], share)
    if torch.compiler.is_exporting():
        return torch.where(between[:, :, None, None, None], made.unflatten(0, (clips, steps)), frames)
    return frames.index_put((clip, t), made)


def _last_marked(marked: Bool[Tensor, "batch time"]) -> Int[Tensor, "batch time"]:
    """For each time, the last marked time up to it, or -1."""
    found, last = [], torch.full_like(marked[:, 0], -1, dtype=torch.long)
    for t in range(marked.shape[1]):
        last = torch.where(marked[:, t], t, last)
        found.append(last)
    return torch.stack(found, 1)


def interpolate_between(
    first: Float[Tensor, "batch channels height width"],
    second: Float[Tensor, "batch channels height width"],
    share: Float[Tensor, "batch 1 1 1"],
) -> Float[Tensor, "batch channels height width"]:
    """The frame at a fraction `share` of the time between two frames, interpolated along the optical flow.

    Where the frames agree no better along the flow than in place (up to noise), they are blended in place instead.
    """
    ahead, back = estimate_flow(first, second), estimate_flow(second, first)
    # each flow is defined on its own frame; the flow at the time in between is approximated by warping it there
    of_second = warp(second, (1 - share) * warp(ahead, share * back), bicubic=True)
    of_first = warp(first, share * warp(back, (1 - share) * ahead), bicubic=True)
    still, moved = torch.lerp(first, second, share), torch.lerp(of_first, of_second, share)
    apart, apart_moved = (
        window_mean((a - b).square().mean(1, keepdim=True), AGREEMENT_RADIUS)
        for a, b in ((first, second), (of_first, of_second))
    )
    gained = (apart - apart_moved - TOLERANCE).clamp(min=0) / (apart + TOLERANCE)
    return torch.lerp(still, moved, gained.sqrt())
