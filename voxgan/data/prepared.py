"""One object: from its files to voxels and views, kept so that they are made once."""

import hashlib
import json
import tempfile
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Bool, UInt8
from skimage.measure import marching_cubes

from gancore.atomic import atomic_write
from gancore.rng import derive_seed
from voxgan.data.packed import Cameras, encode_webp
from voxgan.data.sources import Source, SourceImage
from voxgan.data.sweethome3d import FurnitureModel
from voxgan.files.images import frame_object, read_image, read_mask, segment_object
from voxgan.files.voxels import crop_to_content, read_occupancy, resize_occupancy
from voxgan.mesh.axes import Axis, reorient
from voxgan.mesh.materials import TexturedMesh
from voxgan.mesh.read import load_mesh
from voxgan.mesh.voxelise import normalise_mesh, voxelise
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene, sample_light

METHOD_VERSION = 1
"""Counts up when the same files and recipe come to give something else."""
ELEVATIONS = (-10.0, 40.0)
MIN_COVERAGE, MAX_TRIES = 0.002, 8
"""The share of a view that is filled, or it is tried from elsewhere: a sheet shows nothing edge on."""

PosedViews = list[tuple[tuple[float, float] | None, UInt8[np.ndarray, "size size 4"]]]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is made of each object."""

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
    """An object as the data set holds it."""

    occupancy: Bool[np.ndarray, "x y z"]
    cameras: Cameras
    views: tuple[bytes, ...]


def prepare_shape(source: Source | FurnitureModel, recipe: Recipe) -> PreparedShape:
    """The object's own voxels and pictures where it has them; what is missing is made of its mesh, or of its voxels.

    Raises ValueError or OSError saying why it cannot be had.
    """
    mesh = load_source_mesh(source, recipe)
    occupancy = load_source_voxels(source, mesh.mesh if mesh else None, side=recipe.side)
    if not occupancy.any():
        raise ValueError(f"{source.id} fills no voxel")
    pictured = load_source_views(source, recipe)
    if not pictured and recipe.views:
        pictured = render_views(
            mesh or TexturedMesh(voxel_surface(occupancy)), recipe, seed=render_seed(source, recipe)
        )
    return PreparedShape(
        occupancy=occupancy,
        cameras=tuple(camera for camera, _ in pictured),
        views=tuple(encode_webp(picture, quality=recipe.quality) for _, picture in pictured),
    )


def load_source_mesh(source: Source | FurnitureModel, recipe: Recipe) -> TexturedMesh | None:
    """The mesh upright in the unit cube, front to +z; None for an object without one."""
    if isinstance(source, FurnitureModel):
        with tempfile.TemporaryDirectory() as folder:
            try:
                loaded = load_mesh(source.unpack(Path(folder)), max_faces=recipe.max_faces)
                return replace(loaded, mesh=normalise_mesh(source.upright(loaded.mesh)))
            except ValueError as error:  # which names a file that is about to go
                raise ValueError(str(error).replace(f"{folder}/", "")) from error
    if source.mesh is None:
        return None
    loaded = load_mesh(source.mesh, max_faces=recipe.max_faces)
    mesh = normalise_mesh(loaded.mesh, up=recipe.up or source.up, front=recipe.front or source.front)
    return replace(loaded, mesh=mesh)


def load_source_voxels(
    source: Source | FurnitureModel, mesh: trimesh.Trimesh | None, *, side: int
) -> Bool[np.ndarray, "side side side"]:
    if isinstance(source, Source) and source.occupancy is not None:
        own = read_occupancy(source.occupancy, key=source.key)
        own = reorient(own, up=source.voxel_up, front=source.voxel_front) > 0.5
        return own if own.shape == (side, side, side) else resize_occupancy(crop_to_content(own), side)
    assert mesh is not None
    return voxelise(mesh, side)


def load_source_views(source: Source | FurnitureModel, recipe: Recipe) -> PosedViews:
    """As many of the object's own pictures as are wanted, spread evenly over all there are."""
    if isinstance(source, FurnitureModel) or not source.images:
        return []
    count = min(recipe.views, len(source.images))
    chosen = [source.images[number * len(source.images) // count] for number in range(count)]
    return [(known_angles(picture), load_framed_image(picture, recipe.view_size)) for picture in chosen]


def known_angles(picture: SourceImage) -> tuple[float, float] | None:
    if picture.azimuth is None or picture.elevation is None:
        return None
    return picture.azimuth, picture.elevation


def load_framed_image(picture: SourceImage, size: int) -> UInt8[np.ndarray, "size size 4"]:
    mask = None if picture.mask is None else read_mask(picture.mask)
    return frame_object(segment_object(read_image(picture.path), mask), size)


def render_views(mesh: TexturedMesh, recipe: Recipe, *, seed: int) -> PosedViews:
    """Pictures from all around, a little from below to well from above, each in another light."""
    random = np.random.default_rng(seed)
    scene = Scene(mesh.mesh, mesh.textures)
    made: PosedViews = []
    while len(made) < recipe.views:
        for _ in range(MAX_TRIES):
            camera = Camera(round(random.uniform(0, 360), 2), round(random.uniform(*ELEVATIONS), 2))
            picture = scene.render(camera, side=recipe.view_size, light=sample_light(random))
            if (picture[..., 3] > 127).mean() >= MIN_COVERAGE:
                break
        made.append(((camera.azimuth, camera.elevation), picture))
    return made


def voxel_surface(occupancy: Bool[np.ndarray, "x y z"]) -> trimesh.Trimesh:
    """The surface of the voxels, for objects that have nothing else to be looked at."""
    padded = np.pad(occupancy, 1).astype(np.float32)
    corners, faces, _, _ = marching_cubes(padded, 0.5, gradient_direction="ascent")
    return trimesh.Trimesh((corners - 0.5) / len(occupancy) - 0.5, faces, process=False)


def content_digest(source: Source | FurnitureModel) -> bytes:
    """A digest of everything in the object's files."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(source, FurnitureModel):
        digest.update(source.content_key())
        return digest.digest()
    materials = source.mesh.with_suffix(".mtl") if source.mesh else None
    pictures = [path for picture in source.images for path in (picture.path, picture.mask)]
    for path in (source.mesh, materials, source.occupancy, *pictures):
        if path is not None and path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
    digest.update(repr((source.key, source.up, source.front, source.voxel_up, source.voxel_front)).encode())
    return digest.digest()


def render_seed(source: Source | FurnitureModel, recipe: Recipe) -> int:
    return derive_seed(recipe.seed, int.from_bytes(content_digest(source)[:7], "little"))


def cache_key(source: Source | FurnitureModel, recipe: Recipe) -> str:
    """What the object is kept under: other for other files, another recipe or another method."""
    making = {name: value for name, value in asdict(recipe).items() if name != "max_faces"}  # which changes no shape
    described = json.dumps([METHOD_VERSION, making], sort_keys=True).encode()
    return hashlib.blake2b(content_digest(source) + described, digest_size=16).hexdigest()


def save_shape(shape: PreparedShape, path: Path) -> None:
    """Writes the shape; nobody ever sees half of it."""
    described = json.dumps({"side": len(shape.occupancy), "cameras": shape.cameras})
    with atomic_write(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        archive.writestr("shape.json", described)
        archive.writestr("occupancy", np.packbits(shape.occupancy).tobytes())
        for number, picture in enumerate(shape.views):
            archive.writestr(f"{number}.webp", picture)


def load_shape(path: Path) -> PreparedShape | None:
    """The shape that was kept there, if there is one and it can be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            described = json.loads(archive.read("shape.json"))
            side, cameras = described["side"], described["cameras"]
            bits = np.frombuffer(archive.read("occupancy"), np.uint8)
            return PreparedShape(
                occupancy=np.unpackbits(bits, count=side**3).view(np.bool_).reshape(side, side, side),
                cameras=tuple(None if camera is None else (camera[0], camera[1]) for camera in cameras),
                views=tuple(archive.read(f"{number}.webp") for number in range(len(cameras))),
            )
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return None
