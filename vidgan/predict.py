"""Predicts how a clip continues: after its end, or where the true frames are held back for comparison."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.device import select_device
from gancore.files.limits import VideoLimits
from gancore.reporting.tables import format_table
from vidgan import metrics
from vidgan.commands import PredictConfig, check_size
from vidgan.files.actions import read_plan
from vidgan.files.captions import LABELLED_SUFFIXES, LabelledClip, write_labelled
from vidgan.files.grid import write_grid
from vidgan.files.readers import DEFAULT_LIMITS
from vidgan.files.video import open_video
from vidgan.frames import Frames, convert_channels, resize_and_crop, to_float
from vidgan.networks.generator import FramePredictor


@dataclass(frozen=True)
class Prediction:
    """The past that a model saw, the futures it predicted, and the ground truth where that was held back."""

    past: UInt8[Tensor, "past channel height width"]
    futures: UInt8[Tensor, "samples steps channel height width"]
    ground_truth: UInt8[Tensor, "steps channel height width"] | None
    rate: Fraction
    """Frames per second."""


def predict(config: PredictConfig) -> Prediction:
    """Loads the model and predicts what the settings ask for; reads only the frames of the video that it needs.

    Raises FileNotFoundError or ValueError if the clip or the model cannot be read, or the clip is too short or has
    channels that cannot be converted to the model's.
    """
    model = FramePredictor.from_pretrained(config.model).to(select_device(cpu=config.cpu))
    steps = config.steps or model.shape.clip_frames - model.shape.context_frames
    past, future, rate = read_past_and_future(
        config.clip,
        start=config.start,
        context_frames=config.context_frames or model.shape.context_frames,
        steps=steps if config.compare else 0,
        stride=config.stride,
        channels=model.shape.channels,
        limits=config,
    )
    frames = fit_to_model(torch.cat([past, future]), model, size=config.size)
    past, future = frames[: len(past)], frames[len(past) :]
    futures = model.predict(
        past,
        steps,
        read_actions(config.actions, model, steps=steps),
        samples=config.samples,
        seed=config.seed,
        truncation=config.truncation,
    )
    return Prediction(past, futures, future if config.compare else None, rate)


def read_actions(plan: Path | None, model: FramePredictor, *, steps: int) -> Float[Tensor, "steps size"] | None:
    """The first `steps` actions of a plan; None without one. Raises ValueError if the model cannot follow them."""
    if plan is None:
        return None
    if not model.shape.actions:
        raise ValueError("actions: this model was trained without actions, and cannot follow any")
    actions = read_plan(plan, size=model.shape.actions)
    if len(actions) < steps:
        raise ValueError(f"{plan} has {len(actions)} actions, too few for {steps} steps")
    return torch.from_numpy(actions[:steps])


def read_past_and_future(
    clip: str | Path,
    *,
    start: int | None,
    context_frames: int,
    steps: int,
    stride: int,
    channels: int = 3,
    limits: VideoLimits = DEFAULT_LIMITS,
) -> tuple[UInt8[Tensor, "past channel height width"], UInt8[Tensor, "future channel height width"], Fraction]:
    """Reads `context_frames` frames before frame number `start`, `steps` frames from it on, and their rate.

    Without a start, the last of the frames is the last one of the video. Raises FileNotFoundError if there is no such
    video, ValueError if it cannot be read or is too short.
    """
    reader = open_video(clip, channels=channels, limits=limits)
    span = (context_frames + steps - 1) * stride + 1
    first = reader.frames - span if start is None else start - context_frames * stride
    if first < 0 or first + span > reader.frames:
        around = "" if start is None else f" around frame {start}"
        wanted = f"{context_frames} past" + (f" and {steps} future" if steps else "")
        raise ValueError(f"{clip} has {reader.frames} frames, too few for {wanted} frames at stride {stride}{around}")
    frames = reader.read(first, context_frames + steps, stride=stride)
    return frames[:context_frames], frames[context_frames:], reader.rate / stride


def fit_to_model(frames: UInt8[Tensor, "time c h w"], model: FramePredictor, *, size: str | None) -> Frames:
    """Converts frames to the model's number of channels and to a size: HEIGHTxWIDTH, "trained", or None for their own.

    A generator with latent_init "map" (the paper's) can only start at the size it was trained at, which is its default.
    Raises ValueError for any other size, and for channels that cannot be converted.
    """
    check_size(size)
    frames = convert_channels(frames, model.shape.channels)
    if size == "trained" or (size is None and model.config.latent_init == "map"):
        return resize_and_crop(frames, model.shape.height, model.shape.width)
    if size is None:
        return frames
    height, width = map(int, re.split("[x,]", size))
    return resize_and_crop(frames, height, width)


def write_prediction(prediction: Prediction, path: str | Path, *, labels: bool = True) -> None:
    """Writes the past, followed by each future, and by the ground truth if there is one, by the path's suffix.

    .mp4, .gif and .png are labelled, and a comparison in them also shows the last past frame repeated. Without
    `labels`, and in arrays and folders of frames, there are bare frames: the futures alone, or the past with the ground
    truth and with each future. Raises ValueError as write_clip does.
    """
    path, truth, context_frames = Path(path), prediction.ground_truth, len(prediction.past)
    if labels and path.suffix.lower() in LABELLED_SUFFIXES:
        write_labelled(path, label_clips(prediction), rate=prediction.rate, context_frames=context_frames)
    elif truth is None:
        write_grid(path, prediction.futures, rate=prediction.rate)
    else:
        futures = torch.cat([truth[None], prediction.futures])
        past = prediction.past.expand(len(futures), -1, -1, -1, -1)
        write_grid(path, torch.cat([past, futures], 1), rate=prediction.rate)


def label_clips(prediction: Prediction) -> list[LabelledClip]:
    """The past followed by each sample; with a ground truth also by that, which comes first, and by its last frame."""
    past, truth, many = prediction.past, prediction.ground_truth, len(prediction.futures) > 1
    clips = [
        LabelledClip(f"sample {number}" if many else "prediction", torch.cat([past, future]), generated_from=len(past))
        for number, future in enumerate(prediction.futures, 1)
    ]
    if truth is None:
        return clips
    true, still = torch.cat([past, truth]), torch.cat([past, past[-1:].expand_as(truth)])
    return [
        LabelledClip("ground truth", true, generated_from=len(true)),
        *clips,
        LabelledClip("last frame repeated", still, generated_from=len(past)),
    ]


def format_comparison(prediction: Prediction) -> str:
    """A table of PSNR and SSIM, mean over the predicted frames, of the predictions and of the last frame repeated."""
    assert prediction.ground_truth is not None
    futures, truth, last = (
        to_float(frames) for frames in (prediction.futures, prediction.ground_truth, prediction.past[-1:])
    )
    samples = len(futures)
    forecasts = {"one sample": futures, "last frame repeated": last.expand_as(truth)[None]}
    if samples > 1:
        forecasts = {f"mean of {samples} samples": futures.mean(0, keepdim=True), **forecasts}
    rows = {}
    for name, forecast in forecasts.items():
        expanded = truth.expand_as(forecast)
        psnr, ssim = metrics.psnr(forecast, expanded).mean(), metrics.ssim(forecast, expanded).mean()
        rows[name] = [f"{psnr:.2f}", f"{ssim:.3f}"]
    return format_table(f"{len(truth)} frames", ["PSNR (dB)", "SSIM"], rows)
