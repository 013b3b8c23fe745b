"""Differentiable augmentation: one random transformation a sample, the same for all its frames, for real and fake."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gancore.data import SampleRandom

Clip = Float[Tensor, "batch *frames channel height width"]


@dataclass(frozen=True, kw_only=True, eq=False)
class AugmentParameters:
    """One transformation a sample: what is drawn once and applied to whatever must be changed alike."""

    brightness: Float[Tensor, " batch"]
    """Added to every pixel."""
    contrast: Float[Tensor, " batch"]
    """Factor about mid-grey, 0."""
    saturation: Float[Tensor, " batch"]
    """Factor about each pixel's grey."""
    translation: Float[Tensor, "batch 2"]
    """Movement down and right, as shares of the sides."""
    flip: Bool[Tensor, " batch"]
    """Whether left and right change places."""
    cutout_centre: Float[Tensor, "batch 2"]
    """Centre of the hidden square, as shares of the sides from the upper left."""
    cutout_size: Float[Tensor, " batch"]
    """Side of the hidden square as a share of the clip's sides; 0 hides nothing."""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Differentiable augmentation of all the discriminator sees, after DiffAugment and ADA (both 2020)."""

    probability: float = 0.0
    """Chance of each kind of change, for each sample; 0 changes nothing and costs nothing."""
    brightness: float = 0.25
    """Largest number added to or taken from all pixels of a clip in [-1, 1]."""
    contrast: float = 0.25
    """Largest relative change of the distance from mid-grey."""
    saturation: float = 0.5
    """Largest relative change of the distance from each pixel's grey; of clips with three channels only."""
    translation: float = 0.125
    """Largest movement along each side as a share of it, rounded to whole pixels."""
    cutout: float = 0.0
    """Side of a hidden square as a share of the clip's sides."""
    flip: bool = False
    """Whether half of the samples that are changed swap left and right: leave off where sides mean something."""
    fill: float = -1.0
    """Value of what a movement uncovers and a cutout hides: -1 is black in a clip, 0 is empty in a voxel grid."""

    def __post_init__(self) -> None:
        for name in ("probability", "brightness", "contrast", "saturation", "translation", "cutout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} of the augmentation must lie in [0, 1], got {getattr(self, name)}")

    def sample_transforms(self, rng: SampleRandom, batch: int, *, progress: float = 1.0) -> AugmentParameters | None:
        """A transformation for each sample, each kind at a chance of probability * progress; None where that is 0."""
        probability = self.probability * min(max(progress, 0.0), 1.0)
        if not probability:
            return None
        # Whether a kind is on is drawn apart from how strong it is, so that a higher chance only adds changes.
        kinds, strengths = rng.uniform(batch, 6), 2 * rng.uniform(batch, 5) - 1
        on = (kinds < probability).float()
        brightness, contrast, saturation = (on[:, :3] * strengths[:, :3]).unbind(1)
        return AugmentParameters(
            brightness=self.brightness * brightness,
            contrast=1 + self.contrast * contrast,
            saturation=1 + self.saturation * saturation,
            translation=self.translation * on[:, 3:4] * strengths[:, 3:],
            flip=(kinds[:, 4] < probability / 2) & self.flip,
            cutout_centre=rng.uniform(batch, 2),
            cutout_size=self.cutout * on[:, 5],
        )

    def apply(self, clip: Clip, parameters: AugmentParameters | None) -> Clip:
        """The clip or image under its samples' transformations, not clamped; without parameters, the very same tensor.

        A voxel grid (batch 1 x y z) counts as one frame: y and z move, z flips.
        """
        if parameters is None:
            return clip
        if self.translation or self.flip:
            clip = _translate_and_flip(clip, parameters, fill=self.fill)
        if self.cutout:
            clip = clip.masked_fill(_cutout_mask(clip, parameters), self.fill)
        if self.saturation and clip.shape[-3] == 3:
            clip = torch.lerp(clip.mean(-3, keepdim=True), clip, _per_sample(parameters.saturation, clip))
        if self.brightness or self.contrast:
            clip = torch.addcmul(_per_sample(parameters.brightness, clip), clip, _per_sample(parameters.contrast, clip))
        return clip


def _per_sample(values: Float[Tensor, " batch"], clip: Clip) -> Tensor:
    """The values in the clip's precision, one a sample, to be broadcast over it."""
    return values.to(clip).view(-1, *[1] * (clip.ndim - 1))


def _source_indices(shift: Float[Tensor, " batch"], size: int) -> Int[Tensor, "batch size"]:
    """For each pixel along a side, the pixel that moves there; below 0 or from size on where none does."""
    return torch.arange(size, device=shift.device) - (shift * size).round().long()[:, None]


def _translate_and_flip(clip: Clip, parameters: AugmentParameters, *, fill: float) -> Clip:
    """The clip moved and flipped by whole pixels: every pixel a copy of one other, or the fill."""
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
    """Where each sample's square lies, to be broadcast over its frames."""
    near = []
    for axis, size in enumerate(clip.shape[-2:]):
        centres = (torch.arange(size, device=clip.device) + 0.5) / size
        near.append((centres - parameters.cutout_centre[:, axis, None]).abs() < parameters.cutout_size[:, None] / 2)
    hidden = near[0][:, :, None] & near[1][:, None]
    return hidden.view(len(clip), *[1] * (clip.ndim - 3), *clip.shape[-2:])
