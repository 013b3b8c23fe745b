"""Splits videos into overlapping windows of frames, and frames into tiles, so that translation fits into memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil

from vidgan.networks.translator import BLURRED_CANDIDATES
from vidgan.translation_config import PairShape, TranslatorConfig

OVERLAP = 8
"""Number of frames that consecutive windows share if frames depend on later ones."""
WINDOWS = (32, 24, 16, 12)
"""Window lengths, in frames, of which the cheapest that fits is chosen. There are no longer ones, because states that
propagate further than in training drift."""
MARGIN = 16
"""Number of patches by which a tile extends beyond its part of the frame, on each side."""
HELD_BYTES = 24
"""Bytes per target pixel and frame of a window besides the network's: for the frames, and for sums of tiles."""
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Span:
    """An interval along one axis that is computed in one piece, and its core, the part whose result is used."""

    start: int
    stop: int
    core_start: int
    core_stop: int


@dataclass(frozen=True)
class Windows:
    """The windows of a video and the tiles of its frames, in source frames and pixels."""

    spans: tuple[tuple[int, int], ...]
    """Start and stop (excluded) of each window; consecutive windows overlap unless the translator is causal."""
    rows: tuple[Span, ...]
    """The tiles along the height."""
    columns: tuple[Span, ...]
    """The tiles along the width."""

    @property
    def tiles(self) -> Iterator[tuple[Span, Span]]:
        """(Rows, columns) of each tile."""
        return product(self.rows, self.columns)


def plan_windows(
    config: TranslatorConfig, shape: PairShape, *, frames: int, height: int, width: int, gigabytes: float
) -> Windows:
    """Chooses the cheapest windows and tiles with which a translator needs at most about `gigabytes` of memory.

    If none fit, chooses those that need the least. `height` and `width` are those of the source, in pixels.
    """
    causal = config.propagation != "both"
    unit = 2 * config.patch_size  # a tile that starts at a multiple is folded into the same patches as the frame
    margin = -(-max(1, MARGIN * config.patch_size // shape.scale) // unit) * unit
    bytes_a_pixel = measure_footprint(config, shape)
    best: tuple[tuple[bool, float], Windows] | None = None
    for length in WINDOWS:
        spans = place_windows(frames, length, overlap=0 if causal else min(OVERLAP, length // 2))
        longest = max(stop - start for start, stop in spans)
        for rows, columns in product(list_cuts(height, margin, unit), list_cuts(width, margin, unit)):
            whole = len(rows) == len(columns) == 1
            area = max(row.stop - row.start for row in rows) * max(span.stop - span.start for span in columns)
            held = 0 if whole else HELD_BYTES * height * width
            needed = longest * shape.scale**2 * (bytes_a_pixel * area + held)
            work = sum(stop - start for start, stop in spans)
            work *= sum(row.stop - row.start for row in rows) * sum(span.stop - span.start for span in columns)
            fits = needed <= gigabytes * 1e9
            rank = (not fits, work if fits else needed)
            if best is None or rank < best[0]:
                best = rank, Windows(spans, rows, columns)
    assert best is not None
    return best[1]


def measure_footprint(config: TranslatorConfig, shape: PairShape) -> float:
    """An upper bound on the bytes that a translator needs per target pixel and frame, without gradients.

    Counts the tensors that are alive together: windows of neighbours, their copies as patches, sorted values with
    indices, and feature maps. On a CPU, networks of several settings used 0.6 to 0.8 of the bound.
    """
    sides = {"both": 2, "forward": 1, "none": 0}[config.propagation]
    window = sides * config.neighbours + 1
    seen = (shape.channels + shape.masked) * (2 + 3 * window)
    candidates = window + BLURRED_CANDIDATES if config.output == "residual" else 0
    blended = shape.channels * (4 * window + 3 * candidates) + 2 * (shape.channels + candidates) if candidates else 0
    return FLOAT_BYTES * (seen + blended + 10 * config.base_channels / config.patch_size**2)


def place_windows(frames: int, length: int, *, overlap: int) -> tuple[tuple[int, int], ...]:
    """(Start, end) of the fewest windows of at most `length` frames that cover a film and share `overlap` frames.

    All are as long as each other, to a frame, and no longer than they must be.
    """
    if frames <= length:
        return ((0, frames),)
    count = ceil((frames - overlap) / (length - overlap))
    stride = (frames - overlap) / count
    starts = [round(number * stride) for number in range(count)]
    ends = [start + overlap for start in starts[1:]]
    return tuple(zip(starts, [*ends, frames], strict=True))


def list_cuts(side: int, margin: int, unit: int) -> list[tuple[Span, ...]]:
    """The ways to cut a side into parts of at least twice the margin, the whole one first."""
    cuts = []
    for count in range(1, max(1, side // max(unit, 2 * margin)) + 1):
        borders = [round(number * side / count / unit) * unit for number in range(count)] + [side]
        cuts.append(
            tuple(
                Span(max(0, start - margin), min(side, stop + margin), start, stop) for start, stop in pairwise(borders)
            )
        )
    return cuts
