"""Cameras around an object, and their perspective projection of points to pixels."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

CAMERA_DISTANCE = 0.5 * 3**0.5 / np.sin(np.radians(15))
"""Distance from the eye to the origin, at which the sphere around the unit cube appears 30 degrees wide."""

ELEVATIONS = (-10.0, 10.0, 30.0, 50.0)
"""Elevations of CAMERA_GRID in degrees."""

Window = tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]
"""Lower left and upper right corner (right, up) of a rectangle on the plane at distance 1 from the eye."""


@dataclass(frozen=True)
class Camera:
    """An upright camera that looks at the origin from CAMERA_DISTANCE away."""

    azimuth: float = 30.0
    """Degrees about the up axis: at 0 the camera is in front of the object, at +z, at 90 at +x."""
    elevation: float = 20.0
    """Degrees above the horizon, in [-90, 90]."""

    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Unit vectors, as rows, that point right, up and towards the eye in the image."""
        azimuth, elevation = np.radians(self.azimuth), np.radians(self.elevation)
        right = np.array([np.cos(azimuth), 0, -np.sin(azimuth)])
        back = np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
        return np.stack([right, np.cross(back, right), back])


CAMERA_GRID = tuple(Camera(azimuth, elevation) for azimuth in map(float, range(0, 360, 15)) for elevation in ELEVATIONS)
"""Cameras all around an object, dense enough for one to be near that of any usual picture."""

GRID_DIRECTIONS = np.stack([camera.axes()[2] for camera in CAMERA_GRID])
"""Unit vectors from the object to each camera of the grid."""

CameraLikelihood = Float[np.ndarray, " cameras"] | None
"""The log-probability of each camera of CAMERA_GRID; None if nothing is known."""


def nearest_camera(camera: Camera) -> int:
    """The index in CAMERA_GRID of the camera nearest to this one."""
    return int((GRID_DIRECTIONS @ camera.axes()[2]).argmax())


@dataclass(frozen=True)
class Projection:
    """A camera with a square image; pixel (i, j) is centred at (i + 0.5, j + 0.5), right and down."""

    camera: Camera
    side: int
    """Pixels along each side of the image."""
    centre: Float[np.ndarray, "2"]
    """(right, up) of the image's centre on the plane at distance 1 from the eye."""
    focal: float
    """Pixels per unit of that plane."""

    def project_points(self, points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 2"]:
        """Pixel coordinates (right, down) of the points, including those outside the image."""
        return (project_to_plane(points, self.camera) - self.centre) * (self.focal, -self.focal) + self.side / 2

    def depths(self, points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, " points"]:
        """Distances of the points from the eye along the line of sight."""
        return CAMERA_DISTANCE - points @ self.camera.axes()[2]

    def eye(self) -> Float[np.ndarray, "3"]:
        """The position of the eye."""
        return CAMERA_DISTANCE * self.camera.axes()[2]

    def rays(self, *, supersample: int = 1) -> tuple[Float[np.ndarray, "rays 3"], Float[np.ndarray, "rays 3"]]:
        """Origins and unit directions, row by row, of rays through supersample x supersample points of each pixel."""
        offsets = ((np.arange(self.side * supersample) + 0.5) / supersample - self.side / 2) / self.focal
        right, up, back = self.camera.axes()
        across = (offsets + self.centre[0])[:, None] * right - back
        directions = ((self.centre[1] - offsets)[:, None, None] * up + across).reshape(-1, 3).astype(np.float32)
        directions /= np.sqrt(np.einsum("rc,rc->r", directions, directions))[:, None]
        return np.broadcast_to(self.eye().astype(np.float32), directions.shape), directions


def fit_vertices(
    vertices: Float[np.ndarray, "vertices 3"], camera: Camera, *, side: int, margin: float = 0.06
) -> Projection:
    """The projection that centres the vertices, their longer side filling the image except a `margin` at either end."""
    return fit_windows([view_window(vertices, camera)], camera, side=side, margin=margin)


def fit_windows(windows: Iterable[Window], camera: Camera, *, side: int, margin: float = 0.06) -> Projection:
    """The projection that holds all the windows, with a margin as in `fit_vertices`."""
    lows, highs = zip(*windows, strict=True)
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    focal = side * (1 - 2 * margin) / max((high - low).max(), 1e-9)
    return Projection(camera, side, (low + high) / 2, float(focal))


def view_window(vertices: Float[np.ndarray, "vertices 3"], camera: Camera) -> Window:
    """The window that the vertices span.

    Raises ValueError if there are none, or they come near the eye because the mesh is not normalised.
    """
    if not len(vertices) or np.linalg.norm(vertices, axis=1).max() > CAMERA_DISTANCE / 2:
        raise ValueError("a mesh must be normalised into the unit cube to be rendered")
    points = project_to_plane(vertices, camera)
    return points.min(0), points.max(0)


def project_to_plane(points: Float[np.ndarray, "points 3"], camera: Camera) -> Float[np.ndarray, "points 2"]:
    """The points as (right, up) on the plane at distance 1 from the eye."""
    right, up, back = (points @ camera.axes().T).T
    return np.stack([right, up], 1) / (CAMERA_DISTANCE - back)[:, None]
