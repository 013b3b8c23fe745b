"""Objects that are nearly the same, so that none of them is trained on while the other is held out."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

BLOCKS_PER_SIDE = 4


def find_near_duplicates(
    bits: UInt8[np.ndarray, "objects bytes"], *, side: int, overlap: float = 0.95
) -> Iterator[tuple[int, int, float]]:
    """Every pair of objects whose IoU is above `overlap`, as they are or one mirrored left to right, with the IoU.

    `bits` are packed voxels. Only objects of like volume and like outline are compared voxel by voxel.
    """
    mirrored = np.stack([mirror_voxels(row, side) for row in bits])
    volumes, outlines = count_voxels(bits), block_counts(bits, side)
    images = block_counts(mirrored, side)
    order = np.argsort(volumes, kind="stable")
    for rank, here in enumerate(order):
        last = np.searchsorted(volumes[order], volumes[here] / overlap, side="right")
        larger = order[rank + 1 : last]
        for candidates, forms in ((bits, outlines), (mirrored, images)):
            # A block's counts differ by no more than its voxels do: what is beyond this bound cannot be a twin.
            apart = np.abs(forms[larger] - outlines[here]).sum(1)
            near = larger[apart <= (1 - overlap) * (volumes[larger] + volumes[here])]
            for there, same in zip(near, packed_iou(bits[here], candidates[near]), strict=True):
                if same > overlap:
                    yield int(here), int(there), float(same)


def group_duplicates(count: int, pairs: Iterable[tuple[int, int, float]]) -> list[int]:
    """For each object the lowest number among those that pairs join it to."""
    first = list(range(count))

    def root(index: int) -> int:
        while first[index] != index:
            index = first[index]
        return index

    for one, other, _ in pairs:
        low, high = sorted((root(one), root(other)))
        first[high] = low
    return [root(index) for index in range(count)]


def packed_iou(
    one: UInt8[np.ndarray, " bytes"], many: UInt8[np.ndarray, "objects bytes"]
) -> Float[np.ndarray, " objects"]:
    union = count_voxels(many | one)
    return np.divide(count_voxels(many & one), union, out=np.ones(len(many)), where=union > 0)


def count_voxels(bits: UInt8[np.ndarray, "objects bytes"]) -> Int[np.ndarray, " objects"]:
    return np.bitwise_count(bits).sum(1, dtype=np.int64)


def unpack_voxels(bits: UInt8[np.ndarray, " bytes"], side: int) -> Bool[np.ndarray, "x y z"]:
    return np.unpackbits(bits, count=side**3).view(np.bool_).reshape(side, side, side)


def mirror_voxels(bits: UInt8[np.ndarray, " bytes"], side: int) -> UInt8[np.ndarray, " bytes"]:
    return np.packbits(unpack_voxels(bits, side)[::-1])


def block_counts(bits: UInt8[np.ndarray, "objects bytes"], side: int) -> Int[np.ndarray, "objects blocks"]:
    """How many voxels are filled in each of a few blocks."""
    edges = np.linspace(0, side, min(BLOCKS_PER_SIDE, side), endpoint=False).astype(int)
    rows = []
    for row in bits:
        counts = unpack_voxels(row, side).astype(np.int64)
        for axis in range(3):
            counts = np.add.reduceat(counts, edges, axis=axis)
        rows.append(counts.ravel())
    return np.stack(rows)
