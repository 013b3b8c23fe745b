"""A small world of rigid bodies in pybullet: what is in it, how it is stepped, and what TinyRenderer sees of it.

Lengths are metres, z points up. A process has one client, which is emptied for every clip; time steps are fixed.
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gancore.splits import Split

STEPS_PER_SECOND = 240
OBJECTS = 1000
"""Random objects that come with pybullet, by number; those that end in 8 are for val, in 9 for test."""
SECTORS = 12
"""Parts of the circle that cameras stand in; every sixth is for val, and every sixth for test."""
NEAR, FAR = 0.1, 60.0

Vector = Float[np.ndarray, "3"]


class Camera(NamedTuple):
    """A pinhole camera."""

    eye: Vector
    target: Vector
    field_of_view: float
    """Vertical angle in degrees."""

    def basis(self) -> Float[np.ndarray, "3 3"]:
        """Unit vectors to the right, up and forward, in rows."""
        forward = (self.target - self.eye) / np.linalg.norm(self.target - self.eye)
        right = np.cross(forward, (0, 0, 1))
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(right, forward), forward])

    def rays(self, height: int, width: int) -> Float[np.ndarray, "height width 3"]:
        """Directions through the centres of all pixels, as long as it takes to come 1 m forward."""
        half = np.tan(np.radians(self.field_of_view) / 2)
        x = ((2 * np.arange(width) + 1) / width - 1) * half * width / height
        y = (1 - (2 * np.arange(height) + 1) / height) * half
        right, up, forward = self.basis()
        return x[None, :, None] * right + y[:, None, None] * up + forward

    def project(self, points: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 2"]:
        """Where points are in a square picture, as (x, y) in [-1, 1] with y down."""
        seen = (points - self.eye) @ self.basis().T
        return seen[..., :2] * (1, -1) / (seen[..., 2:] * np.tan(np.radians(self.field_of_view) / 2))


class View(NamedTuple):
    """What is seen of the bodies in each pixel."""

    body: Int[np.ndarray, "height width"]
    """Number of the body; -1 where there is none."""

    depth: Float[np.ndarray, "height width"]
    """Distance along the camera's axis in metres."""

    shade: Float[np.ndarray, "height width"]
    """Light that a white body throws back, in [0, 1]."""


class Poses(NamedTuple):
    """Where all bodies are."""

    positions: Float[np.ndarray, "body 3"]
    rotations: Float[np.ndarray, "body 3 3"]
    """From the coordinates of each body to those of the world."""


class World:
    """An empty floor with gravity; a new one takes the place of the last.

    Raises ValueError if pybullet is not installed.
    """

    def __init__(self) -> None:
        self.bullet = import_pybullet()
        self.client = connect(os.getpid())
        self.time, self.bodies = 0.0, 0
        self.guided: dict[int, Callable[[float], Vector]] = {}
        """Paths of bodies that are moved by hand: the place at each time in seconds."""
        self.bullet.resetSimulation(physicsClientId=self.client)
        self.bullet.setPhysicsEngineParameter(
            fixedTimeStep=1 / STEPS_PER_SECOND, deterministicOverlappingPairs=1, physicsClientId=self.client
        )
        self.bullet.setGravity(0, 0, -9.8, physicsClientId=self.client)
        floor = self.bullet.createCollisionShape(self.bullet.GEOM_PLANE, physicsClientId=self.client)
        self.floor = self.bullet.createMultiBody(0, floor, physicsClientId=self.client)

    def add(
        self,
        shape: dict,
        *,
        position: Vector,
        angles: Vector,
        velocity: Vector | None = None,
        spin: Vector | None = None,
        mass: float = 1.0,
    ) -> int:
        """Adds a white body and returns its number, counted from 0.

        Args:
            shape: Arguments of `createCollisionShape`.
            position: Of its centre.
            angles: Its rotation in radians, as Euler's angles.
            velocity: In metres a second; at rest if not given.
            spin: In radians a second about each axis.
            mass: In kilograms; 0 is moved by nothing.
        """
        client = {"physicsClientId": self.client}
        collision = self.bullet.createCollisionShape(**shape, **client)
        seen = {("length" if name == "height" else name): value for name, value in shape.items()}
        visual = self.bullet.createVisualShape(**seen, rgbaColor=[1, 1, 1, 1], **client)
        orientation = self.bullet.getQuaternionFromEuler(angles.tolist())
        body = self.bullet.createMultiBody(mass, collision, visual, position.tolist(), orientation, **client)
        self.bullet.changeDynamics(
            body, -1, lateralFriction=0.5, rollingFriction=0.002, spinningFriction=0.002, restitution=0.4, **client
        )
        moving = [(vector if vector is not None else np.zeros(3)).tolist() for vector in (velocity, spin)]
        self.bullet.resetBaseVelocity(body, *moving, **client)
        self.bodies += 1
        return body - self.floor - 1

    def step(self, steps: int) -> None:
        """Goes on by so many time steps."""
        client = {"physicsClientId": self.client}
        for _ in range(steps):
            for number, path in self.guided.items():
                body, here, later = number + self.floor + 1, path(self.time), path(self.time + 1 / STEPS_PER_SECOND)
                _, orientation = self.bullet.getBasePositionAndOrientation(body, **client)
                self.bullet.resetBasePositionAndOrientation(body, here.tolist(), orientation, **client)
                velocity = (later - here) * STEPS_PER_SECOND
                self.bullet.resetBaseVelocity(body, velocity.tolist(), **client)
            self.bullet.stepSimulation(**client)
            self.time += 1 / STEPS_PER_SECOND

    def push(self, number: int, velocity: Vector) -> None:
        """Makes a body faster by this, in metres a second."""
        client, body = {"physicsClientId": self.client}, number + self.floor + 1
        moving, spin = self.bullet.getBaseVelocity(body, **client)
        self.bullet.resetBaseVelocity(body, (np.array(moving) + velocity).tolist(), spin, **client)

    def poses(self) -> Poses:
        """Where all bodies are now."""
        client = {"physicsClientId": self.client}
        numbers = range(self.floor + 1, self.floor + 1 + self.bodies)
        found = [self.bullet.getBasePositionAndOrientation(body, **client) for body in numbers]
        rotations = [self.bullet.getMatrixFromQuaternion(orientation) for _, orientation in found]
        return Poses(np.array([position for position, _ in found]), np.array(rotations).reshape(-1, 3, 3))

    def look(self, camera: Camera, height: int, width: int, *, light: Vector) -> View:
        """Renders the bodies, without the floor; `light` is the direction towards the light."""
        view = self.bullet.computeViewMatrix(camera.eye.tolist(), camera.target.tolist(), [0, 0, 1])
        projection = list(self.bullet.computeProjectionMatrixFOV(camera.field_of_view, width / height, NEAR, FAR))
        projection[8] += 1 / width  # TinyRenderer samples pixels at their lower left corners: half a pixel on,
        projection[9] += 1 / height  # these are the centres
        _, _, colour, depth, body = self.bullet.getCameraImage(
            width,
            height,
            view,
            projection,
            lightDirection=light.tolist(),
            lightAmbientCoeff=0.55,
            lightDiffuseCoeff=0.45,
            lightSpecularCoeff=0.05,
            shadow=0,
            renderer=self.bullet.ER_TINY_RENDERER,
            physicsClientId=self.client,
        )
        depth = FAR * NEAR / (FAR - (FAR - NEAR) * np.asarray(depth, np.float64).reshape(height, width))
        seen = np.asarray(body).reshape(height, width) - self.floor - 1
        shade = np.asarray(colour).reshape(height, width, 4)[..., 0] / 255.0
        return View(np.maximum(seen, -1), depth, shade)


def import_pybullet() -> ModuleType:
    """pybullet. Raises ValueError if it is not installed."""
    try:
        import pybullet
    except ImportError as error:
        raise ValueError("data.path physics needs pybullet: pip install 'vidvox[physics]'") from error
    return pybullet


@cache
def connect(process: int) -> int:
    """The client of this process; one that was forked has its own."""
    del process
    bullet = import_pybullet()
    return bullet.connect(bullet.DIRECT)


@cache
def find_object(number: int) -> str:
    """The mesh of a random object."""
    import_pybullet()
    import pybullet_data

    return str(Path(pybullet_data.getDataPath(), "random_urdfs", f"{number:03d}", f"{number:03d}.obj"))


def draw_object(random: np.random.Generator, split: Split) -> int:
    """The number of a random object that belongs to the split."""
    last = {"train": int(random.integers(8)), "val": 8, "test": 9}[split]
    return int(random.integers(OBJECTS // 10)) * 10 + last


def draw_azimuth(random: np.random.Generator, split: Split) -> float:
    """A direction to look from, in radians, that belongs to the split."""
    sector = int(random.integers(SECTORS // 6)) * 6 + {"train": int(random.integers(4)), "val": 4, "test": 5}[split]
    return (sector + random.random()) * 2 * np.pi / SECTORS
