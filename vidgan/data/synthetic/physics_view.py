"""How a room of bodies looks: walls and a floor with pictures on them, soft shadows, and colours that go through bodies
like the grain through wood, so that they turn with them."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from vidgan.data.synthetic.patches import PatchSource, Picture, draw_colour
from vidgan.data.synthetic.physics_world import Camera, Poses, Vector, View, World

SAMPLES = 2
"""Rows and columns of samples in a pixel of a body."""
SHADOW_SIDE = 48
"""Pixels of a side of the shadow map, which spans the middle SHADOW_SPAN metres of the room."""
SHADOW_SPAN = 7.0
SHADOW_STRENGTH = 0.45
WALL_HEIGHT = 3.0
"""Height in metres of the pictures on the walls."""


@dataclass(frozen=True)
class Room:
    """A square room."""

    half_side: float
    """From the middle to a wall, in metres."""

    floor: Picture
    walls: tuple[Float[Tensor, "3 high long"], Float[Tensor, "3 high long"]]
    """On the two walls across x, and on the two across y."""

    light: Vector
    """Unit vector towards the light."""


@dataclass(frozen=True)
class SolidTexture:
    """Two colours that are mixed by waves through a body."""

    colours: Float[np.ndarray, "2 3"]
    waves: Float[np.ndarray, "wave 3"]
    """Wave vectors in radians a metre."""

    phases: Float[np.ndarray, " wave"]
    sharpness: float
    """0 for the mean of the colours all over, large for a sharp pattern."""

    def colour_at(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point 3"]:
        """Colours in [0, 1] at points in the body's own coordinates."""
        waves = np.sin(points @ self.waves.T + self.phases).mean(1, keepdims=True)
        mixture = (0.5 + self.sharpness * waves).clip(0, 1)
        return self.colours[0] + mixture * (self.colours[1] - self.colours[0])


def draw_solid_texture(random: np.random.Generator) -> SolidTexture:
    """A plain colour, soft clouds or sharp bands, with waves of 0.15 m and more."""
    first, second = (draw_colour(random).numpy().ravel().astype(float) for _ in range(2))
    waves = random.normal(size=(int(random.integers(1, 4)), 3)) * random.uniform(3, 20)
    sharpness = [0.0, random.uniform(0.3, 1), 8.0][random.integers(3)]
    return SolidTexture(np.stack([first, second]), waves, random.uniform(0, 2 * np.pi, len(waves)), float(sharpness))


def draw_room(random: np.random.Generator, patches: PatchSource) -> Room:
    """A room of 7 to 12 m a side, lit from above at an angle."""
    azimuth, slope = random.uniform(0, 2 * np.pi), random.uniform(0.3, 0.9)
    light = np.array([np.cos(azimuth) * slope, np.sin(azimuth) * slope, 1.0])
    walls = patches.plate(random, 96, 256), patches.plate(random, 96, 256)
    return Room(random.uniform(3.5, 6), patches.patch(random, 256, 256), walls, light / np.linalg.norm(light))


def paint(
    world: World, camera: Camera, room: Room, textures: list[SolidTexture], *, height: int, width: int
) -> tuple[Float[Tensor, "3 height width"], Int64[Tensor, "height width"]]:
    """A frame in [0, 1], and the body in the upper left sample of each of its pixels, -1 for none."""
    view = world.look(camera, SAMPLES * height, SAMPLES * width, light=room.light)
    bodies = F.avg_pool2d(paint_bodies(view, camera, world.poses(), textures)[None], SAMPLES)[0]
    points = find_surfaces(camera, room, height, width)
    surroundings = paint_room(points, room) * (1 - SHADOW_STRENGTH * find_shadows(world, room, points))
    numbers = torch.from_numpy(view.body[::SAMPLES, ::SAMPLES].astype(np.int64))
    return surroundings * (1 - bodies[3]) + bodies[:3], numbers


def paint_bodies(
    view: View, camera: Camera, poses: Poses, textures: list[SolidTexture]
) -> Float[Tensor, "4 height width"]:
    """Colour times opacity, and opacity, of the bodies alone."""
    height, width = view.body.shape
    painted = np.zeros((height, width, 4), np.float32)
    rays = camera.rays(height, width)
    for number in np.unique(view.body[view.body >= 0]):
        here = view.body == number
        points = camera.eye + rays[here] * view.depth[here, None]
        own = (points - poses.positions[number]) @ poses.rotations[number]
        painted[here, :3] = textures[number].colour_at(own) * view.shade[here, None]
        painted[here, 3] = 1
    return torch.from_numpy(painted).permute(2, 0, 1)


def find_surfaces(camera: Camera, room: Room, height: int, width: int) -> Float[np.ndarray, "height width 3"]:
    """The point of the floor or of a wall that each pixel looks at."""
    rays = camera.rays(height, width)
    rays = np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    walls = (np.sign(rays[..., :2]) * room.half_side - camera.eye[:2]) / rays[..., :2]
    floor = np.where(rays[..., 2:] < 0, -camera.eye[2] / rays[..., 2:], np.inf)
    return camera.eye + rays * np.concatenate([walls, floor], -1).min(-1, keepdims=True)


def paint_room(points: Float[np.ndarray, "height width 3"], room: Room) -> Float[Tensor, "3 height width"]:
    """The pictures on the floor and the walls at these points."""
    unit = points / room.half_side
    high = 1 - 2 * points[..., 2] / WALL_HEIGHT
    across_x = np.abs(unit[..., 0]) > 1 - 1e-6
    across_y = np.abs(unit[..., 1]) > 1 - 1e-6
    floor = _look_up(room.floor, unit[..., 0], unit[..., 1])
    first, second = (
        _look_up(picture, unit[..., along], high) for picture, along in zip(room.walls, (1, 0), strict=True)
    )
    walls = torch.where(torch.from_numpy(across_x), first * 0.9, second * 0.8)
    return torch.where(torch.from_numpy(across_x | across_y), walls, floor)


def find_shadows(
    world: World, room: Room, points: Float[np.ndarray, "height width 3"]
) -> Float[Tensor, "height width"]:
    """How much of the light is taken from each point, in [0, 1]: the bodies as they are seen from a far light."""
    distance = 30.0
    lamp = Camera(room.light * distance, np.zeros(3), float(np.degrees(2 * np.arctan(SHADOW_SPAN / 2 / distance))))
    taken = world.look(lamp, SHADOW_SIDE, SHADOW_SIDE, light=room.light).body >= 0
    soft = F.avg_pool2d(torch.from_numpy(taken.astype(np.float32))[None, None], 3, stride=1, padding=1)[0]
    x, y = np.moveaxis(lamp.project(points), -1, 0)
    return _look_up(soft, x, y, padding="zeros")[0]


def _look_up(
    picture: Float[Tensor, "channel h w"], x: np.ndarray, y: np.ndarray, *, padding: str = "border"
) -> Float[Tensor, "channel height width"]:
    """The picture at places in [-1, 1], y down."""
    grid = torch.from_numpy(np.stack([x, y], -1).astype(np.float32))[None]
    return F.grid_sample(picture[None], grid, padding_mode=padding, align_corners=False)[0]
