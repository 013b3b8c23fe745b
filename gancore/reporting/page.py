"""Reports as one self-contained HTML file: no network, no fonts, and no scripts unless objects are to be turned."""

import math
import zlib
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from markupsafe import Markup
from PIL import Image
from torch import Tensor

from gancore.reporting.charts import typeset_minus
from gancore.reporting.document import render_template, write_document

VIEWER_SCRIPTS = ("three.min.js", "viewer.js")
"""Scripts of a page whose objects can be turned."""
MISSING_TEXT = "\N{EN DASH}"
SUPERSCRIPT_DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Cell = float | int | str | None
BestDirection = Literal["", "lowest", "highest"]


@runtime_checkable
class Section(Protocol):
    """A titled part of a page."""

    @property
    def title(self) -> str:
        """Its heading."""

    def to_html(self) -> Markup:
        """Renders what stands below the heading."""


@dataclass(frozen=True)
class Table:
    """Numbers by row and column; None and NaN show as a dash.

    Raises ValueError if a row has more or fewer cells than there are columns.
    """

    title: str
    columns: Sequence[str]
    rows: Mapping[str, Sequence[Cell]]
    _: KW_ONLY
    digits: int | Mapping[str, int] = 3
    """Decimal places of floats, for all columns or by the column's name (3 for a column that is not named)."""
    note: str = ""
    """Small print below."""
    best: BestDirection | Mapping[str, BestDirection] = ""
    """Which number of each column is marked as the best, for all columns or by the column's name."""
    best_within: Literal["column", "row"] = "column"
    """Whether numbers compete within their column, or within their row; `best` then goes by the names of rows."""
    unranked: Collection[str] = ()
    """Rows and columns that are never marked as the best, such as the best of several samples, whose choice has seen
    the ground truth."""

    def __post_init__(self) -> None:
        for name, row in self.rows.items():
            if len(row) != len(self.columns):
                raise ValueError(
                    f"{len(row)} cells in row {name!r} of the table {self.title!r} with {len(self.columns)} columns"
                )

    def to_html(self) -> Markup:
        """The table and its note."""
        best = self._find_best_cells()
        digits = [self.digits if isinstance(self.digits, int) else self.digits.get(name, 3) for name in self.columns]
        rows = []
        for name, row in self.rows.items():
            texts = [format_number(cell, digits=places) for cell, places in zip(row, digits, strict=True)]
            kinds = [
                "best" if (name, column) in best else "none" if text == MISSING_TEXT else ""
                for column, text in enumerate(texts)
            ]
            rows.append((name, list(zip(texts, kinds, strict=True))))
        return render_template("table.html.j2", table=self, rows=rows)

    def _find_best_cells(self) -> set[tuple[str, int]]:
        """(Row, number of the column) of every best number; none where all competitors are equal."""
        if self.best_within == "row":
            groups = [(name, [(name, column) for column in range(len(self.columns))]) for name in self.rows]
        else:
            groups = [(title, [(name, column) for name in self.rows]) for column, title in enumerate(self.columns)]
        best: set[tuple[str, int]] = set()
        for group, places in groups:
            numbers = {}
            for name, column in places:
                cell = self.rows[name][column]
                ranked = name not in self.unranked and self.columns[column] not in self.unranked
                if ranked and isinstance(cell, float | int) and math.isfinite(cell):
                    numbers[name, column] = cell
            direction = self.best if isinstance(self.best, str) else self.best.get(group, "")
            if direction and len(set(numbers.values())) > 1:
                target = (min if direction == "lowest" else max)(numbers.values())
                best |= {place for place, number in numbers.items() if number == target}
        return best


def format_number(cell: Cell, *, digits: int = 3) -> str:
    """Formats a cell with `digits` decimal places, or as a power of ten where all of these would be zero."""
    match cell:
        case None:
            return MISSING_TEXT
        case str() | int():
            return typeset_minus(str(cell)) if isinstance(cell, int) else cell
        case _ if math.isnan(cell):
            return MISSING_TEXT
        case _ if math.isinf(cell):
            return "\N{INFINITY}" if cell > 0 else "\N{MINUS SIGN}\N{INFINITY}"
        case _ if cell and abs(cell) < 0.5 * 10**-digits:
            mantissa, _, power = f"{cell:.{max(digits - 1, 0)}e}".partition("e")
            return f"{typeset_minus(mantissa)}\N{MULTIPLICATION SIGN}10{str(int(power)).translate(SUPERSCRIPT_DIGITS)}"
    return typeset_minus(f"{cell:.{digits}f}")


@dataclass(frozen=True)
class Media:
    """A picture or animation as a data URI, and its caption."""

    caption: str
    data_uri: str

    def to_html(self) -> Markup:
        """The picture or animation alone; the caption is its alternative text."""
        width, height = self.size
        return Markup('<img src="{}" width="{}" height="{}" alt="{}">').format(
            self.data_uri, width, height, self.caption
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        with Image.open(BytesIO(b64decode(self.data_uri.partition(",")[2]))) as opened:
            return opened.size


@dataclass(frozen=True)
class Gallery:
    """Pictures and animations side by side, every pixel a sharp square."""

    title: str
    items: Sequence[Media]
    note: str = ""
    """Small print below."""

    def to_html(self) -> Markup:
        """The pictures with their captions, and the note."""
        shape = max((width / height for width, height in (item.size for item in self.items)), default=1.0)
        return render_template("gallery.html.j2", gallery=self, shape=f"{shape:.4g}")


@dataclass(frozen=True)
class Mesh3D:
    """A surface of triangles that a reader can turn by hand; y is up, at any scale."""

    caption: str
    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    """Indices of each triangle's vertices, counter-clockwise seen from outside."""
    colours: UInt8[np.ndarray, "vertices 3"] | None = None
    """RGB of each vertex; a light grey if None."""
    still: Media | None = None
    """A picture of the object for paper, and for browsers without WebGL or scripts."""

    def encode(self) -> str:
        """Positions (float32), triangles (uint32) and colours (uint8), deflated, in base64, as viewer.js reads them."""
        colours = np.full((len(self.vertices), 3), 200, np.uint8) if self.colours is None else self.colours
        raw = b"".join(
            np.ascontiguousarray(array, kind).tobytes()
            for array, kind in ((self.vertices, "<f4"), (self.faces, "<u4"), (colours, "u1"))
        )
        return b64encode(zlib.compress(raw, 9)).decode()


@dataclass(frozen=True)
class ObjectGallery:
    """Objects side by side that can be turned by hand. A page that has one carries three.js, 0.6 MB."""

    title: str
    meshes: Sequence[Mesh3D]
    note: str = ""
    """Small print below."""

    def to_html(self) -> Markup:
        """The objects with their captions, and the note."""
        return render_template("objects.html.j2", gallery=self)


@dataclass(frozen=True)
class Text:
    """Paragraphs."""

    title: str
    paragraphs: Sequence[str]

    def to_html(self) -> Markup:
        """The paragraphs."""
        return render_template("text.html.j2", text=self)


@dataclass(frozen=True)
class Definitions:
    """Names and their values; a mapping as a value is shown as a list of its own."""

    title: str
    entries: Mapping[str, Any]
    note: str = ""
    """Small print below."""

    def to_html(self) -> Markup:
        """The list and the note."""
        return render_template("definitions.html.j2", definitions=self, missing=MISSING_TEXT)


def describe_difference(
    metric: str,
    *,
    method: str,
    value: float,
    baseline: str,
    baseline_value: float,
    best: Literal["lowest", "highest"],
    digits: int = 3,
) -> str:
    """A sentence for a verdict: whether the method beats the baseline in this metric, and by how much.

    For example "PSNR: model 28.10 is better than copy last frame 26.70, by 1.40 (5 %)."
    """
    gap = value - baseline_value
    ours, theirs = format_number(value, digits=digits), format_number(baseline_value, digits=digits)
    if not math.isfinite(gap) or not gap:
        return f"{metric}: {method} {ours} {'equals' if not gap else 'cannot be compared with'} {baseline} {theirs}."
    word = "better" if (gap < 0) == (best == "lowest") else "worse"
    by = format_number(abs(gap), digits=digits)
    if baseline_value:
        by += f" ({100 * abs(gap / baseline_value):.0f} %)"
    return f"{metric}: {method} {ours} is {word} than {baseline} {theirs}, by {by}."


def encode_png_uri(image: UInt8[Tensor, "3 height width"]) -> str:
    """Encodes a picture as the data URI of a PNG."""
    return _encode_data_uri("png", [_to_pillow(image)])


def encode_webp_uri(clip: UInt8[Tensor, "time 3 height width"], *, rate: float | int | Fraction) -> str:
    """Encodes a clip as the data URI of a lossless WebP that repeats for ever at `rate` frames per second."""
    ends = [round(1000 * count / rate) for count in range(len(clip) + 1)]
    milliseconds = [end - start for start, end in pairwise(ends)]
    return _encode_data_uri(
        "webp", [_to_pillow(frame) for frame in clip], lossless=True, exact=True, duration=milliseconds, loop=0
    )


def _to_pillow(image: Tensor) -> Image.Image:
    return Image.fromarray(rearrange(image.cpu(), "channel height width -> height width channel").contiguous().numpy())


def _encode_data_uri(kind: str, frames: Sequence[Image.Image], **settings: Any) -> str:
    data = BytesIO()
    frames[0].save(data, format=kind, save_all=len(frames) > 1, append_images=frames[1:], **settings)
    return f"data:image/{kind};base64,{b64encode(data.getvalue()).decode()}"


def write_page(
    path: str | Path, *, title: str, subtitle: str, sections: Iterable[Section], verdict: Sequence[str] = ()
) -> None:
    """Writes the page, whole or not at all; missing folders are created.

    The verdict, if there is one, is a few sentences that stand above everything else.
    """
    parts = list(sections)
    turnable = any(isinstance(part, ObjectGallery) for part in parts)
    write_document(
        path,
        "page.html.j2",
        title=title,
        scripts=VIEWER_SCRIPTS if turnable else (),
        subtitle=subtitle,
        verdict=verdict,
        sections=parts,
    )
