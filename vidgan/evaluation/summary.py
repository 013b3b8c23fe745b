"""The report of an evaluation of clips as text for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from gancore.evaluation.report import Curve
from gancore.reporting.tables import format_table
from vidgan.evaluation.actions import describe_listening
from vidgan.evaluation.clip_sets import TRUE_SET
from vidgan.evaluation.report import ClipProtocol, PredictionReport, SynthesisReport, VideoReport
from vidgan.evaluation.rollouts import describe_rollouts
from vidgan.evaluation.synthesis import SAMPLE_SET

MAX_PRINTED_COLUMNS = 10
"""Lead times in a printed table, evenly spaced."""
DIGITS = {"mse_per_frame": 1, "psnr": 2, "crps": 4}
"""Digits after the point by metric; 3 for those not named."""
SET_NAMES = (SAMPLE_SET, TRUE_SET)


def format_summary(report: VideoReport) -> str:
    """Format a heading, a table of each metric over some lead times, and the distances between sets of clips."""
    blocks = [format_heading(report.protocol)]
    if report.prediction:
        blocks += [*_format_prediction(report.prediction), *describe_listening(report.prediction)]
    if report.rollout:
        blocks += describe_rollouts(report.rollout)
    if report.synthesis:
        rows = summarise_looks(report.synthesis)
        blocks.append(format_table("generated from noise", SET_NAMES, _format_cells(rows, 4)))
    for network in report.sets.values():
        distances = {name: [scores["frechet_distance"]] for name, scores in network.scores.items() if scores}
        if distances:
            blocks.append(format_table(network.distance, ["from the true clips"], distances, digits=3))
    return "\n\n".join([*blocks, *report.unavailable])


def format_heading(protocol: ClipProtocol) -> str:
    """Say in a line what was measured."""
    source = f"{protocol.data['path']}, {protocol.split}" if protocol.data else protocol.ground_truth
    frames = f"{protocol.context_frames} -> " if protocol.context_frames else ""
    samples = [
        f"{count} sample{'s' * (count > 1)}" + (f" of {name}" if len(protocol.samples) > 1 else "")
        for name, count in protocol.samples.items()
    ]
    size = f"{protocol.clips} clips of {protocol.height}x{protocol.width}"
    latents = f"seed {protocol.seed}"
    if protocol.truncation is not None:
        latents += f", truncation {protocol.truncation:g}"
    spoilt = f", {describe_pasts(protocol.data)}" if protocol.data and protocol.data.get("past_degradations") else ""
    return f"{source}: {size}, {frames}{protocol.future_frames} frames{spoilt}, {', '.join(samples)}, {latents}"


def describe_pasts(data: Mapping[str, Any]) -> str:
    """Say how the pasts were spoilt: "pasts spoilt by rain of severity 3"."""
    least, most = data["past_least_severity"], data["past_most_severity"]
    severity = f"severity {least:g}" if least == most else f"severities {least:g} to {most:g}"
    return f"pasts spoilt by {' or '.join(data['past_degradations'])} of {severity}"


def summarise_looks(report: SynthesisReport) -> dict[str, list[float | int | None]]:
    """Return mean sharpness, motion and diversity of generated and of true clips, in the order of SET_NAMES."""
    return {
        "sharpness": [mean_of_curve(report.sharpness.get(name, [])) for name in SET_NAMES],
        "motion": [mean_of_curve(report.motion.get(name, [])) for name in SET_NAMES],
        "diversity": [report.diversity[name] for name in SET_NAMES],
    }


def mean_of_curve(curve: Curve) -> float | None:
    """Return the mean of the numbers that are defined; None if none is."""
    known = [value for value in curve if value is not None]
    return sum(known) / len(known) if known else None


def _format_prediction(report: PredictionReport) -> list[str]:
    tables = [
        _format_lead_times(metric.title, report.by_lead_time[name], digits=DIGITS.get(name, 3))
        for name, metric in report.metrics.items()
    ]
    curves = {
        "sharpness, generated / true": report.sharpness_ratio,
        "motion, generated / true": report.motion_ratio,
        "difference between samples": report.diversity,
        "spread / error": report.spread_skill,
    }
    return tables + [_format_lead_times(title, rows) for title, rows in curves.items() if rows]


def _format_lead_times(title: str, rows: Mapping[str, Curve], *, digits: int = 3) -> str:
    steps = len(next(iter(rows.values())))
    shown = sorted(
        {round(place * (steps - 1) / max(MAX_PRINTED_COLUMNS - 1, 1)) for place in range(MAX_PRINTED_COLUMNS)}
    )
    cells = {name: [*(curve[step] for step in shown), mean_of_curve(curve)] for name, curve in rows.items()}
    return format_table(title, [*(str(step + 1) for step in shown), "mean"], _format_cells(cells, digits))


def _format_cells(rows: Mapping[str, Sequence[float | int | None]], digits: int) -> dict[str, list[str]]:
    return {name: ["-" if cell is None else f"{cell:.{digits}f}" for cell in row] for name, row in rows.items()}
