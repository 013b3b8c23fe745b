"""Evaluates clips of a model or of another tool against the ground truth and untrained baselines."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from gancore.files.outputs import check_new_folder
from gancore.parsing import to_dict
from gancore.reporting.provenance import DataFingerprint, collect_provenance
from vidgan.commands import EvaluateConfig
from vidgan.data.batch import ClipBatch
from vidgan.evaluation import baselines
from vidgan.evaluation.clip_sets import TRUE_SET, ClipSets
from vidgan.evaluation.measure import FrameMetric, select_frame_metrics
from vidgan.evaluation.methods import EvaluationSet, ModelMethod, to_cpu_uint8
from vidgan.evaluation.networks import open_networks
from vidgan.evaluation.predictions import write_clip_pair
from vidgan.evaluation.report import (
    TRUE_ACTIONS,
    ClipProtocol,
    PredictionReport,
    RolloutReport,
    SynthesisReport,
    VideoReport,
)
from vidgan.evaluation.rollouts import measure_rollouts
from vidgan.evaluation.scores import CONVENTIONS, ForecastScorer, method_prefix
from vidgan.evaluation.sources import open_evaluation_set
from vidgan.evaluation.synthesis import SynthesisScorer
from vidgan.networks.generator import FramePredictor
from vidgan.objective import Futures


@torch.inference_mode()
def evaluate(config: EvaluateConfig, evaluation_set: EvaluationSet | None = None) -> VideoReport:
    """Measure a model or the clips of another tool.

    Args:
        config: What to measure.
        evaluation_set: The clips and methods; opened as the settings say if None.

    Raises:
        ValueError, OSError: Clips, model or weights cannot be read or do not fit each other.
    """
    evaluation_set = evaluation_set or open_evaluation_set(config)
    frames, channels, height, width = evaluation_set.clip_shape
    seen = frames if config.fvd_with_context else frames - evaluation_set.context_frames
    networks = open_networks(config.networks, frames=seen, channels=channels, device=evaluation_set.device)
    sets = ClipSets(
        networks.set_networks,
        context_frames=evaluation_set.context_frames,
        with_context=config.fvd_with_context,
        split=name_split(config),
        cache=config.feature_cache,
    )
    frame_metrics = select_frame_metrics(height, width, networks.frame_networks)
    scorer = ForecastScorer(frame_metrics) if evaluation_set.paired else SynthesisScorer(config)
    fingerprint = measure_clips(evaluation_set, config, scorer, sets)
    scores = scorer.report(evaluation_set, sets)
    return VideoReport(
        protocol=describe_protocol(config, evaluation_set, frame_metrics),
        prediction=scores if isinstance(scores, PredictionReport) else None,
        synthesis=scores if isinstance(scores, SynthesisReport) else None,
        rollout=roll_out(config, evaluation_set) if config.rollout_steps else None,
        sets=sets.report(seed=config.seed),
        unavailable=networks.unavailable,
        provenance=collect_provenance(seed=config.seed, data=fingerprint, device=evaluation_set.device),
    )


def roll_out(config: EvaluateConfig, evaluation_set: EvaluationSet) -> RolloutReport:
    """Roll the model out far beyond what it was trained for. Raises ValueError if it follows no actions."""
    method = evaluation_set.methods.get(TRUE_ACTIONS)
    if not (isinstance(method, ModelMethod) and isinstance(method.model, FramePredictor)):
        raise ValueError("rollout_steps is for models that follow actions (data.actions)")
    clips, data = config.rollout_clips, config.measured_data
    return measure_rollouts(
        method.model, data, split=config.split, steps=config.rollout_steps, clips=clips, seed=config.seed
    )


def measure_clips(
    evaluation_set: EvaluationSet, config: EvaluateConfig, scorer: ForecastScorer | SynthesisScorer, sets: ClipSets
) -> str:
    """Score all clips, add them to the sets and save them in one pass; return the fingerprint of the true ones."""
    folder, fingerprint = make_empty_folder(config.save_clips), DataFingerprint()
    for batch, futures_by_method in evaluation_set.iterate_batches(config.batch):
        true = to_cpu_uint8(batch.frames)
        scorer.add(batch, futures_by_method)
        sets.add(TRUE_SET, true)
        for name, clips in collect_clip_sets(batch, futures_by_method, samples=config.fvd_samples).items():
            sets.add(name, to_cpu_uint8(clips))
        if folder:
            for number, futures in enumerate(to_cpu_uint8(next(iter(futures_by_method.values())))):
                write_clip_pair(folder, fingerprint.count + number, true[number], futures)
        fingerprint.add(true)
    return fingerprint.hexdigest()


def collect_clip_sets(
    batch: ClipBatch, futures_by_method: Mapping[str, Futures], *, samples: int
) -> dict[str, torch.Tensor]:
    """Return the whole clips, past included, of every set that is compared with the true one, by the set's name.

    Each method gives its first `samples` futures of each past.
    """
    past = batch.true_past  # as of the true clips: only futures are compared
    found = {}
    for method, futures in futures_by_method.items():
        some = futures[:, :samples]
        pasts = past.repeat_interleave(some.shape[1], 0)
        found[f"{method_prefix(method, futures_by_method)}samples"] = torch.cat([pasts, some.flatten(0, 1)], 1)
    if batch.context_frames:
        found["last frame repeated"] = torch.cat(
            [past, baselines.repeat_last_frame(batch.past, batch.future.shape[1])], 1
        )
    return found


def make_empty_folder(folder: Path | None) -> Path | None:
    """Make the folder if one is given. Raises ValueError if there is something in it."""
    if folder is None:
        return None
    check_new_folder(folder, "save_clips")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def name_split(config: EvaluateConfig) -> str:
    """Return the part of the data that is measured; "as given" for clips from files."""
    return "as given" if config.ground_truth else config.split


def describe_protocol(
    config: EvaluateConfig, evaluation_set: EvaluationSet, frame_metrics: Sequence[FrameMetric]
) -> ClipProtocol:
    """Collect all that must be known to compare the scores with others."""
    frames, channels, height, width = evaluation_set.clip_shape
    conventions = CONVENTIONS | {metric.name: metric.convention for metric in frame_metrics}
    return ClipProtocol(
        task="prediction" if evaluation_set.paired else "synthesis",
        model=config.model,
        predictions=str(config.predictions) if config.predictions else None,
        ground_truth=str(config.ground_truth) if config.ground_truth else None,
        data=None if config.ground_truth else to_dict(config.measured_data),
        split=name_split(config),
        context_frames=evaluation_set.context_frames,
        future_frames=frames - evaluation_set.context_frames,
        height=height,
        width=width,
        channels=channels,
        clips=len(evaluation_set),
        clips_available=len(evaluation_set.ground_truth),
        samples={name: method.samples for name, method in evaluation_set.methods.items()},
        seed=config.seed,
        truncation=config.truncation,
        restorer=config.restorer,
        spoilt_model=config.spoilt_model,
        conventions=conventions if evaluation_set.paired else {},
    )
