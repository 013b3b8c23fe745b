"""Scores of predictions by lead time, accumulated batch by batch."""

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gancore.evaluation.examples import select_extremes
from gancore.evaluation.report import Curve
from vidgan import metrics
from vidgan.data.batch import ClipBatch
from vidgan.evaluation import baselines
from vidgan.evaluation.clip_sets import ClipSets
from vidgan.evaluation.measure import FrameMetric
from vidgan.evaluation.methods import EvaluationSet
from vidgan.evaluation.report import (
    SEES_TRUTH,
    ExampleClip,
    ExampleClips,
    MeanScore,
    MetricInfo,
    PredictionReport,
    SynthesisReport,
)
from vidgan.metrics import PerFrame
from vidgan.objective import Futures

RANKING_METRIC = "ssim"
"""Metric by which clips are best, median or worst."""
EXAMPLES_PER_RANK = 2
"""Clips shown of each rank."""
CONVENTIONS = {
    "crps": (inspect.getdoc(metrics.crps) or "").partition("\n")[0],
    "mean of samples": "The mean of all samples, scored as one forecast.",
    "single samples": "The mean score of single samples.",
    SEES_TRUTH: "For each clip and metric, the sample with the best mean over lead times: it has seen the true future.",
    "sharpness_ratio, motion_ratio": "Mean over clips, divided by the mean over true clips.",
    "diversity": "Root mean squared difference of two samples of one past, on a range of one.",
    "spread_skill": "Spread of the samples divided by the error of their mean; 1 is well calibrated.",
    "standard_error": "Over clips, of each clip's mean over lead times.",
}
NO_REFERENCE_METRICS = {"sharpness": metrics.sharpness, "motion": metrics.motion}

Scores = Mapping[tuple[str, str], PerFrame]
"""A number for each clip and lead time, by (metric, forecast)."""


def score_batch(
    batch: ClipBatch, futures_by_method: Mapping[str, Futures], frame_metrics: Sequence[FrameMetric]
) -> Scores:
    """Score what each method predicted for a batch, and the baselines, by (metric, forecast)."""
    past, true = batch.past, batch.future
    last = batch.true_past[:, -1:]
    found = {
        (name, "true"): score(_prepend_last_frame(true, last, name)) for name, score in NO_REFERENCE_METRICS.items()
    }
    for method, futures in futures_by_method.items():
        found |= _score_method(method_prefix(method, futures_by_method), futures, true, last, frame_metrics)
    for name, forecast in baselines.predict_baselines(past, steps=true.shape[1]).items():
        found |= _score_forecast(name, forecast, true, last, frame_metrics)
        found["crps", name] = metrics.crps(forecast[:, None], true)
    return found


def method_prefix(method: str, methods: Iterable[str]) -> str:
    """Return what the names of a method's forecasts begin with: nothing if it is the only method."""
    return f"{method}, " if len(list(methods)) > 1 else ""


def _score_method(
    prefix: str, futures: Futures, true: Tensor, last: Tensor, frame_metrics: Sequence[FrameMetric]
) -> dict[tuple[str, str], PerFrame]:
    """The scores of the mean of a method's samples, of single samples, and of the best one."""
    samples = futures.shape[1]
    name = f"{prefix}all samples" if samples > 1 else f"{prefix}prediction"
    found = {("crps", name): metrics.crps(futures, true)}
    if samples == 1:
        return _score_forecast(name, futures[:, 0], true, last, frame_metrics) | found
    found |= _score_forecast(f"{prefix}mean of samples", futures.mean(1), true, last, frame_metrics)
    found["variance", name] = metrics.variance(futures)
    each, many_true, many_last = (
        rearrange(futures, "b n ... -> (b n) ..."),
        *(clip.repeat_interleave(samples, 0) for clip in (true, last)),
    )
    single = _score_forecast(f"{prefix}single samples", each, many_true, many_last, frame_metrics)
    by_sample = {key: rearrange(scores, "(b n) t -> b n t", n=samples) for key, scores in single.items()}
    found |= {key: scores.mean(1) for key, scores in by_sample.items()}
    for metric in frame_metrics:
        found[metric.name, f"{prefix}{SEES_TRUTH}"] = metrics.select_best_sample(
            by_sample[metric.name, f"{prefix}single samples"], higher_is_better=metric.higher_is_better
        )
    return found


def _score_forecast(
    name: str, forecast: Tensor, true: Tensor, last: Tensor, frame_metrics: Sequence[FrameMetric]
) -> dict[tuple[str, str], PerFrame]:
    """Errors of a forecast, and the metrics that need no true future."""
    found = {(metric.name, name): metric.score(forecast, true) for metric in frame_metrics}
    return found | {
        (metric, name): score(_prepend_last_frame(forecast, last, metric))
        for metric, score in NO_REFERENCE_METRICS.items()
    }


def _prepend_last_frame(clip: Tensor, last: Tensor, metric: str) -> Tensor:
    """For motion, the clip after the last frame of the past, or after its own first frame if there is no past."""
    return clip if metric != "motion" else torch.cat([last if last.shape[1] else clip[:, :1], clip], 1)


class ScoreTable:
    """Mean scores by metric and forecast, of clips that come batch by batch."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], Tensor] = {}
        self._clip_means: dict[tuple[str, str], list[float]] = {}

    def add(self, scores: Scores) -> None:
        """Add the scores of a batch."""
        for key, each in scores.items():
            each = each.double().cpu()
            self._sums[key] = self._sums.get(key, 0) + each.sum(0)
            self._clip_means.setdefault(key, []).extend(each.mean(1).tolist())

    def clip_means(self, metric: str, forecast: str) -> Sequence[float]:
        """Return each clip's mean over lead times, in the order the clips came."""
        return self._clip_means[metric, forecast]

    def mean(self, metric: str, forecast: str) -> Float[Tensor, " time"]:
        """Return the mean over clips by lead time."""
        return self._sums[metric, forecast] / len(self._clip_means[metric, forecast])

    def means_by_forecast(self, metric: str) -> dict[str, Float[Tensor, " time"]]:
        """Return the mean over clips by forecast and lead time."""
        return {forecast: self.mean(name, forecast) for name, forecast in self._sums if name == metric}

    def overall_by_forecast(self, metric: str) -> dict[str, MeanScore]:
        """Return the mean over clips and lead times by forecast, with its standard error over clips."""
        return {
            forecast: MeanScore(mean=sum(each) / len(each), standard_error=_standard_error(each))
            for (name, forecast), each in self._clip_means.items()
            if name == metric
        }


def _standard_error(numbers: Sequence[float]) -> float | None:
    if len(numbers) < 2:
        return None
    return float(torch.tensor(numbers, dtype=torch.float64).std()) / math.sqrt(len(numbers))


class ForecastScorer:
    """Scores forecasts, batch by batch, for the report of an evaluation of predictions."""

    def __init__(self, frame_metrics: Sequence[FrameMetric]):
        self.frame_metrics = frame_metrics
        self.table = ScoreTable()

    def add(self, batch: ClipBatch, futures_by_method: Mapping[str, Futures]) -> None:
        """Score what each method predicted for a batch of true clips."""
        self.table.add(score_batch(batch, futures_by_method, self.frame_metrics))

    def report(self, evaluation_set: EvaluationSet, _sets: ClipSets) -> PredictionReport | SynthesisReport:
        """Summarise all scores, and name the best, median and worst clips by the first method."""
        samples = {name: method.samples for name, method in evaluation_set.methods.items()}
        first = next(iter(samples))
        forecast = method_prefix(first, samples) + ("single samples" if samples[first] > 1 else "prediction")
        return PredictionReport(
            **summarise_scores(
                self.table, self.frame_metrics, samples=samples, pixels=math.prod(evaluation_set.clip_shape[1:])
            ),
            examples=select_examples(self.table.clip_means(RANKING_METRIC, forecast), evaluation_set, forecast),
        )


def summarise_scores(
    table: ScoreTable, frame_metrics: Sequence[FrameMetric], *, samples: Mapping[str, int], pixels: int
) -> dict[str, Any]:
    """Summarise scores as the fields of a PredictionReport but its examples.

    Args:
        table: The scores of all clips.
        frame_metrics: The metrics that compare a forecast with the true future.
        samples: How many samples each method predicted.
        pixels: Numbers in a frame: channels x height x width.
    """
    described = {metric.name: MetricInfo(title=metric.title, best=metric.best) for metric in frame_metrics}
    described |= {"crps": MetricInfo(title="CRPS", best="lowest")}
    ratios = {}
    for metric in NO_REFERENCE_METRICS:
        means = table.means_by_forecast(metric)
        ratios[metric] = {
            forecast: to_curve(mean / means["true"]) for forecast, mean in means.items() if forecast != "true"
        }
    diversity, spread_skill = {}, {}
    for method, count in samples.items():
        prefix = method_prefix(method, samples)
        if count > 1:
            name = f"{prefix}all samples"
            variance = table.mean("variance", name)
            error = table.mean("mse_per_frame", f"{prefix}mean of samples") / pixels
            diversity[name] = to_curve((2 * variance).sqrt())
            spread_skill[name] = to_curve(metrics.spread_skill(variance, error, samples=count))
    return {
        "metrics": described,
        "by_lead_time": {
            name: {forecast: to_curve(mean) for forecast, mean in table.means_by_forecast(name).items()}
            for name in described
        },
        "overall": {name: table.overall_by_forecast(name) for name in described},
        "sharpness_ratio": ratios["sharpness"],
        "motion_ratio": ratios["motion"],
        "diversity": diversity,
        "spread_skill": spread_skill,
    }


def select_examples(scores: Sequence[float], evaluation_set: EvaluationSet, forecast: str) -> ExampleClips:
    """Name the best, median and worst clips by the scores of a forecast; fewer if there are few clips."""
    best, median, worst = (
        [ExampleClip(clip=evaluation_set.clip_name(number), number=number, score=scores[number]) for number in numbers]
        for numbers in select_extremes(scores, EXAMPLES_PER_RANK)
    )
    return ExampleClips(metric=RANKING_METRIC, forecast=forecast, best=best, median=median, worst=worst)


def to_curve(numbers: Tensor) -> Curve:
    """Return the numbers as a list, with None for those that are not finite."""
    return [value if math.isfinite(value) else None for value in numbers.tolist()]
