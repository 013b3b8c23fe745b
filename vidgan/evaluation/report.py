"""The report of an evaluation: as text for a terminal, and as a page with tables, curves and clips."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gancore.reporting.page import Curves, Facts, Section, Table, Text, write_page
from gancore.reporting.provenance import write_json
from gancore.reporting.tables import table
from vidgan.evaluation.baselines import BASELINES
from vidgan.evaluation.config import EvaluateConfig
from vidgan.evaluation.examples import galleries
from vidgan.evaluation.methods import Trials
from vidgan.evaluation.published import Figures, benchmark_of, published

COLUMNS = 10
"""Lead times in a printed table, evenly spaced."""
DIGITS = {"mse_per_frame": 1, "psnr": 2, "crps": 4}
"""Worth printing; 3 of what is not named."""
RATIOS = {
    "sharpness_ratio": "sharpness, made / true",
    "motion_ratio": "motion, made / true",
    "diversity": "difference between samples",
    "spread_skill": "spread / error",
}
NOTES = {
    "sharpness_ratio": "1 is as sharp as the true frames; below it lies blur.",
    "motion_ratio": "1 is as much change from frame to frame as there truly is; 0 is a still picture.",
    "diversity": "0 where all samples are equal: the noise is ignored.",
    "spread_skill": "1 is as uncertain as it should be, less is too sure.",
}
CAUTION = "Compare only what was measured on the same clips, at the same size and by the same conventions."
HIGHEST = ("precision", "recall", "f_score", "density", "coverage", "inception_score")
"""Of what is told of sets of clips, that of which more is better."""
CRPS = {"crps": {"title": "CRPS", "best": "lowest"}}

Report = Mapping[str, Any]
Curve = Sequence[float | None]


def summary(report: Report) -> str:
    """The protocol in a line, then a table of each score over some lead times, and of sets of clips."""
    blocks = [heading(report)]
    if report["protocol"]["task"] == "prediction":
        for name, about in (report["measures"] | CRPS).items():
            blocks.append(_over_time(about["title"], report[name], digits=DIGITS.get(name, 3)))
        blocks += [_over_time(title, report[name]) for name, title in RATIOS.items() if report[name]]
    else:
        looks = {name: [_mean(report[name].get(row, [])) for row in SETS] for name in ("sharpness", "motion")}
        looks["diversity"] = [report["diversity"][row] for row in SETS]
        blocks.append(table("made from noise", SETS, _text(looks, 4)))
    for network in report["sets"].values():
        rows = {name: [scores["frechet_distance"]] for name, scores in network["scores"].items() if scores}
        if rows:
            blocks.append(table(network["distance"], ["from the true clips"], rows, digits=3))
    return "\n\n".join([*blocks, *report["lacking"]])


SETS = ("samples", "true")


def heading(report: Report) -> str:
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


def _text(rows: Mapping[str, Sequence[float | None]], digits: int) -> dict[str, list[str]]:
    return {name: ["-" if cell is None else f"{cell:.{digits}f}" for cell in row] for name, row in rows.items()}


def _over_time(title: str, rows: Mapping[str, Curve], *, digits: int = 3) -> str:
    steps = len(next(iter(rows.values())))
    shown = sorted({round(place * (steps - 1) / max(COLUMNS - 1, 1)) for place in range(COLUMNS)})
    cells = {name: [*(curve[step] for step in shown), _mean(curve)] for name, curve in rows.items()}
    return table(title, [*(str(step + 1) for step in shown), "mean"], _text(cells, digits))


# ---------------------------------------------------------------------------------------------------------------- page


def write_report(report: Report, trials: Trials, config: EvaluateConfig) -> None:
    """Writes report.json and report.html into the folder that the settings name."""
    folder = Path(config.out)
    write_json(report, folder / "report.json")
    title = "Predicted clips" if trials.paired else "Clips made from noise"
    sections = page(report, trials, config)
    write_page(
        folder / "report.html",
        title=title,
        subtitle=heading(report).replace("->", "\N{RIGHTWARDS ARROW}"),
        sections=sections,
    )


def page(report: Report, trials: Trials, config: EvaluateConfig) -> list[Section]:
    """Scores first, then clips, then all that the scores depend on."""
    found: list[Section] = [*(forecasts(report) if trials.paired else made_from_noise(report)), *sets(report)]
    if report["lacking"]:
        found.append(Text("What could not be measured", report["lacking"]))
    found += [beside(figures, report) for figures in same_protocol(report, config)]
    found += galleries(report, trials, config)
    about = {name: value for name, value in report["protocol"].items() if name != "conventions"}
    if report["protocol"]["conventions"]:
        found.append(Facts("What the scores mean", report["protocol"]["conventions"]))
    return [*found, Facts("Protocol", about), Facts("Software", report["provenance"])]


def forecasts(report: Report) -> Iterator[Section]:
    """Scores over all lead times, then by lead time."""
    described = report["measures"] | CRPS
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
        yield curves(f"{about['title']} by lead time", report[name], about["title"])
    for name, title in RATIOS.items():
        if report[name]:
            yield curves(title[0].upper() + title[1:], report[name], title, note=NOTES.get(name, ""))


def curves(
    title: str, series: Mapping[str, Curve], y_label: str, *, x_label: str = "frames ahead", note: str = ""
) -> Section:
    """A line for each forecast; a table if there is only one lead time."""
    steps = len(next(iter(series.values())))
    if steps == 1:
        return Table(title, [y_label], series, note=note)
    return Curves(title, range(1, steps + 1), series, x_label=x_label, y_label=y_label, note=note)


def made_from_noise(report: Report) -> Iterator[Section]:
    """Looks, neighbours and classes."""
    looks = {name: [_mean(report[name].get(row, [])) for row in SETS] for name in ("sharpness", "motion")}
    looks["difference between clips"] = [report["diversity"][row] for row in SETS]
    yield Table("Looks", SETS, looks, digits=4, note="Means over clips and frames, on a range of one.")
    for name in ("sharpness", "motion"):
        if report[name]:
            yield curves(f"{name[0].upper()}{name[1:]} by frame", report[name], name, x_label="frame")
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


def sets(report: Report) -> Iterator[Section]:
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
            best={titles[kind]: "highest" if kind in HIGHEST else "lowest" for kind in kinds},
            by="row",
            note=f"Each set beside the true clips. Protocol: {_told(network['protocol'])}.",
        )


def _told(facts: Mapping[str, Any]) -> str:
    return "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items() if name != "weights_sha256")


# --------------------------------------------------------------------------------------------------- published figures


def same_protocol(report: Report, config: EvaluateConfig) -> list[Figures]:
    """Published figures of the same task, if any are known."""
    about = report["protocol"]
    named = config.benchmark or ("" if config.truth else benchmark_of(config.data.source, config.data.layout))
    return published(named, context=about["context"], future=about["future"], height=about["height"])


def beside(figures: Figures, report: Report) -> Section:
    """The published figures below what was measured here."""
    measured = {name: about["title"] for name, about in report.get("measures", {}).items()} | {"fvd": "FVD"}
    titles = {column: measured.get(column, column) for column in figures.columns}
    rows = dict.fromkeys(row for scores in report.get("overall", {}).values() for row in scores if row not in BASELINES)
    own = {row: [_own(column, report, row) for column in figures.columns] for row in [*rows, "samples"]}
    known = {f"here: {row}": cells for row, cells in own.items() if any(cell is not None for cell in cells)}
    source, _, rest = figures.protocol.partition("; ")
    return Table(
        f"Published on {figures.benchmark}: {source}",
        list(titles.values()),
        {**known, **figures.methods},
        digits={titles[column]: digits for column, digits in DIGITS.items() if column in titles},
        note=" ".join([*([rest[0].upper() + rest[1:] + "."] if rest else []), CAUTION]),
    )


def _own(column: str, report: Report, row: str) -> float | None:
    if column == "fvd":
        scores = [network["scores"].get(row) for network in report["sets"].values() if network["distance"] == "FVD"]
        return next((found["frechet_distance"] for found in scores if found), None)
    return report.get("overall", {}).get(column, {}).get(row, {}).get("mean")
