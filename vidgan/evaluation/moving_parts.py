"""Finds moving parts in front of a still background, by differences and matching, without learning.

Letters in einops patterns and shapes: t frame, c channel, h and w rows and columns. Frames are NumPy arrays in
[-1, 1], I_T is the last of the past.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import fft, ndimage

DIFFERENCE_BLUR = 1.2
"""Standard deviation in pixels of the blur of a difference, over which the noise of single pixels averages out."""
MIN_DIFFERENCE = 0.08
"""Difference from which a pixel belongs to a part, 4 % of the range: compression and soft shadows lie below it."""
NOISE_FACTOR = 6.0
"""The threshold is at least this many times the median difference of a frame, four standard deviations of its noise."""
PEAK_FACTOR = 2.0
"""Factor of the threshold that a part exceeds somewhere: a shadow or a flicker that is nowhere stronger is no part."""
MIN_AREA = 0.0005
"""Share of the frame that a part covers at least: 2x2 pixels of 64x85."""
MARGIN = 2
"""Pixels by which a part is grown: the blend of object and background at its edge moves with it."""
MAX_LAG = 4
"""Past frames, at most, from which a velocity is measured: over longer, few things keep it."""
MAX_SPEED = 1 / 16
"""Largest speed in x and in y, in longer sides of the frame a frame: across the picture in 16 frames."""
SPEED_STEP = 1 / 8
"""Pixels a frame from one speed that is tried to the next, so that after 10 frames a place is right to a pixel."""
MAX_UNEXPLAINED = 0.5
"""Share of a part's change that may remain once its motion is undone; otherwise it did not move so, and is left."""
ROUNDS = 2
"""Times that parts are found: where a part moved on, the background becomes known, and with it more of the part."""

Frame = Float[np.ndarray, "channels height width"]
Frames = Float[np.ndarray, "time channels height width"]
Mask = Bool[np.ndarray, "height width"]


class Part(NamedTuple):
    """A connected part of the last frame, and how it moves."""

    mask: Mask
    velocity: Float[np.ndarray, "2"]
    """(down, right) in pixels a frame."""


def extrapolate_parts(past: Frames, steps: int) -> Float[np.ndarray, "steps channels height width"]:
    """Move every part of the last frame on at its velocity, over the background that it uncovers.

    Where no part moves, the last frame stays as it is. A part whose lower end is lower in the picture is nearer and
    hides the others, as on a floor that is seen from above.
    """
    last = past[-1]
    background, parts = divide(past)
    ground = last.copy()
    for part in parts:
        ground[:, part.mask] = background[:, part.mask]
    farthest_first = sorted(parts, key=lambda part: np.flatnonzero(part.mask.any(1))[-1])
    future = np.empty((steps, *last.shape), last.dtype)
    for lead, frame in enumerate(future, 1):
        frame[:] = ground
        for mask, velocity in farthest_first:
            opacity = move(mask[None].astype(last.dtype), lead * velocity, outside="grid-constant")
            frame += opacity * (move(last, lead * velocity) - frame)
    return future


def divide(past: Frames) -> tuple[Frame, list[Part]]:
    """Return the background behind the last frame, and the parts that move before it."""
    background, moving = np.median(past, 0), list[Part]()
    for _ in range(ROUNDS):
        found = (Part(mask, measure_velocity(past, mask)) for mask in find_parts(past[-1], background))
        moving = [part for part in found if part.velocity.any()]
        if not moving:
            break
        background = uncover_background(past, moving)
    return background, moving


def find_parts(frame: Frame, background: Frame) -> list[Mask]:
    """Find the connected parts of a frame that differ from the background, holes included."""
    difference, threshold = find_difference(frame, background)
    differs = np.pad(difference > threshold, 1)  # padded, since closing would take away what touches the border
    solid = ndimage.binary_fill_holes(ndimage.binary_closing(differs))[1:-1, 1:-1]
    labels, count = ndimage.label(solid, np.ones((3, 3)))
    areas, numbers = np.bincount(labels.ravel(), minlength=count + 1)[1:], np.arange(1, count + 1)
    peaks = np.array(ndimage.maximum(difference, labels, numbers))
    chosen = numbers[(areas >= MIN_AREA * labels.size) & (peaks > PEAK_FACTOR * threshold)]
    return [ndimage.binary_dilation(labels == number, iterations=MARGIN) for number in chosen]


def find_difference(frame: Frame, background: Frame) -> tuple[Float[np.ndarray, "height width"], float]:
    """Return the largest difference in any channel, blurred, and the threshold above which it is more than noise."""
    difference = ndimage.gaussian_filter(np.abs(frame - background).max(0), DIFFERENCE_BLUR)
    return difference, max(MIN_DIFFERENCE, NOISE_FACTOR * float(np.median(difference)))


def measure_velocity(past: Frames, mask: Mask) -> Float[np.ndarray, "2"]:
    """Measure the constant (down, right) velocity v, in pixels a frame, of a part of the last frame; 0 if it has none.

    It minimises the error over the latest past, with repeated edges,

        E(v) = sum_k sum_{p in part} |I_T(p) - I_{T-k}(p - k v)|^2    with k from 1 to MAX_LAG,

    for all speeds up to MAX_SPEED. It counts as motion if E(v) <= MAX_UNEXPLAINED E(0).
    """
    reach = max(2, round(MAX_SPEED * max(mask.shape)))
    speeds = np.arange(-reach, reach + SPEED_STEP, SPEED_STEP)
    velocities = np.stack(np.meshgrid(speeds, speeds, indexing="ij"))
    error = np.zeros(velocities.shape[1:])
    for ago in range(1, min(MAX_LAG, len(past) - 1) + 1):
        by_offset = matching_error(past[-1], past[-1 - ago], mask, reach=ago * reach)
        # A sum of squares is smooth in the offset, so that it can be interpolated instead of the pictures.
        error += ndimage.map_coordinates(by_offset, ago * (reach - velocities), order=3, mode="nearest")
    best, standing = int(error.argmin()), error.size // 2  # the centre of the grid is no motion
    moved = error.flat[best] <= MAX_UNEXPLAINED * error.flat[standing]
    return velocities.reshape(2, -1)[:, best] if moved else np.zeros(2)


def matching_error(frame: Frame, other: Frame, mask: Mask, *, reach: int) -> Float[np.ndarray, "offsets offsets"]:
    """Sum over a part of |frame(p) - other(p + d)|^2 for all offsets d = (down, right) from -reach to reach.

    The square is multiplied out; what depends on both p and d is a correlation, computed by FFT. `other` has repeated
    edges.
    """
    rows, columns = ndimage.find_objects(mask.astype(np.uint8))[0]
    inside = mask[rows, columns].astype(np.float64)
    part = frame[:, rows, columns] * inside
    padded = np.pad(other.astype(np.float64), ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    around = padded[:, rows.start : rows.stop + 2 * reach, columns.start : columns.stop + 2 * reach]
    squares = correlate((around**2).sum(0, keepdims=True), inside[None])
    return (part**2).sum() + squares - 2 * correlate(around, part)


def correlate(
    around: Float[np.ndarray, "channels _height _width"], part: Float[np.ndarray, "channels _h _w"]
) -> Float[np.ndarray, "offsets_down offsets_right"]:
    """Sum of the products of a part with what is around, at every offset at which the part lies within it, by FFT."""
    size = [fft.next_fast_len(side, real=True) for side in around.shape[1:]]
    products = (fft.rfft2(around, size) * fft.rfft2(part, size).conj()).sum(0)
    down, right = (outer - inner + 1 for outer, inner in zip(around.shape[1:], part.shape[1:], strict=True))
    return fft.irfft2(products, size)[:down, :right]


def uncover_background(past: Frames, parts: list[Part]) -> Frame:
    """Median of each pixel over the past frames in which no part covers it; where there is none, the nearest pixel's.

    If no pixel is ever uncovered, the median over all frames.
    """
    visible = past.copy()
    for mask, velocity in parts:
        for ago in range(len(past)):
            covers = move(mask[None].astype(past.dtype), -ago * velocity, outside="grid-constant")[0] > 0
            visible[-1 - ago, :, covers] = np.nan
    background = np.median(past, 0)
    hidden = np.isnan(visible).all((0, 1))
    if not hidden.all():
        background[:, ~hidden] = np.nanmedian(visible[:, :, ~hidden], 0)
        down, right = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
        background = background[:, down, right]
    return background


def move(frame: Frame, offset: Float[np.ndarray, "2"], *, outside: str = "nearest") -> Frame:
    """Move a frame by (down, right) pixels, bilinear; `outside` is a mode of `scipy.ndimage.shift`."""
    return ndimage.shift(frame, (0, *offset), order=1, mode=outside)
