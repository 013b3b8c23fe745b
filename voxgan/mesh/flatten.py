"""Flattens nearly flat regions of a mesh, such as seats, table tops and sides, which networks leave wavy."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import trimesh
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse.csgraph import connected_components

LEAST_AREA = 60.0
"""Least area, in voxel faces, of a region that is flattened."""
FACING = (0.7, 0.88)
"""Components of a vertex normal along an axis at which its membership of a region is 0 and 1."""
LEAST_RADIUS = 40.0
"""Radius of curvature in voxels below which a region counts as round, and is left alone."""
ROUND_SHARE = 0.5
"""Least share of a region's squared deviation that a quadratic surface must explain for it to count as round."""
STRENGTH = 0.97
"""Share of the deviation that is removed; without a remainder, vertices above one another would coincide."""
MAX_SHIFT = 2.0
"""Largest displacement of a vertex, in voxels."""
NORMAL_ROUNDS = 10
"""Rounds of averaging normals over neighbours, so that waves do not leave holes in a region or make its rim ragged."""
RIM_ROUNDS = 8
"""Rounds of averaging displacements over neighbours, for vertices with a membership below 1."""


def flatten_regions(mesh: trimesh.Trimesh, *, voxel: float, deviation: float) -> Float[np.ndarray, "vertices 3"]:
    """The vertices after each region that faces along an axis, in either direction, is moved onto its median plane.

    Regions that deviate from their plane by more than `deviation` voxels (root mean square) are left alone, and so are
    small and round ones. Displacements fade out towards the rim. `voxel` is the size of a voxel in units of the mesh.
    """
    vertices = mesh.vertices.copy()
    neighbours = trimesh.smoothing.laplacian_calculation(mesh)
    normals = mesh.vertex_normals
    for _ in range(NORMAL_ROUNDS):
        normals = (normals + neighbours @ normals) / 2
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
    areas = np.bincount(mesh.faces.ravel(), np.repeat(mesh.area_faces / 3, 3), len(vertices)) / voxel**2
    for axis, sign in product(range(3), (1, -1)):
        share = region_membership(sign * normals[:, axis])
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


def region_membership(component: Float[np.ndarray, " vertices"]) -> Float[np.ndarray, " vertices"]:
    """Membership of vertices in a region, in [0, 1]: a smoothstep of their normals' components along the axis."""
    low, high = FACING
    share = ((component - low) / (high - low)).clip(0, 1)
    return share**2 * (3 - 2 * share)


def find_regions(
    mesh: trimesh.Trimesh, share: Float[np.ndarray, " vertices"], areas: Float[np.ndarray, " vertices"]
) -> Iterator[Int[np.ndarray, " region"]]:
    """The vertices of each connected region with a membership above 0 and an area of at least LEAST_AREA."""
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
    """Whether a quadratic surface of small radius explains a region's deviations from its plane; lengths in voxels."""
    u, v = (places - np.average(places, axis=0, weights=weights)).T
    terms, root = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], 1), np.sqrt(weights)
    fit, *_ = np.linalg.lstsq(terms * root[:, None], off_plane * root, rcond=None)
    left = np.average((off_plane - terms @ fit) ** 2, weights=weights)
    if left > (1 - ROUND_SHARE) * np.average(off_plane**2, weights=weights):
        return False
    curvatures = np.linalg.eigvalsh([[2 * fit[3], fit[4]], [fit[4], 2 * fit[5]]])
    return bool(np.abs(curvatures).max() > 1 / LEAST_RADIUS)
