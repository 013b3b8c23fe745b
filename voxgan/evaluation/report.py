"""What an evaluation says: tables for a terminal, and a folder of report.json and a page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gancore.reporting.page import Best, Curves, Facts, Gallery, Section, Table, Text, write_page
from gancore.reporting.preference import write_rating_page
from gancore.reporting.provenance import write_json
from gancore.reporting.tables import table
from voxgan.evaluation.evaluate import FIXED, EvaluateConfig, Evaluation, opened, part, who
from voxgan.evaluation.published import Figures, classifications, reconstructions
from voxgan.evaluation.set_fidelity import image_network

BETTER: dict[str, Best] = {
    **dict.fromkeys(("cd_l1_half", "cd_l1_sum", "cd_l2_half", "cd_l2_sum", "emd", "without_surface"), "lowest"),
    **dict.fromkeys(("f_score", "precision", "recall", "normal_consistency"), "highest"),
    **dict.fromkeys(("ap", "ap_aligned", "accuracy", "class mean"), "highest"),
}
"""Scores of single objects of which more, or less, is always better."""
WITHOUT_WEIGHTS = "Left out: its network needs weights; get them by python tools/fetch_weights.py efficientnet."
QUESTION = "Which of the two looks more like a real object?"


def write(done: Evaluation, config: EvaluateConfig) -> list[Path]:
    """Writes what the settings ask for, each file whole or not at all; the files that there are now."""
    written = []
    if config.out:
        folder = Path(config.out)
        write_json(done.report, folder / "report.json")
        subtitle = f"{who(config)} on {', '.join([config.data, *config.classes, config.split])}"
        write_page(
            folder / "report.html", title="Objects, measured", subtitle=subtitle, sections=sections(done, config)
        )
        written += [folder / "report.json", folder / "report.html"]
    if config.rate:
        key = write_rating_page(config.rate, done.pairs, question=QUESTION, seed=config.seed)
        written += [Path(config.rate), key]
    return written


def sections(done: Evaluation, config: EvaluateConfig) -> Iterator[Section]:
    """The parts of the page in their order."""
    report = done.report
    if "reconstruction" in report:
        yield from of_reconstruction(report, config)
    if "generation" in report:
        yield from of_generation(report["generation"], config)
    if "probe" in report:
        yield from of_probe(report["probe"], config)
    yield from (Gallery(title, items, note=shown(title)) for title, items in done.galleries.items())
    for name in ("reconstruction", "generation", "probe"):
        if name in report:
            yield Facts(f"Conventions of {name}", conventions(report[name]))
    yield Facts("Settings", report["settings"])
    yield Facts("Where the numbers come from", report["provenance"])


def shown(title: str) -> str:
    if "training" in title:
        return "Left the made object, right the training object with the highest IoU."
    return "From left to right: the first picture, if there is one, the true object, and what was made of it."


def conventions(found: Mapping[str, Any]) -> dict[str, str]:
    return {**found["conventions"], **found.get("surfaces", {}).get("conventions", {})}


# ------------------------------------------------------------------------------------------------------ reconstruction


def of_reconstruction(report: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Section]:
    found = report["reconstruction"]
    note = (
        f"{found['objects']} objects, {config.draws} draws of pictures each. The threshold {found['threshold']:g} of "
        f"the column chosen was chosen on {found['chosen on']}. The oracle is a bound and no rival."
    )
    if found["missing"]:
        note += f" {len(found['missing'])} objects were missing and count as empty: {', '.join(found['missing'][:5])}."
    yield Table("IoU", columns(), iou_rows(found), note=note, best="highest")
    classes = list(next(iter(found["iou"].values()))["classes"])
    by_class = {name: [row["classes"][label] for label in classes] for name, row in found["iou"].items()}
    yield Table(
        "IoU by class", [label or "all" for label in classes], by_class, note="At the threshold that was chosen."
    )
    yield by_threshold(found["by threshold"])
    packed = opened(config)
    yield from map(figures, reconstructions(packed, part(packed, config.split, most=config.limit)))
    if "surfaces" in found:
        yield scores_table("Surfaces", found["surfaces"]["scores"])


def columns() -> list[str]:
    return [*(f"@{value:g}" for value in FIXED), "chosen", "class mean"]


def iou_rows(found: Mapping[str, Any]) -> dict[str, list[float | None]]:
    names = [*(f"{value:g}" for value in FIXED), "chosen"]
    return {
        name: [*(row["sample_mean"].get(column) for column in names), row["class_mean"]["chosen"]]
        for name, row in found["iou"].items()
    }


def by_threshold(found: Mapping[str, Mapping[str, float]]) -> Curves:
    x = [float(threshold) for threshold in next(iter(found.values()))]
    series = {name: list(row.values()) for name, row in found.items()}
    return Curves("IoU by threshold", x, series, x_label="threshold", y_label="IoU, sample mean")


def figures(published: Figures) -> Table:
    return Table(f"Published: {published.title}", published.columns, published.rows, note=published.note)


def scores_table(title: str, scores: Mapping[str, Mapping[str, float]], *, note: str = "") -> Table:
    """A row for each score and a column for each of what is scored."""
    names = list(dict.fromkeys(name for column in scores.values() for name in column))
    rows = {name: [column.get(name) for column in scores.values()] for name in names}
    return Table(title, list(scores), rows, note=note, best=BETTER, by="row", digits=4)


# ---------------------------------------------------------------------------------------------- generation and classes


def of_generation(found: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Section]:
    note = f"{found['objects']} objects of each. Training objects in place of made ones are as good as it gets."
    yield scores_table("Objects from noise among real ones", found["scores"], note=note)
    for name, scores in found["fidelity"].items():
        yield scores_table(f"Fidelity by {name}", scores)
    if config.renders and not image_network():
        yield Text("Fidelity by renders", [WITHOUT_WEIGHTS])


def of_probe(found: Mapping[str, Any], config: EvaluateConfig) -> Iterator[Section]:
    note = (
        f"{found['classes']} classes, {found['training objects']} objects to fit to and {found['objects']} to test on. "
        f"The discriminator was trained on {found['discriminator trained on']}."
    )
    yield scores_table("Classes told by the discriminator's features", found["scores"], note=note)
    packed = opened(config)
    yield from map(figures, classifications(packed, part(packed, config.split, most=config.limit)))


# ------------------------------------------------------------------------------------------------------------ terminal


def summary(report: Mapping[str, Any]) -> str:
    """The protocol in a few lines, then tables of what was measured."""
    settings = report["settings"]
    what = ", ".join([settings["data"], *settings["classes"], settings["split"]])
    blocks = [f"{what}, {report['side']}^3 voxels, seed {settings['seed']}"]
    if "reconstruction" in report:
        blocks += reconstruction_tables(report["reconstruction"], draws=settings["draws"])
    if "generation" in report:
        made = report["generation"]
        blocks.append(by_name(f"generation, {made['objects']} objects", made["scores"]))
        blocks += [by_name(f"fidelity by {name}", scores) for name, scores in made["fidelity"].items()]
    if "probe" in report:
        found = report["probe"]
        blocks.append(by_name(f"classes of {found['objects']} objects", found["scores"]))
    return "\n\n".join(blocks)


def reconstruction_tables(found: Mapping[str, Any], *, draws: int) -> list[str]:
    distance = f"; pictures compared by {found['distance']}" if "distance" in found else ""
    heading = (
        f"reconstruction of {found['objects']} objects, {draws} draws of pictures each; sample means, then class mean "
        f"and classes at the threshold {found['threshold']:g};\nchosen on {found['chosen on']}{distance}"
    )
    classes = list(next(iter(found["iou"].values()))["classes"])
    rows = {
        name: [*map(cell, row), *(cell(found["iou"][name]["classes"][label]) for label in classes)]
        for name, row in iou_rows(found).items()
    }
    tables = [heading, table("IoU", [*columns(), *(label or "all" for label in classes)], rows)]
    return [*tables, by_name("surfaces", found["surfaces"]["scores"])] if "surfaces" in found else tables


def by_name(title: str, scores: Mapping[str, Mapping[str, float]]) -> str:
    """A table with a row for each score and a column for each of what is scored."""
    names = list(dict.fromkeys(name for column in scores.values() for name in column))
    rows: Mapping[str, Sequence[str]] = {
        name: [f"{column[name]:.3g}" if name in column else "-" for column in scores.values()] for name in names
    }
    return table(title, list(scores), rows)


def cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
