"""Ridge regression from features of pictures to voxels: a baseline that is learned in closed form.

It is solved in the dual (Saunders et al. 1998), so that a prediction is a weighted sum of training voxels: memory grows
with the features and the square of the number of pictures, but not with the number of voxels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate.utils import tqdm
from einops import reduce
from jaxtyping import Float, Float64, Int
from torch import Tensor

from gancore.data import evenly_spaced
from gancore.features.efficientnet import EfficientNet
from voxgan.data.packed import PackedDataset
from voxgan.evaluation.baselines import (
    PICTURE_SIDE,
    THRESHOLDS,
    iterate_chunks,
    load_occupancies,
    picture_features,
)
from voxgan.evaluation.methods import Prediction
from voxgan.evaluation.report import RidgeChoice
from voxgan.evaluation.views import ViewSelection, format_view_count
from voxgan.files.images import encode_views, frame_or_blank
from voxgan.metrics.occupancy import iou_at

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Candidate penalties, for features of total variance 1; the best on validation objects is chosen."""
MAX_PICTURES = 4096
"""Maximum number of training pictures; if there are more, evenly spaced objects are used."""
PICTURES_PER_OBJECT = 3
"""Maximum number of pictures of each training object."""
NETWORK_SIDE = 64
"""Width and height of the pictures for the network, on a grey background; its middle map is then 4 x 4."""
BATCH_VOXELS = 2**25
"""Predicted voxels in memory at once."""
HELD_OUT = 5
"""Without validation objects, every fifth training object is held out of the fit for model selection."""

Blocks = list[Float[Tensor, "_pictures _numbers"]]


# ------------------------------------------------------------------------------------------------------------ features


@dataclass(frozen=True)
class PictureBlocks:
    """Features of a picture: silhouette and shading, and with a network its middle map."""

    network: EfficientNet | None

    def __str__(self) -> str:
        name = f"outline and grey shading at {PICTURE_SIDE} px"
        return f"{name}, {self.network.name}'s middle map at {NETWORK_SIDE} px" if self.network else name

    def read(self, packed: PackedDataset, index: int, views: Sequence[int]) -> Blocks:
        """Compute the features of an object's pictures, in blocks that get equal weight."""
        pictures = [packed.read_view(index, view) for view in views]
        pixels = torch.from_numpy(np.stack([picture_features(picture) for picture in pictures])) / 255
        blocks = [pixels[:, channel].flatten(1) for channel in range(pixels.shape[1])]
        if self.network:
            framed = [frame_or_blank(picture, NETWORK_SIDE) for picture in pictures]
            blocks.append(self.network.middle_map(encode_views(framed, mask=False)).flatten(1))
        return blocks


# ---------------------------------------------------------------------------------------------------------- regression


@dataclass(frozen=True)
class LinearKernel:
    """A linear kernel on features that are centred and scaled block by block."""

    means: tuple[Float[Tensor, " _numbers"], ...]
    """Mean of the training features of each block."""
    scales: tuple[float, ...]
    """Factor of each block, which gives it an equal share of a total variance of 1."""
    features: Float[Tensor, "pictures numbers"]
    """Standardised features of the training pictures."""

    def compare(self, blocks: Blocks) -> Float64[Tensor, "queries pictures"]:
        """Compute the kernel between pictures, given by their raw features, and the training pictures."""
        return (standardise(blocks, self.means, self.scales) @ self.features.T).double()

    def gram(self) -> Float64[Tensor, "pictures pictures"]:
        """Compute the kernel matrix of the training pictures."""
        return (self.features @ self.features.T).double()


def build_kernel(blocks: Blocks) -> LinearKernel:
    """Build the kernel from the raw features of the training pictures."""
    means = tuple(block.mean(0) for block in blocks)
    variances = [float(block.var(0, correction=0).sum()) for block in blocks]
    scales = tuple((variance * len(blocks)) ** -0.5 if variance else 0.0 for variance in variances)
    return LinearKernel(means, scales, standardise(blocks, means, scales))


def standardise(
    blocks: Blocks, means: Sequence[Float[Tensor, " _numbers"]], scales: Sequence[float]
) -> Float[Tensor, "_pictures numbers"]:
    """Centre and scale each block of features, and join the blocks."""
    return torch.cat([(block - mean) * scale for block, mean, scale in zip(blocks, means, scales, strict=True)], dim=1)


def factorise(gram: Float64[Tensor, "pictures pictures"], penalty: float) -> Float64[Tensor, "pictures pictures"]:
    """Return the Cholesky factor of the kernel matrix plus the penalty times the identity."""
    return torch.linalg.cholesky(gram + penalty * torch.eye(len(gram), dtype=gram.dtype))


def weigh_pictures(
    similar: Float64[Tensor, "queries pictures"], factor: Float64[Tensor, "pictures pictures"]
) -> Float64[Tensor, "queries pictures"]:
    """Return the weights w of the training pictures such that the prediction is w Y for their targets Y.

    With centred features X, ridge regression with an intercept predicts mean(Y) + x X' (X X' + penalty I)^-1 (Y -
    mean(Y)) (dual form, Saunders et al. 1998), so the weights sum to 1.

    Args:
        similar: Kernel values x X' with the training pictures.
        factor: Cholesky factor of X X' + penalty I.
    """
    weights = torch.cholesky_solve(similar.T, factor).T
    return weights + (1 - weights.sum(1, keepdim=True)) / len(factor)


# -------------------------------------------------------------------------------------------------------------- method


@dataclass(frozen=True, kw_only=True)
class RidgeMethod:
    """Ridge regression as a method, with a variant for each number of views, whose predictions are averaged."""

    selection: ViewSelection
    features: PictureBlocks
    kernel: LinearKernel
    factor: Float64[Tensor, "pictures pictures"]
    objects: tuple[int, ...]
    """Indices of the training objects of the fit."""
    owners: Int[Tensor, " pictures"]
    """Position in `objects` of each training picture's object."""
    mirrored: bool = False
    """Whether a prediction is averaged with its mirror image, left and right exchanged."""
    name: str = "ridge regression"

    def compare(self, index: int) -> Float64[Tensor, "draws views pictures"]:
        """Compute the kernel between the pictures of an object and the training pictures."""
        numbers = self.selection.view_numbers(index)
        shown, places = np.unique(numbers, return_inverse=True)
        similar = self.kernel.compare(self.features.read(self.selection.packed, index, shown.tolist()))
        return similar[torch.from_numpy(places.reshape(numbers.shape))]

    def weigh(self, similar: Float64[Tensor, "draws views pictures"]) -> Float[Tensor, "counts draws objects"]:
        """Return the weights of the training objects, for each number of views."""
        draws, views, _ = similar.shape
        weights = weigh_pictures(similar.flatten(0, 1), self.factor)
        by_object = torch.zeros(len(weights), len(self.objects), dtype=weights.dtype)
        by_object = by_object.index_add_(1, self.owners, weights).view(draws, views, -1).float()
        return torch.stack([by_object[:, :count].mean(1) for count in self.selection.views])

    def blend(self, weights: Float[Tensor, "rows objects"]) -> Float[Tensor, "rows x y z"]:
        """Return the weighted sums of the training objects' voxels, clipped to [0, 1]."""
        packed, first = self.selection.packed, 0
        total = torch.zeros(len(weights), packed.side**3)
        for chunk, voxels in iterate_chunks(packed, self.objects):
            total.addmm_(weights[:, first : first + len(chunk)], voxels.flatten(1).float())
            first += len(chunk)
        total = total.clamp_(0, 1).view(-1, *[packed.side] * 3)
        return (total + total.flip(1)) / 2 if self.mirrored else total

    def score(
        self, indices: Sequence[int], weights: Float[Tensor, "indices counts draws objects"]
    ) -> Float[Tensor, "counts indices thresholds"]:
        """Compute the IoU of predictions, given by their weights, at each of THRESHOLDS, averaged over the draws."""
        _, counts, draws, _ = weights.shape
        size = max(1, BATCH_VOXELS // (counts * draws * self.selection.packed.side**3))
        parts = []
        for first in range(0, len(indices), size):
            chunk = indices[first : first + size]
            truth = load_occupancies(self.selection.packed, chunk).repeat_interleave(counts * draws, 0)
            at = iou_at(self.blend(weights[first : first + size].flatten(0, 2)), truth, THRESHOLDS)
            parts.append(reduce(at, "(o c d) t -> c o t", "mean", c=counts, d=draws))
        return torch.cat(parts, 1)

    def iou(self, indices: Sequence[int]) -> dict[str, Float[Tensor, "objects thresholds"]]:
        shown = tqdm(indices, unit="object", leave=False)
        scores = self.score(indices, torch.stack([self.weigh(self.compare(index)) for index in shown]))
        return dict(zip(self._variants, scores, strict=True))

    def predict(self, index: int) -> dict[str, Prediction]:
        first_draw = self.blend(self.weigh(self.compare(index)[:1])[:, 0])
        return {name: Prediction(voxels) for name, voxels in zip(self._variants, first_draw, strict=True)}

    @property
    def _variants(self) -> list[str]:
        return [f"{self.name}, {format_view_count(count)}" for count in self.selection.views]


def fit_ridge(
    selection: ViewSelection, train: Sequence[int], val: Sequence[int], *, network: EfficientNet | None
) -> tuple[RidgeMethod, RidgeChoice]:
    """Fit to training objects, and choose penalty, mirroring and threshold by mean IoU on validation objects.

    Args:
        selection: The pictures shown; hyperparameters are chosen for the first of its numbers of views.
        train: Objects with pictures to fit to, at least one.
        val: Objects with pictures to choose on; if there are none, every fifth training object takes their place and
            is left out of the fit.
        network: Its middle map is among the features; no map if None.
    """
    chosen = list(val) or list(train[::HELD_OUT])
    fitted = [index for index in train if index not in chosen] or list(train)
    method = prepare_ridge(selection, fitted, PictureBlocks(network))
    gram = method.kernel.gram()
    trial = replace(method, selection=replace(selection, views=selection.views[:1]))
    similar = [trial.compare(index) for index in chosen]
    scores: dict[tuple[float, bool], Float[Tensor, " thresholds"]] = {}
    for penalty in PENALTIES:
        trial = replace(trial, factor=factorise(gram, penalty))
        weights = torch.stack([trial.weigh(each) for each in similar])
        for mirrored in (False, True):
            scores[penalty, mirrored] = replace(trial, mirrored=mirrored).score(chosen, weights)[0].mean(0)
    penalty, mirrored = max(scores, key=lambda each: float(scores[each].max()))
    choice = RidgeChoice(
        features=str(method.features),
        training_objects=len(method.objects),
        training_pictures=len(method.owners),
        penalty=penalty,
        mirrored=mirrored,
        threshold=THRESHOLDS[int(scores[penalty, mirrored].argmax())],
        penalties={f"{each:g}": float(scores[each, mirrored].max()) for each in PENALTIES},
    )
    return replace(method, factor=factorise(gram, penalty), mirrored=mirrored), choice


def prepare_ridge(selection: ViewSelection, train: Sequence[int], features: PictureBlocks) -> RidgeMethod:
    """Compute the features of training objects, of evenly spaced ones if there are many; `factor` is for penalty 1."""
    packed = selection.packed
    objects = [train[number] for number in evenly_spaced(len(train), count=MAX_PICTURES)]
    most = min(PICTURES_PER_OBJECT, MAX_PICTURES // len(objects))
    views = [evenly_spaced(len(packed.objects[index].cameras), count=most) for index in objects]
    wanted = tqdm(zip(objects, views, strict=True), total=len(objects), unit="object", leave=False)
    read = [features.read(packed, index, numbers) for index, numbers in wanted]
    kernel = build_kernel([torch.cat(parts) for parts in zip(*read, strict=True)])
    return RidgeMethod(
        selection=selection,
        features=features,
        kernel=kernel,
        factor=factorise(kernel.gram(), 1.0),
        objects=tuple(objects),
        owners=torch.arange(len(objects)).repeat_interleave(torch.tensor([len(numbers) for numbers in views])),
    )
