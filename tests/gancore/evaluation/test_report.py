"""A report is JSON with a schema version that reads back; verdicts say who is better and by how much."""

import json
from dataclasses import dataclass

import pytest

from gancore.evaluation.examples import select_extremes
from gancore.evaluation.report import SCHEMA, Curve, Number, read_report_json, write_report_json
from gancore.evaluation.verdict import judge_methods


@dataclass(frozen=True, kw_only=True)
class Part:
    name: str
    curve: Curve


@dataclass(frozen=True, kw_only=True)
class Whole:
    schema: int = SCHEMA
    parts: dict[str, list[Part]]
    scores: dict[str, dict[str, Number] | None]
    extra: Part | None = None


WHOLE = Whole(parts={"a": [Part(name="x", curve=[1.5, None])]}, scores={"a": {"b": 1}, "c": None})


def test_a_report_reads_back_as_it_was_written(tmp_path):
    path = write_report_json(WHOLE, tmp_path / "new")
    assert path == tmp_path / "new" / "report.json"
    assert read_report_json(Whole, path) == read_report_json(Whole, path.parent) == WHOLE


def test_a_number_that_is_not_finite_is_written_as_null(tmp_path):
    path = write_report_json(Part(name="x", curve=[float("nan"), 2.0]), tmp_path)
    assert json.loads(path.read_text())["curve"] == [None, 2.0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "is not a report with a schema version"),
        ("[1]", "is not a report with a schema version"),
        ("no JSON", r"cannot read .*report\.json as a report"),
        ("[" * 10_000, r"cannot read .*report\.json as a report: it is nested too deeply"),
        ('{"schema": 1, "schema": 1}', "duplicate key schema"),
        ('{"schema": 0}', "has schema version 0, and this version reads 1: evaluate again"),
        ('{"schema": 1}', "does not hold a Whole: report has no parts"),
    ],
)
def test_what_is_not_a_report_of_this_version_is_refused(tmp_path, text, complaint):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_report_json(Whole, tmp_path)


@pytest.mark.parametrize("wrong", [{}, [], "three", 3, True, None, [[1]], [{"name": 1}]])
def test_an_entry_of_another_type_is_named(tmp_path, wrong):
    written = json.loads(write_report_json(WHOLE, tmp_path).read_text())
    refused = 0
    for name in written.keys() - {"schema"}:
        (tmp_path / "report.json").write_text(json.dumps(written | {name: wrong}))
        try:
            read_report_json(Whole, tmp_path)
        except ValueError as error:
            refused += 1
            assert f"does not hold a Whole: report.{name}" in str(error)  # noqa: PT017 (some types are right)
    assert refused


# ------------------------------------------------------------------------------------------------ verdicts and examples


def test_a_verdict_names_the_best_baseline_and_by_how_much_it_is_beaten():
    scores = {"model": 0.3, "other": 0.6, "repeat": 0.4, "black": 0.9, "missing": None}
    better, worse = judge_methods(
        "CRPS",
        scores,
        methods=["model", "other", "absent"],
        baselines=["repeat", "black", "missing"],
        higher_is_better=False,
    )
    assert better.is_better
    assert str(better) == "CRPS: model 0.3000 is better than repeat (the best baseline) 0.4000, by 0.1000 (25 %)."
    assert not worse.is_better
    assert str(worse) == "CRPS: other 0.6000 is worse than repeat (the best baseline) 0.4000, by 0.2000 (50 %)."


def test_a_tie_is_called_a_tie_and_without_baselines_there_is_no_verdict():
    (tie,) = judge_methods("IoU", {"a": 0.5, "b": 0.5}, methods=["a"], baselines=["b"], higher_is_better=True)
    assert str(tie) == "IoU: a 0.5000 equals b (the best baseline) 0.5000."
    assert judge_methods("IoU", {"a": 0.5}, methods=["a"], baselines=["b"], higher_is_better=True) == []


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 40])
def test_best_median_and_worst_are_different_items_in_order(count):
    scores = [(7 * index) % count / count for index in range(count)]
    found = select_extremes(scores, 3)
    shown = [*found.best, *found.median, *found.worst]
    assert len(set(shown)) == len(shown) == min(count, 9)
    assert [scores[index] for index in shown] == sorted((scores[index] for index in shown), reverse=True)
    assert max(scores) == scores[shown[0]]
    assert min(scores) == scores[shown[-1]]
