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
from vidgan.data.dataset import ClipBatch
from vidgan.evaluation import baselines
from vidgan.evaluation.clip_sets import ClipSets
from vidgan.evaluation.measure import FrameMetric
from vidgan.evaluation.methods import EvaluationSet
from vidgan.metrics import PerFrame
from vidgan.objective import Futures

Curve = list[float | None]


RANKING_METRIC = "ssim"
"""By which clips are best, median or worst."""
EXAMPLES_PER_RANK = 2
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
NO_REFERENCE_METRICS = {"sharpness": metrics.sharpness, "motion": metrics.motion}


def score_batch(
    batch: ClipBatch, futures_by_method: Mapping[str, Futures], frame_metrics: Sequence[FrameMetric]
) -> dict[str, Float[Tensor, "batch time"]]:
    """All there is to say of a batch, a number a clip and lead time, by "metric/forecast"."""
    past, true = batch.past, batch.future
    last = past[:, -1:]
    found = {f"{name}/true": look(_prepend_last_frame(true, last, name)) for name, look in NO_REFERENCE_METRICS.items()}
    for entrant, futures in futures_by_method.items():
        found |= _score_method(method_prefix(entrant, futures_by_method), futures, true, last, frame_metrics)
    for name, forecast in baselines.predict_baselines(past, steps=true.shape[1]).items():
        found |= _score_forecast(name, forecast, true, last, frame_metrics)
        found[f"crps/{name}"] = metrics.crps(forecast[:, None], true)
    return found


def method_prefix(method: str, methods: Mapping[str, Any]) -> str:
    """What stands before the names of an entrant's forecasts: nothing if it is the only one."""
    return f"{method}, " if len(methods) > 1 else ""


def _score_method(
    start: str, futures: Futures, true: Tensor, last: Tensor, measured: Sequence[FrameMetric]
) -> dict[str, PerFrame]:
    """The scores of its samples: of their mean, of each by itself, and of the best."""
    samples = futures.shape[1]
    row = f"{start}all samples" if samples > 1 else f"{start}prediction"
    found = {f"crps/{row}": metrics.crps(futures, true)}
    if samples == 1:
        return _score_forecast(row, futures[:, 0], true, last, measured) | found
    found |= _score_forecast(f"{start}mean of samples", futures.mean(1), true, last, measured)
    found[f"variance/{row}"] = metrics.variance(futures)
    each, many_true, many_last = (
        rearrange(futures, "b n ... -> (b n) ..."),
        *(clip.repeat_interleave(samples, 0) for clip in (true, last)),
    )
    single = _score_forecast("single samples", each, many_true, many_last, measured)
    apart = {name: rearrange(scores, "(b n) t -> b n t", n=samples) for name, scores in single.items()}
    found |= {_insert_prefix(name, start): scores.mean(1) for name, scores in apart.items()}
    for measure in measured:
        best = metrics.select_best_sample(
            apart[f"{measure.name}/single samples"], higher_is_better=measure.higher_is_better
        )
        found[f"{measure.name}/{start}best of samples"] = best
    return found


def _insert_prefix(name: str, start: str) -> str:
    metric, _, row = name.partition("/")
    return f"{metric}/{start}{row}"


def _score_forecast(
    name: str, forecast: Tensor, true: Tensor, last: Tensor, measured: Sequence[FrameMetric]
) -> dict[str, PerFrame]:
    """Errors of a forecast, and how it looks beside the truth."""
    found = {f"{measure.name}/{name}": measure.score(forecast, true) for measure in measured}
    return found | {
        f"{look}/{name}": score(_prepend_last_frame(forecast, last, look))
        for look, score in NO_REFERENCE_METRICS.items()
    }


def _prepend_last_frame(clip: Tensor, last: Tensor, look: str) -> Tensor:
    """The clip, with a frame before it where movement is to be seen: its own first one if there is no past."""
    return clip if look != "motion" else torch.cat([last if last.shape[1] else clip[:, :1], clip], 1)


class RunningMeans:
    """Means over clips that come batch by batch, and each clip's own mean over its frames."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.clip_means: dict[str, list[float]] = {}

    def add(self, found: Mapping[str, PerFrame]) -> None:
        """Takes in the scores of a batch."""
        for name, scores in found.items():
            scores = scores.double().cpu()
            self.sums[name] = self.sums.get(name, 0) + scores.sum(0)
            self.clip_means.setdefault(name, []).extend(scores.mean(1).tolist())

    def mean(self, name: str) -> Float[Tensor, " time"]:
        """By lead time."""
        return self.sums[name] / len(self.clip_means[name])

    def means_by_forecast(self, metric: str) -> dict[str, Float[Tensor, " time"]]:
        """Means by forecast and lead time."""
        return {name.partition("/")[2]: self.mean(name) for name in self.sums if name.startswith(f"{metric}/")}

    def overall_by_forecast(self, metric: str) -> dict[str, dict[str, float | None]]:
        """Mean over clips and lead times by forecast, with its standard error over clips."""
        return {
            name.partition("/")[2]: {"mean": sum(each) / len(each), "standard_error": _standard_error(each)}
            for name, each in self.clip_means.items()
            if name.startswith(f"{metric}/")
        }


def _standard_error(each: Sequence[float]) -> float | None:
    if len(each) < 2:
        return None
    return float(torch.tensor(each, dtype=torch.float64).std()) / math.sqrt(len(each))


class ForecastScores:
    """Everything measured of forecasts, as batches of them come."""

    def __init__(self, frame_metrics: Sequence[FrameMetric]):
        self.frame_metrics = frame_metrics
        self.running_means = RunningMeans()

    def add(self, batch: ClipBatch, made: Mapping[str, Futures]) -> None:
        """Takes in true clips and what each entrant made of them."""
        self.running_means.add(score_batch(batch, made, self.frame_metrics))

    def report(self, trials: EvaluationSet, _sets: ClipSets) -> dict[str, Any]:
        """Scores as plain lists over lead times; null where there is nothing to be compared with."""
        samples = {name: entrant.samples for name, entrant in trials.methods.items()}
        found = summarise_scores(
            self.running_means, self.frame_metrics, samples=samples, pixels=math.prod(trials.clip_shape[1:])
        )
        first = next(iter(samples))
        row = method_prefix(first, samples) + ("single samples" if samples[first] > 1 else "prediction")
        described = {each.name: {"title": each.title, "best": each.best} for each in self.frame_metrics}
        return {
            "measures": described,
            **found,
            "cases": select_examples(self.running_means.clip_means[f"{RANKING_METRIC}/{row}"], trials, row),
        }


def summarise_scores(
    means: RunningMeans, frame_metrics: Sequence[FrameMetric], *, samples: Mapping[str, int], pixels: int
) -> dict[str, Any]:
    """The report's scores as plain lists over lead times; null where there is nothing to be compared with.

    `samples` are those of each entrant, `pixels` the numbers that make a frame.
    """
    names = [*(measure.name for measure in frame_metrics), "crps"]
    report: dict[str, Any] = {
        name: {row: to_json_list(curve) for row, curve in means.means_by_forecast(name).items()}
        for name in names
        if means.means_by_forecast(name)
    }
    report["overall"] = {name: means.overall_by_forecast(name) for name in report}
    for look in NO_REFERENCE_METRICS:
        found = means.means_by_forecast(look)
        report[f"{look}_ratio"] = {
            row: to_json_list(curve / found["true"]) for row, curve in found.items() if row != "true"
        }
    report["diversity"], report["spread_skill"] = {}, {}
    for entrant, count in samples.items():
        name = f"{method_prefix(entrant, samples)}all samples"
        if count > 1:
            spread = means.mean(f"variance/{name}")
            error = means.mean(f"mse_per_frame/{method_prefix(entrant, samples)}mean of samples") / pixels
            report["diversity"][name] = to_json_list((2 * spread).sqrt())
            report["spread_skill"][name] = to_json_list(metrics.spread_skill(spread, error, samples=count))
    return report


def select_examples(scores: Sequence[float], evaluation_set: EvaluationSet, row: str) -> dict[str, Any]:
    """Which clips are best, median and worst by a score of a forecast; fewer if there are few clips."""
    order = sorted(range(len(scores)), key=lambda number: -scores[number])
    middle = max(0, (len(order) - EXAMPLES_PER_RANK) // 2)
    chosen = {
        "best": order[:EXAMPLES_PER_RANK],
        "median": order[middle : middle + EXAMPLES_PER_RANK],
        "worst": order[-EXAMPLES_PER_RANK:],
    }
    seen: set[int] = set()
    found = {}
    for kind, numbers in chosen.items():
        fresh = [number for number in numbers if number not in seen]
        seen.update(fresh)
        found[kind] = [
            {"clip": evaluation_set.clip_name(number), "number": number, RANKING_METRIC: scores[number]}
            for number in fresh
        ]
    return {"by": RANKING_METRIC, "of": row, **found}


def to_json_list(curve: Tensor) -> Curve:
    """Numbers, with null for those that are not finite."""
    return [value if math.isfinite(value) else None for value in curve.tolist()]
