"""One object: from its files to voxels and views, kept so that they are made once."""

import hashlib
import json
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Bool, UInt8
from skimage.measure import marching_cubes

from gancore.atomic import replacing
from gancore.data import mix
from voxgan.data.packed import Cameras, encoded
from voxgan.data.sources import Picture, Source
from voxgan.data.sweethome3d import Furniture
from voxgan.files.images import framed, read_mask, read_picture, segmented
from voxgan.files.voxels import cropped, read_occupancy, resized, turned
from voxgan.mesh.axes import Up
from voxgan.mesh.voxelise import load_mesh, normalised, voxelise
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene, random_light

METHOD = 1
"""Counts up when the same files and recipe come to give something else."""
ELEVATIONS = (-10.0, 40.0)
LEAST_SEEN, TRIES = 0.002, 8
"""The share of a view that is filled, or it is tried from elsewhere: a sheet shows nothing edge on."""

Views = list[tuple[tuple[float, float] | None, UInt8[np.ndarray, "size size 4"]]]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is made of each object."""

    side: int
    views: int
    view_size: int
    up: Up | None
    front: Up | None
    quality: int | None
    seed: int
    max_faces: int


@dataclass(frozen=True, kw_only=True)
class Shape:
    """An object as the data set holds it."""

    occupancy: Bool[np.ndarray, "x y z"]
    cameras: Cameras
    views: tuple[bytes, ...]


def shape_of(source: Source | Furniture, recipe: Recipe) -> Shape:
    """The object's own voxels and pictures where it has them; what is missing is made of its mesh, or of its voxels.

    Raises ValueError or OSError saying why it cannot be had.
    """
    mesh = mesh_of(source, recipe)
    occupancy = voxels_of(source, mesh, side=recipe.side)
    if not occupancy.any():
        raise ValueError(f"{source.id} fills no voxel")
    pictured = own_views(source, recipe)
    if not pictured and recipe.views:
        pictured = rendered(mesh or blocky(occupancy), recipe, seed=seed_of(source, recipe))
    return Shape(
        occupancy=occupancy,
        cameras=tuple(camera for camera, _ in pictured),
        views=tuple(encoded(picture, quality=recipe.quality) for _, picture in pictured),
    )


def mesh_of(source: Source | Furniture, recipe: Recipe) -> trimesh.Trimesh | None:
    """The mesh upright in the unit cube, front to +z; None for an object without one."""
    if isinstance(source, Furniture):
        with tempfile.TemporaryDirectory() as folder:
            try:
                return normalised(source.stood(load_mesh(source.unpack(Path(folder)), max_faces=recipe.max_faces)))
            except ValueError as error:  # which names a file that is about to go
                raise ValueError(str(error).replace(f"{folder}/", "")) from error
    if source.mesh is None:
        return None
    mesh = load_mesh(source.mesh, max_faces=recipe.max_faces)
    return normalised(mesh, up=recipe.up or source.up, front=recipe.front or source.front)


def voxels_of(
    source: Source | Furniture, mesh: trimesh.Trimesh | None, *, side: int
) -> Bool[np.ndarray, "side side side"]:
    if isinstance(source, Source) and source.occupancy is not None:
        own = read_occupancy(source.occupancy, key=source.key)
        own = turned(own, up=source.voxel_up, front=source.voxel_front) > 0.5
        return own if own.shape == (side, side, side) else resized(cropped(own), side)
    assert mesh is not None
    return voxelise(mesh, side)


def own_views(source: Source | Furniture, recipe: Recipe) -> Views:
    """As many of the object's own pictures as are wanted, spread evenly over all there are."""
    if isinstance(source, Furniture) or not source.pictures:
        return []
    count = min(recipe.views, len(source.pictures))
    chosen = [source.pictures[number * len(source.pictures) // count] for number in range(count)]
    return [(camera_of(picture), cut_out(picture, recipe.view_size)) for picture in chosen]


def camera_of(picture: Picture) -> tuple[float, float] | None:
    if picture.azimuth is None or picture.elevation is None:
        return None
    return picture.azimuth, picture.elevation


def cut_out(picture: Picture, size: int) -> UInt8[np.ndarray, "size size 4"]:
    mask = None if picture.mask is None else read_mask(picture.mask)
    return framed(segmented(read_picture(picture.path), mask), size)


def rendered(mesh: trimesh.Trimesh, recipe: Recipe, *, seed: int) -> Views:
    """Pictures from all around, a little from below to well from above, each in another light."""
    random = np.random.default_rng(seed)
    scene = Scene(mesh)
    made: Views = []
    while len(made) < recipe.views:
        for _ in range(TRIES):
            camera = Camera(round(random.uniform(0, 360), 2), round(random.uniform(*ELEVATIONS), 2))
            picture = scene.view(camera, side=recipe.view_size, light=random_light(random))
            if (picture[..., 3] > 127).mean() >= LEAST_SEEN:
                break
        made.append(((camera.azimuth, camera.elevation), picture))
    return made


def blocky(occupancy: Bool[np.ndarray, "x y z"]) -> trimesh.Trimesh:
    """The surface of the voxels, for objects that have nothing else to be looked at."""
    padded = np.pad(occupancy, 1).astype(np.float32)
    corners, faces, _, _ = marching_cubes(padded, 0.5, gradient_direction="ascent")
    return trimesh.Trimesh((corners - 0.5) / len(occupancy) - 0.5, faces, process=False)


def content_of(source: Source | Furniture) -> bytes:
    """A digest of everything in the object's files."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(source, Furniture):
        digest.update(source.content())
        return digest.digest()
    materials = source.mesh.with_suffix(".mtl") if source.mesh else None
    pictures = [path for picture in source.pictures for path in (picture.path, picture.mask)]
    for path in (source.mesh, materials, source.occupancy, *pictures):
        if path is not None and path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
    digest.update(repr((source.key, source.up, source.front, source.voxel_up, source.voxel_front)).encode())
    return digest.digest()


def seed_of(source: Source | Furniture, recipe: Recipe) -> int:
    return mix(recipe.seed, int.from_bytes(content_of(source)[:7], "little"))


def key_of(source: Source | Furniture, recipe: Recipe) -> str:
    """What the object is kept under: other for other files, another recipe or another method."""
    making = {name: value for name, value in asdict(recipe).items() if name != "max_faces"}  # which changes no shape
    described = json.dumps([METHOD, making], sort_keys=True).encode()
    return hashlib.blake2b(content_of(source) + described, digest_size=16).hexdigest()


def keep(shape: Shape, path: Path) -> None:
    """Writes the shape; nobody ever sees half of it."""
    described = json.dumps({"side": len(shape.occupancy), "cameras": shape.cameras})
    with replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        archive.writestr("shape.json", described)
        archive.writestr("occupancy", np.packbits(shape.occupancy).tobytes())
        for number, picture in enumerate(shape.views):
            archive.writestr(f"{number}.webp", picture)


def kept(path: Path) -> Shape | None:
    """The shape that was kept there, if there is one and it can be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            described = json.loads(archive.read("shape.json"))
            side, cameras = described["side"], described["cameras"]
            bits = np.frombuffer(archive.read("occupancy"), np.uint8)
            return Shape(
                occupancy=np.unpackbits(bits, count=side**3).view(np.bool_).reshape(side, side, side),
                cameras=tuple(None if camera is None else (camera[0], camera[1]) for camera in cameras),
                views=tuple(archive.read(f"{number}.webp") for number in range(len(cameras))),
            )
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return None
