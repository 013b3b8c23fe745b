"""Colours for a mesh from the pictures it was made of."""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import trimesh
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage
from scipy.spatial import cKDTree
from trimesh.visual import ColorVisuals

from voxgan.files.images import Rgba, frame_object
from voxgan.rendering.camera import Camera
from voxgan.rendering.camera import fit_vertices as framed_by
from voxgan.rendering.raycast import Scene

PICTURE_SIDE = 256
"""Pixels across a picture when colours are taken from it."""
RIM_PIXELS = 2
"""Pixels along the object's outline that no colour is taken from, as they hold some of the background."""
MIN_COSINE = 0.2
"""Cosine below which a surface seen from the side tells nothing of its colour."""
NORMAL_WEIGHT = 0.3
"""How far apart opposite surfaces count when the colour of an unseen place is looked for on seen ones."""
SMOOTHING_ROUNDS = 10
"""Rounds in which unseen places take on something of their neighbours' colours."""

PosedImages = Sequence[tuple[Rgba, Camera]]


def project_colours(mesh: trimesh.Trimesh, views: PosedImages) -> trimesh.Trimesh:
    """A copy whose vertices have the colours of the pictures that show them; each picture has the object alone, opaque.

    The object's outline in a picture is laid on the mesh's by their boxes. What no picture shows takes the colour of
    the most similar place, or of its mirror image in the plane x = 0, that one does show.
    """
    copy = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    scene = Scene(copy)
    colours, weights = np.zeros((len(copy.vertices), 3)), np.zeros(len(copy.vertices))
    for picture, camera in views:
        weight = view_weights(copy, scene, camera)
        colours += weight[:, None] * look_up_colours(picture, copy.vertices, camera)
        weights += weight
    seen = weights > 0
    if seen.any():
        colours[seen] /= weights[seen, None]
        colours[~seen] = fill_unseen(copy, colours, seen)
        colours = smooth_seams(copy, colours, seen)
        opaque = np.full((len(colours), 1), 255)
        copy.visual = ColorVisuals(copy, vertex_colors=np.concatenate([colours.round(), opaque], 1).astype(np.uint8))
    return copy


def view_weights(mesh: trimesh.Trimesh, scene: Scene, camera: Camera) -> Float[np.ndarray, " vertices"]:
    """How squarely the camera sees each vertex: 1 at best, 0 where it does not."""
    projection = framed_by(mesh.vertices, camera, side=PICTURE_SIDE)
    sight = projection.eye() - mesh.vertices
    cosine = np.einsum("vc,vc->v", mesh.vertex_normals, sight / np.linalg.norm(sight, axis=1, keepdims=True))
    return np.where(scene.visible_points(projection, mesh.vertices) & (cosine > MIN_COSINE), cosine, 0.0) ** 2


def look_up_colours(
    picture: Rgba, vertices: Float[np.ndarray, "vertices 3"], camera: Camera
) -> UInt8[np.ndarray, "vertices 3"]:
    """The picture's colour where each vertex falls, or of the nearest pixel that is the object's."""
    square = frame_object(picture, PICTURE_SIDE)
    solid = square[..., 3] > 250
    solid = ndimage.binary_erosion(solid, iterations=RIM_PIXELS) if solid.any() else square[..., 3] > 0
    solid = solid if solid.any() else square[..., 3] > 0
    nearest = ndimage.distance_transform_edt(~solid, return_distances=False, return_indices=True)
    low, high = bounding_box(square[..., 3] > 127)
    pixels = framed_by(vertices, camera, side=PICTURE_SIDE).project_points(vertices)
    shares = (pixels - pixels.min(0)) / np.maximum(np.ptp(pixels, axis=0), 1e-9)
    across, down = np.clip(low + shares * (high - low), 0, PICTURE_SIDE - 1).astype(int).T
    return square[nearest[0][down, across], nearest[1][down, across], :3]


def bounding_box(covered: Bool[np.ndarray, "height width"]) -> tuple[np.ndarray, np.ndarray]:
    """The edges of what is covered, in pixels: (left, top), (right, bottom)."""
    spans = [np.flatnonzero(covered.any(axis)) for axis in (0, 1)]
    return np.array([span[0] for span in spans]), np.array([span[-1] + 1 for span in spans])


def fill_unseen(
    mesh: trimesh.Trimesh, colours: Float[np.ndarray, "vertices 3"], seen: Bool[np.ndarray, " vertices"]
) -> Float[np.ndarray, "unseen 3"]:
    """The colours of the seen places most like the unseen ones, in position and in where they face."""
    tree = cKDTree(match_features(mesh)[seen])
    few = min(4, int(seen.sum()))
    found = [
        tree.query(match_features(mesh, mirrored=mirrored)[~seen], k=range(1, few + 1)) for mirrored in (False, True)
    ]
    (own, own_index), (other, other_index) = found
    index = np.where((other[:, :1] < own[:, :1]), other_index, own_index)
    return colours[seen][index].mean(1)


def match_features(mesh: trimesh.Trimesh, *, mirrored: bool = False) -> Float[np.ndarray, "vertices 6"]:
    flip = np.array([-1, 1, 1]) if mirrored else np.ones(3)
    return np.concatenate([mesh.vertices * flip, NORMAL_WEIGHT * mesh.vertex_normals * flip], 1)


def smooth_seams(
    mesh: trimesh.Trimesh, colours: Float[np.ndarray, "vertices 3"], seen: Bool[np.ndarray, " vertices"]
) -> Float[np.ndarray, "vertices 3"]:
    """The colours with soft seams: unseen places between their own and their neighbours'."""
    neighbours = trimesh.smoothing.laplacian_calculation(mesh)
    for _ in range(SMOOTHING_ROUNDS):
        colours = np.where(seen[:, None], colours, (colours + neighbours @ colours) / 2)
    return colours


def estimate_camera(mesh: trimesh.Trimesh, picture: Rgba) -> Camera:
    """The camera from which the mesh's outline is most like that of the object in the picture (best IoU).

    From near the front and from a usual height if there is little between two; between 20 degrees below the horizon and
    70 above it.
    """
    scene = Scene(mesh)
    outline = frame_object(picture, 48)[..., 3] > 127

    def score(camera: Camera) -> float:
        shown = scene.render_silhouette(camera, side=48, supersample=1)
        overlap = (shown & outline).sum() / max(1, (shown | outline).sum())
        around_front, unusual = abs((camera.azimuth + 180) % 360 - 180) / 180, abs(camera.elevation - 15) / 45
        return float(overlap - 0.02 * around_front - 0.03 * unusual)

    start = product(np.arange(0.0, 360.0, 15.0), (-10.0, 10.0, 30.0, 50.0))
    best = sorted((Camera(float(azimuth), elevation) for azimuth, elevation in start), key=score)[-4:]
    for step in (8.0, 4.0, 2.0):
        best = sorted({near for camera in best for near in neighbouring_cameras(camera, step)}, key=score)[-2:]
    return best[-1]


def neighbouring_cameras(camera: Camera, step: float) -> Iterator[Camera]:
    """The camera and its neighbours, so many degrees away."""
    for right, up in product((-step, 0, step), repeat=2):
        yield Camera((camera.azimuth + right) % 360, min(max(camera.elevation + up, -20.0), 70.0))
