"""Outlines of cut-outs: opacities in [0, 1], soft over about a pixel, from distances to the edge in pixels."""

import numpy as np
from jaxtyping import Float

Opacity = Float[np.ndarray, "height width"]
MARGIN = 2
"""Transparent pixels around every outline."""


def ellipse(height: float, width: float, *, softness: float = 1.0) -> Opacity:
    """An ellipse with these axes, in pixels."""
    x, y = _pixels(height, width)
    radius = np.hypot(x / (width / 2), y / (height / 2))
    return _fill((radius - 1) * min(height, width) / 2, softness)


def rounded_box(height: float, width: float, *, corner: float, softness: float = 1.0) -> Opacity:
    """A box with corners of this radius in pixels; with half the shorter side it is a capsule, as limbs are."""
    x, y = _pixels(height, width)
    corner = min(corner, height / 2, width / 2)
    beyond_x, beyond_y = np.abs(x) - width / 2 + corner, np.abs(y) - height / 2 + corner
    outside = np.hypot(beyond_x.clip(0), beyond_y.clip(0))
    return _fill(outside + np.minimum(np.maximum(beyond_x, beyond_y), 0) - corner, softness)


def blob(random: np.random.Generator, height: float, width: float, *, softness: float = 1.0) -> Opacity:
    """An ellipse whose edge goes in and out, in three waves of random strength."""
    x, y = _pixels(height, width)
    angle, radius = np.arctan2(y, x), np.hypot(x / (width / 2), y / (height / 2))
    edge = np.full_like(radius, 0.8)
    for waves in (2, 3, 5):
        edge += 0.3 / waves * random.uniform(-1, 1) * np.sin(waves * angle + random.uniform(0, 2 * np.pi))
    return _fill((radius - edge.clip(0.3, 1)) * min(height, width) / 2, softness)


def _pixels(height: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the centres of all pixels, from the centre of a picture with a margin around this size."""
    rows, columns = (int(np.ceil(side)) + 2 * MARGIN for side in (height, width))
    return np.arange(columns)[None] + 0.5 - columns / 2, np.arange(rows)[:, None] + 0.5 - rows / 2


def _fill(distance: np.ndarray, softness: float) -> Opacity:
    """Opaque where the distance to the edge is negative, inside."""
    return (0.5 - distance / softness).clip(0, 1).astype(np.float32)
