"""The methods under evaluation, and the ground-truth clips that they are evaluated on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from accelerate.utils import tqdm
from jaxtyping import UInt8
from torch import Tensor

from gancore.data import Sample
from gancore.evaluation.methods import Method
from gancore.hub import load_either
from gancore.rng import SampleRandom, derive_seed
from vidgan.data.batch import ClipBatch, collate
from vidgan.data.synthetic.cut_outs import Item
from vidgan.evaluation.predictions import PredictionFiles
from vidgan.frames import to_float, to_uint8
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.objective import Futures, VideoModel, sample_futures


def load_model(folder_or_repo: str) -> VideoModel:
    """Load a FramePredictor or VideoGenerator from a folder or a Hub repository, in eval mode on the CPU.

    Raises ValueError if it is neither.
    """
    return load_either(folder_or_repo, FramePredictor, VideoGenerator)


@runtime_checkable
class ClipMethod(Method, Protocol):
    """A method that predicts the future of clips, or generates whole clips from noise."""

    @property
    def samples(self) -> int:
        """Futures for each true clip."""

    def predict(self, batch: ClipBatch, numbers: range) -> Futures:
        """Predict the futures of the true clips of these numbers: values that a byte can hold, scaled to [-1, 1]."""


@dataclass(frozen=True, kw_only=True)
class ModelMethod:
    """A trained model; what it predicts for a clip does not depend on the other clips or on the batch size."""

    model: VideoModel
    samples: int
    seed: int
    total_clips: int
    truncation: float | None = None
    """Bound of the magnitude of the latent's numbers."""
    name: str = "model"

    def predict(self, batch: ClipBatch, numbers: range) -> Futures:
        device = next(self.model.parameters()).device
        random = SampleRandom(self.seed, first_sample=numbers.start, total_samples=self.total_clips, device=device)
        # Rounded as in a file, so that a model is measured as its written predictions would be.
        futures = sample_futures(self.model, batch, random, samples=self.samples, truncation=self.truncation)
        return to_float(to_uint8(futures))


@dataclass(frozen=True, kw_only=True)
class FileMethod:
    """Predictions of another tool, read from files."""

    predictions: PredictionFiles
    indices: tuple[int, ...]
    name: str = "predictions"

    @property
    def samples(self) -> int:
        return len(self.predictions.readers[0])

    def predict(self, batch: ClipBatch, numbers: range) -> Futures:
        futures = torch.stack([self.predictions[self.indices[number]] for number in numbers])
        return to_float(futures.to(batch.frames.device))


@runtime_checkable
class GroundTruth(Protocol):
    """True clips, uint8, each with the index of its class."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; none if they are not known."""

    def __len__(self) -> int: ...

    def __getitem__(self, sample: Sample) -> Item: ...


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """True clips of a data set or of files, and the methods that are measured on them."""

    ground_truth: GroundTruth
    indices: tuple[int, ...]
    """Which of the true clips are measured."""
    context_frames: int
    methods: Mapping[str, ClipMethod]
    """By name."""
    seed: int
    device: torch.device
    paired: bool = True
    """Whether each output is compared with its own true clip; if not, the outputs are compared with them as a set."""

    def __len__(self) -> int:
        return len(self.indices)

    def clip_name(self, number: int) -> str:
        """Return the name of a clip: that of its file, or "clip" and its index in the data set."""
        names = getattr(self.ground_truth, "names", None)
        return names[self.indices[number]] if names else f"clip {self.indices[number]}"

    @cached_property
    def clip_shape(self) -> torch.Size:
        """Shape of each clip: time, channels, height, width."""
        return self._load_item(0)[0].shape

    def _load_item(self, number: int) -> Item:
        return self.ground_truth[Sample(self.indices[number], derive_seed(self.seed, number))]

    def iterate_batches(self, size: int) -> Iterator[tuple[ClipBatch, dict[str, Futures]]]:
        """Yield all clips and what each method predicted for them, `size` at a time, behind a progress bar."""
        for first in tqdm(range(0, len(self), size), unit="batch", leave=False):
            yield self.load_batch(range(first, min(first + size, len(self))))

    def load_batch(self, numbers: range) -> tuple[ClipBatch, dict[str, Futures]]:
        """Read the true clips of these numbers, and predict their futures by each method."""
        items = [self._load_item(number) for number in numbers]
        batch = collate(items, self.context_frames).to(self.device)
        return batch, {name: method.predict(batch, numbers) for name, method in self.methods.items()}


def to_cpu_uint8(clips: Tensor) -> UInt8[Tensor, "*shape"]:
    """Convert clips in [-1, 1] to bytes on the CPU."""
    return to_uint8(clips).cpu()
