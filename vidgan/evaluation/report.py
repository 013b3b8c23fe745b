"""The report of an evaluation: as text for a terminal, and as a page with tables, curves and clips."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gancore.reporting.charts import LineChart
from gancore.reporting.page import Definitions, Section, Table, Text, write_page
from gancore.reporting.provenance import write_json
from gancore.reporting.tables import format_table
from vidgan.evaluation.baselines import BASELINES
from vidgan.evaluation.config import EvaluateConfig
from vidgan.evaluation.examples import build_galleries
from vidgan.evaluation.methods import EvaluationSet
from vidgan.evaluation.published import PublishedScores, find_published_scores, infer_benchmark

MAX_PRINTED_COLUMNS = 10
"""Lead times in a printed table, evenly spaced."""
DIGITS = {"mse_per_frame": 1, "psnr": 2, "crps": 4}
"""Worth printing; 3 of what is not named."""
RATIO_TITLES = {
    "sharpness_ratio": "sharpness, made / true",
    "motion_ratio": "motion, made / true",
    "diversity": "difference between samples",
    "spread_skill": "spread / error",
}
RATIO_NOTES = {
    "sharpness_ratio": "1 is as sharp as the true frames; below it lies blur.",
    "motion_ratio": "1 is as much change from frame to frame as there truly is; 0 is a still picture.",
    "diversity": "0 where all samples are equal: the noise is ignored.",
    "spread_skill": "1 is as uncertain as it should be, less is too sure.",
}
PUBLISHED_CAUTION = "Compare only what was measured on the same clips, at the same size and by the same conventions."
HIGHER_IS_BETTER = ("precision", "recall", "f_score", "density", "coverage", "inception_score")
"""Of what is told of sets of clips, that of which more is better."""
CRPS_TITLE = {"crps": {"title": "CRPS", "best": "lowest"}}

Report = Mapping[str, Any]
Curve = Sequence[float | None]


def format_summary(report: Report) -> str:
    """The protocol in a line, then a table of each score over some lead times, and of sets of clips."""
    blocks = [format_heading(report)]
    if report["protocol"]["task"] == "prediction":
        for name, about in (report["measures"] | CRPS_TITLE).items():
            blocks.append(_format_lead_times(about["title"], report[name], digits=DIGITS.get(name, 3)))
        blocks += [_format_lead_times(title, report[name]) for name, title in RATIO_TITLES.items() if report[name]]
    else:
        looks = {name: [_mean(report[name].get(row, [])) for row in SET_NAMES] for name in ("sharpness", "motion")}
        looks["diversity"] = [report["diversity"][row] for row in SET_NAMES]
        blocks.append(format_table("made from noise", SET_NAMES, _format_cells(looks, 4)))
    for network in report["sets"].values():
        rows = {name: [scores["frechet_distance"]] for name, scores in network["scores"].items() if scores}
        if rows:
            blocks.append(format_table(network["distance"], ["from the true clips"], rows, digits=3))
    return "\n\n".join([*blocks, *report["lacking"]])


SET_NAMES = ("samples", "true")


def format_heading(report: Report) -> str:
    """What was measured, in a line."""
    about = report["protocol"]
    source = f"{about['data']['source']}, {about['split'].replace('-', ' ')}" if "data" in about else about["truth"]
    frames = f"{about['context']} -> {about['future']}" if about["context"] else f"{about['future']}"
    samples = [
        f"{count} sample{'s' * (count > 1)}" + (f" of {name}" if len(about["samples"]) > 1 else "")
        for name, count in about["samples"].items()
    ]
    size = f"{about['clips']} clips of {about['height']}x{about['width']}"
    return f"{source}: {size}, {frames} frames, {', '.join(samples)}, seed {about['seed']}"


def _mean(curve: Curve) -> float | None:
    known = [value for value in curve if value is not None]
    return sum(known) / len(known) if known else None


def _format_cells(rows: Mapping[str, Sequence[float | None]], digits: int) -> dict[str, list[str]]:
    return {name: ["-" if cell is None else f"{cell:.{digits}f}" for cell in row] for name, row in rows.items()}


def _format_lead_times(title: str, rows: Mapping[str, Curve], *, digits: int = 3) -> str:
    steps = len(next(iter(rows.values())))
    shown = sorted(
        {round(place * (steps - 1) / max(MAX_PRINTED_COLUMNS - 1, 1)) for place in range(MAX_PRINTED_COLUMNS)}
    )
    cells = {name: [*(curve[step] for step in shown), _mean(curve)] for name, curve in rows.items()}
    return format_table(title, [*(str(step + 1) for step in shown), "mean"], _format_cells(cells, digits))


# ---------------------------------------------------------------------------------------------------------------- page


def write_report(report: Report, trials: EvaluationSet, config: EvaluateConfig) -> None:
    """Writes report.json and report.html into the folder that the settings name."""
    folder = Path(config.out)
    write_json(report, folder / "report.json")
    title = "Predicted clips" if trials.paired else "Clips made from noise"
    sections = build_sections(report, trials, config)
    write_page(
        folder / "report.html",
        title=title,
        subtitle=format_heading(report).replace("->", "\N{RIGHTWARDS ARROW}"),
        sections=sections,
    )


def build_sections(report: Report, trials: EvaluationSet, config: EvaluateConfig) -> list[Section]:
    """Scores first, then clips, then all that the scores depend on."""
    found: list[Section] = [
        *(build_forecast_sections(report) if trials.paired else build_synthesis_sections(report)),
        *build_set_sections(report),
    ]
    if report["lacking"]:
        found.append(Text("What could not be measured", report["lacking"]))
    found += [build_published_table(figures, report) for figures in select_published(report, config)]
    found += build_galleries(report, trials, config)
    about = {name: value for name, value in report["protocol"].items() if name != "conventions"}
    if report["protocol"]["conventions"]:
        found.append(Definitions("What the scores mean", report["protocol"]["conventions"]))
    return [*found, Definitions("Protocol", about), Definitions("Software", report["provenance"])]


def build_forecast_sections(report: Report) -> Iterator[Section]:
    """Scores over all lead times, then by lead time."""
    described = report["measures"] | CRPS_TITLE
    overall = report["overall"]
    named = list(dict.fromkeys(row for name in described for row in overall[name]))
    rows = sorted(named, key=lambda row: row in BASELINES)
    titles = {name: about["title"] for name, about in described.items()}
    cells = {row: [overall[name].get(row, {}).get("mean") for name in described] for row in rows}
    yield Table(
        "Scores",
        list(titles.values()),
        cells,
        digits={titles[name]: digits for name, digits in DIGITS.items()},
        best={about["title"]: about["best"] for about in described.values()},
        note="Means over clips and lead times; the best number of each column stands out. What is called best of "
        "samples has seen the truth.",
    )
    errors = {row: [overall[name].get(row, {}).get("standard_error") for name in described] for row in rows}
    yield Table("Standard errors of these", list(titles.values()), errors, digits=dict.fromkeys(titles.values(), 4))
    for name, about in described.items():
        yield build_curves(f"{about['title']} by lead time", report[name], about["title"])
    for name, title in RATIO_TITLES.items():
        if report[name]:
            yield build_curves(title[0].upper() + title[1:], report[name], title, note=RATIO_NOTES.get(name, ""))


def build_curves(
    title: str, series: Mapping[str, Curve], y_label: str, *, x_label: str = "frames ahead", note: str = ""
) -> Section:
    """A line for each forecast; a table if there is only one lead time."""
    steps = len(next(iter(series.values())))
    if steps == 1:
        return Table(title, [y_label], series, note=note)
    return LineChart(title, range(1, steps + 1), series, x_label=x_label, y_label=y_label, note=note)


def build_synthesis_sections(report: Report) -> Iterator[Section]:
    """Looks, neighbours and classes."""
    looks = {name: [_mean(report[name].get(row, [])) for row in SET_NAMES] for name in ("sharpness", "motion")}
    looks["difference between clips"] = [report["diversity"][row] for row in SET_NAMES]
    yield Table("Looks", SET_NAMES, looks, digits=4, note="Means over clips and frames, on a range of one.")
    for name in ("sharpness", "motion"):
        if report[name]:
            yield build_curves(f"{name[0].upper()}{name[1:]} by frame", report[name], name, x_label="frame")
    if "classes" in report:
        found = report["classes"]
        told = {name.replace("_", " "): [value] for name, value in found.items() if name not in ("network", "among")}
        note = f"Of each clip that of the nearest {found['among']} clip, by {found['network']}."
        yield Table("Classes", ["here"], told, note=note)
    if "neighbours" in report:
        found = report["neighbours"]
        yield Table(
            "Memorised",
            ["share"],
            {name: [share] for name, share in found["memorised_share"].items()},
            note=f"Share of clips that are no further from a {found['among']} clip than that one's own nearest "
            f"neighbour is, by {found['network']}.",
        )


def build_set_sections(report: Report) -> Iterator[Section]:
    """A table for each network, with its protocol below."""
    for name, network in report["sets"].items():
        scores = {row: found for row, found in network["scores"].items() if found}
        if not scores:
            yield Text(f"{network['distance']}", ["There are too few clips to compare sets of them."])
            continue
        kinds = [each for each in next(iter(scores.values())) if not each.endswith(("_low", "_high"))]
        titles = {each: each.replace("_", " ") for each in kinds} | {"frechet_distance": network["distance"]}
        yield Table(
            f"Sets of clips, by {name}",
            list(scores),
            {titles[kind]: [found.get(kind) for found in scores.values()] for kind in kinds},
            best={titles[kind]: "highest" if kind in HIGHER_IS_BETTER else "lowest" for kind in kinds},
            best_within="row",
            note=f"Each set beside the true clips. Protocol: {_format_protocol(network['protocol'])}.",
        )


def _format_protocol(facts: Mapping[str, Any]) -> str:
    return "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items() if name != "weights_sha256")


# --------------------------------------------------------------------------------------------------- published figures


def select_published(report: Report, config: EvaluateConfig) -> list[PublishedScores]:
    """Published figures of the same task, if any are known."""
    about = report["protocol"]
    named = config.benchmark or ("" if config.ground_truth else infer_benchmark(config.data.path, config.data.layout))
    return find_published_scores(
        named, context_frames=about["context"], future_frames=about["future"], height=about["height"]
    )


def build_published_table(figures: PublishedScores, report: Report) -> Section:
    """The published figures below what was measured here."""
    measured = {name: about["title"] for name, about in report.get("measures", {}).items()} | {"fvd": "FVD"}
    titles = {column: measured.get(column, column) for column in figures.columns}
    rows = dict.fromkeys(row for scores in report.get("overall", {}).values() for row in scores if row not in BASELINES)
    own = {row: [_own_score(column, report, row) for column in figures.columns] for row in [*rows, "samples"]}
    known = {f"here: {row}": cells for row, cells in own.items() if any(cell is not None for cell in cells)}
    source, _, rest = figures.protocol.partition("; ")
    return Table(
        f"Published on {figures.benchmark}: {source}",
        list(titles.values()),
        {**known, **figures.methods},
        digits={titles[column]: digits for column, digits in DIGITS.items() if column in titles},
        note=" ".join([*([rest[0].upper() + rest[1:] + "."] if rest else []), PUBLISHED_CAUTION]),
    )


def _own_score(column: str, report: Report, row: str) -> float | None:
    if column == "fvd":
        scores = [network["scores"].get(row) for network in report["sets"].values() if network["distance"] == "FVD"]
        return next((found["frechet_distance"] for found in scores if found), None)
    return report.get("overall", {}).get(column, {}).get(row, {}).get("mean")
