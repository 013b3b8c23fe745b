"""IoU of objects reconstructed from drawn pictures, by a model and by its rivals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
import trimesh
from accelerate.utils import tqdm
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from gancore.rng import derive_seed
from voxgan.data.packed import PackedDataset
from voxgan.evaluation import baselines
from voxgan.evaluation.baselines import (
    THRESHOLDS,
    PictureDistance,
    ViewGallery,
    frame_or_blank,
    load_occupancies,
    picture_features,
)
from voxgan.files.images import encode_views
from voxgan.metrics.occupancy import iou, iou_at
from voxgan.networks.image_to_voxels import ImageToVoxels

QUERIES_PER_BATCH = 64
"""Objects whose pictures are looked up at once."""


@dataclass(frozen=True)
class ViewSelection:
    """Which pictures of the objects are shown, each object in several draws whose scores are averaged."""

    packed: PackedDataset
    views: tuple[int, ...]
    """Numbers of pictures to reconstruct from."""
    view_draws: int
    seed: int

    def view_numbers(self, index: int) -> Int[np.ndarray, "draws views"]:
        """Pictures in order: 3 views include the 1 view; none comes twice among first ones while there are others."""
        total, most = len(self.packed.objects[index].cameras), max(self.views)
        random = np.random.default_rng(derive_seed(self.seed, index))
        rounds = [random.permutation(total) for _ in range(-(-self.view_draws * most // total))]
        return np.concatenate(rounds)[: self.view_draws * most].reshape(most, self.view_draws).T

    def load_views(self, index: int) -> list[UInt8[np.ndarray, "height width 4"]]:
        """The pictures of all draws, one draw after the other."""
        return [self.packed.read_view(index, int(number)) for number in self.view_numbers(index).ravel()]

    def encoder_inputs(self, index: int, model: ImageToVoxels) -> Float[Tensor, "draws views channels height width"]:
        """The pictures as the model's encoder takes them."""
        encoder = model.encoder.config
        pictures = [frame_or_blank(picture, encoder.size) for picture in self.load_views(index)]
        return rearrange(encode_views(pictures, mask=encoder.mask), "(d v) c h w -> d v c h w", d=self.view_draws)

    def query_features(self, index: int) -> UInt8[np.ndarray, "draws views 2 height width"]:
        """The pictures as they are looked up."""
        small = np.stack([picture_features(picture) for picture in self.load_views(index)])
        return rearrange(small, "(d v) c h w -> d v c h w", d=self.view_draws)


class Prediction(NamedTuple):
    """An object to be scored."""

    probabilities: Float[Tensor, "x y z"]
    mesh: trimesh.Trimesh | None = None
    """Its surface as it was given; None where that is still to be made of the probabilities."""


@runtime_checkable
class Method(Protocol):
    """Who reconstructs the objects of a data set, in one or several ways that are scored apart."""

    def iou(self, indices: Sequence[int]) -> dict[str, Float[Tensor, "objects thresholds"]]:
        """IoU of each object at each of THRESHOLDS, by the name of the way."""

    def predict(self, index: int) -> dict[str, Prediction]:
        """The reconstructions of an object, by the name of the way."""


@dataclass(frozen=True, kw_only=True)
class ModelMethod:
    """A model that sees pictures, more in every way; of several draws of them `made` takes the first."""

    model: ImageToVoxels
    selection: ViewSelection
    batch: int
    """Objects at a time."""
    class_conditional: bool = False
    """Whether the model is told the classes."""

    def iou(self, indices: Sequence[int]) -> dict[str, Float[Tensor, "objects thresholds"]]:
        scores = model_iou(self.model, self.selection, indices, batch=self.batch, labels=self.class_conditional)
        return {f"model, {format_view_count(count)}": row for count, row in scores.items()}

    @torch.inference_mode()
    def predict(self, index: int) -> dict[str, Prediction]:
        device = next(self.model.parameters()).device
        shown = self.selection.encoder_inputs(index, self.model)[:1].to(device)
        told = class_labels(self.model, self.selection.packed, [index]).to(device) if self.class_conditional else None
        return {
            f"model, {format_view_count(count)}": Prediction(self.model(shown[:, :count], told).sigmoid()[0].cpu())
            for count in self.selection.views
        }


def format_view_count(views: int) -> str:
    return f"{views} view" + ("s" if views > 1 else "")


def model_iou(
    model: ImageToVoxels, trials: ViewSelection, indices: Sequence[int], *, batch: int, labels: bool = False
) -> dict[int, Float[Tensor, "objects thresholds"]]:
    """IoU by number of views and threshold, a mean over the draws. The model is told the classes if it is to know them.

    Raises ValueError if it does not know one.
    """
    device = next(model.parameters()).device
    scores: dict[int, list[Tensor]] = {count: [] for count in trials.views}
    for first in tqdm(range(0, len(indices), batch), unit="batch", leave=False):
        chunk = indices[first : first + batch]
        shown = torch.cat([trials.encoder_inputs(index, model) for index in chunk]).to(device)
        truth = load_occupancies(trials.packed, chunk).repeat_interleave(trials.view_draws, 0).to(device)
        told = (
            class_labels(model, trials.packed, chunk).repeat_interleave(trials.view_draws).to(device)
            if labels
            else None
        )
        for count in trials.views:
            at = iou_at(model(shown[:, :count], told).sigmoid(), truth, THRESHOLDS)
            scores[count].append(reduce(at, "(o d) t -> o t", "mean", d=trials.view_draws).cpu())
    return {count: torch.cat(parts) for count, parts in scores.items()}


def class_labels(model: ImageToVoxels, packed: PackedDataset, indices: Sequence[int]) -> Int[Tensor, " objects"]:
    """The classes of the objects. Raises ValueError if the model does not know one."""
    return torch.tensor([model.shape.class_index(packed.objects[index].label) for index in indices])


def shape_baselines(
    trials: ViewSelection, train: Sequence[int], test: Sequence[int]
) -> dict[str, Float[Tensor, "objects 1"]]:
    """IoU of what is found without pictures."""
    packed = trials.packed
    means, random = baselines.mean_shapes(packed, train), np.random.default_rng(trials.seed)
    rows: dict[str, list[Tensor]] = {"mean shape of its class": [], "random object of its class": [], "oracle": []}
    for chunk, truth in baselines.iterate_chunks(packed, test):
        labels = [packed.objects[index].label for index in chunk]
        mates = {label: baselines.same_class(packed, train, label) for label in set(labels)}
        mean = torch.stack([means[label if label in means else ""] for label in labels])
        strangers = [random.choice(mates[label], trials.view_draws) for label in labels]
        rows["mean shape of its class"].append(iou(mean, truth))
        rows["random object of its class"].append(mean_draw_iou(packed, np.stack(strangers), truth))
        rows["oracle"].append(baselines.oracle_iou(packed, train, truth))
    return {name: torch.cat(parts)[:, None] for name, parts in rows.items()}


def retrieval_iou(
    trials: ViewSelection, indices: Sequence[int], searched: ViewGallery, *, distance: PictureDistance
) -> dict[int, Float[Tensor, "objects 1"]]:
    """IoU of the object whose pictures are nearest, by number of views, a mean over the draws."""
    scores: dict[int, list[Tensor]] = {count: [] for count in trials.views}
    for first in tqdm(range(0, len(indices), QUERIES_PER_BATCH), unit="batch", leave=False):
        chunk = indices[first : first + QUERIES_PER_BATCH]
        queries = np.stack([trials.query_features(index) for index in chunk])
        found = baselines.nearest_objects(queries, searched, distance=distance, counts=trials.views)
        for count, objects in found.items():
            scores[count].append(mean_draw_iou(trials.packed, objects, load_occupancies(trials.packed, chunk)))
    return {count: torch.cat(parts)[:, None] for count, parts in scores.items()}


def mean_draw_iou(
    packed: PackedDataset, objects: Int[np.ndarray, "objects draws"], truth: Bool[Tensor, "objects x y z"]
) -> Float[Tensor, " objects"]:
    """IoU of objects of the data set with the true ones, a mean over the draws."""
    return torch.stack([iou(load_occupancies(packed, column), truth) for column in objects.T.tolist()]).mean(0)
