"""Rolls a world out: the frames that follow from a clip and a plan of actions, written as they are made."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.device import select_device
from gancore.errors import UnreadableError
from gancore.files.reading import split_member
from vidgan import metrics
from vidgan.files.actions import read_plan, read_video_actions
from vidgan.files.captions import LABELLED_SUFFIXES, LabelledClip, make_film
from vidgan.files.video import open_video
from vidgan.files.writers import open_clip
from vidgan.frames import Frames, to_float
from vidgan.networks.generator import FramePredictor
from vidgan.predict import fit_to_model
from vidgan.rollout_config import RolloutConfig
from vidgan.simulation import begin_world, run_world


@dataclass(frozen=True)
class Plan:
    """The past of a rollout, its actions, and the true frames that follow from them where the clip has them."""

    past: UInt8[Tensor, "past channel height width"]
    actions: Float[np.ndarray, "steps size"]
    truth: UInt8[Tensor, "steps channel height width"] | None
    rate: Fraction


@dataclass(frozen=True)
class RolloutSummary:
    """How long a rollout was, and how far from the truth, in dB, where that is known."""

    steps: int
    psnr: float | None
    psnr_of_last_frame: float | None
    """Of the last past frame, repeated."""


def roll_out(config: RolloutConfig) -> RolloutSummary:
    """Loads the model, follows the plan and writes the frames one by one.

    Raises FileNotFoundError or ValueError if clip, plan or model cannot be read, or do not fit each other.
    """
    model = FramePredictor.from_pretrained(config.model).to(select_device(cpu=config.cpu))
    if not model.shape.actions:
        raise ValueError(f"{config.model} was trained without actions: vidvox predict continues clips by it")
    plan = read_rollout(config, model)
    state = begin_world(model, plan.past[None], seed=config.seed, truncation=config.truncation)
    actions = torch.from_numpy(plan.actions)[None]
    errors: list[tuple[float, float]] = []
    frames = (frame[0] for frame in run_world(model, state, actions, refresh=config.refresh))
    with open_clip(config.out, frames=len(plan.actions), rate=plan.rate) as write:
        for number, frame in enumerate(frames):
            true = None if plan.truth is None else plan.truth[number]
            if true is not None:
                errors.append((_psnr(frame, true), _psnr(plan.past[-1], true)))
            write(_show(frame, true, number, config))
    means = np.mean(errors, 0).tolist() if errors else (None, None)
    return RolloutSummary(len(plan.actions), *means)


def read_rollout(config: RolloutConfig, model: FramePredictor) -> Plan:
    """Reads the past and the plan that the settings name, the clip's own actions if they name none."""
    context, size = model.shape.context_frames, model.shape.actions
    reader = open_video(config.clip, channels=model.shape.channels, limits=config)
    start = config.start
    if config.actions is None:
        path, _ = split_member(config.clip)
        try:
            own = read_video_actions(str(path), reader, size=size, limits=config)
        except UnreadableError as error:
            raise UnreadableError(f"{error}; give a plan by --actions") from error
        start = context if start is None else start
        actions = own[start - 1 : reader.frames - 1] if start >= 1 else own[:0]
    else:
        actions = read_plan(config.actions, size=size, limits=config)
        start = reader.frames if start is None else start
    if not context <= start <= reader.frames:
        raise ValueError(
            f"{config.clip} has {reader.frames} frames, and the model sees {context}: start must lie in "
            f"[{context}, {reader.frames}]"
        )
    if config.steps is not None and config.steps > len(actions):
        raise ValueError(f"steps is {config.steps}, and there are {len(actions)} actions")
    actions = actions[: config.steps]
    if not len(actions):
        raise ValueError(f"there is no action to follow after frame {start} of {config.clip}")
    past = fit_to_model(reader.read(start - context, context), model, size=config.size)
    known = config.actions is None
    truth = fit_to_model(reader.read(start, len(actions)), model, size=config.size) if known else None
    return Plan(past, actions, truth, reader.rate)


def _psnr(frame: UInt8[Tensor, "c h w"], true: UInt8[Tensor, "c h w"]) -> float:
    return float(metrics.psnr(to_float(frame)[None, None], to_float(true)[None, None]).mean())


def _show(frame: Tensor, true: Tensor | None, number: int, config: RolloutConfig) -> Frames:
    """The frame as it is written: beside the true one and below labels, where the format has room for them."""
    shown = {"rollout": frame} if true is None else {"ground truth": true, "rollout": frame}
    if config.labels and config.out.suffix.lower() in LABELLED_SUFFIXES and len(frame) in (1, 3):
        clips = [
            LabelledClip(name, each[None], generated_from=0 if name == "rollout" else 1) for name, each in shown.items()
        ]
        return make_film(clips, first_frame=number)
    return frame[None]


def format_rollout(summary: RolloutSummary) -> Iterator[str]:
    """Lines that say how long the rollout was, and how good where the truth is known."""
    if summary.psnr is not None:
        still = f"{summary.psnr_of_last_frame:.2f}"
        yield f"PSNR {summary.psnr:.2f} dB in the mean over steps, last past frame repeated {still} dB"
    yield f"{summary.steps} frames"
