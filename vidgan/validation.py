"""What a model does on held-out clips while it trains: a sheet, a clip, and scores beside copy-last-frame."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.data import Sample
from gancore.media import write_png
from gancore.metrics.distances import sliced_wasserstein
from gancore.reporting.contact_sheet import make_contact_sheet
from gancore.rng import SampleRandom
from gancore.training.diagnostics import flatten_outputs
from vidgan import metrics
from vidgan.data.dataset import ClipBatch, ClipDataset, collate
from vidgan.files.video import to_uint8, write_clip
from vidgan.objective import VideoModel, sample_futures

SHEET_CLIPS = 4
"""Clips on a sheet."""
EVALUATION_BATCH = 8
"""Clips that are scored at once."""


@dataclass(frozen=True, kw_only=True)
class VideoPreview:
    """Called in training with the averaged generator; the clips and latents are the same every time."""

    dataset: ClipDataset
    context_frames: int
    rate: int = 8
    """Frames a second of the clips written."""

    @torch.no_grad()
    def __call__(self, generator: VideoModel, step: int, folder: Path) -> None:
        """Writes step-<n>.png and .mp4; changes nothing in the generator."""
        folder.mkdir(parents=True, exist_ok=True)
        device = next(generator.parameters()).device
        batch = collate(
            [self.dataset[sample] for sample in select_spaced_samples(self.dataset, SHEET_CLIPS)], self.context_frames
        ).to(device)
        made = sample_futures(generator, batch, SampleRandom(0, device=device), samples=2)
        rows, labels = build_sheet_rows(batch, made, predicted=self.context_frames > 0)
        write_png(folder / f"step-{step:08d}.png", make_contact_sheet(rows, labels=labels))
        side_by_side = rearrange(to_displayable(made[:, 0]), "b t c h w -> t c h (b w)")
        write_clip(folder / f"step-{step:08d}.mp4", side_by_side, rate=self.rate)


@dataclass(frozen=True, kw_only=True)
class VideoEvaluation:
    """Scores of the averaged generator on held-out clips, which are the same every time, as are the latents."""

    dataset: ClipDataset
    context_frames: int
    clips: int = 32
    samples: int = 4

    @property
    def best_metric(self) -> str:
        """The score that counts: a proper one for forecasts, the distance of the sets where there is no past."""
        return f"lowest held_out/{'crps/samples' if self.context_frames else 'distance'}"

    @torch.no_grad()
    def __call__(self, generator: VideoModel) -> Mapping[str, float]:
        """The scores of forecasts; or without a past the distance of the two sets, in pixels."""
        device = next(generator.parameters()).device
        samples = self.samples if self.context_frames else 1
        sums: Counter[str] = Counter()
        rows: dict[str, list[Tensor]] = {"true": [], "made": []}
        chosen = select_spaced_samples(self.dataset, self.clips)
        for first in range(0, len(chosen), EVALUATION_BATCH):  # a few at a time, to bound the memory
            batch = collate(
                [self.dataset[sample] for sample in chosen[first : first + EVALUATION_BATCH]], self.context_frames
            ).to(device)
            made = sample_futures(generator, batch, SampleRandom(first, device=device), samples=samples)
            if self.context_frames:
                sums.update({name: len(batch) * score for name, score in score_forecasts(batch, made).items()})
            else:
                rows["true"].append(flatten_outputs(batch.frames))
                rows["made"].append(flatten_outputs(made[:, 0]))
        if self.context_frames:
            return {name: total / len(chosen) for name, total in sums.items()}
        return {"held_out/distance": sliced_wasserstein(torch.cat(rows["true"]), torch.cat(rows["made"]))}


def select_spaced_samples(dataset: ClipDataset, count: int) -> list[Sample]:
    """So many items from all over the data set, or all if there are fewer."""
    count = min(count, len(dataset))
    return [Sample(number * len(dataset) // count, 0) for number in range(count)]


def build_sheet_rows(batch: ClipBatch, made: torch.Tensor, *, predicted: bool) -> tuple[list[torch.Tensor], list[str]]:
    """Rows of frames and their captions: the true clip, then two futures of it under their own timesteps."""
    rows, labels = [], []
    for clip, futures in zip(batch.frames[:SHEET_CLIPS], made[:SHEET_CLIPS], strict=True):
        black = torch.full_like(clip[: batch.context_frames], -1.0)
        if predicted:
            rows.append(clip)
            labels.append("true")
        for number, future in enumerate(futures[:2]):
            rows.append(torch.cat([black, future]))
            labels.append(f"sample {number + 1}")
    return [to_displayable(row) for row in rows], labels


def to_displayable(frames: Float[Tensor, "*shape channel height width"]) -> UInt8[Tensor, "*shape c height width"]:
    """Frames of 1 or 3 channels in bytes, those of any other number by the mean of their channels."""
    if frames.shape[-3] not in (1, 3):
        frames = frames.mean(-3, keepdim=True)
    return to_uint8(frames.cpu())


def score_forecasts(batch: ClipBatch, made: torch.Tensor) -> dict[str, float]:
    """Scores of the samples and of their mean over all lead times, beside copy-last-frame."""
    future, copied = batch.future, batch.past[:, -1:].expand_as(batch.future)
    forecasts = {"mean": made.mean(1), "copy_last": copied}
    result = {}
    for name, forecast in forecasts.items():
        for metric in (metrics.mse_per_frame, metrics.psnr, metrics.ssim):
            result[f"held_out/{metric.__name__}/{name}"] = float(metric(forecast, future).mean())
    result["held_out/crps/samples"] = float(metrics.crps(made, future).mean())
    result["held_out/crps/copy_last"] = float(metrics.crps(copied[:, None], future).mean())
    result["held_out/sharpness/sample"] = float(metrics.sharpness(made[:, 0]).mean())
    result["held_out/sharpness/true"] = float(metrics.sharpness(future).mean())
    if made.shape[1] > 1:
        result["held_out/diversity"] = float(metrics.diversity(made).mean())
    return result
