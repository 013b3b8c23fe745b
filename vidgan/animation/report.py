"""The report of an animator's evaluation, for report.json and as text for a terminal."""

from dataclasses import dataclass
from typing import Any, Literal

from gancore.evaluation.report import SCHEMA, Number
from gancore.evaluation.verdict import Verdict, judge_methods
from gancore.reporting.tables import format_table


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number of every method."""

    title: str
    best: Literal["lowest", "highest"]
    digits: int
    meaning: str
    scores: dict[str, Number]
    """By method."""


@dataclass(frozen=True, kw_only=True)
class AnimationReport:
    """Everything that an evaluation of animators measured, and what it depends on."""

    schema: int = SCHEMA
    models: list[str]
    """Names of the methods that were trained; the others need no training."""
    clips: int
    measures: list[Measure]
    protocol: dict[str, Any]
    provenance: dict[str, Any]
    """Versions, device, seed and fingerprint of the data."""

    def verdicts(self) -> list[Verdict]:
        """Compare each model with the best method that is none, measure by measure."""
        return [
            verdict
            for measure in self.measures
            for verdict in judge_methods(
                measure.title,
                measure.scores,
                methods=self.models,
                baselines=[name for name in measure.scores if name not in self.models],
                higher_is_better=measure.best == "highest",
            )
        ]


def format_summary(report: AnimationReport) -> str:
    """Lay out a table with a row for each measure."""
    methods = list(dict.fromkeys(name for measure in report.measures for name in measure.scores))
    rows = {
        measure.title: [
            f"{measure.scores[name]:.{measure.digits}f}" if name in measure.scores else "-" for name in methods
        ]
        for measure in report.measures
    }
    return format_table(f"{report.clips} held-out clips", methods, rows)
