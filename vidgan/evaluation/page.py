"""The report of an evaluation of clips as a page: a verdict, clips, then tables and charts."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from gancore.evaluation.config import REPORT_PAGE
from gancore.evaluation.report import Curve, write_report_json
from gancore.reporting.charts import LineChart
from gancore.reporting.page import Definitions, Section, Table, Text, write_page
from vidgan.commands import EvaluateConfig
from vidgan.evaluation.actions import describe_listening
from vidgan.evaluation.baselines import BASELINES
from vidgan.evaluation.media import build_galleries
from vidgan.evaluation.methods import EvaluationSet
from vidgan.evaluation.published import PublishedClipTable, find_published_tables, infer_benchmark
from vidgan.evaluation.report import (
    SEES_TRUTH,
    PredictionReport,
    RolloutReport,
    SetReport,
    SynthesisReport,
    VideoReport,
)
from vidgan.evaluation.rollouts import describe_rollouts
from vidgan.evaluation.summary import DIGITS, SET_NAMES, format_heading, summarise_looks

PUBLISHED_CAUTION = "Compare only what was measured on the same clips, at the same size and by the same conventions."
HIGHER_IS_BETTER = ("precision", "recall", "f_score", "density", "coverage", "inception_score")
"""Scores of sets of clips of which more is better."""


def write_report(
    report: VideoReport, evaluation_set: EvaluationSet, config: EvaluateConfig, folder: Path
) -> list[Path]:
    """Write report.json and report.html into the folder; return their paths."""
    written = write_report_json(report, folder)
    page = folder / REPORT_PAGE
    write_page(
        page,
        title="Predicted clips" if report.prediction else "Clips generated from noise",
        subtitle=format_heading(report.protocol).replace("->", "\N{RIGHTWARDS ARROW}"),
        sections=build_sections(report, evaluation_set, config),
        verdict=build_verdict(report),
    )
    return [written, page]


def build_sections(report: VideoReport, evaluation_set: EvaluationSet, config: EvaluateConfig) -> list[Section]:
    """Build the sections below the verdict: clips, scores and charts, then all that the scores depend on."""
    found: list[Section] = [*build_galleries(report, evaluation_set, config)]
    if report.prediction:
        found += build_prediction_sections(report.prediction)
    if report.rollout:
        found += build_rollout_sections(report.rollout)
    if report.synthesis:
        found += build_synthesis_sections(report.synthesis)
    found += [section for name, network in report.sets.items() for section in build_set_sections(name, network)]
    if report.unavailable:
        found.append(Text("What could not be measured", report.unavailable))
    found += [build_published_section(table, report) for table in select_published(report, config)]
    protocol = {name: value for name, value in asdict(report.protocol).items() if value is not None}
    if conventions := protocol.pop("conventions"):
        found.append(Definitions("What the scores mean", conventions))
    return [*found, Definitions("Protocol", protocol), Definitions("Software", report.provenance)]


def build_verdict(report: VideoReport) -> list[str]:
    """Say in words whether the model is better than the baselines, or how generated clips compare with true ones."""
    if report.prediction:
        sentences = [str(verdict) for verdict in report.prediction.verdicts()]
        sentences += describe_listening(report.prediction)
        sentences += describe_rollouts(report.rollout) if report.rollout else []
        return sentences or ["There is no baseline: without a past nothing can be extrapolated."]
    sentences = ["There is no baseline for clips generated from noise; true clips are the reference."]
    if report.synthesis:
        for name, (generated, true) in summarise_looks(report.synthesis).items():
            if generated is not None and true:
                sentences.append(f"The {name} of generated clips is {100 * generated / true:.0f} % of the true clips'.")
        if neighbours := report.synthesis.neighbours:
            shares = {name: f"{100 * share:.0f} %" for name, share in neighbours.memorised_share.items()}
            against = f", and {shares['true']} of the true clips" if "true" in shares else ""
            sentences.append(
                f"{shares['samples']} of the generated clips{against} lie as close to a {neighbours.reference} clip as "
                "its own nearest neighbour: copies would give 100 %."
            )
    return sentences


# ---------------------------------------------------------------------------------------------------------- prediction


def build_prediction_sections(report: PredictionReport) -> Iterator[Section]:
    """Tabulate mean scores, and chart them by lead time."""
    named = list(dict.fromkeys(forecast for scores in report.overall.values() for forecast in scores))
    forecasts = sorted(named, key=lambda forecast: forecast in BASELINES)
    titles = {name: metric.title for name, metric in report.metrics.items()}
    yield Table(
        "Scores",
        list(titles.values()),
        {
            forecast: [
                report.overall[name][forecast].mean if forecast in report.overall[name] else None for name in titles
            ]
            for forecast in forecasts
        },
        digits={titles[name]: digits for name, digits in DIGITS.items()},
        best={metric.title: metric.best for metric in report.metrics.values()},
        unranked=[forecast for forecast in forecasts if forecast.endswith(SEES_TRUTH)],
        note="Means over clips and lead times; the best number of each column is marked, but never that of the best of "
        "samples, which is chosen by comparison with the true future: a bound, not a forecast.",
    )
    errors = {
        forecast: [
            report.overall[name][forecast].standard_error if forecast in report.overall[name] else None
            for name in titles
        ]
        for forecast in forecasts
    }
    yield Table("Standard errors", list(titles.values()), errors, digits=dict.fromkeys(titles.values(), 4))
    for name, title in titles.items():
        yield build_chart(f"{title} by lead time", report.by_lead_time[name], title)
    for title, curves, y_label, note in (
        ("Sharpness", report.sharpness_ratio, "generated / true", "1 is as sharp as the true frames; blur lies below."),
        (
            "Motion",
            report.motion_ratio,
            "generated / true",
            "1 is as much change between frames as in the true clips; 0 is a still picture.",
        ),
        (
            "Difference between samples",
            report.diversity,
            "root mean square",
            "0 if all samples are equal: the noise is ignored.",
        ),
        ("Spread / error", report.spread_skill, "ratio", "1 is well calibrated; below 1 the model is too certain."),
    ):
        if curves:
            yield build_chart(title, curves, y_label, note=note)


def build_chart(
    title: str, curves: Mapping[str, Curve], y_label: str, *, x_label: str = "frames ahead", note: str = ""
) -> Section:
    """Chart a line for each forecast; a table if there is only one lead time."""
    steps = len(next(iter(curves.values())))
    if steps == 1:
        return Table(title, [y_label], curves, note=note)
    return LineChart(
        title,
        range(1, steps + 1),
        curves,
        x_label=x_label,
        y_label=y_label,
        note=note,
        baselines=[name for name in curves if name in BASELINES],
    )


def build_rollout_sections(report: RolloutReport) -> Iterator[Section]:
    """Chart brightness, motion and error of long rollouts by step."""
    for title, curves, y_label in (
        ("Long rollouts: brightness", report.brightness, "mean value, of 1"),
        ("Long rollouts: motion", report.motion, "change from the frame before, of 1"),
        ("Long rollouts: error", report.error, "root mean square, of 1"),
    ):
        yield build_chart(title, curves, y_label, note=f"Means over {report.clips} clips.")


# ------------------------------------------------------------------------------------------------- synthesis and sets


def build_synthesis_sections(report: SynthesisReport) -> Iterator[Section]:
    """Tabulate sharpness, motion and diversity, neighbours and classes."""
    yield Table(
        "Looks",
        SET_NAMES,
        summarise_looks(report),
        digits=4,
        note="Means over clips and frames, on a range of one; diversity is the difference between two clips.",
    )
    for name, curves in (("Sharpness", report.sharpness), ("Motion", report.motion)):
        if curves:
            yield build_chart(f"{name} by frame", curves, name.lower(), x_label="frame")
    if classes := report.classes:
        rows = {
            name.replace("_", " "): [value]
            for name, value in asdict(classes).items()
            if name not in ("network", "reference")
        }
        note = f"A clip counts to the class of the nearest {classes.reference} clip, by {classes.network}."
        yield Table("Classes", ["here"], rows, note=note)
    if neighbours := report.neighbours:
        yield Table(
            "Memorised",
            ["share"],
            {name: [share] for name, share in neighbours.memorised_share.items()},
            note=f"Share of clips that are no further from a {neighbours.reference} clip than that clip's own nearest "
            f"neighbour is, by {neighbours.network}.",
        )


def build_set_sections(name: str, report: SetReport) -> Iterator[Section]:
    """Tabulate the distances of all sets from the true one by one network, with its protocol below."""
    scores = {row: found for row, found in report.scores.items() if found}
    if not scores:
        yield Text(report.distance, ["There are too few clips to compare sets of them."])
        return
    kinds = [each for each in next(iter(scores.values())) if not each.endswith(("_low", "_high"))]
    titles = {each: each.replace("_", " ") for each in kinds} | {"frechet_distance": report.distance}
    protocol = "; ".join(
        f"{key.replace('_', ' ')}: {value}" for key, value in report.protocol.items() if key != "weights_sha256"
    )
    yield Table(
        f"Sets of clips, by {name}",
        list(scores),
        {titles[kind]: [found.get(kind) for found in scores.values()] for kind in kinds},
        best={titles[kind]: "highest" if kind in HIGHER_IS_BETTER else "lowest" for kind in kinds},
        best_within="row",
        note=f"Each set compared with the true clips. Protocol: {protocol}.",
    )


# --------------------------------------------------------------------------------------------------- published results


def select_published(report: VideoReport, config: EvaluateConfig) -> list[PublishedClipTable]:
    """Return published tables of the same task, if any are known."""
    inferred = None if config.ground_truth else infer_benchmark(config.data.path, config.data.layout)
    return find_published_tables(
        config.benchmark or inferred,
        context_frames=report.protocol.context_frames,
        future_frames=report.protocol.future_frames,
        height=report.protocol.height,
    )


def build_published_section(table: PublishedClipTable, report: VideoReport) -> Table:
    """Tabulate published results below what was measured here."""
    metrics = report.prediction.metrics if report.prediction else {}
    overall = report.prediction.overall if report.prediction else {}
    known = {name: metric.title for name, metric in metrics.items()} | {"fvd": "FVD"}
    titles = {column: known.get(column, column) for column in table.columns}
    forecasts = dict.fromkeys(row for scores in overall.values() for row in scores if row not in BASELINES)
    own = {row: [_own_score(column, report, row) for column in table.columns] for row in [*forecasts, "samples"]}
    here = {f"here: {row}": cells for row, cells in own.items() if any(cell is not None for cell in cells)}
    return Table(
        f"Published on {table.benchmark}: {table.title}",
        list(titles.values()),
        {**here, **table.rows},
        digits={titles[column]: digits for column, digits in DIGITS.items() if column in titles},
        note=f"{table.note} {PUBLISHED_CAUTION}".strip(),
    )


def _own_score(column: str, report: VideoReport, forecast: str) -> float | int | None:
    if column == "fvd":
        scores = [network.scores.get(forecast) for network in report.sets.values() if network.distance == "FVD"]
        return next((found["frechet_distance"] for found in scores if found), None)
    overall = report.prediction.overall if report.prediction else {}
    score = overall.get(column, {}).get(forecast)
    return score.mean if score else None
