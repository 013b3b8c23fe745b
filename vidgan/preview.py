"""What a model does on held-out clips while it trains: a sheet, a clip, and scores beside copy-last-frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.data import Draws, Sample
from gancore.report import save_png, sheet
from vidgan import metrics
from vidgan.dataset import Clips, Dataset, collate
from vidgan.objective import Generator, imagine
from vidgan.video import to_uint8, write_clip

SHOWN = 4
"""Clips on a sheet."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Called in training with the averaged generator; the clips and latents are the same every time."""

    dataset: Dataset
    context: int
    clips: int = 16
    samples: int = 4
    rate: int = 8
    """Frames a second of the clips written."""

    @torch.no_grad()
    def __call__(self, generator: Generator, step: int, folder: Path) -> Mapping[str, float]:
        """Writes step-<n>.png and .mp4 and returns the scores, if the generator predicts; changes nothing in it."""
        folder.mkdir(parents=True, exist_ok=True)
        device = next(generator.parameters()).device
        batch = self._batch(len(self.dataset)).to(device)
        made = imagine(generator, batch, Draws(0, device=device), samples=self.samples)
        rows, labels = sheet_rows(batch, made, predicted=self.context > 0)
        save_png(sheet(rows, labels=labels), folder / f"step-{step:08d}.png")
        side_by_side = rearrange(pictured(made[:SHOWN, 0]), "b t c h w -> t c h (b w)")
        write_clip(folder / f"step-{step:08d}.mp4", side_by_side, rate=self.rate)
        return scores(batch, made) if self.context else {}

    def _batch(self, size: int) -> Clips:
        count = min(self.clips, size)
        items = [self.dataset[Sample(number * size // count, 0)] for number in range(count)]
        return collate(items, self.context)


def sheet_rows(batch: Clips, made: torch.Tensor, *, predicted: bool) -> tuple[list[torch.Tensor], list[str]]:
    """Rows of frames and their captions: the true clip, then two futures of it under their own timesteps."""
    rows, labels = [], []
    for clip, futures in zip(batch.frames[:SHOWN], made[:SHOWN], strict=True):
        black = torch.full_like(clip[: batch.context], -1.0)
        if predicted:
            rows.append(clip)
            labels.append("true")
        for number, future in enumerate(futures[:2]):
            rows.append(torch.cat([black, future]))
            labels.append(f"sample {number + 1}")
    return [pictured(row) for row in rows], labels


def pictured(frames: Float[Tensor, "*shape channel height width"]) -> UInt8[Tensor, "*shape c height width"]:
    """Frames of 1 or 3 channels in bytes, those of any other number by the mean of their channels."""
    if frames.shape[-3] not in (1, 3):
        frames = frames.mean(-3, keepdim=True)
    return to_uint8(frames.cpu())


def scores(batch: Clips, made: torch.Tensor) -> dict[str, float]:
    """Scores of the mean of the samples over all lead times, beside copy-last-frame."""
    future, copied = batch.future, batch.past[:, -1:].expand_as(batch.future)
    forecasts = {"mean": made.mean(1), "copy_last": copied}
    result = {}
    for name, forecast in forecasts.items():
        for metric in (metrics.mse_per_frame, metrics.psnr, metrics.ssim):
            result[f"held_out/{metric.__name__}/{name}"] = float(metric(forecast, future).mean())
    result["held_out/sharpness/sample"] = float(metrics.sharpness(made[:, 0]).mean())
    result["held_out/sharpness/true"] = float(metrics.sharpness(future).mean())
    if made.shape[1] > 1:
        result["held_out/diversity"] = float(metrics.diversity(made).mean())
    return result
