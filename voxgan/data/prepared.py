"""Prepares one object: from its files to voxels and views."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Bool, Float, UInt8
from skimage.measure import marching_cubes

from gancore.data import evenly_spaced
from gancore.errors import UnreadableError
from gancore.files.limits import ShapeLimits
from gancore.rng import derive_seed
from voxgan.commands import OccupancyKind
from voxgan.data.copies import sample_stretches, stretch_mesh, stretch_voxels
from voxgan.data.packed import Cameras, encode_webp
from voxgan.data.sources import Source, SourceImage
from voxgan.data.stored_voxels import StoredVoxels, filled_voxels, to_fractions, to_levels
from voxgan.files.images import cut_out_object, frame_object
from voxgan.files.voxels import crop_to_content, read_occupancy, resize_occupancy, stated_up
from voxgan.mesh.axes import choose_axes, reorient
from voxgan.mesh.config import Axis
from voxgan.mesh.materials import TexturedMesh
from voxgan.mesh.read import LoadedMesh
from voxgan.mesh.voxelise import voxelise, voxelise_fractions
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene, sample_light

ELEVATIONS = (-10.0, 40.0)
"""Range of the rendering camera's elevation in degrees."""
MIN_COVERAGE, MAX_TRIES = 0.002, 8
"""Least fraction of a view that the object must cover, and number of cameras that are tried for it: a thin sheet seen
edge on covers nothing."""

PosedView = tuple[tuple[float, float] | None, UInt8[np.ndarray, "size size 4"]]
"""Azimuth and elevation of a view in degrees, or None if unknown, and its RGBA pixels."""


@dataclass(frozen=True, kw_only=True)
class Recipe(ShapeLimits):
    """The settings by which each object is prepared; see PrepareConfig."""

    side: int
    occupancy: OccupancyKind
    views: int
    view_size: int
    up: Axis | None
    front: Axis | None
    quality: int | None
    seed: int
    proportions: float = 0.0
    copy: int = 0
    """Number of an augmented copy; 0 for the object itself."""


@dataclass(frozen=True, kw_only=True)
class PreparedShape:
    """The voxels and views of an object as the data set stores them."""

    voxels: StoredVoxels
    """Booleans, or levels of the filled fraction."""
    cameras: Cameras
    """Azimuth and elevation of each view in degrees; None where they are unknown."""
    views: tuple[bytes, ...]
    """WebP files."""
    files: tuple[Path, ...] = ()
    """Every file that was read or searched for."""
    lost_pictures: tuple[str, ...] = ()
    """The reason for each of its own pictures that was left out."""
    rendered: bool = True
    """Whether the views are renders of its mesh or voxels, because it has no pictures of its own."""
    missing: tuple[str, ...] = ()
    """The files that its mesh refers to and that could not be read, each with the reason."""

    @property
    def problem(self) -> str:
        """The files of the object that could not be read; empty if there are none."""
        return "; ".join([*self.lost_pictures, *self.missing])


def prepare_shape(source: Source, recipe: Recipe) -> PreparedShape:
    """The object's own voxels and pictures; without voxels, its mesh is voxelised, and without pictures, rendered.

    Raises ValueError or OSError if a file cannot be read or the object fills no voxel.
    """
    mesh = source.load_mesh(up=recipe.up, front=recipe.front, limits=recipe)
    voxels = load_voxels(source, mesh.mesh if mesh else None, recipe)
    filled = filled_voxels(voxels)
    if not filled.any():
        raise ValueError(f"{source.id} fills no voxel")
    pictures = own_pictures(source, mesh)
    views, lost = load_views(pictures, recipe)
    if not views and recipe.views:
        seed = derive_seed(recipe.seed, int.from_bytes(source.content_digest()[:7], "little"))
        views = render_views(mesh or TexturedMesh(voxel_surface(filled)), recipe, seed=seed)
    return PreparedShape(
        voxels=voxels,
        cameras=tuple(camera for camera, _ in views),
        views=tuple(encode_webp(picture, quality=recipe.quality) for _, picture in views),
        files=source.files_behind(mesh),
        lost_pictures=lost,
        rendered=not pictures,
        missing=mesh.missing if mesh else (),
    )


def prepare_copy(source: Source, recipe: Recipe, voxels: StoredVoxels) -> PreparedShape:
    """An augmented copy of a prepared object in random proportions: its stretched voxels and newly rendered views.

    The voxels are levels, since stretched binary voxels are partly filled. Raises ValueError or OSError if the mesh
    cannot be read or the copy fills no voxel.
    """
    loaded = source.load_mesh(up=recipe.up, front=recipe.front, limits=recipe)
    mesh = loaded or TexturedMesh(voxel_surface(filled_voxels(voxels)))
    seed = derive_seed(recipe.seed, int.from_bytes(source.content_digest()[:7], "little"), recipe.copy)
    used = mesh.mesh.vertices[mesh.mesh.faces.ravel()]
    random = np.random.default_rng(seed)
    stretches = sample_stretches(used.min(0), used.max(0), random, strength=recipe.proportions)
    stretched = to_levels(stretch_voxels(to_fractions(voxels), stretches))
    if not filled_voxels(stretched).any():
        raise ValueError(f"a copy of {source.id} fills no voxel")
    views = render_views(stretch_mesh(mesh, stretches), recipe, seed=seed) if recipe.views else []
    return PreparedShape(
        voxels=stretched,
        cameras=tuple(camera for camera, _ in views),
        views=tuple(encode_webp(picture, quality=recipe.quality) for _, picture in views),
        files=source.files_behind(loaded),
        missing=loaded.missing if loaded else (),
    )


def load_voxels(source: Source, mesh: trimesh.Trimesh | None, recipe: Recipe) -> StoredVoxels:
    """The object's own voxels, upright and scaled to the recipe's grid, or else its voxelised mesh.

    A grid of the right side is kept, with its fractions, if its data set defines a coordinate frame for voxels, or the
    object fills the grid. Voxels that have to be moved or scaled become binary.
    """
    side, fractional = recipe.side, recipe.occupancy == "fractional"
    if source.occupancy is None:
        assert mesh is not None
        if fractional:
            return to_levels(voxelise_fractions(mesh, side, closed=source.closed))
        return voxelise(mesh, side, closed=source.closed)
    own = read_upright(source, source.occupancy, recipe)
    if own.shape != (side, side, side) or not (source.voxel_up or fills_grid(own)):
        own = resize_occupancy(crop_to_content(own), side).astype(np.float32)
    return to_levels(own) if fractional else own > 0.5


def read_upright(source: Source, path: Path, recipe: Recipe) -> Float[np.ndarray, "x y z"]:
    """The object's own voxels in this file, rotated to y up and the front to +z.

    Their axes are those of their data set's frame, else those stated in the file, else those of the recipe.
    """
    own = read_occupancy(path, key=source.key, limits=recipe)
    if source.voxel_up:
        return reorient(own, up=source.voxel_up, front=source.voxel_front)
    stated = stated_up(path, key=source.key, limits=recipe)
    up, front = choose_axes(path, stated, up=recipe.up, front=recipe.front)
    return own if stated else reorient(own, up=up, front=front)


def fills_grid(occupancy: Float[np.ndarray, "x y z"]) -> bool:
    """Whether the object spans the grid along one axis, and is centred along all of them up to a voxel."""
    occupied = occupancy > 0.5
    margins = []
    for axis in range(3):
        filled = np.flatnonzero(occupied.any(tuple({0, 1, 2} - {axis})))
        if not len(filled):
            return False
        margins.append((filled[0], occupancy.shape[axis] - 1 - filled[-1]))
    return (0, 0) in margins and all(abs(low - high) <= 1 for low, high in margins)


def own_pictures(source: Source, mesh: LoadedMesh | None) -> list[SourceImage]:
    """The pictures of the object, without those that are textures of its mesh."""
    read = {os.path.realpath(path) for path in (mesh.files if mesh else ())}
    return [picture for picture in source.images if os.path.realpath(picture.path) not in read]


def load_views(pictures: Sequence[SourceImage], recipe: Recipe) -> tuple[list[PosedView], tuple[str, ...]]:
    """The object's own pictures, segmented and framed, and the reasons why others were left out.

    If there are more than the recipe needs, evenly spaced ones are used; unreadable ones are replaced by others. Raises
    UnreadableError if none of them can be read.
    """
    chosen = evenly_spaced(len(pictures), count=recipe.views)
    others = [number for number in range(len(pictures)) if number not in set(chosen)]
    views: dict[int, PosedView] = {}
    lost: dict[int, str] = {}
    for number in [*chosen, *others]:
        if len(views) == len(chosen):
            break
        picture = pictures[number]
        try:
            views[number] = known_angles(picture), load_framed_image(picture, recipe)
        except (ValueError, OSError) as error:
            named = str(picture.path) in str(error)
            lost[number] = str(error) if named else f"{picture.path}: {error}"
    if lost and not views:
        raise UnreadableError(f"none of its {len(lost)} pictures can be read: {lost[min(lost)]}")
    return [views[number] for number in sorted(views)], tuple(lost[number] for number in sorted(lost))


def known_angles(picture: SourceImage) -> tuple[float, float] | None:
    if picture.azimuth is None or picture.elevation is None:
        return None
    return picture.azimuth, picture.elevation


def load_framed_image(picture: SourceImage, recipe: Recipe) -> UInt8[np.ndarray, "size size 4"]:
    cut_out = cut_out_object(picture.path, picture.mask, limits=recipe, any_background=True)
    return frame_object(cut_out, recipe.view_size)


def render_views(mesh: TexturedMesh, recipe: Recipe, *, seed: int) -> list[PosedView]:
    """Renders views from random cameras all around, with elevations in ELEVATIONS, each under random light."""
    random = np.random.default_rng(seed)
    scene = Scene(mesh.mesh, mesh.textures)
    views: list[PosedView] = []
    while len(views) < recipe.views:
        for _ in range(MAX_TRIES):
            camera = Camera(round(random.uniform(0, 360), 2), round(random.uniform(*ELEVATIONS), 2))
            picture = scene.render(camera, side=recipe.view_size, light=sample_light(random))
            if (picture[..., 3] > 127).mean() >= MIN_COVERAGE:
                break
        views.append(((camera.azimuth, camera.elevation), picture))
    return views


def voxel_surface(occupancy: Bool[np.ndarray, "x y z"]) -> trimesh.Trimesh:
    """The surface of the voxels by marching cubes without smoothing, to render objects without a mesh."""
    padded = np.pad(occupancy, 1).astype(np.float32)
    corners, faces, _, _ = marching_cubes(padded, 0.5, gradient_direction="ascent")
    return trimesh.Trimesh((corners - 0.5) / len(occupancy) - 0.5, faces, process=False)
