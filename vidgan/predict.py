"""A clip in, its futures out: after its end, or beside the true one that was held back."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from einops import repeat
from jaxtyping import UInt8
from torch import Tensor

from gancore.reporting.tables import format_table
from vidgan import metrics
from vidgan.files.grid import write_grid
from vidgan.files.video import open_video
from vidgan.frames import Frames, convert_channels, resize_and_crop, to_float
from vidgan.networks.generator import FramePredictor


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Predict how a clip goes on after its end, or with --compare how its held-back end might have gone."""

    clip: str
    """A video file, a folder or zip of frames, or an array."""

    model: str
    """Folder of a trained FramePredictor (runs/NAME/generator), or the name of one on the Hub."""

    out: str = "future.mp4"
    """Where to write: .mp4, .gif, .png (a strip), .npy, or without an ending a folder of frames."""

    steps: int = 0
    """Frames to predict; 0 for as many as the model was trained on."""

    context_frames: int = 0
    """Past frames the model sees; 0 for as many as it was trained on."""

    samples: int = 1
    """Different futures, side by side in a video and one under the other in a strip."""

    start: int | None = None
    """Number of the first frame to predict; the one after the last if not given, or with --compare `steps` earlier."""

    stride: int = 1
    """Frames of the video from one frame the model sees to the next."""

    size: str = ""
    """Frame size as HEIGHTxWIDTH, or "trained" for the model's own; the clip's own size if empty."""

    compare: bool = False
    """Hold back the frames to be predicted, write past and true future too, and print PSNR and SSIM."""

    seed: int = 0
    """Seed of the futures; sample n is the same however many are asked for."""

    cpu: bool = False
    """Stay on the CPU even if there is a GPU."""

    def __post_init__(self) -> None:
        for name, least in {"steps": 0, "context": 0, "samples": 1, "stride": 1}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.size not in ("", "trained") and not re.fullmatch(r"[1-9]\d*[x,][1-9]\d*", self.size):
            raise ValueError(f"size should be HEIGHTxWIDTH or trained, not {self.size}")


@dataclass(frozen=True)
class Prediction:
    """The past that a model saw, what it made of it, and the true future where that was held back."""

    past: UInt8[Tensor, "past channel height width"]
    futures: UInt8[Tensor, "samples steps channel height width"]
    true: UInt8[Tensor, "steps channel height width"] | None
    rate: Fraction


def predict(config: PredictConfig) -> Prediction:
    """What the settings ask for; of the video only the frames needed are read.

    Raises FileNotFoundError or ValueError if the clip or the model cannot be read, the clip is too short or has
    channels that the model does not know.
    """
    model = FramePredictor.from_pretrained(config.model).to(select_device(cpu=config.cpu))
    steps = config.steps or model.shape.clip_frames - model.shape.context_frames
    past, true, rate = read_past_and_future(
        config.clip,
        start=config.start,
        context_frames=config.context_frames or model.shape.context_frames,
        steps=steps if config.compare else 0,
        stride=config.stride,
        channels=model.shape.channels,
    )
    frames = fit_to_model(torch.cat([past, true]), model, size=config.size)
    past, true = frames[: len(past)], frames[len(past) :]
    futures = model.predict(past, steps, samples=config.samples, seed=config.seed)
    return Prediction(past, futures, true if config.compare else None, rate)


def select_device(*, cpu: bool = False) -> torch.device:
    """The GPU if there is one and it may be used."""
    return torch.device("cuda" if torch.cuda.is_available() and not cpu else "cpu")


def read_past_and_future(
    clip: str, *, start: int | None, context_frames: int, steps: int, stride: int, channels: int = 3
) -> tuple[UInt8[Tensor, "past channel height width"], UInt8[Tensor, "future channel height width"], Fraction]:
    """The `context` frames before frame number `start` of a video, the `steps` frames from it on, and their rate.

    Without a start the frames are the last ones. Raises ValueError if the video is too short.
    """
    footage = open_video(clip, channels=channels)
    needed = (context_frames + steps - 1) * stride + 1
    first = footage.frames - needed if start is None else start - context_frames * stride
    if first < 0 or first + needed > footage.frames:
        at = "" if start is None else f" around frame {start}"
        wanted = f"{context_frames} past" + (f" and {steps} future" if steps else "")
        raise ValueError(f"{clip} has {footage.frames} frames, too few for {wanted} ones at stride {stride}{at}")
    frames = footage.read(first, context_frames + steps, stride=stride)
    return frames[:context_frames], frames[context_frames:], footage.rate / stride


def fit_to_model(frames: UInt8[Tensor, "time c h w"], model: FramePredictor, *, size: str) -> Frames:
    """The frames with the model's channels, at the size asked for.

    Without a size it stays; but a generator that starts from a map (paper) gets the size it was trained at.
    """
    frames = convert_channels(frames, model.shape.channels)
    if size == "trained" or (not size and model.config.latent_init == "map"):
        return resize_and_crop(frames, model.shape.height, model.shape.width)
    if not size:
        return frames
    height, width = map(int, re.split("[x,]", size))
    return resize_and_crop(frames, height, width)


def write_prediction(prediction: Prediction, path: str | Path) -> None:
    """Writes the futures by the path's ending; with a true future, it and each predicted one after the past.

    Raises ValueError or OSError as write_gallery does.
    """
    futures, true = prediction.futures, prediction.true
    if true is None:
        write_grid(path, futures, rate=prediction.rate)
        return
    after = torch.cat([true[None], futures])
    past = repeat(prediction.past, "t c h w -> n t c h w", n=len(after))
    numbers = [f" {number}" for number in range(1, len(after))] if len(futures) > 1 else [""]
    labels = ["true", *(f"predicted{number}" for number in numbers)]
    write_grid(path, torch.cat([past, after], 1), rate=prediction.rate, labels=labels)


def format_comparison(prediction: Prediction) -> str:
    """A table of PSNR and SSIM, mean over the predicted frames, beside those of the last seen frame repeated."""
    assert prediction.true is not None
    futures, true, last = (to_float(frames) for frames in (prediction.futures, prediction.true, prediction.past[-1:]))
    count = len(futures)
    forecasts = {"one sample": futures, "last frame repeated": last.expand_as(true)[None]}
    if count > 1:
        forecasts = {f"mean of {count} samples": futures.mean(0, keepdim=True), **forecasts}
    rows = {}
    for name, forecast in forecasts.items():
        truth = true.expand_as(forecast)
        rows[name] = [f"{metrics.psnr(forecast, truth).mean():.2f}", f"{metrics.ssim(forecast, truth).mean():.3f}"]
    return format_table(f"{len(true)} frames", ["PSNR (dB)", "SSIM"], rows)
