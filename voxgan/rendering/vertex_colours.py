"""Colours the vertices of a mesh from images of the object, and estimates the camera of an image."""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import trimesh
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage
from scipy.spatial import cKDTree
from trimesh.visual import ColorVisuals

from voxgan.files.images import Rgba, frame_object
from voxgan.rendering.camera import CAMERA_GRID, Camera, CameraLikelihood, fit_vertices, nearest_camera
from voxgan.rendering.raycast import Scene

IMAGE_SIDE = 256
"""Pixels along each side of an image when colours are taken from it."""
RIM_PIXELS = 2
"""Width in pixels of the object's rim, which contains background and gives no colours."""
MIN_COSINE = 0.2
"""Least cosine between normal and line of sight at which an image gives a vertex its colour."""
NORMAL_WEIGHT = 0.3
"""Weight of normals relative to positions in the search for the seen vertices most similar to an unseen one."""
LIKELIHOOD_WEIGHT = 0.05
"""Weight of a camera's log-likelihood relative to the IoU of silhouettes."""
SMOOTHING_ROUNDS = 10
"""Rounds in which unseen vertices are averaged with their neighbours' colours."""

PosedImages = Sequence[tuple[Rgba, Camera]]
"""Images of the object with transparent background, and their cameras."""


def paint_mesh(
    mesh: trimesh.Trimesh, views: Sequence[Rgba], log_likelihoods: Sequence[CameraLikelihood]
) -> trimesh.Trimesh:
    """The mesh in the colours of pictures, whose cameras are found by `estimate_camera`."""
    pairs = zip(views, log_likelihoods, strict=True)
    return project_colours(mesh, [(view, estimate_camera(mesh, view, log_likelihood=known)) for view, known in pairs])


def project_colours(mesh: trimesh.Trimesh, views: PosedImages) -> trimesh.Trimesh:
    """A copy of the mesh with vertex colours from the images.

    Each image is aligned with the mesh by the bounding boxes of the object and of the projected mesh. A vertex that no
    image shows takes the colour of the seen vertices most similar to it or to its mirror image in the plane x = 0.
    """
    copy = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    scene = Scene(copy)
    colours, weights = np.zeros((len(copy.vertices), 3)), np.zeros(len(copy.vertices))
    for image, camera in views:
        weight = view_weights(copy, scene, camera)
        colours += weight[:, None] * look_up_colours(image, copy.vertices, camera)
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
    """The weight of an image in the colour of each vertex: squared cosine of the viewing angle, 0 where hidden."""
    projection = fit_vertices(mesh.vertices, camera, side=IMAGE_SIDE)
    sight = projection.eye() - mesh.vertices
    cosine = np.einsum("vc,vc->v", mesh.vertex_normals, sight / np.linalg.norm(sight, axis=1, keepdims=True))
    return np.where(scene.visible_points(projection, mesh.vertices) & (cosine > MIN_COSINE), cosine, 0.0) ** 2


def look_up_colours(
    image: Rgba, vertices: Float[np.ndarray, "vertices 3"], camera: Camera
) -> UInt8[np.ndarray, "vertices 3"]:
    """The image's RGB at each projected vertex, or at the nearest pixel of the object."""
    square = frame_object(image, IMAGE_SIDE)
    solid = square[..., 3] > 250
    solid = ndimage.binary_erosion(solid, iterations=RIM_PIXELS) if solid.any() else square[..., 3] > 0
    solid = solid if solid.any() else square[..., 3] > 0
    nearest = ndimage.distance_transform_edt(~solid, return_distances=False, return_indices=True)
    spans = [np.flatnonzero((square[..., 3] > 127).any(axis)) for axis in (0, 1)]
    low, high = np.array([span[0] for span in spans]), np.array([span[-1] + 1 for span in spans])
    pixels = fit_vertices(vertices, camera, side=IMAGE_SIDE).project_points(vertices)
    relative = (pixels - pixels.min(0)) / np.maximum(np.ptp(pixels, axis=0), 1e-9)
    across, down = np.clip(low + relative * (high - low), 0, IMAGE_SIDE - 1).astype(int).T
    return square[nearest[0][down, across], nearest[1][down, across], :3]


def fill_unseen(
    mesh: trimesh.Trimesh, colours: Float[np.ndarray, "vertices 3"], seen: Bool[np.ndarray, " vertices"]
) -> Float[np.ndarray, "unseen 3"]:
    """Colours for the unseen vertices: the mean of the seen ones most similar in position and normal."""
    tree = cKDTree(match_features(mesh)[seen])
    count = min(4, int(seen.sum()))
    (own, own_index), (other, other_index) = (
        tree.query(match_features(mesh, mirrored=mirrored)[~seen], k=range(1, count + 1)) for mirrored in (False, True)
    )
    index = np.where(other[:, :1] < own[:, :1], other_index, own_index)
    return colours[seen][index].mean(1)


def match_features(mesh: trimesh.Trimesh, *, mirrored: bool = False) -> Float[np.ndarray, "vertices 6"]:
    """Position and weighted normal of each vertex, or of its mirror image in the plane x = 0."""
    flip = np.array([-1, 1, 1]) if mirrored else np.ones(3)
    return np.concatenate([mesh.vertices * flip, NORMAL_WEIGHT * mesh.vertex_normals * flip], 1)


def smooth_seams(
    mesh: trimesh.Trimesh, colours: Float[np.ndarray, "vertices 3"], seen: Bool[np.ndarray, " vertices"]
) -> Float[np.ndarray, "vertices 3"]:
    """Averages the colours of unseen vertices repeatedly with their neighbours', which softens seams."""
    neighbours = trimesh.smoothing.laplacian_calculation(mesh)
    for _ in range(SMOOTHING_ROUNDS):
        colours = np.where(seen[:, None], colours, (colours + neighbours @ colours) / 2)
    return colours


def estimate_camera(mesh: trimesh.Trimesh, image: Rgba, *, log_likelihood: CameraLikelihood = None) -> Camera:
    """The camera whose silhouette of the mesh has the highest IoU with that of the object in the image.

    Searches elevations from -20 to 70 degrees. Ties are broken by the log-likelihoods of CAMERA_GRID, or if they are
    not known, in favour of cameras near the front and at usual elevations.
    """
    scene = Scene(mesh)
    target = frame_object(image, 48)[..., 3] > 127

    def score(camera: Camera) -> float:
        silhouette = scene.render_silhouette(camera, side=48, supersample=1)
        iou = (silhouette & target).sum() / max(1, (silhouette | target).sum())
        if log_likelihood is not None:
            return float(iou + LIKELIHOOD_WEIGHT * log_likelihood[nearest_camera(camera)])
        from_front, unusual = abs((camera.azimuth + 180) % 360 - 180) / 180, abs(camera.elevation - 15) / 45
        return float(iou - 0.02 * from_front - 0.03 * unusual)

    best = sorted(CAMERA_GRID, key=score)[-4:]
    for step in (8.0, 4.0, 2.0):
        best = sorted({near for camera in best for near in neighbouring_cameras(camera, step)}, key=score)[-2:]
    return best[-1]


def neighbouring_cameras(camera: Camera, step: float) -> Iterator[Camera]:
    """The camera and its eight neighbours, `step` degrees away in azimuth and elevation."""
    for right, up in product((-step, 0, step), repeat=2):
        yield Camera((camera.azimuth + right) % 360, min(max(camera.elevation + up, -20.0), 70.0))
