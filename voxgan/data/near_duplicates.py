"""Finds near-duplicates among objects, so that no held-out object has one in the training split."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

BLOCKS_PER_SIDE = 4
"""Blocks along each side whose voxel counts rule out most pairs before a comparison voxel by voxel."""


def find_near_duplicates(
    bits: UInt8[np.ndarray, "objects bytes"], *, side: int, overlap: float = 0.95
) -> Iterator[tuple[int, int, float]]:
    """Yield every pair of objects whose IoU exceeds `overlap`, possibly with one mirrored left to right, and that IoU.

    `bits` are voxels packed by numpy.packbits. An upper bound on the IoU from the voxel counts of blocks rules out most
    pairs.
    """
    mirrored = np.stack([mirror_voxels(row, side) for row in bits])
    volumes, blocks = count_voxels(bits), block_counts(bits, side)
    mirrored_blocks = block_counts(mirrored, side)
    order = np.argsort(volumes, kind="stable")
    for rank, here in enumerate(order):
        last = np.searchsorted(volumes[order], volumes[here] / overlap, side="right")
        larger = order[rank + 1 : last]
        for candidates, counts in ((bits, blocks), (mirrored, mirrored_blocks)):
            # Counts of a block differ by no more than its voxels do: beyond this bound the IoU is below `overlap`.
            difference = np.abs(counts[larger] - blocks[here]).sum(1)
            near = larger[difference <= (1 - overlap) * (volumes[larger] + volumes[here])]
            for there, iou in zip(near, packed_iou(bits[here], candidates[near]), strict=True):
                if iou > overlap:
                    yield int(here), int(there), float(iou)


def group_duplicates(count: int, pairs: Iterable[tuple[int, int, float]]) -> list[int]:
    """For each of `count` objects the lowest index in its group; each pair (one, other, IoU) joins two groups."""
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
    """IoU of one object with each of many, all packed; 1 where both are empty."""
    union = count_voxels(many | one)
    return np.divide(count_voxels(many & one), union, out=np.ones(len(many)), where=union > 0)


def count_voxels(bits: UInt8[np.ndarray, "objects bytes"]) -> Int[np.ndarray, " objects"]:
    """Filled voxels of each object."""
    return np.bitwise_count(bits).sum(1, dtype=np.int64)


def unpack_voxels(bits: UInt8[np.ndarray, " bytes"], side: int) -> Bool[np.ndarray, "x y z"]:
    """The voxels of a packed object."""
    return np.unpackbits(bits, count=side**3).view(np.bool_).reshape(side, side, side)


def mirror_voxels(bits: UInt8[np.ndarray, " bytes"], side: int) -> UInt8[np.ndarray, " bytes"]:
    """The packed object mirrored left to right."""
    return np.packbits(unpack_voxels(bits, side)[::-1])


def block_counts(bits: UInt8[np.ndarray, "objects bytes"], side: int) -> Int[np.ndarray, "objects blocks"]:
    """Filled voxels in each of up to BLOCKS_PER_SIDE^3 blocks of each object."""
    edges = np.linspace(0, side, min(BLOCKS_PER_SIDE, side), endpoint=False).astype(int)
    rows = []
    for row in bits:
        counts = unpack_voxels(row, side).astype(np.int64)
        for axis in range(3):
            counts = np.add.reduceat(counts, edges, axis=axis)
        rows.append(counts.ravel())
    return np.stack(rows)
