"""The report of an animator's evaluation as a page: verdict, clips, table."""

from pathlib import Path

from gancore.evaluation.config import REPORT_PAGE
from gancore.evaluation.report import write_report_json
from gancore.reporting.page import Definitions, Gallery, Media, Table, encode_png_uri, write_page
from vidgan.animation.evaluate import Evaluation
from vidgan.files.captions import make_sheet


def write_report(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write report.json and report.html into the folder; return their paths."""
    report, page = evaluation.report, folder / REPORT_PAGE
    written = write_report_json(report, folder)
    galleries = [
        Gallery(what, [Media(f"clip {n}", encode_png_uri(make_sheet(row))) for n, row in enumerate(rows, 1)])
        for what, rows in evaluation.shown.items()
    ]
    methods = list(dict.fromkeys(name for measure in report.measures for name in measure.scores))
    table = Table(
        "Scores",
        [measure.title for measure in report.measures],
        {name: [measure.scores.get(name) for measure in report.measures] for name in methods},
        digits={measure.title: measure.digits for measure in report.measures},
        best={measure.title: measure.best for measure in report.measures},
        note=f"Means over {report.clips} held-out clips.",
    )
    write_page(
        page,
        title="Figures that move as others",
        subtitle=str(report.protocol["model"]),
        sections=[
            *galleries,
            table,
            Definitions("What the scores mean", {measure.title: measure.meaning for measure in report.measures}),
            Definitions("Protocol", report.protocol),
            Definitions("Software", report.provenance),
        ],
        verdict=list(map(str, report.verdicts())),
    )
    return [written, page]
