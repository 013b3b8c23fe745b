"""Closed solids that furniture is made of: boxes, slabs, spindles, tubes, cushions, shells and lathed shades.

All lengths are in metres; x points to the right, y up and z to the front. Every solid is a loft: a row of rings that
are joined by faces and closed at both ends, or in itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from voxgan.data.procedural.choices import Number

Range = tuple[Number, Number]
"""From where to where something reaches along an axis."""
Point = tuple[Number, Number, Number]
Outline = Float[np.ndarray, "corners 2"]
"""A convex polygon, or a thin one, with an even number of corners."""
Path = Float[np.ndarray, "points 3"]


@dataclass(frozen=True)
class Solid:
    """A closed surface with faces outward."""

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]

    def move(self, x: Number = 0.0, y: Number = 0.0, z: Number = 0.0) -> "Solid":
        """The solid moved by these lengths."""
        return Solid(self.vertices + np.array([x, y, z]), self.faces)

    def mirror(self) -> "Solid":
        """The solid with left and right exchanged."""
        return Solid(self.vertices * np.array([-1, 1, 1]), self.faces[:, ::-1])

    def rotate(self, axis: str, degrees: Number, *, about: Point = (0, 0, 0)) -> "Solid":
        """The solid turned counter-clockwise about a line through a point along "x", "y" or "z"."""
        first, second = [other for other in range(3) if other != "xyz".index(axis)]
        angle = np.radians(-degrees if axis == "y" else degrees)
        turned = self.vertices - about
        a, b = turned[:, first].copy(), turned[:, second].copy()
        turned[:, first] = a * np.cos(angle) - b * np.sin(angle)
        turned[:, second] = a * np.sin(angle) + b * np.cos(angle)
        return Solid(turned + about, self.faces)


def loft(rings: Float[np.ndarray, "rings corners 3"], *, closed: bool = False) -> Solid:
    """The solid through these rings of equally many corners, an even number; `closed` joins the last to the first."""
    count, corners = rings.shape[:2]
    start = np.arange(count if closed else count - 1)[:, None] * corners
    here, there = np.arange(corners), np.roll(np.arange(corners), -1)
    after = (start + corners) % (count * corners)
    a, b, c, d = start + here, start + there, after + there, after + here
    faces = [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    if not closed:
        near = np.arange(corners // 2 - 1)
        far = corners - 1 - near
        cap = np.concatenate([np.stack([near, near + 1, far - 1], 1), np.stack([near, far - 1, far], 1)])
        faces += [cap[:, ::-1], cap + (count - 1) * corners]
    vertices, joined = rings.reshape(-1, 3).astype(np.float64), np.concatenate(faces)
    one, two, three = np.moveaxis((vertices - vertices.mean(0))[joined], 1, 0)
    outward = np.einsum("fc,fc->", one, np.cross(two, three)) > 0
    return Solid(vertices, joined if outward else joined[:, ::-1])


# ------------------------------------------------------------------------------------------------------------ outlines


def rectangle(width: Number, depth: Number, *, corner: Number = 0.0) -> Outline:
    """A rectangle about the origin; `corner` is the radius of its corners."""
    half = np.array([width, depth]) / 2
    if corner <= 0:
        return half * [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    corner = min(corner, half.min() * 0.999)
    angles = np.radians(np.arange(0, 91, 22.5))
    arc = np.stack([np.cos(angles), np.sin(angles)], 1) * corner
    quarter = arc + half - corner
    left = quarter[::-1] * [-1, 1]
    return np.concatenate([quarter, left, -quarter, -left])


def ellipse(width: Number, depth: Number, *, corners: int = 24, power: Number = 2.0) -> Outline:
    """An ellipse about the origin; a higher power makes it a rectangle with soft corners."""
    angles = (np.arange(corners) + 0.5) * 2 * np.pi / corners
    unit = np.stack([np.cos(angles), np.sin(angles)], 1)
    return np.sign(unit) * abs(unit) ** (2 / power) * [width / 2, depth / 2]


# -------------------------------------------------------------------------------------------------------------- solids


def box(x: Range, y: Range, z: Range) -> Solid:
    """A box between these coordinates."""
    return slab(rectangle(x[1] - x[0], z[1] - z[0]), y).move(sum(x) / 2, 0, sum(z) / 2)


def slab(outline: Outline, y: Range, *, edge: Number = 0.0, taper: Number = 1.0) -> Solid:
    """A horizontal plate with this outline in (x, z), centred at the origin.

    Its edges are rounded by `edge`, and its lower side is `taper` times as wide as its upper one.
    """
    inset = np.ptp(outline, axis=0)
    edge = min(edge, (y[1] - y[0]) * 0.49, inset.min() * 0.49)
    levels = [(y[0], 0.0, taper), (y[1], 0.0, 1.0)]
    if edge > 0:
        levels = [
            (y[0], edge, taper),
            (y[0] + 0.3 * edge, 0.3 * edge, taper),
            (y[0] + edge, 0, taper),
            (y[1] - edge, 0, 1.0),
            (y[1] - 0.3 * edge, 0.3 * edge, 1.0),
            (y[1], edge, 1.0),
        ]
    rings = [_horizontal(outline * (scale * (1 - 2 * narrower / inset)), height) for height, narrower, scale in levels]
    return loft(np.stack(rings))


def cushion(x: Range, y: Range, z: Range, *, softness: Number = 0.5) -> Solid:
    """A stuffed box that fills these ranges; from 0, nearly a box, to 1, a pillow, its edges are softer."""
    power = 12 - 9 * softness
    angles = np.radians(np.array([-87, -72, -52, -28, 0, 28, 52, 72, 87]))
    outline = ellipse(x[1] - x[0], z[1] - z[0], corners=28, power=power)
    rings = []
    for angle in angles:
        height = np.sign(angle) * abs(np.sin(angle)) ** (2 / max(power * 0.6, 2.2))
        rings.append(_horizontal(outline * np.cos(angle) ** (2 / power), height * (y[1] - y[0]) / 2))
    return loft(np.stack(rings)).move(sum(x) / 2, sum(y) / 2, sum(z) / 2)


def bar(start: Point, end: Point, width: Number, depth: Number | None = None, *, taper: Number = 1.0) -> Solid:
    """A straight bar; its section is width (x) by depth (z) of an upright one, at the end `taper` times as large.

    Without a depth the bar is round. An upright or leaning bar ends in horizontal faces.
    """
    outline = ellipse(width, width, corners=10) if depth is None else rectangle(width, depth)
    return _along(start, end, [(0.0, 1.0), (1.0, taper)], outline)


def spindle(start: Point, end: Point, profile: Sequence[tuple[Number, Number]], *, sides: int = 12) -> Solid:
    """A bar from the lathe: `profile` holds pairs of a fraction of its length and the diameter there in metres."""
    return _along(start, end, profile, ellipse(1.0, 1.0, corners=sides))


def tube(path: Path | Sequence[Point], diameter: Number, *, sides: int = 8, closed: bool = False) -> Solid:
    """A bent round bar along a path."""
    return sweep(np.asarray(path, float), ellipse(diameter, diameter, corners=sides), closed=closed)


def sweep(path: Path, outline: Outline, *, up: Point = (0, 1, 0), closed: bool = False) -> Solid:
    """A section along a path: the outline's second axis starts along `up` and turns with the path."""
    ahead, behind = (np.roll(path, shift, axis=0) for shift in (-1, 1))
    if not closed:
        ahead[-1], behind[0] = path[-1], path[0]
    tangents = ahead - behind
    tangents /= np.linalg.norm(tangents, axis=1)[:, None]
    upward = np.asarray(up, float)
    if abs(upward @ tangents[0]) > 0.95:
        upward = np.array([0.0, 0, 1]) if abs(tangents[0, 2]) < 0.9 else np.array([1.0, 0, 0])
    rings = []
    for point, tangent in zip(path, tangents, strict=True):
        upward = upward - (upward @ tangent) * tangent
        upward = upward / np.linalg.norm(upward)
        rings.append(point + outline @ np.stack([np.cross(upward, tangent), upward]))
    return loft(np.stack(rings), closed=closed)


def shell(front: Float[np.ndarray, "rows columns 3"], thickness: Number) -> Solid:
    """A curved sheet of even thickness behind these points."""
    along, across = np.gradient(front, axis=0), np.gradient(front, axis=1)
    normals = np.cross(along, across)
    normals /= np.linalg.norm(normals, axis=2)[..., None]
    back = front + normals * thickness
    return loft(np.concatenate([front, back[:, ::-1]], axis=1))


def lathe(profile: Sequence[tuple[Number, Number]], *, sides: int = 28) -> Solid:
    """A solid turned about the upright axis; `profile` holds radii and heights, from end to end."""
    circle = ellipse(2.0, 2.0, corners=sides)
    return loft(np.stack([_horizontal(circle * max(radius, 1e-3), height) for radius, height in profile]))


def shade(profile: Sequence[tuple[Number, Number]], thickness: Number, *, sides: int = 28) -> Solid:
    """A hollow shade, open at both ends, whose outer wall has these radii and heights."""
    outer = np.asarray(profile, float)
    inner = np.maximum(outer - [thickness, 0], [1e-3, -np.inf])[::-1]
    section = np.concatenate([outer, inner])
    angles = np.arange(sides) * 2 * np.pi / sides
    around = np.stack([np.cos(angles), np.zeros(sides), np.sin(angles)], 1)
    rings = section[None, :, :1] * around[:, None] + section[None, :, 1:] * [0.0, 1, 0]
    return loft(rings, closed=True)


# --------------------------------------------------------------------------------------------------------------- paths


def bend(points: Iterable[Point], radius: Number, *, closed: bool = False) -> Path:
    """The polyline through these points with its corners rounded."""
    corners = np.asarray(list(points), float)
    bent = []
    for index, corner in enumerate(corners):
        if not closed and index in (0, len(corners) - 1):
            bent.append(corner[None])
            continue
        before, after = corners[index - 1] - corner, corners[(index + 1) % len(corners)] - corner
        lengths = np.linalg.norm(before), np.linalg.norm(after)
        cut = min(radius, 0.45 * min(lengths))
        first, last = corner + before / lengths[0] * cut, corner + after / lengths[1] * cut
        share = np.linspace(0, 1, 5)[:, None]
        bent.append((1 - share) ** 2 * first + 2 * share * (1 - share) * corner + share**2 * last)
    return np.concatenate(bent)


def curve(points: Iterable[Point], count: int = 12) -> Path:
    """`count` points on a smooth curve through these points (Catmull and Rom's spline)."""
    knots = np.asarray(list(points), float)
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    where = np.linspace(0, len(knots) - 1, count)
    index = np.minimum(where.astype(int), len(knots) - 2)
    t = (where - index)[:, None]
    a, b, c, d = (padded[index + shift] for shift in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def _horizontal(outline: Outline, height: Number) -> Float[np.ndarray, "corners 3"]:
    return np.stack([outline[:, 0], np.full(len(outline), height), outline[:, 1]], 1)


def _along(start: Point, end: Point, profile: Sequence[tuple[Number, Number]], outline: Outline) -> Solid:
    first, last = np.asarray(start, float), np.asarray(end, float)
    axis = (last - first) / np.linalg.norm(last - first)
    if abs(axis[1]) > 0.6:
        across, along = np.array([1.0, 0, 0]), np.array([0.0, 0, 1])
    elif abs(axis[0]) > abs(axis[2]):
        across, along = np.array([0.0, 1, 0]), np.array([0.0, 0, 1])
    else:
        across, along = np.array([1.0, 0, 0]), np.array([0.0, 1, 0])
    rings = [
        first + share * (last - first) + scale * (outline[:, :1] * across + outline[:, 1:] * along)
        for share, scale in profile
    ]
    return loft(np.stack(rings))
