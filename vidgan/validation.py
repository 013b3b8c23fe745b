"""Validation during training on held-out clips: a sample sheet, a film, and scores with baselines."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.data import Sample, evenly_spaced
from gancore.metrics.distances import sliced_wasserstein
from gancore.rng import SampleRandom
from gancore.training.diagnostics import flatten_outputs
from vidgan import metrics
from vidgan.data.batch import ClipBatch, collate
from vidgan.data.dataset import ClipDataset
from vidgan.files.captions import LabelledClip, make_film, make_sheet
from vidgan.files.video import write_clip
from vidgan.frames import to_uint8
from vidgan.objective import VideoModel, sample_futures

SHEET_CLIPS = 4
"""Number of held-out clips on a sheet."""
EVALUATION_BATCH = 8
"""Number of clips scored at a time; bounds the memory needed."""


@dataclass(frozen=True, kw_only=True)
class VideoPreview:
    """Draws sample sheets of the EMA generator during training, always of the same clips and latents."""

    dataset: ClipDataset
    context_frames: int
    rate: int = 8
    """Frames per second of the film."""

    @torch.no_grad()
    def __call__(self, generator: VideoModel, step: int, folder: Path) -> None:
        """Writes step-<n>.png and step-<n>.mp4 to the folder; leaves the generator and its mode unchanged.

        The sheet shows the ground truth and two samples of every clip, the film the ground truth and one sample; for
        models without a past, both show samples only.
        """
        folder.mkdir(parents=True, exist_ok=True)
        device = next(generator.parameters()).device
        batch = collate(
            [self.dataset[sample] for sample in select_spaced_samples(self.dataset, SHEET_CLIPS)], self.context_frames
        ).to(device)
        samples = sample_futures(generator, batch, SampleRandom(0, device=device), samples=2)
        sheet = make_sheet(label_rows(batch, samples), context_frames=self.context_frames)
        write_clip(folder / f"step-{step:08d}.png", sheet[None], rate=self.rate)
        film = make_film(label_columns(batch, samples), context_frames=self.context_frames, columns=len(batch.frames))
        write_clip(folder / f"step-{step:08d}.mp4", film, rate=self.rate)


@dataclass(frozen=True, kw_only=True)
class VideoEvaluation:
    """Scores the EMA generator on held-out clips; clips and latents are the same every time."""

    dataset: ClipDataset
    context_frames: int
    clips: int = 32
    samples: int = 4

    @property
    def best_metric(self) -> str:
        """The score that decides which weights are best: CRPS of predictions, or the distance of real and generated."""
        return f"lowest held_out/{'crps/samples' if self.context_frames else 'distance'}"

    @torch.no_grad()
    def __call__(self, generator: VideoModel) -> Mapping[str, float]:
        """Scores of predictions by name; without a past, the sliced Wasserstein distance of generated to real clips."""
        device = next(generator.parameters()).device
        samples = self.samples if self.context_frames else 1
        sums: Counter[str] = Counter()
        rows: dict[str, list[Tensor]] = {"real": [], "generated": []}
        chosen = select_spaced_samples(self.dataset, self.clips)
        for first in range(0, len(chosen), EVALUATION_BATCH):  # a few at a time, to bound the memory
            batch = collate(
                [self.dataset[sample] for sample in chosen[first : first + EVALUATION_BATCH]], self.context_frames
            ).to(device)
            futures = sample_futures(generator, batch, SampleRandom(first, device=device), samples=samples)
            if self.context_frames:
                sums.update({name: len(batch) * score for name, score in score_forecasts(batch, futures).items()})
            else:
                rows["real"].append(flatten_outputs(batch.frames))
                rows["generated"].append(flatten_outputs(futures[:, 0]))
        if self.context_frames:
            return {name: total / len(chosen) for name, total in sums.items()}
        return {"held_out/distance": sliced_wasserstein(torch.cat(rows["real"]), torch.cat(rows["generated"]))}


def select_spaced_samples(dataset: ClipDataset, count: int) -> list[Sample]:
    """`count` items evenly spaced over the data set, or all if it has fewer."""
    return [Sample(index, 0) for index in evenly_spaced(len(dataset), count=count)]


def label_rows(batch: ClipBatch, samples: Tensor) -> list[LabelledClip]:
    """The rows of a sheet: for each clip the ground truth (if it has a past), then two samples.

    The past of samples is black, so that their frames are aligned with the ground truth.
    """
    clips, context_frames = [], batch.context_frames
    for clip, futures in zip(batch.frames[:SHEET_CLIPS], samples[:SHEET_CLIPS], strict=True):
        black = torch.full_like(clip[:context_frames], -1.0)
        if context_frames:
            clips.append(LabelledClip("ground truth", to_displayable(clip), generated_from=len(clip)))
        for number, future in enumerate(futures[:2], 1):
            frames = to_displayable(torch.cat([black, future]))
            clips.append(LabelledClip(f"sample {number}", frames, generated_from=context_frames))
    return clips


def label_columns(batch: ClipBatch, samples: Tensor) -> list[LabelledClip]:
    """The clips of a film: the ground truths (if they have a past), then one sample after the past of each."""
    context_frames = batch.context_frames
    truths = [
        LabelledClip("ground truth", to_displayable(clip), generated_from=len(clip))
        for clip in batch.frames
        if context_frames
    ]
    generated = [
        LabelledClip(f"sample {number}", to_displayable(torch.cat([past, futures[0]])), generated_from=context_frames)
        for number, (past, futures) in enumerate(zip(batch.past, samples, strict=True), 1)
    ]
    return truths + generated


def to_displayable(frames: Float[Tensor, "*shape channel height width"]) -> UInt8[Tensor, "*shape c height width"]:
    """Converts frames to bytes; those of other than 1 or 3 channels become grey, the mean of their channels."""
    if frames.shape[-3] not in (1, 3):
        frames = frames.mean(-3, keepdim=True)
    return to_uint8(frames.cpu())


def score_forecasts(batch: ClipBatch, samples: Tensor) -> dict[str, float]:
    """Scores of the samples (batch, samples, time, ...) and their mean, averaged over all lead times.

    The baseline that they are compared with repeats the last past frame (copy_last).
    """
    future, repeated = batch.future, batch.past[:, -1:].expand_as(batch.future)
    forecasts = {"mean": samples.mean(1), "copy_last": repeated}
    result = {}
    for name, forecast in forecasts.items():
        for metric in (metrics.mse_per_frame, metrics.psnr, metrics.ssim):
            result[f"held_out/{metric.__name__}/{name}"] = float(metric(forecast, future).mean())
    result["held_out/crps/samples"] = float(metrics.crps(samples, future).mean())
    result["held_out/crps/copy_last"] = float(metrics.crps(repeated[:, None], future).mean())
    result["held_out/sharpness/sample"] = float(metrics.sharpness(samples[:, 0]).mean())
    result["held_out/sharpness/true"] = float(metrics.sharpness(future).mean())
    if samples.shape[1] > 1:
        result["held_out/diversity"] = float(metrics.diversity(samples).mean())
    return result
