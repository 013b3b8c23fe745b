"""Differentiable augmentation: a random transformation per sample, equal for its frames, real and generated ones."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gancore.config import AugmentConfig
from gancore.rng import SampleRandom

Clip = Float[Tensor, "batch *frames channel height width"]


@dataclass(frozen=True, kw_only=True, eq=False)
class AugmentParameters:
    """One random transformation per sample, drawn once and applied to real and generated clips alike."""

    brightness: Float[Tensor, " batch"]
    """Added to every pixel."""
    contrast: Float[Tensor, " batch"]
    """Factor about mid-grey, 0."""
    saturation: Float[Tensor, " batch"]
    """Factor about each pixel's grey."""
    translation: Float[Tensor, "batch 2"]
    """(y, x) translation, down and right, as fractions of the sides."""
    flip: Bool[Tensor, " batch"]
    """Whether the sample is mirrored left to right."""
    cutout_centre: Float[Tensor, "batch 2"]
    """(y, x) centre of the cut-out square, as fractions of the sides from the upper left."""
    cutout_size: Float[Tensor, " batch"]
    """Side of the cut-out square as a fraction of the clip's sides; 0 hides nothing."""


def sample_transforms(config: AugmentConfig, rng: SampleRandom, batch: int) -> AugmentParameters | None:
    """Draws one transformation per sample; each kind of change has the configured probability. None if that is 0."""
    if not config.probability:
        return None
    # Whether and how much to change is drawn separately, so that a higher probability only adds changes.
    kinds, strengths = rng.uniform(batch, 6), 2 * rng.uniform(batch, 5) - 1
    on = (kinds < config.probability).float()
    brightness, contrast, saturation = (on[:, :3] * strengths[:, :3]).unbind(1)
    return AugmentParameters(
        brightness=config.brightness * brightness,
        contrast=1 + config.contrast * contrast,
        saturation=1 + config.saturation * saturation,
        translation=config.translation * on[:, 3:4] * strengths[:, 3:],
        flip=(kinds[:, 4] < config.probability / 2) & config.flip,
        cutout_centre=rng.uniform(batch, 2),
        cutout_size=config.cutout * on[:, 5],
    )


def apply_transforms(config: AugmentConfig, clip: Clip, parameters: AugmentParameters | None) -> Clip:
    """Applies the samples' transformations to clips or images, without clamping; with None, returns the same tensor."""
    if parameters is None:
        return clip
    if config.translation or config.flip:
        clip = _translate_and_flip(clip, parameters, fill=config.fill)
    if config.cutout:
        clip = clip.masked_fill(_cutout_mask(clip, parameters), config.fill)
    if config.saturation and clip.shape[-3] == 3:
        clip = torch.lerp(clip.mean(-3, keepdim=True), clip, _per_sample(parameters.saturation, clip))
    if config.brightness or config.contrast:
        clip = torch.addcmul(_per_sample(parameters.brightness, clip), clip, _per_sample(parameters.contrast, clip))
    return clip


def _per_sample(values: Float[Tensor, " batch"], clip: Clip) -> Tensor:
    """One value per sample in the clip's precision, shaped to broadcast over the clip."""
    return values.to(clip).view(-1, *[1] * (clip.ndim - 1))


def _source_indices(shift: Float[Tensor, " batch"], size: int) -> Int[Tensor, "batch size"]:
    """For each pixel along a side, the index of the pixel that moves there; outside [0, size) if none does."""
    return torch.arange(size, device=shift.device) - (shift * size).round().long()[:, None]


def _translate_and_flip(clip: Clip, parameters: AugmentParameters, *, fill: float) -> Clip:
    """Translates by whole pixels and mirrors: every pixel is a copy of another one, or the fill."""
    *lead, height, width = clip.shape
    rows, columns = (
        _source_indices(parameters.translation[:, 0], height),
        _source_indices(parameters.translation[:, 1], width),
    )
    columns = torch.where(parameters.flip[:, None], width - 1 - columns, columns)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    source = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None]
    pixels = clip.reshape(lead[0], -1, height * width)
    moved = pixels.gather(2, source.flatten(1)[:, None].expand_as(pixels))
    return moved.masked_fill(~inside.flatten(1)[:, None], fill).reshape(clip.shape)


def _cutout_mask(clip: Clip, parameters: AugmentParameters) -> Tensor:
    """Mask of each sample's cut-out square, shaped to broadcast over its frames."""
    near = []
    for axis, size in enumerate(clip.shape[-2:]):
        centres = (torch.arange(size, device=clip.device) + 0.5) / size
        near.append((centres - parameters.cutout_centre[:, axis, None]).abs() < parameters.cutout_size[:, None] / 2)
    hidden = near[0][:, :, None] & near[1][:, None]
    return hidden.view(len(clip), *[1] * (clip.ndim - 3), *clip.shape[-2:])
