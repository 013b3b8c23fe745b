"""The report of an evaluation of clips, for report.json."""

from dataclasses import dataclass
from typing import Any, Literal

from gancore.evaluation.report import SCHEMA, Curve, Number
from gancore.evaluation.verdict import Verdict, judge_methods
from vidgan.evaluation.baselines import BASELINES

CLEAN_PAST = "clean past"
"""Name of the method that is given the clean past, where all others and the baselines are given a spoilt one."""
TRUE_ACTIONS, SHUFFLED_ACTIONS = "true actions", "shuffled actions"
"""Names of a model that is given the actions of each clip, and those of another clip."""
UNFAIR = (f"{CLEAN_PAST}, ", f"{SHUFFLED_ACTIONS}, ")
"""Starts of the names of forecasts that are not held against the baselines: they are given more, or on purpose what is
wrong."""
SEES_TRUTH = "best of samples"
"""End of the name of a forecast that is chosen by comparing the samples with the true future."""
VERDICT_FORECASTS = ("prediction", "all samples", "single samples")
"""Ends of the names of the forecasts that are held against the baselines."""


@dataclass(frozen=True, kw_only=True)
class ClipProtocol:
    """All that must be known to compare the scores with others."""

    task: Literal["prediction", "synthesis"]
    model: str | None
    predictions: str | None
    ground_truth: str | None
    data: dict[str, Any] | None
    """Settings of the data set; None if the true clips came from files."""
    split: str
    context_frames: int
    future_frames: int
    height: int
    width: int
    channels: int
    clips: int
    """Clips measured."""
    clips_available: int
    samples: dict[str, int]
    """Futures of each past, by method."""
    seed: int
    truncation: float | None
    """Bound of the magnitude of a model's latent numbers; None if there was none."""
    restorer: str | None = None
    """Model that restored spoilt pasts, if there was one."""
    spoilt_model: str | None = None
    """Model that was trained on spoilt pasts, if one was measured beside `model`."""
    conventions: dict[str, str]
    """What each score means."""


@dataclass(frozen=True, kw_only=True)
class MetricInfo:
    """How a metric is shown and read."""

    title: str
    best: Literal["lowest", "highest"]


@dataclass(frozen=True, kw_only=True)
class MeanScore:
    """A mean over clips and lead times."""

    mean: Number
    standard_error: Number | None
    """Over clips, of each clip's mean over lead times; None for a single clip."""


@dataclass(frozen=True, kw_only=True)
class ExampleClip:
    """A clip that is worth looking at."""

    clip: str
    number: int
    """Index among the clips measured."""
    score: Number


@dataclass(frozen=True, kw_only=True)
class ExampleClips:
    """The best, median and worst clips."""

    metric: str
    forecast: str
    """Which forecast was scored."""
    best: list[ExampleClip]
    median: list[ExampleClip]
    worst: list[ExampleClip]

    def by_rank(self) -> dict[str, list[ExampleClip]]:
        """Return the clips by rank: best, median, worst."""
        return {"best": self.best, "median": self.median, "worst": self.worst}


@dataclass(frozen=True, kw_only=True)
class PredictionReport:
    """Scores of forecasts, the baselines' included; a curve has a number for each lead time."""

    metrics: dict[str, MetricInfo]
    by_lead_time: dict[str, dict[str, Curve]]
    """By metric and forecast."""
    overall: dict[str, dict[str, MeanScore]]
    """By metric and forecast."""
    sharpness_ratio: dict[str, Curve]
    motion_ratio: dict[str, Curve]
    diversity: dict[str, Curve]
    spread_skill: dict[str, Curve]
    examples: ExampleClips

    def verdicts(self) -> list[Verdict]:
        """Compare each method with the best baseline, by CRPS first.

        What has seen the ground truth is left out, and what was given a better past than the baselines, or the actions
        of another clip.
        """
        return [
            verdict
            for name in sorted(self.metrics, key=lambda name: name != "crps")
            for verdict in judge_methods(
                self.metrics[name].title,
                {forecast: score.mean for forecast, score in self.overall[name].items()},
                methods=[
                    forecast
                    for forecast in self.overall[name]
                    if forecast.endswith(VERDICT_FORECASTS) and not forecast.startswith(UNFAIR)
                ],
                baselines=BASELINES,
                higher_is_better=self.metrics[name].best == "highest",
            )
        ]


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A generated clip and the most similar known clip."""

    sample: int
    neighbour: int
    distance: Number


@dataclass(frozen=True, kw_only=True)
class NeighbourReport:
    """How close generated clips are to known ones, by the features of a network."""

    network: str
    reference: str
    """Set of clips among which neighbours are searched: training or true."""
    memorised_share: dict[str, Number]
    closest: list[Neighbour]


@dataclass(frozen=True, kw_only=True)
class ClassReport:
    """Classes of generated clips, each being the class of the nearest known clip by the features of a network."""

    network: str
    reference: str
    """Set of clips among which neighbours are searched: training or true."""
    classes: int
    classes_hit: int
    hit_share: Number
    kl_from_uniform: Number
    samples_of_requested_class: Number
    true_clips_of_own_class: Number


@dataclass(frozen=True, kw_only=True)
class SynthesisReport:
    """Scores of clips generated from noise next to true ones, under the names "samples" and "true"."""

    sharpness: dict[str, Curve]
    """By frame."""
    motion: dict[str, Curve]
    """By pair of neighbouring frames."""
    diversity: dict[str, Number | None]
    """Root mean squared difference of two clips of a set; None for fewer than two clips."""
    neighbours: NeighbourReport | None = None
    classes: ClassReport | None = None


@dataclass(frozen=True, kw_only=True)
class SetReport:
    """Sets of clips compared with the true ones by the features of one network."""

    distance: str
    """Name of its Frechet distance."""
    protocol: dict[str, str | int]
    scores: dict[str, dict[str, Number] | None]
    """By set; None for a set that is too small."""


@dataclass(frozen=True, kw_only=True)
class RolloutReport:
    """Long rollouts beside the truth; a curve has a number for each step, the mean over clips."""

    steps: int
    clips: int
    brightness: dict[str, Curve]
    """Mean value in [0, 1]."""
    motion: dict[str, Curve]
    """Mean absolute difference from the frame before, of values in [0, 1]."""
    error: dict[str, Curve]
    """Root mean squared error, of values in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class VideoReport:
    """Everything that an evaluation of clips measured, and what it depends on."""

    schema: int = SCHEMA
    protocol: ClipProtocol
    prediction: PredictionReport | None = None
    synthesis: SynthesisReport | None = None
    rollout: RolloutReport | None = None
    sets: dict[str, SetReport]
    """By network."""
    unavailable: list[str]
    """What could not be measured, and why."""
    provenance: dict[str, Any]
    """Versions, device, seed and fingerprint of the data."""
