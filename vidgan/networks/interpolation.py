"""First estimates of pixels and frames that are not known, from what is known before and after."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vidgan.networks.optical_flow import estimate_flow, window_mean
from vidgan.networks.warp import warp

Frames = Float[Tensor, "batch time channels height width"]
Known = Bool[Tensor, "batch time 1 height width"]

AGREEMENT_RADIUS = 2
"""Radius in pixels of the square window over which it is judged how well two frames agree."""
TOLERANCE = 1e-3
"""Squared difference, for values in [-1, 1], that is noise rather than motion: some four grey levels."""


def estimate_unknown(frames: Frames, known: Known, *, causal: bool = False) -> Frames:
    """Unknown pixels in time, as `interpolate_unknown` has them, and those known at no time in space.

    If `causal`, no frame depends on others, and all unknown pixels are estimated in space. Frames of clips of which
    nothing is known become 0.
    """
    estimated = known
    if not causal:
        frames, estimated = interpolate_unknown(frames, known), known.any(1, keepdim=True).expand_as(known)
    return interpolate_in_space(frames.flatten(0, 1), estimated.flatten(0, 1).to(frames)).unflatten(0, known.shape[:2])


def interpolate_in_space(
    frames: Float[Tensor, "frames channels height width"], known: Float[Tensor, "frames 1 height width"]
) -> Float[Tensor, "frames channels height width"]:
    """Pixels that are not known (0, others 1), from smaller copies of the frame in which they are.

    A pixel of a smaller copy is the mean of what is known below it, as in the Lumigraph (Gortler et al. 1996). A frame
    of which nothing is known becomes 0.
    """
    height, width = frames.shape[-2:]
    frames = frames * known
    if max(height, width) == 1:
        return frames
    share, total = (F.avg_pool2d(each, 2, ceil_mode=True, count_include_pad=False) for each in (known, frames))
    smaller = interpolate_in_space(total / share.clamp(min=1e-6), (share > 0).to(share))
    return torch.where(known > 0, frames, F.interpolate(smaller, size=(height, width), mode="bilinear"))


def interpolate_unknown(frames: Frames, known: Known) -> Frames:
    """Unknown pixels, linearly between the times before and after at which they are known, or as at the only one.

    Those that are known at no time stay as they are.
    """
    steps = frames.shape[1]
    (before, since), (after, until) = _hold(frames, known), _hold(frames.flip(1), known.flip(1))
    after, until = after.flip(1), until.flip(1)
    share = torch.where(since > steps, 1.0, torch.where(until > steps, 0.0, since / (since + until).clamp(min=1)))
    ever = (since <= steps) | (until <= steps)
    return torch.where(known | ~ever, frames, torch.lerp(before, after, share.to(frames)))


def _hold(frames: Frames, known: Known) -> tuple[Frames, Float[Tensor, "batch time 1 height width"]]:
    """Each pixel as it was last known, and how many frames ago; more than there are if it never was."""
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
    """Frames of which nothing is known, between whole ones before and after, as `interpolate_between` has it.

    All others stay as they are, among them lost ones at the ends of a clip.
    """
    clips, steps = known.shape[:2]
    whole, lost = known.flatten(2).all(2), ~known.flatten(2).any(2)
    before, after = _last_marked(whole), steps - 1 - _last_marked(whole.flip(1)).flip(1)
    between = lost & (before >= 0) & (after < steps)
    if torch.compiler.is_exporting():  # a graph has to compute them all, as it cannot choose
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
    """For each time the last one up to it that is marked, or -1."""
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
    """The frame at `share` of the way from one to another, moved along the optical flow between them.

    Where the two agree no better along the flow than in place, beyond what is noise, the frame is their mean in place.
    """
    ahead, back = estimate_flow(first, second), estimate_flow(second, first)
    # each flow starts from its own frame; at the time between, it is nearly that of where the other one has come from
    of_second = warp(second, (1 - share) * warp(ahead, share * back), bicubic=True)
    of_first = warp(first, share * warp(back, (1 - share) * ahead), bicubic=True)
    still, moved = torch.lerp(first, second, share), torch.lerp(of_first, of_second, share)
    apart, apart_moved = (
        window_mean((a - b).square().mean(1, keepdim=True), AGREEMENT_RADIUS)
        for a, b in ((first, second), (of_first, of_second))
    )
    gained = (apart - apart_moved - TOLERANCE).clamp(min=0) / (apart + TOLERANCE)
    return torch.lerp(still, moved, gained.sqrt())
