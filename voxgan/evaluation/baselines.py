"""Baselines of reconstruction from training objects: mean shapes, nearest pictures, and the retrieval oracle.

They hold at most CHUNK_VOXELS voxels in memory at once, and 2 kB of each training picture.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from accelerate.utils import tqdm
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from voxgan.data.packed import PackedDataset
from voxgan.files.images import frame_or_blank
from voxgan.metrics.occupancy import pairwise_iou

CHUNK_VOXELS = 2**24
"""Voxels of training objects held at once."""
PICTURES_PER_CHUNK = 2048
"""Training pictures compared at once."""
PICTURE_SIDE = 32
"""Width and height of the pictures that are compared."""
THRESHOLDS = tuple(number / 20 for number in range(1, 20))

PictureFeatures = UInt8[np.ndarray, "pictures 2 height width"]


def load_occupancies(packed: PackedDataset, indices: Sequence[int]) -> Bool[Tensor, "objects x y z"]:
    """Read the voxels of objects."""
    return torch.from_numpy(np.stack([packed.occupancy(index) for index in indices]))


def load_fractions(packed: PackedDataset, indices: Sequence[int]) -> Float[Tensor, "objects x y z"]:
    """Read the fraction of each voxel that objects fill: what networks are trained on."""
    return torch.from_numpy(np.stack([packed.fractions(index) for index in indices]))


def iterate_chunks(
    packed: PackedDataset, indices: Sequence[int]
) -> Iterator[tuple[list[int], Bool[Tensor, "objects x y z"]]]:
    """Yield objects and their voxels, about CHUNK_VOXELS at a time."""
    size = max(1, CHUNK_VOXELS // packed.side**3)
    for first in range(0, len(indices), size):
        chunk = list(indices[first : first + size])
        yield chunk, load_occupancies(packed, chunk)


# ------------------------------------------------------------------------------------------------------- shapes alone


def mean_shapes(packed: PackedDataset, train: Sequence[int]) -> dict[str, Bool[Tensor, "x y z"]]:
    """Return the mean occupancy of each class, binarised at the threshold of the best mean IoU with its objects.

    The key "" holds the mean of all training objects, for test objects of other classes.
    """
    groups = {label: [n for n in train if packed.objects[n].label == label] for label in packed.classes}
    return {label: mean_shape(packed, members) for label, members in {**groups, "": list(train)}.items() if members}


def mean_shape(packed: PackedDataset, members: Sequence[int]) -> Bool[Tensor, "x y z"]:
    """Return the mean occupancy of objects, binarised at the threshold of THRESHOLDS with the best mean IoU."""
    mean = sum((chunk.float().sum(0) for _, chunk in iterate_chunks(packed, members)), torch.zeros(())) / len(members)
    shapes = torch.stack([mean > threshold for threshold in THRESHOLDS])
    scores = sum((pairwise_iou(shapes, chunk).sum(1) for _, chunk in iterate_chunks(packed, members)), torch.zeros(()))
    return shapes[scores.argmax()]


def oracle_iou(packed: PackedDataset, train: Sequence[int], truth: Bool[Tensor, "objects x y z"]) -> Tensor:
    """Return the highest IoU of each object with any training object: the upper bound of retrieval."""
    return torch.stack([pairwise_iou(truth, chunk).amax(1) for _, chunk in iterate_chunks(packed, train)]).amax(0)


def same_class(packed: PackedDataset, train: Sequence[int], label: str) -> list[int]:
    """Return the training objects of a class, or all of them if there are none."""
    return [n for n in train if packed.objects[n].label == label] or list(train)


# ------------------------------------------------------------------------------------------------------------ pictures


def picture_features(picture: UInt8[np.ndarray, "height width 4"]) -> UInt8[np.ndarray, "2 side side"]:
    """Return silhouette and grey shading of a framed picture, PICTURE_SIDE pixels a side; black outside the object."""
    small = frame_or_blank(picture, PICTURE_SIDE)
    grey = small[..., :3].mean(2) * (small[..., 3] / 255)
    return np.stack([small[..., 3], grey.round().astype(np.uint8)])


@dataclass(frozen=True)
class ViewGallery:
    """The pictures of all training objects."""

    objects: Int[np.ndarray, " objects"]
    """Indices of the objects in the data set."""
    starts: Int[np.ndarray, " objects"]
    """Index of the first picture of each object."""
    pictures: UInt8[np.ndarray, "pictures 2 height width"]
    """Features of all pictures, see `picture_features`."""

    def chunks(self) -> Iterator[tuple[slice, slice]]:
        """Yield ranges of objects and of their pictures, about PICTURES_PER_CHUNK pictures at a time."""
        first, ends = 0, np.append(self.starts[1:], len(self.pictures))
        while first < len(self.objects):
            last = max(first + 1, int(np.searchsorted(ends, self.starts[first] + PICTURES_PER_CHUNK, side="right")))
            yield slice(first, last), slice(int(self.starts[first]), int(ends[last - 1]))
            first = last


def build_gallery(packed: PackedDataset, train: Sequence[int], *, quiet: bool = False) -> ViewGallery:
    """Read the pictures of training objects. Raises ValueError if there are none."""
    pictured = [n for n in train if packed.objects[n].cameras]
    if not pictured:
        raise ValueError(f"{packed.folder} has no pictures of training objects to search")
    wanted = [(n, view) for n in pictured for view in range(len(packed.objects[n].cameras))]
    counts = [len(packed.objects[n].cameras) for n in pictured]
    pictures = np.empty((len(wanted), 2, PICTURE_SIDE, PICTURE_SIDE), np.uint8)
    with ThreadPoolExecutor() as pool:
        features = pool.map(lambda which: picture_features(packed.read_view(*which)), wanted)
        for row, picture in enumerate(tqdm(features, total=len(wanted), unit="picture", leave=False, disable=quiet)):
            pictures[row] = picture
    return ViewGallery(np.array(pictured), np.cumsum([0, *counts[:-1]]), pictures)


@dataclass(frozen=True)
class PictureDistance:
    """Squared distance of silhouettes plus weighted squared distance of shadings; pixels in [0, 1]."""

    shading: float
    """Weight of the shading."""
    pooling: int = 1
    """Side in pixels of the squares that pictures are averaged over first."""

    def __str__(self) -> str:
        return f"squared differences of outline + {self.shading:g} x grey shading at {PICTURE_SIDE // self.pooling} px"

    def embed(self, pictures: PictureFeatures) -> Float[np.ndarray, "pictures numbers"]:
        """Map pictures to points whose squared Euclidean distance is this distance."""
        weights = np.sqrt([1, self.shading], dtype=np.float32)[:, None, None] / 255
        return reduce(pictures * weights, "n c (h p) (w q) -> n (c h w)", "mean", p=self.pooling, q=self.pooling)


PICTURE_DISTANCES = (PictureDistance(0.0), PictureDistance(0.3), PictureDistance(1.0), PictureDistance(1.0, pooling=2))
"""Candidates, of which the best on validation objects is chosen."""


def nearest_objects(
    queries: UInt8[np.ndarray, "objects draws views 2 height width"],
    gallery: ViewGallery,
    *,
    distance: PictureDistance,
    counts: Sequence[int],
) -> dict[int, Int[np.ndarray, "objects draws"]]:
    """Find the gallery object nearest to the first `count` views of each query, for each count.

    The distance of an object from a picture is that of its nearest picture; for several pictures it is summed.
    """
    objects, draws = queries.shape[:2]
    points = distance.embed(rearrange(queries, "o d v c h w -> (o d v) c h w"))
    lowest = {count: np.full((objects, draws), np.inf) for count in counts}
    found = {count: np.zeros((objects, draws), np.int64) for count in counts}
    for members, pictures in gallery.chunks():
        others = distance.embed(gallery.pictures[pictures])
        far = (points**2).sum(1)[:, None] + (others**2).sum(1) - 2 * points @ others.T
        far = np.minimum.reduceat(far, gallery.starts[members] - pictures.start, axis=1)
        far = rearrange(far, "(o d v) n -> o d v n", o=objects, d=draws)
        for count in counts:
            total = far[:, :, :count].sum(2)
            closer = total.min(2) < lowest[count]
            lowest[count] = np.where(closer, total.min(2), lowest[count])
            found[count] = np.where(closer, gallery.objects[members][total.argmin(2)], found[count])
    return found
