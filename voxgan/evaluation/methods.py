"""Reconstruction methods: their protocol, and that of a model with an encoder (`predictions` has that of files)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
import trimesh
from accelerate.utils import tqdm
from einops import reduce
from jaxtyping import Float, Int
from torch import Tensor

from gancore.evaluation.methods import Method
from voxgan.data.packed import PackedDataset
from voxgan.evaluation.baselines import THRESHOLDS, load_occupancies
from voxgan.evaluation.media import extract_whole_surface
from voxgan.evaluation.views import ViewSelection, format_view_count
from voxgan.metrics.occupancy import coarsen, iou_at
from voxgan.networks.image_to_voxels import ImageToVoxels


class Prediction(NamedTuple):
    """A predicted object."""

    probabilities: Float[Tensor, "x y z"]
    mesh: trimesh.Trimesh | None = None
    """The predicted surface; None if only voxels were predicted."""

    def surface(self, threshold: float) -> trimesh.Trimesh | None:
        """Return the predicted surface, or that of the probabilities; None if none of them is above the threshold."""
        if self.mesh is not None:
            return self.mesh
        return extract_whole_surface(self.probabilities, threshold=threshold)


@runtime_checkable
class ReconstructionMethod(Method, Protocol):
    """A method that reconstructs objects of a data set, in one or several variants that are scored separately."""

    def iou(self, indices: Sequence[int]) -> dict[str, Float[Tensor, "objects thresholds"]]:
        """Compute the IoU of each object at each of THRESHOLDS, by variant."""

    def predict(self, index: int) -> dict[str, Prediction]:
        """Reconstruct an object, by variant."""


@dataclass(frozen=True, kw_only=True)
class ModelMethod:
    """A model with an encoder, in a variant for each number of pictures; `predict` uses the first draw of them.

    Probabilities on a finer grid than the data set's are averaged down to it.
    """

    model: ImageToVoxels
    selection: ViewSelection
    batch: int
    """Objects per batch."""
    class_conditional: bool = False
    """Whether the model is given the classes."""
    name: str = "model"

    def iou(self, indices: Sequence[int]) -> dict[str, Float[Tensor, "objects thresholds"]]:
        scores = model_iou(
            self.model, self.selection, indices, batch=self.batch, class_conditional=self.class_conditional
        )
        return {f"{self.name}, {format_view_count(count)}": row for count, row in scores.items()}

    @torch.inference_mode()
    def predict(self, index: int) -> dict[str, Prediction]:
        device = next(self.model.parameters()).device
        views = self.selection.encoder_inputs(index, self.model)[:1].to(device)
        labels = class_labels(self.model, self.selection.packed, [index]).to(device) if self.class_conditional else None
        probabilities = {count: self.model(views[:, :count], labels).sigmoid() for count in self.selection.views}
        return {
            f"{self.name}, {format_view_count(count)}": Prediction(coarsen(found, self.selection.packed.side)[0].cpu())
            for count, found in probabilities.items()
        }


def model_iou(
    model: ImageToVoxels,
    selection: ViewSelection,
    indices: Sequence[int],
    *,
    batch: int,
    class_conditional: bool = False,
) -> dict[int, Float[Tensor, "objects thresholds"]]:
    """Compute the IoU of reconstructed objects at each of THRESHOLDS, averaged over the draws.

    Args:
        model: The model, on the device to use.
        selection: The pictures that it sees.
        indices: The objects.
        batch: Objects per batch.
        class_conditional: Whether the model is given the classes.

    Returns:
        The scores, by number of views.

    Raises:
        ValueError: The model is given a class that it was not trained on.
    """
    device = next(model.parameters()).device
    scores: dict[int, list[Tensor]] = {count: [] for count in selection.views}
    for first in tqdm(range(0, len(indices), batch), unit="batch", leave=False):
        chunk = indices[first : first + batch]
        views = torch.cat([selection.encoder_inputs(index, model) for index in chunk]).to(device)
        truth = load_occupancies(selection.packed, chunk).repeat_interleave(selection.view_draws, 0).to(device)
        labels = None
        if class_conditional:
            labels = class_labels(model, selection.packed, chunk).repeat_interleave(selection.view_draws).to(device)
        for count in selection.views:
            found = coarsen(model(views[:, :count], labels).sigmoid(), selection.packed.side)
            at = iou_at(found, truth, THRESHOLDS)
            scores[count].append(reduce(at, "(o d) t -> o t", "mean", d=selection.view_draws).cpu())
    return {count: torch.cat(parts) for count, parts in scores.items()}


def class_labels(model: ImageToVoxels, packed: PackedDataset, indices: Sequence[int]) -> Int[Tensor, " objects"]:
    """Return the class indices of objects. Raises ValueError if the model was not trained on one of the classes."""
    return torch.tensor([model.shape.class_index(packed.objects[index].label) for index in indices])
