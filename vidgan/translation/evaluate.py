"""Evaluates translators on held-out pairs, by kind of degradation, with simple untrained methods as baselines."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from gancore.data import Sample, evenly_spaced
from gancore.device import select_device
from gancore.hub import load_either
from gancore.parsing import to_dict
from gancore.reporting.provenance import DataFingerprint, collect_provenance
from gancore.rng import derive_seed
from vidgan import metrics
from vidgan.degradations.simple import METHODS, simple_methods_of
from vidgan.evaluation.clip_sets import TRUE_SET, ClipSets
from vidgan.evaluation.measure import FrameMetric, make_perceptual_metric
from vidgan.evaluation.networks import EvaluationNetworks, open_networks
from vidgan.files.captions import LabelledClip
from vidgan.frames import to_float, to_uint8
from vidgan.networks.translator import ClipTranslator
from vidgan.networks.translator_pair import TranslatorPair
from vidgan.translation.commands import EvaluateTranslationConfig
from vidgan.translation.flicker import warping_error
from vidgan.translation.nearest import NearestFrame
from vidgan.translation.objective import mean_where
from vidgan.translation.pairs import Pair, PairDataset, open_pairs
from vidgan.translation.report import SOURCE, ScoreInfo, TaskReport, TranslationReport
from vidgan.translation.unpaired_validation import match_training
from vidgan.translation_config import PairDataConfig

Method = Callable[[Pair], UInt8[Tensor, "time channel height width"]]

CLIPS = 64
"""Clips of each task if no other number is asked for."""
SHOWN = 3
"""Clips of each task on the page, evenly spaced."""
SCORES = {
    "psnr": ScoreInfo(title="PSNR (dB)", best="highest", digits=2, meaning="of each frame in RGB, then the mean"),
    "ssim": ScoreInfo(title="SSIM", best="highest", digits=4, meaning="by scikit-image, windows of 7x7"),
    "sharpness": ScoreInfo(
        title="sharpness / true", best="nearest to 1", digits=3, meaning="mean magnitude of the image gradient"
    ),
    "flicker": ScoreInfo(
        title="warping error / true",
        best="nearest to 1",
        digits=3,
        meaning="mean squared change along the motion of the true clip (Lai et al. 2018), over that of the true clip",
    ),
}
"""Scores without a network; the last two are ratios of means."""
UNKNOWN = ScoreInfo(title="PSNR where unknown (dB)", best="highest", digits=2, meaning="over lost pixels alone")
"""The score of clips of which pixels are lost."""


class Task(NamedTuple):
    """Pairs that are measured together."""

    name: str
    pairs: PairDataset
    data: PairDataConfig
    """How they are made."""
    simple: tuple[str, ...]
    """Names of the simple methods that are worth trying."""


class Evaluation(NamedTuple):
    """What was measured, and what there is to look at."""

    report: TranslationReport
    shown: dict[str, list[list[LabelledClip]]]
    """For each task some clips: source, best simple method, models and truth."""


@torch.inference_mode()
def evaluate(config: EvaluateTranslationConfig) -> Evaluation:
    """Measure a model, and another one if asked for.

    Raises:
        ValueError, OSError: Clips, a model or weights cannot be read or do not fit each other.
    """
    device = select_device(cpu=config.cpu)
    models = open_models(config, device)
    tasks, shown, fingerprint = [], {}, DataFingerprint()
    networks = open_networks(
        config.networks, frames=config.data.clip_frames, channels=config.data.channels, device=device
    )
    perceptual = {metric.name: metric for metric in map(make_perceptual_metric, networks.frame_networks)}
    for task in open_tasks(config):
        check_scale(task, models)
        methods: dict[str, Method] = {SOURCE: partial(apply_simple, "copy")}
        methods |= {name: partial(apply_simple, name) for name in task.simple if name != "copy"}
        if not config.data.paired:
            methods |= match_histograms(task.data)
        elif not config.data.degradations:
            methods["nearest training frame"] = NearestFrame.from_training(open_pairs(task.data, split="train"))
        methods |= models
        found, clips = measure_task(task, methods, config, networks, perceptual, fingerprint)
        tasks.append(found)
        shown[task.name] = [
            [clip for clip in row if clip.label in (SOURCE, found.best_baseline(models), *models, "ground truth")]
            for row in clips
        ]
    lost = {"psnr_unknown": UNKNOWN} if any("psnr_unknown" in task.scores[SOURCE] for task in tasks) else {}
    infos = (
        lost
        | SCORES
        | {
            name: ScoreInfo(title=metric.title, best="lowest", digits=4, meaning=metric.convention)
            for name, metric in perceptual.items()
        }
    )
    report = TranslationReport(
        models=list(models),
        infos=infos,
        tasks=tasks,
        protocol={
            "model": config.model,
            "baseline_model": config.baseline_model,
            "split": config.split,
            "severities": config.severities,
            "data": to_dict(config.data),
        },
        provenance=collect_provenance(seed=config.seed, data=fingerprint.hexdigest(), device=device),
    )
    return Evaluation(report, shown)


def open_models(config: EvaluateTranslationConfig, device: torch.device) -> dict[str, "ModelMethod"]:
    """The models to measure, as methods by name. Raises ValueError if one is missing or of another kind."""
    assert config.model is not None
    names = {"model": config.model} | ({"baseline model": config.baseline_model} if config.baseline_model else {})
    models = {name: load_either(at, ClipTranslator, TranslatorPair).to(device) for name, at in names.items()}
    return {name: ModelMethod(model) for name, model in models.items()}


def open_tasks(config: EvaluateTranslationConfig) -> Iterator[Task]:
    """Each kind of degradation at each severity, or the pairs of the folders."""
    data = config.data
    if not data.degradations:
        yield Task("pairs", open_pairs(data, split=config.split), data, ())
    for kind in data.degradations:
        shrinks = all(part.startswith("shrink-") for part in kind.split("+"))
        for severity in config.severities[:1] if shrinks else config.severities:
            name = kind if shrinks else f"{kind}, severity {severity:g}"
            spoilt = replace(data, degradations=(kind,), least_severity=severity, most_severity=severity)
            yield Task(name, open_pairs(spoilt, split=config.split), spoilt, simple_methods_of(kind))


def apply_simple(name: str, pair: Pair) -> UInt8[Tensor, "time channel height width"]:
    """What a simple method makes of a source."""
    return METHODS[name](pair.source, pair.known, pair.target.shape[-1] // pair.source.shape[-1])


def match_histograms(data: PairDataConfig) -> dict[str, Method]:
    """Histogram matching from training sources to targets, as simple as a method without pairs can be.

    By curves of each clip, and by those of all: the latter undo what was done to all clips alike.
    """
    matching = match_training(open_pairs(data, split="train"))

    def match(curves: Callable[[Tensor], Tensor], pair: Pair) -> UInt8[Tensor, "time channel height width"]:
        return to_uint8(curves(to_float(pair.source)[None])[0])

    return {
        "histogram of each clip": partial(match, matching.match_clips),
        "histogram of all clips": partial(match, matching.match_set),
    }


@dataclass(frozen=True)
class ModelMethod:
    """What a model makes of a source; it is told what is known if it was trained with that."""

    model: ClipTranslator | TranslatorPair

    def __call__(self, pair: Pair) -> UInt8[Tensor, "time channel height width"]:
        return self.model.translate(pair.source, pair.known if self.model.shape.masked else None)


def check_scale(task: Task, models: Mapping[str, ModelMethod]) -> None:
    """Raises ValueError unless all models enlarge as much as the targets of a task are larger than their sources."""
    source, target, _ = task.pairs[Sample(0, 0)]
    scale = target.shape[-1] // source.shape[-1]
    for name, method in models.items():
        if method.model.shape.scale != scale:
            raise ValueError(
                f"the {name} enlarges {method.model.shape.scale} times, and the targets of {task.name} are {scale} "
                "times as large as their sources: set data.degradations to what it was made for"
            )


def measure_task(
    task: Task,
    methods: dict[str, Method],
    config: EvaluateTranslationConfig,
    networks: EvaluationNetworks,
    perceptual: dict[str, FrameMetric],
    fingerprint: DataFingerprint,
) -> tuple[TaskReport, list[list[LabelledClip]]]:
    """Scores of all methods on the clips of a task, and some clips with what each method makes of them."""
    numbers = evenly_spaced(len(task.pairs), count=config.max_items or CLIPS)
    looked_at = {numbers[index] for index in evenly_spaced(len(numbers), count=SHOWN)}
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    sets = ClipSets(networks.set_networks, context_frames=0, with_context=False, split=config.split, cache=None)
    lost: defaultdict[str, list[float]] = defaultdict(list)
    shown: list[list[LabelledClip]] = []
    for number in numbers:
        pair = task.pairs[Sample(number, derive_seed(config.seed, number))]
        fingerprint.add(pair.target[None])
        true = to_float(pair.target)[None]
        sums[TRUE_SET].update(measure_looks(true, true))
        sets.add(TRUE_SET, pair.target[None])
        row = []
        for name, method in methods.items():
            made = method(pair)
            sums[name].update(measure_looks(to_float(made)[None], true))
            sums[name].update({key: float(m.score(to_float(made)[None], true).mean()) for key, m in perceptual.items()})
            if pair.known is not None and not pair.known.all():
                lost[name].append(psnr_where(to_float(made)[None], true, ~pair.known))
            sets.add(name, made[None])
            row.append(LabelledClip(name, made, generated_from=len(made) if name == SOURCE else 0))
        if number in looked_at:
            shown.append([*row, LabelledClip("ground truth", pair.target, generated_from=len(pair.target))])
    true_looks = sums.pop(TRUE_SET)
    scores = {}
    for name, total in sums.items():
        ratios = {key: total[key] / max(true_looks[key], 1e-12) for key in ("sharpness", "flicker")}
        scores[name] = {key: value / len(numbers) for key, value in total.items()} | ratios
        if lost[name]:  # clips of which nothing is lost would be perfect
            scores[name]["psnr_unknown"] = fmean(lost[name])
    report = TaskReport(name=task.name, clips=len(numbers), scores=scores, sets=sets.report(seed=config.seed))
    return report, shown


def measure_looks(
    made: Float[Tensor, "1 time channel height width"], true: Float[Tensor, "1 time channel height width"]
) -> dict[str, float]:
    """The scores of one clip that need no network."""
    return {
        "psnr": float(metrics.psnr(made, true).mean()),
        "ssim": float(metrics.ssim(made, true).mean()),
        "sharpness": float(metrics.sharpness(made).mean()),
        "flicker": float(warping_error(made, true).mean()) if made.shape[1] > 1 else 0.0,
    }


def psnr_where(
    made: Float[Tensor, "1 time channel height width"],
    true: Float[Tensor, "1 time channel height width"],
    mask: Bool[Tensor, "time 1 height width"],
) -> float:
    """PSNR over the pixels in the mask of all frames together; at most 100, as for no pixels."""
    error = float(mean_where(((made - true) / 2).square(), mask))
    return -10 * math.log10(max(error, 1e-10))
