"""Extracts one clean, closed surface from probabilities on a grid."""

from itertools import combinations

import fast_simplification
import manifold3d
import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from skimage.graph import MCP
from skimage.measure import marching_cubes

from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.flatten import flatten_regions

PADDING = 1
"""Empty voxels around the grid, so that the surface of an object that touches its border is closed."""
MIN_MARGIN = 1e-3
"""Least distance of a value from the threshold, since a vertex on a grid point gives triangles without area."""
KEPT_MARGIN = 0.05
"""Fraction of its margin over the threshold that smoothing must leave each voxel, so that it stays inside."""
JOINT_LEVEL = 0.2
"""Level of the voxels that join two touching at an edge, as a fraction of the way from the threshold to 1."""
BRIDGE_LEVEL = 0.5
"""Level of the voxels that bridge the gap between two parts, as a fraction of the way from the threshold to 1."""
RESTORE_ROUNDS = 10
"""Rounds of averaging, over about three voxels, of the thickness that Taubin smoothing removed, to restore it."""
EDGE_NEIGHBOURS, CORNER_NEIGHBOURS = (ndimage.generate_binary_structure(3, meeting) for meeting in (2, 3))
"""Neighbourhoods of a voxel: those that share a face or an edge with it, or also those that share a corner."""
SPECK_VOXELS = 0.05
"""Largest volume, in voxels, of separate parts that are dropped, such as specks that touch the object at a corner."""


def extract_surface(probabilities: Float[np.ndarray, "x y z"], surface: SurfaceConfig | None = None) -> trimesh.Trimesh:
    """The closed surface with outward faces and positive volume, in the unit cube around the origin.

    Probabilities lie in [0, 1]. The centre of voxel i lies at (i + 0.5) / N - 0.5, N being the longest side; a grid
    that is not a cube is centred. Raises ValueError if nothing lies above the threshold, or no closed surface keeps to
    `target_faces`.
    """
    surface = surface or SurfaceConfig()
    field = build_field(probabilities, surface)
    vertices, faces, _, _ = marching_cubes(field, surface.threshold, gradient_direction="ascent")
    sides = np.array(probabilities.shape)
    mesh = trimesh.Trimesh((vertices - PADDING + 0.5 - sides / 2) / sides.max(), faces, process=False)
    mesh.vertices = taubin_smooth(mesh, surface.taubin_iterations)
    if surface.flatten:
        mesh.vertices = flatten_regions(mesh, voxel=1 / sides.max(), deviation=surface.flatten)
    mesh.vertices = np.clip(mesh.vertices, -0.5, 0.5)
    mesh = remove_small_components(ensure_closed(mesh), volume=SPECK_VOXELS / sides.max() ** 3)
    if surface.target_faces is None or len(mesh.faces) <= surface.target_faces:
        return mesh
    return decimate_surface(mesh, surface.target_faces)


def build_field(probabilities: Float[np.ndarray, "x y z"], surface: SurfaceConfig) -> Float[np.ndarray, "x+2 y+2 z+2"]:
    """The padded field whose only level set at the threshold is the outer surface of the parts that are kept.

    Values on both sides of the surface stay soft, so that it lies between voxels where the probabilities place it.
    Raises ValueError if nothing lies above the threshold, or the values are not probabilities.
    """
    level = surface.threshold
    lowest, highest = float(probabilities.min(initial=1)), float(probabilities.max(initial=0))
    if not (lowest >= 0 and highest <= 1):  # written so that NaN is refused too
        raise ValueError(f"probabilities must lie in [0, 1]; these reach from {lowest:.3g} to {highest:.3g}")
    field = bridge_gaps(probabilities.astype(np.float32), surface)
    # this value beyond the border puts the surface of a full voxel on the cube's face, whatever the threshold
    field = smooth_field(np.pad(field, PADDING, constant_values=2 * level - 1), surface)
    field[np.abs(field - level) < MIN_MARGIN] = level - MIN_MARGIN
    inside = field > level
    if not inside.any():
        raise ValueError(f"there is no surface: the highest probability is {highest:.3g}, the threshold {level:g}")
    kept = select_large_components(inside, surface)
    field[inside & ~kept] = min(level - MIN_MARGIN, 0.0)
    spaces, _ = ndimage.label(~kept)
    field[~kept & (spaces != spaces[0, 0, 0])] = 1.0  # cavities, which cannot be reached from the corner
    return field


def bridge_gaps(field: Float[np.ndarray, "x y z"], surface: SurfaceConfig) -> Float[np.ndarray, "x y z"]:
    """The field with nearby parts joined, each along the most probable path to the largest.

    A leg that is separated from its seat by a voxel is part of the chair, and a printed object should be one piece.
    Parts are joined across gaps of at most `surface.bridge` voxels.
    """
    inside = field > surface.threshold
    if not surface.bridge or ndimage.label(inside, EDGE_NEIGHBOURS)[1] < 2:
        return field
    field, labels = field.copy(), dilated_components(inside, surface)
    for label, where in enumerate(ndimage.find_objects(labels), 1):
        part = inside[where] & (labels[where] == label)
        struts = shortest_paths(part, np.where(inside[where] & ~part, 0, field[where]))
        field[where][struts & ~inside[where]] = surface.threshold + BRIDGE_LEVEL * (1 - surface.threshold)
    return field


def shortest_paths(
    inside: Bool[np.ndarray, "x y z"], probabilities: Float[np.ndarray, "x y z"]
) -> Bool[np.ndarray, "x y z"]:
    """The voxels on the most probable path, through voxel faces, from each part to the largest."""
    parts, count = ndimage.label(inside, EDGE_NEIGHBOURS)
    if count < 2:
        return np.zeros_like(inside)
    graph = MCP(np.where(inside, 1e-3, 0.1 - np.log(probabilities.clip(1e-3, 1))), fully_connected=False)
    costs, _ = graph.find_costs(np.argwhere(parts == np.bincount(parts[inside]).argmax()))
    paths = np.zeros_like(inside)
    for end in ndimage.minimum_position(costs, parts, range(1, count + 1)):
        paths[tuple(np.transpose(graph.traceback(end)))] = True
    return paths


def dilated_components(inside: Bool[np.ndarray, "x y z"], surface: SurfaceConfig) -> Int[np.ndarray, "x y z"]:
    """Labels, from 1, of the components after dilation by half a bridge: parts that may be bridged share a label."""
    labels, _ = ndimage.label(ndimage.distance_transform_edt(~inside) <= surface.bridge / 2, CORNER_NEIGHBOURS)
    return labels


def smooth_field(field: Float[np.ndarray, "x y z"], surface: SurfaceConfig) -> Float[np.ndarray, "x y z"]:
    """The field after a Gaussian filter that moves no voxel below the threshold and keeps parts as thin as a leg.

    Voxels that touch only at an edge, as in a slanting leg, are joined.
    """
    if not surface.smooth_sigma:
        return field
    level, inside = surface.threshold, field > surface.threshold
    thick = ndimage.binary_opening(inside, np.ones((3, 3, 3)))
    floor = np.where(thick, level + KEPT_MARGIN * (field - level), field)
    soft = ndimage.gaussian_filter(field, surface.smooth_sigma, mode="nearest")
    soft = np.where(inside, np.maximum(soft, floor), soft)
    return np.where(diagonal_contacts(inside), np.maximum(soft, level + JOINT_LEVEL * (1 - level)), soft)


def diagonal_contacts(inside: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """The two empty voxels at each edge where two filled voxels touch diagonally."""
    joints = np.zeros_like(inside)
    for plane in combinations(range(3), 2):
        field, joint = (np.moveaxis(array, plane, (0, 1)) for array in (inside, joints))
        a, b, c, d = field[:-1, :-1], field[1:, :-1], field[:-1, 1:], field[1:, 1:]
        falling, rising = a & d & ~b & ~c, b & c & ~a & ~d
        joint[1:, :-1] |= falling
        joint[:-1, 1:] |= falling
        joint[:-1, :-1] |= rising
        joint[1:, 1:] |= rising
    return joints


def select_large_components(inside: Bool[np.ndarray, "x y z"], surface: SurfaceConfig) -> Bool[np.ndarray, "x y z"]:
    """The voxels of parts of at least `min_component_share` of the largest; parts across short gaps count as one."""
    if ndimage.label(inside, CORNER_NEIGHBOURS)[1] == 1:
        return inside
    labels = dilated_components(inside, surface)
    sizes = np.bincount(labels[inside])
    large = sizes >= surface.min_component_share * sizes.max()
    if surface.min_component_share == 1:  # only the first of several equally large ones
        large = np.arange(len(sizes)) == sizes.argmax()
    return inside & large[labels]


def taubin_smooth(mesh: trimesh.Trimesh, iterations: int) -> Float[np.ndarray, "vertices 3"]:
    """The vertices after Taubin smoothing (Taubin 1995), with the volume of thin parts preserved as well.

    A thin tube has too high a frequency for Taubin's filter and would shrink to a needle. So the displacement along the
    normals, averaged over the neighbourhood of each vertex, is restored.
    """
    smooth = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    trimesh.smoothing.filter_taubin(smooth, lamb=0.5, nu=0.53, iterations=iterations)
    lost = np.einsum("vc,vc->v", mesh.vertices - smooth.vertices, smooth.vertex_normals)
    neighbours = trimesh.smoothing.laplacian_calculation(mesh)
    for _ in range(RESTORE_ROUNDS):
        lost = (lost + neighbours @ lost) / 2
    return smooth.vertices + lost[:, None] * smooth.vertex_normals


def decimate_surface(mesh: trimesh.Trimesh, faces: int) -> trimesh.Trimesh:
    """The same shape, with all its parts, in at most `faces` triangles. Raises ValueError if that is impossible."""
    points, triangles = fast_simplification.simplify(mesh.vertices.astype(np.float32), mesh.faces, target_count=faces)
    small = trimesh.Trimesh(np.clip(points, -0.5, 0.5), triangles, process=False)
    try:
        return check_budget(small, mesh, faces)
    except ValueError:
        return merge_edges(mesh, faces)


def merge_edges(mesh: trimesh.Trimesh, faces: int) -> trimesh.Trimesh:
    """Decimates by merging edges up to the smallest sufficient length: coarser, but the surface stays closed.

    Raises ValueError if no length leads to at most `faces` triangles.
    """
    whole = to_manifold(mesh)
    for tolerance in np.geomspace(1e-4, 0.3, 24):
        small = whole.simplify(tolerance)
        if small.num_tri() <= faces:
            break
    return check_budget(to_trimesh(small), mesh, faces)


def check_budget(small: trimesh.Trimesh, mesh: trimesh.Trimesh, faces: int) -> trimesh.Trimesh:
    """Returns the decimated mesh. Raises ValueError if it exceeds the budget or has lost a part."""
    small = remove_small_components(small, volume=0.0)
    if len(small.faces) > faces or small.body_count < mesh.body_count:
        raise ValueError(f"target_faces: no closed surface of this shape has as few as {faces} faces")
    return ensure_closed(small)


def remove_small_components(mesh: trimesh.Trimesh, *, volume: float) -> trimesh.Trimesh:
    """The mesh without separate parts of at most that volume; the largest always stays."""
    parts = to_manifold(mesh).decompose()
    largest = max((part.volume() for part in parts), default=0)
    large = [part for part in parts if part.volume() > volume or part.volume() == largest]
    return to_trimesh(manifold3d.Manifold.compose(large))


def ensure_closed(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Checks that the surface is closed and encloses a positive volume, also in formats that merge equal vertices.

    Returns it with coincident vertices separated. Raises ValueError if it is not closed.
    """
    whole = to_manifold(mesh)
    if whole.status() != manifold3d.Error.NoError:
        raise ValueError(f"the surface is not closed: {whole.status().name}")
    mesh = separate_coincident_vertices(to_trimesh(whole))
    merged = trimesh.Trimesh(mesh.vertices.astype(np.float32), mesh.faces)  # as a reader of STL merges vertices
    if not (mesh.is_watertight and merged.is_watertight and merged.is_winding_consistent and mesh.volume > 0):
        raise ValueError(f"the surface does not enclose a volume ({len(mesh.faces)} faces)")
    return mesh


def separate_coincident_vertices(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Moves vertices at the same position a little towards their own neighbours.

    A manifold has two vertices where two of its sheets touch, which a format without indices would merge.
    """
    _, position, count = np.unique(mesh.vertices.astype(np.float32), axis=0, return_inverse=True, return_counts=True)
    touching = count[position] > 1
    if touching.any():
        towards = trimesh.smoothing.laplacian_calculation(mesh) @ mesh.vertices - mesh.vertices
        mesh.vertices[touching] += 0.02 * towards[touching]
    return mesh


def to_manifold(mesh: trimesh.Trimesh) -> manifold3d.Manifold:
    """The mesh as a manifold of manifold3d."""
    return manifold3d.Manifold(manifold3d.Mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)))


def to_trimesh(manifold: manifold3d.Manifold) -> trimesh.Trimesh:
    """The manifold as a mesh."""
    buffers = manifold.to_mesh()
    return trimesh.Trimesh(buffers.vert_properties[:, :3], buffers.tri_verts, process=False)
