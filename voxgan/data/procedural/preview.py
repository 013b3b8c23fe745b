"""A sheet of furniture in one picture, to look at what the programs make."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from gancore.files.atomic import atomic_write, create_parents
from voxgan.data.procedural.furniture import Furniture
from voxgan.mesh.voxelise import normalise_mesh
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Scene, composite_over

WHITE = (255, 255, 255)


def write_sheet(path: str | Path, furniture: Iterable[Furniture], *, columns: int = 8, size: int = 128) -> None:
    """Writes a WebP picture of the objects, row by row, each seen from a little above its front right.

    Args:
        path: A file that ends in .webp; an older one is replaced.
        furniture: The objects, at least one.
        columns: Objects in a row.
        size: Pixels along each side of an object's picture.

    Raises:
        ValueError: The path has another ending, or there are no objects.
        OSError: The file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".webp":
        raise ValueError(f"a sheet is a .webp, not {path.name}")
    pictures = []
    for each in furniture:
        built = each.textured_mesh
        scene = Scene(normalise_mesh(built.mesh), built.textures)
        pictures.append(composite_over(scene.render(Camera(), side=size), WHITE))
    if not pictures:
        raise ValueError("there is no furniture to show")
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * size, columns * size, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * size, number % columns * size
        sheet[top : top + size, left : left + size] = picture
    create_parents(path)
    with atomic_write(path) as partial:
        Image.fromarray(sheet).save(partial, "WEBP", quality=80, method=6)
