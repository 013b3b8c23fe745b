"""Distances between sets of objects by features of coarse voxels, and of renders by an image network."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from accelerate.utils import tqdm
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d

from gancore.features.efficientnet import EfficientNet
from gancore.metrics.distances import MIN_SET_SAMPLES, compute_fidelity
from gancore.metrics.neighbours import memorised_share
from voxgan.data.packed import PackedDataset
from voxgan.evaluation.baselines import iterate_chunks
from voxgan.evaluation.media import extract_whole_surface, render_still
from voxgan.evaluation.report import Scores
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene

FEATURE_SIDE = 8
"""Side of the averaged voxels that serve as features of an object."""
RENDER_BATCH = 16
"""Renders per batch of the network."""

Objects = Bool[Tensor, "objects x y z"]

CONVENTIONS = {
    f"voxels at {FEATURE_SIDE}^3": f"Features are the occupancy averaged to {FEATURE_SIDE}^3 voxels: no network.",
    "frechet_distance": "Grows as samples get fewer: compare it with that of the training objects.",
    "memorised": "Share of objects no further from a training object than that one's own nearest training neighbour.",
    "renders": "Features are of EfficientNet-Lite0 (not Inception: no FID) on shaded renders of surfaces of voxels, "
    "each a sample, from azimuths evenly around; every set is rendered alike.",
}


def measure_fidelity(
    sets: Mapping[str, Objects], real: Objects, packed: PackedDataset, *, train: Sequence[int], renders: int, seed: int
) -> dict[str, Scores]:
    """Compare each set with the real one, by kind of features; empty if a set has fewer than MIN_SET_SAMPLES objects.

    Args:
        sets: Voxels of the objects, by the name of the set.
        real: The real objects.
        packed: The data set.
        train: Indices of its training objects.
        renders: Renders per object for the image network; 0 for no comparison by renders.
        seed: Seed of random choices in the distances.
    """
    if min(map(len, (real, *sets.values()))) < MIN_SET_SAMPLES:
        return {}
    found = {f"voxels at {FEATURE_SIDE}^3": voxel_fidelity(sets, real, packed, train=train, seed=seed)}
    if renders and (network := load_image_network()):
        found[f"{renders} renders each, {network.name}"] = render_fidelity(
            sets, real, network, renders=renders, seed=seed
        )
    return found


def voxel_fidelity(
    sets: Mapping[str, Objects], real: Objects, packed: PackedDataset, *, train: Sequence[int], seed: int
) -> Scores:
    """Compare each set with the real one by coarse voxels, and measure its memorised share."""
    known = torch.cat([voxel_features(chunk) for _, chunk in iterate_chunks(packed, train)])
    features = {name: voxel_features(objects) for name, objects in sets.items()}
    scores: Scores = {
        name: {**compute_fidelity(voxel_features(real), rows, seed=seed)} for name, rows in features.items()
    }
    if len(known) > 1:
        scores |= {"real objects": {}}
        for name, rows in {**features, "real objects": voxel_features(real)}.items():
            scores[name]["memorised"] = memorised_share(rows, known)
    return scores


def voxel_features(objects: Objects) -> Float[Tensor, "objects numbers"]:
    """Average the occupancy over coarse voxels."""
    return adaptive_avg_pool3d(objects.float()[:, None], FEATURE_SIDE).flatten(1)


def load_image_network() -> EfficientNet | None:
    """Load the image network; None if its weights have not been fetched."""
    try:
        return EfficientNet()
    except FileNotFoundError:
        return None


def render_fidelity(
    sets: Mapping[str, Objects], real: Objects, network: EfficientNet, *, renders: int, seed: int
) -> Scores:
    """Compare each set with the real one by the network's features of renders."""
    known = render_features(real, network, renders=renders)
    return {
        name: {**compute_fidelity(known, render_features(objects, network, renders=renders), seed=seed)}
        for name, objects in sets.items()
    }


def render_features(objects: Objects, network: EfficientNet, *, renders: int) -> Float[Tensor, "renders numbers"]:
    """Compute a row of features for each render of each object, RENDER_BATCH renders at a time."""
    waiting: list[Tensor] = []
    rows = []
    for picture in tqdm(render_objects(objects, renders), total=len(objects) * renders, unit="render", leave=False):
        waiting.append(picture)
        if len(waiting) == RENDER_BATCH:
            rows.append(network(torch.stack(waiting)[:, None]))
            waiting.clear()
    return torch.cat([*rows, network(torch.stack(waiting)[:, None])] if waiting else rows)


def render_objects(objects: Objects, renders: int) -> Iterator[UInt8[Tensor, "3 side side"]]:
    """Render each object from evenly spaced azimuths, the first a little to the right of its front."""
    for voxels in objects:
        mesh = extract_whole_surface(voxels.float())
        scene = Scene(mesh) if mesh else None
        for number in range(renders):
            yield rearrange(render_still(scene, Camera(30.0 + 360 * number / renders)), "h w c -> c h w")
