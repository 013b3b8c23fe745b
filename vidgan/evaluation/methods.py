"""What an evaluation measures: true clips, and what a model or the files of another tool make of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from accelerate.utils import tqdm
from jaxtyping import UInt8
from torch import Tensor

from gancore.data import Sample
from gancore.hub import HubModel
from gancore.rng import SampleRandom, derive_seed
from vidgan.data.dataset import ClipBatch, collate
from vidgan.evaluation.predictions import PredictionFiles
from vidgan.files.video import to_float, to_uint8
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.objective import Futures, VideoModel, sample_futures

MODEL_CLASSES: dict[str, type[FramePredictor] | type[VideoGenerator]] = {
    kind.__name__: kind for kind in (FramePredictor, VideoGenerator)
}


def load_model(folder_or_repo: str) -> VideoModel:
    """The model of a folder or a Hub repository, predictor or not, in eval mode on the CPU.

    Raises ValueError if it is neither.
    """
    kind = HubModel.class_name(folder_or_repo)
    if kind not in MODEL_CLASSES:
        raise ValueError(f"{folder_or_repo} holds a {kind}, not one of {', '.join(MODEL_CLASSES)}")
    return MODEL_CLASSES[kind].from_pretrained(folder_or_repo)


@runtime_checkable
class Method(Protocol):
    """One whose clips are measured."""

    @property
    def samples(self) -> int:
        """Clips for each true one."""

    def __call__(self, batch: ClipBatch, numbers: range) -> Futures:
        """What it makes of the true clips of these numbers, in bytes that have become floats again."""


@dataclass(frozen=True, kw_only=True)
class ModelMethod:
    """A trained model; what it makes of a clip depends neither on the others nor on how they are batched."""

    model: VideoModel
    samples: int
    seed: int
    total_clips: int

    def __call__(self, batch: ClipBatch, numbers: range) -> Futures:
        place = next(self.model.parameters()).device
        draws = SampleRandom(self.seed, first_sample=numbers.start, total_samples=self.total_clips, device=place)
        # Rounded as in a file, so that a model is measured as its written predictions would be.
        return to_float(to_uint8(sample_futures(self.model, batch, draws, samples=self.samples)))


@dataclass(frozen=True, kw_only=True)
class FileMethod:
    """Predictions that lie in files."""

    predictions: PredictionFiles
    indices: tuple[int, ...]

    @property
    def samples(self) -> int:
        return len(self.predictions.readers[0])

    def __call__(self, batch: ClipBatch, numbers: range) -> Futures:
        futures = torch.stack([self.predictions[self.indices[number]] for number in numbers])
        return to_float(futures.to(batch.frames.device))


@runtime_checkable
class GroundTruth(Protocol):
    """Clips in bytes with the number of their class."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; none if they are not known."""

    def __len__(self) -> int: ...

    def __getitem__(self, sample: Sample) -> tuple[Tensor, int]: ...


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """True clips of a data set or of files, and those who predict them."""

    ground_truth: GroundTruth
    indices: tuple[int, ...]
    """Of those that are measured."""
    context_frames: int
    methods: Mapping[str, Method]
    seed: int
    device: torch.device
    paired: bool = True
    """Whether what is made of a true clip is to be that clip; if not, as a set it is to be like the true ones."""

    def __len__(self) -> int:
        return len(self.indices)

    def clip_name(self, number: int) -> str:
        """What the clip is called."""
        names = getattr(self.ground_truth, "names", None)
        return names[self.indices[number]] if names else f"clip {self.indices[number]}"

    @cached_property
    def clip_shape(self) -> torch.Size:
        """Of a clip: time, channels, height, width."""
        return self._load_item(0)[0].shape

    def _load_item(self, number: int) -> tuple[Tensor, int]:
        return self.ground_truth[Sample(self.indices[number], derive_seed(self.seed, number))]

    def iterate_batches(self, size: int) -> Iterator[tuple[ClipBatch, dict[str, Futures]]]:
        """All of them, so many at a time, behind a progress bar."""
        for first in tqdm(range(0, len(self), size), unit="batch", leave=False):
            yield self.load_batch(range(first, min(first + size, len(self))))

    def load_batch(self, numbers: range) -> tuple[ClipBatch, dict[str, Futures]]:
        """The true clips of these numbers, and what each entrant makes of them."""
        items = [self._load_item(number) for number in numbers]
        batch = collate(items, self.context_frames).to(self.device)
        return batch, {name: entrant(batch, numbers) for name, entrant in self.methods.items()}


def spaced_indices(total: int, limit: int) -> tuple[int, ...]:
    """At most so many numbers below the total, evenly spaced; all of them if that is 0."""
    count = min(limit or total, total)
    return tuple(number * total // count for number in range(count))


def to_cpu_uint8(clips: Tensor) -> UInt8[Tensor, "*shape"]:
    """Clips in [-1, 1] as bytes on the CPU."""
    return to_uint8(clips).cpu()
