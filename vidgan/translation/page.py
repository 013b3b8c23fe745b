"""The report of a translator's evaluation as a page: verdict, clips, tables."""

from collections.abc import Iterator
from pathlib import Path

from gancore.evaluation.config import REPORT_PAGE
from gancore.evaluation.report import write_report_json
from gancore.reporting.page import Definitions, Gallery, Media, Section, Table, encode_png_uri, write_page
from vidgan.files.captions import make_sheet
from vidgan.translation.evaluate import Evaluation
from vidgan.translation.report import TaskReport, TranslationReport


def write_report(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write report.json and report.html into the folder; return their paths."""
    report = evaluation.report
    page = folder / REPORT_PAGE
    written = write_report_json(report, folder)
    write_page(
        page,
        title="From clip to clip",
        subtitle=f"{report.protocol['model']}: {', '.join(task.name for task in report.tasks)}",
        sections=list(_build_sections(evaluation)),
        verdict=list(map(str, report.verdicts())),
    )
    return [written, page]


def _build_sections(evaluation: Evaluation) -> Iterator[Section]:
    report = evaluation.report
    for task in report.tasks:
        sheets = [
            Media(f"clip {n}", encode_png_uri(make_sheet(row))) for n, row in enumerate(evaluation.shown[task.name], 1)
        ]
        yield Gallery(f"{task.name}: clips", sheets)
        yield _build_table(task, report)
        for name, network in task.sets.items():
            rows = {method: [scores["frechet_distance"]] for method, scores in network.scores.items() if scores}
            if rows:
                yield Table(f"{task.name}: sets of clips, by {name}", [network.distance], rows, best="lowest")
    yield Definitions("What the scores mean", {info.title: info.meaning for info in report.infos.values()})
    yield Definitions("Protocol", report.protocol)
    yield Definitions("Software", report.provenance)


def _build_table(task: TaskReport, report: TranslationReport) -> Table:
    infos = report.infos
    return Table(
        f"{task.name}: scores",
        [info.title for info in infos.values()],
        {method: [scores.get(name) for name in infos] for method, scores in task.scores.items()},
        digits={info.title: info.digits for info in infos.values()},
        best={info.title: "" if info.best == "nearest to 1" else info.best for info in infos.values()},
        note=f"Means over {task.clips} clips and their frames.",
    )
