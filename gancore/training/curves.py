"""curves.png: all that a run logged as it went, with its alarms marked."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gancore.atomic import atomic_write

LogLine = Mapping[str, Any]
Curve = tuple[list[int], list[float]]
Panels = dict[str, dict[str, Curve]]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
"""Those of Okabe and Ito, told apart by colour-blind readers too."""
PANEL_COLUMNS = 3
MAX_CURVE_POINTS = 500
"""Of a curve; a longer one is shown by medians."""


def draw_curves(run: Path) -> None:
    """Writes curves.png from stats.jsonl and alarms.jsonl of the run; nothing if nothing has been logged."""
    panels = group_by_panel(read_json_lines(run / "stats.jsonl"))
    if not panels:
        return
    rows = -(-len(panels) // PANEL_COLUMNS)
    figure = Figure(figsize=(5 * PANEL_COLUMNS, 2.8 * rows), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, PANEL_COLUMNS, squeeze=False).flatten()
    alarms = read_json_lines(run / "alarms.jsonl")
    for axis, (title, curves) in zip(axes, panels.items(), strict=False):
        _draw_panel(axis, title, curves)
        _mark_alarms(axis, alarms)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    if alarms:
        figure.suptitle("  ".join(_alarm_captions(alarms)), fontsize=9, color="#b00000", wrap=True)
    with atomic_write(run / "curves.png") as partial:
        figure.savefig(partial, format="png")


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; none if it is not there."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def group_by_panel(lines: Sequence[LogLine]) -> Panels:
    """Curves by panel: what is named a/b/c is curve c of panel a/b, and a/b curve b of panel a; alarms are none."""
    panels: defaultdict[str, dict[str, Curve]] = defaultdict(dict)
    for line in lines:
        for name, value in line.items():
            if name == "step" or value is None or name.startswith("alarm/"):
                continue
            panel, _, curve = name.rpartition("/")
            steps, values = panels[panel or name].setdefault(curve, ([], []))
            steps.append(line["step"])
            values.append(value)
    return dict(sorted(panels.items(), key=_panel_order))


def _panel_order(panel: tuple[str, dict[str, Curve]]) -> tuple[int, str]:
    """Losses come first, then what is measured, then single curves of neither."""
    name, curves = panel
    order = ("generator", "encoder", "discriminator", "held_out")
    return (*(place for place, first in enumerate(order) if name.startswith(first)), 5 + (name in curves))[0], name


def thin_curve(curve: Curve) -> Curve:
    """A curve of at most POINTS points: medians of as many stretches."""
    steps, values = curve
    size = -(-len(steps) // MAX_CURVE_POINTS)
    starts = range(0, len(steps), size)
    return [steps[min(start + size // 2, len(steps) - 1)] for start in starts], [
        median(values[start : start + size]) for start in starts
    ]


def _draw_panel(axis: Axes, title: str, curves: Mapping[str, Curve]) -> None:
    for (name, curve), colour in zip(curves.items(), COLOURS * len(curves), strict=False):
        steps, values = thin_curve(curve)
        axis.plot(steps, values, label=name, color=colour, linewidth=1, marker="." if len(steps) < 30 else "")
    axis.set_title(title, fontsize=10, loc="left")
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.2)
    axis.spines[["top", "right"]].set_visible(False)
    if _spans_decades(curves):
        axis.set_yscale("log")
    if title not in curves:
        axis.legend(fontsize=7, frameon=False)


def _spans_decades(curves: Mapping[str, Curve]) -> bool:
    """Whether the values are positive and too far apart to be told apart on a linear scale."""
    values = [value for _, values in curves.values() for value in values]
    return min(values) > 0 and max(values) > 50 * min(values)


def _mark_alarms(axis: Axes, alarms: Sequence[LogLine]) -> None:
    for alarm in alarms:
        axis.axvline(alarm["step"], color="#b00000", linewidth=0.8, linestyle="--")


def _alarm_captions(alarms: Sequence[LogLine]) -> list[str]:
    return [f"{alarm['alarm'].replace('_', ' ')} at step {alarm['step']}" for alarm in alarms]
