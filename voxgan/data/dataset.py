"""The training data: pictures, voxels and classes of objects, with their random augmentation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from gancore.data import Sample
from gancore.splits import SPLITS, Split, held_out_split
from voxgan.config import ViewAugmentConfig, VoxelDataConfig
from voxgan.data.packed import PackedDataset, PackedObject, open_packed_dataset
from voxgan.data.proportions import stretch_proportions
from voxgan.files.images import encode_views, frame_or_blank
from voxgan.rendering.camera import Camera, nearest_camera

VIEW_CACHE_BYTES = 2**29
"""Memory for the cache of framed views, which every epoch reads again."""
UNKNOWN_CAMERA = -1
"""Camera number of a picture whose camera is unknown."""


@dataclass(frozen=True, kw_only=True)
class PictureSpec:
    """The format of an encoder's pictures."""

    size: int
    """Width and height in pixels."""
    mask: bool
    """Whether the object's mask is a fourth channel and the background grey; else the background varies in training."""


@dataclass(frozen=True, kw_only=True)
class ObjectBatch:
    """A batch of objects."""

    views: Float[Tensor, "batch views channels height width"]
    """Pictures in [-1, 1], with the mask as fourth channel if the encoder sees it; zero views without an encoder."""
    cameras: Int[Tensor, "batch views"]
    """Index in CAMERA_GRID of the camera nearest to that of each picture, or UNKNOWN_CAMERA."""
    occupancy: Float[Tensor, "batch x y z"]
    """1 in filled voxels and 0 elsewhere, or in a fractional data set the filled fraction of each voxel; y up."""
    labels: Int[Tensor, " batch"]
    """Class indices; 0 without classes."""

    def __len__(self) -> int:
        return len(self.occupancy)

    def to(self, device: torch.device) -> "ObjectBatch":
        """The batch on a device."""
        occupancy = self.occupancy.to(device, non_blocking=True).float()
        views, cameras, labels = (
            part.to(device, non_blocking=True) for part in (self.views, self.cameras, self.labels)
        )
        return ObjectBatch(views=views, cameras=cameras, occupancy=occupancy, labels=labels)


Views = Float[Tensor, "views channels height width"]
Cameras = Int[Tensor, " views"]


class VoxelSample(NamedTuple):
    """One object; the fields are those of ObjectBatch."""

    views: Views
    occupancy: Bool[Tensor, "x y z"] | Float[Tensor, "x y z"]
    label: int
    cameras: Cameras


def collate(items: Sequence[VoxelSample]) -> ObjectBatch:
    """Stacks samples into a batch."""
    views, occupancies, labels, cameras = zip(*items, strict=True)
    return ObjectBatch(
        views=torch.stack(views),
        cameras=torch.stack(cameras),
        occupancy=torch.stack(occupancies).float(),
        labels=torch.tensor(labels),
    )


class VoxelDataset:
    """The objects of one split; the views of a sample and their augmentation depend on the sample's seed alone.

    In training, `mixed_fraction` of the samples, chosen by their seeds, show objects of other data sets instead.
    `pictures` is None without an encoder: then no picture is read. Raises ValueError if the split has no objects (with
    views, where pictures are needed), a class does not exist, or the data sets do not fit each other.
    """

    def __init__(self, config: VoxelDataConfig, pictures: PictureSpec | None, *, split: Split):
        self.config, self.pictures, self.split = config, pictures, split
        self.train = split == "train"
        self.packed = open_packed_dataset(config.path)
        self.side = config.side or self.packed.side
        self._require_side(self.packed, "data.path")
        if unknown := set(config.classes) - set(self.packed.classes):
            known = ", ".join(self.packed.classes) or "none"
            raise ValueError(f"data.classes: {config.path} has no {', '.join(sorted(unknown))}; there are {known}")
        self.classes = config.classes or self.packed.classes
        self.indices = self._select(self.packed)
        if not self.indices:
            raise ValueError(self._explain_empty())
        self.mixed_in = [pair for path in (config.mixed_with if self.train else ()) for pair in self._open_other(path)]
        self._cache: dict[tuple[str, int, int], UInt8[np.ndarray, "side side 4"]] = {}

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def items(self) -> int:
        """Number of objects that samples can show, including those that are mixed in."""
        return len(self.indices) + len(self.mixed_in)

    @property
    def item_names(self) -> list[str]:
        """Id and voxel digest of each of these objects."""
        objects = [*((self.packed, index) for index in self.indices), *self.mixed_in]
        return [f"{packed.objects[index].id} {packed.voxel_digest(index)}" for packed, index in objects]

    def __getitem__(self, sample: Sample) -> VoxelSample:
        random = np.random.default_rng(sample.seed)
        packed, index = self.packed, self.indices[sample.index]
        if self.mixed_in and random.random() < self.config.mixed_fraction:
            packed, index = self.mixed_in[random.integers(len(self.mixed_in))]
        mirrored = self.train and self.config.augment.mirror and random.random() < 0.5
        occupancy = packed.fractions(index) if packed.fractional else packed.occupancy(index)
        if packed.side != self.side:
            occupancy = refine_voxels(occupancy, self.side)
        if self.train and self.config.proportions:
            occupancy = stretch_proportions(occupancy, random, strength=self.config.proportions)
        voxels = torch.from_numpy(np.ascontiguousarray(occupancy[::-1] if mirrored else occupancy))
        if self.pictures is None:
            views, cameras = torch.empty(0, 0, 0, 0), torch.empty(0, dtype=torch.long)
        else:
            views, cameras = self._load_views(packed, index, self.pictures, random, mirrored=mirrored)
        label = packed.objects[index].label
        return VoxelSample(views, voxels, self.classes.index(label) if label else 0, cameras)

    def _open_other(self, path: str) -> list[tuple[PackedDataset, int]]:
        """The training objects of a data set to mix in, except those that are held out here under the same id, and
        copies of these.

        Raises ValueError if the data set has an incompatible side or further classes, or there are no such objects.
        """
        packed = open_packed_dataset(path)
        self._require_side(packed, "data.mixed_with")
        held_out = {item.id for item in self.packed.objects if item.split != "train"}
        shown = [item.copy_of or item.id for item in packed.objects]
        used = [index for index in self._select(packed) if shown[index] not in held_out]
        if not used:
            raise ValueError(f"data.mixed_with: {path} has no objects to train on")
        if unknown := {packed.objects[index].label for index in used} - {"", *self.classes}:
            raise ValueError(f"data.mixed_with: {self.config.path} has no class {', '.join(sorted(unknown))} as {path}")
        return [(packed, index) for index in used]

    def _require_side(self, packed: PackedDataset, key: str) -> None:
        """Raise ValueError unless the side of a data set divides that of the training objects."""
        if self.side % packed.side:
            wanted = "data.side" if self.config.side else self.config.path
            raise ValueError(
                f"{key}: {packed.folder} has {packed.side} voxels a side, which does not divide the {self.side} of "
                f"{wanted}"
            )

    def _select(self, packed: PackedDataset) -> list[int]:
        """The objects of this split of a data set that the configuration selects."""
        with_views = self.pictures is not None
        return [
            index
            for index in packed.indices(self.split)
            if is_selected(packed.objects[index], self.config, with_views=with_views)
        ]

    def _explain_empty(self) -> str:
        """Why no object of the split is selected, and what to do."""
        inside = [self.packed.objects[index] for index in self.packed.indices(self.split)]
        if not inside:
            counts = ", ".join(f"{len(self.packed.indices(split))} {split}" for split in SPLITS)
            why = (
                f"it holds {counts}; prepare it with more objects, or with a splits.json beside them that lists some "
                f"under {self.split}"
            )
        elif any(is_selected(item, self.config, with_views=False) for item in inside):
            why = "they have no pictures; prepare it with --views, or set encoder.kind none"
        else:
            why = f"none of its {len(inside)} in {self.split} is of data.classes {', '.join(self.config.classes)}"
        return f"{self.config.path} has no objects to {'train' if self.train else 'test'} on: {why}"

    def _load_views(
        self, packed: PackedDataset, index: int, spec: PictureSpec, random: np.random.Generator, *, mirrored: bool
    ) -> tuple[Views, Cameras]:
        """Distinct views of an object in random order, augmented in training, and their cameras."""
        numbers = random.permutation(len(packed.objects[index].cameras))
        numbers = np.resize(numbers, self.config.views)  # an object with too few views repeats them
        pictures = [self._framed_view(packed, index, int(number), spec.size) for number in numbers]
        angles = [packed.objects[index].cameras[number] for number in numbers]
        cameras = torch.tensor([camera_number(each, mirrored=mirrored) for each in angles])
        if mirrored:
            pictures = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]
        if not self.train:
            return encode_views(pictures, mask=spec.mask), cameras
        pictures = [augment_view(picture, self.config.augment, random=random) for picture in pictures]
        background = sample_backgrounds(
            len(pictures), spec.size, random=random, probability=self.config.augment.background_probability
        )
        return encode_views(pictures, mask=spec.mask, background=0.0 if spec.mask else background), cameras

    def _framed_view(
        self, packed: PackedDataset, index: int, number: int, size: int
    ) -> UInt8[np.ndarray, "size size 4"]:
        """A view framed for the encoder, cached while the cache has room (views are read in random order)."""
        key = str(packed.folder), index, number
        if key in self._cache:
            return self._cache[key]
        picture = frame_or_blank(packed.read_view(index, number), size)
        if (len(self._cache) + 1) * picture.nbytes <= VIEW_CACHE_BYTES:
            self._cache[key] = picture
        return picture


def open_held_out(config: VoxelDataConfig, pictures: PictureSpec | None) -> VoxelDataset | None:
    """The held-out objects for validation: the val split, or the test split if val is empty, or None if both are."""
    packed = open_packed_dataset(config.path)
    selected = (item for item in packed.objects if is_selected(item, config, with_views=pictures is not None))
    split = held_out_split(item.split for item in selected)
    return VoxelDataset(config, pictures, split=split) if split else None


def refine_voxels(
    occupancy: Bool[np.ndarray, "x y z"] | Float[np.ndarray, "x y z"], side: int
) -> Float[np.ndarray, "fine_x fine_y fine_z"]:
    """Interpolate voxels trilinearly to a finer grid of `side` voxels a side; float32 in [0, 1]."""
    values = torch.from_numpy(np.ascontiguousarray(occupancy, np.float32))[None, None]
    return interpolate(values, size=(side,) * 3, mode="trilinear", align_corners=False)[0, 0].numpy()


def camera_number(angles: tuple[float, float] | None, *, mirrored: bool) -> int:
    """The index in CAMERA_GRID of the camera nearest to (azimuth, elevation) in degrees; UNKNOWN_CAMERA for None."""
    if angles is None:
        return UNKNOWN_CAMERA
    azimuth, elevation = angles
    return nearest_camera(Camera(-azimuth if mirrored else azimuth, elevation))


def is_selected(item: PackedObject, config: VoxelDataConfig, *, with_views: bool) -> bool:
    """Whether the object is of one of the configured classes, and has views if they are needed."""
    return (not config.classes or item.label in config.classes) and (not with_views or bool(item.cameras))


def augment_view(
    picture: UInt8[np.ndarray, "size size 4"], augment: ViewAugmentConfig, *, random: np.random.Generator
) -> UInt8[np.ndarray, "size size 4"]:
    """Augments a picture by a random shift and scale, alpha included, and by random brightness, contrast and tint."""
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
    brightness, contrast, channel_gains = tint[0, 0], tint[0, 1], 1 + (tint[1] - 1) / 2
    middle = colour[picture[..., 3] > 127].mean(0) if (picture[..., 3] > 127).any() else 0.0
    colour = (middle + (colour - middle) * contrast) * brightness * channel_gains
    return np.concatenate([colour.clip(0, 255).astype(np.uint8), picture[..., 3:]], 2)


def sample_backgrounds(
    count: int, size: int, *, random: np.random.Generator, probability: float
) -> Float[Tensor, "count 3 size size"]:
    """Smooth random colour fields in [-1, 1]; each is mid-grey (0) instead with probability 1 - `probability`."""
    coarse = torch.from_numpy(random.uniform(-1, 1, (count, 3, 3, 3)).astype(np.float32))
    fields = interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)
    return fields * torch.from_numpy(random.random(count) < probability)[:, None, None, None]
