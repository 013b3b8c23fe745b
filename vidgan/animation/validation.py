"""Validation of animators during training on held-out clips: a sample sheet, a film and scores."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gancore.data import Sample, evenly_spaced
from vidgan import metrics
from vidgan.animation.frames import FigureFrames, collate_figures
from vidgan.data.batch import ClipBatch
from vidgan.files.captions import LabelledClip, make_film, make_sheet
from vidgan.files.video import write_clip
from vidgan.networks.animator import Animator
from vidgan.validation import to_displayable

SHEET_CLIPS = 4
"""Held-out clips on a sheet."""
EVALUATION_BATCH = 8
"""Clips that are scored at a time, which bounds the memory needed."""


@dataclass(frozen=True, kw_only=True)
class AnimationPreview:
    """Draws sheets of source, moved source and true frames during training, of the same clips every time."""

    dataset: FigureFrames
    rate: int = 4
    """Frames per second of the film."""

    @torch.no_grad()
    def __call__(self, generator: Animator, step: int, folder: Path) -> None:
        """Writes step-<n>.png and step-<n>.mp4 to the folder; leaves the generator unchanged."""
        folder.mkdir(parents=True, exist_ok=True)
        batch = read_spaced(self.dataset, SHEET_CLIPS, next(generator.parameters()).device)
        made = reconstruct(generator, batch)
        clips = [
            LabelledClip(name, to_displayable(frames[number]), generated_from=0 if name == "moved" else frames.shape[1])
            for number in range(len(batch))
            for name, frames in (("moved", made), ("ground truth", batch.frames))
        ]
        write_clip(folder / f"step-{step:08d}.png", make_sheet(clips)[None], rate=self.rate)
        write_clip(folder / f"step-{step:08d}.mp4", make_film(clips, columns=2), rate=self.rate)


@dataclass(frozen=True, kw_only=True)
class AnimationEvaluation:
    """Scores the EMA generator on held-out clips, the same ones every time, beside a copy of the source."""

    dataset: FigureFrames
    clips: int = 32

    @property
    def best_metric(self) -> str:
        """The score that decides which weights are best."""
        return "highest held_out/psnr/moved"

    @torch.no_grad()
    def __call__(self, generator: Animator) -> Mapping[str, float]:
        """PSNR and mean absolute error (of a range of 1) of the first frame moved as each later one of its clip."""
        device, sums = next(generator.parameters()).device, Counter[str]()
        chosen = evenly_spaced(len(self.dataset), count=self.clips)
        for first in range(0, len(chosen), EVALUATION_BATCH):
            items = [self.dataset[Sample(index, 0)] for index in chosen[first : first + EVALUATION_BATCH]]
            batch = collate_figures(items).to(device)
            scores = score_moved(batch, reconstruct(generator, batch))
            sums.update({name: len(batch) * score for name, score in scores.items()})
        return {name: total / len(chosen) for name, total in sums.items()}


def read_spaced(dataset: FigureFrames, count: int, device: torch.device) -> ClipBatch:
    """A batch on the device of clips evenly spaced over the data set."""
    return collate_figures([dataset[Sample(index, 0)] for index in evenly_spaced(len(dataset), count=count)]).to(device)


def reconstruct(generator: Animator, batch: ClipBatch) -> Float[Tensor, "batch time channels height width"]:
    """The first frame of every clip moved as each frame of it, itself included."""
    steps = batch.frames.shape[1]
    source = batch.frames[:, :1].expand(-1, steps, -1, -1, -1).flatten(0, 1)
    return generator(source, batch.frames.flatten(0, 1)).float().clamp(-1, 1).unflatten(0, (-1, steps))


def score_moved(batch: ClipBatch, made: Float[Tensor, "batch time channels height width"]) -> dict[str, float]:
    """PSNR and absolute error of all frames but the first, for the moved source and for a copy of it."""
    true, result = batch.frames[:, 1:], {}
    for name, frames in {"moved": made[:, 1:], "source": batch.frames[:, :1].expand_as(true)}.items():
        result[f"held_out/psnr/{name}"] = float(metrics.psnr(frames, true).mean())
        result[f"held_out/l1/{name}"] = float((frames - true).abs().mean() / 2)
    return result
