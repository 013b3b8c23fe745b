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

from gancore.atomic import replacing
from gancore.reporting.charts import Numbers, chart, minus
from gancore.reporting.page_style import STYLE

NOTHING = "\N{EN DASH}"
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Cell = float | int | str | None
Best = Literal["", "lowest", "highest"]


@runtime_checkable
class Section(Protocol):
    """A titled part of a page."""

    @property
    def title(self) -> str:
        """Its heading."""

    def html(self) -> str:
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
    best: Best | Mapping[str, Best] = ""
    """Which number of each column is marked; or, by the column's name, of those that are named."""
    by: Literal["column", "row"] = "column"
    """Whether numbers compete within their column or within their row, and `best` names rows."""

    def __post_init__(self) -> None:
        for name, row in self.rows.items():
            if len(row) != len(self.columns):
                raise ValueError(
                    f"{len(row)} cells in row {name!r} of the table {self.title!r} with {len(self.columns)} columns"
                )

    def html(self) -> str:
        head = "".join(f'<th scope="col">{escape(column)}</th>' for column in self.columns)
        marked = self._marked()
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            + "".join(_cell(cell, self._digits(place), best=(name, place) in marked) for place, cell in enumerate(row))
            + "</tr>"
            for name, row in self.rows.items()
        )
        table = f'<table><thead><tr><th scope="col"></th>{head}</tr></thead><tbody>{body}</tbody></table>'
        return f'<div class="wide" tabindex="0">{table}</div>{_note(self.note)}'

    def _digits(self, place: int) -> int:
        return self.digits if isinstance(self.digits, int) else self.digits.get(self.columns[place], 3)

    def _marked(self) -> set[tuple[str, int]]:
        """(Row, place of the column) of every best number; none where all are the same."""
        return {place for name, cells in self._rivals() for place in _best(cells, self._wanted(name))}

    def _rivals(self) -> Iterator[tuple[str, dict[tuple[str, int], Cell]]]:
        if self.by == "row":
            for name, row in self.rows.items():
                yield name, {(name, place): cell for place, cell in enumerate(row)}
        else:
            for place, column in enumerate(self.columns):
                yield column, {(name, place): row[place] for name, row in self.rows.items()}

    def _wanted(self, name: str) -> Best:
        return self.best if isinstance(self.best, str) else self.best.get(name, "")


def _best(cells: Mapping[tuple[str, int], Cell], wanted: Best) -> list[tuple[str, int]]:
    numbers = {place: cell for place, cell in cells.items() if isinstance(cell, float | int) and math.isfinite(cell)}
    if not wanted or len(set(numbers.values())) < 2:
        return []
    target = (min if wanted == "lowest" else max)(numbers.values())
    return [place for place, cell in numbers.items() if cell == target]


def _cell(cell: Cell, digits: int, *, best: bool) -> str:
    text = number(cell, digits=digits)
    kind = ' class="best"' if best else ' class="none"' if text == NOTHING else ""
    return f"<td{kind}>{escape(text)}</td>"


def number(cell: Cell, *, digits: int = 3) -> str:
    """A cell as text: so many digits after the point, or as a power of ten where those would all be zero."""
    match cell:
        case None:
            return NOTHING
        case str() | int():
            return minus(str(cell)) if isinstance(cell, int) else cell
        case _ if math.isnan(cell):
            return NOTHING
        case _ if math.isinf(cell):
            return "\N{INFINITY}" if cell > 0 else "\N{MINUS SIGN}\N{INFINITY}"
        case _ if cell and abs(cell) < 0.5 * 10**-digits:
            mantissa, _, power = f"{cell:.{max(digits - 1, 0)}e}".partition("e")
            return f"{minus(mantissa)}\N{MULTIPLICATION SIGN}10{str(int(power)).translate(RAISED)}"
    return minus(f"{cell:.{digits}f}")


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>' if text else ""


@dataclass(frozen=True)
class Curves:
    """Lines over a shared x; None leaves a gap."""

    title: str
    x: Sequence[float | int]
    series: Mapping[str, Numbers]
    x_label: str
    y_label: str
    note: str = ""
    """Small print below."""

    def __post_init__(self) -> None:
        for name, values in self.series.items():
            if len(values) != len(self.x):
                raise ValueError(f"{len(values)} numbers in {name!r} of {self.title!r} for {len(self.x)} places")

    def html(self) -> str:
        return chart(self.x, self.series, x_label=self.x_label, y_label=self.y_label) + _note(self.note)


@dataclass(frozen=True)
class Item:
    """A picture or animation, as a data URI, and what it shows."""

    caption: str
    media: str


@dataclass(frozen=True)
class Gallery:
    """Pictures and animations side by side, every pixel a sharp square."""

    title: str
    items: Sequence[Item]
    note: str = ""
    """Small print below."""

    def html(self) -> str:
        shape = max((width / height for width, height in (_size(item.media) for item in self.items)), default=1.0)
        figures = "".join(map(_figure, self.items))
        return f'<div class="gallery" style="--shape: {shape:.4g}">{figures}</div>{_note(self.note)}'


def _figure(item: Item) -> str:
    return f"<figure>{image(item)}<figcaption>{escape(item.caption)}</figcaption></figure>"


def image(item: Item) -> str:
    """HTML of the picture or animation alone."""
    width, height = _size(item.media)
    return f'<img src="{escape(item.media)}" width="{width}" height="{height}" alt="{escape(item.caption)}">'


def _size(media: str) -> tuple[int, int]:
    """(Width, height) in pixels of what a data URI holds."""
    with Image.open(BytesIO(b64decode(media.partition(",")[2]))) as opened:
        return opened.size


@dataclass(frozen=True)
class Text:
    """Paragraphs."""

    title: str
    paragraphs: Sequence[str]

    def html(self) -> str:
        return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in self.paragraphs)


@dataclass(frozen=True)
class Facts:
    """Names and what they stand for; a mapping within is set in."""

    title: str
    facts: Mapping[str, Any]
    note: str = ""
    """Small print below."""

    def html(self) -> str:
        return _facts(self.facts) + _note(self.note)


def _facts(facts: Mapping[str, Any]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(str(name))}</dt><dd>{_fact(fact)}</dd>' for name, fact in facts.items())}</dl>"


def _fact(fact: Any) -> str:
    if isinstance(fact, Mapping) and fact:
        return _facts(fact)
    if isinstance(fact, list | tuple):
        return escape(", ".join(map(str, fact)) or NOTHING)
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return escape(str(fact)) if fact not in (None, "", {}) else NOTHING


def picture(image: UInt8[Tensor, "3 height width"]) -> str:
    """The picture as a data URI of a PNG."""
    return _uri("png", [_pixels(image)])


def animation(clip: UInt8[Tensor, "time 3 height width"], *, rate: float | int | Fraction) -> str:
    """The clip, at that many frames a second and for ever, as a data URI of a lossless WebP."""
    ends = [round(1000 * count / rate) for count in range(len(clip) + 1)]
    lasting = [end - start for start, end in pairwise(ends)]
    return _uri("webp", [_pixels(frame) for frame in clip], lossless=True, exact=True, duration=lasting, loop=0)


def _pixels(image: Tensor) -> Image.Image:
    return Image.fromarray(rearrange(image.cpu(), "channel height width -> height width channel").contiguous().numpy())


def _uri(kind: str, frames: Sequence[Image.Image], **settings: Any) -> str:
    data = BytesIO()
    frames[0].save(data, format=kind, save_all=len(frames) > 1, append_images=frames[1:], **settings)
    return f"data:image/{kind};base64,{b64encode(data.getvalue()).decode()}"


def write_page(path: str | Path, *, title: str, subtitle: str, sections: Iterable[Section]) -> None:
    """Writes the page, whole or not at all; missing folders are made."""
    parts = list(sections)
    links = "".join(f'<li><a href="#s{place}">{escape(part.title)}</a></li>' for place, part in enumerate(parts))
    bodies = "".join(
        f'<section id="s{place}"><h2>{escape(part.title)}</h2>{part.html()}</section>'
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
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n<body>{body}"
        f"{script and f'<script>{script}</script>'}</body></html>\n"
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace")
