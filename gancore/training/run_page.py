"""index.html of a run folder: newest samples, curves, alarms and latest numbers, on a page that reloads itself."""

from pathlib import Path

from gancore.reporting.document import write_document
from gancore.training.curves import BASELINES
from gancore.training.history import LatestValue, RunHistory

REFRESH_SECONDS = 20
"""Seconds between reloads of an open page."""
HIGHER_IS_BETTER = ("psnr", "ssim")
"""Held-out scores with a baseline where higher is better; for all others lower is."""


def write_run_page(run: Path, *, steps: int, history: RunHistory | None = None) -> None:
    """Writes index.html into the run folder, whole or not at all, with links to samples/ and curves.png.

    Args:
        run: The run folder; any of stats.jsonl, alarms.jsonl, samples/ and curves.png may be missing.
        steps: Number of steps of the whole training.
        history: The logged numbers and alarms; read from the run's files if None.
    """
    history = history or RunHistory.read(run)
    latest = history.latest
    step = max((each.step for each in latest.values()), default=0)
    sheets = sorted((run / "samples").glob("step-*.png"))
    film = sheets[-1].with_suffix(".mp4") if sheets else None
    write_document(
        run / "index.html",
        "run.html.j2",
        local_files=True,
        title=run.resolve().name,
        refresh=REFRESH_SECONDS,
        step=step,
        sentences=describe_latest(latest, step=step, steps=steps),
        sheet=f"samples/{sheets[-1].name}" if sheets else None,
        film=f"samples/{film.name}" if film and film.is_file() else None,
        earlier=[f"samples/{sheet.name}" for sheet in sheets[-6:-1]],
        curves=(run / "curves.png").is_file(),
        alarms=[*history.alarms],
        earlier_alarms=history.alarm_count - len(history.alarms),
        numbers=[(name, f"{each.value:.4g}", f"{each.step:,}") for name, each in sorted(latest.items())],
    )


def describe_latest(latest: dict[str, LatestValue], *, step: int, steps: int) -> list[str]:
    """Sentences on how far the training is, and how its held-out scores compare with their baselines."""
    if not latest:
        return ["The training has not logged anything yet."]
    speed = f", at {latest['speed'].value:.3g} samples a second" if "speed" in latest else ""
    sentences = [f"Step {step:,} of {steps:,} ({step / steps:.0%}){speed}."]
    for name, each in latest.items():
        panel, _, curve = name.rpartition("/")
        baseline = latest.get(f"{panel}/copy_last")
        if curve not in ("mean", "samples") or baseline is None:
            continue
        metric = panel.rpartition("/")[2]
        better = (each.value > baseline.value) == (metric in HIGHER_IS_BETTER)
        comparison = "as good as" if each.value == baseline.value else "better than" if better else "worse than"
        sentences.append(
            f"Held-out {metric.replace('_', ' ')} at step {each.step:,}: {each.value:.4g}, {comparison} the baseline "
            f"({BASELINES['copy_last']}, {baseline.value:.4g})."
        )
    return sentences
