"""A small object in any axes as files of any kind, to build the layouts of data sets from."""

from pathlib import Path

import numpy as np
import scipy.io
import trimesh
from PIL import Image
from support.toys import iou

from voxgan.data.sources import Layout, Source
from voxgan.files.voxels import crop_to_content, read_occupancy, resize_occupancy, write_occupancy
from voxgan.mesh.axes import reorient
from voxgan.mesh.voxelise import voxelise

SHAPE = np.zeros((6, 8, 4), bool)
SHAPE[:, 3, :], SHAPE[:, :, 0], SHAPE[0, :4, 3], SHAPE[5, :4, 3] = True, True, True, True
SHAPE[5, 6:, 1:3] = True
"""A chair in our frame (x right, y up, front to +z): seat, back, two front legs, and something on the right only."""


def mesh(path: Path, *, x: str = "x", y: str = "y", z: str = "z") -> None:
    """SHAPE as boxes; `y="-z"` puts our -z, its back, along the file's y axis."""
    centres = (np.argwhere(SHAPE) + 0.5 - np.array(SHAPE.shape) / 2) * 2.5
    axes = {"x": centres[:, 0], "y": centres[:, 1], "z": centres[:, 2]}
    placed = np.stack([axes[name[-1]] * (-1 if name[0] == "-" else 1) for name in (x, y, z)], 1)
    boxes = [trimesh.creation.box((2.5, 2.5, 2.5)).apply_translation(centre) for centre in placed]
    path.parent.mkdir(parents=True, exist_ok=True)
    trimesh.util.concatenate(boxes).export(path)


def voxels(path: Path, occupancy: np.ndarray = SHAPE, **names: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if names:
        scipy.io.savemat(path, names)
    else:
        write_occupancy(path, occupancy)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), (200, 30, 30)).save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def by_id(layout: Layout) -> dict[str, Source]:
    assert [source.id for source in layout.sources] == sorted({source.id for source in layout.sources})
    return {source.id: source for source in layout.sources}


def stands_right(source: Source, side: int = 16) -> None:
    """The object's mesh and its voxels, each turned as the layout says, are SHAPE."""
    truth = resize_occupancy(SHAPE, side)
    if source.mesh:
        filled = voxelise(source.load_mesh().mesh, side)
        assert iou(filled, truth) > 0.95
    if source.occupancy:
        own = read_occupancy(source.occupancy, key=source.key)
        own = reorient(own, up=source.voxel_up or "y", front=source.voxel_front)
        assert iou(resize_occupancy(crop_to_content(own), side), truth) == 1


def problems(layout: Layout) -> dict[str, str]:
    return {source.id: source.problem for source in layout.left_out}
