"""Line charts as SVG in HTML: lines scale with the page, while text keeps its size."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from gancore.reporting.document import render_template

SERIES_COUNT, BASELINE_COUNT = 8, 6
"""Styles of lines in page.css, for methods and for baselines; further lines begin again with the first."""

MAX_VISIBLE_DOTS = 40
"""Points of a line above which its dots show only under the pointer."""

MAX_INTEGER_TICKS = 12
"""Longest axis of integers on which every integer is marked."""

ZERO_TOLERANCE = 1e-300
"""Differences below this count as zero."""

BASELINE_MARGIN = 1.5
"""How far a baseline may stretch the vertical axis, above and below, as a multiple of the range of the methods."""

MIN_RELATIVE_RANGE = 0.1
"""Least range of the methods for that purpose, as a share of their largest value."""

OptionalNumbers = Sequence[float | int | None]
Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A range of numbers laid out from 0 to 100, with round numbers to mark it."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def from_values(cls, values: Sequence[float | int], *, tight: bool = False) -> "Axis":
        """An axis that holds these values: from the least to the greatest if tight, else between round numbers."""
        low, high = float(min(values)), float(max(values))
        if high - low < ZERO_TOLERANCE:
            margin = abs(low) / 2 if abs(low) > ZERO_TOLERANCE else 0.5
            low, high = low - margin, high + margin
        rough = (high - low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))
        if tight and all(value == int(value) for value in values):
            step = 1.0 if high - low <= MAX_INTEGER_TICKS else max(step, 1.0)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        ticks = [number * step for number in range(first, last + 1)]
        if not tight:
            return cls(min(low, ticks[0]), max(high, ticks[-1]), tuple(ticks))
        return cls(low, high, tuple(tick for tick in ticks if low - 1e-9 * step <= tick <= high + 1e-9 * step))

    def to_percent(self, value: float | int) -> float:
        """Where the value lies between low (0) and high (100); outside that range where it lies outside the axis."""
        return 100 * (value - self.low) / (self.high - self.low)

    def tick_labels(self) -> list[tuple[float, str]]:
        """The position in per cent and the text of each tick."""
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1.0
        power, largest = math.floor(math.log10(step) + 1e-9), max(map(abs, self.ticks), default=0)
        decimals = max(0, -power)
        plain = decimals <= 4 and largest < 1e6
        digits = max(3, math.floor(math.log10(largest)) - power + 1) if largest else 3  # by which neighbours differ
        return [
            (self.to_percent(tick), typeset_minus(f"{tick + 0.0:.{decimals}f}" if plain else f"{tick:.{digits}g}"))
            for tick in self.ticks
        ]


def typeset_minus(text: str) -> str:
    """The text with typographic minus signs in place of hyphens; a negative zero loses its sign."""
    return text.lstrip("-") if text.startswith("-") and not text.strip("-0.") else text.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Dot:
    """A point of a line: where it is drawn, what it says under the pointer, and whether it lies outside the axis."""

    place: str
    title: str
    off: bool


@dataclass(frozen=True)
class Line:
    """A line as chart.html.j2 draws it."""

    name: str
    css_class: str
    paths: list[str]
    dots: list[Dot]
    off: str
    """The range of a baseline that leaves the axis, as text; empty for a line that stays inside."""


@dataclass(frozen=True)
class Plot:
    """A chart as chart.html.j2 draws it; positions are texts of per cent."""

    lines: list[Line]
    grid: list[str]
    x_ticks: list[tuple[str, str]]
    y_ticks: list[tuple[str, str]]

    @property
    def y_width(self) -> int:
        """Characters of the longest label of the vertical axis."""
        return max(len(text) for _, text in self.y_ticks)


@dataclass(frozen=True)
class LineChart:
    """Lines over a shared x; None and numbers that are not finite leave a gap.

    Raises ValueError if a line has more or fewer values than there are places on the x axis.
    """

    title: str
    x: Sequence[float | int]
    series: Mapping[str, OptionalNumbers]
    x_label: str
    y_label: str
    note: str = ""
    """Small print below."""
    baselines: Collection[str] = ()
    """Names of the series that are baselines. They are drawn in grey, and one far out of scale does not flatten the
    methods: what the vertical axis leaves out is drawn at its edge and named in the legend."""

    def __post_init__(self) -> None:
        for name, values in self.series.items():
            if len(values) != len(self.x):
                raise ValueError(f"{len(values)} numbers in {name!r} of {self.title!r} for {len(self.x)} places")

    def to_html(self) -> Markup:
        """The legend, the plot and the note."""
        return render_template("chart.html.j2", chart=self, plot=self._lay_out())

    def _lay_out(self) -> Plot | None:
        points = {
            name: [
                (float(x), float(y)) if y is not None and math.isfinite(y) else None
                for x, y in zip(self.x, values, strict=True)
            ]
            for name, values in self.series.items()
        }
        if not any(point for line in points.values() for point in line):
            return None
        x_axis = Axis.from_values([point[0] for line in points.values() for point in line if point], tight=True)
        y_axis = Axis.from_values(self._visible_values(points))
        classes = {name: f"b{number % BASELINE_COUNT} baseline" for number, name in enumerate(self.baselines)}
        methods = [name for name in points if name not in classes]
        classes |= {name: f"s{number % SERIES_COUNT}" for number, name in enumerate(methods)}
        baselines = [name for name in points if name not in methods]
        return Plot(
            [_lay_out_line(name, points[name], classes[name], x_axis, y_axis) for name in (*methods, *baselines)],
            [f"{100 - place:.2f}" for place, _ in y_axis.tick_labels()],
            [(f"{place:.2f}", text) for place, text in x_axis.tick_labels()],
            [(f"{place:.2f}", text) for place, text in y_axis.tick_labels()],
        )

    def _visible_values(self, points: Mapping[str, Sequence[Point | None]]) -> list[float]:
        """The y values that the vertical axis must hold: all of the methods, and of the baselines what is not far."""
        values = {name: [point[1] for point in line if point] for name, line in points.items()}
        compared = [value for name, line in values.items() if name not in self.baselines for value in line]
        everything = [value for line in values.values() for value in line]
        if not compared:
            return everything
        low, high = min(compared), max(compared)
        margin = BASELINE_MARGIN * max(high - low, MIN_RELATIVE_RANGE * max(abs(low), abs(high)))
        return [value for value in everything if low - margin <= value <= high + margin]


def _lay_out_line(name: str, points: Sequence[Point | None], css_class: str, x_axis: Axis, y_axis: Axis) -> Line:
    def place(point: Point, *, inside: bool = False) -> str:
        down = 100 - y_axis.to_percent(point[1])
        return f"{x_axis.to_percent(point[0]):.2f} {min(max(down, 0.0), 100.0) if inside else down:.2f}"

    known = [point for point in points if point]
    outside = [point[1] for point in known if not y_axis.low <= point[1] <= y_axis.high]
    low, high = (_format_short(extreme([y for _, y in known])) if outside else "" for extreme in (min, max))
    return Line(
        name,
        css_class + (" many" if len(points) > MAX_VISIBLE_DOTS else ""),
        ["M" + " ".join(place(point) for point in run if point) for there, run in groupby(points, bool) if there],
        [
            Dot(place(point, inside=True), f"{name}\n{point[0]:g}: {_format_short(point[1])}", point[1] in outside)
            for point in known
        ],
        low if low == high else f"{low} to {high}",
    )


def _format_short(number: float) -> str:
    return typeset_minus(f"{number:.4g}")
