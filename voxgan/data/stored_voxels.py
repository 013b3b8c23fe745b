"""The storage formats of voxels: bits, or 8-bit levels of the filled fraction, compressed object by object."""

import zlib

import numpy as np
from jaxtyping import Bool, Float, UInt8

FULL = 255
"""Level of a full voxel; a voxel counts as filled if its level is above FULL // 2."""

StoredVoxels = Bool[np.ndarray, "x y z"] | UInt8[np.ndarray, "x y z"]
"""Booleans, or levels from 0 to FULL."""


def to_levels(fractions: Float[np.ndarray, "x y z"]) -> UInt8[np.ndarray, "x y z"]:
    """Quantise fractions in [0, 1] to levels, keeping each on its side of one half."""
    levels = np.round(fractions * FULL)
    return np.where(fractions > 0.5, levels.clip(FULL // 2 + 1), levels.clip(max=FULL // 2)).astype(np.uint8)


def to_fractions(voxels: StoredVoxels) -> Float[np.ndarray, "x y z"]:
    """The filled fraction of each voxel, float32 in [0, 1]."""
    return voxels.astype(np.float32) / (1 if voxels.dtype == np.bool_ else FULL)


def filled_voxels(voxels: StoredVoxels) -> Bool[np.ndarray, "x y z"]:
    """The voxels that are more than half full."""
    return voxels if voxels.dtype == np.bool_ else voxels > FULL // 2


def pack_voxels(voxels: StoredVoxels) -> bytes:
    """Pack booleans to bits (numpy.packbits), or compress levels by zlib."""
    if voxels.dtype == np.bool_:
        return np.packbits(voxels).tobytes()
    return zlib.compress(np.ascontiguousarray(voxels).tobytes(), level=9)


def unpack_voxels(packed: bytes, side: int, *, fractional: bool) -> StoredVoxels:
    """Inverse of `pack_voxels`. Raises ValueError unless the result is a grid of exactly this side."""
    if fractional:
        try:
            packed = zlib.decompressobj().decompress(packed, side**3 + 1)
        except zlib.error as error:
            raise ValueError(f"its voxels cannot be decompressed: {error}") from error
    if len(packed) != (side**3 if fractional else bytes_per_object(side)):
        raise ValueError(f"its voxels do not form a grid of {side} a side")
    voxels = np.frombuffer(packed, np.uint8)
    if not fractional:
        voxels = np.unpackbits(voxels, count=side**3).view(np.bool_)
    return voxels.reshape(side, side, side)


def bytes_per_object(side: int) -> int:
    """Bytes of a grid of side^3 voxels, packed to bits."""
    return (side**3 + 7) // 8
