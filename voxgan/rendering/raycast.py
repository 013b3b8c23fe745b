"""Shaded pictures of a mesh by ray casting: no display, no graphics driver."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from einops import rearrange, reduce
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Bool, Float, Int, UInt8

from voxgan.mesh.materials import Textures, corner_colours
from voxgan.rendering.camera import Camera, Projection, fit_vertices, fit_windows, view_window

GAMMA = 2.2
"""Light adds up in linear colours; pictures store them to the power of 1 / GAMMA."""
RAY_OFFSET = 5e-4
"""How far off the surface a ray towards the light starts, or the surface would shade itself."""
OCCLUSION_RADIUS = 0.5
"""What is further from a point than this does not hide the sky from it, or the inside of a cupboard were black."""
CREASE_COSINE = np.cos(np.radians(40))
"""Faces that meet at a sharper angle keep their edge; others look like one smooth surface."""


@dataclass(frozen=True)
class Light:
    """One soft lamp, fixed to the camera, under an even sky."""

    azimuth: float = -35.0
    """Degrees to the right of the camera."""
    elevation: float = 45.0
    """Degrees above the line of sight."""
    ambient: float = 0.5
    """The sky's share of the light, in [0, 1]."""

    def directions(self, camera: Camera) -> Float[np.ndarray, "parts 3"]:
        """Towards the parts of the lamp; several soften its shadows."""
        spread = [(-5, -3), (3, -5), (5, 3), (-3, 5)]
        parts = [Camera(self.azimuth + right, self.elevation + up).axes()[2] for right, up in spread]
        return (np.stack(parts) @ camera.axes()).astype(np.float32)


def sample_light(random: np.random.Generator) -> Light:
    """A lamp somewhere behind the camera and above it."""
    return Light(random.uniform(-75, 75), random.uniform(10, 75), random.uniform(0.35, 0.7))


def sphere_directions(count: int) -> Float[np.ndarray, "count 3"]:
    """Directions spread evenly over the sphere."""
    up = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (3 - 5**0.5) * np.arange(count)
    return np.stack([np.sqrt(1 - up**2) * np.cos(turn), up, np.sqrt(1 - up**2) * np.sin(turn)], 1)


SKY_DIRECTIONS = sphere_directions(32).astype(np.float32)
SKY_BRIGHTNESS, SKY_GRADIENT = 0.8, 0.2
"""Light from the whole sky on what faces a wall, and how much more on what faces up, less on what faces down."""


@dataclass(frozen=True)
class Hits:
    """Where rays met the mesh."""

    ray: Int[np.ndarray, " hits"]
    points: Float[np.ndarray, "hits 3"]
    face_normals: Float[np.ndarray, "hits 3"]
    """Of length 1, square to the face, on the ray's side."""
    normals: Float[np.ndarray, "hits 3"]
    """The same, smoothed over the faces around."""
    colours: Float[np.ndarray, "hits 3"]


class Scene:
    """A mesh in the unit cube made ready to be looked at from many sides."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        if not len(mesh.faces):
            raise ValueError("a mesh without faces cannot be looked at")
        self.vertices = mesh.vertices[np.unique(mesh.faces)]
        corners = mesh.vertices[mesh.faces]
        self.corners = corners.astype(np.float32)
        self.face_normals = unit_vectors(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])).astype(
            np.float32
        )
        self.normals = smooth_normals(corners).astype(np.float32)
        self.colours = corner_colours(mesh)[..., :3].astype(np.float32)
        self.textures = Textures(mesh)
        self.embree = EmbreeScene()
        TriangleMesh(self.embree, self.corners)

    def render(
        self, camera: Camera, *, side: int, light: Light | None = None, supersample: int = 2
    ) -> UInt8[np.ndarray, "side side 4"]:
        """The object framed, its background transparent; straight alpha."""
        return self.render_projection(
            fit_vertices(self.vertices, camera, side=side), light=light, supersample=supersample
        )

    def render_projection(
        self, projection: Projection, *, light: Light | None = None, supersample: int = 2
    ) -> UInt8[np.ndarray, "side side 4"]:
        """What the projection shows of it, as `view` does."""
        side = projection.side
        hits = self.trace_hits(projection, supersample=supersample)
        row, column = np.divmod(hits.ray, side * supersample)
        pixel = row // supersample * side + column // supersample
        part = row % supersample * supersample + column % supersample if supersample > 1 else np.full(len(row), -1)
        shades = hits.colours * self.shade(hits, part, light or Light(), projection.camera)[:, None]
        count = np.bincount(pixel, minlength=side**2)
        sums = np.stack([np.bincount(pixel, shade, minlength=side**2) for shade in shades.T], 1)
        colours = (sums / np.maximum(count, 1)[:, None]).clip(0, 1) ** (1 / GAMMA)
        picture = np.concatenate([colours, count[:, None] / supersample**2], 1)
        return rearrange((picture * 255).round().astype(np.uint8), "(h w) c -> h w c", h=side)

    def render_silhouette(self, camera: Camera, *, side: int, supersample: int = 2) -> Bool[np.ndarray, "side side"]:
        """The pixels that `view` fills at least half."""
        projection = fit_vertices(self.vertices, camera, side=side)
        met = self.cast_rays(*projection.rays(supersample=supersample))["primID"] >= 0
        met = met.reshape(side * supersample, -1).astype(np.float32)
        return reduce(met, "(h a) (w b) -> h w", "mean", a=supersample, b=supersample) >= 0.5

    def visible_points(
        self, projection: Projection, points: Float[np.ndarray, "points 3"]
    ) -> Bool[np.ndarray, " points"]:
        """Whether each point lies inside the picture with nothing in front of it."""
        to = points - projection.eye()
        distance = np.linalg.norm(to, axis=1)
        met = self.cast_rays(np.broadcast_to(projection.eye(), to.shape), to / distance[:, None])["tfar"]
        pixels = projection.project_points(points)
        return (met > distance - 4 * RAY_OFFSET) & ((pixels >= 0) & (pixels < projection.side)).all(1)

    def cast_rays(self, origins: np.ndarray, directions: np.ndarray) -> dict[str, np.ndarray]:
        """What Embree says of the nearest hit of each ray."""
        return self.embree.run(
            np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32), output=1
        )

    def trace_hits(self, projection: Projection, *, supersample: int) -> Hits:
        origins, directions = projection.rays(supersample=supersample)
        found = self.cast_rays(origins, directions)
        ray = np.flatnonzero(found["primID"] >= 0)
        face, u, v = found["primID"][ray], found["u"][ray], found["v"][ray]
        weights = np.stack([1 - u - v, u, v], 1)
        facing = self.face_normals[face]
        towards = -np.sign(np.einsum("rc,rc->r", facing, directions[ray]))[:, None]
        points, normals, colours = (
            np.einsum("rc,rcd->rd", weights, values[face]) for values in (self.corners, self.normals, self.colours)
        )
        colours = (self.textures.sample(colours, face, weights) / 255) ** GAMMA
        return Hits(ray, points, towards * facing, towards * unit_vectors(normals), colours)

    def shade(self, hits: Hits, part: np.ndarray, light: Light, camera: Camera) -> Float[np.ndarray, " hits"]:
        """How much light each hit sends back, 1 for a white surface square to an open sky or to the lamp.

        `part` says which share of the directions a hit looks into: those of one pixel look into all between them.
        """
        lamp = light.directions(camera)
        weights = np.maximum(hits.normals @ SKY_DIRECTIONS.T, 1e-3) * direction_subset(part, SKY_DIRECTIONS)
        open_sky = (weights * self.unoccluded(hits, SKY_DIRECTIONS, part, reach=OCCLUSION_RADIUS)).sum(1) / weights.sum(
            1
        )
        lit = self.unoccluded(hits, lamp, part, reach=4.0).sum(1) / direction_subset(part, lamp).sum(1)
        sky = open_sky * (SKY_BRIGHTNESS + SKY_GRADIENT * hits.normals[:, 1])
        key = lit * np.maximum(hits.normals @ unit_vectors(lamp.mean(0)), 0)
        return light.ambient * sky + (1 - light.ambient) * 1.4 * key

    def unoccluded(
        self, hits: Hits, directions: np.ndarray, part: np.ndarray, *, reach: float
    ) -> Bool[np.ndarray, "hits directions"]:
        """Whether each hit looks at the light from each direction, and nothing within reach stands between."""
        free = (hits.face_normals @ directions.T > 0) & direction_subset(part, directions)
        which, way = np.nonzero(free)
        origins = (hits.points + RAY_OFFSET * hits.face_normals)[which]
        far = np.full(len(which), reach, np.float32)
        free[which, way] = self.embree.run(origins, directions[way], dists=far, query="OCCLUDED") != 0
        return free


def direction_subset(part: Int[np.ndarray, " hits"], directions: np.ndarray) -> Bool[np.ndarray, "hits directions"]:
    """Every fourth direction, from the part on; all of them for a part below 0."""
    return (part[:, None] < 0) | (np.arange(len(directions)) % 4 == part[:, None] % 4)


def render_view(
    mesh: trimesh.Trimesh, camera: Camera, *, side: int, light: Light | None = None, supersample: int = 2
) -> UInt8[np.ndarray, "side side 4"]:
    """The object framed, its background transparent; straight alpha. For many views of one mesh keep its `Scene`."""
    return Scene(mesh).render(camera, side=side, light=light, supersample=supersample)


def visible_points(
    mesh: trimesh.Trimesh, projection: Projection, points: Float[np.ndarray, "points 3"]
) -> Bool[np.ndarray, " points"]:
    """Whether each point lies inside the picture with nothing of the mesh in front of it."""
    return Scene(mesh).visible_points(projection, points)


def render_silhouette(mesh: trimesh.Trimesh, camera: Camera, *, side: int) -> Bool[np.ndarray, "side side"]:
    """The pixels that `view` fills at least half."""
    return Scene(mesh).render_silhouette(camera, side=side)


def render_turntable(
    mesh: trimesh.Trimesh,
    *,
    side: int = 256,
    frames: int = 48,
    elevation: float = 20.0,
    background: tuple[int, int, int] = (255, 255, 255),
) -> UInt8[np.ndarray, "frames side side 3"]:
    """The object turning once about its upright axis, in a window that stays."""
    scene = Scene(mesh)
    cameras = [Camera(360 * frame / frames, elevation) for frame in range(frames)]
    windows = [view_window(scene.vertices, camera) for camera in cameras]
    pictures = (scene.render_projection(fit_windows(windows, camera, side=side)) for camera in cameras)
    return np.stack([composite_over(picture, background) for picture in pictures])


def render_contact_sheet(
    meshes: Sequence[trimesh.Trimesh], *, side: int = 128, azimuths: Sequence[float] = (30.0, 120.0, 210.0, 300.0)
) -> UInt8[np.ndarray, "height width 3"]:
    """A row a mesh, a column an azimuth, on white."""
    rows = []
    for scene in map(Scene, meshes):
        views = [scene.render(Camera(azimuth), side=side) for azimuth in azimuths]
        rows.append(np.concatenate([composite_over(picture, (255, 255, 255)) for picture in views], 1))
    return np.concatenate(rows)


def composite_over(
    picture: UInt8[np.ndarray, "height width 4"], background: tuple[int, int, int]
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture before that colour."""
    alpha = picture[..., 3:] / np.float32(255)
    return (picture[..., :3] * alpha + np.array(background) * (1 - alpha)).round().astype(np.uint8)


def smooth_normals(corners: Float[np.ndarray, "faces 3 3"]) -> Float[np.ndarray, "faces 3 3"]:
    """The normal at each corner of each face: the mean of the faces that meet there and are not across a crease."""
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    own = unit_vectors(weighted)
    _, place = trimesh.grouping.unique_rows(corners.reshape(-1, 3), digits=6)
    normals = weighted.repeat(3, 0)
    for one, other in coincident_corners(place):
        alike = np.einsum("pc,pc->p", own[one // 3], own[other // 3])
        weight = np.sign(alike) * (abs(alike) > CREASE_COSINE)  # neighbours may be wound the other way
        for axis in range(3):
            normals[:, axis] += np.bincount(one, weight * weighted[other // 3, axis], minlength=len(normals))
    return unit_vectors(normals).reshape(-1, 3, 3)


def coincident_corners(place: Int[np.ndarray, " corners"]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each corner with each other one at its place, all pairs of some distance in a sorted order at a time."""
    order = np.argsort(place, kind="stable")
    there = place[order]
    for shift in range(1, 33):  # beyond so many at one place there are enough; the centre of a fan has thousands
        same = np.flatnonzero(there[shift:] == there[:-shift])
        if not len(same):
            return
        low, high = order[same], order[same + shift]
        yield np.concatenate([low, high]), np.concatenate([high, low])


def unit_vectors(vectors: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)
