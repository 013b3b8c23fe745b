"""ShapeNetCore (Chang et al. 2015) and data sets derived from it, in folders <WordNet synset>/<model>."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gancore.files.reading import as_unreadable
from gancore.splits import SPLIT_NAMES, Split
from voxgan.data.sources import Source, SourceImage, read_text
from voxgan.mesh.axes import camera_angles

SYNSETS = dict(
    line.split(maxsplit=1)
    for line in """
    02691156 airplane
    02747177 trash bin
    02773838 bag
    02801938 basket
    02808440 bathtub
    02818832 bed
    02828884 bench
    02834778 bicycle
    02843684 birdhouse
    02871439 bookshelf
    02876657 bottle
    02880940 bowl
    02924116 bus
    02933112 cabinet
    02942699 camera
    02946921 can
    02954340 cap
    02958343 car
    02992529 cellphone
    03001627 chair
    03046257 clock
    03085013 keyboard
    03207941 dishwasher
    03211117 display
    03261776 earphone
    03325088 faucet
    03337140 file cabinet
    03467517 guitar
    03513137 helmet
    03593526 jar
    03624134 knife
    03636649 lamp
    03642806 laptop
    03691459 loudspeaker
    03710193 mailbox
    03759954 microphone
    03761084 microwave
    03790512 motorbike
    03797390 mug
    03928116 piano
    03938244 pillow
    03948459 pistol
    03991062 flowerpot
    04004475 printer
    04074963 remote control
    04090263 rifle
    04099429 rocket
    04225987 skateboard
    04256520 sofa
    04330267 stove
    04379243 table
    04401088 telephone
    04460130 tower
    04468005 train
    04530566 watercraft
    04554684 washer
    """.strip().splitlines()
)
"""Class names by synset; other synsets serve as their own class names."""


def iterate_models(root: Path) -> Iterator[Path]:
    """The folders <synset>/<model> of a data set, or those of one synset's folder, in order."""
    for synset in [root] if is_synset(root) else sorted(filter(is_synset, root.iterdir())):
        yield from sorted(path for path in synset.iterdir() if path.is_dir())


def is_synset(path: Path) -> bool:
    """Whether the path is a folder named by the eight digits of a synset."""
    return len(path.name) == 8 and path.name.isdecimal() and path.is_dir()


def find_r2n2(root: Path) -> list[Source]:
    """ShapeNetVox32 and ShapeNetRendering of 3D-R2N2 (Choy et al. 2016)."""
    if not (root / "ShapeNetVox32").is_dir():
        return []
    sources = [build_version1_source(folder) for folder in iterate_models(root / "ShapeNetVox32")]
    renderings = root / "ShapeNetRendering"
    return require_any(
        [replace(source, images=find_renderings(renderings / source.id / "rendering"), mesh=None) for source in sources]
    )


def find_shapenet(root: Path) -> list[Source]:
    """ShapeNetCore version 1 or 2, or the data set of Occupancy Networks, with the splits they list, if any."""
    sources = [
        build_version2_source(path) if (path / "models").is_dir() else build_version1_source(path)
        for path in iterate_models(root)
    ]
    return assign_listed_splits(root, require_any(sources))


def require_any(sources: Sequence[Source]) -> list[Source]:
    """The objects, with a problem noted for those without files; empty if none has files, as in other layouts."""
    if not any(source.mesh or source.occupancy for source in sources):
        return []
    return [
        source if source.mesh or source.occupancy else replace(source, problem="its folder holds no mesh and no voxels")
        for source in sources
    ]


def build_version1_source(folder: Path) -> Source:
    """The model <synset>/<model>/model.obj, or voxels and pictures computed from it; y up, facing +x."""
    pictures = sorted((folder / "img_choy2016").glob("*.jpg"))
    return replace(
        build_named_source(folder),
        mesh=existing_file(folder / "model.obj"),
        occupancy=existing_file(folder / "model.binvox"),
        images=tuple(map(SourceImage, pictures)),
        front="x",
        voxel_up="y",
        voxel_front="x",
    )


def build_version2_source(folder: Path) -> Source:
    """The model <synset>/<model>/models/model_normalized.obj and its solid voxels; y up, facing -z."""
    return replace(
        build_named_source(folder),
        mesh=existing_file(folder / "models" / "model_normalized.obj"),
        occupancy=existing_file(folder / "models" / "model_normalized.solid.binvox"),
        front="-z",
        voxel_up="y",
        voxel_front="-z",
    )


def build_named_source(folder: Path) -> Source:
    synset = folder.parent.name
    return Source(id=f"{synset}/{folder.name}", label=SYNSETS.get(synset, synset))


def existing_file(path: Path) -> Path | None:
    return path if path.is_file() else None


def find_renderings(folder: Path) -> tuple[SourceImage, ...]:
    """The renderings of a model, with camera angles if the metadata file has one line for each of them."""
    paths, metadata = sorted(folder.glob("*.png")), folder / "rendering_metadata.txt"
    try:
        lines = [line.split() for line in read_text(metadata).splitlines() if line.strip()]
        angles = [r2n2_camera_angles(float(azimuth), float(elevation)) for azimuth, elevation, *_ in lines]
        if not all(math.isfinite(angle) for camera in angles for angle in camera):
            angles = []
    except (FileNotFoundError, ValueError):
        angles = []
    if len(angles) != len(paths):
        return tuple(map(SourceImage, paths))
    return tuple(SourceImage(path, None, *camera) for path, camera in zip(paths, angles, strict=True))


def r2n2_camera_angles(azimuth: float, elevation: float) -> tuple[float, float]:
    """Convert the angles in degrees of a 3D-R2N2 camera to ours; its azimuth runs from the mesh's x to its z axis."""
    theta, phi = np.radians((azimuth, elevation))
    eye = np.array([np.cos(theta) * np.cos(phi), np.sin(phi), np.sin(theta) * np.cos(phi)])
    return camera_angles(eye, up="y", front="x")


def assign_listed_splits(root: Path, sources: Sequence[Source]) -> list[Source]:
    """The objects with the splits in all.csv, or in the lists train.lst, val.lst and test.lst of the synset folders."""
    splits: dict[str, Split | None] = {}
    for path in root.glob("*.lst" if is_synset(root) else "*/*.lst"):
        for model in read_text(path).split():
            splits[f"{path.parent.name}/{model}"] = SPLIT_NAMES.get(path.stem.lower())
    table = root / "all.csv"
    if table.is_file():
        with as_unreadable(table, "a table of splits"):
            for row in csv.DictReader(io.StringIO(read_text(table), newline="")):
                model = f"{(row.get('synsetId') or '').zfill(8)}/{row.get('modelId')}"
                splits[model] = SPLIT_NAMES.get((row.get("split") or "").lower())
    return [replace(source, split=splits.get(source.id)) for source in sources]
