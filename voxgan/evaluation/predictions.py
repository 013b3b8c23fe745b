"""Reads the objects of another tool from its files, and aligns them with the data set's axes and voxels."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import trimesh
from accelerate.utils import tqdm
from jaxtyping import Bool, Float
from torch import Tensor

from gancore.data import evenly_spaced
from gancore.evaluation.pairing import list_names, pair_by_name
from voxgan.commands import EvaluateConfig
from voxgan.data.layouts import find_plain_folder
from voxgan.data.packed import PackedDataset
from voxgan.data.sources import Source
from voxgan.evaluation.baselines import THRESHOLDS
from voxgan.evaluation.methods import Prediction
from voxgan.files.voxels import VOXEL_SUFFIXES, read_occupancy, stated_up
from voxgan.mesh.axes import Axis, reorient, upright_rotation
from voxgan.mesh.read import MESH_SUFFIXES, LoadedMesh, load_mesh
from voxgan.mesh.voxelise import normalise_mesh, voxelise
from voxgan.metrics.occupancy import iou_at

OUTER_SIDE = 3
"""Side of the cube, around the true objects' unit cube, that predicted meshes must lie in."""
SMALLEST_REACH = 0.01
"""Meshes that lie within this distance of the origin are in another unit, since true objects fill the unit cube."""
THRESHOLD = 0.5
"""Threshold for predicted voxels if none can be chosen on validation objects."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CoordinateFrame:
    """The coordinate frame of predicted objects; see EvaluateConfig."""

    up: Axis | None = None
    """Up axis of files that do not state one."""
    front: Axis | None = None
    normalise: Literal["as_is", "box"] = "as_is"

    def align(self, loaded: LoadedMesh, name: str) -> trimesh.Trimesh:
        """Return the mesh in the frame of the true objects, converted to metres if its file states a unit.

        Raises ValueError if it reaches far beyond the unit cube, or is far smaller.
        """
        up, front = loaded.axes(up=self.up, front=self.front)
        if self.normalise == "box":
            return normalise_mesh(loaded.mesh, up=up, front=front)
        moved = loaded.mesh.copy()
        moved.vertices = loaded.mesh.vertices @ upright_rotation(up, front=front).T * (loaded.metres or 1.0)
        reach = np.abs(moved.vertices[moved.faces]).max()
        if not SMALLEST_REACH <= reach <= OUTER_SIDE / 2:
            raise ValueError(
                f"{name} reaches {reach:.3g} from the origin, but true objects lie within 0.5: "
                "give --normalise box to centre and scale every object"
            )
        return moved


def coordinate_frame(config: EvaluateConfig) -> CoordinateFrame:
    """Return the coordinate frame of the predictions of an evaluation."""
    return CoordinateFrame(up=config.up, front=config.front, normalise=config.normalise)


def voxelise_unit_cube(mesh: trimesh.Trimesh, side: int) -> Bool[np.ndarray, "side side side"]:
    """Voxelise the part of a mesh that lies in the unit cube around the origin."""
    if np.abs(mesh.vertices[mesh.faces]).max() <= 0.5:
        return voxelise(mesh, side)
    smaller = trimesh.Trimesh(mesh.vertices / OUTER_SIDE, mesh.faces, process=False)
    inner = slice(side, 2 * side)
    return voxelise(smaller, OUTER_SIDE * side)[inner, inner, inner]


def read_prediction(source: Source, side: int, *, frame: CoordinateFrame) -> Prediction:
    """Read an object from a file of voxels, a mesh, or both.

    Raises ValueError or OSError that names the file if it cannot be read or has another number of voxels per side.
    """
    mesh = frame.align(load_mesh(source.mesh, root=source.root), str(source.mesh)) if source.mesh else None
    mesh = mesh and trimesh.Trimesh(mesh.vertices, mesh.faces)  # drops colours and merges vertices
    if source.occupancy is None:
        assert mesh is not None
        return Prediction(torch.from_numpy(voxelise_unit_cube(mesh, side)).float(), mesh)
    own = read_occupancy(source.occupancy, key=source.key)
    if stated_up(source.occupancy, key=source.key) is None:  # else read_occupancy has applied it
        own = reorient(own, up=frame.up or "y", front=frame.front)
    if own.shape != (side, side, side):
        sides = " x ".join(map(str, own.shape))
        raise SideMismatchError(
            f"{source.occupancy} has {sides} voxels, and the data set {side} a side: predict at that side, "
            "give meshes, or prepare the data set again"
        )
    return Prediction(torch.from_numpy(np.ascontiguousarray(own, np.float32)), mesh)


class SideMismatchError(ValueError):
    """The prediction has another number of voxels a side; raised even if `on_missing` is empty."""


def find_predictions(folder: Path) -> list[Source]:
    """Find the objects of all files below a folder, in the order of their names.

    Raises FileNotFoundError if there is no such folder, ValueError if it holds no objects.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder of predictions: {folder}")
    sources = sorted(find_plain_folder(folder), key=lambda source: source.id)
    if not sources:
        raise ValueError(
            f"{folder} holds no predictions: no meshes ({' '.join(MESH_SUFFIXES)}), "
            f"no voxels ({' '.join(VOXEL_SUFFIXES)})"
        )
    return sources


def read_unpaired(folder: Path, side: int, *, frame: CoordinateFrame, count: int) -> list[Prediction]:
    """Read at most `count` of the folder's objects, evenly spaced."""
    sources = find_predictions(folder)
    chosen = [sources[number] for number in evenly_spaced(len(sources), count=count)]
    return [read_prediction(source, side, frame=frame) for source in tqdm(chosen, unit="object", leave=False)]


# --------------------------------------------------------------------------------------------------------------- pairs


@dataclass(frozen=True, kw_only=True)
class PredictionFolder:
    """A method whose reconstructions are read from files, each named like its object."""

    folder: Path
    packed: PackedDataset
    sources: Mapping[int, Source]
    """The prediction of each object, by index."""
    unmatched: tuple[str, ...]
    """Names of files that match no object."""
    frame: CoordinateFrame
    on_missing: Literal["stop", "empty"]
    name: str = "predictions"

    def covers(self, indices: Sequence[int]) -> bool:
        """Return whether all of these objects were predicted."""
        return all(index in self.sources for index in indices)

    def check_missing(self, indices: Sequence[int]) -> list[str]:
        """Return the ids of objects without a prediction; ValueError if all lack one, or any with `on_missing` stop."""
        missing = [self.packed.objects[index].id for index in indices if index not in self.sources]
        if len(missing) == len(indices) or (missing and self.on_missing == "stop"):
            files = (
                f"; its files {list_names(self.unmatched)} are not objects of the data set" if self.unmatched else ""
            )
            raise ValueError(
                f"{self.folder} lacks {len(missing)} of {len(indices)} objects: {list_names(missing)}{files}; a file "
                "is named like its object, and --on_missing empty scores missing objects as empty"
            )
        return missing

    def predict(self, index: int) -> dict[str, Prediction]:
        """Read the prediction of an object; with `on_missing` empty, a missing or unreadable one is empty."""
        side = self.packed.side
        if index in self.sources:
            try:
                return {self.name: read_prediction(self.sources[index], side, frame=self.frame)}
            except SideMismatchError:
                raise
            except (ValueError, OSError) as error:
                if self.on_missing == "stop":
                    raise
                log.warning("scored as empty: %s", error)
        return {self.name: Prediction(torch.zeros(side, side, side))}

    def iou(self, indices: Sequence[int]) -> dict[str, Float[Tensor, "objects thresholds"]]:
        """Compute the IoU of each object at each of THRESHOLDS."""
        scores = []
        for index in tqdm(indices, unit="object", leave=False):
            truth = torch.from_numpy(self.packed.occupancy(index))[None]
            predicted = self.predict(index)[self.name].probabilities[None]
            scores.append(iou_at(predicted, truth, THRESHOLDS))
        return {self.name: torch.cat(scores)}


def match_predictions(
    folder: Path, packed: PackedDataset, *, frame: CoordinateFrame, on_missing: Literal["stop", "empty"] = "stop"
) -> PredictionFolder:
    """Match the files of a folder with objects: by the whole id, or by its last part where that is unique.

    Args:
        folder: Meshes or voxels.
        packed: The data set.
        frame: The coordinate frame of the predictions.
        on_missing: Whether an object without a readable prediction is an error or counts as empty.

    Raises:
        ValueError: A file matches several objects, or several files match one object.
    """
    sources = {source.id: source for source in find_predictions(folder)}
    ids = {item.id: index for index, item in enumerate(packed.objects)}
    try:
        pairing = pair_by_name(list(sources), list(ids), last_part=True)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    matched = {
        ids[name]: replace(sources[file], label=packed.objects[ids[name]].label)
        for name, (file,) in pairing.files.items()
    }
    if matched and pairing.unmatched:
        log.warning(
            "%s: %d files are not objects of the data set: %s",
            folder,
            len(pairing.unmatched),
            list_names(pairing.unmatched),
        )
    return PredictionFolder(
        folder=folder,
        packed=packed,
        sources=matched,
        unmatched=pairing.unmatched,
        frame=frame,
        on_missing=on_missing,
    )
