"""Validation of unpaired translators during training on held-out clips: sample sheets, films and scores."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gancore.data import Sample, evenly_spaced
from gancore.metrics.distances import sliced_wasserstein
from gancore.training.diagnostics import flatten_outputs
from vidgan import metrics
from vidgan.files.captions import LabelledClip, make_film, make_sheet
from vidgan.files.video import write_clip
from vidgan.networks.translator_pair import TranslatorPair
from vidgan.translation.histograms import HistogramMatching
from vidgan.translation.pairs import PairBatch, PairDataset, collate_pairs
from vidgan.translation.validation import EVALUATION_BATCH, SHEET_CLIPS, read_spaced, score_pairs, spaced_samples
from vidgan.validation import to_displayable

HISTOGRAM_CLIPS = 128
"""Training clips of either kind whose levels the curves of the histogram matching are found from."""

Frames = Float[Tensor, "batch time channels height width"]


@dataclass(frozen=True, kw_only=True)
class UnpairedPreview:
    """Draws sheets of sources, their translations, what comes back of these, and the way back from targets."""

    dataset: PairDataset
    rate: int = 8
    """Frames per second of the film."""

    @torch.no_grad()
    def __call__(self, generator: TranslatorPair, step: int, folder: Path) -> None:
        """Writes step-<n>.png and step-<n>.mp4 to the folder; leaves the generator unchanged."""
        folder.mkdir(parents=True, exist_ok=True)
        batch = read_spaced(self.dataset, SHEET_CLIPS, next(generator.parameters()).device)
        clips = label_translations(batch, generator, has_truth=self.dataset.has_truth)
        write_clip(folder / f"step-{step:08d}.png", make_sheet(clips)[None], rate=self.rate)
        film = make_film(clips, columns=len(clips) // len(batch))
        write_clip(folder / f"step-{step:08d}.mp4", film, rate=self.rate)


@dataclass(frozen=True, kw_only=True)
class UnpairedEvaluation:
    """Scores the EMA generator on held-out clips, the same ones every time.

    Where these have a truth that the training never sees, translations are compared with it, beside the source itself
    and histogram matching. The weights are chosen without it, by the distance of the translations from targets.
    """

    dataset: PairDataset
    training: PairDataset
    clips: int = 32

    @property
    def best_metric(self) -> str:
        """The score that decides which weights are best."""
        return "lowest held_out/distance/made"

    @cached_property
    def matching(self) -> HistogramMatching:
        """Histogram matching from sources to targets of the training."""
        return match_training(self.training)

    @torch.no_grad()
    def __call__(self, generator: TranslatorPair) -> Mapping[str, float]:
        """Sliced Wasserstein distances of made and source clips from targets, PSNR of cycles, and scores of the truth.

        The distances are between sets; `cycle` is the PSNR of what comes back of a source.
        """
        device, sums, sets = next(generator.parameters()).device, Counter[str](), defaultdict(list)
        chosen = spaced_samples(self.dataset, self.clips)
        for cpu_batch in _read(self.dataset, chosen):
            batch = cpu_batch.to(device)
            made, scores = generator(batch.source).float(), {}
            for name, clips in {"made": made, "source": batch.source, "target": batch.target}.items():
                sets[name].append(flatten_outputs(clips.clamp(-1, 1)))
            if generator.to_source is not None:
                scores["held_out/psnr/cycle"] = mean_psnr(generator.to_source(made), batch.source)
            if self.dataset.has_truth:
                scores |= score_pairs(batch, made) | self._score_others(generator, batch)
            sums.update({name: len(batch) * score for name, score in scores.items()})
        rows = {name: torch.cat(parts) for name, parts in sets.items()}
        distances = {
            f"held_out/distance/{name}": sliced_wasserstein(rows[name], rows["target"]) for name in ("made", "source")
        }
        return distances | {name: total / len(chosen) for name, total in sums.items()}

    def _score_others(self, generator: TranslatorPair, batch: PairBatch) -> dict[str, float]:
        """PSNR of histogram matching by a curve for each clip and by one for all, and of the way back."""
        scores = {
            "held_out/psnr/histogram_of_clip": mean_psnr(self.matching.match_clips(batch.source), batch.target),
            "held_out/psnr/histogram_of_set": mean_psnr(self.matching.match_set(batch.source), batch.target),
        }
        if generator.to_source is not None:
            scores["held_out/psnr/back"] = mean_psnr(generator.to_source(batch.target), batch.source)
        return scores


def _read(dataset: PairDataset, samples: list[Sample]) -> Iterator[PairBatch]:
    """Batches on the CPU, a few samples at a time, to bound the memory."""
    for first in range(0, len(samples), EVALUATION_BATCH):
        yield collate_pairs([dataset[sample] for sample in samples[first : first + EVALUATION_BATCH]]).to("cpu")


def match_training(training: PairDataset) -> HistogramMatching:
    """Histogram matching from sources to targets of a training, by some of its clips."""
    chosen = [Sample(index, index) for index in evenly_spaced(len(training), count=HISTOGRAM_CLIPS)]
    return HistogramMatching.from_pairs((batch.source, batch.target) for batch in _read(training, chosen))


def mean_psnr(made: Frames, true: Frames) -> float:
    """The mean PSNR of all frames in dB."""
    return float(metrics.psnr(made.float().clamp(-1, 1), true).mean())


def label_translations(batch: PairBatch, generator: TranslatorPair, *, has_truth: bool) -> list[LabelledClip]:
    """For each pair the source, what is made of it, what comes back of that, the target, and what is made of it."""
    made = generator(batch.source)
    rows = {"source": batch.source, "made": made}
    if generator.to_source is not None:
        rows["made, and back"] = generator.to_source(made)
    rows["ground truth" if has_truth else "another target"] = batch.target
    if generator.to_source is not None:
        rows["made of the target"] = generator.to_source(batch.target)
    return [
        LabelledClip(
            name, to_displayable(clips[number]), generated_from=0 if name.startswith("made") else clips.shape[1]
        )
        for number in range(len(batch))
        for name, clips in rows.items()
    ]
