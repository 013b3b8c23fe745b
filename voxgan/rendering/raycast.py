"""Renders shaded images of a mesh by ray casting with Embree, without a display or a graphics driver."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from einops import rearrange, reduce
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Bool, Float, Int, UInt8

from voxgan.mesh.materials import corner_colours
from voxgan.mesh.textures import Textures
from voxgan.rendering.camera import Camera, Projection, fit_vertices, fit_windows, view_window

GAMMA = 2.2
"""Shading is computed in linear colours; images store them to the power of 1 / GAMMA."""
RAY_OFFSET = 5e-4
"""Distance from the surface at which rays towards the light start, so that the surface does not shade itself."""
OCCLUSION_RADIUS = 0.5
"""Radius of ambient occlusion; without a limit, the inside of a cupboard would be black."""
CREASE_COSINE = np.cos(np.radians(40))
"""Normals are smoothed across edges whose faces form an angle of less than 40 degrees."""


@dataclass(frozen=True)
class Light:
    """A soft lamp, fixed to the camera, under a uniform sky."""

    azimuth: float = -35.0
    """Degrees to the right of the camera."""
    elevation: float = 45.0
    """Degrees above the line of sight."""
    ambient: float = 0.5
    """The sky's share of the light, in [0, 1]."""

    def directions(self, camera: Camera) -> Float[np.ndarray, "parts 3"]:
        """Unit vectors towards the four parts of the lamp, which soften its shadows."""
        spread = [(-5, -3), (3, -5), (5, 3), (-3, 5)]
        parts = [Camera(self.azimuth + right, self.elevation + up).axes()[2] for right, up in spread]
        return (np.stack(parts) @ camera.axes()).astype(np.float32)


def sample_light(random: np.random.Generator) -> Light:
    """Draws a random position of the lamp, behind and above the camera, and the sky's share of the light."""
    return Light(random.uniform(-75, 75), random.uniform(10, 75), random.uniform(0.35, 0.7))


def sphere_directions(count: int) -> Float[np.ndarray, "count 3"]:
    """Unit vectors spread evenly over the sphere, along a spiral."""
    up = 1 - (2 * np.arange(count) + 1) / count
    azimuth = np.pi * (3 - 5**0.5) * np.arange(count)
    return np.stack([np.sqrt(1 - up**2) * np.cos(azimuth), up, np.sqrt(1 - up**2) * np.sin(azimuth)], 1)


SKY_DIRECTIONS = sphere_directions(32).astype(np.float32)
"""Directions in which ambient occlusion is tested."""
SKY_BRIGHTNESS, SKY_GRADIENT = 0.8, 0.2
"""Light of the open sky on a vertical face, and what is added for an upward face or subtracted for a downward one."""


@dataclass(frozen=True)
class Hits:
    """The points where rays met the mesh."""

    ray: Int[np.ndarray, " hits"]
    """The number of the ray, row by row."""
    points: Float[np.ndarray, "hits 3"]
    face_normals: Float[np.ndarray, "hits 3"]
    """Unit normals of the faces, on the ray's side."""
    normals: Float[np.ndarray, "hits 3"]
    """The same, smoothed over adjacent faces."""
    colours: Float[np.ndarray, "hits 3"]
    """Linear RGB in [0, 1]."""


class Scene:
    """A mesh in the unit cube, prepared for rendering from many cameras; textures replace face colours.

    Raises ValueError if the mesh has no faces.
    """

    def __init__(self, mesh: trimesh.Trimesh, textures: Textures | None = None) -> None:
        if not len(mesh.faces):
            raise ValueError("a mesh without faces cannot be rendered")
        self.vertices = mesh.vertices[np.unique(mesh.faces)]
        corners = mesh.vertices[mesh.faces]
        self.corners = corners.astype(np.float32)
        face_normals = unit_vectors(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
        self.face_normals = face_normals.astype(np.float32)
        self.normals = smooth_normals(corners).astype(np.float32)
        self.colours = corner_colours(mesh)[..., :3].astype(np.float32)
        self.textures = textures
        self.embree = EmbreeScene()
        TriangleMesh(self.embree, self.corners)

    def render(
        self, camera: Camera, *, side: int, light: Light | None = None, supersample: int = 2
    ) -> UInt8[np.ndarray, "side side 4"]:
        """The object, centred and filling the image, as RGBA with straight alpha; the background is transparent.

        Each pixel is the mean of supersample x supersample rays. Raises ValueError if the mesh is not normalised.
        """
        return self.render_projection(
            fit_vertices(self.vertices, camera, side=side), light=light, supersample=supersample
        )

    def render_projection(
        self, projection: Projection, *, light: Light | None = None, supersample: int = 2
    ) -> UInt8[np.ndarray, "side side 4"]:
        """What the projection shows of the object, as `render` returns it."""
        side = projection.side
        hits = self.trace_hits(projection, supersample=supersample)
        row, column = np.divmod(hits.ray, side * supersample)
        pixel = row // supersample * side + column // supersample
        part = row % supersample * supersample + column % supersample if supersample > 1 else np.full(len(row), -1)
        shaded = hits.colours * self.shade(hits, part, light or Light(), projection.camera)[:, None]
        count = np.bincount(pixel, minlength=side**2)
        sums = np.stack([np.bincount(pixel, channel, minlength=side**2) for channel in shaded.T], 1)
        colours = (sums / np.maximum(count, 1)[:, None]).clip(0, 1) ** (1 / GAMMA)
        rgba = np.concatenate([colours, count[:, None] / supersample**2], 1)
        return rearrange((rgba * 255).round().astype(np.uint8), "(h w) c -> h w c", h=side)

    def render_silhouette(self, camera: Camera, *, side: int, supersample: int = 2) -> Bool[np.ndarray, "side side"]:
        """The pixels that the object fills at least half in what `render` returns."""
        projection = fit_vertices(self.vertices, camera, side=side)
        met = self.cast_rays(*projection.rays(supersample=supersample))["primID"] >= 0
        met = met.reshape(side * supersample, -1).astype(np.float32)
        return reduce(met, "(h a) (w b) -> h w", "mean", a=supersample, b=supersample) >= 0.5

    def visible_points(
        self, projection: Projection, points: Float[np.ndarray, "points 3"]
    ) -> Bool[np.ndarray, " points"]:
        """Which points lie inside the image with no face of the object in front of them."""
        sight = points - projection.eye()
        distance = np.linalg.norm(sight, axis=1)
        met = self.cast_rays(np.broadcast_to(projection.eye(), sight.shape), sight / distance[:, None])["tfar"]
        pixels = projection.project_points(points)
        return (met > distance - 4 * RAY_OFFSET) & ((pixels >= 0) & (pixels < projection.side)).all(1)

    def cast_rays(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
    ) -> dict[str, np.ndarray]:
        """Embree's arrays about the nearest hit of each ray: `primID` (-1 for none), `u`, `v`, `tfar` and others."""
        return self.embree.run(
            np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32), output=1
        )

    def trace_hits(self, projection: Projection, *, supersample: int) -> Hits:
        """The nearest hit of each of the projection's rays that meets the object."""
        origins, directions = projection.rays(supersample=supersample)
        nearest = self.cast_rays(origins, directions)
        ray = np.flatnonzero(nearest["primID"] >= 0)
        face, u, v = nearest["primID"][ray], nearest["u"][ray], nearest["v"][ray]
        weights = np.stack([1 - u - v, u, v], 1)
        face_normals = self.face_normals[face]
        towards_eye = -np.sign(np.einsum("rc,rc->r", face_normals, directions[ray]))[:, None]
        points, normals, colours = (
            np.einsum("rc,rcd->rd", weights, values[face]) for values in (self.corners, self.normals, self.colours)
        )
        if self.textures is not None:
            colours = self.textures.sample(colours, face, weights)
        linear = (colours / 255) ** GAMMA
        return Hits(ray, points, towards_eye * face_normals, towards_eye * unit_vectors(normals), linear)

    def shade(
        self, hits: Hits, part: Int[np.ndarray, " hits"], light: Light, camera: Camera
    ) -> Float[np.ndarray, " hits"]:
        """The light that reaches each hit, about 1 on a surface that faces the open sky or the lamp.

        `part` selects a quarter of the directions for each hit; together, the hits of a pixel cover all directions.
        """
        lamp = light.directions(camera)
        weights = np.maximum(hits.normals @ SKY_DIRECTIONS.T, 1e-3) * direction_subset(part, SKY_DIRECTIONS)
        sky_seen = weights * self.unoccluded(hits, SKY_DIRECTIONS, part, radius=OCCLUSION_RADIUS)
        open_sky = sky_seen.sum(1) / weights.sum(1)
        lit = self.unoccluded(hits, lamp, part, radius=4.0).sum(1) / direction_subset(part, lamp).sum(1)
        sky = open_sky * (SKY_BRIGHTNESS + SKY_GRADIENT * hits.normals[:, 1])
        key = lit * np.maximum(hits.normals @ unit_vectors(lamp.mean(0)), 0)
        return light.ambient * sky + (1 - light.ambient) * 1.4 * key

    def unoccluded(
        self,
        hits: Hits,
        directions: Float[np.ndarray, "directions 3"],
        part: Int[np.ndarray, " hits"],
        *,
        radius: float,
    ) -> Bool[np.ndarray, "hits directions"]:
        """Whether each hit faces each of its directions and nothing within the radius blocks it."""
        free = (hits.face_normals @ directions.T > 0) & direction_subset(part, directions)
        hit, direction = np.nonzero(free)
        origins = (hits.points + RAY_OFFSET * hits.face_normals)[hit]
        distances = np.full(len(hit), radius, np.float32)
        free[hit, direction] = self.embree.run(origins, directions[direction], dists=distances, query="OCCLUDED") != 0
        return free


def direction_subset(
    part: Int[np.ndarray, " hits"], directions: Float[np.ndarray, "directions 3"]
) -> Bool[np.ndarray, "hits directions"]:
    """Which directions each hit tests: every fourth one, starting at its part; all of them for a part below 0."""
    return (part[:, None] < 0) | (np.arange(len(directions)) % 4 == part[:, None] % 4)


def render_turntable(
    mesh: trimesh.Trimesh,
    *,
    side: int = 256,
    frames: int = 48,
    elevation: float = 20.0,
    background: tuple[int, int, int] = (255, 255, 255),
    shown: Sequence[int] | None = None,
) -> UInt8[np.ndarray, "shown side side 3"]:
    """Frames of the object turning once about its upright axis, all in the same window, over a plain background.

    Only the frames with the numbers in `shown` are rendered; all of them if it is None.
    """
    scene = Scene(mesh)
    cameras = [Camera(360 * frame / frames, elevation) for frame in range(frames)]
    windows = [view_window(scene.vertices, camera) for camera in cameras]
    chosen = cameras if shown is None else [cameras[frame] for frame in shown]
    images = (scene.render_projection(fit_windows(windows, camera, side=side)) for camera in chosen)
    return np.stack([composite_over(image, background) for image in images])


def composite_over(
    image: UInt8[np.ndarray, "height width 4"], background: tuple[int, int, int]
) -> UInt8[np.ndarray, "height width 3"]:
    """The image over a plain background, without alpha."""
    alpha = image[..., 3:] / np.float32(255)
    return (image[..., :3] * alpha + np.array(background) * (1 - alpha)).round().astype(np.uint8)


def smooth_normals(corners: Float[np.ndarray, "faces 3 3"]) -> Float[np.ndarray, "faces 3 3"]:
    """The normal at each corner of each face: the mean over the faces that meet there without a crease between."""
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    face_normals = unit_vectors(weighted)
    _, position = trimesh.grouping.unique_rows(corners.reshape(-1, 3), digits=6)
    normals = weighted.repeat(3, 0)
    for one, other in coincident_corners(position):
        cosine = np.einsum("pc,pc->p", face_normals[one // 3], face_normals[other // 3])
        weight = np.sign(cosine) * (abs(cosine) > CREASE_COSINE)  # neighbours may have the opposite winding
        for axis in range(3):
            normals[:, axis] += np.bincount(one, weight * weighted[other // 3, axis], minlength=len(normals))
    return unit_vectors(normals).reshape(-1, 3, 3)


def coincident_corners(position: Int[np.ndarray, " corners"]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ordered pairs of corners at the same position, in batches of equal distance in an order by position.

    A corner is paired with at most 32 others on either side in that order, since the centre of a fan has thousands.
    """
    order = np.argsort(position, kind="stable")
    ordered = position[order]
    for shift in range(1, 33):
        same = np.flatnonzero(ordered[shift:] == ordered[:-shift])
        if not len(same):
            return
        low, high = order[same], order[same + shift]
        yield np.concatenate([low, high]), np.concatenate([high, low])


def unit_vectors(vectors: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
    """The vectors scaled to length 1; zero vectors stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)
