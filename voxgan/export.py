"""Pictures, or noise, in; files of meshes out."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import trimesh
from einops import rearrange
from jaxtyping import Float, UInt8
from tqdm import tqdm

from gancore.media import require_media_suffix, write_animation
from voxgan.files.images import count_megapixels, cut_out_object
from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.surface import extract_surface
from voxgan.mesh.write import find_format, save_mesh
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels, interpolate_latents, load_model
from voxgan.rendering.camera import Camera, fit_windows, view_window
from voxgan.rendering.raycast import Scene, composite_over, render_turntable
from voxgan.rendering.vertex_colours import estimate_camera, project_colours

logger = logging.getLogger(__name__)

WHITE = (255, 255, 255)
PREVIEW_RATE = 16
"""Frames per second of a preview: a turn of 48 frames takes three seconds."""
PREVIEW_SHEET = (4, 2)
"""Columns and rows of a preview in a PNG."""
PREVIEW_CRF = 18
"""Quality of a preview in an MP4, see `gancore.media.write_mp4`."""


@dataclass(frozen=True, kw_only=True)
class ExportConfig(SurfaceConfig):
    """Make meshes of what pictures show, or without pictures of objects from noise."""

    images: tuple[str, ...] = ()
    """Pictures of an object; opaque ones are cut out of their background by the colour of their border."""

    model: str
    """Folder of a trained model (runs/NAME/generator), or the name of one on the Hub."""

    out: str = "object.glb"
    """Where to write: .glb, .obj or .ply (y up, metres), .stl or .3mf (z up, millimetres); several are numbered."""

    grouping: Literal["together", "each"] = "together"
    """Whether all pictures show one object, or each one of its own."""

    masks: tuple[str, ...] = ()
    """A picture for each picture, white where the object is."""

    max_megapixels: float = 20.0
    """Pictures of so many million pixels or more are refused; far fewer are looked at."""

    posterior_samples: int = 0
    """Different objects that a picture may show, drawn from the posterior; 0 for its mean."""

    class_: str = ""
    """Name of the object's class, for models that know classes; empty leaves it open."""

    count: int = 1
    """How many objects to make from noise."""

    interpolate: tuple[int, ...] = ()
    """Two seeds A,B: the objects lead from the one to the other."""

    seed: int = 0
    """Seed of the noise; object n is the same however many are asked for."""

    size_mm: float = 0.0
    """Longest side of the object in millimetres; 0 for a unit cube of one metre."""

    skip_colours: bool = False
    """Leave the pictures' colours out."""

    preview: str = ""
    """A film of the turning object, or with --between of their change: .mp4, .gif, or .png for a sheet."""

    preview_size: int = 256
    """Pixels along each side of the preview."""

    cpu: bool = False
    """Stay on the CPU even if there is a GPU."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in {"samples": 0, "count": 1, "size_mm": 0, "preview_size": 1, "max_megapixels": 0}.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.images and (self.count > 1 or self.interpolate):
            raise ValueError("count and between are for objects from noise, without pictures")
        if not self.images and (self.posterior_samples or self.masks):
            raise ValueError("samples and mask are for objects in pictures; use count to make several from noise")
        if self.masks and len(self.masks) != len(self.images):
            raise ValueError(f"mask: {len(self.images)} pictures need as many masks, got {len(self.masks)}")
        if self.interpolate and (len(self.interpolate) != 2 or self.count < 2):
            raise ValueError("between takes two seeds, as 3,7, and a count of at least 2 objects")
        find_format(Path(self.out))
        if self.preview:
            require_media_suffix(Path(self.preview))


@dataclass(frozen=True)
class ExportedMesh:
    """A written mesh, in the unit cube."""

    path: Path
    mesh: trimesh.Trimesh


@dataclass(frozen=True)
class ObjectPrediction:
    """One object as a model sees it, and the numbers of the pictures that show it."""

    number: int
    probabilities: Float[np.ndarray, "x y z"]
    images: tuple[int, ...] = ()


def export_meshes(config: ExportConfig) -> list[ExportedMesh]:
    """The meshes that were written. Of several objects the one that fails is named in the log and left out.

    Raises ValueError or OSError if no object can be made, or the model or a file cannot be read or written.
    """
    model = load_model(config.model).to("cuda" if torch.cuda.is_available() and not config.cpu else "cpu")
    total = count_objects(config)
    exported = []
    for likely in tqdm(
        predict_objects(config, model), total=total, unit="object", disable=True if total == 1 else None
    ):
        path = numbered_path(config.out, likely.number, total)
        try:
            mesh = colour_mesh(extract_surface(likely.probabilities, config), config, likely.pictures)
        except ValueError as error:
            skip_or_raise(str(path), error, alone=total == 1)
            continue
        save_mesh(mesh, path, size_mm=config.size_mm or None)
        exported.append(ExportedMesh(path, mesh))
        if config.preview and not config.interpolate:
            write_preview(
                numbered_path(config.preview, likely.number, total), render_turntable(mesh, side=config.preview_size)
            )
    if not exported:
        raise ValueError(f"none of {total} objects could be made")
    if config.preview and config.interpolate:
        write_preview(
            Path(config.preview), render_sequence([each.mesh for each in exported], side=config.preview_size), rate=8
        )
    return exported


def count_objects(config: ExportConfig) -> int:
    """How many are asked for."""
    if not config.images:
        return config.count
    return max(1, config.posterior_samples) * (1 if config.grouping == "together" else len(config.images))


def numbered_path(path: str, number: int, total: int) -> Path:
    """The path of object `number`, counted from 1; as it is if there is only one."""
    whole = Path(path)
    return whole if total == 1 else whole.with_stem(f"{whole.stem}-{number:0{len(str(total))}d}")


def skip_or_raise(name: str, error: Exception, *, alone: bool) -> None:
    """Says in the log what is left out; raises the error if there is nothing else."""
    if alone:
        raise error
    logger.warning("left out: %s: %s", name, error)


def predict_objects(config: ExportConfig, model: ImageToVoxels | VoxelGenerator) -> Iterator[ObjectPrediction]:
    """The objects of the pictures, or those made from noise."""
    if config.images:
        yield from reconstruct_images(config, model)
        return
    generator = model.generator if isinstance(model, ImageToVoxels) else model
    label = config.class_ or None
    if config.interpolate:
        first, last = (generator.latent_from_seed(seed) for seed in config.interpolate)
        latents = interpolate_latents(first, last, count=config.count).split(1)
    else:
        latents = tuple(generator.latent_from_seed(config.seed + number) for number in range(config.count))
    for number, latent in enumerate(latents, 1):
        yield ObjectPrediction(number, generator.decode(latent, label=label)[0].numpy())


def reconstruct_images(config: ExportConfig, model: ImageToVoxels | VoxelGenerator) -> Iterator[ObjectPrediction]:
    """The object of all pictures, or the one of each; or several for each that it may be."""
    if not isinstance(model, ImageToVoxels):
        raise ValueError(f"{config.model} makes objects from noise alone; for pictures it takes an ImageToVoxels")
    if config.class_:
        model.shape.class_index(config.class_)  # or every picture would be left out for it
    every = range(len(config.images))
    groups = [tuple(every)] if config.grouping == "together" else [(number,) for number in every]
    for place, group in enumerate(groups):
        images = [config.images[number] for number in group]
        masks = [config.masks[number] for number in group] if config.masks else None
        try:
            for picture in (*images, *(masks or ())):
                check_megapixels(picture, config.max_megapixels)
            made = model.reconstruct(
                images, masks=masks, samples=config.posterior_samples, seed=config.seed, label=config.class_ or None
            )
        except (ValueError, OSError) as error:
            skip_or_raise(", ".join(images), error, alone=len(groups) == 1)
            continue
        for number, probabilities in enumerate(made.numpy(), 1 + place * len(made)):
            yield ObjectPrediction(number, probabilities, group)


def check_megapixels(picture: str, limit: float) -> None:
    """Raises ValueError for a picture of so many megapixels or more, or one that cannot be read."""
    if (size := count_megapixels(picture)) >= limit:
        raise ValueError(
            f"{picture} has {size:.1f} megapixels; {limit:g} or more are refused: scale it down, or set max_megapixels"
        )


def colour_mesh(mesh: trimesh.Trimesh, config: ExportConfig, pictures: tuple[int, ...]) -> trimesh.Trimesh:
    """The mesh in the colours of its pictures, whose cameras are estimated."""
    if config.skip_colours or not pictures:
        return mesh
    masks = config.masks or [None] * len(config.images)
    cut_out = [cut_out_object(config.images[number], masks[number]) for number in pictures]
    return project_colours(mesh, [(picture, estimate_camera(mesh, picture)) for picture in cut_out])


def render_sequence(meshes: list[trimesh.Trimesh], *, side: int) -> UInt8[np.ndarray, "frames side side 3"]:
    """One frame a mesh, all through one window."""
    camera = Camera()
    projection = fit_windows([view_window(mesh.vertices, camera) for mesh in meshes], camera, side=side)
    return np.stack([composite_over(Scene(mesh).render_projection(projection), WHITE) for mesh in meshes])


def write_preview(path: Path, frames: UInt8[np.ndarray, "frames side side 3"], *, rate: int = PREVIEW_RATE) -> None:
    """Writes the frames as .mp4 or .gif, or up to eight of them as a .png sheet. Raises ValueError if it cannot."""
    clip = rearrange(torch.from_numpy(frames), "f h w c -> f c h w")
    write_animation(path, clip, rate=rate, crf=PREVIEW_CRF, sheet=PREVIEW_SHEET)


def describe_export(exported: ExportedMesh, *, size_mm: float) -> str:
    """The file, its faces and its size."""
    extents = exported.mesh.extents * (size_mm / exported.mesh.extents.max() if size_mm else 1000)
    width, height, depth = (f"{side:.4g}" for side in extents)
    return f"{exported.path}: {len(exported.mesh.faces)} faces, {width} x {height} x {depth} mm (width, height, depth)"
