"""Selects the objects of a data set to evaluate on."""

from gancore.data import evenly_spaced
from gancore.reporting.provenance import DataFingerprint
from gancore.splits import Split
from voxgan.commands import EvaluateConfig
from voxgan.data.packed import PackedDataset, open_packed_dataset

MAX_VALIDATION = 256
"""Maximum number of objects on which thresholds and distances are chosen."""


def open_dataset(config: EvaluateConfig) -> PackedDataset:
    """Open the data set, with only the classes asked for. Raises ValueError if it has no such class."""
    packed = open_packed_dataset(config.data)
    return packed.of_classes(config.classes) if config.classes else packed


def select_objects(
    packed: PackedDataset, split: Split, *, count: int | None = None, pictures: bool = False
) -> list[int]:
    """Select up to `count` objects of a split, evenly spaced; all of them if `count` is None.

    Args:
        packed: The data set.
        split: The split.
        count: Maximum number of objects.
        pictures: Whether to leave out objects without pictures.

    Raises:
        ValueError: There are no such objects; only for val is the empty list returned instead.
    """
    indices = [index for index in packed.indices(split) if packed.objects[index].cameras or not pictures]
    if not indices and split != "val":
        raise ValueError(f"{packed.folder} has no objects{' with pictures' if pictures else ''} in its split {split}")
    return [indices[number] for number in evenly_spaced(len(indices), count=count)]


def fingerprint_data(packed: PackedDataset, config: EvaluateConfig) -> str:
    """Describe the evaluated objects with a hash of their voxels."""
    fingerprint = DataFingerprint()
    for index in select_objects(packed, config.split, count=config.max_items):
        fingerprint.add(packed.stored_voxels(index)[None])
    return f"voxels of {fingerprint.count} objects of {config.split}, sha256 {fingerprint.hexdigest()}"
