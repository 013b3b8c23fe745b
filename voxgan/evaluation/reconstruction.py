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

from gancore.data import mix
from voxgan.data.packed import PackedSet
from voxgan.evaluation import baselines
from voxgan.evaluation.baselines import THRESHOLDS, Distance, Gallery, features, in_frame, occupancies
from voxgan.files.images import encoded
from voxgan.metrics.occupancy import iou, iou_at
from voxgan.networks.image_to_voxels import ImageToVoxels

QUERIES = 64
"""Objects whose pictures are looked up at once."""


@dataclass(frozen=True)
class Trials:
    """Which pictures of the objects are shown, each object in several draws whose scores are averaged."""

    packed: PackedSet
    views: tuple[int, ...]
    """Numbers of pictures to reconstruct from."""
    draws: int
    seed: int

    def numbers(self, index: int) -> Int[np.ndarray, "draws views"]:
        """Pictures in order: 3 views include the 1 view; none comes twice among first ones while there are others."""
        total, most = len(self.packed.objects[index].cameras), max(self.views)
        random = np.random.default_rng(mix(self.seed, index))
        rounds = [random.permutation(total) for _ in range(-(-self.draws * most // total))]
        return np.concatenate(rounds)[: self.draws * most].reshape(most, self.draws).T

    def shown(self, index: int) -> list[UInt8[np.ndarray, "height width 4"]]:
        """The pictures of all draws, one draw after the other."""
        return [self.packed.view(index, int(number)) for number in self.numbers(index).ravel()]

    def encoded(self, index: int, model: ImageToVoxels) -> Float[Tensor, "draws views channels height width"]:
        """The pictures as the model's encoder takes them."""
        encoder = model.encoder.config
        pictures = [in_frame(picture, encoder.size) for picture in self.shown(index)]
        return rearrange(encoded(pictures, mask=encoder.mask), "(d v) c h w -> d v c h w", d=self.draws)

    def queries(self, index: int) -> UInt8[np.ndarray, "draws views 2 height width"]:
        """The pictures as they are looked up."""
        small = np.stack([features(picture) for picture in self.shown(index)])
        return rearrange(small, "(d v) c h w -> d v c h w", d=self.draws)


class Made(NamedTuple):
    """An object to be scored."""

    probabilities: Float[Tensor, "x y z"]
    mesh: trimesh.Trimesh | None = None
    """Its surface as it was given; None where that is still to be made of the probabilities."""


@runtime_checkable
class Candidate(Protocol):
    """Who reconstructs the objects of a data set, in one or several ways that are scored apart."""

    def iou(self, indices: Sequence[int]) -> dict[str, Float[Tensor, "objects thresholds"]]:
        """IoU of each object at each of THRESHOLDS, by the name of the way."""

    def made(self, index: int) -> dict[str, Made]:
        """The reconstructions of an object, by the name of the way."""


@dataclass(frozen=True, kw_only=True)
class FromPictures:
    """A model that sees pictures, more in every way; of several draws of them `made` takes the first."""

    model: ImageToVoxels
    trials: Trials
    batch: int
    """Objects at a time."""
    labels: bool = False
    """Whether the model is told the classes."""

    def iou(self, indices: Sequence[int]) -> dict[str, Float[Tensor, "objects thresholds"]]:
        scores = model_iou(self.model, self.trials, indices, batch=self.batch, labels=self.labels)
        return {f"model, {counted(count)}": row for count, row in scores.items()}

    @torch.inference_mode()
    def made(self, index: int) -> dict[str, Made]:
        device = next(self.model.parameters()).device
        shown = self.trials.encoded(index, self.model)[:1].to(device)
        told = known(self.model, self.trials.packed, [index]).to(device) if self.labels else None
        return {
            f"model, {counted(count)}": Made(self.model(shown[:, :count], told).sigmoid()[0].cpu())
            for count in self.trials.views
        }


def counted(views: int) -> str:
    return f"{views} view" + ("s" if views > 1 else "")


def model_iou(
    model: ImageToVoxels, trials: Trials, indices: Sequence[int], *, batch: int, labels: bool = False
) -> dict[int, Float[Tensor, "objects thresholds"]]:
    """IoU by number of views and threshold, a mean over the draws. The model is told the classes if it is to know them.

    Raises ValueError if it does not know one.
    """
    device = next(model.parameters()).device
    scores: dict[int, list[Tensor]] = {count: [] for count in trials.views}
    for first in tqdm(range(0, len(indices), batch), unit="batch", leave=False):
        chunk = indices[first : first + batch]
        shown = torch.cat([trials.encoded(index, model) for index in chunk]).to(device)
        truth = occupancies(trials.packed, chunk).repeat_interleave(trials.draws, 0).to(device)
        told = known(model, trials.packed, chunk).repeat_interleave(trials.draws).to(device) if labels else None
        for count in trials.views:
            at = iou_at(model(shown[:, :count], told).sigmoid(), truth, THRESHOLDS)
            scores[count].append(reduce(at, "(o d) t -> o t", "mean", d=trials.draws).cpu())
    return {count: torch.cat(parts) for count, parts in scores.items()}


def known(model: ImageToVoxels, packed: PackedSet, indices: Sequence[int]) -> Int[Tensor, " objects"]:
    """The classes of the objects. Raises ValueError if the model does not know one."""
    return torch.tensor([model.shape.label(packed.objects[index].label) for index in indices])


def shape_rivals(trials: Trials, train: Sequence[int], test: Sequence[int]) -> dict[str, Float[Tensor, "objects 1"]]:
    """IoU of what is found without pictures."""
    packed = trials.packed
    means, random = baselines.mean_shapes(packed, train), np.random.default_rng(trials.seed)
    rows: dict[str, list[Tensor]] = {"mean shape of its class": [], "random object of its class": [], "oracle": []}
    for chunk, truth in baselines.in_chunks(packed, test):
        labels = [packed.objects[index].label for index in chunk]
        mates = {label: baselines.classmates(packed, train, label) for label in set(labels)}
        mean = torch.stack([means[label if label in means else ""] for label in labels])
        strangers = [random.choice(mates[label], trials.draws) for label in labels]
        rows["mean shape of its class"].append(iou(mean, truth))
        rows["random object of its class"].append(found_iou(packed, np.stack(strangers), truth))
        rows["oracle"].append(baselines.best_possible(packed, train, truth))
    return {name: torch.cat(parts)[:, None] for name, parts in rows.items()}


def retrieval_iou(
    trials: Trials, indices: Sequence[int], searched: Gallery, *, distance: Distance
) -> dict[int, Float[Tensor, "objects 1"]]:
    """IoU of the object whose pictures are nearest, by number of views, a mean over the draws."""
    scores: dict[int, list[Tensor]] = {count: [] for count in trials.views}
    for first in tqdm(range(0, len(indices), QUERIES), unit="batch", leave=False):
        chunk = indices[first : first + QUERIES]
        queries = np.stack([trials.queries(index) for index in chunk])
        found = baselines.nearest(queries, searched, distance=distance, counts=trials.views)
        for count, objects in found.items():
            scores[count].append(found_iou(trials.packed, objects, occupancies(trials.packed, chunk)))
    return {count: torch.cat(parts)[:, None] for count, parts in scores.items()}


def found_iou(
    packed: PackedSet, objects: Int[np.ndarray, "objects draws"], truth: Bool[Tensor, "objects x y z"]
) -> Float[Tensor, " objects"]:
    """IoU of objects of the data set with the true ones, a mean over the draws."""
    return torch.stack([iou(occupancies(packed, column), truth) for column in objects.T.tolist()]).mean(0)
