"""What a page shows of an evaluation: good and bad cases, and pairs for people to choose between."""

from collections.abc import Sequence

import torch
import trimesh
from jaxtyping import Bool, Float
from torch import Tensor

from gancore.reporting.page import Item
from gancore.reporting.preference import Pair
from voxgan.data.packed import PackedSet
from voxgan.evaluation.generation import nearest_training
from voxgan.evaluation.media import Film, beside, still, surface_of, turning
from voxgan.evaluation.reconstruction import Candidate, Made, Trials
from voxgan.metrics.occupancy import iou

SHOWN = 3
"""Best, median and worst objects shown, of each."""
MADE = 9
"""Objects from noise shown."""
RATED = 24
"""Pairs on a page for people."""
REAL = "real"

Objects = Bool[Tensor, "objects x y z"]
Meshes = Sequence[trimesh.Trimesh | None]


def spread_over(count: int, most: int) -> list[int]:
    """At most so many of the numbers below count, evenly spaced."""
    most = min(count, most)
    return [number * count // most for number in range(most)]


# ------------------------------------------------------------------------------------------------------ reconstruction


def extremes(scores: Float[Tensor, " objects"]) -> dict[str, list[int]]:
    """The places of the best, the middle and the worst scores, best first; none comes twice."""
    order = scores.argsort(descending=True, stable=True).tolist()
    few = min(SHOWN, max(1, len(order) // 3))
    start = (len(order) - few) // 2
    groups = {"Best": order[:few], "Median": order[start : start + few], "Worst": order[-few:]}
    taken: set[int] = set()
    found = {}
    for name, places in groups.items():
        found[name] = [place for place in places if place not in taken]
        taken |= {*places}
    return found


def reconstructions(
    candidate: Candidate, trials: Trials, tested: Sequence[int], scores: Float[Tensor, " objects"], *, threshold: float
) -> dict[str, list[Item]]:
    """Best, median and worst objects by the scores: a picture where there is one, the true object, and the made one."""
    found = {}
    for name, places in extremes(scores).items():
        items = []
        for place in places:
            index = tested[place]
            made = next(iter(candidate.made(index).values()))
            films = [true_film(trials.packed, index), made_film(made, threshold)]
            caption = f"{trials.packed.objects[index].id}: IoU {scores[place]:.3f}"
            items.append(Item(caption, beside([*picture_film(trials, index), *films])))
        if items:
            found[f"{name} reconstructions"] = items
    return found


def picture_film(trials: Trials, index: int) -> list[Film]:
    """The picture that the object is reconstructed from first, if it has any."""
    if not trials.packed.objects[index].cameras:
        return []
    return [still(trials.packed.view(index, int(trials.numbers(index)[0, 0])))]


def true_film(packed: PackedSet, index: int) -> Film:
    return turning(surface_of(torch.from_numpy(packed.occupancy(index)).float()))


def made_film(made: Made, threshold: float) -> Film:
    return turning(made.mesh or surface_of(made.probabilities, threshold=threshold))


def reconstruction_pairs(
    candidate: Candidate, packed: PackedSet, tested: Sequence[int], *, name: str, threshold: float
) -> list[Pair]:
    """Real objects against their reconstructions."""
    pairs = []
    for index in (tested[place] for place in spread_over(len(tested), RATED)):
        made = next(iter(candidate.made(index).values()))
        ours = Item(name, beside([made_film(made, threshold)]))
        pairs.append(Pair(packed.objects[index].id, ours, Item(REAL, beside([true_film(packed, index)]))))
    return pairs


# ---------------------------------------------------------------------------------------------------------- generation


def beside_training(objects: Objects, meshes: Meshes, packed: PackedSet, *, train: Sequence[int]) -> list[Item]:
    """Some of the made objects, each with the training object that is most like it."""
    places = spread_over(len(objects), MADE)
    items = []
    for place, index in zip(places, nearest_training(packed, train, objects[places]), strict=True):
        training = torch.from_numpy(packed.occupancy(index))[None]
        overlap = float(iou(objects[place][None], training))
        films = [film_of(objects[place], meshes[place]), true_film(packed, index)]
        items.append(Item(f"made; nearest: {packed.objects[index].id}, IoU {overlap:.3f}", beside(films)))
    return items


def film_of(voxels: Bool[Tensor, "x y z"], mesh: trimesh.Trimesh | None) -> Film:
    return turning(mesh or surface_of(voxels.float()))


def made_pairs(objects: Objects, meshes: Meshes, packed: PackedSet, real: Sequence[int], *, name: str) -> list[Pair]:
    """Real objects against made ones."""
    return [
        Pair(
            packed.objects[real[place]].id,
            Item(name, beside([film_of(objects[place], meshes[place])])),
            Item(REAL, beside([true_film(packed, real[place])])),
        )
        for place in spread_over(len(objects), RATED)
    ]
