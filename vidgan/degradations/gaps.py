"""Missing content: black frames, frozen frames, and holes that move over the picture."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Int
from PIL import Image, ImageDraw

from vidgan.degradations.degraded import DegradedClip
from vidgan.degradations.severity import interpolate, walk_severity
from vidgan.frames import Frames

LOST_FRAMES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
"""Share of the frames that are lost, in bursts."""
BURST = 4
"""Most frames that are lost at a time."""
LOST_PIXELS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
"""Share of a frame that holes cover; the bounds of the classes in which inpainting is published (Zeng et al. 2022)."""
HOLE_GREY = 128
BOX_SHARE = 0.3
"""Share of the holes that are boxes instead of strokes."""
STROKE_TURN, STROKE_TURN_SPREAD = 2 * math.pi / 5, 2 * math.pi / 15
"""Angle of a stroke's turns and its spread (Yu et al. 2019)."""
HOLE_SPEED = 3 / 240
"""Highest speed of a hole along each axis, in shorter sides a frame."""


def drop_frames(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Frames that are black and known to be lost, in bursts of 1 to 4; one frame at least is left."""
    lost = draw_bursts(random, len(frames), float(interpolate(LOST_FRAMES, np.array([severity]))[0]), first=0)
    if lost.all():
        lost[random.integers(len(lost))] = False
    result, known = frames.clone(), torch.ones(len(frames), 1, *frames.shape[2:], dtype=torch.bool)
    result[torch.from_numpy(lost)] = 0
    known[torch.from_numpy(lost)] = False
    return DegradedClip(result, known)


def freeze_frames(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Frames that repeat the one before, in bursts of 1 to 4; nothing says which."""
    lost = draw_bursts(random, len(frames), float(interpolate(LOST_FRAMES, np.array([severity]))[0]), first=1)
    shown = np.maximum.accumulate(np.where(lost, 0, np.arange(len(frames))))
    return DegradedClip(frames[torch.from_numpy(shown)])


def draw_bursts(random: np.random.Generator, frames: int, share: float, *, first: int) -> Bool[np.ndarray, " time"]:
    """Chooses about this share of the frames from number `first` on, in bursts of 1 to 4.

    The number of frames is rounded up or down by chance, so that its mean is right for clips of any length.
    """
    wanted = min(math.floor(share * frames + random.random()), frames - first)
    chosen = np.zeros(frames, bool)
    while (missing := wanted - int(chosen.sum())) > 0:
        length = min(int(random.integers(1, BURST + 1)), missing)
        start = int(random.integers(first, frames - length + 1))
        chosen[start : start + length] = True
    return chosen


def cut_holes(frames: Frames, random: np.random.Generator, severity: float) -> DegradedClip:
    """Free-form strokes and boxes that move across the frame and back, grey and known to be lost."""
    height, width = frames.shape[2:]
    share = float(interpolate(LOST_PIXELS, walk_severity(random, severity, 1))[0])
    known = torch.from_numpy(~draw_holes(random, len(frames), height, width, share=share))[:, None]
    return DegradedClip(torch.where(known, frames, HOLE_GREY), known)


def draw_holes(
    random: np.random.Generator, frames: int, height: int, width: int, *, share: float
) -> Bool[np.ndarray, "time height width"]:
    """True in holes that cover about `share` of the first frame, and move from there."""
    holes: list[tuple[Int[np.ndarray, "corner 2"], int]] = []
    first = Image.new("1", (width, height))
    while np.asarray(first).mean() < share and len(holes) < 1000:
        hole = draw_box(random, height, width) if random.random() < BOX_SHARE else draw_stroke(random, height, width)
        _fill(ImageDraw.Draw(first), *hole)
        holes.append(hole)
    span = HOLE_SPEED * min(height, width)
    speeds = random.uniform(-span, span, (len(holes), 2))
    masks = np.zeros((frames, height, width), bool)
    for t in range(frames):
        image = Image.new("1", (width, height))
        for (corners, thickness), speed in zip(holes, speeds, strict=True):
            _fill(ImageDraw.Draw(image), corners + np.rint(_swing(speed * t, height, width)).astype(int), thickness)
        masks[t] = np.asarray(image)
    return masks


def draw_box(random: np.random.Generator, height: int, width: int) -> tuple[Int[np.ndarray, "2 2"], int]:
    """Two opposite corners (x, y) of a box of 1/8 to 1/3 of the frame a side, anywhere inside; and thickness 0."""
    size = np.maximum(1, random.uniform(1 / 8, 1 / 3, 2) * (width, height)).astype(int)
    corner = (random.random(2) * (np.array((width, height)) - size + 1)).astype(int)
    return np.stack([corner, corner + size - 1]), 0


def draw_stroke(random: np.random.Generator, height: int, width: int) -> tuple[Int[np.ndarray, "corner 2"], int]:
    """The corners (x, y) of a free-form stroke, which turns left and right by turns, and its thickness.

    4 to 11 corners, thickness 12 to 40 of 256 pixels, lengths normal around an eighth of the diagonal (Yu et al. 2019).
    """
    corners = [random.random(2) * (width, height)]
    turn = random.normal(STROKE_TURN, STROKE_TURN_SPREAD)
    direction, reach = random.uniform(0, 2 * math.pi), math.hypot(height, width) / 8
    for number in range(int(random.integers(3, 11))):
        direction += math.pi - turn if number % 2 else turn - math.pi
        length = np.clip(random.normal(reach, reach / 2), 0, 2 * reach)
        ahead = corners[-1] + length * np.array((math.cos(direction), math.sin(direction)))
        corners.append(np.clip(ahead, 0, (width - 1, height - 1)))
    thickness = round(random.uniform(12, 40) / 256 * min(height, width))
    return np.rint(np.stack(corners)).astype(int), max(1, thickness)


def _swing(distance: np.ndarray, height: int, width: int) -> np.ndarray:
    """A distance (x, y) after turning back at a third of the frame on each side."""
    reach = np.array((width, height)) / 3
    return np.abs((distance - reach) % (4 * reach) - 2 * reach) - reach


def _fill(draw: ImageDraw.ImageDraw, corners: Int[np.ndarray, "corner 2"], thickness: int) -> None:
    points = [(int(x), int(y)) for x, y in corners]
    if not thickness:
        draw.rectangle((points[0], points[1]), fill=1)
        return
    draw.line(points, fill=1, width=thickness, joint="curve")
    for x, y in (points[0], points[-1]):
        draw.ellipse((x - thickness // 2, y - thickness // 2, x + thickness // 2, y + thickness // 2), fill=1)
