"""Blind pairs: what a rater sees and does in a real browser, and what comes of the answers."""

import json

import lxml.html
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from support.browser import faults

from gancore.reporting.page import Media, encode_png_uri
from gancore.reporting.preference import (
    ALL_RATERS,
    PreferencePair,
    compute_agreement,
    format_preferences,
    read_ratings,
    wilson_interval,
    write_rating_page,
)

REAL, FAKE = "filmed by a person", "made by the model"
VISIBLE = "[...document.querySelectorAll('.pair')].findIndex(pair => pair.offsetParent)"


def coloured(red: int, blue: int) -> str:
    return encode_png_uri(torch.tensor([red, 0, blue], dtype=torch.uint8)[:, None, None].expand(3, 6, 8).contiguous())


@pytest.fixture
def pairs():
    return [
        PreferencePair(f"walk {n}", Media(REAL, coloured(255 - n, n)), Media(FAKE, coloured(n, 255 - n)))
        for n in range(6)
    ]


@pytest.fixture
def page(tmp_path, pairs):
    """A page of six pairs, its key beside it."""
    write_rating_page(tmp_path / "rate.html", pairs, question="Which one was filmed?", seed=0)
    return tmp_path / "rate.html"


def shown(path) -> list[list[str]]:
    """The media of each pair, left and right, in the order of the page."""
    document = lxml.html.parse(str(path)).getroot()
    return [pair.xpath(".//img/@src") for pair in document.find_class("pair")]


def key_of(path) -> dict:
    return json.loads(path.with_suffix(".key.json").read_text())


def saved(path, page, answers, *, rater="") -> str:
    path.write_text(json.dumps({"page": key_of(page)["page"], "rater": rater, "answers": answers}))
    return str(path)


def choosing(page, label, count=6) -> dict[str, str]:
    """Answers that choose what is called so in the first pairs."""
    solutions = key_of(page)["pairs"][:count]
    return {str(place): "left" if pair["left"] == label else "right" for place, pair in enumerate(solutions)}


# ------------------------------------------------------------------------------------------------------- the page


def test_nothing_in_the_page_says_which_is_which(page):
    text = page.read_text()
    for said in (REAL, FAKE, "walk", "filmed by", "made by"):
        assert said not in text
    names = set(lxml.html.parse(str(page)).xpath("//img/@alt"))
    assert names == {"The one on the left", "The one on the right"}


def test_the_key_says_which_is_which(page, pairs):
    media = {pair.name: {side.caption: side.data_uri for side in (pair.a, pair.b)} for pair in pairs}
    solutions = key_of(page)["pairs"]
    assert sorted(pair["name"] for pair in solutions) == sorted(media)
    for (left, right), pair in zip(shown(page), solutions, strict=True):
        assert (left, right) == (media[pair["name"]][pair["left"]], media[pair["name"]][pair["right"]])


def test_each_side_is_left_equally_often_and_the_seed_decides(tmp_path, pairs):
    orders = []
    for seed in (1, 1, 2, 3):
        write_rating_page(tmp_path / "rate.html", pairs, question="Which?", seed=seed)
        key = key_of(tmp_path / "rate.html")
        assert sum(pair["left"] == REAL for pair in key["pairs"]) == 3
        orders.append((key["page"], tuple((pair["name"], pair["left"]) for pair in key["pairs"])))
    assert orders[0] == orders[1]
    assert len({number for number, _ in orders}) == len({order for _, order in orders}) == 3


def test_a_page_needs_pairs_that_can_be_told_apart(tmp_path):
    with pytest.raises(ValueError, match="at least one pair"):
        write_rating_page(tmp_path / "rate.html", [], question="Which?", seed=0)
    with pytest.raises(ValueError, match="both sides of the pair 'x' are called 'model'"):
        PreferencePair("x", Media("model", coloured(0, 0)), Media("model", coloured(1, 1)))


@pytest.mark.parametrize("width", [400, 1000])
def test_a_browser_shows_one_pair_without_fault(browser, page, width):
    with browser.opened(page, width=width, dark=width == 400) as rating:
        assert faults(rating) == []
        assert rating.value("[...document.querySelectorAll('.pair')].filter(pair => pair.offsetParent).length") == 1
        words = rating.value("document.documentElement.outerHTML.replace(/data:[^\"]*/g, '')")
        assert REAL not in words
        assert "0 of 6" in words


def test_a_rater_chooses_by_key_and_click_goes_away_comes_back_and_saves(browser, page, tmp_path, use):
    folder = tmp_path / "saved"
    folder.mkdir()
    with browser.opened(page, saves=folder) as rating:
        for key in ("1", "x", "2", "0"):  # x is none
            rating.press(key)
        rating.press("Backspace")
        rating.press("1")
        rating.go(page)
        assert rating.value(VISIBLE) == 3
        rating.click("#rater")
        rating.press("A")
        rating.press("2")  # a name, not an answer
        rating.click(".pair:not([hidden]) [data-choice=right]")
        rating.click(".buttons [data-choice=tie]")
        rating.click("#back")
        rating.click(".buttons [data-choice=tie]")
        rating.press("1")
        rating.press("1")  # after the last there is none
        assert rating.value("document.querySelector('.end').offsetParent !== null")
        assert "6 of 6" in rating.value("document.body.innerText")
        rating.click("#save")
        answers = rating.downloaded(folder)
        assert faults(rating) == []
    content = json.loads(answers.read_text())
    assert content["rater"] == "A2"
    assert content["answers"] == dict(zip("012345", ["left", "right", "left", "right", "tie", "left"], strict=True))
    said = use("read_ratings", answers, "--key", page.with_suffix(".key.json"), "--out", "numbers.json")
    assert said.code == 0
    assert said.out.startswith(f"{REAL} over {FAKE}")
    assert json.loads((tmp_path / "numbers.json").read_text())["preferences"][0]["pairs"] == 6


PAINTED = """
const storage = Object.getOwnPropertyDescriptor(window, "localStorage"), asked = [];
let painted = false;
requestAnimationFrame(() => { painted = true; });
Object.defineProperty(window, "localStorage", {get() { asked.push(painted); return storage.get.call(window); }});
"""


def test_answers_are_looked_for_when_the_page_is_painted(browser, page):
    """Chromium may give a file that asks before an empty store, and forgets what is put there."""
    with browser.opened(page) as rating:
        rating.before(PAINTED)
        rating.go(page)
        assert rating.value("asked") == [True]
        rating.press("1")
        assert rating.value("asked") == [True, True]


def test_a_browser_that_keeps_nothing_still_rates(browser, page):
    with browser.opened(page) as rating:
        rating.before("Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied'); }})")
        rating.go(page)
        rating.press("1")
        assert rating.value(VISIBLE) == 1
        assert faults(rating) == []


def test_two_pages_keep_their_answers_apart(browser, page, tmp_path, pairs):
    other = tmp_path / "other.html"
    write_rating_page(other, pairs, question="Which one was filmed?", seed=5)
    with browser.opened(page) as rating:
        rating.press("1")
        rating.go(other)
        assert rating.value(VISIBLE) == 0
        rating.go(page)
        assert rating.value(VISIBLE) == 1


# ---------------------------------------------------------------------------------------------------- the answers


def test_a_rater_who_always_chooses_the_real_one_prefers_it_whatever_the_side(page, tmp_path):
    answers = saved(tmp_path / "a.json", page, choosing(page, REAL), rater="Ann")
    ann, pooled = read_ratings([answers], key=page.with_suffix(".key.json"))
    assert (ann.first, ann.second, ann.rater, ann.pairs, ann.share, ann.ties) == (REAL, FAKE, "Ann", 6, 1.0, 0.0)
    assert ann.high == 1.0
    assert 0.5 < ann.low < 0.7
    assert (pooled.rater, pooled.share, pooled.agreement, pooled.alpha) == (ALL_RATERS, 1.0, None, None)


def test_ties_count_half_and_raters_are_pooled_by_pair(page, tmp_path):
    ties = {str(place): "tie" for place in range(4)}
    files = [
        saved(tmp_path / "a.json", page, choosing(page, REAL), rater="Ann"),
        saved(tmp_path / "b.json", page, ties),
        saved(tmp_path / "c.json", page, choosing(page, FAKE, 1), rater="Cleo"),
    ]
    ann, unnamed, cleo, pooled = read_ratings(files, key=page.with_suffix(".key.json"))
    assert [one.share for one in (ann, unnamed, cleo)] == [1.0, 0.5, 0.0]
    assert unnamed.rater == files[1]
    assert (unnamed.ties, pooled.ties) == (1.0, 4 / 11)
    assert pooled.pairs == 6
    assert pooled.share == pytest.approx((0.5 + 3 * 0.75 + 2 * 1.0) / 6)
    assert pooled.agreement == 0.0
    assert pooled.alpha < 0


def test_several_makers_are_compared_two_by_two(tmp_path):
    makers = [("a", "b"), ("b", "a"), ("b", "c")]
    pairs = [
        PreferencePair(str(n), Media(a, coloured(n, 0)), Media(b, coloured(n, 9))) for n, (a, b) in enumerate(makers)
    ]
    key = write_rating_page(tmp_path / "rate.html", pairs, question="Which?", seed=0)
    answers = saved(tmp_path / "a.json", tmp_path / "rate.html", choosing(tmp_path / "rate.html", "b"), rater="Ann")
    found = read_ratings([answers], key=key)
    assert [(one.first, one.second, one.rater, one.pairs, one.share) for one in found] == [
        ("a", "b", "Ann", 2, 0.0),
        ("a", "b", ALL_RATERS, 2, 0.0),
        ("b", "c", "Ann", 1, 1.0),
        ("b", "c", ALL_RATERS, 1, 1.0),
    ]


@given(count=st.integers(1, 200), data=st.data())
def test_the_interval_is_wilsons(count, data):
    chosen = data.draw(st.integers(0, count))
    reference = binomtest(chosen, count).proportion_ci(method="wilson")
    assert wilson_interval(chosen / count, count) == pytest.approx((reference.low, reference.high), abs=1e-6)


def test_alpha_is_krippendorffs():
    """The worked example of three coders that encyclopaedias give, whose nominal alpha is 0.691."""
    coders = ["*****34121133*3", "1*213343*******", "**21344*21133*4"]
    units = [[float(answer) for answer in unit if answer != "*"] for unit in zip(*coders, strict=True)]
    assert compute_agreement(units)[1] == pytest.approx(0.691, abs=5e-4)


def test_raters_who_all_agree_do_so_wholly_and_chance_is_about_nothing():
    assert compute_agreement([[1.0, 1.0], [0.0, 0.0, 0.0], [0.5]]) == (1.0, 1.0)
    assert compute_agreement([[1.0, 1.0], [1.0, 1.0]]) == (1.0, None)
    coins = torch.randint(2, (4000, 2), generator=torch.Generator().manual_seed(0)).double().tolist()
    assert compute_agreement(coins) == pytest.approx((0.5, 0.0), abs=0.05)


# ------------------------------------------------------------------------------------------------ users' mistakes


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "cannot read a.json as what a page saves: Expecting property name"),
        ("[]", "a.json should hold page, rater, answers"),
        ('{"page": "PAGE", "rater": "", "answers": []}', "a.json should hold page, rater, answers"),
        ('{"page": "?", "rater": "", "answers": {"0": "tie"}}', "a.json answers another page"),
        ('{"page": "PAGE", "rater": "", "answers": {}}', "a.json holds no answers yet"),
        ('{"page": "PAGE", "rater": "", "answers": {"6": "tie"}}', "a.json: 'tie' is not an answer to pair '6' of 6"),
        ('{"page": "PAGE", "rater": "", "answers": {"0": "up"}}', "a.json: 'up' is not an answer to pair '0' of 6"),
        ('{"page": "PAGE", "rater": "", "answers": {"0": []}}', "a.json: [] is not an answer to pair '0' of 6"),
        *(
            (f'{{"page": "PAGE", "rater": "", "answers": {answers}}}', complaint)
            for answers, complaint in {
                '{"0": {"a": 1}}': "a.json: {'a': 1} is not an answer to pair '0' of 6",
                '{"00": "tie"}': "a.json: 'tie' is not an answer to pair '00' of 6",
                '{"\\u0663": "tie"}': "a.json: 'tie' is not an answer to pair",
                '{"0": "tie", "0": "left"}': "cannot read a.json as what a page saves: duplicate key 0",
                f'{{"{"9" * 5000}": "tie"}}': "a.json: 'tie' is not an answer to pair '999",
            }.items()
        ),
        (
            '{"page": "PAGE", "rater": "all raters", "answers": {"0": "tie"}}',
            "a.json: no rater can be called 'all raters'",
        ),
        ("[" * 10_000, "cannot read a.json as what a page saves: it is nested too deeply"),
        (None, "no such file: a.json"),
    ],
)
def test_answers_that_cannot_be_read_are_named_in_one_line(page, tmp_path, use, content, complaint):
    if content is not None:
        (tmp_path / "a.json").write_text(content.replace("PAGE", key_of(page)["page"]))
    said = use("read_ratings", "a.json", "--key", page.with_suffix(".key.json"))
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith(f"read_ratings.py: error: {complaint}")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("pair", [3, {}, {"left": "a"}, {"left": 1, "right": 2}, {"left": "a", "right": "a"}])
def test_a_key_whose_pairs_do_not_name_two_methods_is_refused(page, pair):
    key = page.with_suffix(".key.json")
    key.write_text(json.dumps(key_of(page) | {"pairs": [pair]}))
    with pytest.raises(ValueError, match=r"rate\.key\.json: pair 0 does not name two methods"):
        read_ratings([], key=key)


def test_a_name_cannot_move_the_cursor_in_a_table(page, tmp_path, capsys):
    answers = saved(tmp_path / "a.json", page, {"0": "tie"}, rater="\x1b[2J\u202eAnn")
    print(format_preferences(read_ratings([answers], key=page.with_suffix(".key.json"))))
    assert r"\x1b[2J\u202eAnn" in capsys.readouterr().out


def test_answers_are_not_taken_for_a_key_and_no_rater_counts_twice(page, tmp_path, use):
    saved(tmp_path / "a.json", page, choosing(page, REAL), rater="Ann")
    saved(tmp_path / "b.json", page, choosing(page, REAL, 2), rater="Ann")
    said = use("read_ratings", "a.json", "b.json", "--key", page.with_suffix(".key.json"))
    assert (said.code, said.err) == (
        2,
        "read_ratings.py: error: a.json and b.json are both by Ann: give the later one alone\n",
    )
    said = use("read_ratings", "a.json", "--key", "b.json")
    assert (said.code, said.err) == (
        2,
        "read_ratings.py: error: b.json should hold page, pairs, as a page's key does\n",
    )
