"""Contact sheets: the frames of several clips in one picture, a row for each clip."""

import math
from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import pad

BACKGROUND = 255
"""Brightness of the paper between and around the frames."""


def make_contact_sheet(
    rows: Sequence[UInt8[Tensor, "_time _channel _height _width"]] | UInt8[Tensor, "rows time channel height width"],
    *,
    labels: Sequence[str] | None = None,
    gap: int = 2,
) -> UInt8[Tensor, "3 sheet_height sheet_width"]:
    """Draws a contact sheet: a row of frames for each clip, time from left to right, its label on the left.

    Clips may differ in length. Of one or two channels the first is shown as grey, of more than three the first three as
    RGB. `gap` is in pixels. Raises ValueError if there are no clips, frames differ in size, or there are more or fewer
    labels than clips.
    """
    clips = [_to_rgb(clip) for clip in rows]
    if not clips:
        raise ValueError("a sheet needs at least one row")
    if len(sizes := {clip.shape[2:] for clip in clips}) > 1:
        raise ValueError(f"frames of one sheet differ in size: {', '.join(f'{w}x{h}' for h, w in sorted(sizes))}")
    if labels is not None and len(labels) != len(clips):
        raise ValueError(f"{len(labels)} labels for {len(clips)} rows")
    longest = max(len(clip) for clip in clips)
    strips = []
    for clip in clips:  # a gap after and below each frame; empty paper where a shorter clip has ended
        frames = pad(clip, (0, gap, 0, gap, 0, 0, 0, longest - len(clip)), value=BACKGROUND)
        strips.append(rearrange(frames, "time channel height width -> channel height (time width)"))
    if labels is not None:
        strips = _add_labels(strips, labels, gap=gap)
    return pad(torch.cat(strips, 1), (gap, 0, gap, 0), value=BACKGROUND)


def _to_rgb(clip: UInt8[Tensor, "time channel height width"]) -> UInt8[Tensor, "time 3 height width"]:
    return clip[:, :3].cpu() if clip.shape[1] >= 3 else clip[:, :1].cpu().expand(-1, 3, -1, -1)


def _add_labels(strips: Sequence[Tensor], labels: Sequence[str], *, gap: int) -> list[Tensor]:
    """The strips with their labels on the left, padded below where a line of text is higher than a frame."""
    font = ImageFont.load_default()
    boxes = [ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), label, font=font) for label in labels]
    width, height = (math.ceil(max(box[side] for box in boxes)) + gap for side in (2, 3))
    height = max(height, strips[0].shape[1])
    labelled = []
    for label, strip in zip(labels, strips, strict=True):
        image = Image.new("RGB", (width, height), (BACKGROUND, BACKGROUND, BACKGROUND))
        ImageDraw.Draw(image).text((0, 0), label, fill=(0, 0, 0), font=font)
        text = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(height, width, 3).permute(2, 0, 1)
        labelled.append(torch.cat([text, pad(strip, (0, 0, 0, height - strip.shape[1]), value=BACKGROUND)], 2))
    return labelled
