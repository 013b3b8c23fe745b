"""Exports meshes: occupancies of objects in pictures or from noise, their surfaces, and mesh files."""

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import torch
import trimesh
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor
from tqdm import tqdm

from gancore.data import evenly_spaced
from gancore.device import select_device
from gancore.files.limits import ReadingLimits
from gancore.files.media import require_media_suffix, write_animation
from voxgan.commands import ExportConfig, numbered_path
from voxgan.files.images import cut_out_object
from voxgan.latents import find_latent, interpolate_sequence
from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.surface import extract_surface
from voxgan.mesh.write import find_format, save_mesh
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels, VoxelModel, load_model, object_generator
from voxgan.rendering.camera import Camera, fit_windows, view_window
from voxgan.rendering.raycast import Scene, composite_over, render_turntable
from voxgan.rendering.vertex_colours import CameraLikelihood, paint_mesh

logger = logging.getLogger(__name__)

BACKGROUND = (255, 255, 255)
"""Colour behind the objects of a preview."""
TURN_FRAMES, PREVIEW_RATE = 48, 16
"""Frames of a turn in a preview, and frames per second."""
PREVIEW_SHEET = (4, 2)
"""Columns and rows of a preview in a PNG."""
PREVIEW_CRF = 18
"""Quality of a preview in an MP4, see `gancore.files.media.write_mp4`."""
INTERPOLATION_RATE = 8
"""Objects per second in the preview of an interpolation."""


@dataclass(frozen=True)
class Picture:
    """A picture file of an object, and the file of its mask if there is one."""

    image: Path
    mask: Path | None = None


@dataclass(frozen=True)
class ObjectPrediction:
    """The occupancy probabilities of an object, and the pictures that it was reconstructed from."""

    number: int
    """Its place among all objects of the command, counted from 1."""
    probabilities: Float[np.ndarray, "x y z"]
    pictures: tuple[Picture, ...] = ()
    log_likelihoods: tuple[CameraLikelihood, ...] = ()
    """Of the camera of each picture; see `estimate_camera`."""


@dataclass(frozen=True)
class ExportedMesh:
    """A mesh that was written to a file, here in the unit cube."""

    path: Path
    mesh: trimesh.Trimesh


def export_meshes(config: ExportConfig) -> list[ExportedMesh]:
    """Writes the meshes and previews of the settings, and returns the meshes.

    Of several objects, one that fails is logged and left out. Raises ValueError or OSError if no object can be made, or
    the model or a file cannot be read or written.
    """
    find_format(config.out)  # a suffix that cannot be written is refused before any work
    if config.preview:
        require_media_suffix(config.preview)
    device = select_device(cpu=config.cpu)
    model = load_model(config.model).to(device)
    if config.images:
        if not isinstance(model, ImageToVoxels):
            raise ValueError(f"{config.model} generates objects from noise; pictures need an image-to-object model")
        groups = group_pictures(config.images, config.masks, together=config.grouping == "together")
        predictions = reconstruct_objects(
            model,
            groups,
            samples=config.posterior_samples,
            seed=config.seed,
            label=config.class_,
            limits=config,
        )
    else:
        predictions = generate_objects(
            object_generator(model),
            choose_latents(model, config),
            label=config.class_,
            truncation=config.truncation,
        )
    exported, total = [], config.total
    for prediction in tqdm(predictions, total=total, unit="object", disable=True if total == 1 else None):
        path = numbered_path(config.out, prediction.number, total)
        try:
            mesh = make_mesh(prediction, config, coloured=not config.skip_colours, limits=config)
        except ValueError as error:
            if total == 1:
                raise
            logger.warning("left out: %s: %s", path, error)
            continue
        save_mesh(mesh, path, size_mm=config.size_mm)
        exported.append(ExportedMesh(path, mesh))
        if config.preview and not config.interpolates:
            preview = numbered_path(config.preview, prediction.number, total)
            write_turntable(preview, mesh, side=config.preview_size)
    if not exported:
        raise ValueError(f"none of the {total} objects could be made")
    if config.preview and config.interpolates:
        frames = render_sequence([each.mesh for each in exported], side=config.preview_size)
        write_preview(config.preview, frames, rate=INTERPOLATION_RATE)
    return exported


# ------------------------------------------------------------------------------------------ occupancies


def group_pictures(images: Sequence[Path], masks: Sequence[Path], *, together: bool) -> list[tuple[Picture, ...]]:
    """The pictures of each object: all of one object, or one of each; `masks` is empty or has one for each image."""
    pictures = tuple(map(Picture, images, masks)) if masks else tuple(map(Picture, images))
    return [pictures] if together else [(picture,) for picture in pictures]


def reconstruct_objects(
    model: ImageToVoxels,
    groups: Sequence[Sequence[Picture]],
    *,
    samples: int | None = None,
    seed: int = 0,
    label: str | None = None,
    limits: ReadingLimits = ReadingLimits(),
) -> Iterator[ObjectPrediction]:
    """The object that each group of pictures shows: at the posterior's mean, or `samples` draws from the posterior.

    Raises ValueError for a class that the model does not use, and ValueError or OSError if a picture cannot be read,
    shows no object, or exceeds the limits; if there are several groups, a failing one is logged and left out instead.
    """
    model.check_label(label)
    for place, group in enumerate(groups):
        try:
            masks = [picture.mask for picture in group if picture.mask]
            posterior = model.encode([picture.image for picture in group], masks=masks or None, limits=limits)
            objects = model.decode(posterior, samples=samples, seed=seed, label=label)
        except (ValueError, OSError) as error:
            if len(groups) == 1:
                raise
            logger.warning("left out: %s: %s", ", ".join(str(picture.image) for picture in group), error)
            continue
        for number, probabilities in enumerate(objects.numpy(), 1 + place * len(objects)):
            cameras = posterior.camera_log_likelihoods(len(group))
            yield ObjectPrediction(number, probabilities, tuple(group), cameras)


def choose_latents(model: VoxelModel, config: ExportConfig) -> Float[Tensor, "count latent"]:
    """The latents of the seeds `seed`, `seed` + 1, ..., or those that `latents` and `weights` ask for.

    Raises ValueError for a class that the model does not know, and ValueError or OSError if a file cannot be read.
    """
    generator = object_generator(model)
    if not config.latents:
        seeds = range(config.seed, config.seed + config.count)
        drawn = partial(generator.latent_from_seed, label=config.class_, truncation=config.truncation)
        return torch.cat([drawn(seed) for seed in seeds])
    found = []
    for given in config.latents:
        latent, origin = find_latent(given, model, config)
        tqdm.write(origin, file=sys.stderr)
        found.append(latent.cpu())
    if config.weights:
        return torch.stack([weight * latent for weight, latent in zip(config.weights, found, strict=True)]).sum(0)
    return interpolate_sequence(found, config.count)


def generate_objects(
    generator: VoxelGenerator,
    latents: Float[Tensor, "count latent"],
    *,
    label: str | None = None,
    truncation: float | None = None,
) -> Iterator[ObjectPrediction]:
    """The objects of latents; a truncation applies to the styles of a style generator.

    Raises ValueError for a class that the model does not know.
    """
    for number, latent in enumerate(latents.split(1), 1):
        yield ObjectPrediction(number, generator.decode(latent, label=label, truncation=truncation)[0].numpy())


# ----------------------------------------------------------------------------------------------- meshes


def make_mesh(
    predicted: ObjectPrediction,
    surface: SurfaceConfig,
    *,
    coloured: bool = True,
    limits: ReadingLimits = ReadingLimits(),
) -> trimesh.Trimesh:
    """The surface of the object in the unit cube, coloured from its pictures, whose cameras are estimated.

    Raises ValueError if the occupancy has no surface.
    """
    mesh = extract_surface(predicted.probabilities, surface)
    if not (coloured and predicted.pictures):
        return mesh
    views = [cut_out_object(picture.image, picture.mask, limits=limits) for picture in predicted.pictures]
    return paint_mesh(mesh, views, predicted.log_likelihoods)


def render_sequence(meshes: Sequence[trimesh.Trimesh], *, side: int) -> UInt8[np.ndarray, "frames side side 3"]:
    """A frame of each mesh, all from one camera and at one scale."""
    camera = Camera()
    projection = fit_windows([view_window(mesh.vertices, camera) for mesh in meshes], camera, side=side)
    return np.stack([composite_over(Scene(mesh).render_projection(projection), BACKGROUND) for mesh in meshes])


# ------------------------------------------------------------------------------------------------ files


def write_turntable(path: str | Path, mesh: trimesh.Trimesh, *, side: int = 256) -> None:
    """Writes the object turning once, `side` pixels wide, as `write_preview` does."""
    # for a sheet, only the frames on it are rendered
    sheet = evenly_spaced(TURN_FRAMES, count=prod(PREVIEW_SHEET)) if Path(path).suffix.lower() == ".png" else None
    write_preview(path, render_turntable(mesh, side=side, frames=TURN_FRAMES, shown=sheet))


def write_preview(
    path: str | Path, frames: UInt8[np.ndarray, "frames side side 3"], *, rate: int = PREVIEW_RATE
) -> None:
    """Writes the frames as .mp4 or .gif, or up to eight of them as a .png sheet. Raises ValueError if it cannot."""
    clip = rearrange(torch.from_numpy(frames), "f h w c -> f c h w")
    write_animation(path, clip, rate=rate, crf=PREVIEW_CRF, sheet=PREVIEW_SHEET)


def describe_export(exported: ExportedMesh, *, size_mm: float | None) -> str:
    """A line with the file, its number of faces and its size in millimetres."""
    extents = exported.mesh.extents * (size_mm / exported.mesh.extents.max() if size_mm else 1000)
    width, height, depth = (f"{side:.4g}" for side in extents)
    return f"{exported.path}: {len(exported.mesh.faces)} faces, {width} x {height} x {depth} mm (width, height, depth)"
