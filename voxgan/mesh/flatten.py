"""Makes flat what is nearly flat: seats, table tops, shelves and sides, which networks leave wavy."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import trimesh
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse.csgraph import connected_components

LEAST_AREA = 60.0
"""Area of a region in faces of voxels below which it stays as it is."""
FACING = (0.7, 0.88)
"""Component of a vertex's normal along an axis from which on it begins to belong to a region, and belongs wholly."""
LEAST_RADIUS = 40.0
"""Radius of curvature in voxels below which a region is meant to be round."""
ROUND_SHARE = 0.5
"""Share of a region's deviation from its plane that a quadratic surface must explain for that."""
STRENGTH = 0.97
"""Share of its deviation that a region loses: without any left, vertices above one another would meet."""
MAX_SHIFT = 2.0
"""Voxels that a vertex is moved at most."""
NORMAL_ROUNDS = 10
"""Rounds of averaging of normals over neighbours: waves do not make holes in a region, nor a ragged rim."""
RIM_ROUNDS = 8
"""Rounds of averaging of shifts over neighbours, outside of what belongs to a region wholly."""


def flatten_regions(mesh: trimesh.Trimesh, *, voxel: float, deviation: float) -> Float[np.ndarray, "vertices 3"]:
    """The vertices after each region that faces along an axis, either way, was moved onto the plane of its median.

    Regions of more than `deviation` voxels from their plane (root mean square) stay as they are, and so do those that
    are small or round. Towards the rim of a region shifts fade out. `voxel` is the size of one, in units of the mesh.
    """
    vertices = mesh.vertices.copy()
    neighbours = trimesh.smoothing.laplacian_calculation(mesh)
    normals = mesh.vertex_normals
    for _ in range(NORMAL_ROUNDS):
        normals = (normals + neighbours @ normals) / 2
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
    areas = np.bincount(mesh.faces.ravel(), np.repeat(mesh.area_faces / 3, 3), len(vertices)) / voxel**2
    for axis, sign in product(range(3), (1, -1)):
        share = belonging(sign * normals[:, axis])
        for region in find_regions(mesh, share, areas):
            weights, places = (areas * share)[region], vertices[region] / voxel
            heights = places[:, axis]
            off_plane = heights - np.quantile(heights, 0.5, weights=weights, method="inverted_cdf")
            spread = np.average(off_plane**2, weights=weights) ** 0.5
            if spread > deviation or is_round(np.delete(places, axis, 1), off_plane, weights):
                continue
            shift = np.zeros(len(vertices))
            shift[region] = -STRENGTH * share[region] * off_plane.clip(-MAX_SHIFT, MAX_SHIFT) * voxel
            for _ in range(RIM_ROUNDS):
                shift = np.where(share == 1, shift, (shift + neighbours @ shift) / 2)
            vertices[:, axis] += shift
    return vertices


def belonging(component: Float[np.ndarray, " vertices"]) -> Float[np.ndarray, " vertices"]:
    """How far a vertex belongs to a region, in [0, 1], by its normal's component along the axis (smoothstep)."""
    low, high = FACING
    share = ((component - low) / (high - low)).clip(0, 1)
    return share**2 * (3 - 2 * share)


def find_regions(
    mesh: trimesh.Trimesh, share: Float[np.ndarray, " vertices"], areas: Float[np.ndarray, " vertices"]
) -> Iterator[Int[np.ndarray, " region"]]:
    """The vertices of each connected region whose share is above 0, if it is large enough."""
    edges = mesh.edges_unique[(share[mesh.edges_unique] > 0).all(1)]
    graph = sparse.coo_matrix((np.ones(len(edges)), edges.T), shape=(len(share), len(share)))
    _, labels = connected_components(graph, directed=False)
    for label in np.flatnonzero(np.bincount(labels, areas * share) >= LEAST_AREA):
        yield np.flatnonzero(labels == label)


def is_round(
    places: Float[np.ndarray, "region 2"],
    off_plane: Float[np.ndarray, " region"],
    weights: Float[np.ndarray, " region"],
) -> bool:
    """Whether a quadratic surface of small radius explains how a region deviates from its plane, all in voxels."""
    u, v = (places - np.average(places, axis=0, weights=weights)).T
    terms, root = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], 1), np.sqrt(weights)
    fit, *_ = np.linalg.lstsq(terms * root[:, None], off_plane * root, rcond=None)
    left = np.average((off_plane - terms @ fit) ** 2, weights=weights)
    if left > (1 - ROUND_SHARE) * np.average(off_plane**2, weights=weights):
        return False
    curvatures = np.linalg.eigvalsh([[2 * fit[3], fit[4]], [fit[4], 2 * fit[5]]])
    return bool(np.abs(curvatures).max() > 1 / LEAST_RADIUS)
