"""Pictures, or noise, in; files of meshes out."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import trimesh
from jaxtyping import Float, UInt8
from tqdm import tqdm

from voxgan.files.images import megapixels, object_of
from voxgan.mesh.surface import SurfaceConfig, from_occupancy
from voxgan.mesh.write import file_format, save_mesh
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels, latent_between, load
from voxgan.rendering.camera import Camera, around, window
from voxgan.rendering.raycast import Scene, over, turntable
from voxgan.rendering.turntable import write_turntable, writer
from voxgan.rendering.vertex_colours import coloured, estimate_camera

logger = logging.getLogger(__name__)

WHITE = (255, 255, 255)


@dataclass(frozen=True, kw_only=True)
class ExportConfig(SurfaceConfig):
    """Make meshes of what pictures show, or without pictures of objects from noise."""

    images: tuple[str, ...] = ()
    """Pictures of an object; opaque ones are cut out of their background by the colour of their border."""

    model: str
    """Folder of a trained model (runs/NAME/generator), or the name of one on the Hub."""

    out: str = "object.glb"
    """Where to write: .glb, .obj or .ply (y up, metres), .stl or .3mf (z up, millimetres); several are numbered."""

    views: Literal["together", "each"] = "together"
    """Whether all pictures show one object, or each one of its own."""

    mask: tuple[str, ...] = ()
    """A picture for each picture, white where the object is."""

    max_megapixels: float = 20.0
    """Pictures of so many million pixels or more are refused; far fewer are looked at."""

    samples: int = 0
    """Different objects that a picture may show, drawn from the posterior; 0 for its mean."""

    class_: str = ""
    """Name of the object's class, for models that know classes; empty leaves it open."""

    count: int = 1
    """How many objects to make from noise."""

    between: tuple[int, ...] = ()
    """Two seeds A,B: the objects lead from the one to the other."""

    seed: int = 0
    """Seed of the noise; object n is the same however many are asked for."""

    size_mm: float = 0.0
    """Longest side of the object in millimetres; 0 for a unit cube of one metre."""

    plain: bool = False
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
        if self.images and (self.count > 1 or self.between):
            raise ValueError("count and between are for objects from noise, without pictures")
        if not self.images and (self.samples or self.mask):
            raise ValueError("samples and mask are for objects in pictures; use count to make several from noise")
        if self.mask and len(self.mask) != len(self.images):
            raise ValueError(f"mask: {len(self.images)} pictures need as many masks, got {len(self.mask)}")
        if self.between and (len(self.between) != 2 or self.count < 2):
            raise ValueError("between takes two seeds, as 3,7, and a count of at least 2 objects")
        file_format(Path(self.out))
        if self.preview:
            writer(Path(self.preview))


@dataclass(frozen=True)
class Exported:
    """A written mesh, in the unit cube."""

    path: Path
    mesh: trimesh.Trimesh


@dataclass(frozen=True)
class Likely:
    """One object as a model sees it, and the numbers of the pictures that show it."""

    number: int
    probabilities: Float[np.ndarray, "x y z"]
    pictures: tuple[int, ...] = ()


def export(config: ExportConfig) -> list[Exported]:
    """The meshes that were written. Of several objects the one that fails is named in the log and left out.

    Raises ValueError or OSError if no object can be made, or the model or a file cannot be read or written.
    """
    model = load(config.model).to("cuda" if torch.cuda.is_available() and not config.cpu else "cpu")
    total = objects(config)
    exported = []
    for likely in tqdm(found(config, model), total=total, unit="object", disable=True if total == 1 else None):
        path = numbered(config.out, likely.number, total)
        try:
            mesh = painted(from_occupancy(likely.probabilities, config), config, likely.pictures)
        except ValueError as error:
            skip(str(path), error, alone=total == 1)
            continue
        save_mesh(mesh, path, size_mm=config.size_mm or None)
        exported.append(Exported(path, mesh))
        if config.preview and not config.between:
            write_turntable(numbered(config.preview, likely.number, total), turntable(mesh, side=config.preview_size))
    if not exported:
        raise ValueError(f"none of {total} objects could be made")
    if config.preview and config.between:
        write_turntable(config.preview, change([each.mesh for each in exported], side=config.preview_size), rate=8)
    return exported


def objects(config: ExportConfig) -> int:
    """How many are asked for."""
    if not config.images:
        return config.count
    return max(1, config.samples) * (1 if config.views == "together" else len(config.images))


def numbered(path: str, number: int, total: int) -> Path:
    """The path of object `number`, counted from 1; as it is if there is only one."""
    whole = Path(path)
    return whole if total == 1 else whole.with_stem(f"{whole.stem}-{number:0{len(str(total))}d}")


def skip(name: str, error: Exception, *, alone: bool) -> None:
    """Says in the log what is left out; raises the error if there is nothing else."""
    if alone:
        raise error
    logger.warning("left out: %s: %s", name, error)


def found(config: ExportConfig, model: ImageToVoxels | VoxelGenerator) -> Iterator[Likely]:
    """The objects of the pictures, or those made from noise."""
    if config.images:
        yield from in_pictures(config, model)
        return
    generator = model.generator if isinstance(model, ImageToVoxels) else model
    label = config.class_ or None
    if config.between:
        first, last = (generator.latent(seed) for seed in config.between)
        latents = latent_between(first, last, count=config.count).split(1)
    else:
        latents = tuple(generator.latent(config.seed + number) for number in range(config.count))
    for number, latent in enumerate(latents, 1):
        yield Likely(number, generator.objects(latent, label=label)[0].numpy())


def in_pictures(config: ExportConfig, model: ImageToVoxels | VoxelGenerator) -> Iterator[Likely]:
    """The object of all pictures, or the one of each; or several for each that it may be."""
    if not isinstance(model, ImageToVoxels):
        raise ValueError(f"{config.model} makes objects from noise alone; for pictures it takes an ImageToVoxels")
    if config.class_:
        model.shape.label(config.class_)  # or every picture would be left out for it
    every = range(len(config.images))
    groups = [tuple(every)] if config.views == "together" else [(number,) for number in every]
    for place, group in enumerate(groups):
        images = [config.images[number] for number in group]
        masks = [config.mask[number] for number in group] if config.mask else None
        try:
            for picture in (*images, *(masks or ())):
                refuse_large(picture, config.max_megapixels)
            made = model.reconstruct(
                images, masks=masks, samples=config.samples, seed=config.seed, label=config.class_ or None
            )
        except (ValueError, OSError) as error:
            skip(", ".join(images), error, alone=len(groups) == 1)
            continue
        for number, probabilities in enumerate(made.numpy(), 1 + place * len(made)):
            yield Likely(number, probabilities, group)


def refuse_large(picture: str, limit: float) -> None:
    """Raises ValueError for a picture of so many megapixels or more, or one that cannot be read."""
    if (size := megapixels(picture)) >= limit:
        raise ValueError(
            f"{picture} has {size:.1f} megapixels; {limit:g} or more are refused: scale it down, or set max_megapixels"
        )


def painted(mesh: trimesh.Trimesh, config: ExportConfig, pictures: tuple[int, ...]) -> trimesh.Trimesh:
    """The mesh in the colours of its pictures, whose cameras are estimated."""
    if config.plain or not pictures:
        return mesh
    masks = config.mask or [None] * len(config.images)
    cut_out = [object_of(config.images[number], masks[number]) for number in pictures]
    return coloured(mesh, [(picture, estimate_camera(mesh, picture)) for picture in cut_out])


def change(meshes: list[trimesh.Trimesh], *, side: int) -> UInt8[np.ndarray, "frames side side 3"]:
    """One frame a mesh, all through one window."""
    camera = Camera()
    projection = around([window(mesh.vertices, camera) for mesh in meshes], camera, side=side)
    return np.stack([over(Scene(mesh).picture(projection), WHITE) for mesh in meshes])


def summary(exported: Exported, *, size_mm: float) -> str:
    """The file, its faces and its size."""
    extents = exported.mesh.extents * (size_mm / exported.mesh.extents.max() if size_mm else 1000)
    width, height, depth = (f"{side:.4g}" for side in extents)
    return f"{exported.path}: {len(exported.mesh.faces)} faces, {width} x {height} x {depth} mm (width, height, depth)"
