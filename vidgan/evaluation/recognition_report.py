"""The report on classifying clean, degraded and restored clips: as a file, a page and text for a terminal."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancore.evaluation.config import REPORT_PAGE
from gancore.evaluation.report import SCHEMA, write_report_json
from gancore.reporting.page import Definitions, Table, write_page
from gancore.reporting.tables import format_table

MEANINGS = {
    "accuracy": "Share of the held-out clips whose class the classifier names; it learned from clean clips alone.",
    "mPC": "Mean performance under corruption: the mean accuracy over all degradations and severities.",
    "rPC": "Relative performance under corruption: mPC divided by the accuracy on clean clips as they are.",
    "chance": "Share of the most frequent class among the held-out clips.",
}
PERCENT = 100.0


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Shares of the clips whose class was recognised, in [0, 1]."""

    spoilt: float
    restored: float | None
    """None without a restorer."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One degradation at one severity."""

    degradation: str
    severity: float
    accuracy: Accuracy


@dataclass(frozen=True, kw_only=True)
class RecognitionReport:
    """Everything that was measured, and what it depends on."""

    schema: int = SCHEMA
    clean: Accuracy
    """Of clean clips: as they are, under `spoilt`, and after the restorer, which should do no harm."""
    conditions: list[Condition]
    mean: Accuracy
    """mPC."""
    relative: Accuracy
    """rPC."""
    chance: float
    training_clips: int
    """Clips that the classifier learned from, in the mean over what was held out in turn."""
    held_out_clips: int
    classes: list[str]
    protocol: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def rows(self) -> dict[str, Accuracy]:
        """The rows of a table, by their names."""
        named = {f"{each.degradation}, severity {each.severity:g}": each.accuracy for each in self.conditions}
        return {"clean": self.clean, **named, "mPC": self.mean, "rPC": self.relative}


def summarise(clean: Accuracy, conditions: list[Condition]) -> tuple[Accuracy, Accuracy]:
    """Return mPC and rPC; rPC is 0 if no clean clip was recognised."""
    spoilt = sum(each.accuracy.spoilt for each in conditions) / len(conditions)
    found = [each.accuracy.restored for each in conditions if each.accuracy.restored is not None]
    restored = sum(found) / len(found) if found else None
    scale = 1 / clean.spoilt if clean.spoilt else 0.0
    relative = Accuracy(spoilt=scale * spoilt, restored=None if restored is None else scale * restored)
    return Accuracy(spoilt=spoilt, restored=restored), relative


def format_summary(report: RecognitionReport) -> str:
    """Format a heading and a table of accuracies in per cent."""
    columns = ["as it is", "restored"] if report.clean.restored is not None else ["as it is"]
    cells = {
        name: [f"{PERCENT * value:.1f}" for value in (each.spoilt, each.restored) if value is not None]
        for name, each in report.rows.items()
    }
    heading = (
        f"{report.protocol['data']['path']}: {report.held_out_clips} held-out clips of {len(report.classes)} classes, "
        f"{report.training_clips} to learn from, chance {PERCENT * report.chance:.1f} %"
    )
    table = format_table(f"accuracy (%), {report.protocol['network']}", columns, cells)
    return f"{heading}\n\n{table}"


def write_report(report: RecognitionReport, folder: Path) -> list[Path]:
    """Write report.json and report.html into the folder; return their paths."""
    written = write_report_json(report, folder)
    restores = report.clean.restored is not None
    table = Table(
        "Accuracy (%)",
        ["as it is", "restored"] if restores else ["as it is"],
        {
            name: [PERCENT * value for value in (each.spoilt, each.restored) if value is not None]
            for name, each in report.rows.items()
        },
        digits=1,
        note="Of clips of held-out videos; the classifier learned from clean clips.",
    )
    page = folder / REPORT_PAGE
    write_page(
        page,
        title="Recognition of spoilt clips",
        subtitle=f"{report.protocol['data']['path']}: {', '.join(report.classes)}",
        sections=[
            table,
            Definitions("What the scores mean", MEANINGS),
            Definitions("Protocol", report.protocol),
            Definitions("Software", report.provenance),
        ],
        verdict=[
            f"{PERCENT * report.clean.spoilt:.0f} % of the clean clips are recognised, and "
            f"{PERCENT * report.mean.spoilt:.0f} % of the spoilt ones"
            + (f", {PERCENT * report.mean.restored:.0f} % once they are restored" if report.mean.restored else "")
            + f"; chance is {PERCENT * report.chance:.0f} %."
        ],
    )
    return [written, page]
