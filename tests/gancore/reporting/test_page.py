"""Pages: what is in them, and how a real browser shows them."""

from base64 import b64decode
from io import BytesIO

import lxml.html
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from support.browser import faults

from gancore.reporting.charts import LineChart
from gancore.reporting.page import (
    Definitions,
    Gallery,
    Media,
    Table,
    Text,
    describe_difference,
    encode_png_uri,
    encode_webp_uri,
    format_number,
    write_page,
)

EVIL = '<mark title="&amp;">\'&'


@pytest.fixture(scope="module")
def clip():
    return torch.randint(256, (5, 3, 12, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def page(tmp_path_factory, clip):
    """A page with one of everything, of awkward sizes."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    ahead = list(range(1, 21))
    strip = clip.permute(1, 2, 0, 3).reshape(3, 12, -1).repeat(1, 1, 8)
    sections = [
        Text("What was measured", ["A paragraph. " * 30, "Another."]),
        Table("Scores", [f"a score {place}" for place in ahead], {"model": ahead, "b" * 90: ahead}, note="n" * 200),
        LineChart(
            "Curves", ahead, {f"line {n}": [n + 0.1 * x for x in ahead] for n in range(9)}, "frames ahead", "PSNR"
        ),
        Gallery("Clips", [Media(f"clip {place}", encode_webp_uri(clip, rate=8)) for place in range(5)]),
        Gallery("Strips", [Media("true", encode_png_uri(strip)), Media("small", encode_png_uri(clip[0]))]),
        Definitions(
            "Protocol", {"data": {"sha256": "0123456789abcdef" * 4, "deep": {"deeper": [1, 2]}}, "nothing": None}
        ),
    ]
    write_page(path, title="A report " * 6, subtitle="of many things", sections=sections)
    return path


def parsed(section) -> lxml.html.HtmlElement:
    return lxml.html.fromstring(f"<main>{section.to_html()}</main>")


def marked(table: Table) -> list[str]:
    return [cell.text for cell in parsed(table).findall(".//td[@class='best']")]


# ------------------------------------------------------------------------------------------------- in the browser


@pytest.mark.parametrize("width", [400, 1000])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_browser_shows_a_page_without_fault(browser, page, width, dark):
    with browser.opened(page, width=width, dark=dark) as shown:
        assert faults(shown) == []
        assert shown.value("document.documentElement.scrollWidth") == width
        assert shown.value("document.images.length") == 7
        assert "What was measured" in shown.value("document.body.innerText")


def test_a_page_is_light_or_dark_as_the_reader_likes_and_light_on_paper(browser, page):
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    with browser.opened(page) as light, browser.opened(page, dark=True) as dark:
        assert light.value(brightness) > 200
        assert dark.value(brightness) < 60
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        dark.call("Emulation.setEmulatedMedia", media="print", features=features)
        assert dark.value(brightness) > 200


def test_pixels_and_lines_reach_the_screen(browser, page, tmp_path):
    with browser.opened(page) as shown:
        shown.screenshot(tmp_path / "page.png")
        box = shown.value(
            "(b => [b.left, b.top, b.right, b.bottom])(document.querySelector('.plot svg').getBoundingClientRect())"
        )
        paint = shown.value("getComputedStyle(document.querySelector('.s0')).getPropertyValue('--s0')")
    plot = np.asarray(Image.open(tmp_path / "page.png").convert("RGB").crop(box)).reshape(-1, 3)
    wanted = [int(paint.strip()[place : place + 2], 16) for place in (1, 3, 5)]
    assert (abs(plot.astype(int) - wanted).max(1) < 8).sum() > 500


def test_the_browser_of_these_tests_sees_what_is_wrong(browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<img src="data:image/png;base64,AAAA"><div style="width: 3000px">wide</div>'
        '<img src="http://127.0.0.1:9/nowhere.png"><script>console.error("spoken"); thrown()</script>'
    )
    with browser.opened(bad) as shown:
        found = "\n".join(faults(shown))
    for fault in ("2 pictures missing", "wide", "asked for http", "spoken", "thrown is not defined"):
        assert fault in found


# --------------------------------------------------------------------------------------------------- what it holds


def test_a_page_needs_nothing_but_itself(page):
    document = lxml.html.parse(str(page)).getroot()
    (policy,) = document.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not document.xpath("//script | //link | //iframe")
    assert all(source.startswith("data:image/") for source in document.xpath("//@src"))


def test_a_page_leads_to_each_of_its_sections(page):
    document = lxml.html.parse(str(page)).getroot()
    titles = ["What was measured", "Scores", "Curves", "Clips", "Strips", "Protocol"]
    assert document.xpath("//section/h2/text()") == titles
    assert [document.get_element_by_id(link[1:]).find("h2").text for link in document.xpath("//nav//@href")] == titles


def test_whatever_is_said_is_shown_as_it_is(tmp_path, clip):
    sections = [
        Text(EVIL, [EVIL]),
        Table(EVIL, [EVIL], {EVIL: [EVIL]}, note=EVIL),
        LineChart(EVIL, [1, 2], {EVIL: [1.0, 2.0]}, EVIL, EVIL, EVIL),
        Gallery(EVIL, [Media(EVIL, encode_png_uri(clip[0]))], EVIL),
        Definitions(EVIL, {EVIL: EVIL, "within": {EVIL: [EVIL]}}, EVIL),
    ]
    write_page(tmp_path / "evil.html", title=EVIL, subtitle=EVIL, sections=sections)
    document = lxml.html.parse(str(tmp_path / "evil.html")).getroot()
    assert not document.xpath("//mark")
    assert document.text_content().count(EVIL) == 31  # alternative texts and labels beside
    assert document.xpath("//img/@alt") == [EVIL]


def test_a_name_that_is_no_unicode_does_not_spoil_a_page(tmp_path):
    write_page(tmp_path / "page.html", title="clip-\udce9.mp4", subtitle="", sections=[])
    assert "clip-?.mp4" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_page_that_fails_leaves_the_older_one(tmp_path):
    path = tmp_path / "new" / "report.html"
    write_page(path, title="old", subtitle="", sections=[])
    with pytest.raises(ValueError, match="base64"):
        write_page(path, title="new", subtitle="", sections=[Gallery("", [Media("", "data:image/png;base64,A")])])
    assert "<h1>old</h1>" in path.read_text()


# ---------------------------------------------------------------------------------------------------------- tables

ROWS = {"model": [1.0, 9.0, None], "rival": [2.0, 9.5, 7.0], "other": [3.0, float("nan"), "n/a"]}


@pytest.mark.parametrize(
    ("best", "by", "expected"),
    [
        ("", "column", []),
        ("lowest", "column", ["1.0", "9.0"]),
        ("highest", "column", ["9.5", "3.0"]),
        ({"a": "highest", "b": "lowest"}, "column", ["9.0", "3.0"]),
        ("highest", "row", ["9.0", "9.5"]),
        ({"rival": "lowest"}, "row", ["2.0"]),
    ],
)
def test_a_table_marks_the_best_of_several_numbers(best, by, expected):
    assert marked(Table("", ["a", "b", "c"], ROWS, digits=1, best=best, best_within=by)) == expected


def test_equals_are_all_best_but_nothing_is_where_all_are_equal():
    assert marked(Table("", ["a", "b"], {"x": [1, 5], "y": [1, 5], "z": [2, 5]}, best="lowest")) == ["1", "1"]


def test_each_column_may_have_digits_of_its_own():
    cells = parsed(Table("", ["a", "b"], {"x": [1.0, 1.0]}, digits={"a": 1})).xpath("//td/text()")
    assert cells == ["1.0", "1.000"]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (-float("inf"), "−∞"),
        ("n/a", "n/a"),
        ("left-right", "left-right"),
        (-12, "−12"),
        (12345, "12345"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (1.23456, "1.235"),
        (np.float64(-0.0005), "−0.001"),
        (0.00049, "4.90×10⁻⁴"),
        (-3.2e-12, "−3.20×10⁻¹²"),
    ],
)
def test_a_number_is_written_so_that_it_says_something(cell, text):
    assert format_number(cell) == text


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="1 cells in row 'x' of the table 'Scores' with 2 columns"):
        Table("Scores", ["a", "b"], {"x": [1]})
    with pytest.raises(ValueError, match="1 numbers in 'x' of 'Loss' for 2 places"):
        LineChart("Loss", [1, 2], {"x": [1.0]}, "step", "loss")


def test_what_has_seen_the_ground_truth_is_never_the_best():
    rows = {"model": [1.0, 2.0], "best of 8": [0.5, 1.0], "baseline": [3.0, 1.5]}
    assert marked(Table("", ["a", "b"], rows, best="lowest", digits=1, unranked={"best of 8"})) == ["1.0", "1.5"]
    turned = {"a": [1.0, 0.5, 3.0]}
    table = Table("", [*rows], turned, best="lowest", best_within="row", digits=1, unranked={"best of 8"})
    assert marked(table) == ["1.0"]


# --------------------------------------------------------------------------------------------------------- verdict


def test_a_verdict_stands_above_everything_else(tmp_path):
    write_page(tmp_path / "page.html", title="T", subtitle="S", sections=[Text("A", ["a"])], verdict=["Better.", EVIL])
    document = lxml.html.parse(str(tmp_path / "page.html")).getroot()
    assert document.xpath("//div[@class='verdict']/p/text()") == ["Better.", EVIL]
    assert document.xpath("//div[@class='verdict']/following::nav")
    write_page(tmp_path / "page.html", title="T", subtitle="S", sections=[])
    assert not lxml.html.parse(str(tmp_path / "page.html")).getroot().find_class("verdict")


@pytest.mark.parametrize(
    ("value", "baseline", "best", "sentence"),
    [
        (28.1, 26.7, "highest", "PSNR: model 28.10 is better than last frame 26.70, by 1.40 (5 %)."),
        (28.1, 26.7, "lowest", "PSNR: model 28.10 is worse than last frame 26.70, by 1.40 (5 %)."),
        (0.2, 0.4, "lowest", "PSNR: model 0.20 is better than last frame 0.40, by 0.20 (50 %)."),
        (1.0, 0.0, "highest", "PSNR: model 1.00 is better than last frame 0.00, by 1.00."),
        (2.0, 2.0, "highest", "PSNR: model 2.00 equals last frame 2.00."),
        (float("nan"), 2.0, "highest", "PSNR: model – cannot be compared with last frame 2.00."),
    ],
)
def test_a_difference_is_described_in_a_sentence(value, baseline, best, sentence):
    described = describe_difference(
        "PSNR", method="model", value=value, baseline="last frame", baseline_value=baseline, best=best, digits=2
    )
    assert described == sentence


# ----------------------------------------------------------------------------------------------------------- media


def frames(media: str) -> list[Image.Image]:
    with Image.open(BytesIO(b64decode(media.partition(",")[2]))) as opened:
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(opened)]


def test_a_picture_keeps_every_pixel(clip):
    (shown,) = frames(encode_png_uri(clip[0]))
    assert np.array_equal(np.asarray(shown), clip[0].permute(1, 2, 0).numpy())


def test_an_animation_keeps_every_pixel_and_the_time(clip):
    media = encode_webp_uri(clip, rate=30)
    assert media.startswith("data:image/webp;base64,")
    assert np.array_equal(np.stack(frames(media)), clip.permute(0, 2, 3, 1).numpy())
    with Image.open(BytesIO(b64decode(media.partition(",")[2]))) as opened:
        durations = []
        for _ in ImageSequence.Iterator(opened):
            opened.load()
            durations.append(opened.info["duration"])
        assert opened.info["loop"] == 0
    assert durations == [33, 34, 33, 33, 34]


def test_a_clip_of_one_frame_is_an_animation_too(clip):
    assert np.array_equal(np.asarray(frames(encode_webp_uri(clip[:1], rate=8))[0]), clip[0].permute(1, 2, 0).numpy())
