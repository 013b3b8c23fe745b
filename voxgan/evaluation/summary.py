"""The report of an evaluation of objects as text for a terminal."""

from collections.abc import Mapping, Sequence

from gancore.reporting.tables import format_table
from voxgan.evaluation.reconstruction import FIXED_THRESHOLDS
from voxgan.evaluation.report import IoUReport, ReconstructionReport, Scores, VoxelReport

THRESHOLD_NAMES = (*(f"{value:g}" for value in FIXED_THRESHOLDS), "chosen")
IOU_COLUMNS = (*(f"@{value:g}" for value in FIXED_THRESHOLDS), "chosen", "class mean")


def format_summary(report: VoxelReport) -> str:
    """Format a heading, then tables of what was measured."""
    settings = report.settings
    blocks = [f"{describe_data(report)}, {report.side}^3 voxels, seed {settings['seed']}"]
    if report.reconstruction:
        blocks += _format_reconstruction(report.reconstruction, draws=settings["view_draws"])
    if report.generation:
        blocks.append(format_scores(f"generation, {report.generation.objects} objects", report.generation.scores))
        if report.generation.classes:
            blocks.append(format_scores("generation by class, IoU", report.generation.classes))
        blocks += [format_scores(f"fidelity by {name}", scores) for name, scores in report.generation.fidelity.items()]
    if report.probe:
        blocks.append(format_scores(f"classes of {report.probe.objects} objects", report.probe.scores))
    return "\n\n".join(blocks)


def describe_data(report: VoxelReport) -> str:
    """Name the data set, the classes and the split that were measured."""
    settings = report.settings
    return ", ".join([settings["data"], *settings["classes"], settings["split"]])


def tabulate_iou(rows: Mapping[str, IoUReport]) -> dict[str, list[float | int | None]]:
    """Return a row for each method in the order of IOU_COLUMNS: sample means by threshold, then the class mean."""
    return {
        name: [*(row.sample_mean.get(threshold) for threshold in THRESHOLD_NAMES), row.class_mean["chosen"]]
        for name, row in rows.items()
    }


def _format_reconstruction(report: ReconstructionReport, *, draws: int) -> list[str]:
    distance, ridge = report.baseline_choice.picture_distance, report.baseline_choice.ridge
    heading = (
        f"reconstruction of {report.objects} objects, {draws} draws of pictures each; sample means, then class mean "
        f"and classes at the threshold {report.threshold:g};\nchosen on {report.threshold_chosen_on}"
        + (f"; pictures compared by {distance}" if distance else "")
        + (f";\nridge regression from {ridge.features}" if ridge else "")
    )
    classes = list(next(iter(report.iou.values())).classes)
    rows = {
        name: [_format_cell(cell) for cell in [*row, *(report.iou[name].classes[label] for label in classes)]]
        for name, row in tabulate_iou(report.iou).items()
    }
    tables = [heading, format_table("IoU", [*IOU_COLUMNS, *(label or "all" for label in classes)], rows)]
    if report.surfaces:
        tables.append(format_scores("surfaces", report.surfaces.scores))
        tables += [
            format_scores(f"fidelity of reconstructions by {name}", scores)
            for name, scores in report.surfaces.fidelity.items()
        ]
    return tables


def format_scores(title: str, scores: Scores) -> str:
    """Format a table with a row for each score and a column for each set or method."""
    names = list(dict.fromkeys(name for column in scores.values() for name in column))
    rows: Mapping[str, Sequence[str]] = {
        name: [f"{column[name]:.3g}" if name in column else "-" for column in scores.values()] for name in names
    }
    return format_table(title, list(scores), rows)


def _format_cell(value: float | int | None) -> str:
    return "-" if value is None else f"{value:.3f}"
