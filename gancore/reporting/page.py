"""Reports as one HTML file that needs nothing beside itself: no network, no scripts, no fonts."""

import math
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from html import escape
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from gancore.atomic import atomic_write
from gancore.reporting.charts import OptionalNumbers, render_chart, typeset_minus
from gancore.reporting.page_style import PAGE_STYLE

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

    def to_html(self) -> str:
        """What stands below the heading."""


@dataclass(frozen=True)
class Table:
    """Numbers by row and column; None, and what is no number, shows as a dash."""

    title: str
    columns: Sequence[str]
    rows: Mapping[str, Sequence[Cell]]
    _: KW_ONLY
    digits: int | Mapping[str, int] = 3
    """Of a number that is no integer, after its point; may be by the column's name, 3 where it is not named."""
    note: str = ""
    """Small print below."""
    best: BestDirection | Mapping[str, BestDirection] = ""
    """Which number of each column is marked; or, by the column's name, of those that are named."""
    best_within: Literal["column", "row"] = "column"
    """Whether numbers compete within their column or within their row, and `best` names rows."""

    def __post_init__(self) -> None:
        for name, row in self.rows.items():
            if len(row) != len(self.columns):
                raise ValueError(
                    f"{len(row)} cells in row {name!r} of the table {self.title!r} with {len(self.columns)} columns"
                )

    def to_html(self) -> str:
        head = "".join(f'<th scope="col">{escape(column)}</th>' for column in self.columns)
        marked = self._find_best_cells()
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            + "".join(
                _render_cell(cell, self._digits_of(place), best=(name, place) in marked)
                for place, cell in enumerate(row)
            )
            + "</tr>"
            for name, row in self.rows.items()
        )
        table = f'<table><thead><tr><th scope="col"></th>{head}</tr></thead><tbody>{body}</tbody></table>'
        return f'<div class="wide" tabindex="0">{table}</div>{_render_note(self.note)}'

    def _digits_of(self, place: int) -> int:
        return self.digits if isinstance(self.digits, int) else self.digits.get(self.columns[place], 3)

    def _find_best_cells(self) -> set[tuple[str, int]]:
        """(Row, place of the column) of every best number; none where all are the same."""
        return {
            place
            for name, cells in self._iter_competitors()
            for place in _best_places(cells, self._best_direction(name))
        }

    def _iter_competitors(self) -> Iterator[tuple[str, dict[tuple[str, int], Cell]]]:
        if self.best_within == "row":
            for name, row in self.rows.items():
                yield name, {(name, place): cell for place, cell in enumerate(row)}
        else:
            for place, column in enumerate(self.columns):
                yield column, {(name, place): row[place] for name, row in self.rows.items()}

    def _best_direction(self, name: str) -> BestDirection:
        return self.best if isinstance(self.best, str) else self.best.get(name, "")


def _best_places(cells: Mapping[tuple[str, int], Cell], wanted: BestDirection) -> list[tuple[str, int]]:
    numbers = {place: cell for place, cell in cells.items() if isinstance(cell, float | int) and math.isfinite(cell)}
    if not wanted or len(set(numbers.values())) < 2:
        return []
    target = (min if wanted == "lowest" else max)(numbers.values())
    return [place for place, cell in numbers.items() if cell == target]


def _render_cell(cell: Cell, digits: int, *, best: bool) -> str:
    text = format_number(cell, digits=digits)
    kind = ' class="best"' if best else ' class="none"' if text == MISSING_TEXT else ""
    return f"<td{kind}>{escape(text)}</td>"


def format_number(cell: Cell, *, digits: int = 3) -> str:
    """A cell as text: so many digits after the point, or as a power of ten where those would all be zero."""
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


def _render_note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>' if text else ""


@dataclass(frozen=True)
class LineChart:
    """Lines over a shared x; None leaves a gap."""

    title: str
    x: Sequence[float | int]
    series: Mapping[str, OptionalNumbers]
    x_label: str
    y_label: str
    note: str = ""
    """Small print below."""

    def __post_init__(self) -> None:
        for name, values in self.series.items():
            if len(values) != len(self.x):
                raise ValueError(f"{len(values)} numbers in {name!r} of {self.title!r} for {len(self.x)} places")

    def to_html(self) -> str:
        return render_chart(self.x, self.series, x_label=self.x_label, y_label=self.y_label) + _render_note(self.note)


@dataclass(frozen=True)
class Media:
    """A picture or animation, as a data URI, and what it shows."""

    caption: str
    data_uri: str


@dataclass(frozen=True)
class Gallery:
    """Pictures and animations side by side, every pixel a sharp square."""

    title: str
    items: Sequence[Media]
    note: str = ""
    """Small print below."""

    def to_html(self) -> str:
        shape = max(
            (width / height for width, height in (_media_size(item.data_uri) for item in self.items)), default=1.0
        )
        figures = "".join(map(_render_figure, self.items))
        return f'<div class="gallery" style="--shape: {shape:.4g}">{figures}</div>{_render_note(self.note)}'


def _render_figure(item: Media) -> str:
    return f"<figure>{render_image(item)}<figcaption>{escape(item.caption)}</figcaption></figure>"


def render_image(item: Media) -> str:
    """HTML of the picture or animation alone."""
    width, height = _media_size(item.data_uri)
    return f'<img src="{escape(item.data_uri)}" width="{width}" height="{height}" alt="{escape(item.caption)}">'


def _media_size(media: str) -> tuple[int, int]:
    """(Width, height) in pixels of what a data URI holds."""
    with Image.open(BytesIO(b64decode(media.partition(",")[2]))) as opened:
        return opened.size


@dataclass(frozen=True)
class Text:
    """Paragraphs."""

    title: str
    paragraphs: Sequence[str]

    def to_html(self) -> str:
        return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in self.paragraphs)


@dataclass(frozen=True)
class Definitions:
    """Names and what they stand for; a mapping within is set in."""

    title: str
    entries: Mapping[str, Any]
    note: str = ""
    """Small print below."""

    def to_html(self) -> str:
        return _render_definitions(self.entries) + _render_note(self.note)


def _render_definitions(facts: Mapping[str, Any]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(str(name))}</dt><dd>{_render_definition(fact)}</dd>' for name, fact in facts.items())}</dl>"


def _render_definition(fact: Any) -> str:
    if isinstance(fact, Mapping) and fact:
        return _render_definitions(fact)
    if isinstance(fact, list | tuple):
        return escape(", ".join(map(str, fact)) or MISSING_TEXT)
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return escape(str(fact)) if fact not in (None, "", {}) else MISSING_TEXT


def encode_png_uri(image: UInt8[Tensor, "3 height width"]) -> str:
    """The picture as a data URI of a PNG."""
    return _encode_data_uri("png", [_to_pillow(image)])


def encode_webp_uri(clip: UInt8[Tensor, "time 3 height width"], *, rate: float | int | Fraction) -> str:
    """The clip, at that many frames a second and for ever, as a data URI of a lossless WebP."""
    ends = [round(1000 * count / rate) for count in range(len(clip) + 1)]
    lasting = [end - start for start, end in pairwise(ends)]
    return _encode_data_uri(
        "webp", [_to_pillow(frame) for frame in clip], lossless=True, exact=True, duration=lasting, loop=0
    )


def _to_pillow(image: Tensor) -> Image.Image:
    return Image.fromarray(rearrange(image.cpu(), "channel height width -> height width channel").contiguous().numpy())


def _encode_data_uri(kind: str, frames: Sequence[Image.Image], **settings: Any) -> str:
    data = BytesIO()
    frames[0].save(data, format=kind, save_all=len(frames) > 1, append_images=frames[1:], **settings)
    return f"data:image/{kind};base64,{b64encode(data.getvalue()).decode()}"


def write_page(path: str | Path, *, title: str, subtitle: str, sections: Iterable[Section]) -> None:
    """Writes the page, whole or not at all; missing folders are made."""
    parts = list(sections)
    links = "".join(f'<li><a href="#s{place}">{escape(part.title)}</a></li>' for place, part in enumerate(parts))
    bodies = "".join(
        f'<section id="s{place}"><h2>{escape(part.title)}</h2>{part.to_html()}</section>'
        for place, part in enumerate(parts)
    )
    header = f'<header><h1>{escape(title)}</h1><p class="subtitle">{escape(subtitle)}</p></header>'
    write_html(path, title=title, body=f"{header}<nav><ol>{links}</ol></nav><main>{bodies}</main>")


def write_html(path: str | Path, *, title: str, body: str, style: str = "", script: str = "") -> None:
    """Writes a document of the common look, which is forbidden to load anything from anywhere."""
    allowed = "default-src 'none'; img-src data:; style-src 'unsafe-inline'" + (
        "; script-src 'unsafe-inline'" * bool(script)
    )
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{allowed}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{PAGE_STYLE}{style}</style></head>\n<body>{body}"
        f"{script and f'<script>{script}</script>'}</body></html>\n"
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace")
