"""Long rollouts of a world model: whether brightness and amount of motion stay like the ground truth's."""

from collections import defaultdict
from dataclasses import replace

import torch
from accelerate.utils import tqdm
from torch import Tensor

from gancore.data import Sample, evenly_spaced
from gancore.evaluation.report import Curve
from gancore.rng import derive_seed
from gancore.splits import Split
from vidgan.data.batch import collate
from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.report import RolloutReport
from vidgan.evaluation.scores import to_curve
from vidgan.networks.generator import FramePredictor
from vidgan.simulation import begin_world, run_world, trained_steps

TAIL = 100
"""Steps at the end of a rollout that its verdict is about."""
TRUTH, STILL = "true", "last frame repeated"


@torch.inference_mode()
def measure_rollouts(
    model: FramePredictor, data: VideoDataConfig, *, split: Split, steps: int, clips: int, seed: int
) -> RolloutReport:
    """Follow the actions of held-out clips of so many steps, in one state, and looking at own frames now and then.

    Raises ValueError if there are no clips of that length.
    """
    context = model.shape.context_frames
    dataset = open_dataset(replace(data, clip_frames=context + steps, context_frames=context), split=split)
    chosen = evenly_spaced(len(dataset), count=clips)
    items = [dataset[Sample(index, derive_seed(seed, number))] for number, index in enumerate(chosen)]
    batch = collate(items, context)
    actions, past = batch.future_actions, batch.past
    assert actions is not None
    refresh = trained_steps(model)
    ways = {f"looking every {refresh} steps": refresh, "never looking": 0}
    running = {
        name: run_world(model, begin_world(model, past, seed=seed), actions, refresh=every)
        for name, every in ways.items()
    }
    found: dict[str, dict[str, list[Tensor]]] = {kind: defaultdict(list) for kind in ("brightness", "motion", "error")}
    before = dict.fromkeys((TRUTH, *ways), past[:, -1])
    for step in tqdm(range(steps), unit="step", leave=False):
        true = batch.future[:, step]
        frames = {TRUTH: true, **{name: next(run) for name, run in running.items()}}
        for name, frame in frames.items():
            found["brightness"][name].append(frame.float().mean() / 255)
            found["motion"][name].append((frame.float() - before[name].float()).abs().mean() / 255)
        for name, frame in {**frames, STILL: past[:, -1]}.items():
            if name != TRUTH:
                error = (frame.float() - true.float()).square().mean((1, 2, 3)).sqrt().mean() / 255
                found["error"][name].append(error)
        before = frames
    curves = {
        kind: {name: to_curve(torch.stack(each)) for name, each in by_name.items()} for kind, by_name in found.items()
    }
    return RolloutReport(steps=steps, clips=len(chosen), **curves)


def describe_rollouts(report: RolloutReport) -> list[str]:
    """Say how bright the end of the rollouts is, and how much moves there, as shares of the truth."""
    tail = min(TAIL, report.steps)

    def end(curve: Curve) -> float:
        return sum(value or 0.0 for value in curve[-tail:]) / tail

    return [
        f"In the last {tail} of {report.steps} steps, {name}: brightness "
        f"{100 * end(report.brightness[name]) / max(end(report.brightness[TRUTH]), 1e-9):.0f} %, motion "
        f"{100 * end(report.motion[name]) / max(end(report.motion[TRUTH]), 1e-9):.0f} % of the truth's; error "
        f"{end(report.error[name]):.3f}, last frame repeated {end(report.error[STILL]):.3f}."
        for name in report.motion
        if name != TRUTH
    ]
