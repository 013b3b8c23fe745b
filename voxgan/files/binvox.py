"""Reads and writes the binvox format, versions 1 and 2: run-length coded voxels with their position and scale."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float, UInt8

from gancore.errors import UnreadableError
from gancore.files.atomic import atomic_write
from gancore.files.limits import ShapeLimits
from gancore.files.reading import as_unreadable, require_regular_file

LONGEST_RUN = 255
"""Voxels in the longest run that a byte can count."""


@dataclass(frozen=True)
class Binvox:
    """Voxels in the axes of the mesh that was voxelised."""

    occupancy: Bool[np.ndarray, "x y z"]
    translate: tuple[float, float, float] = (-0.5, -0.5, -0.5)
    """The lowest corner of the grid, in the units of the mesh."""
    scale: float = 1.0
    """Length of the grid's longest side, in the units of the mesh."""

    def centres(self) -> Float[np.ndarray, "occupied 3"]:
        """The centres of the occupied voxels in the units of the mesh."""
        pitch = self.scale / max(self.occupancy.shape)
        return (np.argwhere(self.occupancy) + 0.5) * pitch + np.array(self.translate)


def read_binvox(path: Path, *, limits: ShapeLimits = ShapeLimits()) -> Binvox:
    """The voxels of a file of version 1 (values 0 and 1) or 2 (occupied from 1 to 255).

    Raises FileNotFoundError, or UnreadableError if the file is not binvox, is cut short, exceeds the limits or declares
    more voxels than it can hold.
    """
    require_regular_file(path)
    with as_unreadable(path, "voxels"), path.open("rb") as file:
        header = read_header(file, path)
        x, y, z = header.shape
        voxels, remaining = x * y * z, path.stat().st_size - file.tell()
        limits.check_voxels(voxels, path)
        if not 2 * voxels / LONGEST_RUN <= remaining <= 2 * voxels:
            raise UnreadableError(f"{path} declares {voxels:,} voxels, which {remaining:,} bytes of data cannot hold")
        runs = np.frombuffer(file.read(remaining), np.uint8)
    occupied = decode_runs(runs, voxels, path).reshape(x, z, y)  # y varies fastest, then z, then x
    return Binvox(rearrange(occupied, "x z y -> x y z"), header.translate, header.scale)


@dataclass(frozen=True)
class BinvoxHeader:
    """The header of a binvox file; see Binvox."""

    shape: tuple[int, int, int]
    translate: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0


def read_header(file: BinaryIO, path: Path) -> BinvoxHeader:
    """Reads the header that precedes the data. Raises UnreadableError if it is not that of a binvox file."""
    words = file.readline(100).split()
    if words[:1] != [b"#binvox"]:
        raise UnreadableError(f"{path} is not a binvox file: its first line is not '#binvox 1' or '#binvox 2'")
    if words[1:] not in ([b"1"], [b"2"]):
        raise UnreadableError(f"{path} is of binvox version {b' '.join(words[1:])!r}; versions 1 and 2 are read")
    fields: dict[bytes, list[bytes]] = {}
    for _ in range(32):
        name, *values = file.readline(1000).split() or [b""]
        if name == b"data":
            break
        fields[name] = values
    else:
        raise UnreadableError(f"the header of {path} has no line 'data'")
    try:
        x, y, z = (int(word) for word in fields[b"dim"])
        a, b, c = (float(word) for word in fields.get(b"translate", [b"0"] * 3))
        (scale,) = (float(word) for word in fields.get(b"scale", [b"1"]))
    except (KeyError, ValueError):
        raise UnreadableError(f"the header of {path} does not give dim, translate and scale as numbers") from None
    if min(x, y, z) < 1 or not np.isfinite([a, b, c, scale]).all() or scale <= 0:
        raise UnreadableError(f"the header of {path} gives dim {x} {y} {z}, translate {a} {b} {c}, scale {scale}")
    return BinvoxHeader((x, y, z), (a, b, c), scale)


def decode_runs(runs: UInt8[np.ndarray, " bytes"], voxels: int, path: Path) -> Bool[np.ndarray, " voxels"]:
    """The voxels of pairs of a value and a count. Raises UnreadableError if they are not `voxels` in number."""
    values, counts = runs[0 : runs.size // 2 * 2 : 2], runs[1::2]
    if runs.size % 2 or (held := int(counts.sum(dtype=np.int64))) != voxels:
        detail = "half a run" if runs.size % 2 else f"{held:,}"
        raise UnreadableError(f"{path} declares {voxels:,} voxels and holds {detail}")
    return np.repeat(values > 0, counts)


def write_binvox(
    path: Path,
    occupancy: Bool[np.ndarray, "x y z"],
    *,
    translate: tuple[float, float, float] = (-0.5, -0.5, -0.5),
    scale: float = 1.0,
    version: Literal[1, 2] = 1,
) -> None:
    """Writes what `read_binvox` reads: the grid's lowest corner at `translate`, its longest side `scale` long."""
    sides = " ".join(map(str, occupancy.shape))
    corner = " ".join(f"{number:.9g}" for number in translate)
    header = f"#binvox {version}\ndim {sides}\ntranslate {corner}\nscale {scale:.9g}\ndata\n"
    with atomic_write(path) as partial:
        partial.write_bytes(header.encode() + encode_runs(rearrange(occupancy, "x y z -> (x z y)")).tobytes())


def encode_runs(voxels: Bool[np.ndarray, " voxels"]) -> UInt8[np.ndarray, "runs 2"]:
    """Pairs of a value and its count, at most 255."""
    starts = np.flatnonzero(np.diff(voxels, prepend=~voxels[:1]))
    lengths = np.diff(starts, append=voxels.size)
    pieces = -(-lengths // LONGEST_RUN)
    counts = np.full(pieces.sum(), LONGEST_RUN, np.uint8)
    counts[pieces.cumsum() - 1] = lengths - LONGEST_RUN * (pieces - 1)
    return np.stack([np.repeat(voxels[starts], pieces).astype(np.uint8), counts], 1)
