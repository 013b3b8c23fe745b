"""Scores of forecasts by lead time, gathered batch by batch: each metric of each forecast, and how samples differ."""

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from vidgan import metrics
from vidgan.data.dataset import Clips
from vidgan.evaluation import baselines
from vidgan.evaluation.clip_sets import ClipSets
from vidgan.evaluation.measure import Measure
from vidgan.evaluation.methods import Trials
from vidgan.metrics import PerFrame
from vidgan.objective import Futures

Curve = list[float | None]


RANKED_BY = "ssim"
"""By which clips are best, median or worst."""
SHOWN = 2
"""Clips of each such kind."""
CONVENTIONS = {
    "crps": (inspect.getdoc(metrics.crps) or "").partition("\n")[0],
    "mean of samples": "The mean of all samples as one forecast.",
    "single samples": "The mean over samples of their scores.",
    "best of samples": "By each score, that of the clip's sample which is best in the mean over lead times.",
    "sharpness_ratio, motion_ratio": "Mean over clips, divided by the mean over true ones.",
    "diversity": "Root mean squared difference of two samples of one past, on a range of one.",
    "spread_skill": "Spread of the samples over the error of their mean; 1 if as uncertain as they should be.",
    "standard_error": "Over clips, of each clip's mean over lead times.",
}
LOOKS = {"sharpness": metrics.sharpness, "motion": metrics.motion}


def curves(
    batch: Clips, entrants: Mapping[str, Futures], measured: Sequence[Measure]
) -> dict[str, Float[Tensor, "batch time"]]:
    """All there is to say of a batch, a number a clip and lead time, by "metric/forecast"."""
    past, true = batch.past, batch.future
    last = past[:, -1:]
    found = {f"{name}/true": look(_led(true, last, name)) for name, look in LOOKS.items()}
    for entrant, futures in entrants.items():
        found |= _entrant(prefix(entrant, entrants), futures, true, last, measured)
    for name, forecast in baselines.forecasts(past, steps=true.shape[1]).items():
        found |= _forecast(name, forecast, true, last, measured)
        found[f"crps/{name}"] = metrics.crps(forecast[:, None], true)
    return found


def prefix(entrant: str, entrants: Mapping[str, Any]) -> str:
    """What stands before the names of an entrant's forecasts: nothing if it is the only one."""
    return f"{entrant}, " if len(entrants) > 1 else ""


def _entrant(
    start: str, futures: Futures, true: Tensor, last: Tensor, measured: Sequence[Measure]
) -> dict[str, PerFrame]:
    """The scores of its samples: of their mean, of each by itself, and of the best."""
    samples = futures.shape[1]
    row = f"{start}all samples" if samples > 1 else f"{start}prediction"
    found = {f"crps/{row}": metrics.crps(futures, true)}
    if samples == 1:
        return _forecast(row, futures[:, 0], true, last, measured) | found
    found |= _forecast(f"{start}mean of samples", futures.mean(1), true, last, measured)
    found[f"variance/{row}"] = metrics.variance(futures)
    each, many_true, many_last = (
        rearrange(futures, "b n ... -> (b n) ..."),
        *(clip.repeat_interleave(samples, 0) for clip in (true, last)),
    )
    single = _forecast("single samples", each, many_true, many_last, measured)
    apart = {name: rearrange(scores, "(b n) t -> b n t", n=samples) for name, scores in single.items()}
    found |= {_started(name, start): scores.mean(1) for name, scores in apart.items()}
    for measure in measured:
        best = metrics.best_of(apart[f"{measure.name}/single samples"], highest=measure.highest)
        found[f"{measure.name}/{start}best of samples"] = best
    return found


def _started(name: str, start: str) -> str:
    metric, _, row = name.partition("/")
    return f"{metric}/{start}{row}"


def _forecast(
    name: str, forecast: Tensor, true: Tensor, last: Tensor, measured: Sequence[Measure]
) -> dict[str, PerFrame]:
    """Errors of a forecast, and how it looks beside the truth."""
    found = {f"{measure.name}/{name}": measure.score(forecast, true) for measure in measured}
    return found | {f"{look}/{name}": score(_led(forecast, last, look)) for look, score in LOOKS.items()}


def _led(clip: Tensor, last: Tensor, look: str) -> Tensor:
    """The clip, with a frame before it where movement is to be seen: its own first one if there is no past."""
    return clip if look != "motion" else torch.cat([last if last.shape[1] else clip[:, :1], clip], 1)


class Totals:
    """Means over clips that come batch by batch, and each clip's own mean over its frames."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.each: dict[str, list[float]] = {}

    def add(self, found: Mapping[str, PerFrame]) -> None:
        """Takes in the scores of a batch."""
        for name, scores in found.items():
            scores = scores.double().cpu()
            self.sums[name] = self.sums.get(name, 0) + scores.sum(0)
            self.each.setdefault(name, []).extend(scores.mean(1).tolist())

    def mean(self, name: str) -> Float[Tensor, " time"]:
        """By lead time."""
        return self.sums[name] / len(self.each[name])

    def of(self, metric: str) -> dict[str, Float[Tensor, " time"]]:
        """Means by forecast and lead time."""
        return {name.partition("/")[2]: self.mean(name) for name in self.sums if name.startswith(f"{metric}/")}

    def overall(self, metric: str) -> dict[str, dict[str, float | None]]:
        """Mean over clips and lead times by forecast, with its standard error over clips."""
        return {
            name.partition("/")[2]: {"mean": sum(each) / len(each), "standard_error": _standard_error(each)}
            for name, each in self.each.items()
            if name.startswith(f"{metric}/")
        }


def _standard_error(each: Sequence[float]) -> float | None:
    if len(each) < 2:
        return None
    return float(torch.tensor(each, dtype=torch.float64).std()) / math.sqrt(len(each))


class Forecasts:
    """Everything measured of forecasts, as batches of them come."""

    def __init__(self, measured: Sequence[Measure]):
        self.measured = measured
        self.totals = Totals()

    def add(self, batch: Clips, made: Mapping[str, Futures]) -> None:
        """Takes in true clips and what each entrant made of them."""
        self.totals.add(curves(batch, made, self.measured))

    def report(self, trials: Trials, _sets: ClipSets) -> dict[str, Any]:
        """Scores as plain lists over lead times; null where there is nothing to be compared with."""
        samples = {name: entrant.samples for name, entrant in trials.entrants.items()}
        found = numbers(self.totals, self.measured, samples=samples, pixels=math.prod(trials.shape[1:]))
        first = next(iter(samples))
        row = prefix(first, samples) + ("single samples" if samples[first] > 1 else "prediction")
        described = {each.name: {"title": each.title, "best": each.best} for each in self.measured}
        return {"measures": described, **found, "cases": cases(self.totals.each[f"{RANKED_BY}/{row}"], trials, row)}


def numbers(totals: Totals, measured: Sequence[Measure], *, samples: Mapping[str, int], pixels: int) -> dict[str, Any]:
    """The report's scores as plain lists over lead times; null where there is nothing to be compared with.

    `samples` are those of each entrant, `pixels` the numbers that make a frame.
    """
    names = [*(measure.name for measure in measured), "crps"]
    report: dict[str, Any] = {
        name: {row: plain(curve) for row, curve in totals.of(name).items()} for name in names if totals.of(name)
    }
    report["overall"] = {name: totals.overall(name) for name in report}
    for look in LOOKS:
        found = totals.of(look)
        report[f"{look}_ratio"] = {row: plain(curve / found["true"]) for row, curve in found.items() if row != "true"}
    report["diversity"], report["spread_skill"] = {}, {}
    for entrant, count in samples.items():
        name = f"{prefix(entrant, samples)}all samples"
        if count > 1:
            spread = totals.mean(f"variance/{name}")
            error = totals.mean(f"mse_per_frame/{prefix(entrant, samples)}mean of samples") / pixels
            report["diversity"][name] = plain((2 * spread).sqrt())
            report["spread_skill"][name] = plain(metrics.spread_skill(spread, error, samples=count))
    return report


def cases(scores: Sequence[float], trials: Trials, row: str) -> dict[str, Any]:
    """Which clips are best, median and worst by a score of a forecast; fewer if there are few clips."""
    order = sorted(range(len(scores)), key=lambda number: -scores[number])
    middle = max(0, (len(order) - SHOWN) // 2)
    chosen = {"best": order[:SHOWN], "median": order[middle : middle + SHOWN], "worst": order[-SHOWN:]}
    seen: set[int] = set()
    found = {}
    for kind, numbers in chosen.items():
        fresh = [number for number in numbers if number not in seen]
        seen.update(fresh)
        found[kind] = [{"clip": trials.name(number), "number": number, RANKED_BY: scores[number]} for number in fresh]
    return {"by": RANKED_BY, "of": row, **found}


def plain(curve: Tensor) -> Curve:
    """Numbers, with null for those that are not finite."""
    return [value if math.isfinite(value) else None for value in curve.tolist()]
