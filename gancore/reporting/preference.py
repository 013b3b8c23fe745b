"""Preference studies: a page of blind pairs for people to choose from, and statistics of their answers."""

import hashlib
import json
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

from gancore.errors import format_line
from gancore.files.outputs import KEY_SUFFIX
from gancore.files.reading import read_json
from gancore.reporting.document import write_document
from gancore.reporting.page import Media
from gancore.reporting.provenance import write_json
from gancore.reporting.tables import format_table

SIDES = ("left", "right")
CHOICES = (*SIDES, "tie")
ALL_RATERS = "all raters"


@dataclass(frozen=True)
class PreferencePair:
    """Two pictures or animations of the same thing; their captions name the methods, which no rater sees."""

    name: str
    a: Media
    b: Media

    def __post_init__(self) -> None:
        if self.a.caption == self.b.caption:
            raise ValueError(f"both sides of the pair {self.name!r} are called {self.a.caption!r}")


def write_rating_page(path: str | Path, pairs: Sequence[PreferencePair], *, question: str, seed: int) -> Path:
    """Writes a page that shows the pairs one by one and saves the answers as a file; returns the path of its key.

    Nothing in the page tells which side is which. The key does, a JSON file next to the page that raters do not get.
    The seed decides the order of the pairs and which side is on the left: `a` in half of the pairs. Raises ValueError
    if there are no pairs.
    """
    if not pairs:
        raise ValueError("a rating page needs at least one pair")
    shuffler = random.Random(seed)
    swapped = [number % 2 == 1 for number in range(len(pairs))]
    shuffler.shuffle(swapped)
    shuffled = shuffler.sample(list(zip(pairs, swapped, strict=True)), len(pairs))
    sides = [(pair.b, pair.a) if swap else (pair.a, pair.b) for pair, swap in shuffled]
    shown = [[left.data_uri, right.data_uri] for left, right in sides]
    page_id = hashlib.sha256(json.dumps([question, shown]).encode()).hexdigest()[:16]  # answers name it
    path = Path(path)
    key = path.with_suffix(KEY_SUFFIX)
    solution = [
        {"name": pair.name, "left": left.caption, "right": right.caption}
        for (pair, _), (left, right) in zip(shuffled, sides, strict=True)
    ]
    write_json({"page": page_id, "question": question, "pairs": solution}, key)
    write_document(
        path,
        "preference.html.j2",
        title=question,
        styles=("page.css", "preference.css"),
        scripts=("preference.js",),
        page=page_id,
        pairs=[(Media("The one on the left", left), Media("The one on the right", right)) for left, right in shown],
    )
    return key


@dataclass(frozen=True)
class Preference:
    """How often `first` was chosen over `second`, ties counted half."""

    first: str
    second: str
    rater: str
    """Name of the rater, or "all raters": each pair then counts once, by the mean over its raters."""
    pairs: int
    """Number of different pairs that were judged."""
    ties: float
    """Share of ties among the answers."""
    share: float
    """From 0 to 1; 0.5 is no preference."""
    low: float
    """Lower end of the 95 % Wilson interval of `share`, over pairs."""
    high: float
    """Upper end."""
    agreement: float | None = None
    """Share of equal answers among all two answers to the same pair; None if no pair has two answers."""
    alpha: float | None = None
    """Agreement beyond chance, from -1 to 1 (Krippendorff's alpha, nominal); None also if all answers are the same."""


def read_ratings(files: Iterable[str | Path], *, key: str | Path) -> list[Preference]:
    """Computes the preferences of each rater and of all raters together, for each two methods that were compared.

    Raises ValueError that names the file if it cannot be read, holds no answers, answers to another page, two answers
    to one pair, or a second set of answers by the same rater.
    """
    solution = _read_json_object(key, {"page": str, "pairs": list}, source="a page's key")
    for number, pair in enumerate(solution["pairs"]):
        sides = [pair.get(side) for side in SIDES] if isinstance(pair, dict) else []
        if not all(isinstance(side, str) for side in sides) or len(set(sides)) != 2:
            raise ValueError(f"{key}: pair {number} does not name two methods, as a page's key does")
    judged: dict[tuple[str, str], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for rater, path, answers in _read_answers(files, page=solution["page"]):
        for place, methods, score in _iter_scores(answers, solution["pairs"], path):
            judged[methods][rater][place] = score
    return [preference for methods, raters in sorted(judged.items()) for preference in _preferences(methods, raters)]


def _read_answers(files: Iterable[str | Path], *, page: str) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """(Name, file, answers) of each rater; without a name the file stands for it."""
    seen: dict[str, Path] = {}
    for path in map(Path, files):
        saved = _read_json_object(path, {"page": str, "rater": str, "answers": dict}, source="what a page saves")
        rater = saved["rater"] or str(path)
        if saved["page"] != page:
            raise ValueError(f"{path} answers another page than the one this key solves")
        if not saved["answers"]:
            raise ValueError(f"{path} holds no answers yet")
        if rater == ALL_RATERS:
            raise ValueError(f"{path}: no rater can be called {ALL_RATERS!r}, which stands for all of them together")
        if rater in seen:
            raise ValueError(f"{seen[rater]} and {path} are both by {rater}: give the later one alone")
        seen[rater] = path
        yield rater, path, saved["answers"]


def _read_json_object(path: str | Path, fields: Mapping[str, type], *, source: str) -> dict[str, Any]:
    content = read_json(Path(path), kind=source)
    if not isinstance(content, dict) or any(not isinstance(content.get(name), kind) for name, kind in fields.items()):
        raise ValueError(f"{path} should hold {', '.join(fields)}, as {source} does")
    return content


def _iter_scores(
    answers: Mapping[str, Any], pairs: Sequence[Mapping[str, str]], path: Path
) -> Iterable[tuple[int, tuple[str, str], float]]:
    """(Number of the pair, its methods in alphabetical order, 1 for the first, 0 for the second, 0.5 for a tie)."""
    for place, choice in answers.items():
        if choice not in CHOICES or not re.fullmatch("0|[1-9][0-9]{0,8}", place) or int(place) >= len(pairs):
            what = format_line(f"{choice!r} is not an answer to pair {place!r}", length=200)
            raise ValueError(f"{path}: {what} of {len(pairs)}")
        left, right = pairs[int(place)]["left"], pairs[int(place)]["right"]
        score = {"left": 1.0, "right": 0.0, "tie": 0.5}[choice]
        yield int(place), (min(left, right), max(left, right)), score if left <= right else 1 - score


def _preferences(methods: tuple[str, str], raters: Mapping[str, Mapping[int, float]]) -> list[Preference]:
    each = [_preference(methods, rater, [[score] for score in scores.values()]) for rater, scores in raters.items()]
    places = sorted({place for scores in raters.values() for place in scores})
    together = [[scores[place] for scores in raters.values() if place in scores] for place in places]
    return [*each, _preference(methods, ALL_RATERS, together)]


def _preference(methods: tuple[str, str], rater: str, scores: Sequence[Sequence[float]]) -> Preference:
    """The preference of a rater from the scores of each pair."""
    means = [sum(of_pair) / len(of_pair) for of_pair in scores]
    answers = [score for of_pair in scores for score in of_pair]
    share, ties = sum(means) / len(means), answers.count(0.5) / len(answers)
    low, high = wilson_interval(share, len(means))
    return Preference(*methods, rater, len(means), ties, share, low, high, *compute_agreement(scores))


def compute_agreement(scores: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    """Agreement and Krippendorff's alpha over the pairs with at least two answers, as in Preference.

    `scores` holds the answers to each pair: 1, 0.5 or 0.
    """
    shared = [of_pair for of_pair in scores if len(of_pair) > 1]
    if not shared:
        return None, None
    equal = [one == other for of_pair in shared for one, other in combinations(of_pair, 2)]
    answers = [score for of_pair in shared for score in of_pair]
    observed = sum(_disagreement(of_pair) * len(of_pair) for of_pair in shared) / len(answers)
    expected = _disagreement(answers)
    return sum(equal) / len(equal), 1 - observed / expected if expected else None


def _disagreement(answers: Sequence[float]) -> float:
    """The probability that two of these answers, drawn without replacement, differ."""
    same = sum(count * (count - 1) for count in Counter(answers).values())
    return 1 - same / (len(answers) * (len(answers) - 1))


def wilson_interval(share: float, count: int, *, z: float = 1.959964) -> tuple[float, float]:
    """The confidence interval of a share of `count` independent trials (Wilson 1927); 95 % for the default z."""
    scale = 1 + z**2 / count
    middle = (share + z**2 / (2 * count)) / scale
    half_width = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / scale
    return max(middle - half_width, 0.0), min(middle + half_width, 1.0)


def format_preferences(preferences: Sequence[Preference]) -> str:
    """Formats a table for each two methods that were compared, in per cent of the pairs."""
    by_methods = groupby(preferences, lambda preference: (preference.first, preference.second))
    return "\n\n".join(
        format_table(
            f"{first} over {second}",
            ["pairs", "preferred %", "low", "high", "ties %", "agreement %", "alpha"],
            {preference.rater: _preference_row(preference) for preference in group},
            digits=1,
        )
        for (first, second), group in by_methods
    )


def _preference_row(preference: Preference) -> list[float | int | str]:
    agreement, alpha = preference.agreement, preference.alpha
    return [
        str(preference.pairs),
        *(100 * share for share in (preference.share, preference.low, preference.high, preference.ties)),
        "-" if agreement is None else 100 * agreement,
        "-" if alpha is None else f"{alpha:.2f}",
    ]
