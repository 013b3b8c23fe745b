"""How good clips are: a model's or another tool's, beside the true ones and beside forecasts that need no model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gancore.parsing import to_dict
from gancore.reporting.provenance import DataFingerprint, collect_provenance
from vidgan.data.dataset import ClipBatch
from vidgan.evaluation import baselines
from vidgan.evaluation.clip_sets import ClipSets, open_networks
from vidgan.evaluation.config import EvaluateConfig, open_evaluation_set, prepend_run_settings
from vidgan.evaluation.measure import FrameMetric, select_frame_metrics
from vidgan.evaluation.methods import EvaluationSet, to_cpu_uint8
from vidgan.evaluation.predictions import write_clip_pair
from vidgan.evaluation.scores import CONVENTIONS, ForecastScores, method_prefix
from vidgan.evaluation.synthesis import SynthesisScores
from vidgan.objective import Futures

__all__ = ["EvaluateConfig", "evaluate", "open_evaluation_set", "prepend_run_settings"]


@torch.inference_mode()
def evaluate(config: EvaluateConfig, trials: EvaluationSet | None = None) -> dict[str, Any]:
    """The report: protocol, scores by metric and forecast and lead time, sets of clips compared, and what all hangs on.

    Raises ValueError or OSError if clips, model or weights cannot be read or do not fit each other.
    """
    trials = trials or open_evaluation_set(config)
    frames, channels, height, width = trials.clip_shape
    judged = frames if config.fvd_with_context else frames - trials.context_frames
    networks = open_networks(config.networks, frames=judged, channels=channels, device=trials.device)
    sets = ClipSets(
        networks.set_networks,
        context_frames=trials.context_frames,
        with_context=config.fvd_with_context,
        split="as given" if config.ground_truth else config.split,
        cache=Path(config.feature_cache) if config.feature_cache else None,
    )
    measured = select_frame_metrics(height, width, networks.frame_networks)
    study = ForecastScores(measured) if trials.paired else SynthesisScores(config)
    fingerprint = measure_clips(trials, config, study, sets)
    return {
        "protocol": describe_protocol(config, trials, measured),
        **study.report(trials, sets),
        "sets": sets.report("true", seed=config.seed),
        "lacking": networks.unavailable,
        "provenance": collect_provenance(seed=config.seed, data=fingerprint, device=trials.device),
    }


def measure_clips(
    trials: EvaluationSet, config: EvaluateConfig, study: ForecastScores | SynthesisScores, sets: ClipSets
) -> str:
    """Everything that needs the clips, in one pass over them, and their fingerprint."""
    folder, fingerprint = make_empty_folder(config.save_clips), DataFingerprint()
    for batch, made in trials.iterate_batches(config.batch):
        true = to_cpu_uint8(batch.frames)
        study.add(batch, made)
        sets.add("true", true)
        for name, clips in collect_clip_sets(batch, made, samples=config.fvd_samples).items():
            sets.add(name, to_cpu_uint8(clips))
        if folder:
            for number, futures in enumerate(to_cpu_uint8(next(iter(made.values())))):
                write_clip_pair(folder, fingerprint.count + number, true[number], futures)
        fingerprint.add(true)
    return fingerprint.hexdigest()


def collect_clip_sets(batch: ClipBatch, made: Mapping[str, Futures], *, samples: int) -> dict[str, torch.Tensor]:
    """Whole clips of every set that is compared with the true one, by the set's name."""
    past = batch.past
    found = {}
    for entrant, futures in made.items():
        some = futures[:, :samples]
        pasts = past.repeat_interleave(some.shape[1], 0)
        found[f"{method_prefix(entrant, made)}samples"] = torch.cat([pasts, some.flatten(0, 1)], 1)
    if batch.context_frames:
        found["last frame repeated"] = torch.cat([past, baselines.repeat_last_frame(past, batch.future.shape[1])], 1)
    return found


def make_empty_folder(path: str) -> Path | None:
    """The folder, made; none without a path. Raises ValueError if there is something in it."""
    if not path:
        return None
    folder = Path(path)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"save: {folder} is not empty, and clips of two evaluations are not to be mixed")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def describe_protocol(config: EvaluateConfig, trials: EvaluationSet, measured: Sequence[FrameMetric]) -> dict[str, Any]:
    """All that must be known to compare the scores with others."""
    frames, channels, height, width = trials.clip_shape
    named = {"model": config.model, "predictions": config.predictions, "truth": config.ground_truth}
    return {
        "task": "prediction" if trials.paired else "synthesis",
        **{name: path for name, path in named.items() if path},
        **({} if config.ground_truth else {"data": to_dict(config.data), "split": config.split}),
        "context": trials.context_frames,
        "future": frames - trials.context_frames,
        "height": height,
        "width": width,
        "channels": channels,
        "clips": len(trials),
        "clips_there_are": len(trials.ground_truth),
        "samples": {name: entrant.samples for name, entrant in trials.methods.items()},
        "seed": config.seed,
        "conventions": CONVENTIONS | {each.name: each.convention for each in measured} if trials.paired else {},
    }
