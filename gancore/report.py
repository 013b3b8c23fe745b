"""What a run says of itself: numbers by step, and sheets of frames."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import pad

from gancore.atomic import atomic_write

BACKGROUND_VALUE = 255


@runtime_checkable
class Tracker(Protocol):
    """Where numbers go as a run proceeds."""

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        """Keeps these numbers of this step."""

    def truncate_after(self, step: int) -> None:
        """Forgets the steps after this one, as a run does that resumes from there."""

    def close(self) -> None:
        """Lets nothing that was logged be lost."""


class JsonLinesTracker:
    """A tracker that appends one JSON object a line; numbers that are not finite are null, as JSON has none.

    Words are kept too.
    """

    def __init__(self, path: Path):
        self.path = path

    def log(self, step: int, values: Mapping[str, float | int | str]) -> None:
        assert "step" not in values
        kept = {name: value for name, value in values.items() if isinstance(value, str) or math.isfinite(value)}
        record = {"step": step, **dict.fromkeys(values), **kept}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    def truncate_after(self, step: int) -> None:
        """Drops the lines of later steps, and any line that a kill left half-written."""
        if self.path.exists():
            *lines, _half = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
            with atomic_write(self.path) as partial:
                partial.write_text(
                    "".join(f"{line}\n" for line in lines if _is_line_until(step, line)), encoding="utf-8"
                )

    def close(self) -> None:
        """Every line is already in the file."""


def _is_line_until(step: int, line: str) -> bool:
    try:
        return json.loads(line)["step"] <= step
    except (ValueError, KeyError, TypeError):
        return False


class TensorBoardTracker:
    """A tracker that writes TensorBoard events. Raises ValueError if TensorBoard is not installed."""

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ValueError("TensorBoard is not installed: pip install 'vidvox[tensorboard]'") from error
        self.folder, self._writer_class = folder, SummaryWriter
        self.writer = SummaryWriter(str(folder))

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def truncate_after(self, step: int) -> None:
        """Tells TensorBoard to hide later steps of the event files that are there."""
        self.writer.close()
        self.writer = self._writer_class(str(self.folder), purge_step=step + 1)

    def close(self) -> None:
        self.writer.close()


class TrackerGroup:
    """Several trackers as one."""

    def __init__(self, trackers: Sequence[Tracker]):
        self.trackers = trackers

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        for tracker in self.trackers:
            tracker.log(step, values)

    def truncate_after(self, step: int) -> None:
        for tracker in self.trackers:
            tracker.truncate_after(step)

    def close(self) -> None:
        for tracker in self.trackers:
            tracker.close()


def make_contact_sheet(
    rows: Sequence[UInt8[Tensor, "_time _channel _height _width"]] | UInt8[Tensor, "rows time channel height width"],
    *,
    labels: Sequence[str] | None = None,
    gap: int = 2,
) -> UInt8[Tensor, "3 sheet_height sheet_width"]:
    """A contact sheet: a row of frames for each clip, time to the right, its label to the left.

    One or two channels show the first as grey, more than three the first three. Raises ValueError if there is nothing
    to show, frames differ in size or labels in number.
    """
    clips = [_to_rgb(clip) for clip in rows]
    if not clips:
        raise ValueError("a sheet needs at least one row")
    if len(sizes := {clip.shape[2:] for clip in clips}) > 1:
        raise ValueError(f"frames of one sheet differ in size: {', '.join(f'{w}x{h}' for h, w in sorted(sizes))}")
    if labels is not None and len(labels) != len(clips):
        raise ValueError(f"{len(labels)} labels for {len(clips)} rows")
    longest = max(len(clip) for clip in clips)
    strips = [_join_frames(clip, longest=longest, gap=gap) for clip in clips]
    if labels is not None:
        strips = _add_captions(strips, labels, gap=gap)
    return pad(torch.cat(strips, 1), (gap, 0, gap, 0), value=BACKGROUND_VALUE)


def _to_rgb(clip: UInt8[Tensor, "time channel height width"]) -> UInt8[Tensor, "time 3 height width"]:
    return clip[:, :3].cpu() if clip.shape[1] >= 3 else clip[:, :1].cpu().expand(-1, 3, -1, -1)


def _join_frames(
    clip: UInt8[Tensor, "time 3 height width"], *, longest: int, gap: int
) -> UInt8[Tensor, "3 _high _wide"]:
    """The frames side by side with a gap after and below each, empty paper where a shorter clip has ended."""
    frames = pad(clip, (0, gap, 0, gap, 0, 0, 0, longest - len(clip)), value=BACKGROUND_VALUE)
    return rearrange(frames, "time channel height width -> channel height (time width)")


def _add_captions(strips: Sequence[Tensor], labels: Sequence[str], *, gap: int) -> list[Tensor]:
    """The strips with their labels before them, made high enough to hold a line."""
    boxes = [ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), label, font=_load_font()) for label in labels]
    wide, high = (math.ceil(max(box[side] for box in boxes)) + gap for side in (2, 3))
    high = max(high, strips[0].shape[1])
    return [
        torch.cat(
            [_render_text(label, wide, high), pad(strip, (0, 0, 0, high - strip.shape[1]), value=BACKGROUND_VALUE)], 2
        )
        for label, strip in zip(labels, strips, strict=True)
    ]


def _render_text(label: str, wide: int, high: int) -> UInt8[Tensor, "3 high wide"]:
    image = Image.new("RGB", (wide, high), (BACKGROUND_VALUE, BACKGROUND_VALUE, BACKGROUND_VALUE))
    ImageDraw.Draw(image).text((0, 0), label, fill=(0, 0, 0), font=_load_font())
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(high, wide, 3).permute(2, 0, 1)


def _load_font() -> Any:
    return ImageFont.load_default()


def save_png(image: UInt8[Tensor, "3 height width"], path: Path) -> None:
    """Writes the picture; an older file stays whole until the new one is."""
    pixels = image.cpu().permute(1, 2, 0).contiguous().numpy()
    with atomic_write(path) as partial:
        Image.fromarray(pixels).save(partial, format="PNG")
