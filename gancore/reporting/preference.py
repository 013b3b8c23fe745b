"""Blind choices between two clips or objects: a page that asks people, and what their answers say."""

import hashlib
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

from gancore.reporting.document import write_document
from gancore.reporting.page import Media
from gancore.reporting.provenance import write_json
from gancore.reporting.tables import format_table

CHOICES = ("left", "right", "tie")
ALL_RATERS = "all raters"


@dataclass(frozen=True)
class PreferencePair:
    """Two pictures or animations of the same thing; their captions say who made them, and no rater sees them."""

    name: str
    a: Media
    b: Media

    def __post_init__(self) -> None:
        if self.a.caption == self.b.caption:
            raise ValueError(f"both sides of the pair {self.name!r} are called {self.a.caption!r}")


def write_rating_page(path: str | Path, pairs: Sequence[PreferencePair], *, question: str, seed: int) -> Path:
    """Writes a page that shows the pairs one by one and lets the answers be saved; gives the path of its key.

    The page itself says nowhere which is which: that stands in the key, a JSON file beside it, which raters do not get.
    The seed decides the order, and who is on the left: `a` in half of the pairs. Raises ValueError without pairs.
    """
    if not pairs:
        raise ValueError("a rating page needs at least one pair")
    shuffled = _shuffle_pairs(pairs, seed)
    number = _page_id(shuffled, question)
    path = Path(path)
    key = path.with_suffix(".key.json")
    write_json({"page": number, "question": question, "pairs": [_key_entry(*pair) for pair in shuffled]}, key)
    blind = []
    for pair in shuffled:
        left, right = _left_and_right(*pair)
        blind.append([Media("The one on the left", left.data_uri), Media("The one on the right", right.data_uri)])
    write_document(
        path,
        "preference.html.j2",
        title=question,
        styles=("page.css", "preference.css"),
        scripts=("preference.js",),
        page=number,
        pairs=blind,
    )
    return key


def _shuffle_pairs(pairs: Sequence[PreferencePair], seed: int) -> list[tuple[PreferencePair, bool]]:
    """(Pair, whether its sides are swapped) in the order shown."""
    dice = random.Random(seed)
    swapped = [place % 2 == 1 for place in range(len(pairs))]
    dice.shuffle(swapped)
    return dice.sample(list(zip(pairs, swapped, strict=True)), len(pairs))


def _page_id(shuffled: Iterable[tuple[PreferencePair, bool]], question: str) -> str:
    """What tells this page from any other; it depends on all that is shown and its order."""
    shown = [[*_left_and_right(pair, swapped)] for pair, swapped in shuffled]
    media = [[side.data_uri for side in sides] for sides in shown]
    return hashlib.sha256(json.dumps([question, media]).encode()).hexdigest()[:16]


def _left_and_right(pair: PreferencePair, swapped: bool) -> tuple[Media, Media]:
    return (pair.b, pair.a) if swapped else (pair.a, pair.b)


def _key_entry(pair: PreferencePair, swapped: bool) -> dict[str, str]:
    left, right = _left_and_right(pair, swapped)
    return {"name": pair.name, "left": left.caption, "right": right.caption}


@dataclass(frozen=True)
class Preference:
    """How often `first` was chosen over `second`, ties counted half."""

    first: str
    second: str
    rater: str
    """Who chose; or all raters, each pair then counted once by the mean over them."""
    pairs: int
    """Different pairs that were judged."""
    ties: float
    """Share of ties among the answers."""
    share: float
    """From 0 to 1; 0.5 is no preference."""
    low: float
    """Lower end of the 95 % interval of Wilson, over pairs."""
    high: float
    """Upper end."""
    agreement: float | None = None
    """Share of two raters' answers to the same pair that are the same; None where no pair has two answers."""
    alpha: float | None = None
    """Their agreement beyond chance, from -1 to 1 (Krippendorff's alpha, nominal); None also if all chose the same."""


@dataclass(frozen=True, kw_only=True)
class RatingsConfig:
    """What the answers of people to a page of blind pairs say."""

    answers: tuple[str, ...]
    """Files that the page saved, one a rater."""

    key: str
    """The JSON file that was written beside the page."""

    out: str = ""
    """JSON file for the numbers; empty for none."""


def read_ratings(files: Iterable[str | Path], *, key: str | Path) -> list[Preference]:
    """Preferences of each rater and of all, for each two makers that were compared.

    Raises ValueError naming a file that holds no answers, or answers to another page, or those of a rater twice.
    """
    solution = _read_json_object(key, {"page": str, "pairs": list}, made="a page's key")
    judged: dict[tuple[str, str], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for rater, path, answers in _read_answers(files, page=solution["page"]):
        for place, makers, score in _iter_scores(answers, solution["pairs"], path):
            judged[makers][rater][place] = score
    return [preference for makers, raters in sorted(judged.items()) for preference in _preferences(makers, raters)]


def _read_answers(files: Iterable[str | Path], *, page: str) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """(Name, file, answers) of each rater; who gave no name is called by the file."""
    seen: dict[str, Path] = {}
    for path in map(Path, files):
        saved = _read_json_object(path, {"page": str, "rater": str, "answers": dict}, made="what a page saves")
        rater = saved["rater"] or str(path)
        if saved["page"] != page:
            raise ValueError(f"{path} answers another page than the one this key solves")
        if not saved["answers"]:
            raise ValueError(f"{path} holds no answers yet")
        if rater in seen:
            raise ValueError(f"{seen[rater]} and {path} are both by {rater}: give the later one alone")
        seen[rater] = path
        yield rater, path, saved["answers"]


def _read_json_object(path: str | Path, fields: Mapping[str, type], *, made: str) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict) or any(not isinstance(content.get(name), kind) for name, kind in fields.items()):
        raise ValueError(f"{path} should hold {', '.join(fields)}, as {made} does")
    return content


def _iter_scores(
    answers: Mapping[str, Any], pairs: Sequence[Mapping[str, str]], path: Path
) -> Iterable[tuple[int, tuple[str, str], float]]:
    """(Place of the pair, its makers in alphabetical order, 1 where the first was chosen, 0 the second, 0.5 none)."""
    for place, choice in answers.items():
        if choice not in CHOICES or not place.isdecimal() or int(place) >= len(pairs):
            raise ValueError(f"{path}: {choice!r} is no answer to pair {place!r} of {len(pairs)}")
        left, right = pairs[int(place)]["left"], pairs[int(place)]["right"]
        score = {"left": 1.0, "right": 0.0, "tie": 0.5}[choice]
        yield int(place), (min(left, right), max(left, right)), score if left <= right else 1 - score


def _preferences(makers: tuple[str, str], raters: Mapping[str, Mapping[int, float]]) -> list[Preference]:
    each = [_preference(makers, rater, [[score] for score in scores.values()]) for rater, scores in raters.items()]
    places = sorted({place for scores in raters.values() for place in scores})
    together = [[scores[place] for scores in raters.values() if place in scores] for place in places]
    return [*each, _preference(makers, ALL_RATERS, together)]


def _preference(makers: tuple[str, str], rater: str, scores: Sequence[Sequence[float]]) -> Preference:
    """Of the scores that each pair got."""
    means = [sum(of_pair) / len(of_pair) for of_pair in scores]
    answers = [score for of_pair in scores for score in of_pair]
    share, ties = sum(means) / len(means), answers.count(0.5) / len(answers)
    low, high = wilson_interval(share, len(means))
    return Preference(*makers, rater, len(means), ties, share, low, high, *compute_agreement(scores))


def compute_agreement(scores: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    """(Share of equal answers to the same pair, alpha) over the pairs with at least two answers."""
    shared = [of_pair for of_pair in scores if len(of_pair) > 1]
    if not shared:
        return None, None
    alike = [one == other for of_pair in shared for one, other in combinations(of_pair, 2)]
    answers = [score for of_pair in shared for score in of_pair]
    observed = sum(_disagreement(of_pair) * len(of_pair) for of_pair in shared) / len(answers)
    expected = _disagreement(answers)
    return sum(alike) / len(alike), 1 - observed / expected if expected else None


def _disagreement(answers: Sequence[float]) -> float:
    """The chance that two of these answers, drawn without putting back, differ."""
    same = sum(count * (count - 1) for count in Counter(answers).values())
    return 1 - same / (len(answers) * (len(answers) - 1))


def wilson_interval(share: float, count: int, *, z: float = 1.959964) -> tuple[float, float]:
    """The interval of a share of `count` independent trials (Wilson 1927), 95 % unless told."""
    shrink = 1 + z**2 / count
    middle = (share + z**2 / (2 * count)) / shrink
    reach = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / shrink
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def format_preferences(preferences: Sequence[Preference]) -> str:
    """A table for each two makers that were compared, in per cent of the pairs."""
    by_makers = groupby(preferences, lambda preference: (preference.first, preference.second))
    return "\n\n".join(
        format_table(
            f"{first} over {second}",
            ["pairs", "preferred %", "low", "high", "ties %", "agreement %", "alpha"],
            {preference.rater: _preference_row(preference) for preference in group},
            digits=1,
        )
        for (first, second), group in by_makers
    )


def _preference_row(preference: Preference) -> list[float | int | str]:
    alike, alpha = preference.agreement, preference.alpha
    return [
        str(preference.pairs),
        *(100 * share for share in (preference.share, preference.low, preference.high, preference.ties)),
        "-" if alike is None else 100 * alike,
        "-" if alpha is None else f"{alpha:.2f}",
    ]
