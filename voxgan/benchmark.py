"""Measures the speed of voxel training, mesh preparation and surface extraction on this machine."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import igl
import numpy as np
import torch
import trimesh
from jaxtyping import Float
from skimage.measure import marching_cubes

from gancore.benchmark import (
    Cost,
    Throughput,
    count_parameters,
    measure_cost,
    measure_matmul_rate,
    measure_seconds,
    measure_training_cost,
)
from gancore.reporting.tables import format_table
from gancore.rng import SampleRandom
from gancore.training.launch import create_accelerator
from gancore.training.trainer import Trainer
from voxgan.build import build_discriminator, build_generator
from voxgan.config import VoxelConfig, VoxelShape
from voxgan.data.dataset import ObjectBatch, collate
from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.surface import extract_surface
from voxgan.mesh.voxelise import normalise_mesh, voxelise
from voxgan.mesh.write import save_mesh
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.objective import VoxelObjective
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene

VIEW_SIDE = 128
"""Width and height of a rendered view in pixels."""


def measure_throughput(config: VoxelConfig, *, side: int, repeats: int) -> Throughput:
    """The cost of an average training step and of generating a batch of objects, on random data of `side`^3 voxels."""
    processes = create_accelerator(config.train)
    rate = measure_matmul_rate(processes.device)
    shape = VoxelShape(side=side)
    generator, discriminator = build_generator(config, shape), build_discriminator(config, shape)
    making = generation_cost(generator.to(processes.device), noise_batch(config, side=side), repeats=repeats)
    with TemporaryDirectory() as folder:
        trainer = Trainer(
            Path(folder),
            config.train,
            generator=generator,
            discriminator=discriminator,
            objective=VoxelObjective(config.objective),
            dataset=(),
            collate=collate,
            accelerator=processes,
        )
        every = config.objective.penalties.lazy_every
        training = measure_training_cost(trainer, noise_batch(config, side=side), every=every, repeats=repeats)
    return Throughput(
        config.train.batch, count_parameters(generator), count_parameters(discriminator), training, making, rate
    )


def noise_batch(config: VoxelConfig, *, side: int) -> ObjectBatch:
    """A batch of random data in the shapes of the configuration."""
    count, encoder = config.train.batch // config.train.gradient_accumulation_steps, config.encoder
    views = 0 if encoder.kind == "none" else config.data.views
    return ObjectBatch(
        views=torch.rand(count, views, encoder.in_channels, encoder.size, encoder.size) * 2 - 1,
        cameras=torch.zeros(count, views, dtype=torch.long),
        occupancy=torch.randint(2, (count, side, side, side)).float(),
        labels=torch.zeros(count, dtype=torch.long),
    )


@torch.inference_mode()
def generation_cost(generator: ImageToVoxels | VoxelGenerator, batch: ObjectBatch, *, repeats: int) -> Cost:
    """The cost of generating a batch of objects; to be measured before training, whose peak memory is higher."""
    device = next(generator.parameters()).device
    if isinstance(generator, ImageToVoxels):
        work = partial(generator.eval(), batch.views.to(device))
    else:
        work = partial(generator.eval(), generator.sample_latents(SampleRandom(0, device=device), len(batch)))
    return measure_cost(work, repeats=repeats, device=device)


# ------------------------------------------------------------------------------------------- from and to meshes


def benchmark_meshes() -> dict[str, trimesh.Trimesh]:
    """The normalised meshes of the benchmark: a table of five boxes and a fine torus."""
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
    return {name: normalise_mesh(mesh) for name, mesh in parts.items()}


def report_preparation(*, sides: tuple[int, ...], repeats: int) -> str:
    """A table of milliseconds to voxelise and to render a mesh, compared with the underlying libraries alone."""
    rows = {}
    for name, mesh in benchmark_meshes().items():
        scene = Scene(mesh)
        work: dict[str, Callable[[], object]] = {}
        for side in sides:
            work[f"voxels {side}^3"] = partial(voxelise, mesh, side)
            work[f"bare winding numbers {side}^3"] = partial(libigl_winding_numbers, mesh, side)
        work[f"view of {VIEW_SIDE} px"] = partial(scene.render, Camera(), side=VIEW_SIDE)
        work["bare ray casting"] = partial(cast_rays, scene, count=(2 * VIEW_SIDE) ** 2)
        rows[f"{name}, {len(mesh.faces)} faces"] = {key: time_milliseconds(each, repeats) for key, each in work.items()}
    columns = list(next(iter(rows.values())))
    return format_table("ms a mesh", columns, {name: list(row.values()) for name, row in rows.items()}, digits=1)


def libigl_winding_numbers(mesh: trimesh.Trimesh, side: int) -> Float[np.ndarray, " voxels"]:
    """Winding numbers of the voxel centres by libigl alone."""
    centres = (np.indices((side,) * 3).reshape(3, -1).T + 0.5) / side - 0.5
    return igl.fast_winding_number(np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int64), centres)


def cast_rays(scene: Scene, *, count: int) -> None:
    """Casts about `count` parallel rays with Embree alone, for their distances."""
    side = int(count**0.5)
    at = np.linspace(-0.5, 0.5, side, dtype=np.float32)
    origins = np.stack([*map(np.ravel, np.meshgrid(at, at)), np.full(side**2, 2, np.float32)], 1)
    directions = np.broadcast_to(np.array([0, 0, -1], np.float32), origins.shape).copy()
    scene.embree.run(origins, directions, query="DISTANCE")


def report_meshing(*, sides: tuple[int, ...], repeats: int) -> str:
    """A table of milliseconds from probabilities to a GLB file, compared with marching cubes alone."""
    rows: dict[str, list[float | int | str]] = {}
    with TemporaryDirectory() as folder:
        for side in sides:
            soft = soft_torus(side)
            padded = np.pad(soft, 1)
            mesh = extract_surface(soft, SurfaceConfig())
            surface = partial(extract_surface, soft, SurfaceConfig())
            whole = partial(write_glb, soft, Path(folder, "torus.glb"))
            bare = partial(marching_cubes, padded, 0.5, gradient_direction="ascent")
            times = [time_milliseconds(work, repeats) for work in (whole, surface, bare)]
            rows[f"{side}^3, {len(mesh.faces)} faces"] = [*times, f"{times[0] / times[2]:.1f}"]
    columns = ["occupancy to GLB", "surface alone", "bare marching cubes", "GLB / bare"]
    return format_table("ms an object", columns, rows, digits=1)


def write_glb(probabilities: Float[np.ndarray, "x y z"], path: Path) -> None:
    """Extracts the surface and writes it."""
    save_mesh(extract_surface(probabilities, SurfaceConfig()), path)


def soft_torus(side: int) -> Float[np.ndarray, "side side side"]:
    """Probabilities that fall from 1 to 0 over two voxels across the surface of a torus."""
    x, y, z = (np.indices((side,) * 3, np.float32) + 0.5) / side - 0.5
    inside = 0.13 - np.hypot(np.hypot(x, z) - 0.33, y)
    return np.clip(0.5 + inside * side / 2, 0, 1).astype(np.float32)


def time_milliseconds(work: Callable[[], object], repeats: int) -> float:
    """The median time of the work in milliseconds, after one untimed call."""
    work()
    return 1000 * measure_seconds(work, repeats=repeats, device=torch.device("cpu"))
