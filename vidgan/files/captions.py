"""Clips to look at: each says what it is, which frames are past and future, and which of them were generated."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gancore.reporting.contact_sheet import make_contact_sheet
from vidgan.files.grid import tile_clips
from vidgan.files.video import write_clip
from vidgan.frames import Frames

LABELLED_SUFFIXES = (".mp4", ".gif", ".png")
"""Files that people look at; arrays and folders of frames never carry labels."""
BORDER = 2
"""Width in pixels of the border around every frame."""
REAL_COLOUR, GENERATED_COLOUR = (150, 150, 150), (226, 117, 25)
"""Colours of the border: grey around frames of a video, orange around generated ones."""
TEXT_COLOUR = (0, 0, 0)
SHEET_GAP = 2
"""Pixels between the frames of a sheet."""
LINE_HEIGHT = 13
"""Height in pixels of a line of text."""
MAX_LABEL = 60
"""Characters of a label; a longer one is cut."""
LEGEND = "grey border: real frames; orange border: generated or predicted"
"""The last line of a sheet, unless all its frames were generated."""

RGBImage = UInt8[Tensor, "3 _height _width"]
RGBClip = UInt8[Tensor, "time 3 _height _width"]


@dataclass(frozen=True)
class LabelledClip:
    """A clip and what it is, such as "ground truth" or "sample 1"."""

    label: str
    frames: UInt8[Tensor, "time channel height width"]
    generated_from: int = 0
    """Number of the first generated or predicted frame, counted from 0; the number of frames if all are real."""

    @property
    def caption(self) -> str:
        """The label in one line of at most MAX_LABEL characters; what is no character becomes a question mark."""
        text = " ".join(self.label.encode(errors="replace").decode().split())
        return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 3]}..."


def write_labelled(
    path: Path,
    clips: Sequence[LabelledClip],
    *,
    rate: Fraction | float | int,
    context_frames: int = 0,
    columns: int | None = None,
) -> None:
    """Writes a sheet as .png, or a film of `columns` clips side by side as .mp4 or .gif; all in one row by default.

    Raises ValueError as write_clip does.
    """
    if path.suffix.lower() == ".png":
        write_clip(path, make_sheet(clips, context_frames=context_frames)[None], rate=rate)
    else:
        write_clip(path, make_film(clips, context_frames=context_frames, columns=columns), rate=rate)


def make_sheet(clips: Sequence[LabelledClip], *, context_frames: int = 0) -> RGBImage:
    """Draws a row of frames for each clip, below frame numbers and with a line where the past ends.

    Clips of one frame size. With no context frames there is no past and no line.
    """
    rows = [add_border(clip.frames, generated_from=clip.generated_from) for clip in clips]
    sheet = make_contact_sheet(rows, labels=[clip.caption for clip in clips], gap=SHEET_GAP)
    columns, pitch = max(len(row) for row in rows), rows[0].shape[3] + SHEET_GAP
    left = sheet.shape[2] - columns * pitch
    if context_frames:
        line = left + context_frames * pitch - SHEET_GAP
        sheet[:, :, line : line + SHEET_GAP] = 0
    numbers = [str(number + 1) for number in range(columns)]
    every = ceil(max(map(text_width, numbers)) / pitch)  # numbers that overlap are left out
    header = [(left + column * pitch, text, TEXT_COLOUR) for column, text in enumerate(numbers) if column % every == 0]
    words = [(left, "past"), (left + context_frames * pitch, "future")] if context_frames else [(left, "frame")]
    legend = LEGEND if any(clip.generated_from for clip in clips) else ""
    width = max(sheet.shape[2], text_width(legend), *(start + text_width(word) for start, word in words))
    lines = [
        draw_line([(start, word, TEXT_COLOUR) for start, word in words], width),
        draw_line(header, width),
        F.pad(sheet, (0, width - sheet.shape[2], 0, 0), value=255),
    ]
    return torch.cat([*lines, draw_line([(0, legend, TEXT_COLOUR)], width)] if legend else lines, 1)


def make_film(
    clips: Sequence[LabelledClip], *, context_frames: int = 0, columns: int | None = None, first_frame: int = 0
) -> RGBClip:
    """Plays the clips side by side, or in a grid of `columns`, each below its label and the number of the frame.

    Clips of one frame size and length; of a part of a film `first_frame` is the number of its first frame, from 0.
    """
    captioned = [add_caption(clip, context_frames=context_frames, first_frame=first_frame) for clip in clips]
    width = max(clip.shape[3] for clip in captioned)
    padded = [F.pad(clip, (0, width - clip.shape[3], 0, 0), value=255) for clip in captioned]
    return tile_clips(torch.stack(padded), columns=columns or len(clips))


def add_caption(clip: LabelledClip, *, context_frames: int = 0, first_frame: int = 0) -> RGBClip:
    """The bordered clip with two lines of text above it: its label, and past or future and the number of the frame."""
    frames = add_border(clip.frames, generated_from=clip.generated_from)
    captions = [f"frame {first_frame + number + 1}" for number in range(len(frames))]
    if context_frames:
        captions = [f"{'past' if n < context_frames else 'future'}, {text}" for n, text in enumerate(captions)]
    width = max(frames.shape[3], *(text_width(text) for text in (clip.caption, *captions)))
    label = draw_line([(0, clip.caption, TEXT_COLOUR)], width)
    colours = [TEXT_COLOUR if number < clip.generated_from else GENERATED_COLOUR for number in range(len(frames))]
    lines = [
        torch.cat([label, draw_line([(0, text, colour)], width)], 1)
        for text, colour in zip(captions, colours, strict=True)
    ]
    return torch.cat([torch.stack(lines), F.pad(frames, (0, width - frames.shape[3], 0, 0), value=255)], 2)


def add_border(frames: Frames, *, generated_from: int) -> RGBClip:
    """The frames in RGB inside a border, grey up to frame number `generated_from` and orange from it on.

    One or two channels show the first as grey, more than three the first three.
    """
    inside = frames[:, :3] if frames.shape[1] >= 3 else frames[:, :1].expand(-1, 3, -1, -1)
    colours = [REAL_COLOUR] * generated_from + [GENERATED_COLOUR] * (len(frames) - generated_from)
    canvas = torch.tensor(colours, dtype=torch.uint8)[:, :, None, None].repeat(
        1, 1, frames.shape[2] + 2 * BORDER, frames.shape[3] + 2 * BORDER
    )
    canvas[..., BORDER:-BORDER, BORDER:-BORDER] = inside.cpu()
    return canvas


def draw_line(texts: Sequence[tuple[int, str, tuple[int, int, int]]], width: int) -> RGBImage:
    """A line on white of texts, each given as (left edge in pixels, text, colour)."""
    image = Image.new("RGB", (width, LINE_HEIGHT), (255, 255, 255))
    for left, text, colour in texts:
        ImageDraw.Draw(image).text((left, 0), text, fill=colour, font=ImageFont.load_default())
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(LINE_HEIGHT, width, 3).movedim(2, 0)


def text_width(text: str) -> int:
    """Width of a text in pixels, with a space after it."""
    return ceil(ImageDraw.Draw(Image.new("L", (1, 1))).textlength(f"{text} ", font=ImageFont.load_default()))
