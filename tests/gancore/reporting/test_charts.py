"""Charts draw what they are given, and show methods and baselines at a readable scale."""

import lxml.html
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from support.browser import faults

from gancore.reporting.charts import Axis, LineChart
from gancore.reporting.page import write_page


def parsed(chart: LineChart) -> lxml.html.HtmlElement:
    return lxml.html.fromstring(f"<main>{chart.to_html()}</main>")


def test_a_line_has_a_gap_where_there_is_no_number():
    drawn = parsed(LineChart("", [1, 2, 3, 4, 5], {"a": [1.0, 2.0, None, float("nan"), 3.0]}, "", ""))
    assert [line.get("d") for line in drawn.xpath("//path[@class='line']")][1:] == [
        "M0.00 100.00 25.00 50.00",
        "M100.00 0.00",
    ]
    assert [title.text for title in drawn.findall(".//title")] == ["a\n1: 1", "a\n2: 2", "a\n5: 3"]


def test_more_lines_than_colours_begin_again():
    drawn = parsed(LineChart("", [1, 2], {str(line): [0.0, line] for line in range(10)}, "", ""))
    assert [group.get("class") for group in drawn.findall(".//g")] == [f"s{line % 8}" for line in range(10)]


def y_of(path: str) -> list[float]:
    return [float(number) for number in path.removeprefix("M").split()[1::2]]


def test_a_baseline_far_out_of_scale_does_not_flatten_the_methods():
    series = {"all black": [9.0, 9.5], "model": [1.0, 1.2], "last frame": [1.4, 1.3], "other": [1.1, 1.15]}
    drawn = parsed(LineChart("", [1, 2], series, "", "", baselines=["last frame", "all black"]))
    assert [text.strip() for text in drawn.xpath("//ul/li/text()")] == ["model", "other", "all black", "last frame"]
    assert drawn.xpath("//ul//span/text()") == ["(off the chart: 9 to 9.5)"]
    groups = {group.get("class"): group for group in drawn.findall(".//g")}
    assert [*groups] == ["s0", "s1", "b1 baseline", "b0 baseline"]
    model, far, near = (
        y_of(groups[name].find(".//path[@class='line']").get("d")) for name in ("s0", "b1 baseline", "b0 baseline")
    )
    assert abs(model[0] - model[1]) > 25
    assert max(far) < 0 <= min(near) <= max(near) <= 100
    assert [group.find("svg") is not None for group in groups.values()] == [False, False, True, False]  # it cuts
    edge = groups["b1 baseline"].xpath("path[@class='dot off']")
    assert [dot.get("d").split()[1] for dot in edge] == ["0.00h0", "0.00h0"]
    assert edge[0].findtext("title") == "all black\n1: 9"


def test_baselines_alone_are_all_in_the_chart():
    drawn = parsed(LineChart("", [1, 2], {"a": [1.0, 2.0], "b": [100.0, 200.0]}, "", "", baselines=["a", "b"]))
    assert not drawn.find_class("off")


def test_a_browser_shows_baselines_without_fault(browser, tmp_path):
    series = {"model": [1.0, 1.2, 1.1], "last frame": [1.4, 1.3, 5.0], "all black": [9.0, 9.5, None]}
    chart = LineChart("Error", [1, 2, 3], series, "frames ahead", "MSE", baselines=["last frame", "all black"])
    write_page(tmp_path / "page.html", title="T", subtitle="", sections=[chart], verdict=["Better than both."])
    with browser.opened(tmp_path / "page.html", width=400) as shown:
        assert faults(shown) == []


def test_curves_without_numbers_say_so():
    assert "no numbers" in LineChart("", [1, 2], {"a": [None, None]}, "", "").to_html()
    assert "no numbers" in LineChart("", [], {}, "", "").to_html()


finite = st.floats(-1e9, 1e9).map(lambda value: float(f"{value:.6g}"))


@example(values=[426100000.0, 428272000.0], snug=False)  # far from zero, close to each other
@given(st.lists(finite, min_size=1, max_size=5), st.booleans())
def test_an_axis_holds_all_values_and_is_marked_evenly(values, snug):
    axis = Axis.from_values(values, tight=snug)
    assert axis.low <= min(values) <= max(values) <= axis.high
    assert all(-1e-6 <= axis.to_percent(tick) <= 100 + 1e-6 for tick in axis.ticks)
    assert len(axis.ticks) <= 13
    assert np.ptp(np.diff(axis.ticks)) <= 1e-6 * (axis.high - axis.low) if len(axis.ticks) > 1 else snug
    assert len({text for _, text in axis.tick_labels()}) == len(axis.ticks)


def test_lead_times_are_each_marked_while_there_is_room():
    assert Axis.from_values([1, 10], tight=True).ticks == tuple(range(1, 11))
    assert Axis.from_values([1, 20], tight=True).ticks == (5, 10, 15, 20)
