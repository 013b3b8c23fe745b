"""Curves as SVG inside HTML: the lines stretch with the page, the words around them keep their size."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from gancore.reporting.page_style import SERIES_COUNT

MAX_VISIBLE_DOTS = 40
"""Points of a line from which on they show only under the pointer."""

MAX_INTEGER_TICKS = 12
"""Length of an axis of integers on which each is marked, at most."""

ZERO_TOLERANCE = 1e-300
"""Numbers nearer than this are one."""

OptionalNumbers = Sequence[float | int | None]


@dataclass(frozen=True)
class Axis:
    """A range of numbers laid out from 0 to 100, with round numbers to mark it."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def from_values(cls, values: Sequence[float | int], *, tight: bool = False) -> "Axis":
        """An axis that holds these values: exactly if snug, else up to the next round numbers."""
        low, high = float(min(values)), float(max(values))
        if high - low < ZERO_TOLERANCE:
            margin = abs(low) / 2 if abs(low) > ZERO_TOLERANCE else 0.5
            low, high = low - margin, high + margin
        step = _round_step((high - low) / 5)
        if tight and all(value == int(value) for value in values):
            step = 1.0 if high - low <= MAX_INTEGER_TICKS else max(step, 1.0)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        ticks = [number * step for number in range(first, last + 1)]
        if not tight:
            return cls(min(low, ticks[0]), max(high, ticks[-1]), tuple(ticks))
        return cls(low, high, tuple(tick for tick in ticks if low - 1e-9 * step <= tick <= high + 1e-9 * step))

    def to_percent(self, value: float | int) -> float:
        """Per cent of the way from low to high."""
        return 100 * (value - self.low) / (self.high - self.low)

    def tick_labels(self) -> list[tuple[float, str]]:
        """(Place, text) of each tick."""
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1.0
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        plain = decimals <= 4 and max(map(abs, self.ticks), default=0) < 1e6
        return [
            (self.to_percent(tick), typeset_minus(f"{tick + 0.0:.{decimals}f}" if plain else f"{tick:.3g}"))
            for tick in self.ticks
        ]


def _round_step(rough: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def typeset_minus(text: str) -> str:
    """The text with a minus sign as long as a plus; -0.00 has none."""
    return text.lstrip("-") if text.startswith("-") and not text.strip("-0.") else text.replace("-", "\N{MINUS SIGN}")


def render_chart(x: Sequence[float | int], series: Mapping[str, OptionalNumbers], *, x_label: str, y_label: str) -> str:
    """HTML of a legend and a plot; a line has a gap where there is no finite number."""
    points = {name: _points(x, values) for name, values in series.items()}
    found = [point for line in points.values() for point in line if point]
    if not found:
        return '<p class="note">There are no numbers to draw.</p>'
    across, up = Axis.from_values([px for px, _ in found], tight=True), Axis.from_values([py for _, py in found])
    lines = "".join(
        _render_line(name, line, number, across=across, up=up) for number, (name, line) in enumerate(points.items())
    )
    return (
        f'<figure class="chart">{_render_legend(points)}<div class="axis">{escape(y_label)}</div><div class="plot">'
        f"{_render_y_ticks(up)}"
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{escape(y_label)}">'
        f"{_render_grid(up)}{lines}</svg>{_render_x_ticks(across)}"
        f'<div class="axis">{escape(x_label)}</div></div></figure>'
    )


def _points(x: Sequence[float | int], values: OptionalNumbers) -> list[tuple[float, float] | None]:
    return [
        (float(px), float(py)) if py is not None and math.isfinite(py) else None
        for px, py in zip(x, values, strict=True)
    ]


def _render_legend(names: Mapping[str, object]) -> str:
    keys = "".join(
        f'<li class="s{number % SERIES_COUNT}"><svg viewBox="0 0 32 10" aria-hidden="true"><path class="line" d="M1 5H31"/>'
        f"</svg>{escape(name)}</li>"
        for number, name in enumerate(names)
    )
    return f'<ul class="legend">{keys}</ul>'


def _render_line(
    name: str, points: Sequence[tuple[float, float] | None], number: int, *, across: Axis, up: Axis
) -> str:
    stretches = [list(group) for there, group in groupby(points, bool) if there]
    drawn = "".join(
        f'<path class="line" d="M{" ".join(_svg_point(point, across, up) for point in stretch)}"/>'
        for stretch in stretches
    )
    dots = "".join(
        f'<path class="dot" d="M{_svg_point(point, across, up)}h0"><title>{escape(name)}\n{point[0]:g}: '
        f"{typeset_minus(f'{point[1]:.4g}')}</title></path>"
        for point in points
        if point
    )
    many = " many" if len(points) > MAX_VISIBLE_DOTS else ""
    return f'<g class="s{number % SERIES_COUNT}{many}">{drawn}{dots}</g>'


def _svg_point(point: tuple[float, float] | None, across: Axis, up: Axis) -> str:
    assert point is not None
    return f"{across.to_percent(point[0]):.2f} {100 - up.to_percent(point[1]):.2f}"


def _render_grid(up: Axis) -> str:
    return "".join(f'<path class="grid" d="M0 {100 - place:.2f}H100"/>' for place, _ in up.tick_labels())


def _render_y_ticks(up: Axis) -> str:
    widest = max(len(text) for _, text in up.tick_labels())
    return f'<div class="up" style="width: {widest}ch">{"".join(_render_tick_labels("bottom", up))}</div>'


def _render_x_ticks(across: Axis) -> str:
    return f'<div class="across">{"".join(_render_tick_labels("left", across))}</div>'


def _render_tick_labels(side: str, axis: Axis) -> Iterator[str]:
    for place, text in axis.tick_labels():
        yield f'<span style="{side}: {place:.2f}%">{text}</span>'
