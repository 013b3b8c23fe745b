"""Small objects with their images, and small networks to learn them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gancore.config import TrainConfig
from gancore.rng import SampleRandom
from gancore.training.launch import create_accelerator
from gancore.training.protocols import StepContext
from gancore.training.trainer import Trainer
from voxgan.build import build_discriminator, build_generator, build_shape, picture_spec
from voxgan.config import (
    VoxelConfig,
    VoxelDataConfig,
    VoxelDiscriminatorConfig,
    VoxelEncoderConfig,
    VoxelGeneratorConfig,
    VoxelShape,
)
from voxgan.data.dataset import ObjectBatch, VoxelDataset, collate
from voxgan.data.description import format_description, read_description
from voxgan.data.packed import PackedObject, encode_webp, write_packed_dataset
from voxgan.networks.discriminator import VoxelDiscriminator
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.objective import VoxelObjective

SIDE = 8
ENCODER = VoxelEncoderConfig(size=16, base_channels=4, max_channels=8)
GENERATOR = VoxelGeneratorConfig(latent_dim=6, base_channels=4, max_channels=8, embedding_dim=3)
JUDGE = VoxelDiscriminatorConfig(base_channels=4, max_channels=8)


def boxes(number: int, *, side: int = SIDE) -> np.ndarray:
    """An object of a plate and a post, a different one for every number."""
    random = np.random.default_rng(number)
    occupancy = np.zeros((side, side, side), bool)
    height, post = random.integers(1, side // 2), random.integers(0, side - 2)
    occupancy[:, :height] = True
    occupancy[post : post + 2, :, : random.integers(2, side)] = True
    return occupancy


def iou(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The share of voxels filled in both among those filled in either."""
    return (ours & theirs).sum() / (ours | theirs).sum()


def picture(occupancy: np.ndarray, *, from_side: bool, zoom: int = 2) -> np.ndarray:
    """An image of it from the front or from the right: the nearer, the brighter; the background is transparent."""
    seen = occupancy if not from_side else occupancy[:, :, ::-1].transpose(2, 1, 0)
    depth = np.arange(1, seen.shape[2] + 1)
    nearest = (seen * depth).max(2).T[::-1]
    grey = (nearest * 200 // seen.shape[2] + 40).astype(np.uint8)
    pixels = np.stack([grey, grey // 2, 255 - grey, np.where(nearest, 255, 0).astype(np.uint8)], 2)
    return pixels.repeat(zoom, 0).repeat(zoom, 1)


def packed(
    folder: Path, *, count: int = 12, first: int = 0, side: int = SIDE, views: int = 2, fractional: bool = False
) -> Path:
    """A data set of boxes in two classes, six objects of every eight to train on; voxels are 0.7 full if fractional.

    Boxes are counted from `first` on, objects from 0.
    """
    objects, contents = [], []
    for number in range(count):
        split = "val" if number % 8 == 6 else "test" if number % 8 == 7 else "train"
        cameras = tuple((90.0 * view, 0.0) for view in range(views))
        label = ("stool", "lamp")[number % 2]
        objects.append(PackedObject(id=f"{label}/{number}", label=label, split=split, cameras=cameras))
        shape = boxes(first + number, side=side)
        voxels = shape * np.uint8(179) if fractional else shape
        contents.append((voxels, [encode_webp(picture(shape, from_side=bool(view % 2))) for view in range(views)]))
    write_packed_dataset(folder, objects, contents=contents, side=side, fractional=fractional)
    return folder


def move_to_train(folder: Path, splits: Sequence[str]) -> None:
    """Moves the objects of these splits of a data set to its training split."""
    description, _ = read_description(folder / "dataset.json")
    objects = [replace(item, split="train") if item.split in splits else item for item in description.objects]
    (folder / "dataset.json").write_text(format_description(replace(description, objects=tuple(objects))))


def image_to_voxels(classes: Sequence[str] = (), *, norm: str = "group", side: int = SIDE) -> ImageToVoxels:
    """A small network from images to objects, in eval mode."""
    torch.manual_seed(1)
    return ImageToVoxels(ENCODER, replace(GENERATOR, norm=norm), VoxelShape(side=side, classes=tuple(classes))).eval()


def generator(classes: Sequence[str] = (), *, side: int = SIDE) -> VoxelGenerator:
    """A small generator from noise, in eval mode."""
    torch.manual_seed(2)
    return VoxelGenerator(GENERATOR, VoxelShape(side=side, classes=tuple(classes))).eval()


def judge(classes: Sequence[str] = ()) -> VoxelDiscriminator:
    """A small discriminator."""
    torch.manual_seed(3)
    return VoxelDiscriminator(JUDGE, VoxelShape(side=SIDE, classes=tuple(classes)))


def batch(size: int = 4, *, views: int = 2, classes: int = 2) -> ObjectBatch:
    """A batch as the trainer hands it to the objective."""
    shapes = np.stack([boxes(number) for number in range(size)])
    random = torch.Generator().manual_seed(0)
    pictures = torch.rand(size, views, 4, 16, 16, generator=random) * 2 - 1
    occupancy = torch.from_numpy(shapes).float()
    cameras = torch.arange(size * views).view(size, views) - 1  # that of the first picture is not known
    return ObjectBatch(views=pictures, cameras=cameras, occupancy=occupancy, labels=torch.arange(size) % classes)


def step_context(*, seed: int = 0, step: int = 0, progress: float = 0.5) -> StepContext:
    """A turn at which all lazy penalties are due."""
    return StepContext(step, progress, SampleRandom(seed))


def settings(source: Path, run: Path, **train: Any) -> VoxelConfig:
    """A short training of small networks on a data set."""
    quick: dict[str, Any] = {
        "steps": 4,
        "batch": 4,
        "log_every": 1,
        "preview_every": 0,
        "checkpoint_every": 2,
        "cpu": True,
        "curves": False,
        **train,
    }
    return VoxelConfig(
        run=run,
        data=VoxelDataConfig(path=str(source), views=2),
        encoder=ENCODER,
        generator=GENERATOR,
        discriminator=JUDGE,
        train=TrainConfig(**quick),
    )


def trainer(config: VoxelConfig) -> Trainer:
    """What tools/train_voxels.py trains with, but for the preview."""
    dataset = VoxelDataset(config.data, picture_spec(config.encoder), split="train")
    shape = build_shape(config, side=dataset.side, classes=dataset.classes)
    torch.manual_seed(config.train.seed)
    return Trainer(
        Path(config.run),
        config.train,
        generator=build_generator(config, shape),
        discriminator=build_discriminator(config, shape),
        objective=VoxelObjective(config.objective),
        dataset=dataset,
        collate=collate,
        accelerator=create_accelerator(config.train),
    )
