"""Objects that another tool made, read from its files into the frame and the voxels that they are scored in."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import torch
import trimesh
from accelerate.utils import tqdm
from jaxtyping import Bool, Float
from torch import Tensor

from voxgan.data.layouts import find_plain_folder
from voxgan.data.packed import PackedDataset
from voxgan.data.sources import Source
from voxgan.evaluation.baselines import THRESHOLDS
from voxgan.evaluation.reconstruction import Prediction
from voxgan.files.voxels import VOXEL_SUFFIXES, read_occupancy
from voxgan.mesh.axes import Axis, reorient, upright_rotation
from voxgan.mesh.read import MESH_SUFFIXES, load_mesh
from voxgan.mesh.voxelise import normalise_mesh, voxelise
from voxgan.metrics.occupancy import iou_at

OUTER_SIDE = 3
"""Side of the cube that a mesh may reach into, beside the unit cube of the true objects."""
THRESHOLD = 0.5
"""Above it a predicted voxel counts as filled where nothing better was chosen."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CoordinateFrame:
    """How the objects of files stand in space."""

    up: Axis = "y"
    front: Axis | None = None
    normalise: Literal["as_is", "box"] = "as_is"

    def align(self, mesh: trimesh.Trimesh, name: str) -> trimesh.Trimesh:
        """The mesh as the true objects stand. Raises ValueError if it lies outside of where they are."""
        if self.normalise == "box":
            return normalise_mesh(mesh, up=self.up, front=self.front)
        moved = mesh.copy()
        moved.vertices = mesh.vertices @ upright_rotation(self.up, front=self.front).T
        reach = np.abs(moved.vertices[moved.faces]).max()
        if reach > OUTER_SIDE / 2:
            raise ValueError(
                f"{name} reaches {reach:.3g} from the origin, and true objects stand within 0.5: "
                "give --fit box to centre and scale every object"
            )
        return moved


def voxelise_unit_cube(mesh: trimesh.Trimesh, side: int) -> Bool[np.ndarray, "side side side"]:
    """The voxels of the unit cube that the mesh fills; what sticks out of the cube is cut off."""
    if np.abs(mesh.vertices[mesh.faces]).max() <= 0.5:
        return voxelise(mesh, side)
    smaller = trimesh.Trimesh(mesh.vertices / OUTER_SIDE, mesh.faces, process=False)
    inner = slice(side, 2 * side)
    return voxelise(smaller, OUTER_SIDE * side)[inner, inner, inner]


def read_prediction(source: Source, side: int, *, frame: CoordinateFrame) -> Prediction:
    """The object of a file of voxels, of a mesh, or of both.

    Raises ValueError or OSError naming the file that cannot be read, or has another number of voxels a side.
    """
    mesh = frame.align(load_mesh(source.mesh).mesh, str(source.mesh)) if source.mesh else None
    mesh = mesh and trimesh.Trimesh(mesh.vertices, mesh.faces)  # in one colour, its vertices merged
    if source.occupancy is None:
        assert mesh is not None
        return Prediction(torch.from_numpy(voxelise_unit_cube(mesh, side)).float(), mesh)
    own = reorient(read_occupancy(source.occupancy, key=source.key), up=frame.up, front=frame.front)
    if own.shape != (side, side, side):
        sides = " x ".join(map(str, own.shape))
        raise SideMismatchError(
            f"{source.occupancy} has {sides} voxels, and the data set {side} a side: predict at that side, "
            "give meshes, or prepare the data set anew"
        )
    return Prediction(torch.from_numpy(np.ascontiguousarray(own, np.float32)), mesh)


class SideMismatchError(ValueError):
    """Voxels that cannot be compared, however much a user is ready to forgive."""


def find_predictions(folder: str | Path) -> list[Source]:
    """The objects of all files below a folder, in the order of their names. Raises ValueError if there are none."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"no such folder of predictions: {folder}")
    sources = sorted(find_plain_folder(Path(folder)), key=lambda source: source.id)
    if not sources:
        raise ValueError(
            f"{folder} holds no predictions: no meshes ({' '.join(MESH_SUFFIXES)}), no voxels ({' '.join(VOXEL_SUFFIXES)})"
        )
    return sources


def read_unpaired(folder: str | Path, side: int, *, frame: CoordinateFrame, most: int) -> list[Prediction]:
    """At most so many of the folder's objects, evenly spaced."""
    sources = find_predictions(folder)
    count = min(most, len(sources))
    chosen = [sources[number * len(sources) // count] for number in range(count)]
    return [read_prediction(source, side, frame=frame) for source in tqdm(chosen, unit="object", leave=False)]


# --------------------------------------------------------------------------------------------------------------- pairs


@dataclass(frozen=True, kw_only=True)
class PredictionFolder:
    """The files of a folder, each the reconstruction of the object of its name."""

    folder: str
    packed: PackedDataset
    sources: Mapping[int, Source]
    """By the number of the object."""
    unmatched: tuple[str, ...]
    """Names of files that belong to no object."""
    frame: CoordinateFrame
    on_missing: Literal["stop", "empty"]

    def covers(self, indices: Sequence[int]) -> bool:
        """Whether all of these objects were predicted."""
        return all(index in self.sources for index in indices)

    def check_missing(self, indices: Sequence[int]) -> list[str]:
        """The names of those objects that were not predicted. Raises ValueError if there are any and none may be."""
        lacking = [self.packed.objects[index].id for index in indices if index not in self.sources]
        if len(lacking) == len(indices) or (lacking and self.on_missing == "stop"):
            files = (
                f"; its files {shorten_names(self.unmatched)} are no object of the data set" if self.unmatched else ""
            )
            raise ValueError(
                f"{self.folder} lacks {len(lacking)} of {len(indices)} objects: {shorten_names(lacking)}{files}; a file is named "
                "like its object, and --missing empty scores what is missing as nothing"
            )
        return lacking

    def predict(self, index: int) -> dict[str, Prediction]:
        """What was predicted of an object; nothing at all if that cannot be read and may be missing."""
        side = self.packed.side
        if index in self.sources:
            try:
                return {"predictions": read_prediction(self.sources[index], side, frame=self.frame)}
            except SideMismatchError:
                raise
            except (ValueError, OSError) as error:
                if self.on_missing == "stop":
                    raise
                log.warning("scored as nothing: %s", error)
        return {"predictions": Prediction(torch.zeros(side, side, side))}

    def iou(self, indices: Sequence[int]) -> dict[str, Float[Tensor, "objects thresholds"]]:
        """IoU of each object at each of THRESHOLDS."""
        scores = []
        for index in tqdm(indices, unit="object", leave=False):
            truth = torch.from_numpy(self.packed.occupancy(index))[None]
            likely = self.predict(index)["predictions"].probabilities[None]
            scores.append(iou_at(likely, truth, THRESHOLDS))
        return {"predictions": torch.cat(scores)}


def match_predictions(
    folder: str | Path, packed: PackedDataset, *, frame: CoordinateFrame, missing: Literal["stop", "empty"] = "stop"
) -> PredictionFolder:
    """The predictions of a folder with their objects: by the whole id, or the last part of it where that is enough.

    Raises ValueError if a name could be several objects, or several files are one object.
    """
    whole = {item.id: index for index, item in enumerate(packed.objects)}
    last = defaultdict(list)
    for index, item in enumerate(packed.objects):
        last[PurePosixPath(item.id).name].append(index)
    sources: dict[int, Source] = {}
    others = []
    for source in find_predictions(folder):
        fitting = [whole[source.id]] if source.id in whole else last[PurePosixPath(source.id).name]
        if len(fitting) > 1:
            both = shorten_names([packed.objects[index].id for index in fitting])
            raise ValueError(f"{folder}: {source.id} could be any of {both}; name files by the whole id")
        if not fitting:
            others.append(source.id)
            continue
        if fitting[0] in sources:
            both = shorten_names([sources[fitting[0]].id, source.id])
            raise ValueError(f"{folder}: {both} are both named like {packed.objects[fitting[0]].id}")
        sources[fitting[0]] = replace(source, label=packed.objects[fitting[0]].label)
    if sources and others:
        log.warning("%s: %d files are no object of the data set: %s", folder, len(others), shorten_names(others))
    return PredictionFolder(
        folder=str(folder), packed=packed, sources=sources, unmatched=tuple(others), frame=frame, on_missing=missing
    )


def shorten_names(names: Sequence[str], count: int = 3) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
