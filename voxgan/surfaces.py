"""How near the surfaces of reconstructed objects are to the true ones, beside the mean shape of the class."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import trimesh
from accelerate.utils import tqdm
from jaxtyping import Float
from torch import Tensor

from voxgan import metrics
from voxgan.baselines import occupancies
from voxgan.mesh import SurfaceConfig, from_occupancy
from voxgan.networks import ImageToVoxels
from voxgan.overlap import ikea_precision
from voxgan.reconstruction import Trials, known

POINTS = 10_000
"""Points of each surface."""
AT = 0.01
"""Share of the cube's side within which a point counts as found."""

CONVENTIONS = {
    "scope": "The first draw of pictures alone; both surfaces by marching cubes after smoothing, all parts kept.",
    "cd_l1_half, cd_l1_sum, cd_l2_half, cd_l2_sum": f"Mean distance of {POINTS} points from the other surface, in cube "
    "sides: l1 as it is, l2 squared; half the mean of both ways, sum their sum.",
    "f_score, precision, recall": f"Points within {AT:g} of the cube's side of the other surface.",
    "normal_consistency": "Mean |n.n'| at nearest places, both ways; blind to a mesh inside out, unlike signed_volume.",
    "ap, ap_aligned": "Average precision on 20^3 voxels as the object stands, and the best of 48 signed permutations "
    "of the axes and shifts up to 10 %.",
    "without_surface": "Share of reconstructions with nothing above the threshold: their f_score is 0, and means of "
    "distances, normals and health leave them out.",
}


def scores(
    model: ImageToVoxels, trials: Trials, indices: Sequence[int], *, threshold: float, labels: bool
) -> dict[str, Any]:
    """Means over objects by number of pictures, and the protocol."""
    surface = SurfaceConfig(threshold=threshold, components=0.0)
    rows: dict[str, list[dict[str, float]]] = {f"{count} view" + "s" * (count > 1): [] for count in trials.views}
    for index in tqdm(indices, unit="object", leave=False):
        truth = occupancies(trials.packed, [index])[0]
        real = from_occupancy(truth.float().numpy(), SurfaceConfig(components=0.0))
        for row, likely in zip(rows.values(), reconstructed(model, trials, index, labels=labels), strict=True):
            row.append({**ikea_precision(likely, truth), **compared(likely, real, surface)})
    return {"conventions": CONVENTIONS, "scores": {name: means(row) for name, row in rows.items()}}


def reconstructed(
    model: ImageToVoxels, trials: Trials, index: int, *, labels: bool
) -> Iterable[Float[Tensor, "x y z"]]:
    """Probabilities of an object by each number of pictures of the first draw."""
    device = next(model.parameters()).device
    shown = trials.encoded(index, model)[:1].to(device)
    told = known(model, trials.packed, [index]).to(device) if labels else None
    for count in trials.views:
        yield model(shown[:, :count], told).sigmoid()[0].cpu()


def compared(likely: Float[Tensor, "x y z"], real: trimesh.Trimesh, surface: SurfaceConfig) -> dict[str, float]:
    """The surface of the probabilities against the true one."""
    if not (likely > surface.threshold).any():
        return {"f_score": 0.0, "precision": 0.0, "recall": 0.0, "without_surface": 1.0}
    mesh = from_occupancy(likely.numpy(), surface)
    return {**metrics.compared(mesh, real, points=POINTS, at=AT), **metrics.health(mesh), "without_surface": 0.0}


def means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each score over the objects that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
