"""One object on its way into a data set: from its files to voxels and views, which are cached."""

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Bool, UInt8
from skimage.measure import marching_cubes

from gancore.atomic import atomic_write
from gancore.data import evenly_spaced
from gancore.limits import ShapeLimits
from gancore.rng import derive_seed
from voxgan.data.packed import Cameras, encode_webp
from voxgan.data.sources import Source, SourceImage
from voxgan.files.images import frame_object, read_image, read_mask, segment_object
from voxgan.files.voxels import crop_to_content, read_occupancy, resize_occupancy
from voxgan.mesh.axes import reorient
from voxgan.mesh.config import Axis
from voxgan.mesh.materials import TexturedMesh
from voxgan.mesh.voxelise import voxelise
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene, sample_light

METHOD_VERSION = 1
"""Part of every cache key; raised whenever the same files and recipe would give another result."""
ELEVATIONS = (-10.0, 40.0)
"""Range of the rendering camera's elevation in degrees."""
MIN_COVERAGE, MAX_TRIES = 0.002, 8
"""Fraction of a view that the object must cover, and the number of cameras tried: a thin sheet seen edge on covers
nothing."""

PosedViews = list[tuple[tuple[float, float] | None, UInt8[np.ndarray, "size size 4"]]]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How each object is prepared; see PrepareConfig for the fields."""

    side: int
    views: int
    view_size: int
    up: Axis | None
    front: Axis | None
    quality: int | None
    seed: int
    max_faces: int


@dataclass(frozen=True, kw_only=True)
class PreparedShape:
    """The voxels and views of an object as the data set stores them."""

    occupancy: Bool[np.ndarray, "x y z"]
    cameras: Cameras
    """Azimuth and elevation of each view in degrees; None where they are unknown."""
    views: tuple[bytes, ...]
    """WebP files."""


def prepare_shape(source: Source, recipe: Recipe) -> PreparedShape:
    """The object's own voxels and pictures; missing voxels are computed from its mesh, missing pictures rendered.

    Raises ValueError or OSError if a file cannot be read or the object fills no voxel.
    """
    mesh = source.load_mesh(up=recipe.up, front=recipe.front, limits=ShapeLimits(max_faces=recipe.max_faces))
    occupancy = load_voxels(source, mesh.mesh if mesh else None, side=recipe.side)
    if not occupancy.any():
        raise ValueError(f"{source.id} fills no voxel")
    views = load_views(source, recipe)
    if not views and recipe.views:
        seed = derive_seed(recipe.seed, int.from_bytes(source.content_digest()[:7], "little"))
        views = render_views(mesh or TexturedMesh(voxel_surface(occupancy)), recipe, seed=seed)
    return PreparedShape(
        occupancy=occupancy,
        cameras=tuple(camera for camera, _ in views),
        views=tuple(encode_webp(picture, quality=recipe.quality) for _, picture in views),
    )


def load_voxels(source: Source, mesh: trimesh.Trimesh | None, *, side: int) -> Bool[np.ndarray, "side side side"]:
    """The object's own voxels, upright and scaled to the grid, or those that its mesh fills."""
    if source.occupancy is None:
        assert mesh is not None
        return voxelise(mesh, side)
    own = read_occupancy(source.occupancy, key=source.key)
    own = reorient(own, up=source.voxel_up, front=source.voxel_front) > 0.5
    return own if own.shape == (side, side, side) else resize_occupancy(crop_to_content(own), side)


def load_views(source: Source, recipe: Recipe) -> PosedViews:
    """The object's own pictures, cut out and framed; if there are more than the recipe asks for, evenly spaced ones."""
    chosen = [source.images[number] for number in evenly_spaced(len(source.images), count=recipe.views)]
    return [(known_angles(picture), load_framed_image(picture, recipe.view_size)) for picture in chosen]


def known_angles(picture: SourceImage) -> tuple[float, float] | None:
    if picture.azimuth is None or picture.elevation is None:
        return None
    return picture.azimuth, picture.elevation


def load_framed_image(picture: SourceImage, size: int) -> UInt8[np.ndarray, "size size 4"]:
    mask = None if picture.mask is None else read_mask(picture.mask)
    return frame_object(segment_object(read_image(picture.path), mask), size)


def render_views(mesh: TexturedMesh, recipe: Recipe, *, seed: int) -> PosedViews:
    """Pictures from all around, from a little below to well above, each in another light."""
    random = np.random.default_rng(seed)
    scene = Scene(mesh.mesh, mesh.textures)
    views: PosedViews = []
    while len(views) < recipe.views:
        for _ in range(MAX_TRIES):
            camera = Camera(round(random.uniform(0, 360), 2), round(random.uniform(*ELEVATIONS), 2))
            picture = scene.render(camera, side=recipe.view_size, light=sample_light(random))
            if (picture[..., 3] > 127).mean() >= MIN_COVERAGE:
                break
        views.append(((camera.azimuth, camera.elevation), picture))
    return views


def voxel_surface(occupancy: Bool[np.ndarray, "x y z"]) -> trimesh.Trimesh:
    """The blocky surface of the voxels, to render objects without a mesh."""
    padded = np.pad(occupancy, 1).astype(np.float32)
    corners, faces, _, _ = marching_cubes(padded, 0.5, gradient_direction="ascent")
    return trimesh.Trimesh((corners - 0.5) / len(occupancy) - 0.5, faces, process=False)


def cache_key(source: Source, recipe: Recipe) -> str:
    """A key that changes with the object's files, the recipe and the method."""
    settings = {name: value for name, value in asdict(recipe).items() if name != "max_faces"}  # it changes no shape
    description = json.dumps([METHOD_VERSION, settings], sort_keys=True).encode()
    return hashlib.blake2b(source.content_digest() + description, digest_size=16).hexdigest()


def save_shape(shape: PreparedShape, path: Path) -> None:
    """Writes the shape as a zip file; the file is complete as soon as it exists."""
    description = json.dumps({"side": len(shape.occupancy), "cameras": shape.cameras})
    with atomic_write(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        archive.writestr("shape.json", description)
        archive.writestr("occupancy", np.packbits(shape.occupancy).tobytes())
        for number, picture in enumerate(shape.views):
            archive.writestr(f"{number}.webp", picture)


def load_shape(path: Path) -> PreparedShape | None:
    """The shape saved in the file, None if there is none that can be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            description = json.loads(archive.read("shape.json"))
            side, cameras = description["side"], description["cameras"]
            bits = np.frombuffer(archive.read("occupancy"), np.uint8)
            return PreparedShape(
                occupancy=np.unpackbits(bits, count=side**3).view(np.bool_).reshape(side, side, side),
                cameras=tuple(None if camera is None else (camera[0], camera[1]) for camera in cameras),
                views=tuple(archive.read(f"{number}.webp") for number in range(len(cameras))),
            )
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return None
