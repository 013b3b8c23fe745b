"""Evaluates animators on held-out figures: reconstruction, joints, transfer of motion, identity of the figure."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.data import Sample, evenly_spaced
from gancore.device import select_device
from gancore.parsing import to_dict
from gancore.reporting.provenance import DataFingerprint, collect_provenance
from vidgan import metrics
from vidgan.animation.apply import Picture, animate_film
from vidgan.animation.commands import EvaluateAnimationConfig
from vidgan.animation.joints import JointRegression, find_numbers, fit_on_puppets, mean_distance
from vidgan.animation.report import AnimationReport, Measure
from vidgan.data.dataset import ClipDataset, open_dataset
from vidgan.data.synthetic.puppets import PuppetClips
from vidgan.files.captions import LabelledClip
from vidgan.files.readers import HeldClip
from vidgan.frames import convert_channels, to_float
from vidgan.networks.animator import Animator

Frames = UInt8[Tensor, "time channel height width"]
Scores = defaultdict[str, dict[str, list[float]]]
"""Values of every clip, by measure and method."""

CLIPS = 64
"""Clips that are measured if no other number is asked for."""
SHOWN = 4
"""Clips on the page."""
BANDS = 6
"""Parts of a figure, from top to bottom and equally large, whose mean colours tell figures apart."""
AWAY = 0.1
"""Difference from the background, of a range of 1, from which a pixel is one of the figure."""
COPY, REST, TRUTH = "copy of the source", "mean pose", "ground truth"
"""Methods that need no training, and what all are compared with."""


class Evaluation(NamedTuple):
    """What was measured, and what there is to look at."""

    report: AnimationReport
    shown: dict[str, list[list[LabelledClip]]]
    """Clips by what was done."""


@dataclass(frozen=True)
class MeasureInfo:
    """How a measure is shown and read."""

    title: str
    best: Literal["lowest", "highest"]
    digits: int
    meaning: str


MEASURES = {
    "psnr": MeasureInfo("own motion: PSNR (dB)", "highest", 2, "the first frame of a clip moved as its later frames"),
    "l1": MeasureInfo("own motion: L1", "lowest", 4, "mean absolute error of the same, of a full range of 1"),
    "joints": MeasureInfo(
        "joints from keypoints (pixels)",
        "lowest",
        2,
        "mean distance of joints from where a linear map, fitted on training figures, puts them by the keypoints",
    ),
    "moved_joints": MeasureInfo(
        "joints of moved frames (pixels)",
        "lowest",
        2,
        "the same by the keypoints of moved frames, from the joints of the true ones; own motion",
    ),
    "other_psnr": MeasureInfo(
        "another's motion: PSNR (dB)",
        "highest",
        2,
        "a figure in the first pose of another, moved as that one, beside the figure itself in that motion",
    ),
    "kept": MeasureInfo(
        "figure kept (share)",
        "highest",
        3,
        "how often the moved figure looks most like its source among all figures of the evaluation, in the true pose "
        "and before the same background, by the mean colours of bands from head to foot",
    ),
}


@torch.inference_mode()
def evaluate(config: EvaluateAnimationConfig) -> Evaluation:
    """Measure a model, and another one if asked for.

    Raises:
        ValueError, OSError: Clips or a model cannot be read or do not fit each other.
    """
    device = select_device(cpu=config.cpu)
    models = open_models(config, device)
    clips, scores, fingerprint = open_dataset(config.data, split=config.split), Scores(dict), DataFingerprint()
    numbers = evenly_spaced(len(clips), count=config.max_items or CLIPS)
    regressions: dict[str, JointRegression] = {}
    shown = {"own motion": measure_own_motion(models, clips, numbers, config, scores, fingerprint)}
    if isinstance(clips, PuppetClips):
        training = open_dataset(config.data, split="train")
        assert isinstance(training, PuppetClips)
        for name, model in models.items():
            regressions[name] = fit_on_puppets(model, training, count=config.fit_clips, frames=config.data.frames)
        measure_joints(models, regressions, clips, numbers, config, scores)
        shown["another's motion"] = measure_other_motion(models, clips, numbers, config, scores)
    measures = [
        Measure(
            title=info.title,
            best=info.best,
            digits=info.digits,
            meaning=info.meaning,
            scores={method: fmean(values) for method, values in scores[name].items()},
        )
        for name, info in MEASURES.items()
        if name in scores
    ]
    report = AnimationReport(
        models=list(models),
        clips=len(numbers),
        measures=measures,
        protocol={
            "model": config.model,
            "baseline_model": config.baseline_model,
            "split": config.split,
            "fit_clips": config.fit_clips if regressions else None,
            "data": to_dict(config.data),
        },
        provenance=collect_provenance(seed=config.seed, data=fingerprint.hexdigest(), device=device),
    )
    return Evaluation(report, shown)


def open_models(config: EvaluateAnimationConfig, device: torch.device) -> dict[str, Animator]:
    """The animators to measure, by name. Raises ValueError if one is missing, of another kind, or for other frames."""
    assert config.model is not None
    names = {"model": config.model} | ({"baseline model": config.baseline_model} if config.baseline_model else {})
    models = {name: Animator.from_pretrained(at).to(device) for name, at in names.items()}
    data = config.data
    for name, model in models.items():
        shape = model.shape
        if (shape.channels, shape.height, shape.width) != (data.channels, data.height, data.width):
            raise ValueError(
                f"the {name} is for frames of {shape.channels}x{shape.height}x{shape.width} (channels, height, width): "
                "set data.channels, data.height and data.width to these"
            )
    return models


def measure_own_motion(
    models: Mapping[str, Animator],
    clips: ClipDataset,
    numbers: list[int],
    config: EvaluateAnimationConfig,
    scores: Scores,
    fingerprint: DataFingerprint,
) -> list[list[LabelledClip]]:
    """The first frame of each clip moved as its later ones; some clips with what each model makes of them."""
    shown = []
    for number in numbers:
        frames = clips[Sample(number, number)][0]
        frames = frames[evenly_spaced(len(frames), count=config.data.frames)]
        fingerprint.add(frames[None])
        made = {COPY: frames[:1].expand_as(frames)} | move_all(models, frames[:1], frames)
        for name, each in made.items():
            note(scores, "psnr", name, measure_psnr(each, frames))
            note(scores, "l1", name, float((each[1:].float() - frames[1:].float()).abs().mean() / 255))
        if number in pick_shown(numbers):
            shown.append(label(made, frames))
    return shown


def measure_joints(
    models: Mapping[str, Animator],
    regressions: Mapping[str, JointRegression],
    clips: PuppetClips,
    numbers: list[int],
    config: EvaluateAnimationConfig,
    scores: Scores,
) -> None:
    """How far joints are from where keypoints say they are, in true frames and in moved ones."""
    for number in numbers:
        puppet = clips.draw(Sample(number, number)).at(evenly_spaced(clips.clip_frames, count=config.data.frames))
        frames, joints = clips.render(puppet), puppet.joints
        for name, model in models.items():
            found = regressions[name].predict(find_numbers(model, to_float(frames)))
            note(scores, "joints", name, mean_distance(found, joints))
            moved = move_all({name: model}, frames[:1], frames)[name]
            found = regressions[name].predict(find_numbers(model, to_float(moved)))
            note(scores, "moved_joints", name, mean_distance(found[1:], joints[1:]))
        note(scores, "joints", REST, mean_distance(next(iter(regressions.values())).mean_pose, joints))
        note(scores, "moved_joints", COPY, mean_distance(joints[:1], joints[1:]))


def measure_other_motion(
    models: Mapping[str, Animator],
    clips: PuppetClips,
    numbers: list[int],
    config: EvaluateAnimationConfig,
    scores: Scores,
) -> list[list[LabelledClip]]:
    """Each figure, in the first pose of another, moved as that one; and whether it is still the same figure."""
    figures, shown = [clips.draw_figure(Sample(number, number)) for number in numbers], []
    times = evenly_spaced(clips.clip_frames, count=config.data.frames)
    for place, number in enumerate(numbers):
        after = (place + 1) % len(numbers)
        motion, plate = Sample(numbers[after], numbers[after]), figures[place].plate
        true, driving = (clips.render(clips.move(figures[n], motion).at(times)) for n in (place, after))
        made = {COPY: true[:1].expand_as(true)} | move_all(models, true[:1], driving)
        last = [clips.render(clips.move(replace(each, plate=plate), motion).at(times[-1:])) for each in figures]
        gallery = describe_figure(torch.cat(last), plate)
        for name, each in made.items():
            note(scores, "other_psnr", name, measure_psnr(each, true))
            nearest = (gallery - describe_figure(each[-1:], plate)).square().sum(1).argmin()
            note(scores, "kept", name, float(nearest == place))
        if number in pick_shown(numbers):
            driver = LabelledClip("driving", driving, generated_from=len(driving))
            shown.append([driver, *label(made, true)])
    return shown


# -------------------------------------------------------------------------------------------------------------- helpers


def move_all(models: Mapping[str, Animator], source: Picture, driving: Frames) -> dict[str, Frames]:
    """What each model makes of a source by relative motion."""
    return {name: torch.cat(list(animate_film(each, source, HeldClip(driving)))) for name, each in models.items()}


def note(scores: Scores, measure: str, method: str, value: float) -> None:
    """Adds the value of a clip."""
    scores[measure].setdefault(method, []).append(value)


def measure_psnr(made: Frames, true: Frames) -> float:
    """Mean PSNR of all frames but the first, which is the source."""
    return float(metrics.psnr(to_float(made[None, 1:]), to_float(true[None, 1:])).mean())


def describe_figure(frames: Frames, plate: Float[Tensor, "3 height width"]) -> Float[Tensor, "time numbers"]:
    """The mean colours of a figure's bands, whatever its pose; it is what differs from the plate behind it."""
    behind = convert_channels((255 * plate[None]).round().to(torch.uint8), frames.shape[1])
    colours = frames.float() / 255
    away = ((colours - behind.float() / 255).abs().amax(1) > AWAY).float()
    rows = away.sum(2)
    above = (rows.cumsum(1) - rows / 2) / rows.sum(1, keepdim=True).clamp(min=1)
    bands = F.one_hot((BANDS * above).long().clamp(max=BANDS - 1), BANDS).float()
    size = torch.einsum("thw,thn->tn", away, bands).clamp(min=1)
    return (torch.einsum("tchw,thw,thn->tcn", colours, away, bands) / size[:, None]).flatten(1)


def pick_shown(numbers: list[int]) -> set[int]:
    """Numbers of the clips on the page, evenly spaced."""
    return {numbers[index] for index in evenly_spaced(len(numbers), count=SHOWN)}


def label(made: Mapping[str, Frames], true: Frames) -> list[LabelledClip]:
    """What each model made, and the truth."""
    clips = [LabelledClip(name, frames) for name, frames in made.items() if name != COPY]
    return [*clips, LabelledClip(TRUTH, true, generated_from=len(true))]
