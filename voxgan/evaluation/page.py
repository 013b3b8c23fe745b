"""The report of an evaluation of objects as a page: a verdict, turntables, then tables and charts."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from gancore.evaluation.config import REPORT_PAGE
from gancore.evaluation.published import PublishedTable
from gancore.evaluation.report import write_report_json
from gancore.reporting.charts import LineChart
from gancore.reporting.page import (
    BestDirection,
    Definitions,
    Gallery,
    ObjectGallery,
    Section,
    Table,
    Text,
    write_page,
)
from gancore.reporting.preference import write_rating_page
from voxgan.commands import EvaluateConfig
from voxgan.evaluation.evaluate import EvaluationResult
from voxgan.evaluation.report import (
    ORACLE,
    GenerationReport,
    ProbeReport,
    ReconstructionReport,
    Scores,
    VoxelReport,
)
from voxgan.evaluation.set_fidelity import load_image_network
from voxgan.evaluation.summary import IOU_COLUMNS, describe_data, tabulate_iou

BETTER_DIRECTION: dict[str, BestDirection] = {
    **dict.fromkeys(("cd_l1_half", "cd_l1_sum", "cd_l2_half", "cd_l2_sum", "emd", "without_surface"), "lowest"),
    **dict.fromkeys(("f_score", "precision", "recall", "normal_consistency"), "highest"),
    **dict.fromkeys(("ap", "ap_aligned", "accuracy", "class_mean"), "highest"),
}
"""Direction of the scores of single objects that have one."""
WITHOUT_WEIGHTS = "Left out: its network needs weights; fetch them with vidvox fetch efficientnet."
RATING_QUESTION = "Which of the two looks more like a real object?"


def write_report(result: EvaluationResult, config: EvaluateConfig) -> list[Path]:
    """Write the report, its page and the rating page, according to the settings, and return all paths."""
    written = []
    if config.out:
        page = config.out / REPORT_PAGE
        subtitle = f"{config.model or config.predictions} on {describe_data(result.report)}"
        sections = build_sections(result)
        written = [write_report_json(result.report, config.out), page]
        write_page(
            page, title="Objects, measured", subtitle=subtitle, sections=sections, verdict=build_verdict(result.report)
        )
    if config.rating_page:
        key = write_rating_page(config.rating_page, result.pairs, question=RATING_QUESTION, seed=config.seed)
        written += [config.rating_page, key]
    return written


def build_sections(result: EvaluationResult) -> Iterator[Section]:
    """Build the sections below the verdict: objects, scores and charts, then conventions, settings and software."""
    report = result.report
    yield from (Gallery(title, items, note=gallery_note(title)) for title, items in result.galleries.items())
    if result.meshes:
        yield ObjectGallery("Objects to turn by hand", result.meshes)
    conventions: dict[str, dict[str, str]] = {}
    if report.reconstruction:
        yield from reconstruction_sections(report.reconstruction, draws=report.settings["view_draws"])
        surfaces = report.reconstruction.surfaces
        conventions["reconstruction"] = report.reconstruction.conventions | (surfaces.conventions if surfaces else {})
    if report.generation:
        yield from generation_sections(report.generation, renders=report.settings["renders_per_object"])
        conventions["generation"] = report.generation.conventions
    if report.probe:
        yield probe_section(report.probe)
        conventions["probe"] = report.probe.conventions
    yield from map(published_section, result.published)
    for name, entries in conventions.items():
        yield Definitions(f"Conventions of {name}", entries)
    yield Definitions("Settings", report.settings)
    yield Definitions("Software", report.provenance)


def build_verdict(report: VoxelReport) -> list[str]:
    """Say in words whether reconstructions beat the baselines, and how generated objects compare with training ones."""
    sentences = [str(verdict) for verdict in report.reconstruction.verdicts()] if report.reconstruction else []
    if report.reconstruction and ORACLE in report.reconstruction.iou:
        bound = report.reconstruction.iou[ORACLE].sample_mean["chosen"]
        sentences.append(
            f"The best possible retrieval, which has seen the true objects, reaches {bound:.4g}: a bound only."
        )
    if report.generation:
        name, training = list(report.generation.scores)[:2]
        ours, theirs = report.generation.scores[name], report.generation.scores[training]
        sentences.append(
            f"As a set, the {name}'s objects cover {100 * ours['iou_cov']:.0f} % of the real objects, and as many "
            f"random training objects {100 * theirs['iou_cov']:.0f} %; by its nearest neighbour an object is told from "
            f"a real one in {100 * ours['iou_1nna']:.0f} % of cases against {100 * theirs['iou_1nna']:.0f} % (50 % is "
            "indistinguishable)."
        )
    return sentences or ["There is no baseline to compare with."]


def gallery_note(title: str) -> str:
    """Explain what each animation of a gallery shows."""
    if "training" in title:
        return "Left the generated object, right the training object with the highest IoU."
    return "From left to right: the first picture, if there is one, the true object, and its reconstruction."


# ------------------------------------------------------------------------------------------------------ reconstruction


def reconstruction_sections(report: ReconstructionReport, *, draws: int) -> Iterator[Section]:
    """Tabulate IoU by method, threshold and class, chart it by threshold, and tabulate surfaces."""
    note = (
        f"{report.objects} objects, {draws} draws of pictures each. The threshold of the column chosen, "
        f"{report.threshold:g}, was chosen on {report.threshold_chosen_on}."
    )
    if report.missing:
        note += f" {len(report.missing)} objects were missing and count as empty: {', '.join(report.missing[:5])}."
    rows = tabulate_iou(report.iou)
    if ridge := report.baseline_choice.ridge:
        note += f" The ridge regression sees {ridge.features} of {ridge.training_pictures} training pictures."
    note += " The oracle is a bound that has seen the true objects, and is never marked as the best."
    yield Table("IoU", IOU_COLUMNS, rows, note=note, best="highest", unranked=(ORACLE,))
    classes = list(next(iter(report.iou.values())).classes)
    yield Table(
        "IoU by class",
        [label or "all" for label in classes],
        {name: [row.classes[label] for label in classes] for name, row in report.iou.items()},
        note="At the chosen threshold.",
    )
    yield threshold_chart(report.iou_by_threshold)
    if report.surfaces:
        yield scores_table("Surfaces", report.surfaces.scores)
        for name, scores in report.surfaces.fidelity.items():
            yield scores_table(f"Fidelity of reconstructions by {name}", scores)


def threshold_chart(iou: Mapping[str, Mapping[str, float | int]]) -> LineChart:
    """Chart the mean IoU of each method by threshold."""
    x = [float(threshold) for threshold in next(iter(iou.values()))]
    series = {name: list(row.values()) for name, row in iou.items()}
    return LineChart("IoU by threshold", x, series, x_label="threshold", y_label="IoU, sample mean")


def published_section(table: PublishedTable) -> Table:
    """Tabulate published results."""
    return Table(f"Published: {table.title}", table.columns, table.rows, note=table.note)


def scores_table(title: str, scores: Scores, *, note: str = "") -> Table:
    """Tabulate a row for each score and a column for each set or method."""
    names = list(dict.fromkeys(name for column in scores.values() for name in column))
    rows = {name: [column.get(name) for column in scores.values()] for name in names}
    return Table(title, list(scores), rows, note=note, best=BETTER_DIRECTION, best_within="row", digits=4)


# ---------------------------------------------------------------------------------------------- generation and classes


def generation_sections(report: GenerationReport, *, renders: int) -> Iterator[Section]:
    """Tabulate the scores of generated objects as a set."""
    note = f"{report.objects} objects of each. Training objects in place of generated ones are the reference."
    yield scores_table("Objects from noise compared with real ones", report.scores, note=note)
    if report.classes:
        yield scores_table("Objects of one class compared with real ones of it, by IoU", report.classes)
    for name, scores in report.fidelity.items():
        yield scores_table(f"Fidelity by {name}", scores)
    if renders and not load_image_network():
        yield Text("Fidelity by renders", [WITHOUT_WEIGHTS])


def probe_section(report: ProbeReport) -> Table:
    """Tabulate how well classes are predicted from features."""
    note = (
        f"{report.classes} classes, {report.training_objects} objects to fit to and {report.objects} to test on. "
        f"The discriminator was trained on {report.discriminator_trained_on}."
    )
    return scores_table("Classes predicted from the discriminator's features", report.scores, note=note)
