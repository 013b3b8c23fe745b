"""Objects to train on: what they look like, which voxels they fill, which class they are of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from gancore.data import Sample
from voxgan.config import ViewAugmentConfig, VoxelDataConfig, VoxelEncoderConfig
from voxgan.data.packed import PackedObject, Split, open_packed_dataset
from voxgan.data.proportions import stretch_proportions
from voxgan.files.images import encode_views, frame_object

VIEW_CACHE_BYTES = 2**29
"""Memory for framed views, of which every one is wanted again and again."""


@dataclass(frozen=True, kw_only=True)
class ObjectBatch:
    """A batch of objects."""

    views: Float[Tensor, "batch views channels height width"]
    """Pictures as the encoder takes them; no views at all where there is no encoder."""
    occupancy: Float[Tensor, "batch x y z"]
    """1 in voxels that the object fills, 0 elsewhere; y up."""
    labels: Int[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.occupancy)

    def to(self, device: torch.device) -> "ObjectBatch":
        """The batch on a device; voxels travel as bytes."""
        occupancy = self.occupancy.to(device, non_blocking=True).float()
        views = self.views.to(device, non_blocking=True)
        return ObjectBatch(views=views, occupancy=occupancy, labels=self.labels.to(device, non_blocking=True))


VoxelSample = tuple[Float[Tensor, "views channels height width"], Bool[Tensor, "x y z"], int]


def collate(items: Sequence[VoxelSample]) -> ObjectBatch:
    """A batch of the items."""
    views, occupancies, labels = zip(*items, strict=True)
    return ObjectBatch(
        views=torch.stack(views), occupancy=torch.stack(occupancies).float(), labels=torch.tensor(labels)
    )


class VoxelDataset:
    """The objects of one part of a data set; views and their changes are drawn from the sample's seed alone.

    Raises ValueError if the part has no objects, a class does not exist, or views are missing.
    """

    def __init__(self, config: VoxelDataConfig, encoder: VoxelEncoderConfig, *, split: Split):
        self.config, self.encoder, self.train = config, encoder, split == "train"
        self.packed = open_packed_dataset(config.path)
        self.side = self.packed.side
        if unknown := set(config.classes) - set(self.packed.classes):
            known = ", ".join(self.packed.classes) or "none"
            raise ValueError(f"data.classes: {config.path} has no {', '.join(sorted(unknown))}; there are {known}")
        self.classes = config.classes or self.packed.classes
        self.indices = [n for n in self.packed.indices(split) if is_selected(self.packed.objects[n], config, encoder)]
        if not self.indices:
            raise ValueError(f"{config.path} has no objects to {'train on' if self.train else 'test on'}")
        self._cache: dict[tuple[int, int], UInt8[np.ndarray, "side side 4"]] = {}

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, sample: Sample) -> VoxelSample:
        index = self.indices[sample.index]
        random = np.random.default_rng(sample.seed)
        mirrored = self.train and self.config.augment.mirror and random.random() < 0.5
        occupancy = self.packed.occupancy(index)
        if self.train and self.config.proportions:
            occupancy = stretch_proportions(occupancy, random, strength=self.config.proportions)
        voxels = torch.from_numpy(np.ascontiguousarray(occupancy[::-1] if mirrored else occupancy))
        label = self.packed.objects[index].label
        return self.load_views(index, random, mirrored=mirrored), voxels, self.classes.index(label) if label else 0

    def load_views(
        self, index: int, random: np.random.Generator, *, mirrored: bool
    ) -> Float[Tensor, "views channels height width"]:
        """Pictures of an object as the encoder takes them: distinct views in random order, changed if in training."""
        if self.encoder.kind == "none":
            return torch.empty(0, self.encoder.in_channels, self.encoder.size, self.encoder.size)
        total = len(self.packed.objects[index].cameras)
        numbers = random.permutation(total)
        numbers = np.resize(numbers, self.config.views)  # an object with too few views shows them again
        pictures = [self._framed_view(index, int(number)) for number in numbers]
        if mirrored:
            pictures = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]
        if not self.train:
            return encode_views(pictures, mask=self.encoder.mask)
        pictures = [augment_view(picture, self.config.augment, random=random) for picture in pictures]
        background = sample_backgrounds(
            len(pictures), self.encoder.size, random=random, share=self.config.augment.background_probability
        )
        return encode_views(pictures, mask=self.encoder.mask, background=0.0 if self.encoder.mask else background)

    def _framed_view(self, index: int, number: int) -> UInt8[np.ndarray, "side side 4"]:
        """A view at the encoder's size, kept as long as there is room: views come back in no order of their own."""
        if (index, number) in self._cache:
            return self._cache[index, number]
        picture = self.packed.read_view(index, number)
        if not (picture[..., 3] > 127).any():  # a sheet seen edge on: nothing to frame, and nothing to see
            return np.zeros((self.encoder.size, self.encoder.size, 4), np.uint8)
        picture = frame_object(picture, self.encoder.size)
        if (len(self._cache) + 1) * picture.nbytes <= VIEW_CACHE_BYTES:
            self._cache[index, number] = picture
        return picture


def open_held_out(config: VoxelDataConfig, encoder: VoxelEncoderConfig) -> VoxelDataset | None:
    """Objects that training does not see: those for validation, else those to test on; None if there are neither."""
    packed = open_packed_dataset(config.path)
    parts: tuple[Split, ...] = ("val", "test")
    for split in parts:
        if any(is_selected(packed.objects[index], config, encoder) for index in packed.indices(split)):
            return VoxelDataset(config, encoder, split=split)
    return None


def is_selected(item: PackedObject, config: VoxelDataConfig, encoder: VoxelEncoderConfig) -> bool:
    """Whether the object is of a class asked for, and has views if they are needed."""
    return (not config.classes or item.label in config.classes) and (encoder.kind == "none" or bool(item.cameras))


def augment_view(
    picture: UInt8[np.ndarray, "side side 4"], augment: ViewAugmentConfig, *, random: np.random.Generator
) -> UInt8[np.ndarray, "side side 4"]:
    """The picture with another window and other colours; its outline moves with it."""
    x, y, zoom = augment.crop_jitter * random.uniform(-1, 1, 3)
    tint = 1 + augment.colour_jitter * random.uniform(-1, 1, (3, 3))
    grey = random.random() < augment.greyscale_probability
    if augment.crop_jitter:
        side = picture.shape[0]
        scale = 1 + zoom
        window = (scale, 0, side * (x - zoom / 2), 0, scale, side * (y - zoom / 2))
        moved = Image.fromarray(picture).transform(
            (side, side), Image.Transform.AFFINE, window, Image.Resampling.BILINEAR
        )
        picture = np.array(moved)
    colour = picture[..., :3].astype(np.float32)
    if grey:
        colour = np.broadcast_to(colour.mean(2, keepdims=True), colour.shape)
    brightness, contrast, shares = tint[0, 0], tint[0, 1], 1 + (tint[1] - 1) / 2
    middle = colour[picture[..., 3] > 127].mean(0) if (picture[..., 3] > 127).any() else 0.0
    colour = (middle + (colour - middle) * contrast) * brightness * shares
    return np.concatenate([colour.clip(0, 255).astype(np.uint8), picture[..., 3:]], 2)


def sample_backgrounds(
    count: int, side: int, *, random: np.random.Generator, share: float
) -> Float[Tensor, "count 3 side side"]:
    """Smooth random fields of colour, or for 1 - share of them mid-grey."""
    coarse = torch.from_numpy(random.uniform(-1, 1, (count, 3, 3, 3)).astype(np.float32))
    fields = interpolate(coarse, size=(side, side), mode="bilinear", align_corners=True)
    return fields * torch.from_numpy(random.random(count) < share)[:, None, None, None]
