"""Validation during training: a contact sheet of reconstructions and samples, and scores on held-out objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import pad

from gancore.data import Sample, evenly_spaced
from gancore.files.media import write_png
from gancore.reporting.contact_sheet import make_contact_sheet
from gancore.rng import SampleRandom
from voxgan.data.dataset import ObjectBatch, VoxelDataset, collate
from voxgan.mesh.surface import extract_surface
from voxgan.metrics.occupancy import iou_at, mean_pairwise_distance, pairwise_iou
from voxgan.metrics.sets import coverage, minimum_matching_distance
from voxgan.networks.image_to_voxels import ImageToVoxels, VoxelModel, object_generator
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene, composite_over

SEED = 0
"""Seed of the views and the noise, the same at every step."""
NUM_HELD_OUT, NUM_GENERATED = 6, 16
"""Held-out objects, and objects from noise, on a sheet."""
TILE_SIDE = 96
"""Width and height of a tile in pixels."""
CAMERAS = (Camera(30.0, 20.0), Camera(210.0, 20.0))
"""Cameras from which objects are rendered: in front to the right, and behind to the left."""
BACKGROUND = (255, 255, 255)
THRESHOLDS = (0.3, 0.4, 0.5)
"""Occupancy probabilities above which a voxel counts as filled in the scores."""
TILE_GAP = 2
"""Pixels between the tiles of a sheet."""
CAPTION_HEIGHT = 28
"""Pixels for the two lines of a caption."""


@dataclass(frozen=True, kw_only=True)
class VoxelPreview:
    """Draws a sheet of the EMA generator's outputs; objects, views and latents are the same at every step."""

    dataset: VoxelDataset | None
    """Held-out objects; if None, only objects from noise are drawn."""

    @torch.no_grad()
    def __call__(self, generator: VoxelModel, step: int, folder: Path) -> None:
        """Writes step-<n>.png into the folder; changes nothing in the generator."""
        folder.mkdir(parents=True, exist_ok=True)
        sections, columns = [], 8
        if self.dataset and isinstance(generator, ImageToVoxels):
            batch = load_examples(self.dataset, NUM_HELD_OUT).to(model_device(generator))
            views = batch.views.shape[1]
            rows = comparison_rows(batch, reconstruct_batch(generator, batch, views))
            columns = len(rows[0])
            sections.append(add_captions(make_contact_sheet(rows, gap=TILE_GAP), comparison_captions(views)))
        probabilities = generate_probabilities(generator, NUM_GENERATED)
        tiles = torch.stack([render_tile(one.numpy(), CAMERAS[0]) for one in probabilities])
        sections.append(add_captions(make_contact_sheet(tiles.split(columns), gap=TILE_GAP), ["samples\nfrom noise"]))
        width = max(section.shape[2] for section in sections)
        sheet = torch.cat([pad(section, (0, width - section.shape[2]), value=255) for section in sections], 1)
        write_png(folder / f"step-{step:08d}.png", sheet)


@dataclass(frozen=True, kw_only=True)
class VoxelValidation:
    """Scores the EMA generator against held-out objects; objects, views and latents are the same at every step."""

    dataset: VoxelDataset
    from_images: bool
    """Whether the model has an image encoder."""
    num_objects: int = 64
    """Number of held-out objects to score, and of objects from noise to compare with them."""

    @property
    def best_metric(self) -> str:
        """The score that decides which weights are best."""
        return "highest held_out/iou@0.4/1_views" if self.from_images else "lowest held_out/mmd"

    @torch.no_grad()
    def __call__(self, generator: VoxelModel) -> Mapping[str, float]:
        """IoU of reconstructions by views and threshold; MMD, coverage and diversity of objects from noise."""
        batch = load_examples(self.dataset, self.num_objects).to(model_device(generator))
        real, generated = batch.occupancy.cpu() > 0.5, generate_probabilities(generator, len(batch)) > 0.5
        distances = 1 - pairwise_iou(generated, real)
        scores = {
            "generated/filled": float(generated.float().mean()),
            "generated/distance": mean_pairwise_distance(generated),
            "held_out/mmd": minimum_matching_distance(distances),
            "held_out/cov": coverage(distances),
        }
        if isinstance(generator, ImageToVoxels):
            for count in sorted({1, batch.views.shape[1]}):
                overlaps = iou_at(reconstruct_batch(generator, batch, count), real, THRESHOLDS).mean(0).tolist()
                scores |= {f"held_out/iou@{t}/{count}_views": iou for t, iou in zip(THRESHOLDS, overlaps, strict=True)}
        return scores


def load_examples(dataset: VoxelDataset, count: int) -> ObjectBatch:
    """`count` objects evenly spaced over the data set, or all if it has fewer."""
    return collate([dataset[Sample(index, SEED)] for index in evenly_spaced(len(dataset), count=count)])


def model_device(generator: VoxelModel) -> torch.device:
    """The device of the generator's weights."""
    return next(generator.parameters()).device


def generate_probabilities(generator: VoxelModel, count: int) -> Float[Tensor, "count x y z"]:
    """Occupancy probabilities of `count` objects from noise, on the CPU; the same at every call."""
    network = object_generator(generator)
    latent = network.sample_latents(SampleRandom(SEED, device=model_device(generator)), count)
    return torch.cat([network(group).sigmoid().cpu() for group in latent.split(NUM_GENERATED)])


def reconstruct_batch(generator: ImageToVoxels, batch: ObjectBatch, views: int) -> Float[Tensor, "batch x y z"]:
    """Occupancy probabilities of the batch's objects from the first `views` of their views, on the CPU."""
    labels = batch.labels if generator.shape.classes else None
    return generator(batch.views[:, :views], labels).sigmoid().cpu()


def comparison_rows(
    batch: ObjectBatch, probabilities: Float[Tensor, "batch x y z"]
) -> list[UInt8[Tensor, "_tiles 3 tile tile"]]:
    """A row for each object: the given views, then from each camera the ground truth and the reconstruction."""
    rows = []
    examples = list(zip(batch.views.cpu(), batch.occupancy.cpu(), probabilities, strict=True))
    for views, truth, reconstruction in examples[:NUM_HELD_OUT]:
        given = torch.nn.functional.interpolate((views[:, :3] + 1) * 127.5, size=(TILE_SIDE, TILE_SIDE)).to(torch.uint8)
        solids = [render_tile(grid.numpy(), camera) for camera in CAMERAS for grid in (truth, reconstruction)]
        rows.append(torch.cat([given, torch.stack(solids)]))
    return rows


def comparison_captions(views: int) -> list[str]:
    """The captions of the columns of `comparison_rows`."""
    given = ["given view"] if views == 1 else [f"given\nview {number}" for number in range(1, views + 1)]
    angles = [f"from {camera.azimuth:.0f}\N{DEGREE SIGN}" for camera in CAMERAS]
    return given + [f"{name}\n{angle}" for angle in angles for name in ("ground truth", "reconstruction")]


def add_captions(sheet: UInt8[Tensor, "3 height width"], captions: Sequence[str]) -> UInt8[Tensor, "3 taller width"]:
    """Puts a line of captions, one for each column from the left, above a contact sheet."""
    line = Image.new("RGB", (sheet.shape[2], CAPTION_HEIGHT), BACKGROUND)
    column = TILE_SIDE + TILE_GAP
    for number, caption in enumerate(captions):
        ImageDraw.Draw(line).multiline_text((TILE_GAP + number * column, 0), caption, fill=(0, 0, 0))
    return torch.cat([rearrange(torch.from_numpy(np.array(line)), "h w c -> c h w"), sheet], 1)


def render_tile(probabilities: np.ndarray, camera: Camera) -> UInt8[Tensor, "3 tile tile"]:
    """The object seen from the camera; blank if it has no surface."""
    try:
        pixels = composite_over(Scene(extract_surface(probabilities)).render(camera, side=TILE_SIDE), BACKGROUND)
    except ValueError:
        pixels = np.full((TILE_SIDE, TILE_SIDE, 3), 255, np.uint8)
    return rearrange(torch.from_numpy(pixels), "h w c -> c h w")
