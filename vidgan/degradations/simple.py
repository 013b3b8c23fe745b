"""Simple methods that undo degradations without training: the baselines of restorers.

A camera that stands still flatters those that look along time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from vidgan.degradations.blur import blur_picture
from vidgan.degradations.degraded import GreyLevels, change_pixels
from vidgan.degradations.kinds import parse_chain
from vidgan.degradations.resolution import resize_bicubic
from vidgan.frames import Frames, to_float, to_uint8
from vidgan.networks.interpolation import estimate_unknown, interpolate_along_motion, interpolate_unknown

Known = Bool[Tensor, "time 1 h w"]

AFTER_BLUR = 0.6
"""Standard deviation in pixels of the blur that may follow a mean."""
USUAL_MEANS = (124.0, 116.0, 104.0)
"""Mean of red, green and blue in photographs (those of ImageNet)."""
USUAL_DEVIATION = 57.6
"""Standard deviation of each of them."""


@runtime_checkable
class SimpleMethod(Protocol):
    """A method that restores a degraded clip, and makes it larger if its degradation made it smaller."""

    def __call__(
        self, frames: UInt8[Tensor, "time channel h w"], known: Known | None, scale: int
    ) -> UInt8[Tensor, "time channel height width"]:
        """Restores frames, of which `known` says what was not lost if anything was, and enlarges them `scale` times."""
        ...


def _then_enlarge(restore: Callable[[Frames, Known | None], Frames]) -> SimpleMethod:
    """The method that enlarges bicubically what `restore` returns."""

    def method(
        frames: UInt8[Tensor, "time channel h w"], known: Known | None = None, scale: int = 1
    ) -> UInt8[Tensor, "time channel height width"]:
        restored = restore(frames, known)
        height, width = restored.shape[2:]
        return restored if scale == 1 else resize_bicubic(restored, scale * height, scale * width)

    return method


def copy(frames: Frames, _known: Known | None) -> Frames:
    """The frames as they are."""
    return frames.clone()


@dataclass(frozen=True)
class AlongTime:
    """The mean, median or minimum of each pixel over the frames around; those at the ends repeat the first or last."""

    take: Callable[[UInt8[Tensor, "around channel h w"]], UInt8[Tensor, "channel h w"]]
    frames_around: int
    """An odd number."""

    def __call__(self, frames: Frames, _known: Known | None) -> Frames:
        reach, last = self.frames_around // 2, len(frames) - 1
        around = torch.arange(len(frames))[:, None] + torch.arange(-reach, reach + 1)
        return torch.stack([self.take(frames[each]) for each in around.clamp(0, last)])


def take_mean(frames: UInt8[Tensor, "around channel h w"]) -> UInt8[Tensor, "channel h w"]:
    """The mean, rounded."""
    return frames.float().mean(0).round().to(torch.uint8)


def take_median(frames: UInt8[Tensor, "around channel h w"]) -> UInt8[Tensor, "channel h w"]:
    """The median of an odd number of frames."""
    return frames.median(0).values


def take_minimum(frames: UInt8[Tensor, "around channel h w"]) -> UInt8[Tensor, "channel h w"]:
    """The darkest value, which rain and snow do not have."""
    return frames.amin(0)


def average_and_blur(frames: Frames, known: Known | None) -> Frames:
    """The mean of 5 frames, blurred by 0.6 pixels."""
    averaged = AlongTime(take_mean, 5)(frames, known)
    return change_pixels(averaged, lambda pixels, _: np.stack([blur_picture(each, AFTER_BLUR) for each in pixels]))


def fill_with_mean_colour(frames: Frames, known: Known | None) -> Frames:
    """Lost pixels in the mean colour of those known in their frame, or in the clip if there is none."""
    if known is None:
        return frames.clone()
    return torch.where(known, frames, _mean_colour(frames, known).round().to(torch.uint8))


def _mean_colour(frames: Frames, known: Known) -> Float[Tensor, "time channel 1 1"]:
    total = (frames * known).sum((2, 3), dtype=torch.float64)
    count = known.sum((2, 3))
    clip = total.sum(0) / count.sum().clamp(min=1)
    return torch.where(count > 0, total / count.clamp(min=1), clip).float()[:, :, None, None]


def fill_with_mean_over_time(frames: Frames, known: Known | None) -> Frames:
    """Lost pixels as the mean of that pixel in the frames where it is known; the mean colour if there is none."""
    if known is None:
        return frames.clone()
    total = sum(frame.int() * there for frame, there in zip(frames, known, strict=True))
    count = known.sum(0)
    mean = (total / count.clamp(min=1)).round().to(torch.uint8)
    return torch.where(known, frames, torch.where(count > 0, mean, fill_with_mean_colour(frames, known)))


def interpolate_over_time(frames: Frames, known: Known | None) -> Frames:
    """Lost pixels, linearly between the frames before and after in which they are known, or as in the only one."""
    if known is None:
        return frames.clone()
    between = interpolate_unknown(frames[None].float(), known[None])[0].round().to(torch.uint8)
    return torch.where(known | ~known.any(0), fill_with_mean_colour(frames, known), between)


def interpolate_time_and_space(frames: Frames, known: Known | None) -> Frames:
    """Lost pixels as `interpolate_over_time` has them, but those that are never known from what is around them."""
    if known is None:
        return frames.clone()
    estimated = to_uint8(estimate_unknown(to_float(frames)[None], known[None])[0])
    return torch.where(known, frames, estimated)


def interpolate_lost_frames(frames: Frames, known: Known | None) -> Frames:
    """Lost pixels as `interpolate_over_time` has them, but frames that are lost as a whole along the optical flow."""
    between = interpolate_over_time(frames, known)
    if known is None:
        return between
    return to_uint8(interpolate_along_motion(to_float(between)[None], known[None])[0])


def hold_over_time(frames: Frames, known: Known | None) -> Frames:
    """Lost pixels as they were last known; before that, as they are first known."""
    if known is None:
        return frames.clone()
    result, ever = fill_with_mean_colour(frames, known), known[0]
    for t in range(1, len(frames)):
        result[t] = torch.where(known[t] | ~ever, result[t], result[t - 1])
        ever = ever | known[t]
    return result


def brighten(frames: Frames, _known: Known | None) -> Frames:
    """A gain of each channel that gives the clip the mean of photographs."""
    gain = (_usual_means(frames) / _channel_means(frames).mean(0).clamp(min=1))[:, None, None].numpy()
    return change_pixels(frames, lambda pixels, _: gain * pixels)


def normalise(frames: Frames, _known: Known | None) -> Frames:
    """An affine map of each channel that gives the clip the mean and the deviation of photographs."""
    mean = _channel_means(frames).mean(0)
    square = torch.stack([frame.double().square().mean((1, 2)) for frame in frames]).mean(0)
    gain = USUAL_DEVIATION / (square - mean.double() ** 2).clamp(min=1).sqrt().float()
    factor, offset = (each[:, None, None].numpy() for each in (gain, _usual_means(frames) - gain * mean))
    return change_pixels(frames, lambda pixels, _: factor * pixels + offset)


def steady(frames: Frames, _known: Known | None) -> Frames:
    """An affine map of each channel of each frame that gives it the median of all frames' means and deviations."""
    means = _channel_means(frames).numpy()
    deviations = torch.stack([frame.float().std((1, 2), correction=0) for frame in frames]).clamp(min=1).numpy()
    gain = (np.median(deviations, 0) / deviations).astype(np.float32)[:, :, None, None]
    mean, usual = means[:, :, None, None], np.median(means, 0).astype(np.float32)[:, None, None]

    def align(pixels: GreyLevels, part: slice) -> GreyLevels:
        return usual + gain[part] * (pixels - mean[part])

    return change_pixels(frames, align)


def _usual_means(frames: Frames) -> Float[Tensor, " _channel"]:
    return torch.tensor(USUAL_MEANS if frames.shape[1] == 3 else [sum(USUAL_MEANS) / 3])


def _channel_means(frames: Frames) -> Float[Tensor, "time channel"]:
    return torch.stack([frame.float().mean((1, 2)) for frame in frames])


_RESTORERS: dict[str, Callable[[Frames, Known | None], Frames]] = {
    "copy": copy,
    "mean-3": AlongTime(take_mean, 3),
    "mean-5": AlongTime(take_mean, 5),
    "mean-5-blur": average_and_blur,
    "median-3": AlongTime(take_median, 3),
    "median-5": AlongTime(take_median, 5),
    "minimum-3": AlongTime(take_minimum, 3),
    "mean-colour": fill_with_mean_colour,
    "mean-over-time": fill_with_mean_over_time,
    "linear": interpolate_over_time,
    "linear-space": interpolate_time_and_space,
    "linear-motion": interpolate_lost_frames,
    "hold": hold_over_time,
    "gain": brighten,
    "normalise": normalise,
    "steady": steady,
}

METHODS: dict[str, SimpleMethod] = {name: _then_enlarge(restore) for name, restore in _RESTORERS.items()}
"""Every method by its name. All of them enlarge bicubically where the degradation shrank, so that "copy" then is
bicubic upscaling."""

_MEANS, _MEDIANS = ("mean-3", "mean-5", "mean-5-blur"), ("median-3", "median-5")

SIMPLE_METHODS: dict[str, tuple[str, ...]] = {
    "noise": _MEANS,
    "shot": _MEANS,
    "impulse": _MEDIANS,
    "blur": (),
    "motion-blur": (),
    "pixelate": (),
    "shrink-2": (),
    "shrink-4": (),
    "jpeg": ("mean-3",),
    "h264": (),
    "h265": (),
    "packet-loss": (),
    "bit-errors": (),
    "rain": (*_MEDIANS, "minimum-3"),
    "snow": (*_MEDIANS, "minimum-3"),
    "dust": _MEDIANS,
    "fog": ("normalise",),
    "smoke": (),
    "low-light": ("gain", "normalise"),
    "flicker": ("steady", "mean-5"),
    "contrast": ("normalise",),
    "grey": (),
    "night": ("gain", "normalise"),
    "scratches": _MEDIANS,
    "dropped": ("hold", "linear", "linear-motion"),
    "frozen": (),
    "holes": ("mean-colour", "mean-over-time", "linear", "linear-space"),
    "second-order": ("mean-3",),
}
"""The methods that are worth trying against a kind, besides "copy"."""


def simple_methods_of(name: str) -> tuple[str, ...]:
    """The names of all methods that are worth trying against a kind or a chain of kinds, "copy" first.

    Raises ValueError for an unknown kind.
    """
    return tuple(dict.fromkeys(["copy", *(each for kind in parse_chain(name) for each in SIMPLE_METHODS[kind])]))
