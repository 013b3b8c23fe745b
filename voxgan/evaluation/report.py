"""What an evaluation says: tables for a terminal, and a folder of report.json and a page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gancore.reporting.charts import LineChart
from gancore.reporting.page import BestDirection, Definitions, Gallery, Section, Table, Text, write_page
from gancore.reporting.preference import write_rating_page
from gancore.reporting.provenance import write_json
from gancore.reporting.tables import format_table
from voxgan.evaluation.evaluate import (
    FIXED_THRESHOLDS,
    EvaluateConfig,
    EvaluationResult,
    method_name,
    open_dataset,
    select_objects,
)
from voxgan.evaluation.published import PublishedTable, published_classifications, published_reconstructions
from voxgan.evaluation.set_fidelity import load_image_network

BETTER_DIRECTION: dict[str, BestDirection] = {
    **dict.fromkeys(("cd_l1_half", "cd_l1_sum", "cd_l2_half", "cd_l2_sum", "emd", "without_surface"), "lowest"),
    **dict.fromkeys(("f_score", "precision", "recall", "normal_consistency"), "highest"),
    **dict.fromkeys(("ap", "ap_aligned", "accuracy", "class mean"), "highest"),
}
"""Scores of single objects of which more, or less, is always better."""
WITHOUT_WEIGHTS = "Left out: its network needs weights; get them by python tools/fetch_weights.py efficientnet."
RATING_QUESTION = "Which of the two looks more like a real object?"


def write_report(done: EvaluationResult, config: EvaluateConfig) -> list[Path]:
    """Writes what the settings ask for, each file whole or not at all; the files that there are now."""
    written = []
    if config.out:
        folder = Path(config.out)
        write_json(done.report, folder / "report.json")
        subtitle = f"{method_name(config)} on {', '.join([config.data, *config.classes, config.split])}"
        write_page(
            folder / "report.html", title="Objects, measured", subtitle=subtitle, sections=build_sections(done, config)
        )
        written += [folder / "report.json", folder / "report.html"]
    if config.rating_page:
        key = write_rating_page(config.rating_page, done.pairs, question=RATING_QUESTION, seed=config.seed)
        written += [Path(config.rating_page), key]
    return written


def build_sections(done: EvaluationResult, config: EvaluateConfig) -> Iterator[Section]:
    """The parts of the page in their order."""
    report = done.report
    if "reconstruction" in report:
        yield from reconstruction_sections(report, config)
    if "generation" in report:
        yield from generation_sections(report["generation"], config)
    if "probe" in report:
        yield from probe_sections(report["probe"], config)
    yield from (Gallery(title, items, note=gallery_note(title)) for title, items in done.galleries.items())
    for name in ("reconstruction", "generation", "probe"):
        if name in report:
            yield Definitions(f"Conventions of {name}", collect_conventions(report[name]))
    yield Definitions("Settings", report["settings"])
    yield Definitions("Where the numbers come from", report["provenance"])


def gallery_note(title: str) -> str:
    if "training" in title:
        return "Left the made object, right the training object with the highest IoU."
    return "From left to right: the first picture, if there is one, the true object, and what was made of it."


def collect_conventions(found: Mapping[str, Any]) -> dict[str, str]:
    return {**found["conventions"], **found.get("surfaces", {}).get("conventions", {})}


# ------------------------------------------------------------------------------------------------------ reconstruction


def reconstruction_sections(report: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Section]:
    found = report["reconstruction"]
    note = (
        f"{found['objects']} objects, {config.view_draws} draws of pictures each. The threshold {found['threshold']:g} of "
        f"the column chosen was chosen on {found['chosen on']}. The oracle is a bound and no rival."
    )
    if found["missing"]:
        note += f" {len(found['missing'])} objects were missing and count as empty: {', '.join(found['missing'][:5])}."
    yield Table("IoU", iou_columns(), iou_rows(found), note=note, best="highest")
    classes = list(next(iter(found["iou"].values()))["classes"])
    by_class = {name: [row["classes"][label] for label in classes] for name, row in found["iou"].items()}
    yield Table(
        "IoU by class", [label or "all" for label in classes], by_class, note="At the threshold that was chosen."
    )
    yield threshold_curves(found["by threshold"])
    packed = open_dataset(config)
    yield from map(
        published_section,
        published_reconstructions(packed, select_objects(packed, config.split, most=config.max_objects)),
    )
    if "surfaces" in found:
        yield scores_table("Surfaces", found["surfaces"]["scores"])


def iou_columns() -> list[str]:
    return [*(f"@{value:g}" for value in FIXED_THRESHOLDS), "chosen", "class mean"]


def iou_rows(found: Mapping[str, Any]) -> dict[str, list[float | None]]:
    names = [*(f"{value:g}" for value in FIXED_THRESHOLDS), "chosen"]
    return {
        name: [*(row["sample_mean"].get(column) for column in names), row["class_mean"]["chosen"]]
        for name, row in found["iou"].items()
    }


def threshold_curves(found: Mapping[str, Mapping[str, float]]) -> LineChart:
    x = [float(threshold) for threshold in next(iter(found.values()))]
    series = {name: list(row.values()) for name, row in found.items()}
    return LineChart("IoU by threshold", x, series, x_label="threshold", y_label="IoU, sample mean")


def published_section(published: PublishedTable) -> Table:
    return Table(f"Published: {published.title}", published.columns, published.rows, note=published.note)


def scores_table(title: str, scores: Mapping[str, Mapping[str, float]], *, note: str = "") -> Table:
    """A row for each score and a column for each of what is scored."""
    names = list(dict.fromkeys(name for column in scores.values() for name in column))
    rows = {name: [column.get(name) for column in scores.values()] for name in names}
    return Table(title, list(scores), rows, note=note, best=BETTER_DIRECTION, best_within="row", digits=4)


# ---------------------------------------------------------------------------------------------- generation and classes


def generation_sections(found: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Section]:
    note = f"{found['objects']} objects of each. Training objects in place of made ones are as good as it gets."
    yield scores_table("Objects from noise among real ones", found["scores"], note=note)
    for name, scores in found["fidelity"].items():
        yield scores_table(f"Fidelity by {name}", scores)
    if config.renders_per_object and not load_image_network():
        yield Text("Fidelity by renders", [WITHOUT_WEIGHTS])


def probe_sections(found: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Section]:
    note = (
        f"{found['classes']} classes, {found['training objects']} objects to fit to and {found['objects']} to test on. "
        f"The discriminator was trained on {found['discriminator trained on']}."
    )
    yield scores_table("Classes told by the discriminator's features", found["scores"], note=note)
    packed = open_dataset(config)
    yield from map(
        published_section,
        published_classifications(packed, select_objects(packed, config.split, most=config.max_objects)),
    )


# ------------------------------------------------------------------------------------------------------------ terminal


def format_summary(report: Mapping[str, Any]) -> str:
    """The protocol in a few lines, then tables of what was measured."""
    settings = report["settings"]
    what = ", ".join([settings["data"], *settings["classes"], settings["split"]])
    blocks = [f"{what}, {report['side']}^3 voxels, seed {settings['seed']}"]
    if "reconstruction" in report:
        blocks += format_reconstruction(report["reconstruction"], draws=settings["draws"])
    if "generation" in report:
        made = report["generation"]
        blocks.append(format_scores(f"generation, {made['objects']} objects", made["scores"]))
        blocks += [format_scores(f"fidelity by {name}", scores) for name, scores in made["fidelity"].items()]
    if "probe" in report:
        found = report["probe"]
        blocks.append(format_scores(f"classes of {found['objects']} objects", found["scores"]))
    return "\n\n".join(blocks)


def format_reconstruction(found: Mapping[str, Any], *, draws: int) -> list[str]:
    distance = f"; pictures compared by {found['distance']}" if "distance" in found else ""
    heading = (
        f"reconstruction of {found['objects']} objects, {draws} draws of pictures each; sample means, then class mean "
        f"and classes at the threshold {found['threshold']:g};\nchosen on {found['chosen on']}{distance}"
    )
    classes = list(next(iter(found["iou"].values()))["classes"])
    rows = {
        name: [*map(format_cell, row), *(format_cell(found["iou"][name]["classes"][label]) for label in classes)]
        for name, row in iou_rows(found).items()
    }
    tables = [heading, format_table("IoU", [*iou_columns(), *(label or "all" for label in classes)], rows)]
    return [*tables, format_scores("surfaces", found["surfaces"]["scores"])] if "surfaces" in found else tables


def format_scores(title: str, scores: Mapping[str, Mapping[str, float]]) -> str:
    """A table with a row for each score and a column for each of what is scored."""
    names = list(dict.fromkeys(name for column in scores.values() for name in column))
    rows: Mapping[str, Sequence[str]] = {
        name: [f"{column[name]:.3g}" if name in column else "-" for column in scores.values()] for name in names
    }
    return format_table(title, list(scores), rows)


def format_cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
