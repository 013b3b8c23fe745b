"""The report of a translator's evaluation, for report.json and as text for a terminal."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gancore.evaluation.report import SCHEMA, Number
from gancore.evaluation.verdict import Verdict, judge_methods
from gancore.reporting.tables import format_table
from vidgan.evaluation.report import SetReport

SOURCE = "source"
"""Name of the source clip itself, enlarged if need be, among the methods."""


@dataclass(frozen=True, kw_only=True)
class ScoreInfo:
    """How a score is shown and read."""

    title: str
    best: Literal["lowest", "highest", "nearest to 1"]
    digits: int
    meaning: str


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """All methods on the clips of one task: a kind of degradation at one severity, or pairs from folders."""

    name: str
    clips: int
    scores: dict[str, dict[str, Number]]
    """Means over clips and frames, by method and score; pixels can be unknown in some tasks only."""
    sets: dict[str, SetReport]
    """By network."""

    def best_baseline(self, models: Collection[str]) -> str:
        """Return the name of the method of the highest PSNR that is no model."""
        return max((name for name in self.scores if name not in models), key=lambda name: self.scores[name]["psnr"])

    def verdicts(self, infos: Mapping[str, ScoreInfo], models: Collection[str]) -> list[Verdict]:
        """Compare each model with the best method that is none."""
        return [
            verdict
            for name, info in infos.items()
            if info.best != "nearest to 1"
            for verdict in judge_methods(
                f"{self.name}: {info.title}",
                {method: scores.get(name) for method, scores in self.scores.items()},
                methods=models,
                baselines=[method for method in self.scores if method not in models],
                higher_is_better=info.best == "highest",
            )
        ]


@dataclass(frozen=True, kw_only=True)
class TranslationReport:
    """Everything that an evaluation from clip to clip measured, and what it depends on."""

    schema: int = SCHEMA
    models: list[str]
    """Names of the methods that were trained, in the tables of every task."""
    infos: dict[str, ScoreInfo]
    """By score."""
    tasks: list[TaskReport]
    protocol: dict[str, Any]
    provenance: dict[str, Any]
    """Versions, device, seed and fingerprint of the data."""

    def verdicts(self) -> list[Verdict]:
        """Compare each model with the best method that is none, task by task."""
        return [verdict for task in self.tasks for verdict in task.verdicts(self.infos, self.models)]


def format_summary(report: TranslationReport) -> str:
    """Lay out a table for each task."""
    blocks = []
    for task in report.tasks:
        titles = [info.title for info in report.infos.values()]
        distances = {network.distance: network.scores for network in task.sets.values()}
        rows = {}
        for method, scores in task.scores.items():
            cells = [
                f"{scores[name]:.{info.digits}f}" if name in scores else "-" for name, info in report.infos.items()
            ]
            for of_method in (found.get(method) for found in distances.values()):
                cells.append("-" if of_method is None else f"{of_method['frechet_distance']:.3f}")
            rows[method] = cells
        blocks.append(format_table(f"{task.name}, {task.clips} clips", [*titles, *distances], rows))
    return "\n\n".join(blocks)
