"""What a model does on held-out objects while it trains: a sheet, and scores by the number of views."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.data import Sample
from gancore.media import write_png
from gancore.reporting.contact_sheet import make_contact_sheet
from gancore.rng import SampleRandom
from voxgan.data.dataset import ObjectBatch, VoxelDataset, collate
from voxgan.mesh.surface import extract_surface
from voxgan.metrics.occupancy import iou_at, mean_pairwise_distance, pairwise_iou
from voxgan.metrics.sets import coverage, minimum_matching_distance
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.objective import VoxelModel
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene, composite_over

SEED = 0
NUM_HELD_OUT, NUM_GENERATED = 6, 16
"""Held-out objects, and objects from noise, on a sheet."""
TILE_SIDE = 96
CAMERAS = (Camera(30.0, 20.0), Camera(210.0, 20.0))
BACKGROUND = (255, 255, 255)
THRESHOLDS = (0.3, 0.4, 0.5)


@dataclass(frozen=True, kw_only=True)
class VoxelPreview:
    """Called in training with the averaged generator; the objects, views and latents are the same every time."""

    dataset: VoxelDataset | None
    """Held-out objects; without any, objects from noise alone are shown."""

    @torch.no_grad()
    def __call__(self, generator: VoxelModel, step: int, folder: Path) -> None:
        """Writes step-<n>.png; changes nothing in the generator."""
        folder.mkdir(parents=True, exist_ok=True)
        rows: list[Tensor] = []
        if self.dataset and isinstance(generator, ImageToVoxels):
            batch = load_examples(self.dataset, NUM_HELD_OUT).to(model_device(generator))
            rows = comparison_rows(batch, reconstruct_batch(generator, batch, batch.views.shape[1]))
        columns = len(rows[0]) if rows else 8
        gallery = torch.stack(
            [render_tile(one.numpy(), CAMERAS[0]) for one in generate_probabilities(generator, NUM_GENERATED)]
        )
        write_png(folder / f"step-{step:08d}.png", make_contact_sheet([*rows, *gallery.split(columns)]))


@dataclass(frozen=True, kw_only=True)
class VoxelValidation:
    """Scores of the averaged generator beside held-out objects; objects, views and latents are the same every time."""

    dataset: VoxelDataset
    from_images: bool
    """Whether the generator makes objects from pictures, not from noise alone."""
    num_objects: int = 64

    @property
    def best_metric(self) -> str:
        """The score that counts."""
        return "highest held_out/iou@0.4/1_views" if self.from_images else "lowest held_out/mmd"

    @torch.no_grad()
    def __call__(self, generator: VoxelModel) -> Mapping[str, float]:
        """IoU of reconstructions by views and threshold, and how objects from noise lie among the held-out ones."""
        batch = load_examples(self.dataset, self.num_objects).to(model_device(generator))
        true, made = batch.occupancy.cpu() > 0, generate_probabilities(generator, len(batch)) > 0.5
        apart = 1 - pairwise_iou(made, true)
        scores = {
            "generated/filled": float(made.float().mean()),
            "generated/distance": mean_pairwise_distance(made),
            "held_out/mmd": minimum_matching_distance(apart),
            "held_out/cov": coverage(apart),
        }
        if isinstance(generator, ImageToVoxels):
            for count in sorted({1, batch.views.shape[1]}):
                overlaps = iou_at(reconstruct_batch(generator, batch, count), true, THRESHOLDS).mean(0).tolist()
                scores |= {f"held_out/iou@{t}/{count}_views": iou for t, iou in zip(THRESHOLDS, overlaps, strict=True)}
        return scores


def load_examples(dataset: VoxelDataset, count: int) -> ObjectBatch:
    """So many objects from all over the data set, or all if there are fewer."""
    count = min(count, len(dataset))
    return collate([dataset[Sample(number * len(dataset) // count, SEED)] for number in range(count)])


def model_device(generator: VoxelModel) -> torch.device:
    return next(generator.parameters()).device


def generate_probabilities(generator: VoxelModel, count: int) -> Float[Tensor, "count x y z"]:
    """Probabilities of objects from the prior, on the CPU, the same every time."""
    network = generator.generator if isinstance(generator, ImageToVoxels) else generator
    latent = network.sample_latents(SampleRandom(SEED, device=model_device(generator)), count)
    return torch.cat([network(group).sigmoid().cpu() for group in latent.split(NUM_GENERATED)])


def reconstruct_batch(generator: ImageToVoxels, batch: ObjectBatch, views: int) -> Float[Tensor, "batch x y z"]:
    """Probabilities of the batch's objects, from so many of their views, on the CPU."""
    labels = batch.labels if generator.shape.classes else None
    return generator(batch.views[:, :views], labels).sigmoid().cpu()


def comparison_rows(
    batch: ObjectBatch, made: Float[Tensor, "batch x y z"]
) -> list[UInt8[Tensor, "_tiles 3 tile tile"]]:
    """A row an object: the views that were given, then what it is and what was made of them, from two sides."""
    rows = []
    for views, true, ours in list(zip(batch.views.cpu(), batch.occupancy.cpu(), made, strict=True))[:NUM_HELD_OUT]:
        given = torch.nn.functional.interpolate((views[:, :3] + 1) * 127.5, size=(TILE_SIDE, TILE_SIDE)).to(torch.uint8)
        solids = [render_tile(grid.numpy(), camera) for camera in CAMERAS for grid in (true, ours)]
        rows.append(torch.cat([given, torch.stack(solids)]))
    return rows


def render_tile(probabilities: np.ndarray, camera: Camera) -> UInt8[Tensor, "3 tile tile"]:
    """The object as it is seen; blank paper where there is none."""
    try:
        pixels = composite_over(Scene(extract_surface(probabilities)).render(camera, side=TILE_SIDE), BACKGROUND)
    except ValueError:
        pixels = np.full((TILE_SIDE, TILE_SIDE, 3), 255, np.uint8)
    return rearrange(torch.from_numpy(pixels), "h w c -> c h w")
