"""The media of an evaluation's page: good and bad examples, and objects for raters to choose between."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import trimesh
from jaxtyping import Bool
from torch import Tensor

from gancore.data import evenly_spaced
from gancore.evaluation.examples import select_extremes
from gancore.reporting.page import Media, Mesh3D
from voxgan.data.packed import PackedDataset
from voxgan.evaluation.generation import GeneratedObjects, nearest_training_objects
from voxgan.evaluation.media import (
    Animation,
    animate_still,
    animate_turntable,
    extract_true_surface,
    extract_whole_surface,
    join_side_by_side,
)
from voxgan.evaluation.methods import Prediction, ReconstructionMethod
from voxgan.evaluation.reconstruction import Reconstruction
from voxgan.evaluation.views import ViewSelection
from voxgan.metrics.occupancy import iou

EXAMPLES_PER_RANK = 3
"""Maximum number of best, of median and of worst objects on the page."""
NUM_GENERATED = 9
"""Number of generated objects on the page."""
NUM_TURNABLE = 3
"""Number of interactive generated objects."""
MAX_TURNABLE_FACES = 100_000
"""Larger meshes are left out, which would make the page too large."""
REAL = "real"


class Shown(NamedTuple):
    """An animation of a real, reconstructed or generated object, and the object of the data set it goes with."""

    object_id: str
    media: Media


def reconstruction_media(
    method: ReconstructionMethod, selection: ViewSelection, reconstruction: Reconstruction
) -> dict[str, list[Media]]:
    """Show the best, median and worst objects: a picture if there is one, the true object, and the reconstruction."""
    packed, threshold = selection.packed, float(reconstruction.report.threshold)
    scores = reconstruction.scores.tolist()
    found = {}
    for rank, places in select_extremes(scores, min(EXAMPLES_PER_RANK, max(1, len(scores) // 3)))._asdict().items():
        items = []
        for place in places:
            index = reconstruction.indices[place]
            predicted = next(iter(method.predict(index).values()))
            films = [animate_true(packed, index), animate_prediction(predicted, threshold)]
            caption = f"{packed.objects[index].id}: IoU {scores[place]:.3f}"
            items.append(Media(caption, join_side_by_side([*animate_image(selection, index), *films])))
        if items:
            found[f"{rank.capitalize()} reconstructions"] = items
    return found


def training_neighbour_media(
    generated: GeneratedObjects, packed: PackedDataset, *, train: Sequence[int]
) -> list[Media]:
    """Show some of the generated objects, each with the training object of the highest IoU."""
    places = evenly_spaced(len(generated.objects), count=NUM_GENERATED)
    nearest = nearest_training_objects(packed, train, generated.objects[places])
    items = []
    for place, index in zip(places, nearest, strict=True):
        training = torch.from_numpy(packed.occupancy(index))[None]
        overlap = float(iou(generated.objects[place][None], training))
        films = [animate_object(generated.objects[place], generated.meshes[place]), animate_true(packed, index)]
        caption = f"generated; nearest: {packed.objects[index].id}, IoU {overlap:.3f}"
        items.append(Media(caption, join_side_by_side(films)))
    return items


def reconstruction_meshes(
    method: ReconstructionMethod, selection: ViewSelection, reconstruction: Reconstruction
) -> list[Mesh3D]:
    """Return the surfaces of the best, the median and the worst object: the true one, then its reconstruction."""
    packed, threshold = selection.packed, float(reconstruction.report.threshold)
    scores = reconstruction.scores.tolist()
    meshes = []
    for rank, places in select_extremes(scores, 1)._asdict().items():
        for place in places:
            index = reconstruction.indices[place]
            predicted = next(iter(method.predict(index).values()))
            name = packed.objects[index].id
            true = extract_true_surface(packed, index)
            meshes += to_turnable(f"{rank}: {name}, true", true)
            meshes += to_turnable(f"{rank}: {name}, IoU {scores[place]:.3f}", predicted.surface(threshold))
    return meshes


def generated_meshes(generated: GeneratedObjects) -> list[Mesh3D]:
    """Return the surfaces of some of the generated objects."""
    return [
        mesh
        for place in evenly_spaced(len(generated.objects), count=NUM_TURNABLE)
        for mesh in to_turnable(
            f"generated {place}",
            generated.meshes[place] or extract_whole_surface(generated.objects[place].float()),
        )
    ]


def to_turnable(caption: str, mesh: trimesh.Trimesh | None) -> list[Mesh3D]:
    """Convert a mesh to an interactive one for the page; empty for a mesh without faces or with too many."""
    if mesh is None or not 0 < len(mesh.faces) <= MAX_TURNABLE_FACES:
        return []
    still = Media(caption, join_side_by_side([animate_turntable(mesh, shown=[0])]))
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    return [Mesh3D(caption, vertices, faces, still=still)]


# ---------------------------------------------------------------------------------------------------- preference study


def show_reconstructions(
    method: ReconstructionMethod,
    packed: PackedDataset,
    indices: Sequence[int],
    *,
    threshold: float,
    name: str,
    count: int,
) -> list[Shown]:
    """Show up to `count` of the objects as the method's first variant reconstructs them, captioned with the name."""
    shown = []
    for index in (indices[place] for place in evenly_spaced(len(indices), count=count)):
        predicted = next(iter(method.predict(index).values()))
        media = Media(name, join_side_by_side([animate_prediction(predicted, threshold)]))
        shown.append(Shown(packed.objects[index].id, media))
    return shown


def show_generated(generated: GeneratedObjects, packed: PackedDataset, *, name: str, count: int) -> list[Shown]:
    """Show up to `count` generated objects, captioned with the name; each goes with a real object."""
    return [
        Shown(
            packed.objects[generated.real[place]].id,
            Media(name, join_side_by_side([animate_object(generated.objects[place], generated.meshes[place])])),
        )
        for place in evenly_spaced(len(generated.objects), count=count)
    ]


def show_real(packed: PackedDataset, indices: Sequence[int], *, count: int) -> list[Shown]:
    """Show up to `count` of the objects as they are."""
    return [
        Shown(packed.objects[index].id, Media(REAL, join_side_by_side([animate_true(packed, index)])))
        for index in (indices[place] for place in evenly_spaced(len(indices), count=count))
    ]


# ---------------------------------------------------------------------------------------------------------- animations


def animate_image(selection: ViewSelection, index: int) -> list[Animation]:
    """Return the picture that the object is first reconstructed from; nothing if it has none."""
    if not selection.packed.objects[index].cameras:
        return []
    return [animate_still(selection.packed.read_view(index, int(selection.view_numbers(index)[0, 0])))]


def animate_true(packed: PackedDataset, index: int) -> Animation:
    """Turn the object of the data set once."""
    return animate_turntable(extract_true_surface(packed, index))


def animate_prediction(predicted: Prediction, threshold: float) -> Animation:
    """Turn a predicted object once: its mesh, or the surface of its probabilities."""
    return animate_turntable(predicted.surface(threshold))


def animate_object(voxels: Bool[Tensor, "x y z"], mesh: trimesh.Trimesh | None) -> Animation:
    """Turn an object once: its mesh if there is one, or the surface of its voxels."""
    return animate_turntable(mesh or extract_whole_surface(voxels.float()))
