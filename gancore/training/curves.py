"""curves.png: all logged numbers of a run by step, with baselines as dashed lines and alarms marked."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from gancore.files.atomic import atomic_write
from gancore.training.history import Curve, LogLine, Panels, RunHistory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
"""Colours of the curves: the colour-blind safe palette of Okabe and Ito."""
PANEL_COLUMNS = 3
"""Number of panels side by side."""
MIN_CURVE_POINTS = 3
"""Number of points that a curve needs to be drawn."""
MAX_CURVE_POINTS = 500
"""Number of points drawn per curve; longer ones are thinned by medians."""
MAX_CAPTIONS = 6
"""Number of newest alarms named above the panels."""
BASELINES = {"copy_last": "last frame repeated", "true": "ground truth"}
"""Curves drawn as a dashed line at their latest value, and their labels."""
QUANTITIES = {
    "gradient": "gradient norm",
    "generator": "loss",
    "encoder": "loss",
    "discriminator": "loss",
    "speed": "samples per second",
    "health": "diagnostic",
    "energy": "energy",
    "lr_factor": "factor on the learning rates",
}
"""Label of the vertical axis, by the first part of a panel's name; other panels use the last part of their name."""


def draw_curves(run: Path, history: RunHistory | None = None) -> None:
    """Writes curves.png into a run folder, unless no curve has enough points yet.

    Args:
        run: The run folder.
        history: The logged numbers and alarms; read from the run's files if None.
    """
    history = history or RunHistory.read(run)
    panels = drop_short_curves(_sort_panels(history.panels()))
    if not panels:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # imported late: it takes a second
    from matplotlib.figure import Figure

    rows = -(-len(panels) // PANEL_COLUMNS)
    figure = Figure(figsize=(5 * PANEL_COLUMNS, 2.8 * rows), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, PANEL_COLUMNS, squeeze=False).flatten()
    for axis, (title, curves) in zip(axes, panels.items(), strict=False):
        _draw_panel(axis, title, curves)
        _mark_alarms(axis, [alarm["step"] for alarm in history.alarms])
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    if history.alarms:
        figure.suptitle("  ".join(_alarm_captions(history)), fontsize=9, color="#b00000", wrap=True)
    with atomic_write(run / "curves.png") as partial:
        figure.savefig(partial, format="png")


def group_by_panel(lines: Iterable[LogLine]) -> Panels:
    """Groups logged values into curves by panel, without alarms: a/b/c is curve c of panel a/b, a/b curve b of a."""
    history = RunHistory()
    for line in lines:
        history.add(line)
    return _sort_panels(history.panels())


def drop_short_curves(panels: Panels) -> Panels:
    """Drops curves of fewer than MIN_CURVE_POINTS points, and panels left with nothing but baselines."""
    long = {
        title: {name: curve for name, curve in curves.items() if name in BASELINES or len(curve[0]) >= MIN_CURVE_POINTS}
        for title, curves in panels.items()
    }
    return {title: curves for title, curves in long.items() if curves.keys() - BASELINES.keys()}


def _sort_panels(panels: Panels) -> Panels:
    return dict(sorted(panels.items(), key=_panel_order))


def _panel_order(panel: tuple[str, dict[str, Curve]]) -> tuple[int, str]:
    """Sort key: losses first, then held-out scores, then other panels, and last those with a single curve."""
    name, curves = panel
    order = ("generator", "encoder", "discriminator", "held_out")
    return (*(place for place, first in enumerate(order) if name.startswith(first)), 5 + (name in curves))[0], name


def thin_curve(curve: Curve) -> Curve:
    """Thins a curve to at most MAX_CURVE_POINTS points, each the median of consecutive points."""
    steps, values = curve
    size = -(-len(steps) // MAX_CURVE_POINTS)
    starts = range(0, len(steps), size)
    return [steps[min(start + size // 2, len(steps) - 1)] for start in starts], [
        median(values[start : start + size]) for start in starts
    ]


def _draw_panel(axis: "Axes", title: str, curves: Mapping[str, Curve]) -> None:
    own = {name: curve for name, curve in curves.items() if name not in BASELINES}
    for (name, curve), colour in zip(own.items(), COLOURS * len(own), strict=False):
        steps, values = thin_curve(curve)
        axis.plot(steps, values, label=name, color=colour, linewidth=1, marker="." if len(steps) < 30 else "")
    for name in curves.keys() - own.keys():
        axis.axhline(curves[name][1][-1], label=f"{BASELINES[name]} ({name})", color="#7f7f7f", linestyle="--")
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xlabel("step", fontsize=8)
    axis.set_ylabel(name_quantity(title), fontsize=8)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.2)
    axis.spines[["top", "right"]].set_visible(False)
    if _spans_decades(curves):
        axis.set_yscale("log")
    if title not in curves:
        axis.legend(fontsize=7, frameon=False)


def name_quantity(title: str) -> str:
    """The label of a panel's vertical axis."""
    return QUANTITIES.get(title.partition("/")[0]) or title.rpartition("/")[2].replace("_", " ")


def _spans_decades(curves: Mapping[str, Curve]) -> bool:
    """Whether the values are positive and span too wide a range for a linear scale."""
    values = [value for _, values in curves.values() for value in values]
    return min(values) > 0 and max(values) > 50 * min(values)


def _mark_alarms(axis: "Axes", steps: Sequence[int]) -> None:
    """Draws a dotted vertical line at each step, all as a single artist."""
    axis.vlines(
        steps, 0, 1, color="#b00000", linewidth=0.8, linestyle=":", transform=axis.get_xaxis_transform(), zorder=2
    )


def _alarm_captions(history: RunHistory) -> list[str]:
    newest = [*history.alarms][-MAX_CAPTIONS:]
    earlier = history.alarm_count - len(newest)
    captions = [f"{alarm['alarm'].replace('_', ' ')} at step {alarm['step']}" for alarm in newest]
    return ([f"{earlier} earlier alarms"] if earlier else []) + captions
