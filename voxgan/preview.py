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
from voxgan.camera import Camera
from voxgan.dataset import Objects, VoxelDataset, collate
from voxgan.generator import VoxelGenerator
from voxgan.mesh import from_occupancy
from voxgan.networks import ImageToVoxels
from voxgan.overlap import iou_at, spread
from voxgan.render import over, view

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

    dataset: VoxelDataset
    objects: int = 64

    @torch.no_grad()
    def __call__(self, generator: ImageToVoxels | VoxelGenerator, step: int, folder: Path) -> Mapping[str, float]:
        """Writes step-<n>.png and returns the scores; changes nothing in the generator."""
        folder.mkdir(parents=True, exist_ok=True)
        device = next(generator.parameters()).device
        network = generator.generator if isinstance(generator, ImageToVoxels) else generator
        made = network(network.draw(Draws(SEED, device=device), GENERATED)).sigmoid().cpu()
        scores = {"generated/filled": float((made > 0.5).float().mean()), "generated/distance": spread(made > 0.5)}
        rows: list[Tensor] = []
        if isinstance(generator, ImageToVoxels):
            batch = self._batch().to(device)
            likely = {count: reconstructed(generator, batch, count) for count in {1, batch.views.shape[1]}}
            for count, probabilities in sorted(likely.items()):
                overlaps = iou_at(probabilities, batch.occupancy.cpu() > 0, THRESHOLDS).mean(0).tolist()
                scores |= {f"held_out/iou@{t}/{count}_views": iou for t, iou in zip(THRESHOLDS, overlaps, strict=True)}
            rows = rows_of(batch, likely[max(likely)])
        columns = len(rows[0]) if rows else 8
        gallery = torch.stack([pictured(one.numpy(), CAMERAS[0]) for one in made])
        save_png(sheet([*rows, *gallery.split(columns)]), folder / f"step-{step:08d}.png")
        return scores

    def _batch(self) -> Objects:
        count = min(self.objects, len(self.dataset))
        return collate([self.dataset[Sample(number * len(self.dataset) // count, SEED)] for number in range(count)])


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
