"""What a model does on held-out objects while it trains: a sheet, and scores by the number of views."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.data import Draws, Sample
from gancore.report import save_png, sheet
from voxgan.data.dataset import Objects, VoxelDataset, collate
from voxgan.mesh.surface import from_occupancy
from voxgan.metrics.occupancy import iou_at, pairwise_iou, spread
from voxgan.metrics.sets import coverage, minimum_matching_distance
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.objective import Generator
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import over, view

SEED = 0
SHOWN, GENERATED = 6, 16
"""Held-out objects, and objects from noise, on a sheet."""
TILE = 96
CAMERAS = (Camera(30.0, 20.0), Camera(210.0, 20.0))
PAPER = (255, 255, 255)
THRESHOLDS = (0.3, 0.4, 0.5)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Called in training with the averaged generator; the objects, views and latents are the same every time."""

    dataset: VoxelDataset | None
    """Held-out objects; without any, objects from noise alone are shown."""

    @torch.no_grad()
    def __call__(self, generator: Generator, step: int, folder: Path) -> None:
        """Writes step-<n>.png; changes nothing in the generator."""
        folder.mkdir(parents=True, exist_ok=True)
        rows: list[Tensor] = []
        if self.dataset and isinstance(generator, ImageToVoxels):
            batch = some(self.dataset, SHOWN).to(device_of(generator))
            rows = rows_of(batch, reconstructed(generator, batch, batch.views.shape[1]))
        columns = len(rows[0]) if rows else 8
        gallery = torch.stack([pictured(one.numpy(), CAMERAS[0]) for one in from_noise(generator, GENERATED)])
        save_png(sheet([*rows, *gallery.split(columns)]), folder / f"step-{step:08d}.png")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scores of the averaged generator beside held-out objects; objects, views and latents are the same every time."""

    dataset: VoxelDataset
    pictures: bool
    """Whether the generator makes objects from pictures, not from noise alone."""
    objects: int = 64

    @property
    def best(self) -> str:
        """The score that counts."""
        return "highest held_out/iou@0.4/1_views" if self.pictures else "lowest held_out/mmd"

    @torch.no_grad()
    def __call__(self, generator: Generator) -> Mapping[str, float]:
        """IoU of reconstructions by views and threshold, and how objects from noise lie among the held-out ones."""
        batch = some(self.dataset, self.objects).to(device_of(generator))
        true, made = batch.occupancy.cpu() > 0, from_noise(generator, len(batch)) > 0.5
        apart = 1 - pairwise_iou(made, true)
        scores = {
            "generated/filled": float(made.float().mean()),
            "generated/distance": spread(made),
            "held_out/mmd": minimum_matching_distance(apart),
            "held_out/cov": coverage(apart),
        }
        if isinstance(generator, ImageToVoxels):
            for count in sorted({1, batch.views.shape[1]}):
                overlaps = iou_at(reconstructed(generator, batch, count), true, THRESHOLDS).mean(0).tolist()
                scores |= {f"held_out/iou@{t}/{count}_views": iou for t, iou in zip(THRESHOLDS, overlaps, strict=True)}
        return scores


def some(dataset: VoxelDataset, count: int) -> Objects:
    """So many objects from all over the data set, or all if there are fewer."""
    count = min(count, len(dataset))
    return collate([dataset[Sample(number * len(dataset) // count, SEED)] for number in range(count)])


def device_of(generator: Generator) -> torch.device:
    return next(generator.parameters()).device


def from_noise(generator: Generator, count: int) -> Float[Tensor, "count x y z"]:
    """Probabilities of objects from the prior, on the CPU, the same every time."""
    network = generator.generator if isinstance(generator, ImageToVoxels) else generator
    latent = network.draw(Draws(SEED, device=device_of(generator)), count)
    return torch.cat([network(group).sigmoid().cpu() for group in latent.split(GENERATED)])


def reconstructed(generator: ImageToVoxels, batch: Objects, views: int) -> Float[Tensor, "batch x y z"]:
    """Probabilities of the batch's objects, from so many of their views, on the CPU."""
    labels = batch.labels if generator.shape.classes else None
    return generator(batch.views[:, :views], labels).sigmoid().cpu()


def rows_of(batch: Objects, made: Float[Tensor, "batch x y z"]) -> list[UInt8[Tensor, "_tiles 3 tile tile"]]:
    """A row an object: the views that were given, then what it is and what was made of them, from two sides."""
    rows = []
    for views, true, ours in list(zip(batch.views.cpu(), batch.occupancy.cpu(), made, strict=True))[:SHOWN]:
        given = torch.nn.functional.interpolate((views[:, :3] + 1) * 127.5, size=(TILE, TILE)).to(torch.uint8)
        solids = [pictured(grid.numpy(), camera) for camera in CAMERAS for grid in (true, ours)]
        rows.append(torch.cat([given, torch.stack(solids)]))
    return rows


def pictured(probabilities: np.ndarray, camera: Camera) -> UInt8[Tensor, "3 tile tile"]:
    """The object as it is seen; blank paper where there is none."""
    try:
        pixels = over(view(from_occupancy(probabilities), camera, side=TILE), PAPER)
    except ValueError:
        pixels = np.full((TILE, TILE, 3), 255, np.uint8)
    return rearrange(torch.from_numpy(pixels), "h w c -> c h w")
