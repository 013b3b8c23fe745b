"""How fast voxel models train, and objects become data and data become meshes, on the machine at hand."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import igl
import numpy as np
import torch
import trimesh
from jaxtyping import Float
from skimage.measure import marching_cubes

from gancore.benchmark import Cost, Speed, cost, matmul_rate, seconds, size_of, training_cost
from gancore.data import Draws
from gancore.reporting.tables import table
from gancore.training.launch import accelerator
from gancore.training.trainer import Objective, Trainer
from voxgan.config import VoxelConfig, build_discriminator, build_generator
from voxgan.data.dataset import Objects, collate
from voxgan.mesh.surface import SurfaceConfig, from_occupancy
from voxgan.mesh.voxelise import normalised, voxelise
from voxgan.mesh.write import save_mesh
from voxgan.networks.generator import VoxelGenerator, VoxelShape
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene

VIEW = 128
"""Pixels along a rendered view."""


def speed(config: VoxelConfig, *, side: int, repeats: int) -> Speed:
    """The cost of an average training step and of making a batch of objects, on noise in place of data."""
    processes = accelerator(config.train)
    rate = matmul_rate(processes.device)
    shape = VoxelShape(side=side)
    generator, discriminator = build_generator(config, shape), build_discriminator(config, shape)
    assert isinstance(generator, ImageToVoxels | VoxelGenerator)
    making = making_cost(generator.to(processes.device), noise(config, side=side), repeats=repeats)
    with TemporaryDirectory() as folder:
        trainer = Trainer(
            Path(folder),
            config.train,
            generator=generator,
            discriminator=discriminator,
            objective=cast(Objective, config.objective),
            dataset=(),
            collate=collate,
            accelerator=processes,
        )
        every = config.objective.penalties.every
        training = training_cost(trainer, noise(config, side=side), every=every, repeats=repeats)
    return Speed(config.train.batch, size_of(generator), size_of(discriminator), training, making, rate)


def noise(config: VoxelConfig, *, side: int) -> Objects:
    """A batch of the shape described."""
    count, encoder = config.train.batch // config.train.accumulate, config.encoder
    views = 0 if encoder.kind == "none" else config.data.views
    return Objects(
        views=torch.rand(count, views, encoder.inputs, encoder.size, encoder.size) * 2 - 1,
        occupancy=torch.randint(2, (count, side, side, side)).float(),
        labels=torch.zeros(count, dtype=torch.long),
    )


@torch.inference_mode()
def making_cost(generator: ImageToVoxels | VoxelGenerator, batch: Objects, *, repeats: int) -> Cost:
    """The cost of one object for each of the batch. It comes before training, whose memory would hide its own."""
    device = next(generator.parameters()).device
    if isinstance(generator, ImageToVoxels):
        work = partial(generator.eval(), batch.views.to(device))
    else:
        work = partial(generator.eval(), generator.draw(Draws(0, device=device), len(batch)))
    return cost(work, repeats=repeats, device=device)


# ------------------------------------------------------------------------------------------- from and to meshes


def meshes() -> dict[str, trimesh.Trimesh]:
    """A table of five boxes and a fine torus, normalised."""
    top = trimesh.creation.box([1, 0.05, 0.7])
    legs = [
        trimesh.creation.box([0.05, 0.6, 0.05]).apply_translation([x, -0.3, z])
        for x in (-0.45, 0.45)
        for z in (-0.3, 0.3)
    ]
    parts = {
        "table": trimesh.util.concatenate([top, *legs]),
        "torus": trimesh.creation.torus(0.35, 0.15, major_sections=128, minor_sections=64),
    }
    return {name: normalised(mesh) for name, mesh in parts.items()}


def preparing_report(*, sides: tuple[int, ...], repeats: int) -> str:
    """A table of milliseconds to voxelise and to render a mesh, beside the libraries underneath."""
    rows = {}
    for name, mesh in meshes().items():
        scene = Scene(mesh)
        work: dict[str, Callable[[], object]] = {}
        for side in sides:
            work[f"voxels {side}^3"] = partial(voxelise, mesh, side)
            work[f"bare winding numbers {side}^3"] = partial(winding_numbers, mesh, side)
        work[f"view of {VIEW} px"] = partial(scene.view, Camera(), side=VIEW)
        work["bare ray casting"] = partial(cast_rays, scene, count=(2 * VIEW) ** 2)
        rows[f"{name}, {len(mesh.faces)} faces"] = {key: milliseconds(each, repeats) for key, each in work.items()}
    columns = list(next(iter(rows.values())))
    return table("ms a mesh", columns, {name: list(row.values()) for name, row in rows.items()}, digits=1)


def winding_numbers(mesh: trimesh.Trimesh, side: int) -> Float[np.ndarray, " voxels"]:
    """What libigl alone says of the voxels' centres."""
    centres = (np.indices((side,) * 3).reshape(3, -1).T + 0.5) / side - 0.5
    return igl.fast_winding_number(np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int64), centres)


def cast_rays(scene: Scene, *, count: int) -> None:
    """Casts so many rays in parallel, the surface's distances alone asked for."""
    side = int(count**0.5)
    at = np.linspace(-0.5, 0.5, side, dtype=np.float32)
    origins = np.stack([*map(np.ravel, np.meshgrid(at, at)), np.full(side**2, 2, np.float32)], 1)
    directions = np.broadcast_to(np.array([0, 0, -1], np.float32), origins.shape).copy()
    scene.embree.run(origins, directions, query="DISTANCE")


def meshing_report(*, sides: tuple[int, ...], repeats: int) -> str:
    """A table of milliseconds from the probabilities of a torus to a GLB file, beside bare marching cubes."""
    rows: dict[str, list[float | int | str]] = {}
    with TemporaryDirectory() as folder:
        for side in sides:
            soft = soft_torus(side)
            padded = np.pad(soft, 1)
            mesh = from_occupancy(soft, SurfaceConfig())
            surface = partial(from_occupancy, soft, SurfaceConfig())
            whole = partial(to_glb, soft, Path(folder, "torus.glb"))
            bare = partial(marching_cubes, padded, 0.5, gradient_direction="ascent")
            times = [milliseconds(work, repeats) for work in (whole, surface, bare)]
            rows[f"{side}^3, {len(mesh.faces)} faces"] = [*times, f"{times[0] / times[2]:.1f}"]
    columns = ["occupancy to GLB", "surface alone", "bare marching cubes", "GLB / bare"]
    return table("ms an object", columns, rows, digits=1)


def to_glb(probabilities: Float[np.ndarray, "x y z"], path: Path) -> None:
    """Writes the surface of the probabilities."""
    save_mesh(from_occupancy(probabilities, SurfaceConfig()), path)


def soft_torus(side: int) -> Float[np.ndarray, "side side side"]:
    """Probabilities that fall from 1 to 0 over two voxels across the surface of a torus."""
    x, y, z = (np.indices((side,) * 3, np.float32) + 0.5) / side - 0.5
    inside = 0.13 - np.hypot(np.hypot(x, z) - 0.33, y)
    return np.clip(0.5 + inside * side / 2, 0, 1).astype(np.float32)


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """The median time of the work after a first try."""
    work()
    return 1000 * seconds(work, repeats=repeats, device=torch.device("cpu"))
