"""What a model does on held-out objects while it trains: a sheet, and scores by the number of views."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gancore.data import Draws, Sample
from voxgan.dataset import Objects, VoxelDataset, collate
from voxgan.generator import VoxelGenerator
from voxgan.networks import ImageToVoxels

SEED = 0


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Called in training with the averaged generator; the objects, views and latents are the same every time."""

    dataset: VoxelDataset
    objects: int = 64

    @torch.no_grad()
    def __call__(self, generator: ImageToVoxels | VoxelGenerator, step: int, folder: Path) -> Mapping[str, float]:
        """Writes step-<n>.png and returns the scores."""
        device = next(generator.parameters()).device
        network = generator.generator if isinstance(generator, ImageToVoxels) else generator
        made = network(network.draw(Draws(SEED, device=device), 16)).sigmoid()
        scores = {"generated/filled": float((made > 0.5).float().mean()), "generated/distance": spread(made > 0.5)}
        if isinstance(generator, ImageToVoxels):
            batch = self._batch().to(device)
            for count in sorted({1, batch.views.shape[1]}):
                likely = generator(batch.views[:, :count], batch.labels if network.embedding else None).sigmoid()
                for threshold in (0.3, 0.4, 0.5):
                    scores[f"held_out/iou@{threshold}/{count}_views"] = float(
                        iou(likely > threshold, batch.occupancy > 0).mean()
                    )
        return scores

    def _batch(self) -> Objects:
        count = min(self.objects, len(self.dataset))
        return collate([self.dataset[Sample(number * len(self.dataset) // count, SEED)] for number in range(count)])


def iou(a: Tensor, b: Tensor) -> Float[Tensor, " batch"]:
    """Intersection over union of each pair of occupancies; 1 where both are empty."""
    both, either = (a & b).sum((1, 2, 3)), (a | b).sum((1, 2, 3))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def spread(occupancies: Tensor) -> float:
    """The mean of 1 - IoU over all pairs of different objects: 0 where all are the same."""
    pairs = torch.combinations(torch.arange(len(occupancies)))
    return float(1 - iou(occupancies[pairs[:, 0]], occupancies[pairs[:, 1]]).mean())
