"""Validation of paired translators during training on held-out pairs: a sample sheet, a film and scores."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gancore.data import Sample, evenly_spaced
from vidgan import metrics
from vidgan.files.captions import LabelledClip, make_film, make_sheet
from vidgan.files.video import write_clip
from vidgan.networks.translator import ClipTranslator, enlarge
from vidgan.translation.pairs import PairBatch, PairDataset, collate_pairs
from vidgan.validation import to_displayable

SHEET_CLIPS = 4
"""Held-out clips on a sheet."""
EVALUATION_BATCH = 8
"""Clips that are scored at a time, which bounds the memory needed."""


@dataclass(frozen=True, kw_only=True)
class TranslationPreview:
    """Draws sheets of source, made and true target during training, of the same clips every time."""

    dataset: PairDataset
    rate: int = 8
    """Frames per second of the film."""

    @torch.no_grad()
    def __call__(self, generator: ClipTranslator, step: int, folder: Path) -> None:
        """Writes step-<n>.png and step-<n>.mp4 to the folder; leaves the generator unchanged."""
        folder.mkdir(parents=True, exist_ok=True)
        batch = read_spaced(self.dataset, SHEET_CLIPS, next(generator.parameters()).device)
        made = generator(batch.source, batch.known)
        clips = label_pairs(batch, made, has_truth=self.dataset.has_truth)
        write_clip(folder / f"step-{step:08d}.png", make_sheet(clips)[None], rate=self.rate)
        film = make_film(clips, columns=len(clips) // len(batch))
        write_clip(folder / f"step-{step:08d}.mp4", film, rate=self.rate)


@dataclass(frozen=True, kw_only=True)
class TranslationEvaluation:
    """Scores the EMA generator on held-out pairs, the same ones every time, beside the source itself."""

    dataset: PairDataset
    clips: int = 32

    @property
    def best_metric(self) -> str:
        """The score that decides which weights are best."""
        return "highest held_out/psnr/made"

    @torch.no_grad()
    def __call__(self, generator: ClipTranslator) -> Mapping[str, float]:
        """PSNR, SSIM and sharpness of what is made, and PSNR and SSIM of the source; see `score_pairs`."""
        device, sums = next(generator.parameters()).device, Counter[str]()
        chosen = spaced_samples(self.dataset, self.clips)
        for first in range(0, len(chosen), EVALUATION_BATCH):  # a few at a time, to bound the memory
            pairs = [self.dataset[sample] for sample in chosen[first : first + EVALUATION_BATCH]]
            batch = collate_pairs(pairs).to(device)
            scores = score_pairs(batch, generator(batch.source, batch.known))
            sums.update({name: len(batch) * score for name, score in scores.items()})
        return {name: total / len(chosen) for name, total in sums.items()}


def spaced_samples(dataset: PairDataset, count: int) -> list[Sample]:
    """`count` items evenly spaced over the data set, or all if it has fewer."""
    return [Sample(index, 0) for index in evenly_spaced(len(dataset), count=count)]


def read_spaced(dataset: PairDataset, count: int, device: torch.device) -> PairBatch:
    """A batch on the device of items evenly spaced over the data set."""
    return collate_pairs([dataset[sample] for sample in spaced_samples(dataset, count)]).to(device)


def score_pairs(batch: PairBatch, made: Float[Tensor, "batch time channels height width"]) -> dict[str, float]:
    """PSNR and SSIM of what was made and of the source, enlarged if need be, and sharpness beside that of the truth."""
    source = enlarge(batch.source, batch.target.shape[-1] // batch.source.shape[-1])
    result = {}
    for name, clips in {"made": made.float(), "source": source}.items():
        clips = clips.clamp(-1, 1)
        for metric in (metrics.psnr, metrics.ssim):
            result[f"held_out/{metric.__name__}/{name}"] = float(metric(clips, batch.target).mean())
    result["held_out/sharpness/made"] = float(metrics.sharpness(made.float()).mean())
    result["held_out/sharpness/true"] = float(metrics.sharpness(batch.target).mean())
    return result


def label_pairs(
    batch: PairBatch, made: Float[Tensor, "batch time channels height width"], *, has_truth: bool
) -> list[LabelledClip]:
    """For each pair the source, what was made of it and, if it is known, the truth, all as large as the target."""
    source = enlarge_nearest(batch.source, made.shape[-1] // batch.source.shape[-1])
    rows = {"source": source, "made": made} | ({"ground truth": batch.target} if has_truth else {})
    return [
        LabelledClip(name, to_displayable(clips[number]), generated_from=0 if name == "made" else clips.shape[1])
        for number in range(len(batch))
        for name, clips in rows.items()
    ]


def enlarge_nearest(clips: Float[Tensor, "batch time channels h w"], scale: int) -> Tensor:
    """Clips with every pixel repeated, so that one sees which there were."""
    flat = torch.nn.functional.interpolate(clips.flatten(0, 1), scale_factor=scale, mode="nearest")
    return rearrange(flat, "(b t) c h w -> b t c h w", b=len(clips))
