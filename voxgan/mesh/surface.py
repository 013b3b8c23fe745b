"""From probabilities on a grid to one clean, closed surface."""

from itertools import combinations

import fast_simplification
import manifold3d
import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from skimage.graph import MCP
from skimage.measure import marching_cubes

from voxgan.commands import SurfaceConfig

DEFAULT_SURFACE = SurfaceConfig()

PADDING = 1
"""Empty voxels around the grid, so that what touches its border is closed."""
MIN_MARGIN = 1e-3
"""No value is nearer to the threshold: a vertex on a grid point would make triangles without area."""
KEPT_MARGIN = 0.05
"""Share of what a voxel is above the threshold that smoothing leaves it: enough to stay, too little to be a stair."""
JOINT_LEVEL = 0.2
"""How far above the threshold, on the way to 1, lies what joins voxels that touch at an edge."""
RESTORE_ROUNDS = 10
"""Rounds of averaging what Taubin smoothing has taken: over about three voxels."""
BRIDGE_LEVEL = 0.5
"""How far above the threshold, on the way to 1, lies what bridges the gap between two parts."""
EDGE_NEIGHBOURS, CORNER_NEIGHBOURS = (ndimage.generate_binary_structure(3, meeting) for meeting in (2, 3))
"""Which voxels are neighbours: those that share a face or an edge, or also those that share a corner."""
SPECK_VOXELS = 0.05
"""Voxels that a part fills at most to be left out: what touches the object at a corner alone can be next to nothing."""


def extract_surface(
    probabilities: Float[np.ndarray, "x y z"], surface: SurfaceConfig = DEFAULT_SURFACE
) -> trimesh.Trimesh:
    """The closed surface with outward faces and positive volume, in the unit cube around the origin.

    The centre of voxel i lies at (i + 0.5) / N - 0.5; a grid that is no cube is centred, N its longest side. Raises
    ValueError if there is nothing above the threshold, or no closed surface within the face budget.
    """
    field = build_field(probabilities, surface)
    vertices, faces, _, _ = marching_cubes(field, surface.threshold, gradient_direction="ascent")
    sides = np.array(probabilities.shape)
    mesh = trimesh.Trimesh((vertices - PADDING + 0.5 - sides / 2) / sides.max(), faces, process=False)
    mesh.vertices = np.clip(taubin_smooth(mesh, surface.taubin_iterations), -0.5, 0.5)
    mesh = remove_small_components(ensure_closed(mesh), volume=SPECK_VOXELS / sides.max() ** 3)
    if surface.target_faces is None or len(mesh.faces) <= surface.target_faces:
        return mesh
    return decimate_surface(mesh, surface.target_faces)


def build_field(probabilities: Float[np.ndarray, "x y z"], surface: SurfaceConfig) -> Float[np.ndarray, "x+2 y+2 z+2"]:
    """The padded field whose only surface at the threshold is the outside of the parts to keep.

    Values on both sides of that surface stay soft: it lies between voxels where the probabilities put it. Raises
    ValueError if there is no such part.
    """
    level = surface.threshold
    least, most = (float(bound) for bound in (probabilities.min(initial=1), probabilities.max(initial=0)))
    if not (least >= 0 and most <= 1):  # so written, NaN is refused too
        raise ValueError(f"probabilities must lie in [0, 1]; these reach from {least:.3g} to {most:.3g}")
    field = bridge_gaps(probabilities.astype(np.float32), surface)
    # Past the border lies what puts the surface of a full voxel on the cube's face, whatever the threshold.
    field = smooth_field(np.pad(field, PADDING, constant_values=2 * level - 1), surface)
    field[np.abs(field - level) < MIN_MARGIN] = level - MIN_MARGIN
    inside = field > level
    if not inside.any():
        raise ValueError(f"there is no surface: the highest probability is {most:.3g}, the threshold {level:g}")
    kept = select_large_components(inside, surface)
    field[inside & ~kept] = min(level - MIN_MARGIN, 0.0)
    field[enclosed_voids(kept)] = 1.0
    return field


def bridge_gaps(field: Float[np.ndarray, "x y z"], surface: SurfaceConfig) -> Float[np.ndarray, "x y z"]:
    """The field with parts within reach of each other joined, each by the most probable of all ways to the largest.

    A leg that hangs in the air a voxel below its seat is part of the chair, and what is printed is one piece.
    """
    inside = field > surface.threshold
    if not surface.bridge or ndimage.label(inside, EDGE_NEIGHBOURS)[1] < 2:
        return field
    field, spaces = field.copy(), dilated_components(inside, surface)
    for space, where in enumerate(ndimage.find_objects(spaces), 1):
        part = inside[where] & (spaces[where] == space)
        struts = shortest_paths(part, np.where(inside[where] & ~part, 0, field[where]))
        field[where][struts & ~inside[where]] = surface.threshold + BRIDGE_LEVEL * (1 - surface.threshold)
    return field


def shortest_paths(
    inside: Bool[np.ndarray, "x y z"], probabilities: Float[np.ndarray, "x y z"]
) -> Bool[np.ndarray, "x y z"]:
    """The voxels on the most probable ways, from face to face, from each part to the largest."""
    parts, count = ndimage.label(inside, EDGE_NEIGHBOURS)
    if count < 2:
        return np.zeros_like(inside)
    ways = MCP(np.where(inside, 1e-3, 0.1 - np.log(probabilities.clip(1e-3, 1))), fully_connected=False)
    costs, _ = ways.find_costs(np.argwhere(parts == np.bincount(parts[inside]).argmax()))
    found = np.zeros_like(inside)
    for end in ndimage.minimum_position(costs, parts, range(1, count + 1)):
        found[tuple(np.transpose(ways.traceback(end)))] = True
    return found


def dilated_components(inside: Bool[np.ndarray, "x y z"], surface: SurfaceConfig) -> Int[np.ndarray, "x y z"]:
    """Numbers, from 1, of the spaces within half a bridge of the parts: those of parts that count as one are joined."""
    spaces, _ = ndimage.label(ndimage.distance_transform_edt(~inside) <= surface.bridge / 2, CORNER_NEIGHBOURS)
    return spaces


def smooth_field(field: Float[np.ndarray, "x y z"], surface: SurfaceConfig) -> Float[np.ndarray, "x y z"]:
    """The field after a Gaussian that takes nothing below the threshold, nor anything of a part as thin as a leg.

    What touches at an edge alone, as the voxels of a slanting leg do, is joined.
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
    """The empty voxels beside each edge at which two voxels touch that have no neighbour in common."""
    found = np.zeros_like(inside)
    for plane in combinations(range(3), 2):
        field, joint = (np.moveaxis(array, plane, (0, 1)) for array in (inside, found))
        a, b, c, d = field[:-1, :-1], field[1:, :-1], field[:-1, 1:], field[1:, 1:]
        falling, rising = a & d & ~b & ~c, b & c & ~a & ~d
        joint[1:, :-1] |= falling
        joint[:-1, 1:] |= falling
        joint[:-1, :-1] |= rising
        joint[1:, 1:] |= rising
    return found


def select_large_components(inside: Bool[np.ndarray, "x y z"], surface: SurfaceConfig) -> Bool[np.ndarray, "x y z"]:
    """The voxels of the parts that are large enough beside the largest, across gaps that may be bridged."""
    if ndimage.label(inside, CORNER_NEIGHBOURS)[1] == 1:
        return inside
    parts = dilated_components(inside, surface)
    sizes = np.bincount(parts[inside])
    large = sizes >= surface.min_component_share * sizes.max()
    if surface.min_component_share == 1:  # of equal ones the first
        large = np.arange(len(sizes)) == sizes.argmax()
    return inside & large[parts]


def enclosed_voids(inside: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """The empty voxels that cannot be reached from the corner."""
    spaces, _ = ndimage.label(~inside)
    return ~inside & (spaces != spaces[0, 0, 0])


def taubin_smooth(mesh: trimesh.Trimesh, iterations: int) -> Float[np.ndarray, "vertices 3"]:
    """The vertices after Taubin smoothing, which keeps the volume of the whole; here thin parts keep theirs as well.

    A tube of four vertices around is a wave too short for Taubin and would become a needle: what the surface around a
    vertex has lost on average along its normals is given back.
    """
    smooth = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    trimesh.smoothing.filter_taubin(smooth, lamb=0.5, nu=0.53, iterations=iterations)
    lost = np.einsum("vc,vc->v", mesh.vertices - smooth.vertices, smooth.vertex_normals)
    neighbours = trimesh.smoothing.laplacian_calculation(mesh)
    for _ in range(RESTORE_ROUNDS):
        lost = (lost + neighbours @ lost) / 2
    return smooth.vertices + lost[:, None] * smooth.vertex_normals


def decimate_surface(mesh: trimesh.Trimesh, faces: int) -> trimesh.Trimesh:
    """The same shape, with all its parts, of at most so many triangles. Raises ValueError if it takes more."""
    points, triangles = fast_simplification.simplify(mesh.vertices.astype(np.float32), mesh.faces, target_count=faces)
    small = trimesh.Trimesh(np.clip(points, -0.5, 0.5), triangles, process=False)
    try:
        return check_budget(small, mesh, faces)
    except ValueError:
        return merge_edges(mesh, faces)


def merge_edges(mesh: trimesh.Trimesh, faces: int) -> trimesh.Trimesh:
    """As decimated, by merging edges up to the smallest sufficient of growing lengths: coarser, and never torn."""
    whole = to_manifold(mesh)
    for tolerance in np.geomspace(1e-4, 0.3, 24):
        small = whole.simplify(tolerance)
        if small.num_tri() <= faces:
            break
    return check_budget(to_trimesh(small), mesh, faces)


def check_budget(small: trimesh.Trimesh, mesh: trimesh.Trimesh, faces: int) -> trimesh.Trimesh:
    """The small mesh after proof that it keeps to the budget and has lost no part. Raises ValueError otherwise."""
    small = remove_small_components(small, volume=0.0)
    if len(small.faces) > faces or small.body_count < mesh.body_count:
        raise ValueError(f"faces: no closed surface of this shape has as few as {faces}")
    return ensure_closed(small)


def remove_small_components(mesh: trimesh.Trimesh, *, volume: float) -> trimesh.Trimesh:
    """The mesh without its separate parts of at most that volume, but for the largest."""
    parts = to_manifold(mesh).decompose()
    largest = max((part.volume() for part in parts), default=0)
    large = [part for part in parts if part.volume() > volume or part.volume() == largest]
    return to_trimesh(manifold3d.Manifold.compose(large))


def ensure_closed(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The same surface after proof that it is closed and encloses a positive volume, in formats without indices too.

    Raises ValueError if it is no such surface.
    """
    whole = to_manifold(mesh)
    if whole.status() != manifold3d.Error.NoError:
        raise ValueError(f"the surface is not closed: {whole.status().name}")
    mesh = separate_coincident_vertices(to_trimesh(whole))
    glued = trimesh.Trimesh(mesh.vertices.astype(np.float32), mesh.faces)  # as who reads an STL file glues it
    if not (mesh.is_watertight and glued.is_watertight and glued.is_winding_consistent and mesh.volume > 0):
        raise ValueError(f"the surface does not enclose a volume ({len(mesh.faces)} faces)")
    return mesh


def separate_coincident_vertices(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with vertices that lie in one place drawn a little towards their own neighbours.

    A manifold has two vertices where two of its sheets touch; a format without indices would make them one.
    """
    _, place, count = np.unique(mesh.vertices.astype(np.float32), axis=0, return_inverse=True, return_counts=True)
    touching = count[place] > 1
    if touching.any():
        towards = trimesh.smoothing.laplacian_calculation(mesh) @ mesh.vertices - mesh.vertices
        mesh.vertices[touching] += 0.02 * towards[touching]
    return mesh


def to_manifold(mesh: trimesh.Trimesh) -> manifold3d.Manifold:
    """The surface as manifold3d keeps it."""
    return manifold3d.Manifold(manifold3d.Mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)))


def to_trimesh(solid_mesh: manifold3d.Manifold) -> trimesh.Trimesh:
    """The vertices and faces of a manifold."""
    parts = solid_mesh.to_mesh()
    return trimesh.Trimesh(parts.vert_properties[:, :3], parts.tri_verts, process=False)
