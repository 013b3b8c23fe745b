"""How good clips are: a model's or another tool's, beside the true ones and beside forecasts that need no model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gancore.parsing import to_dict
from gancore.reporting.provenance import Fingerprint, provenance
from vidgan.data.dataset import Clips
from vidgan.evaluation import baselines
from vidgan.evaluation.clip_sets import ClipSets, open_networks
from vidgan.evaluation.config import EvaluateConfig, behind_run_settings, open_trials
from vidgan.evaluation.measure import Measure, measures
from vidgan.evaluation.methods import Trials, pixels
from vidgan.evaluation.predictions import save
from vidgan.evaluation.scores import CONVENTIONS, Forecasts, prefix
from vidgan.evaluation.synthesis import Synthesis
from vidgan.objective import Futures

__all__ = ["EvaluateConfig", "behind_run_settings", "evaluate", "open_trials"]


@torch.inference_mode()
def evaluate(config: EvaluateConfig, trials: Trials | None = None) -> dict[str, Any]:
    """The report: protocol, scores by metric and forecast and lead time, sets of clips compared, and what all hangs on.

    Raises ValueError or OSError if clips, model or weights cannot be read or do not fit each other.
    """
    trials = trials or open_trials(config)
    frames, channels, height, width = trials.shape
    judged = frames if config.with_past else frames - trials.context
    networks = open_networks(config.networks, frames=judged, channels=channels, place=trials.place)
    sets = ClipSets(
        networks.sets,
        context=trials.context,
        with_past=config.with_past,
        split="as given" if config.truth else config.split,
        cache=Path(config.features) if config.features else None,
    )
    measured = measures(height, width, networks.frames)
    study = Forecasts(measured) if trials.paired else Synthesis(config)
    fingerprint = measure(trials, config, study, sets)
    return {
        "protocol": protocol(config, trials, measured),
        **study.report(trials, sets),
        "sets": sets.report("true", seed=config.seed),
        "lacking": networks.lacking,
        "provenance": provenance(seed=config.seed, data=fingerprint, device=trials.place),
    }


def measure(trials: Trials, config: EvaluateConfig, study: Forecasts | Synthesis, sets: ClipSets) -> str:
    """Everything that needs the clips, in one pass over them, and their fingerprint."""
    folder, fingerprint = new_folder(config.save), Fingerprint()
    for batch, made in trials.batches(config.batch):
        true = pixels(batch.frames)
        study.add(batch, made)
        sets.add("true", true)
        for name, clips in judged_clips(batch, made, samples=config.judged).items():
            sets.add(name, pixels(clips))
        if folder:
            for number, futures in enumerate(pixels(next(iter(made.values())))):
                save(folder, fingerprint.count + number, true[number], futures)
        fingerprint.add(true)
    return fingerprint.hexdigest()


def judged_clips(batch: Clips, made: Mapping[str, Futures], *, samples: int) -> dict[str, torch.Tensor]:
    """Whole clips of every set that is compared with the true one, by the set's name."""
    past = batch.past
    found = {}
    for entrant, futures in made.items():
        some = futures[:, :samples]
        pasts = past.repeat_interleave(some.shape[1], 0)
        found[f"{prefix(entrant, made)}samples"] = torch.cat([pasts, some.flatten(0, 1)], 1)
    if batch.context:
        found["last frame repeated"] = torch.cat([past, baselines.last_frame(past, batch.future.shape[1])], 1)
    return found


def new_folder(path: str) -> Path | None:
    """The folder, made; none without a path. Raises ValueError if there is something in it."""
    if not path:
        return None
    folder = Path(path)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"save: {folder} is not empty, and clips of two evaluations are not to be mixed")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def protocol(config: EvaluateConfig, trials: Trials, measured: Sequence[Measure]) -> dict[str, Any]:
    """All that must be known to compare the scores with others."""
    frames, channels, height, width = trials.shape
    named = {"model": config.model, "predictions": config.predictions, "truth": config.truth}
    return {
        "task": "prediction" if trials.paired else "synthesis",
        **{name: path for name, path in named.items() if path},
        **({} if config.truth else {"data": to_dict(config.data), "split": config.split}),
        "context": trials.context,
        "future": frames - trials.context,
        "height": height,
        "width": width,
        "channels": channels,
        "clips": len(trials),
        "clips_there_are": len(trials.true),
        "samples": {name: entrant.samples for name, entrant in trials.entrants.items()},
        "seed": config.seed,
        "conventions": CONVENTIONS | {each.name: each.convention for each in measured} if trials.paired else {},
    }
