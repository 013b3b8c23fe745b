"""What a page shows of an evaluation: good and bad cases, and pairs for people to choose between."""

from collections.abc import Sequence

import torch
import trimesh
from jaxtyping import Bool, Float
from torch import Tensor

from gancore.reporting.page import Media
from gancore.reporting.preference import PreferencePair
from voxgan.data.packed import PackedDataset
from voxgan.evaluation.generation import nearest_training_objects
from voxgan.evaluation.media import (
    Animation,
    animate_still,
    animate_turntable,
    extract_whole_surface,
    join_side_by_side,
)
from voxgan.evaluation.reconstruction import Method, Prediction, ViewSelection
from voxgan.metrics.occupancy import iou

NUM_SHOWN = 3
"""Best, median and worst objects shown, of each."""
NUM_GENERATED = 9
"""Objects from noise shown."""
NUM_PAIRS = 24
"""Pairs on a page for people."""
REAL = "real"

Objects = Bool[Tensor, "objects x y z"]
Meshes = Sequence[trimesh.Trimesh | None]


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most so many of the numbers below count, evenly spaced."""
    most = min(count, most)
    return [number * count // most for number in range(most)]


# ------------------------------------------------------------------------------------------------------ reconstruction


def select_extremes(scores: Float[Tensor, " objects"]) -> dict[str, list[int]]:
    """The places of the best, the middle and the worst scores, best first; none comes twice."""
    order = scores.argsort(descending=True, stable=True).tolist()
    few = min(NUM_SHOWN, max(1, len(order) // 3))
    start = (len(order) - few) // 2
    groups = {"Best": order[:few], "Median": order[start : start + few], "Worst": order[-few:]}
    taken: set[int] = set()
    found = {}
    for name, places in groups.items():
        found[name] = [place for place in places if place not in taken]
        taken |= {*places}
    return found


def reconstruction_media(
    candidate: Method,
    trials: ViewSelection,
    tested: Sequence[int],
    scores: Float[Tensor, " objects"],
    *,
    threshold: float,
) -> dict[str, list[Media]]:
    """Best, median and worst objects by the scores: a picture where there is one, the true object, and the made one."""
    found = {}
    for name, places in select_extremes(scores).items():
        items = []
        for place in places:
            index = tested[place]
            made = next(iter(candidate.predict(index).values()))
            films = [animate_true(trials.packed, index), animate_prediction(made, threshold)]
            caption = f"{trials.packed.objects[index].id}: IoU {scores[place]:.3f}"
            items.append(Media(caption, join_side_by_side([*animate_image(trials, index), *films])))
        if items:
            found[f"{name} reconstructions"] = items
    return found


def animate_image(trials: ViewSelection, index: int) -> list[Animation]:
    """The picture that the object is reconstructed from first, if it has any."""
    if not trials.packed.objects[index].cameras:
        return []
    return [animate_still(trials.packed.read_view(index, int(trials.view_numbers(index)[0, 0])))]


def animate_true(packed: PackedDataset, index: int) -> Animation:
    return animate_turntable(extract_whole_surface(torch.from_numpy(packed.occupancy(index)).float()))


def animate_prediction(made: Prediction, threshold: float) -> Animation:
    return animate_turntable(made.mesh or extract_whole_surface(made.probabilities, threshold=threshold))


def build_reconstruction_pairs(
    candidate: Method, packed: PackedDataset, tested: Sequence[int], *, name: str, threshold: float
) -> list[PreferencePair]:
    """Real objects against their reconstructions."""
    pairs = []
    for index in (tested[place] for place in evenly_spaced(len(tested), NUM_PAIRS)):
        made = next(iter(candidate.predict(index).values()))
        ours = Media(name, join_side_by_side([animate_prediction(made, threshold)]))
        pairs.append(
            PreferencePair(
                packed.objects[index].id, ours, Media(REAL, join_side_by_side([animate_true(packed, index)]))
            )
        )
    return pairs


# ---------------------------------------------------------------------------------------------------------- generation


def nearest_training_media(
    objects: Objects, meshes: Meshes, packed: PackedDataset, *, train: Sequence[int]
) -> list[Media]:
    """Some of the made objects, each with the training object that is most like it."""
    places = evenly_spaced(len(objects), NUM_GENERATED)
    items = []
    for place, index in zip(places, nearest_training_objects(packed, train, objects[places]), strict=True):
        training = torch.from_numpy(packed.occupancy(index))[None]
        overlap = float(iou(objects[place][None], training))
        films = [animate_object(objects[place], meshes[place]), animate_true(packed, index)]
        items.append(Media(f"made; nearest: {packed.objects[index].id}, IoU {overlap:.3f}", join_side_by_side(films)))
    return items


def animate_object(voxels: Bool[Tensor, "x y z"], mesh: trimesh.Trimesh | None) -> Animation:
    return animate_turntable(mesh or extract_whole_surface(voxels.float()))


def build_generation_pairs(
    objects: Objects, meshes: Meshes, packed: PackedDataset, real: Sequence[int], *, name: str
) -> list[PreferencePair]:
    """Real objects against made ones."""
    return [
        PreferencePair(
            packed.objects[real[place]].id,
            Media(name, join_side_by_side([animate_object(objects[place], meshes[place])])),
            Media(REAL, join_side_by_side([animate_true(packed, real[place])])),
        )
        for place in evenly_spaced(len(objects), NUM_PAIRS)
    ]
