"""Voxels as they are stored: bits, or levels of how full each voxel is, compressed object by object."""

import zlib

import numpy as np
from jaxtyping import Bool, Float, UInt8

FULL = 255
"""Level of a full voxel; one is filled, where a voxel is filled or not, from half of that on."""

StoredVoxels = Bool[np.ndarray, "x y z"] | UInt8[np.ndarray, "x y z"]
"""Filled voxels, or the level of each from 0 to FULL."""


def to_levels(fractions: Float[np.ndarray, "x y z"]) -> UInt8[np.ndarray, "x y z"]:
    """Fractions in [0, 1] as levels, which lie on the same side of one half: above it, or not."""
    levels = np.round(fractions * FULL)
    return np.where(fractions > 0.5, levels.clip(FULL // 2 + 1), levels.clip(max=FULL // 2)).astype(np.uint8)


def to_fractions(voxels: StoredVoxels) -> Float[np.ndarray, "x y z"]:
    """How full each voxel is, float32 in [0, 1]."""
    return voxels.astype(np.float32) / (1 if voxels.dtype == np.bool_ else FULL)


def filled_voxels(voxels: StoredVoxels) -> Bool[np.ndarray, "x y z"]:
    """The voxels that are more than half full."""
    return voxels if voxels.dtype == np.bool_ else voxels > FULL // 2


def pack_voxels(voxels: StoredVoxels) -> bytes:
    """Eight filled or empty voxels to the byte, or levels compressed by zlib."""
    if voxels.dtype == np.bool_:
        return np.packbits(voxels).tobytes()
    return zlib.compress(np.ascontiguousarray(voxels).tobytes(), level=9)


def unpack_voxels(packed: bytes, side: int, *, fractional: bool) -> StoredVoxels:
    """The voxels that `pack_voxels` packed. Raises ValueError unless they are a grid of just this side."""
    if fractional:
        try:
            packed = zlib.decompressobj().decompress(packed, side**3 + 1)
        except zlib.error as error:
            raise ValueError(f"its voxels cannot be decompressed: {error}") from error
    if len(packed) != (side**3 if fractional else bytes_per_object(side)):
        raise ValueError(f"its voxels are no grid of {side} a side")
    voxels = np.frombuffer(packed, np.uint8)
    if not fractional:
        voxels = np.unpackbits(voxels, count=side**3).view(np.bool_)
    return voxels.reshape(side, side, side)


def bytes_per_object(side: int) -> int:
    """Bytes of a grid of side^3 voxels, packed to bits."""
    return (side**3 + 7) // 8
